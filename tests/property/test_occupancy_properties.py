"""What holds for visits, times and paths of any policy in any world."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import humansoft as hs
from tests.oracle.reference import World
from tests.oracle.worlds import random_world, task_of

seeds = st.integers(0, 10**6)
sizes = st.integers(3, 7)
alphas = st.floats(0.05, 20.0)


def planned(seed: int, size: int, alpha: float, discount: float, *, ends: bool) -> tuple[World, hs.Policy]:
    generator = np.random.default_rng(seed)
    world = random_world(generator, size, 3, ends=ends, masked=True)
    reward = np.where(world.available, generator.normal(size=(size, 3)), 0.0)
    task = task_of(world, {"reward": reward - 2 * world.available}, discount)
    return world, hs.plan(task, {"reward": 1.0}, temperature=alpha)


@settings(max_examples=15)
@given(seeds, sizes, alphas, st.floats(0.1, 0.99))
def test_visits_are_a_flow(seed: int, size: int, alpha: float, discount: float) -> None:
    world, policy = planned(seed, size, alpha, discount, ends=False)
    start = dict(enumerate(np.random.default_rng(seed).dirichlet(np.ones(size))))
    table = hs.occupancy(policy, start, over="state_action")
    flow = np.zeros((size, 3))
    flow[table["state"].astype(int), table["action"].str[1].astype(int)] = table["visits"]
    assert flow.sum() == pytest.approx(1 / (1 - discount), rel=1e-9)
    inflow = np.array(list(start.values())) + discount * np.einsum("sa,san->n", flow, world.transition)
    np.testing.assert_allclose(flow.sum(axis=1), inflow, atol=1e-9)
    assert (flow[~world.available] == 0).all()


@settings(max_examples=15)
@given(seeds, sizes, alphas, st.sampled_from([0.5, 0.95, 1.0]))
def test_decisions_until_the_end_are_counted_twice(seed: int, size: int, alpha: float, discount: float) -> None:
    """Undiscounted visits from s sum to the expected steps from s, and end with the probability of an end."""
    world, policy = planned(seed, size, alpha, discount, ends=True)
    steps = hs.expected_steps(policy).set_index("state")
    for start in range(size - 1):
        visits = hs.occupancy(policy, {start: 1.0}, discounted=False).set_index("state")["visits"]
        assert visits[world.acting].sum() == pytest.approx(steps["steps"][start], rel=1e-9)
        assert visits[~world.acting].sum() == pytest.approx(steps["probability"][start], rel=1e-9)


@settings(max_examples=15)
@given(seeds, sizes, alphas)
def test_start_distributions_mix(seed: int, size: int, alpha: float) -> None:
    _, policy = planned(seed, size, alpha, 0.9, ends=True)
    one, other = hs.occupancy(policy, {0: 1.0}), hs.occupancy(policy, {1: 1.0})
    mixed = hs.occupancy(policy, {0: 0.3, 1: 0.7})
    np.testing.assert_allclose(mixed["visits"], 0.3 * one["visits"] + 0.7 * other["visits"], atol=1e-12)


@settings(max_examples=10)
@given(seeds, st.integers(3, 5), alphas, st.integers(1, 4))
def test_all_paths_together_are_certain(seed: int, size: int, alpha: float, max_steps: int) -> None:
    _, policy = planned(seed, size, alpha, 0.9, ends=True)
    table = hs.likely_paths(policy, 0, most=10**6, max_steps=max_steps)
    assert table["probability"].sum() == pytest.approx(1.0, abs=1e-9)
    assert table["path"].is_unique
    assert bool((np.diff(table["probability"]) <= 1e-12).all())
    few = hs.likely_paths(policy, 0, most=3, max_steps=max_steps)
    pd.testing.assert_frame_equal(few, table.head(3))
    ended = table.loc[table["ended"], "probability"].sum()
    timed = hs.expected_steps(policy).set_index("state")["probability"][0]
    assert ended <= timed + 1e-9
