"""Shapes of the covariance of a person's deviations: derivatives, and what moments say."""

import numpy as np
import pytest
from scipy.optimize import minimize

from humansoft.fit.spreads import MOST_TWISTED, Correlated, Repeated, Separate, Spread

SHAPES = [
    (Separate(3), np.log([0.4, 1.3, 0.9])),
    (Correlated(2), np.r_[np.log([0.4, 1.3]), -0.7]),
    (Repeated(1), np.log([0.4, 1.3])),
    (Repeated(4), np.log([0.7, 0.3])),
]
EDGES = [*SHAPES, (Repeated(2), np.array([9.0, -9.0]))]


@pytest.mark.parametrize(("shape", "spread"), EDGES)
def test_slopes_are_derivatives_of_the_covariance(shape: Spread, spread: np.ndarray) -> None:
    steps = 1e-5 * np.eye(len(spread))
    numeric = [(shape.covariance(spread + step) - shape.covariance(spread - step)) / 2e-5 for step in steps]
    np.testing.assert_allclose(shape.slopes(spread), numeric, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("shape", "spread"), SHAPES)
def test_moments_of_a_spread_give_it_back(shape: Spread, spread: np.ndarray) -> None:
    found = shape.of_moments(shape.covariance(spread))
    np.testing.assert_allclose(shape.covariance(found), shape.covariance(spread), rtol=1e-12)


@pytest.mark.parametrize(("shape", "spread"), SHAPES)
def test_moments_give_the_most_likely_spread(shape: Spread, spread: np.ndarray) -> None:
    root = np.random.default_rng(1).normal(size=(shape.count, shape.count + 2))
    moments = root @ root.T / (shape.count + 2) + 0.3  # the same for all pairs: people are alike in all conditions

    def misfit(x: np.ndarray) -> float:
        covariance = shape.covariance(x)
        return float(np.linalg.slogdet(covariance)[1] + np.trace(np.linalg.solve(covariance, moments)))

    best = minimize(misfit, spread, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000})
    assert misfit(shape.of_moments(moments)) == pytest.approx(best.fun, abs=1e-8)


def test_people_who_are_less_alike_than_by_chance_differ_within_only() -> None:
    between, within = np.exp(Repeated(2).of_moments(np.array([[1.0, -0.5], [-0.5, 2.0]])))
    assert between < 1e-3
    assert within == pytest.approx(np.sqrt(1.5))


def test_a_correlation_stays_below_1() -> None:
    assert Correlated(2).of_moments(np.ones((2, 2)))[2] == pytest.approx(MOST_TWISTED)
    np.linalg.cholesky(Correlated(2).covariance(np.r_[0.0, 0.0, 9.0]))


def test_people_who_do_not_change_at_all_still_have_an_inverse() -> None:
    covariance = Repeated(3).covariance(np.array([12.0, -40.0]))
    assert np.isfinite(np.linalg.inv(covariance)).all()
    np.linalg.cholesky(covariance)


@pytest.mark.parametrize(
    ("shape", "spread"), [(Separate(3), np.log([0.4, 1.3, 0.9])), (Repeated(4), np.log([0.7, 0.3]))]
)
def test_numbers_add_up_to_deviations_that_vary_so(shape: Spread, spread: np.ndarray) -> None:
    sources = shape.sources()
    sizes = np.exp(spread)[sources.sd_of]
    np.testing.assert_allclose((sources.loading.T * sizes**2) @ sources.loading, shape.covariance(spread), rtol=1e-12)
