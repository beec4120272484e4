"""Visits, times and paths against enumeration of all paths, dense algebra, closed forms and simulation."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from tests.oracle.reference import Array, World, path_distribution, weights
from tests.oracle.worlds import random_world, task_of


def planned(seed: int, *, horizon: int | None = None, discount: float = 0.9, size: int = 3) -> tuple[World, hs.Policy]:
    """Draw a world of two actions with an end, and people of two temperatures in it."""
    generator = np.random.default_rng(seed)
    world = random_world(generator, size, 2, ends=True, masked=True)
    reward = np.where(world.available, -generator.random((size, 2)), 0.0)
    task = task_of(world, {"reward": reward}, discount, horizon)
    return world, hs.plan(task, {"reward": 1.0}, temperature={"ann": 0.3, "bob": 2.0})


def probabilities(policy: hs.Policy, subject: str, time: int = 0) -> Array:
    table = [policy.action_distribution(s, subject, time).to_numpy() for s in policy.task.states.values]
    found: Array = np.nan_to_num(np.array(table))
    return found


def dense(world: World, chosen: Array) -> Array:
    kernel: Array = np.einsum("sa,san->sn", chosen, world.transition)
    return kernel


def every_path(world: World, policy: hs.Policy, subject: str, start: int, length: int) -> Iterator[tuple[Any, float]]:
    """Yield each sequence of (state, action, next state) that ends or has ``length`` decisions, and its probability."""
    tables = [probabilities(policy, subject, t) for t in range(length)]
    for choice in itertools.product(range(2), range(len(world.available)), repeat=length):
        at, probability = start, 1.0
        path: list[Any] = [start]
        for t in range(length):
            action, following = choice[2 * t], choice[2 * t + 1]
            if not world.available[at].any():  # ended: count the path once, with the first of all continuations
                probability *= float(action == 0 and following == 0)
                continue
            probability *= tables[t][at, action] * world.transition[at, action, following]
            path += [f"a{action}", following]
            at = following
        if probability > 0:
            yield tuple(path), probability


def visits_of(policy: hs.Policy, subject: str, **options: Any) -> Array:  # noqa: ANN401
    table = hs.occupancy(policy, {0: 1.0}, **options)
    return table.loc[table["subject"] == subject, "visits"].to_numpy()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("discounted", [True, False])
def test_visits_by_time_are_those_of_all_paths(seed: int, discounted: bool) -> None:
    world, policy = planned(seed, horizon=3)
    expected = np.zeros((4, 3))
    for path, probability in every_path(world, policy, "bob", 0, 3):
        for time, state in enumerate(path[::2]):
            if time < 3 or not world.available[state].any():
                expected[time, state] += probability * (0.9**time if discounted else 1.0)
    found = visits_of(policy, "bob", by_time=True, discounted=discounted)
    np.testing.assert_allclose(found.reshape(4, 3), expected, atol=1e-14)
    np.testing.assert_allclose(visits_of(policy, "bob", discounted=discounted), expected.sum(axis=0), atol=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_decisions_by_time_are_those_of_all_paths(seed: int) -> None:
    world, policy = planned(seed, horizon=3)
    expected = np.zeros((4, 3, 2))
    for path, probability in every_path(world, policy, "ann", 0, 3):
        for time, (state, action) in enumerate(zip(path[::2], path[1::2], strict=False)):
            expected[time, state, int(action[1])] += probability
    table = hs.occupancy(policy, {0: 1.0}, over="state_action", by_time=True, discounted=False).query(
        "subject == 'ann'"
    )
    where = table["time"], table["state"].astype(int), table["action"].str[1].astype(int)
    np.testing.assert_allclose(table["visits"], expected[where], atol=1e-14)
    assert table["visits"].sum() == pytest.approx(expected.sum(), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("discount", [0.9, 1.0])
def test_stationary_visits_solve_the_flow_equations(seed: int, discount: float) -> None:
    world, policy = planned(seed, discount=discount, size=6)
    for subject, discounted in itertools.product(("ann", "bob"), (True, False)):
        kernel = dense(world, probabilities(policy, subject))
        weight = discount if discounted else 1.0
        expected = np.linalg.inv(np.eye(6) - weight * kernel)[0]
        np.testing.assert_allclose(visits_of(policy, subject, discounted=discounted), expected, rtol=1e-10)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("discount", [0.5, 1.0])
def test_times_to_the_end_do_not_know_the_discount_of_the_plan(seed: int, discount: float) -> None:
    world, policy = planned(seed, discount=discount, size=6)
    table = hs.expected_steps(policy).query("subject == 'bob'")
    kernel = dense(world, probabilities(policy, "bob"))[:-1, :-1]
    expected = np.linalg.solve(np.eye(5) - kernel, np.ones(5))
    np.testing.assert_allclose(table["steps"], [*expected, 0.0], rtol=1e-10)
    np.testing.assert_allclose(table["probability"], 1.0, rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_times_within_a_horizon_are_those_of_all_paths(seed: int) -> None:
    world, policy = planned(seed, horizon=3)
    table = hs.expected_steps(policy).query("subject == 'ann'")
    for start in (0, 1):
        arriving = [
            (probability, len(path) // 2)
            for path, probability in every_path(world, policy, "ann", start, 3)
            if path[-1] == 2
        ]
        total = sum(p for p, _ in arriving)
        assert table["probability"].iloc[start] == pytest.approx(total, abs=1e-13)
        assert table["steps"].iloc[start] == pytest.approx(sum(p * n for p, n in arriving) / total, rel=1e-12)


def drunkard(size: int) -> hs.Policy:
    """A walk on a line that ends at both ends and goes either way with equal chance."""
    rows = [(k, way, k + step) for k in range(1, size) for way, step in (("left", -1), ("right", 1))]
    table = pd.DataFrame(rows, columns=["state", "action", "next_state"])
    task = hs.Task.table(table, discount=1.0, initial={3: 1.0}).with_features(step=np.ones((size + 1, 2)))
    return hs.plan(task, {}, temperature=1.0)


def test_the_gamblers_ruin() -> None:
    """From k of n: k (n - k) steps to an end, k / n to win, (n^2 - k^2) / 3 steps if one does (Feller, XIV)."""
    n, k = 8, np.arange(9)
    policy = drunkard(n)
    table = hs.expected_steps(policy)
    np.testing.assert_allclose(table["steps"], k * (n - k), rtol=1e-12)
    to_win = hs.expected_steps(policy, goal=n)
    np.testing.assert_allclose(to_win["probability"], k / n, atol=1e-14)
    assert np.isnan(to_win["steps"].iloc[0])
    np.testing.assert_allclose(to_win["steps"].iloc[1:], (n**2 - k[1:] ** 2) / 3, rtol=1e-12)
    both = hs.expected_steps(policy, goal=[0, n])
    pd.testing.assert_frame_equal(both, table)
    visits = hs.occupancy(policy)["visits"]
    expected = [2 * min(3, j) * (n - max(3, j)) / n for j in range(1, n)]  # Green's function of the walk
    np.testing.assert_allclose(visits, [1 - 3 / n, *expected, 3 / n], rtol=1e-12)


def test_visits_and_times_are_those_of_simulated_people() -> None:
    task = hs.Task.grid("S.L\n.#.\n..G", discount=0.9, legend={"L": "lava"}, slip=0.2)
    policy = hs.plan(task, {"step": -1.0, "lava": -2.0}, temperature=1.0)
    episodes = 4000
    frame = hs.simulate(policy, episodes, seed=5, max_steps=10_000).to_dataframe()
    lengths = frame.groupby("episode").size()
    expected = hs.expected_steps(policy).set_index("state")["steps"].iloc[0]
    assert abs(lengths.mean() - expected) < 4 * lengths.std() / np.sqrt(episodes)
    table = hs.occupancy(policy, over="state_action", discounted=False)
    seen = frame.groupby(["state_0", "state_1", "action"]).size() / episodes
    for state, action, visits in table[["state", "action", "visits"]].itertuples(index=False):
        share = float(seen.get((*state, action), 0.0))
        assert abs(share - visits) < 0.1 * visits + 0.02


# paths


@pytest.mark.parametrize("seed", range(4))
def test_likely_paths_are_the_most_probable_of_all(seed: int) -> None:
    world, policy = planned(seed, horizon=3)
    expected = sorted(every_path(world, policy, "bob", 0, 3), key=lambda entry: -entry[1])
    table = hs.likely_paths(policy, 0, "bob", most=10_000)
    assert len(table) == len(expected)
    assert table["cumulative"].iloc[-1] == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(table["probability"], [p for _, p in expected], rtol=1e-12)
    assert {path: round(p, 12) for path, p in zip(table["path"], table["probability"], strict=True)} == {
        path: round(p, 12) for path, p in expected
    }
    for path, probability in zip(table["path"], table["probability"], strict=True):
        assert np.exp(hs.path_log_prob(policy, path, "bob")) == pytest.approx(probability, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_a_search_without_limit_finds_what_a_long_one_does(seed: int) -> None:
    _, policy = planned(seed, size=4)
    free = hs.likely_paths(policy, 0, "ann", most=15)
    cut = hs.likely_paths(policy, 0, "ann", most=4000, max_steps=7)
    short = free[free["num_decisions"] < 7]
    ended = cut[cut["ended"]].head(len(short))
    assert len(short) >= 5
    assert bool(free["ended"].all())
    np.testing.assert_allclose(np.sort(short["probability"]), np.sort(ended["probability"][: len(short)]), rtol=1e-10)
    assert bool((np.diff(free["probability"]) <= 1e-15).all())


def test_paths_of_deterministic_worlds_weigh_their_reward() -> None:
    """Undiscounted and deterministic, p(path) is proportional to the reference measure times exp(reward / alpha)."""
    generator = np.random.default_rng(3)
    world = random_world(generator, 4, 2, successors=1, ends=True)
    reward = np.where(world.available, -generator.random((4, 2)), 0.0)
    task = task_of(world, {"reward": reward}, 1.0, horizon=4)
    policy = hs.plan(task, {"reward": 1.0}, temperature=0.7)
    paths, mass = path_distribution(world, reward, 0.7, weights(world, "kl"), 0, 4)
    expected = {
        tuple(label for s, a in path for label in (s, f"a{a}")): share
        for path, share in zip(paths, mass / mass.sum(), strict=True)
    }
    table = hs.likely_paths(policy, 0, most=1000)
    assert len(table) == len(expected)
    for path, probability in zip(table["path"], table["probability"], strict=True):
        assert probability == pytest.approx(expected[path[:-1]], rel=1e-10)


def test_episodes_of_a_log_have_the_probability_of_their_paths() -> None:
    task = hs.Task.grid("S.L\n.#.\n..G", discount=0.9, legend={"L": "lava"}, slip=0.2)
    policy = hs.plan(task, {"step": -1.0, "lava": -2.0}, temperature={"ann": 0.5, "bob": 2.0})
    log = hs.simulate(policy, 6, seed=2, max_steps=12)
    for transitions in (True, False):
        table = hs.episode_log_probs(policy, log, transitions=transitions)
        frame = log.to_dataframe()
        for episode, rows in frame.groupby("episode"):
            states = list(zip(rows["state_0"], rows["state_1"], strict=True))
            last = tuple(rows[["next_state_0", "next_state_1"]].iloc[-1])
            path = [label for pair in zip(states, rows["action"], strict=True) for label in pair] + [last]
            row = table[table["episode"] == episode].iloc[0]
            alone = hs.path_log_prob(policy, path, row["subject"], transitions=transitions)
            assert row["log_prob"] == pytest.approx(alone, rel=1e-12)
            assert (row["num_decisions"], row["num_unknown"]) == (len(rows), 0)


@pytest.mark.parametrize("options", [{"discount": 0.9, "horizon": 3}, {"discount": 0.9}])
def test_sums_of_features_on_the_ways_that_arrive(options: dict[str, Any]) -> None:
    """Against all paths, one by one; with a horizon only some of them arrive."""
    task = hs.Task.grid("S.\nLG", slip=0.2 if "horizon" in options else 0.0, legend={"L": "lava"}, **options)
    policy = hs.plan(task, {"step": -1.0, "lava": 0.5}, temperature=0.15)
    paths = hs.likely_paths(policy, (0, 0), most=1_500)
    paths = paths[paths["ended"]]
    lava, names = task.features[..., task.feature_names.index("lava")].numpy(), paths["path"]
    brought = [sum(lava[task.states.encode(path[:-1:2]), task.actions.encode(path[1::2])]) for path in names]
    arriving = paths["probability"].sum()
    found = hs.expected_steps(policy, features=["lava", "step"]).set_index("state").loc[[(0, 0)]].iloc[0]
    assert found["total_lava"] == pytest.approx(paths["probability"] @ brought / arriving, rel=1e-6)
    assert found["total_step"] == pytest.approx(found["steps"], rel=1e-12)
    assert found["probability"] == pytest.approx(arriving, rel=1e-6)
