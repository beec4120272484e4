"""Networks as tasks: what they are made of, what a log may do in them, and what is not offered."""

from collections.abc import Callable
from inspect import unwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from humansoft.codebook import Labels, PairLabels
from humansoft.errors import HumansoftError, ModelError, TaskError

EDGES = pd.DataFrame(
    [
        ("in", "mid", 1.0, 0.0),
        ("mid", "in", 2.0, 1.0),
        ("mid", "out", 1.5, 0.0),
        ("out", "mid", 1.0, 0.0),
        ("in", "out", 4.0, 1.0),
        ("out", "home", 0.5, 0.0),
        ("mid", "work", 0.5, 0.0),
    ],
    columns=["from", "to", "minutes", "toll"],
)


def network(edges: pd.DataFrame = EDGES, **columns: object) -> hs.Task:
    """Return the network of all tests."""
    return hs.Task.network(edges, features=["minutes", "toll"], units={"minutes": "per minute"}, **columns)


def log_of(*rows: tuple[str, int, str, str, str]) -> hs.BehaviorLog:
    """Return trips: goal, step, link, link entered, and where that led."""
    table = pd.DataFrame(rows, columns=["goal", "step", "link", "action", "after"])
    return hs.read(table, subject=None, episode=None, state="link", next_state="after", context="goal")


def refusal(error: type[HumansoftError], *args: object, **columns: object) -> str:
    """Return what is said of a network that is refused."""
    with pytest.raises(error) as caught:
        hs.Task.network(*args, **columns)  # type: ignore[arg-type]
    return str(caught.value)


# --- the task ------------------------------------------------------------------------------


def test_goals_share_one_table() -> None:
    task = network()
    assert task.contexts.values == ("home", "work")
    assert (len(task.states), task.features.shape, task.discount) == (10, (5, 3, 2), 1.0)
    assert task.states.values[0] == ("home", "home")
    assert ("work", "mid") in task.states
    assert ("work", "nowhere") not in task.states
    assert task.feature_units == {"minutes": "per minute", "toll": ""}
    assert "2 contexts, 10 states" in repr(task)


def test_turns_into_a_goal_are_for_trips_to_it() -> None:
    policy = hs.plan(network(), {"minutes": -1.0}, planner="entropy")
    assert list(policy.action_distribution(("home", "mid")).index) == ["in", "out"]
    assert list(policy.action_distribution(("work", "mid")).index) == ["in", "out", "work"]


def test_a_goal_on_the_way() -> None:
    task = network(goals=["out", "home"])
    policy = hs.plan(task, {"minutes": -1.0}, planner="kl")
    assert list(policy.action_distribution(("out", "in")).index) == ["mid", "out"]
    assert len(policy.action_distribution(("out", "out"))) == 0
    assert len(policy.action_distribution(("home", "out"))) == 2


def test_where_a_goal_is_out_of_reach_nobody_goes() -> None:
    one_way = pd.concat(
        [EDGES, pd.DataFrame([("in", "lane", 0.1, 0.0), ("lane", "lane", 0.1, 0.0)], columns=EDGES.columns)]
    )
    policy = hs.plan(network(one_way), {"minutes": -1.0}, planner="entropy")
    assert "lane" not in policy.action_distribution(("home", "in")).index
    assert len(policy.action_distribution(("home", "lane"))) == 0


def test_from_a_file(tmp_path: Path) -> None:
    EDGES.to_csv(tmp_path / "edges.csv", index=False)
    assert len(hs.Task.network(tmp_path / "edges.csv", features=["toll"]).states) == 10


def test_bad_edges_are_all_named() -> None:
    message = refusal(
        TaskError,
        EDGES.assign(toll=["a"] * 7, minutes=[1, np.inf, 1, 1, 1, 1, 1]),
        features=["tol", "toll", "minutes"],
        units={"minuts": "s"},
    )
    for part in (
        "there is no column 'tol'. Did you mean 'toll'?",
        "column 'toll' holds 'a', not numbers",
        "column 'minutes' is infinite, first at row 2",
        "there is a unit for 'minuts' but no such feature. Did you mean 'minutes'?",
    ):
        assert part in message
    assert "it has no rows" in refusal(TaskError, EDGES[:0])
    assert "column 'to' is empty or not a number (NaN), first at row 1" in refusal(
        TaskError, EDGES.assign(to=EDGES["to"].where(EDGES["to"] != "mid"))
    )
    assert "1 turns stand twice or more, ('in', 'mid')" in refusal(TaskError, pd.concat([EDGES, EDGES[:1]]))


def test_bad_goals_are_all_named() -> None:
    message = refusal(TaskError, EDGES, goals=["hom", "work", "work"])
    assert "goal 'hom' is no link of the network. Did you mean 'home'?" in message
    assert "goals 'work' stand more than once" in message
    round_trip = EDGES[:2]
    assert "must be told where trips end, goals=" in refusal(TaskError, round_trip)
    assert "there are no goals" in refusal(TaskError, EDGES, goals=[])
    start = EDGES.assign(**{"from": EDGES["from"].replace("in", "gate"), "to": EDGES["to"].replace("in", "exit")})
    assert "no turn leads into the goals 'gate'" in refusal(TaskError, start, goals=["gate"])


