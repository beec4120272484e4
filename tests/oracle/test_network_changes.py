"""Closed links and new ones, against networks built anew and against the same spelled out goal by goal."""

from collections.abc import Callable, Hashable, Sequence
from inspect import unwrap
from typing import Any

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from humansoft.planners import Planner
from humansoft.tasks.comparison import same_task
from tests.oracle.networks import FEATURES, HOME, SHOP, by_goals, spelled_out, streets, trips

REWARD = {"time": -1.5, "toll": -1.0}
GOALS = [3, HOME, SHOP]
NEW = pd.DataFrame([(0, 50), (50, 51), (51, 3), (2, SHOP)], columns=["from", "to"]).assign(
    time=[0.2, 0.1, 0.4, 0.3], toll=[0.5, 0.0, 0.1, 0.9]
)


def flows(people: Any, goals: list[int]) -> "pd.Series[float]":  # noqa: ANN401 - a policy, fit or counterfactual
    table = hs.occupancy(people, {(goal, 0): 1.0 for goal in goals})
    return table.set_index(["goal", "link"])["visits"]


def closing(edges: pd.DataFrame) -> dict[str, tuple[dict[str, Any], "pd.Series[bool]"]]:
    """Return what block is told, and which turns that closes."""
    start, end = edges["from"], edges["to"]
    return {
        "a link": ({"states": [5]}, end == 5),
        "a street in both directions": (
            {"passages": [(0, 1)]},
            ((start == 0) & (end == 1)) | ((start == 1) & (end == 0)),
        ),
        "a turn": ({"actions": [(0, HOME), (1, 2)]}, ((start == 0) & (end == HOME)) | ((start == 1) & (end == 2))),
    }


@pytest.mark.parametrize("planner", ["entropy", "kl"])
@pytest.mark.parametrize("what", ["a link", "a street in both directions", "a turn"])
def test_closed_is_as_if_it_had_never_been(planner: Planner, what: str) -> None:
    edges = streets(2)
    told, gone = closing(edges)[what]
    assert gone.any()
    task = by_goals(edges, GOALS)
    closed = hs.block(task, **told)
    anew, whole = by_goals(edges[~gone], GOALS), spelled_out(edges[~gone], GOALS)
    assert closed.goals is not None
    assert closed.goals.links == task.goals.links  # type: ignore[union-attr]
    ours, theirs = (hs.plan(other, REWARD, planner=planner) for other in (closed, anew))
    np.testing.assert_allclose(flows(ours, GOALS), flows(theirs, GOALS)[flows(ours, GOALS).index], rtol=1e-12)
    third = hs.occupancy(
        hs.plan(whole, REWARD, planner=planner), {(goal, 0): 1 / 3 for goal in GOALS}, discounted=False
    ).set_index("state")["visits"]
    found = flows(ours, GOALS)
    np.testing.assert_allclose(found, 3 * third.to_numpy()[whole.states.encode(found.index)], rtol=1e-9)


def test_where_no_link_is_lost_the_network_is_the_same_as_one_built_anew() -> None:
    edges = streets(2)
    told, gone = closing(edges)["a turn"]
    task = by_goals(edges, GOALS)
    assert same_task(hs.block(task, **told), by_goals(edges[~gone], GOALS))
    back = edges[gone].sample(frac=1.0, random_state=1)
    assert same_task(hs.add_turns(hs.block(task, **told), back), task)


@pytest.mark.parametrize("planner", ["entropy", "kl"])
def test_new_links_are_as_if_they_had_always_been(planner: Planner) -> None:
    edges = streets(2)
    wider = hs.add_turns(by_goals(edges, GOALS), NEW)
    assert len(wider.contexts) == 3
    assert wider.goals is not None
    assert wider.goals.links.values[-2:] == (50, 51)
    every = pd.concat([edges, NEW])
    ours, theirs = (hs.plan(task, REWARD, planner=planner) for task in (wider, by_goals(every, GOALS)))
    found = flows(ours, GOALS)
    np.testing.assert_allclose(found, flows(theirs, GOALS)[found.index], rtol=1e-12)
    assert found[3, 50] > 0.01


def test_a_changed_turn_is_closed_and_opened_anew(tmp_path: Any) -> None:  # noqa: ANN401
    edges = streets(2)
    dear = edges.assign(toll=edges["toll"] + 5.0 * (edges["to"] == 5))
    path = tmp_path / "new.csv"
    dear[dear["to"] == 5].to_csv(path, index=False)
    task = by_goals(edges, GOALS)
    assert same_task(hs.add_turns(hs.block(task, states=[5]), path), by_goals(dear, GOALS))


