"""Small samples of people against a linear mixed model in dense matrices, and against t-tests."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.linalg import block_diag
from scipy.optimize import minimize
from scipy.stats import chi2, ttest_ind, ttest_rel

import humansoft as hs
from analysis.replications.small_populations import choice_task, log_of
from humansoft.fit.abstract_profiles import Profiles, Scores
from humansoft.fit.gridded import GridLikelihood
from humansoft.fit.hierarchical import SMALLEST_SD
from humansoft.fit.mixed import Mixed
from humansoft.fit.people_posterior import PeoplePosterior
from humansoft.fit.population_fit import population_maximum, population_problem
from humansoft.fit.population_table import uncertainty
from humansoft.fit.satterthwaite import degrees_of_freedom
from humansoft.fit.spreads import Repeated, Separate
from humansoft.fit.working_model import WorkingModel
from humansoft.parameters import Parameter

Real = npt.NDArray[np.float64]


@dataclass(eq=False)
class Measured(Profiles):
    """People whose own parameters are measured as y - shift * what they share: a linear mixed model.

    Attributes:
        y: [B, K] measurements.
        variance: [B, K] of their errors.
        shift: [B, K].
    """

    y: Real
    variance: Real
    shift: Real

    def _off(self, shared: Real, own: Real) -> Real:
        found: Real = own - (self.y - self.shift * shared[0])[:, None]
        return found

    def value(self, shared: Real, own: Real) -> Real:
        found: Real = -0.5 * (self._off(shared, own) ** 2 / self.variance[:, None]).sum(axis=2)
        return found

    def scores(self, shared: Real, own: Real) -> Scores:
        slope = -self._off(shared, own) / self.variance[:, None]
        return Scores((slope * self.shift[:, None]).sum(axis=2, keepdims=True), slope)

    def curvature(self, shared: Real, own: Real) -> Real:
        found: Real = -np.eye(own.shape[2]) / self.variance[:, None, None, :] * np.ones((*own.shape[:2], 1, 1))
        return found


@dataclass(frozen=True)
class Study:
    """A linear mixed model: measurements, and dense matrices of all of them.

    Attributes:
        people: what was measured.
        mixed: the population.
        terms: [N, q] design of all that is no spread.
        ways: [V, N, N] how each variance adds to the covariance.
    """

    people: Measured
    mixed: Mixed
    terms: Real
    ways: Real

    def covariance(self, variances: Real) -> Real:
        found: Real = np.einsum("v,vnm->nm", variances, self.ways) + np.diag(self.people.variance.ravel())
        return found

    def least_squares(self, variances: Real) -> tuple[Real, Real]:
        """Return estimates [q] and their covariance [q, q] where variances are known."""
        weighted = np.linalg.solve(self.covariance(variances), self.terms)
        known = np.linalg.inv(self.terms.T @ weighted)
        return known @ weighted.T @ self.people.y.ravel(), known

    def best(self, restricted: bool) -> Real:
        """Return the variances [V] that maximise the likelihood, or the restricted one."""

        def cost(logs: Real) -> float:
            inside, (found, known) = self.covariance(np.exp(logs)), self.least_squares(np.exp(logs))
            off = self.people.y.ravel() - self.terms @ found
            size = np.linalg.slogdet(inside)[1] - restricted * np.linalg.slogdet(known)[1]
            return float(size + off @ np.linalg.solve(inside, off))

        start = np.full(len(self.ways), -1.0)
        return np.exp(minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).x)

    def freedom(self, contrast: Real, variances: Real) -> float:
        """Return Satterthwaite's degrees of freedom of a contrast of what is no spread [q]."""
        inside, step = np.linalg.inv(self.covariance(variances)), 1e-5

        def variance(at: Real) -> float:
            return float(contrast @ self.least_squares(at)[1] @ contrast)

        left = inside - inside @ self.terms @ self.least_squares(variances)[1] @ self.terms.T @ inside
        both = [[0.5 * np.trace(left @ a @ left @ b) for a in self.ways] for b in self.ways]
        moves = step * np.eye(len(variances))
        slope = np.array([variance(variances + move) - variance(variances - move) for move in moves]) / (2 * step)
        return float(2 * variance(variances) ** 2 / (slope @ np.linalg.solve(np.array(both), slope)))


