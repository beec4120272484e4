"""What a policy in a network implies, against the same network spelled out goal by goal, and against enumeration."""

import itertools
from collections.abc import Hashable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import humansoft as hs
from humansoft.planners import Planner
from tests.oracle.networks import FEATURES, HOME, SHOP, by_goals, spelled_out, streets

GOALS = ([HOME, SHOP], [3, HOME], [5, 2, SHOP, HOME], [4, 1])
REWARD = {"time": -1.5, "toll": -1.0}
PEOPLE = {"ann": 0.8, "bob": 1.2}
FAR = {"time": -2000.0, "toll": -1500.0}
"""Costs beyond the range of desirabilities."""


def two_policies(
    goals: list[int], planner: Planner, reward: dict[str, float] | None = None, seed: int = 1
) -> tuple[hs.Policy, hs.Policy]:
    """Return the same people in a network, and in the same network spelled out."""
    edges = streets(seed)
    tasks = by_goals(edges, goals), spelled_out(edges, goals)
    one, other = (hs.plan(task, reward or REWARD, PEOPLE, planner) for task in tasks)
    return one, other


def by_state(table: pd.DataFrame, column: str, *more: str) -> "pd.Series[float]":
    """Return a column of a table of ours by subject and state, as the other has it."""
    state = list(zip(table["goal"], table["link"], strict=True))
    return table.assign(state=state).set_index(["subject", "state", *more])[column]


@pytest.mark.parametrize("planner", ["entropy", "kl"])
@pytest.mark.parametrize("goals", GOALS)
@pytest.mark.parametrize("reward", [REWARD, FAR])
def test_link_flows(planner: Planner, goals: list[int], reward: dict[str, float]) -> None:
    ours, theirs = two_policies(goals, planner, reward)
    trips = {(goals[0], 0): 0.2, (goals[1], 6): 0.3, (goals[1], 0): 0.5}
    found = by_state(hs.occupancy(ours, trips, least_share=0.0), "visits")
    wanted = hs.occupancy(theirs, trips, discounted=False).set_index(["subject", "state"])["visits"]
    np.testing.assert_allclose(found, wanted[found.index], rtol=1e-9)
    assert wanted.drop(found.index).sum() < 1e-12
    assert set(hs.occupancy(ours, trips)["goal"]) == set(goals[:2])
    found = by_state(hs.occupancy(ours, trips, over="state_action", least_share=0.0), "visits", "action")
    actions = hs.occupancy(theirs, trips, over="state_action", discounted=False)
    wanted = actions.set_index(["subject", "state", "action"])["visits"]
    np.testing.assert_allclose(found, wanted[found.index], rtol=1e-9)
    assert wanted.drop(found.index).sum() < 1e-12


@pytest.mark.parametrize("planner", ["entropy", "kl"])
@pytest.mark.parametrize("goals", GOALS)
@pytest.mark.parametrize("reward", [REWARD, FAR])
def test_steps_and_sums_of_features(planner: Planner, goals: list[int], reward: dict[str, float]) -> None:
    ours, theirs = two_policies(goals, planner, reward)
    found = hs.expected_steps(ours, goals[:2], features=FEATURES)
    ends = found["link"].isin({HOME, SHOP} & set(goals)) & (found["link"] != found["goal"])
    assert found.loc[ends, "probability"].eq(0.0).all()  # no turn leaves these goals
    found = found[~ends]
    wanted = hs.expected_steps(theirs, features=FEATURES).set_index(["subject", "state"])
    for column in ("probability", "steps", "total_time", "total_toll"):
        own = by_state(found, column)
        np.testing.assert_allclose(own, wanted.loc[own.index, column], rtol=1e-9, atol=1e-12)
    assert set(found["goal"]) == set(goals[:2])
    assert len(found) == len(wanted[[state[0] in goals[:2] for _, state in wanted.index]])


@pytest.mark.parametrize("goals", GOALS)
@pytest.mark.parametrize("reward", [REWARD, FAR])
def test_most_probable_routes(goals: list[int], reward: dict[str, float]) -> None:
    ours, theirs = two_policies(goals, "kl", reward)
    for goal, subject in itertools.product(goals[:2], PEOPLE):
        found = hs.likely_paths(ours, 0, subject, goal=goal, most=8)
        wanted = hs.likely_paths(theirs, (goal, 0), subject, most=8)
        np.testing.assert_allclose(found["probability"], wanted["probability"], rtol=1e-8)
        paths = dict(zip(wanted["path"], wanted["probability"], strict=True))
        for route, probability in zip(found["path"], found["probability"], strict=True):
            states = [(goal, link) for link in route]
            path: tuple[Hashable, ...] = tuple(label for pair in zip(states, route[1:], strict=False) for label in pair)
            path = (*path, states[-1])
            if path in paths:
                assert probability == pytest.approx(paths[path], rel=1e-8)
            ours_log, theirs_log = hs.path_log_prob(ours, route, subject), hs.path_log_prob(theirs, path, subject)
            assert ours_log == pytest.approx(theirs_log, rel=1e-8)
            assert np.exp(ours_log) == pytest.approx(probability, rel=1e-8)


