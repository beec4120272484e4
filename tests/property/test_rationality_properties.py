"""What leaves scale-free measures alone: a common factor of reward and temperature, shaping, an order of people."""

import functools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import humansoft as hs
from tests.oracle.people import known_people
from tests.oracle.worlds import random_world, task_of

seeds = st.integers(0, 10**6)
alphas = st.floats(0.1, 5.0)
planners = st.sampled_from(["kl", "entropy", "boltzmann"])
DISCOUNT = 0.9


@functools.cache
def template() -> hs.Fit:
    """Fit two people in one of the worlds; what they did there does not matter below."""
    return known_people(drawn(0)[0], {"reward": 1.0, "shaping": 0.0}, {"ann": 1.0, "bob": 2.0})


def drawn(seed: int) -> tuple[hs.Task, np.ndarray]:
    """Draw a world that ends, with a reward and a shaping of it by a potential that is 0 at the end."""
    generator = np.random.default_rng(seed)
    world = random_world(generator, 5, 3, ends=True, masked=True)
    reward = np.where(world.available, generator.normal(size=(5, 3)), 0.0)
    potential = np.where(world.acting, generator.normal(size=5), 0.0)
    shaping = np.where(world.available, DISCOUNT * world.transition @ potential - potential[:, None], 0.0)
    return task_of(world, {"reward": reward, "shaping": shaping}, DISCOUNT), potential


def measured(
    task: hs.Task, weights: dict[str, float], temperatures: dict[str, float], planner: str = "kl"
) -> pd.DataFrame:
    fit = known_people(task, weights, temperatures, planner, template=template())
    everywhere = dict.fromkeys(range(4), 0.25)  # the same states, whatever was simulated
    table = hs.rationality(fit, reference=everywhere)
    kept = [name for name in table.columns if not name.endswith(("_low", "_high", "_own", "kind", "boundary"))]
    return table[kept].sort_index().astype(float)


@settings(max_examples=15)
@given(seeds, alphas, st.floats(0.01, 100.0), planners)
@pytest.mark.slow
def test_a_common_factor_of_reward_and_temperature_changes_nothing(
    seed: int, alpha: float, factor: float, planner: str
) -> None:
    task, _ = drawn(seed)
    one = measured(task, {"reward": 1.0, "shaping": 0.0}, {"ann": alpha, "bob": 2 * alpha}, planner)
    scaled = {"ann": factor * alpha, "bob": 2 * factor * alpha}
    other = measured(task, {"reward": factor, "shaping": 0.0}, scaled, planner)
    other["regret_per_decision"] /= factor  # the one measure with a unit
    pd.testing.assert_frame_equal(one, other, rtol=1e-10, atol=1e-10)


@settings(max_examples=15)
@given(seeds, alphas, planners)
@pytest.mark.slow
def test_shaping_changes_nothing(seed: int, alpha: float, planner: str) -> None:
    task, _ = drawn(seed)
    people = {"ann": alpha, "bob": 2 * alpha}
    one = measured(task, {"reward": 1.0, "shaping": 0.0}, people, planner)
    other = measured(task, {"reward": 1.0, "shaping": 1.0}, people, planner)
    pd.testing.assert_frame_equal(one, other, rtol=1e-8, atol=1e-8)


@settings(max_examples=10)
@given(seeds, alphas)
def test_who_errs_less_gains_more_information_bits_and_value(seed: int, alpha: float) -> None:
    """With one reward, less temperature is more of every measure that is monotone in it (the kl planner)."""
    task, _ = drawn(seed)
    table = measured(task, {"reward": 1.0, "shaping": 0.0}, {"ann": alpha, "bob": 3 * alpha})
    assert table.loc["ann", "normalised_value"] >= table.loc["bob", "normalised_value"]
    assert table.loc["ann", "signal_to_noise"] > table.loc["bob", "signal_to_noise"]
    assert table["normalised_value"].between(0, 1).all()
    assert table[["choice_error", "costly_error"]].stack().between(0, 1).all()
    np.testing.assert_allclose(table["normalised_regret"], 1 - table["normalised_value"])