def study(people: int, conditions: int, seed: int, alike: bool) -> Study:
    """Draw people of two groups in several conditions; one parameter that they share moves what is measured."""
    generator = np.random.default_rng(seed)
    group, last = np.arange(people) % 2, np.arange(conditions) == conditions - 1
    size = (people, conditions)
    variance = np.full(size, 0.2) if alike else generator.uniform(0.05, 0.6, size)
    own = 0.3 * group[:, None] + 0.6 * generator.standard_normal((people, 1)) + 0.4 * generator.standard_normal(size)
    y = own + np.sqrt(variance) * generator.standard_normal(size)
    columns = [np.ones(size), np.tile(group[:, None], conditions)]
    columns += [np.tile(last, (people, 1))] if conditions > 1 else []
    design = np.stack(columns, axis=2).astype(np.float64)
    shift = np.zeros(size) if alike else generator.standard_normal(size)
    names = ["log_temperature", "log_temperature_within"][: 1 + (conditions > 1)]
    mixed = Mixed(
        (Parameter("weight", "reward", fixed=0.0 if alike else None),),
        tuple(Parameter("log_temperature", "log_temperature", "group", f"x{i}") for i in range(len(columns))),
        tuple(Parameter("sd", "log_sd", "group", name) for name in names),
        design,
        tuple(range(conditions)),
        varying=Repeated if conditions > 1 else Separate,
    )
    terms = design.reshape(-1, len(columns))
    terms = terms if alike else np.c_[shift.ravel(), terms]
    between = block_diag(*[np.ones((conditions, conditions))] * people)
    ways = np.stack([between, np.eye(people * conditions)])[: len(names)]
    return Study(Measured(y, variance, shift), mixed, terms, ways)


def maximum(of: Study) -> tuple[GridLikelihood, Real]:
    variances = np.maximum(of.best(restricted=False), SMALLEST_SD**2 / 4)
    estimates = of.least_squares(variances)[0]
    shared = np.zeros(1) if of.mixed.shared[0].fixed is not None else np.zeros(0)
    full = np.r_[shared, estimates, 0.5 * np.log(variances)]
    found = GridLikelihood.placed(of.people, of.mixed, 1.0, full, 9)
    assert found is not None
    return found, full


@pytest.mark.parametrize(("people", "conditions", "seed"), [(9, 1, 4), (9, 1, 6), (8, 2, 1), (12, 2, 7)])
def test_a_linear_mixed_model_has_its_restricted_likelihood(people: int, conditions: int, seed: int) -> None:
    """Also where a variance is 0, or all but that, at the maximum of the likelihood (seeds 6 and 7)."""
    given = study(people, conditions, seed, alike=False)
    objective, full = maximum(given)
    free = len(full) - len(given.mixed.spread)
    information = np.zeros((len(full), len(full)))
    variances = np.exp(2 * full[free:])
    information[:free, :free] = np.linalg.inv(given.least_squares(variances)[1])
    start = WorkingModel.of(objective, full, information, np.eye(len(full))[:, :free])
    more = start.restricted(variances)
    found, exact = start.at(more), given.best(restricted=True)
    np.testing.assert_allclose(variances + more, exact, rtol=2e-3)
    assert (exact > variances).all()
    known = found.known[:free, :free]
    np.testing.assert_allclose(known, given.least_squares(variances + more)[1], rtol=1e-5, atol=1e-9)
    errors = np.einsum("vw,vpq->wpq", found.spread_errors(), found.lost)[:, :free, :free]
    contrasts = np.vstack([np.eye(free), np.arange(free)])
    freedom = degrees_of_freedom(contrasts, known, known @ errors @ known)
    np.testing.assert_allclose(freedom, [given.freedom(c, variances + more) for c in contrasts], rtol=1e-4)


def test_the_score_is_the_slope_of_the_restricted_likelihood() -> None:
    given = study(8, 2, seed=5, alike=False)
    objective, full = maximum(given)
    free = len(full) - len(given.mixed.spread)
    information = np.diag(np.r_[np.full(free, 90.0), np.zeros(2)])
    start = WorkingModel.of(objective, full, information, np.eye(len(full))[:, :free])
    middle, step = np.array([0.05, 0.02]), 1e-5
    for place in range(2):
        move = step * (np.arange(2) == place)
        ends = [start.at(middle + sign * move).height(start, middle + sign * move) for sign in (1, -1)]
        assert start.at(middle).score()[place] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)