PAIRS = [("a", "b"), ("a", "c"), ("b", "c"), ("b", "d"), ("c", "d"), ("d", "x"), ("c", "y"), ("d", "y")]


def routes(link: str, goal: str) -> list[tuple[str, ...]]:
    """Return all ways through a network without loops."""
    if link == goal:
        return [(goal,)]
    onward = [end for start, end in PAIRS if start == link and (end == goal or end not in "xy")]
    return [(link, *rest) for end in onward for rest in routes(end, goal)]


def test_enumerated_routes() -> None:
    """Probabilities, flows, lengths and times by plain sums over all routes."""
    edges = pd.DataFrame(PAIRS, columns=["from", "to"]).assign(time=[0.3, 1.1, 0.2, 0.9, 0.5, 0.4, 1.7, 0.1], toll=0.5)
    cost = dict(zip(PAIRS, edges["time"], strict=True))
    policy = hs.plan(by_goals(edges), {"time": -2.0}, 1.3, "entropy")
    trips = {("x", "a"): 30.0, ("y", "a"): 10.0, ("y", "c"): 2.0}
    passed: dict[tuple[str, str], float] = {}
    for (goal, start), number in trips.items():
        known = routes(start, goal)
        lengths = np.array([sum(cost[turn] for turn in itertools.pairwise(route)) for route in known])
        shares = np.exp(-2.0 * lengths / 1.3) / np.exp(-2.0 * lengths / 1.3).sum()
        for route, share in zip(known, shares, strict=True):
            for link in route:
                passed[goal, link] = passed.get((goal, link), 0.0) + number * share
            assert hs.path_log_prob(policy, route) == pytest.approx(np.log(share))
        found = hs.likely_paths(policy, start, goal=goal, most=100)
        assert sorted(found["path"]) == sorted(known)
        assert found["probability"].tolist() == pytest.approx(sorted(shares, reverse=True))
        assert found["cumulative"].iloc[-1] == pytest.approx(1.0)
        steps = hs.expected_steps(policy, goal, features=["time"]).set_index("link").loc[start]
        assert steps["steps"] == pytest.approx(shares @ [len(route) - 1 for route in known])
        assert steps["total_time"] == pytest.approx(shares @ lengths)
    flows = hs.occupancy(policy, trips).set_index(["goal", "link"])["visits"]
    assert flows.to_dict() == pytest.approx(passed)


def test_parts_of_routes_and_what_cannot_be() -> None:
    policy = hs.plan(by_goals(streets(1), [HOME, 3]), REWARD, 1.0)
    first = policy.action_distribution((HOME, 0))
    for link, probability in first.items():
        assert hs.path_log_prob(policy, (0, link), goal=HOME) == pytest.approx(np.log(probability))
    assert hs.path_log_prob(policy, (0, 0), goal=HOME) == -np.inf
    assert hs.path_log_prob(policy, (3, 4), goal=3) == -np.inf  # the trip is over
    assert hs.path_log_prob(policy, (0,), goal=HOME) == 0.0


def test_cut_off_routes() -> None:
    policy = hs.plan(by_goals(streets(1), [HOME]), REWARD, 1.0)
    whole = hs.likely_paths(policy, 2, goal=HOME, max_steps=2, most=100)
    assert whole["probability"].sum() == pytest.approx(1.0)
    assert set(whole["num_decisions"]) <= {1, 2}


@pytest.mark.slow
def test_people_of_a_fit_are_asked_of_few_goals() -> None:
    edges, goals = streets(2), [3, HOME, SHOP]
    task = by_goals(edges, goals)
    people = hs.plan(task, REWARD, PEOPLE)
    model = hs.SoftOptimalModel(task, hs.LinearReward(), hs.PerSubject())
    fitted = hs.fit(model, hs.simulate(people, episodes=40, seed=1))
    trips = {(HOME, 0): 1.0}
    everywhere = fitted.policy
    pd.testing.assert_frame_equal(hs.occupancy(fitted, trips), hs.occupancy(everywhere, trips))
    few = fitted.policy_toward([HOME])
    assert len(few.expansion) == 2 * len(task.goals.links)  # type: ignore[union-attr]
    with pytest.raises(hs.errors.ModelError, match=f"does not say what people do on trips to {SHOP}"):
        hs.occupancy(few, {(SHOP, 0): 1.0})
    planned = hs.plan(
        task, {name: fitted.weight(name) for name in FEATURES}, fitted.temperatures()["temperature"].to_dict()
    )
    steps = hs.expected_steps(fitted, HOME)
    pd.testing.assert_frame_equal(steps, hs.expected_steps(planned, HOME), rtol=1e-9)
    for subject in PEOPLE:
        ours, theirs = (hs.likely_paths(who, 0, subject, goal=HOME, most=3) for who in (fitted, planned))
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9)


