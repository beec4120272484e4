"""Two ways to one maximum: nested pseudo-likelihood, and the package's nested fixed point."""

from itertools import islice

import numpy as np
import pytest

import humansoft as hs
from analysis.npl import decision_counts, logit, nested_pseudo_likelihood, smoothed_frequencies
from tests.oracle.worlds import random_world, task_of


def people(seed: int, *, ends: bool, masked: bool, discount: float) -> tuple[hs.Task, hs.BehaviorLog]:
    """Draw a world with two features, and one person who decides in it often."""
    generator = np.random.default_rng(seed)
    world = random_world(generator, 6, 3, ends=ends, masked=masked)
    features = {name: generator.normal(size=world.available.shape) for name in ("food", "effort")}
    task = task_of(world, features, discount)
    policy = hs.plan(task, {"food": 0.8, "effort": -0.5}, temperature=1.0, planner="entropy")
    return task, hs.simulate(policy, episodes=60, seed=seed, max_steps=20)


@pytest.mark.parametrize(
    ("ends", "masked", "discount"),
    [(False, False, 0.9), (True, True, 0.95), (True, False, 1.0), (False, True, 0.0)],
)
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.slow
def test_nested_pseudo_likelihood_ends_where_nested_fixed_point_does(
    seed: int, ends: bool, masked: bool, discount: float
) -> None:
    task, log = people(seed, ends=ends, masked=masked, discount=discount)
    model = hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), planner="entropy")
    fit = hs.fit(model, log)
    counts = decision_counts(task, log)
    start = smoothed_frequencies(counts, np.ones((len(counts), 1)), task.available.numpy())
    rounds = list(islice(nested_pseudo_likelihood(task, counts, start), 60))
    expected = [fit.weight("food"), fit.weight("effort")]
    np.testing.assert_allclose(rounds[-1].weights, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(rounds[-1].pseudo_log_likelihood, fit.log_likelihood, rtol=1e-10)
    if discount > 0:  # the first round is another estimator; myopic people have only one
        assert np.abs(rounds[0].weights - expected).max() > 1e-4
    else:
        np.testing.assert_allclose(rounds[0].weights, expected, rtol=0, atol=1e-6)


def test_smoothing_by_a_constant_gives_everybodys_shares() -> None:
    counts = np.array([[3.0, 1.0, 0.0], [5.0, 2.0, 9.0], [0.0, 0.0, 0.0]])
    smoothed = smoothed_frequencies(counts, np.ones((3, 1)), np.ones(counts.shape, dtype=bool))
    np.testing.assert_allclose(smoothed, np.tile(counts.sum(axis=0) / counts.sum(), (3, 1)), atol=1e-9)


def test_weights_that_data_cannot_tell_apart_are_an_error() -> None:
    twice = np.array([[[1.0, 1.0], [0.0, 0.0]]])
    with pytest.raises(np.linalg.LinAlgError):
        logit(np.array([[7.0, 3.0]]), twice, np.zeros((1, 2)), np.ones((1, 2), dtype=bool))