@pytest.fixture(scope="module")
def fitted() -> hs.Fit:
    """Two people, fitted in a network and held in it."""
    edges = streets(2)
    log = trips(spelled_out(edges, GOALS), "entropy", people=2)
    model = hs.SoftOptimalModel(
        by_goals(edges, GOALS), hs.LinearReward(fixed={"time": -1.5}), hs.PerSubject(), "entropy"
    )
    return hs.fit(model, log)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["a link", "a street in both directions", "a turn", "new links"])
def test_fitted_people_in_a_changed_network(fitted: hs.Fit, what: str) -> None:
    """The plan of the same people there, and the counterfactual of the same network spelled out."""
    edges = streets(2)
    if what == "new links":
        changed, kept = hs.add_turns(fitted.task, NEW), pd.concat([edges, NEW])
    else:
        told, gone = closing(edges)[what]
        changed, kept = hs.block(fitted.task, **told), edges[~gone]
    asked = {(3, 0): 2.0, (HOME, 6): 1.0, (SHOP, 1): 4.0}
    found = hs.counterfactual(fitted, changed, initial=asked)
    assert found.identified
    weights = {"time": -1.5, "toll": fitted.weight("toll")}
    people = hs.plan(spelled_out(kept, GOALS), weights, fitted.temperatures()["temperature"].to_dict(), "entropy")
    shares = {label: number / 7.0 for label, number in asked.items()}
    wanted = hs.occupancy(people, shares, discounted=False)
    wanted["link"] = [link for _, link in wanted["state"]]
    totals = wanted.groupby(["subject", "link"])["visits"].sum() * 7.0
    rows = found.predictions.set_index(["subject", "link"])
    np.testing.assert_allclose(rows["visits"], totals[rows.index], rtol=1e-8)
    assert (rows["low"] == rows["visits"]).all()
    again = hs.occupancy(found, asked).groupby(["subject", "link"])["visits"].sum()
    np.testing.assert_allclose(rows["visits"], again[rows.index], rtol=1e-12)


def recorded(fit: hs.Fit, subject: str) -> dict[Hashable, int]:
    """Return the trips of one person in the training data."""
    starts = fit.training.starts
    own = starts.loc[starts["subject"] == fit.subjects.encode([subject])[0], "state"].value_counts()
    return dict(zip(fit.task.states.decode(own.index), own.tolist(), strict=True))


@pytest.mark.slow
def test_everybody_makes_their_own_recorded_trips(fitted: hs.Fit) -> None:
    found = hs.counterfactual(fitted, fitted.task)
    rows = found.predictions.set_index(["subject", "link"])
    for subject in ("ann", "bob"):
        flows = hs.occupancy(fitted, recorded(fitted, subject)).groupby(["subject", "link"])["visits"].sum()
        own = rows.loc[[subject]]
        np.testing.assert_allclose(own["visits"], flows[own.index], rtol=1e-10)
        assert set(own["trips"]) == {sum(recorded(fitted, subject).values())}
    assert found.cut_off == ()
    assert "by each person's own recorded trips, 90 in all" in found.message
    goals = fitted.task.states.decode(fitted.training.starts["state"])
    recorded_ends = pd.Series([label[0] for label in goals]).value_counts()  # type: ignore[index]
    predicted = rows["visits"].groupby("link").sum()
    for end in (HOME, SHOP):
        assert predicted[end] == pytest.approx(recorded_ends[end])


@pytest.mark.slow
def test_people_of_one_row_make_their_own_trips_too() -> None:
    """One goal for each of two people who are alike, and one of them cannot get there any more."""
    edges = streets(2)
    task = by_goals(edges, GOALS)
    log = hs.simulate(hs.plan(task, REWARD, {"ann": 1.0, "bob": 1.0}, "entropy"), episodes=60, seed=1)
    goal, subject = log.frame["context"], log.frame["subject"]
    log = log.select(
        ((goal == HOME) & (subject == "ann")).to_numpy() | ((goal == SHOP) & (subject == "bob")).to_numpy()
    )
    fit = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(fixed={"time": -1.5}), hs.Shared(), "entropy"), log)
    found = hs.counterfactual(fit, task).predictions.set_index(["subject", "link"])
    for who, one in (("ann", HOME), ("bob", SHOP)):
        flows = hs.occupancy(fit, recorded(fit, who)).query("subject == @who").set_index("link")["visits"]
        own = found.loc[who]
        np.testing.assert_allclose(own["visits"], flows[own.index], rtol=1e-10)
        assert {HOME, SHOP} & set(own.index) == {one}
    lost = hs.counterfactual(fit, by_goals(edges[edges["to"] != SHOP], [3, HOME]))
    assert set(lost.cut_off) == set(recorded(fit, "bob"))
    assert set(lost.predictions["subject"]) == {"ann"}
    number = sum(recorded(fit, "bob").values())
    assert f"{number} of {number + sum(recorded(fit, 'ann').values())} trips cannot arrive any more" in lost.message