def test_where_no_way_leads_to_a_goal() -> None:
    one_way = [(0, 1), (1, HOME), (0, 2), (2, SHOP), (2, 3), (3, 2)]
    edges = pd.DataFrame(one_way, columns=["from", "to"]).assign(time=1.0, toll=0.0)
    policy = hs.plan(by_goals(edges), {"time": -1.0}, planner="entropy")
    steps = hs.expected_steps(policy, HOME).set_index("link")
    assert steps.loc[2, ["probability", "steps"]].tolist() == pytest.approx([0.0, np.nan], nan_ok=True)
    assert steps.loc[0, ["probability", "steps"]].tolist() == [1.0, 2.0]
    assert steps.loc[SHOP, ["probability", "steps"]].tolist() == pytest.approx([0.0, np.nan], nan_ok=True)
    with pytest.raises(
        hs.errors.ModelError, match=f"these trips cannot arrive, leave them out: no way leads from 2 to {HOME}"
    ):
        hs.occupancy(policy, {(HOME, 2): 1.0, (SHOP, 0): 1.0})
    with pytest.raises(hs.errors.ModelError, match=f"no way leads from {SHOP} to {HOME}: no turn leaves {SHOP}"):
        hs.occupancy(policy, {(HOME, SHOP): 1.0})
    for cut in (None, 3):
        with pytest.raises(hs.errors.SolveError, match=f"no way leads from 3 to {HOME}"):
            hs.likely_paths(policy, 3, goal=HOME, max_steps=cut)
    assert hs.path_log_prob(policy, (3, 2), goal=HOME) == -np.inf


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(3, 9),
    number=st.integers(1, 3),
    planner=st.sampled_from(["entropy", "kl"]),
    cost=st.sampled_from([0.0, 3.0, 900.0]),
)
@pytest.mark.slow
def test_any_network(seed: int, size: int, number: int, planner: Planner, cost: float) -> None:
    """Networks with dead ends and goals on the way or out of reach, against dense algebra with what people choose."""
    rng = np.random.default_rng(seed)
    pairs = sorted({(int(a), int(b)) for a, b in rng.integers(0, size, (2 * size, 2)) if a != b})
    edges = pd.DataFrame(pairs, columns=["from", "to"])
    edges = edges.assign(time=rng.uniform(0.5, 1.5, len(pairs)), toll=0.0)
    ends = sorted(set(edges["to"]))
    goals = [int(goal) for goal in rng.permutation(ends)[:number]]
    cost = 3.0 if planner == "entropy" and cost == 0.0 else cost  # else nobody would ever arrive
    policy = hs.plan(by_goals(edges, goals), {"time": -cost}, 0.7, planner)
    steps = hs.expected_steps(policy, goals, features=["time"]).set_index(["goal", "link"])
    trips = {label: rng.uniform(0.5, 2.0) for label in steps.index[steps["probability"] == 1]}
    links = hs.occupancy(policy, trips, least_share=0.0).set_index(["goal", "link"])["visits"]
    time = edges.set_index(["from", "to"])["time"]
    for goal in goals:
        chain, spent = np.zeros((size, size)), np.zeros(size)
        for link in {*edges["from"], *edges["to"]}:
            for entered, probability in policy.action_distribution((goal, link)).items():
                chain[link, entered] = probability
                spent[link] += probability * time[link, entered]
        begun = np.array([trips.get((goal, link), 0.0) for link in range(size)])
        visits = np.linalg.solve(np.eye(size) - chain.T, begun)
        found = np.array([links.get((goal, link), 0.0) for link in range(size)])
        np.testing.assert_allclose(found, visits, rtol=1e-8, atol=1e-12)
        for column, gain in (("steps", chain.sum(axis=1)), ("total_time", spent)):
            totals = np.linalg.solve(np.eye(size) - chain, gain)
            for link in np.flatnonzero(begun):
                assert steps.loc[(goal, link), column] == pytest.approx(totals[link], rel=1e-8)