# --- the log -------------------------------------------------------------------------------


def test_a_trip_that_fits() -> None:
    log = log_of(("home", 0, "in", "mid", "mid"), ("home", 1, "mid", "out", "out"), ("home", 2, "out", "home", "home"))
    assert hs.check(log, network()).empty


def test_everything_that_a_trip_cannot_do() -> None:
    log = log_of(
        ("home", 0, "in", "mid", "mid"),
        ("home", 1, "mid", "work", "work"),
        ("home", 2, "in", "home", "home"),
        ("home", 3, "in", "moon", "moon"),
        ("home", 4, "md", "out", "out"),
        ("hom", 5, "mid", "out", "out"),
        ("home", 6, "mid", "out", "in"),
    )
    found = hs.check(log, network()).set_index("problem")["message"]
    assert "'work' in state ('home', 'mid'). Available there: 'in', 'out'" in found["unavailable_action"]
    assert "no turn leads from where they are, first row 3" in found["unknown_turn"]
    assert "Turns from there: 'mid', 'out'" in found["unknown_turn"]
    assert "'moon'" in found["unknown_action"]
    assert "'md' on a trip to 'home'. Did you mean 'mid'?" in found["unknown_state"]
    assert "'hom'. Did you mean 'home'?" in found["unknown_context"]
    assert "led to ('home', 'in'), possible are ('home', 'out')" in found["impossible_transition"]
    with pytest.raises(hs.errors.LogError, match="no turn leads from where they are"):
        hs.fit(hs.SoftOptimalModel(network(), planner="entropy"), log)


def test_a_log_without_goals() -> None:
    table = pd.DataFrame({"step": [0], "state": ["in"], "action": ["mid"]})
    log = hs.read(table, subject=None, episode=None)
    assert hs.check(log, network())["problem"].iloc[0] == "context_column"


def test_trips_simulated_and_saved(tmp_path: Path) -> None:
    task = network()
    log = hs.simulate(hs.plan(task, {"minutes": -1.0, "toll": -0.5}, planner="entropy"), episodes=300, seed=1)
    assert hs.check(log, task).query("severity == 'error'").empty
    assert log.terminated.sum() == 300
    fitted = hs.fit(hs.SoftOptimalModel(task, planner="entropy"), log)
    again = hs.load(hs.save(fitted, tmp_path / "run"))
    assert again == fitted
    assert hs.predict(again, log).equals(hs.predict(fitted, log))
    assert len(hs.simulate(again, episodes=20, seed=2)) > 20
    assert again.model.task.contexts == task.contexts


def test_whole_trips_have_a_probability() -> None:
    log = log_of(("home", 0, "in", "out", "out"), ("home", 1, "out", "home", "home"))
    people = hs.plan(network(), {"minutes": -1.0}, {"all": 1.0}, planner="entropy")
    table = hs.episode_log_probs(people, log)
    steps = [people.action_distribution(("home", "in"))["out"], people.action_distribution(("home", "out"))["home"]]
    assert table["log_prob"].tolist() == pytest.approx([float(np.log(steps).sum())])


# --- what is not offered -------------------------------------------------------------------


def test_what_is_not_for_networks() -> None:
    task = network()
    policy = hs.plan(task, {"minutes": -1.0}, planner="entropy")
    log = hs.simulate(policy, episodes=100, seed=1)
    fitted = hs.fit(hs.SoftOptimalModel(task, planner="entropy"), log)
    refused: dict[str, Callable[[], object]] = {
        "planner 'boltzmann' is not offered for networks": lambda: hs.SoftOptimalModel(task, planner="boltzmann"),
        "prior=": lambda: hs.SoftOptimalModel(task, prior=np.ones((5, 3))),
        "leave out solver=": lambda: hs.SoftOptimalModel(task, solver=hs.Newton()),
        "TableReward is not offered": lambda: hs.plan(task, hs.TableReward()),
        "cannot be joined": lambda: hs.Task.union({"a": task}),
        "give the link alone": lambda: hs.block(task, states=[("home", "mid")]),
        "turn ('home', 'mid') blocks nothing: it is not there": lambda: hs.block(task, actions=[("home", "mid")]),
        "turn ('home', 'out') blocks nothing: it is not there. Did you mean ('out', 'home')?": lambda: hs.block(
            task, actions=[("home", "out")], states=["mid"]
        ),
        "link 'gate' blocks nothing: no turn leads there": lambda: hs.block(
            hs.Task.network(pd.concat([EDGES, EDGES[:1].assign(**{"from": "gate"})])), states=["gate", "mid"]
        ),
        "passage ('in', 'home') blocks nothing: no turn leads that way, nor back": lambda: hs.block(
            task, passages=[("in", "home"), ("in", "mid")]
        ),
        "block(states)='mid' is one text where a list is meant": lambda: hs.block(task, states="mid"),
        "actions= is a list of pairs, actions=[(one, other), ...]; 'in' is no pair": lambda: unwrap(hs.block)(
            task, actions=("in", "mid")
        ),
        "('in', 'mid', 'out') is no pair": lambda: unwrap(hs.block)(task, passages=[("in", "mid", "out")]),
        "nothing is blocked: say which states=, passages= or actions=": lambda: hs.block(task),
        "unknown link 'md'. Did you mean 'mid'?": lambda: hs.block(task, passages=[("in", "md")]),
        "a new link of a network has turns into it and out of it": lambda: hs.link(task, "in", "new", "out"),
        "add_turns is for networks": lambda: hs.add_turns(hs.Task.grid("S.G\n", discount=0.9), EDGES),
        "('mid', 'work') are there already: block them first": lambda: hs.add_turns(task, EDGES),
        "columns of the edges": lambda: task.with_features(night=np.zeros((5, 3))),
        "it is no network, they were seen in a network": lambda: hs.counterfactual(
            fitted, hs.Task.grid("S.G\n", discount=1.0)
        ),
        "if nothing has it there, a column of zeros": lambda: hs.counterfactual(
            fitted, hs.Task.network(EDGES, features=["toll"])
        ),
        "unknown trip ('home', 'ou'): unknown link 'ou'. Did you mean 'out'?": lambda: hs.counterfactual(
            fitted, task, initial={("home", "ou"): 1.0}
        ),
        "the baseline 'marginal' is not offered": lambda: hs.score(fitted, log, baselines=["marginal"]),
    }
    for sentence, call in refused.items():
        with pytest.raises((ModelError, TaskError)) as caught:
            call()
        assert sentence in str(caught.value)


