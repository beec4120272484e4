"""Trips that are asked about: how they are written, what is wrong with them, and what is left out of the answer."""

from collections.abc import Callable
from inspect import unwrap

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from humansoft.errors import ModelError, SolveError, UsageError

TURNS = [("home", "main", 2.0), ("home", "park", 3.0), ("main", "work", 0.5), ("park", "work", 0.2)]
MORE = [("park", "shop", 1.0), ("main", "shop", 2.0), ("work", "home", 1.0), ("main", "park", 30.0)]
COUNTED = {("work", "home"): 10.0, ("shop", "home"): 5.0, ("shop", "work"): 1.0}


def town() -> hs.Task:
    edges = pd.DataFrame(TURNS + MORE, columns=["from", "to", "minutes"])
    return hs.Task.network(edges, features=["minutes"], goals=["work", "shop"])


def people(*names: str) -> hs.Policy:
    return hs.plan(town(), {"minutes": -1.0}, dict.fromkeys(names or ("all",), 1.0), planner="entropy")


def said(error: type[Exception], call: Callable[[], object]) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


# --- how trips are written -----------------------------------------------------------------


def test_trips_are_written_as_a_mapping_a_series_or_a_table() -> None:
    series = pd.Series(COUNTED)
    table = series.rename_axis(["goal", "link"]).rename("trips").reset_index()
    by_mapping = hs.occupancy(people(), COUNTED)
    for other in (series, table, pd.concat([table, table]).assign(trips=lambda t: t["trips"] / 2)):
        pd.testing.assert_frame_equal(hs.occupancy(people(), other), by_mapping)


def test_trips_of_a_log_are_counted_by_pandas() -> None:
    log = hs.simulate(people(), episodes=30, seed=1)
    recorded = log.frame[log.episode_start].groupby(["context", "state"]).size()
    arrived = hs.occupancy(people(), recorded).query("goal == link").set_index("goal")["visits"]
    assert arrived.to_dict() == pytest.approx(recorded.groupby(level=0).sum().to_dict())


def test_what_is_no_number_of_trips() -> None:
    table = pd.DataFrame({"goal": ["work"], "links": ["home"], "trips": [1.0], "subject": ["ann"]})
    asked: dict[str, object] = {
        "unknown trip ('home', 'work'): the goal comes first, ('work', 'home')": {("home", "work"): 1.0},
        "unknown trip ('home', 'main'): 'home' is a link, but no goal of the network.": {("home", "main"): 1.0},
        "unknown trip 'work'. Write it as a pair (goal, link).": {"work": 1.0},
        "the number of trips of ('work', 'home') is None": {("work", "home"): None},
        "the number of trips of ('work', 'home') is '3'": {("work", "home"): "3"},
        "the number of trips of ('work', 'home') is True": {("work", "home"): True},
        "a list does not say how many trips there are; give {(goal, link): number of trips}": [("work", "home")],
        "there is no column 'link'. Did you mean 'links'?": table,
        "columns 'links', 'subject' are not used: take initial[['goal', 'link', 'trips']]": table,
    }
    for sentence, trips in asked.items():
        assert sentence in said(ModelError, lambda trips=trips: unwrap(hs.occupancy)(people(), trips))  # type: ignore[misc]
    turned = said(ModelError, lambda: hs.occupancy(people(), {("work", "shop"): 1.0}))
    assert "no way leads from 'shop' to 'work', but one from 'work' to 'shop': in (goal, link) the goal comes" in turned
    several = said(ModelError, lambda: hs.occupancy(people(), {("wrk", "hme"): 1.0, ("work", "home"): -1.0}))
    for part in ("2 problems", "'wrk' is no goal of the network. Did you mean 'work'?", "unknown link 'hme'"):
        assert part in several


def test_starts_in_other_tasks_are_numbers_by_state() -> None:
    task = hs.Task.grid("S.G\n...", discount=0.9)
    policy = hs.plan(task, {"step": -1.0})
    halves = {(0, 0): 0.5, (1, 0): 0.5}
    pd.testing.assert_frame_equal(hs.occupancy(policy, pd.Series(halves)), hs.occupancy(policy, halves))
    assert "the probability of (0, 0) is None" in said(ModelError, lambda: unwrap(hs.occupancy)(policy, {(0, 0): None}))
    assert "a list does not say where people start; give {state: probability}" in said(
        ModelError, lambda: unwrap(hs.occupancy)(policy, [(0, 0)])
    )
    assert "by_goal=False) is for networks" in said(UsageError, lambda: hs.occupancy(policy, halves, by_goal=False))


# --- what is answered ----------------------------------------------------------------------


