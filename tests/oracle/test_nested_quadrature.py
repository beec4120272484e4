"""Integrals over people's levels and changes: against dense grids and scipy, derivatives by differences, recovery."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp
from scipy.stats import norm

import humansoft as hs
from humansoft.choice import ChoiceTerm
from humansoft.fit.hierarchical import WITHIN
from humansoft.fit.population_fit import PopulationProblem, population_problem
from humansoft.fit.population_maximum import at_known, integrated
from humansoft.fit.repeated import RepeatedProfiles
from tests.oracle.populations import CORRIDOR, STEP, met_again

Real = npt.NDArray[np.float64]


def extreme(log: hs.BehaviorLog, conditions: int) -> hs.BehaviorLog:
    """Return the log with somebody who never erred, and somebody who acted at random, in all conditions."""
    temperatures = {f"{who}/b{c}": t for who, t in (("cold", 1e-3), ("hot", 50.0)) for c in range(conditions)}
    table = hs.simulate(hs.plan(CORRIDOR, {"step": -1.0}, temperatures), 6, seed=2, max_steps=12).to_dataframe()
    parts = table["subject"].str.split("/", expand=True)
    table = table.assign(subject=parts[0], block=parts[1], group="a", episode=table["episode"] + 1_000_000)
    known = log.to_dataframe()
    known["subject"] = known["subject"].str.split("/").str[0]
    return hs.by_condition(hs.read(pd.concat([known, table]), state=["state_0", "state_1"]), "block")


def problem_of(
    conditions: int, *, reward: hs.LinearReward = STEP, choice: tuple[ChoiceTerm, ...] = (), extremes: bool = False
) -> PopulationProblem:
    """Return a small population, whose first person was not met in the second condition."""
    log = met_again(6, conditions, seed=3, between=0.6, within=0.3, effect=0.4, group=0.3)
    log = extreme(log, conditions) if extremes else log
    model = hs.SoftOptimalModel(CORRIDOR, reward, "~ block", choice=choice)
    return population_problem(model, log.select(log.subject != 1), True, 1, 200, False)


def point_of(problem: PopulationProblem, between: float, within: float) -> Real:
    """Return parameters: some level, an effect of one condition, standard deviations."""
    mixed = problem.mixed
    coefficients = np.r_[-0.5, 0.4, np.zeros(len(mixed.coefficients) - 2)]
    shared = np.where([row.kind == "logit_lapse" for row in mixed.shared], -3.0, -1.0)
    found: Real = mixed.from_terms @ np.r_[shared, coefficients, np.log([between, within])]
    return found


@dataclass(frozen=True, eq=False)
class Dense:
    """Each person's log-likelihood [B], and the posterior mean [S] and variance [S] of each condition's deviation."""

    log_likelihood: Real
    mean: Real
    variance: Real


def dense(problem: PopulationProblem, full: Real) -> Dense:
    """Integrate on even grids, to 8 standard deviations of the population either way."""
    profiles, mixed = problem.people.profiles(), problem.mixed
    assert isinstance(profiles, RepeatedProfiles)
    (between, within), who = np.exp(full[-2:]), profiles.measures
    level, change = between * np.linspace(-8, 8, 301), within * np.linspace(-8, 8, 121)
    deviation = level[:, None] + change
    mean = who.by_subject(mixed.design @ mixed.split(full)[1])
    own = mean[:, None, None] + deviation.ravel()[:, None]
    logs = profiles.single.value(mixed.split(full)[0], own).reshape(len(mean), *deviation.shape)
    inner = logs + norm.logpdf(change, scale=within) + np.log(change[1] - change[0])
    given = logsumexp(inner, axis=2)
    person, before = who.place[0], norm.logpdf(level, scale=between) + np.log(level[1] - level[0])
    outer = np.stack([before + given[person == one].sum(axis=0) for one in range(mixed.num_people)])
    total = logsumexp(outer, axis=1)
    chance = np.exp(inner - given[..., None] + (outer - total[:, None])[person][..., None])
    middle = (chance * deviation).sum(axis=(1, 2))
    variance = (chance * (deviation - middle[:, None, None]) ** 2).sum(axis=(1, 2))
    return Dense(total, middle, variance)


@pytest.mark.slow
@pytest.mark.parametrize("conditions", [2, 3])
@pytest.mark.parametrize(("between", "within"), [(0.6, 0.3), (0.6, 1e-3), (1e-3, 0.3), (5e-4, 5e-4), (0.2, 0.5)])
def test_integrals_and_posteriors_are_those_of_dense_grids(conditions: int, between: float, within: float) -> None:
    """Also of a person met in fewer conditions, of those who never erred or acted at random, where nobody differs."""
    problem = problem_of(conditions, extremes=True)
    full = point_of(problem, between, within)
    exact, objective = dense(problem, full), integrated(problem.people.profiles(), problem.mixed, 1.0, full)
    np.testing.assert_allclose(objective.by_person(full), exact.log_likelihood, atol=1e-6)
    found, by_subject = objective.posterior(full), problem.people.by_subject
    assert found is not None
    np.testing.assert_allclose(by_subject(found.mean)[:, 0], exact.mean, atol=1e-5)
    variance = by_subject(np.diagonal(found.covariance, axis1=1, axis2=2))[:, 0]
    np.testing.assert_allclose(variance, exact.variance, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("between", "within"), [(1.5, 1.5), (0.6, 2.0), (2.0, 0.3)])
def test_plateaus_in_wide_populations_are_integrated_with_more_nodes(between: float, within: float) -> None:
    problem = problem_of(3, extremes=True)
    full = point_of(problem, between, within)
    found = at_known(problem.people.profiles(), problem.mixed, 1.0, full)
    np.testing.assert_allclose(found.objective.by_person(full), dense(problem, full).log_likelihood, atol=3e-3)


@pytest.mark.slow
def test_five_conditions_are_what_adaptive_quadrature_of_scipy_gives() -> None:
    problem = problem_of(5)
    full = point_of(problem, 0.6, 0.3)
    profiles, mixed, line = problem.people.profiles(), problem.mixed, np.linspace(-6.0, 5.0, 2201)
    assert isinstance(profiles, RepeatedProfiles)
    person = profiles.measures.place[0]
    mean = profiles.measures.by_subject(mixed.design @ mixed.split(full)[1])
    logs = profiles.single.value(np.array([-1.0]), np.tile(line[:, None], (len(mean), 1, 1)))
    found = integrated(profiles, mixed, 1.0, full).by_person(full)
    mine, tops = np.flatnonzero(person == 1), logs[person == 1].max(axis=1)
    curves = [CubicSpline(line - mean[s], logs[s] - top) for s, top in zip(mine, tops, strict=True)]

    def normal(x: float, sd: float) -> float:
        return math.exp(-0.5 * (x / sd) ** 2) / (sd * math.sqrt(2 * math.pi))

    def alone(change: float, level: float, curve: CubicSpline) -> float:
        return math.exp(curve(level + change)) * normal(change, 0.3)

    def together(level: float) -> float:
        return normal(level, 0.6) * math.prod(quad(alone, -2.4, 2.4, (level, curve))[0] for curve in curves)

    exact = np.log(quad(together, -3.6, 3.6, epsabs=0.0, epsrel=1e-8)[0]) + tops.sum()
    assert found[1] == pytest.approx(exact, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(0.6, 0.3), (0.6, 1e-3)])
@pytest.mark.parametrize("choice", [(), (hs.Lapse(),)])
def test_scores_are_derivatives(sizes: tuple[float, float], choice: tuple[ChoiceTerm, ...]) -> None:
    """By what people share (a reward, a lapse), by coefficients and both spreads; nodes stay where they are."""
    problem = problem_of(3, reward=hs.LinearReward(["step", "lava"], fixed={"step": -1.0}), choice=choice)
    full = point_of(problem, *sizes)
    objective = integrated(problem.people.profiles(), problem.mixed, 1.0, full)
    full = full + 0.02
    scores = objective.scores(full)
    for place in np.flatnonzero(objective.table.free):
        step = np.where(np.arange(len(full)) == place, 1e-5, 0.0)
        slope = (objective.by_person(full + step) - objective.by_person(full - step)) / 2e-5
        np.testing.assert_allclose(scores[:, place], slope, atol=1e-6 * max(1.0, np.abs(slope).max()))
    assert not scores[:, ~objective.table.free].any()


def test_nodes_move_with_the_parameters() -> None:
    """Integrals are what they would be if nodes were placed there at once."""
    problem = problem_of(2)
    profiles, mixed = problem.people.profiles(), problem.mixed
    here, there = point_of(problem, 0.6, 0.3), point_of(problem, 1.0, 0.05)
    moved = integrated(profiles, mixed, 1.0, here).around(there)
    assert moved is not None
    exact = integrated(profiles, mixed, 1.0, there).by_person(there)
    np.testing.assert_allclose(moved.by_person(there), exact, atol=1e-9)


@pytest.mark.slow
def test_how_much_people_change_is_found_without_bias() -> None:
    """With so few decisions, Laplace-EM says .26 of .30."""
    found, errors = [], []
    for seed in range(6):
        log = met_again(40, 5, seed=seed, between=0.6, within=0.3)
        population = hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, "~ block"), log, method="hierarchical").population
        assert population is not None
        assert population.integration == "quadrature"
        found.append(population.sd[WITHIN])
        errors.append(population.params.loc[("sd", WITHIN), "std_error"])
    assert np.mean(found) == pytest.approx(0.3, abs=2 * float(np.mean(errors)) / np.sqrt(6))