# --- what a policy implies -----------------------------------------------------------------


def test_bad_trips_are_all_named() -> None:
    policy = hs.plan(network(), {"minutes": -1.0}, planner="entropy")
    with pytest.raises(ModelError) as caught:
        hs.occupancy(policy, {("hom", "in"): 1.0, ("home", "md"): -2.0, "home": np.nan})
    message = str(caught.value)
    for part in (
        "unknown trip ('hom', 'in'): 'hom' is no goal of the network. Did you mean 'home'?",
        "unknown trip ('home', 'md'): unknown link 'md'. Did you mean 'mid'?",
        "the number of trips of ('home', 'md') is -2.0",
        "unknown trip 'home'. Write it as a pair (goal, link).",
        "the number of trips of 'home' is nan",
    ):
        assert part in message
    asked: dict[str, Callable[[], object]] = {
        "initial={(goal, link): number of trips}": lambda: hs.occupancy(policy),
        "there are no trips": lambda: hs.occupancy(policy, {("home", "in"): 0.0}),
        "goals of the network are 'home', 'work': say which, goal=...": lambda: hs.expected_steps(policy),
        "there are no goals": lambda: hs.expected_steps(policy, []),
        "'hom' is no goal of the network. Did you mean 'home'?": lambda: hs.expected_steps(policy, ["hom"]),
        "the task has no feature 'minuts'. Did you mean 'minutes'?": lambda: hs.expected_steps(
            policy, "home", features=["minuts"]
        ),
        "say where it goes, goal=...": lambda: hs.likely_paths(policy, "in"),
        "unknown link 'md'. Did you mean 'mid'?": lambda: hs.likely_paths(policy, "md", goal="home"),
        "it ends on 'mid', which is no goal: say where the trip goes": lambda: hs.path_log_prob(policy, ("in", "mid")),
        "unknown link 'md' at place 1. Did you mean 'mid'?": lambda: hs.path_log_prob(policy, ("in", "md", "home")),
    }
    for sentence, call in asked.items():
        with pytest.raises(ModelError) as caught:
            call()
        assert sentence in str(caught.value)


def test_nobody_stays_on_a_closed_link_by_trying() -> None:
    with pytest.raises(hs.errors.UsageError, match="on a network nobody stays on a link by trying"):
        hs.block(network(), states=["mid"], how="stay")


def test_goals_are_for_networks() -> None:
    task = hs.Task.grid("S.G\n", discount=0.9)
    policy = hs.plan(task, {"step": -1.0})
    for call in (
        lambda: hs.likely_paths(policy, (0, 0), goal=(0, 2)),
        lambda: hs.path_log_prob(policy, [(0, 0)], goal=(0, 2)),
    ):
        with pytest.raises(hs.errors.UsageError, match="is for networks"):
            call()


# --- pairs of labels -----------------------------------------------------------------------


def test_pairs_are_never_spelled_out() -> None:
    pairs = PairLabels("state", Labels("goal", ("a", "b")), Labels("link", tuple(range(1_000_000))))
    assert len(pairs) == 2_000_000
    assert pairs.encode([("b", 3), ("a", -1), "b", ("b", True), ("c", 1)]).tolist() == [1_000_003, -1, -1, -1, -1]
    assert pairs.decode([1_000_003, -1]) == [("b", 3), None]
    assert pairs.values[-1] == ("b", 999_999)
    assert list(pairs.values[1:3]) == [("a", 1), ("a", 2)]
    assert pairs == PairLabels("state", Labels("goal", ("a", "b")), Labels("link", tuple(range(1_000_000))))
    with pytest.raises(IndexError, match="none at 2000000"):
        pairs.values[2_000_000]