@pytest.mark.slow
def test_trips_that_begin_where_nobody_gets_any_more_are_named(fitted: hs.Fit) -> None:
    found = hs.counterfactual(fitted, hs.block(fitted.task, states=[5]), initial={(HOME, 5): 1.0, (HOME, 0): 2.0})
    assert "Trips still begin on 5, into which no turn leads any more." in found.message
    assert "by 3 trips that every person makes" in found.message
    assert "begin on" not in hs.counterfactual(fitted, fitted.task, initial={(HOME, 5): 1.0}).message


def untold(**fixed: float) -> tuple[hs.Fit, pd.DataFrame]:
    """Fit people who never met a toll, and return them and the streets."""
    edges = streets(2).assign(toll=0.0)
    task = by_goals(edges, GOALS)
    log = hs.simulate(hs.plan(task, {"time": -2.0}, planner="entropy"), episodes=60, seed=1)
    model = hs.SoftOptimalModel(task, hs.LinearReward(fixed=fixed), hs.Fixed(1.0), "entropy")
    return hs.fit(model, log, allow_unidentified=True), edges


@pytest.mark.slow
def test_what_the_data_cannot_tell_is_a_range_of_flows() -> None:
    fit, edges = untold()
    wider = hs.add_turns(fit.task, NEW)
    asked = {(3, 0): 1.0, (SHOP, 1): 1.0}
    found = hs.counterfactual(fit, wider, initial=asked)
    assert not found.identified
    assert "`toll` can change" in found.message
    assert "how often a trip of 'all' passes link" in found.message
    rows = found.predictions.set_index("link")
    assert ((rows["low"] <= rows["visits"]) & (rows["visits"] <= rows["high"])).all()
    largest = float(np.abs(fit.weight("time") * edges["time"]).max())
    ends = []
    for share in (1.0, 0.5, -0.5, -1.0):  # as far as the range goes, in units of the largest reward
        weights = {"time": fit.weight("time"), "toll": fit.weight("toll") + share * largest}
        try:
            people = hs.plan(by_goals(pd.concat([edges, NEW]), GOALS), weights, planner="entropy")
        except hs.errors.SolveError:
            continue
        ends.append(hs.occupancy(people, asked).groupby("link")["visits"].sum())
    every = pd.concat([*ends, rows["visits"]], axis=1).loc[rows.index]
    np.testing.assert_allclose(rows["high"], every.max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(rows["low"], every.min(axis=1), rtol=1e-6, atol=1e-12)
    same = hs.counterfactual(fit, hs.block(fit.task, actions=[(1, 2)]), initial=asked)
    assert same.identified
    assert "behavior in this task does not depend on it" in same.message


@pytest.mark.slow
def test_a_prediction_that_rests_on_what_was_fixed_says_so() -> None:
    fit, _ = untold(toll=-1.0)
    found = hs.counterfactual(fit, hs.add_turns(fit.task, NEW), initial={(SHOP, 1): 1.0})
    assert found.identified
    assert "It rests on fixed={'toll': -1.0}" in found.message
    assert "and change how often a trip passes a link here by up to" in found.message


@pytest.mark.slow
def test_trips_that_cannot_arrive_any_more_are_named(fitted: hs.Fit) -> None:
    into_shop = [(start, SHOP) for start in streets(2).query(f"to == {SHOP}")["from"]]
    lane = pd.DataFrame({"from": [60], "to": [SHOP], "time": 1.0, "toll": 0.0})
    lonely = hs.add_turns(fitted.task, lane, origins=[60])
    changed = hs.block(lonely, actions=into_shop)  # open for those only who start on link 60
    asked = {(SHOP, 0): 3.0, (HOME, 0): 1.0}
    found = hs.counterfactual(fitted, changed, initial=asked)
    assert found.cut_off == ((SHOP, 0),)
    assert (
        f"3 of 4 trips of each person cannot arrive any more, and are left out: no way leads from 0 to {SHOP}"
        in found.message
    )
    assert not found.predictions.isna().any().any()
    alone = hs.counterfactual(fitted, changed, initial={(HOME, 0): 1.0})
    pd.testing.assert_frame_equal(found.predictions, alone.predictions)
    with pytest.raises(hs.errors.ModelError, match=f"no trip can arrive .* no way leads from 0 to {SHOP}"):
        hs.counterfactual(fitted, changed, initial={(SHOP, 0): 3.0})
    without = by_goals(streets(2).query(f"to != {SHOP}"), [3, HOME])
    recorded = hs.counterfactual(fitted, without)
    assert recorded.cut_off
    assert all(without.states.encode([trip]) < 0 and (SHOP in np.array(trip)) for trip in recorded.cut_off)


@pytest.mark.slow
def test_a_known_reward_would_change_turns() -> None:
    """It is a table by the place of turns among those of their link, which other turns move."""
    task = by_goals(streets(2), GOALS)
    known = hs.KnownReward(-1.5 * task.features[:, :, 0])
    log = hs.simulate(hs.plan(task, {"time": -1.5}, planner="entropy"), episodes=30, seed=1)
    fit = hs.fit(hs.SoftOptimalModel(task, known, hs.Shared(), "entropy"), log)
    asked = {(3, 0): 1.0}
    assert hs.counterfactual(fit, task, initial=asked).identified
    for changed in (hs.block(task, actions=[(1, 2)]), hs.add_turns(task, NEW)):
        with pytest.raises(hs.errors.ModelError, match=r"the reward is a KnownReward, .* make it a feature"):
            hs.counterfactual(fit, changed, initial=asked)


def refused(*turns: tuple[object, object], origins: Sequence[Hashable] = ()) -> str:
    """Return what is said of new turns."""
    table = pd.DataFrame(turns, columns=["from", "to"]).assign(time=1.0, toll=0.0)
    with pytest.raises(hs.errors.TaskError) as caught:
        hs.add_turns(by_goals(streets(2), GOALS), table, origins=origins)
    return str(caught.value)


def test_new_links_are_joined_to_the_network() -> None:
    typo = refused((0, "brigde"), ("bridge", 3))
    assert "no way leads to the new link 'bridge'; if trips only begin there, origins=['bridge']" in typo
    assert "no way leads from the new link 'brigde' into the network. Did you mean 'bridge'?" in typo
    ring = refused(("one", "two"), ("two", "one"), (3, 3.5))
    assert ring.count("no way leads") == 5
    text = refused(("1", "2"), ("2", "1"))
    assert "1 (int) is known, this is '1' (str): make the types agree" in text
    assert "and so for 3 more: 'x', 'y', 'z'" in refused(
        *((0, f"end {k}") for k in range(8)), (0, "x"), (0, "y"), (0, "z")
    )


def test_trips_may_begin_on_a_new_link_to_which_no_way_leads() -> None:
    turns = pd.DataFrame([("gate", "yard"), ("yard", 3)], columns=["from", "to"]).assign(time=1.0, toll=0.0)
    people = hs.plan(hs.add_turns(by_goals(streets(2), GOALS), turns, origins=["gate"]), REWARD, planner="entropy")
    assert hs.path_log_prob(people, ("gate", "yard", 3)) == pytest.approx(0.0)
    assert "origin 'gat' is no new link. Did you mean 'gate'?" in refused(("gate", 3), origins=["gat"])
    assert "origins='gate' is one text where a list is meant" in refused(("gate", 3), origins="gate")


def test_tables_of_new_turns_are_read_whole() -> None:
    task = by_goals(streets(2), GOALS)
    unknown = NEW.assign(tolls=1.0)
    asked: dict[str, Callable[[], object]] = {
        "it has no rows": lambda: hs.add_turns(task, NEW[:0]),
        "columns 'tolls' are no features of the network: take turns[['from', 'to', 'time', 'toll']]": (
            lambda: hs.add_turns(task, unknown)
        ),
        "the new turns: a list is no table of turns": lambda: unwrap(hs.add_turns)(task, [(0, 50, 1.0, 0.0)]),
        "the network: a list is no table of turns": lambda: unwrap(hs.Task.network)([(0, 50)]),
        "features='time' is one text where a list is meant": lambda: hs.Task.network(NEW, features="time"),
        "the network: it has no rows": lambda: hs.Task.network(NEW[:0].astype({"time": object}), features=["time"]),
    }
    for sentence, call in asked.items():
        with pytest.raises(hs.errors.TaskError) as caught:
            call()
        assert sentence in str(caught.value)


def test_every_goal_keeps_a_way() -> None:
    task = by_goals(streets(2), GOALS)
    loop = pd.concat([streets(2), pd.DataFrame({"from": [SHOP], "to": [SHOP], "time": 1.0, "toll": 0.0})])
    for into in (loop, loop[(loop["to"] != SHOP) | (loop["from"] == SHOP)]):  # from itself, nobody enters
        with pytest.raises(hs.errors.TaskError, match=f"no turn leads into the goals {SHOP}"):
            hs.block(by_goals(into, GOALS), states=[SHOP])
    with pytest.raises(hs.errors.TaskError, match=f"no turn leads into the goals {SHOP} any more"):
        hs.block(task, states=[SHOP])


def test_features_of_new_turns_are_needed() -> None:
    with pytest.raises(hs.errors.TaskError, match="there is no column 'toll'"):
        hs.add_turns(by_goals(streets(2), GOALS), NEW[["from", "to", FEATURES[0]]])