@pytest.mark.parametrize("over", ["state", "state_action"])
def test_links_that_nobody_passes_are_left_out(over: str) -> None:
    table = hs.occupancy(people("ann", "bob"), {("work", "home"): 1e6}, over=over)  # type: ignore[arg-type]
    assert "park" in set(table["link"])
    detour = np.exp(-32.2) / (np.exp(-2.5) + np.exp(-3.2))  # by the turn of 30 minutes, one trip in 10^13
    assert detour < 1e-9
    if over == "state_action":
        assert ("main", "park") not in set(zip(table["link"], table["action"], strict=True))
    assert (table["visits"] > 1e-3).all()
    assert "least_share=1.5" in said(UsageError, lambda: hs.occupancy(people(), COUNTED, least_share=1.5))
    every = hs.occupancy(people(), {("work", "home"): 1e6}, over="state_action", least_share=0.0)
    assert every.set_index(["link", "action"]).loc[("main", "park"), "visits"] == pytest.approx(1e6 * detour, rel=1e-9)


@pytest.mark.parametrize("over", ["state", "state_action"])
def test_flows_of_all_goals_together(over: str) -> None:
    keys = ["subject", "link"] + (["action"] if over == "state_action" else [])
    found = hs.occupancy(people("ann", "bob"), COUNTED, over=over, by_goal=False)  # type: ignore[arg-type]
    wanted = hs.occupancy(people("ann", "bob"), COUNTED, over=over)  # type: ignore[arg-type]
    summed = wanted.groupby(keys)["visits"].sum()
    assert list(found.columns) == [*keys, "visits"]
    pd.testing.assert_series_equal(found.set_index(keys)["visits"].sort_index(), summed)


def test_goals_may_be_any_collection() -> None:
    wanted = hs.expected_steps(people(), ["shop", "work"])
    for goals in (
        {"work", "shop"},
        np.array(["work", "shop"]),
        pd.Series(["work", "shop"]),
        pd.Index(["shop", "work"]),
    ):
        pd.testing.assert_frame_equal(hs.expected_steps(people(), goals), wanted)
    steps = wanted.set_index(["goal", "link"])
    assert steps.loc[("work", "shop"), ["probability", "steps"]].tolist() == pytest.approx([0, np.nan], nan_ok=True)


# --- whole routes --------------------------------------------------------------------------


def test_problems_of_routes_are_named_at_once() -> None:
    two = people("ann", "bob")
    route = said(ModelError, lambda: hs.path_log_prob(two, ("home", "man", "wrk"), "an", goal="shp"))
    for part in ("4 problems", "unknown subject 'an'", "'man' at place 1", "'wrk' at place 2", "'shp' is no goal"):
        assert part in route
    last = said(ModelError, lambda: hs.path_log_prob(two, ("home", "main", "wrk"), "ann"))
    assert last == "the route: unknown link 'wrk' at place 2. Did you mean 'work'?"
    trip = said(ModelError, lambda: hs.likely_paths(two, "hom", goal="main"))
    for part in ("3 problems", "whose? The policy has 2 people", "'main' is a link, but no goal", "unknown link 'hom'"):
        assert part in trip
    assert said(SolveError, lambda: hs.likely_paths(two, "shop", "ann", goal="work")) == (
        "no way leads from 'shop' to 'work', but one from 'work' to 'shop': in (goal, link) the goal comes first"
    )
    assert "path='home' is one text where a list is meant" in said(UsageError, lambda: hs.path_log_prob(two, "home"))
    assert "features='minutes' is one text where a list is meant" in said(
        UsageError, lambda: hs.expected_steps(two, "work", features="minutes")
    )
    grid = hs.plan(hs.Task.grid("S.G\n", discount=0.9), {"step": -1.0}, {"ann": 1.0, "bob": 2.0})
    path = said(ModelError, lambda: hs.path_log_prob(grid, ((0, 0), "rigth"), "an"))
    assert "unknown subject 'an'" in path
    assert "unknown action 'rigth' at place 1" in path


@pytest.mark.slow
def test_people_of_a_fit_are_asked_by_goal() -> None:
    model = hs.SoftOptimalModel(town(), hs.LinearReward(fixed={"minutes": -1.0}), hs.Shared(), "entropy")
    fit = hs.fit(model, hs.simulate(people(), episodes=60, seed=1))
    for goals in ("shop", ["shop"]):
        few = fit.policy_toward(goals)
        pd.testing.assert_frame_equal(hs.expected_steps(few, "shop"), hs.expected_steps(fit, "shop"))
        assert "on trips to 'work'" in said(ModelError, lambda few=few: hs.expected_steps(few, "work"))  # type: ignore[misc]
    assert "'shp' is no goal of the network. Did you mean 'shop'?" in said(
        ModelError, lambda: fit.policy_toward(["shp"])
    )
    assert "there are no goals" in said(ModelError, lambda: fit.policy_toward([]))
    assert "counterfactual() takes a fit" in said(UsageError, lambda: unwrap(hs.counterfactual)(people(), town()))
    grid = hs.Task.grid("S.G\n", discount=0.9)
    walks = hs.simulate(hs.plan(grid, {"step": -1.0}), episodes=30, seed=1)
    walked = hs.fit(hs.SoftOptimalModel(grid, hs.LinearReward(fixed={"step": -1.0, "goal": 0.0})), walks)
    assert "policy_toward(goals) is for networks" in said(UsageError, lambda: walked.policy_toward([(0, 2)]))