def test_a_balanced_comparison_of_groups_is_a_t_test() -> None:
    given = study(12, 1, seed=2, alike=True)
    objective, full = maximum(given)
    found = uncertainty(objective, full)
    contrast = np.array([[0.0, 0.0, 1.0, 0.0]])
    expected = ttest_ind(given.people.y[1::2, 0], given.people.y[::2, 0])
    assert degrees_of_freedom(contrast, found.covariance, found.errors)[0] == pytest.approx(10, rel=1e-3)
    assert full[2] / np.sqrt(found.covariance[2, 2]) == pytest.approx(expected.statistic, rel=1e-3)


def test_a_comparison_of_conditions_is_a_paired_t_test() -> None:
    given = study(8, 2, seed=2, alike=True)
    objective, full = maximum(given)
    found = uncertainty(objective, full)
    contrasts = np.eye(len(full))[[2, 3]]
    paired, level = ttest_rel(given.people.y[:, 1], given.people.y[:, 0]), given.people.y.mean(axis=1)
    between = ttest_ind(level[1::2], level[::2])
    np.testing.assert_allclose(degrees_of_freedom(contrasts, found.covariance, found.errors), [6, 7], rtol=2e-3)
    ratios = full[[2, 3]] / np.sqrt(np.diag(found.covariance)[[2, 3]])
    np.testing.assert_allclose(ratios, [between.statistic, paired.statistic], rtol=2e-3)


def test_conditions_that_may_not_differ_are_seen_through_every_spread_that_is_likely() -> None:
    given, highest = study(6, 2, seed=4, alike=True), 0.5
    full = np.r_[0.0, 0.1, 0.3, 0.0, np.log(0.6), np.log(SMALLEST_SD / 2)]
    objective = GridLikelihood.placed(given.people, given.mixed, 1.0, full, 9)
    assert objective is not None
    table = pd.DataFrame({"ci_high": np.r_[np.zeros(5), highest]})
    found = PeoplePosterior.of(objective, full, table).moments
    shares = np.linspace(0.0, 2.0, 4001)[1:]
    weight = np.exp(-chi2.ppf(0.95, 1) / 2 * shares**2)
    prior = 0.36 + (shares * highest)[:, None, None] ** 2 * np.eye(2)
    gain = prior @ np.linalg.inv(prior + 0.2 * np.eye(2))
    means = np.einsum("sde,be->sbd", gain, given.people.y - given.mixed.design @ full[1:4])
    mean = np.average(means, axis=0, weights=weight)
    inside = (prior - gain @ prior)[:, None] + (means - mean)[..., :, None] * (means - mean)[..., None, :]
    np.testing.assert_allclose(found.mean, mean, atol=2e-3)
    np.testing.assert_allclose(found.covariance, np.average(inside, axis=0, weights=weight), rtol=0.02)


@pytest.mark.slow
def test_a_spread_of_0_is_no_division_by_it() -> None:
    """With few decisions, moments have eight digits: at a deviation of .0005 they say nothing of the information."""
    model = hs.SoftOptimalModel(choice_task(), hs.LinearReward(fixed={"value": 1.0}), "~ block")
    log = log_of("8_in_two_conditions", 10, seed=10)
    best, _ = population_maximum(population_problem(model, log, True, 1, 200, False), "quadrature", None)
    place = np.arange(len(best.full)) == len(best.full) - 1
    assert best.full[place] < np.log(SMALLEST_SD)
    some = np.where(place, np.log(0.05), best.full)
    near = best.objective.around(some)
    assert near is not None
    found, beside = uncertainty(best.objective, best.full), uncertainty(near, some)
    np.testing.assert_allclose(np.diag(found.covariance)[1:3], np.diag(beside.covariance)[1:3], rtol=0.1)
    assert (degrees_of_freedom(np.eye(len(some))[1:3], found.covariance, found.errors) < 8).all()
