"""Population models against enumeration: integrals by brute force, derivatives by differences, known limits."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import chi2, norm

import humansoft as hs
from humansoft.fit.abstract_profiles import Profiles
from humansoft.fit.gridded import GridLikelihood
from humansoft.fit.hierarchical import mixed_of
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.marginal import LaplaceLikelihood
from humansoft.fit.mixed import Mixed
from humansoft.fit.people_posterior import PeoplePosterior
from humansoft.fit.population_maximum import at_known
from humansoft.fit.profiles import PersonProfiles, profiles_of
from tests.oracle.populations import CORRIDOR, POPULATION, STEP, choices_of_people, mean_of_all, with_group


@pytest.fixture(scope="module")
def log() -> hs.BehaviorLog:
    """Ten people with few decisions, one of whom never erred."""
    return choices_of_people(10, 12, seed=3, sd=0.8, perfect=True)


def parts(
    log: hs.BehaviorLog, reward: hs.LinearReward, temperature: hs.PerSubject | hs.Fixed
) -> tuple[Profiles, Mixed]:
    bound = hs.SoftOptimalModel(CORRIDOR, reward, temperature).bind(log)
    likelihood = likelihood_of(bound, bound.observe(log))
    return profiles_of(likelihood), mixed_of(bound, mean_of_all(log), deviate=True)


def marginal(profiles: Profiles, mixed: Mixed, full: np.ndarray, nodes: int = 15) -> GridLikelihood:  # type: ignore[type-arg]
    found = GridLikelihood.placed(profiles, mixed, 1.0, full, nodes)
    assert found is not None
    return found


def integrated(profiles: Profiles, mixed: Mixed, sd: float) -> list[float]:
    """Return log marginal likelihoods of the ten people, by adaptive integration."""

    def density(u: float, person: int) -> float:
        own = np.full((mixed.num_people, 1, 1), -0.3 + u)
        return float(np.exp(profiles.value(np.array([-1.0]), own)[person, 0]) * norm.pdf(u, scale=sd))

    options = {"limit": 400, "epsabs": 0, "epsrel": 1e-9, "points": [-2.0, 0.0, 2.0]}
    return [np.log(quad(density, -10 * sd, 10 * sd, args=(i,), **options)[0]) for i in range(10)]


def test_quadrature_equals_brute_force_also_for_a_person_who_never_erred(log: hs.BehaviorLog) -> None:
    profiles, mixed = parts(log, STEP, hs.PerSubject())
    full, exact = np.array([-1.0, -0.3, np.log(0.8)]), integrated(profiles, mixed, 0.8)
    np.testing.assert_allclose(marginal(profiles, mixed, full).by_person(full), exact, atol=2e-5)
    np.testing.assert_allclose(marginal(profiles, mixed, full, 31).by_person(full), exact, atol=1e-8)


@pytest.mark.slow
def test_new_people_of_a_wide_population_are_integrated_with_enough_nodes(log: hs.BehaviorLog) -> None:
    profiles, mixed = parts(log, STEP, hs.PerSubject())
    full, exact = np.array([-1.0, -0.3, np.log(4.0)]), integrated(profiles, mixed, 4.0)
    assert np.abs(marginal(profiles, mixed, full).by_person(full) - exact).max() > 0.01  # who never erred
    found = at_known(profiles, mixed, 1.0, full)
    np.testing.assert_allclose(found.objective.by_person(full), exact, atol=3e-3)


def test_people_who_may_not_differ_are_seen_through_every_spread_that_is_likely(log: hs.BehaviorLog) -> None:
    profiles, mixed = parts(log, STEP, hs.PerSubject())
    full, highest = np.array([-1.0, -0.3, np.log(1e-8)]), 0.5
    table = pd.DataFrame({"ci_high": [0.0, 0.0, highest]})
    found = PeoplePosterior.of(marginal(profiles, mixed, full), full, table)
    deviation, spread = np.linspace(-6.0, 6.0, 4001), np.linspace(1e-3, 2 * highest, 300)
    likely = np.exp(profiles.value(np.array([-1.0]), np.tile(-0.3 + deviation, (10, 1))[:, :, None]))
    joint = likely[:, None, :] * norm.pdf(deviation, scale=spread[:, None])
    given = joint / joint.sum(axis=2, keepdims=True)
    weight = np.exp(-chi2.ppf(0.95, 1) / 2 * (spread / highest) ** 2)
    density = np.einsum("s,bsq->bq", weight / weight.sum(), given)
    mean = density @ deviation
    np.testing.assert_allclose(found.moments.mean[:, 0], mean, atol=2e-3)
    np.testing.assert_allclose(found.moments.covariance[:, 0, 0], density @ deviation**2 - mean**2, rtol=0.02)
    below = np.cumsum(density, axis=1)
    ends = [[np.interp(q, b, deviation) for q in (0.025, 0.975)] for b in below]
    assert found.tails is not None
    np.testing.assert_allclose(mean[:, None] + found.tails, ends, atol=0.01)


def test_intervals_of_people_who_may_not_differ_allow_that_they_do() -> None:
    alike = choices_of_people(8, 12, seed=2, sd=0.0)
    fit = hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject()), alike, method="hierarchical")
    assert fit.population is not None
    assert fit.population.sd["log_temperature"] == 0
    own = fit.params.loc[["log_temperature"]]
    mean = fit.population.params.loc["log_temperature"].iloc[0]
    assert ((own["ci_high"] - own["ci_low"]) > 1.1 * (mean["ci_high"] - mean["ci_low"])).all()
    assert own["estimate"].nunique() > 1
    assert any("up to the end of its interval" in note for note in fit.notes)


def test_profiles_are_the_likelihood_of_each_person(log: hs.BehaviorLog) -> None:
    profiles, mixed = parts(log, STEP, hs.PerSubject())
    own = np.random.default_rng(0).normal(size=(mixed.num_people, 2, 1))
    bound = hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject()).bind(log)
    likelihood = likelihood_of(bound, bound.observe(log))
    for q in range(2):
        full = torch.from_numpy(np.r_[-1.0, own[:, q, 0]])
        np.testing.assert_allclose(profiles.value(np.array([-1.0]), own)[:, q], likelihood.by_person(full), atol=1e-8)


@pytest.mark.parametrize("own_weights", [False, True])
def test_gradients_of_the_marginal_likelihood_are_exact(log: hs.BehaviorLog, own_weights: bool) -> None:
    if own_weights:
        profiles, mixed = parts(log, hs.LinearReward(["step", "lava"], shared=False), hs.Fixed(1.0))
        full = np.array([-1.2, 0.4, np.log(0.5), np.log(0.7)])
        assert isinstance(profiles, PersonProfiles)
    else:
        profiles, mixed = parts(log, STEP, hs.PerSubject())
        full = np.array([-1.0, 0.5, -0.3, np.log(0.6)])[[0, 2, 3]]
    objective = marginal(profiles, mixed, full, 5)
    gradient = objective.gradient(torch.from_numpy(full))
    for place in np.flatnonzero(mixed.table.free):
        step = np.zeros(len(full))
        step[place] = 1e-5
        ends = [objective.value(torch.from_numpy(full + sign * step)) for sign in (1, -1)]
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-6)


def test_laplace_is_exact_where_the_posterior_is_gaussian() -> None:
    """With very many decisions, the log-likelihood of a person is quadratic where it matters."""
    log = choices_of_people(4, 4000, seed=1, sd=0.3)
    profiles, mixed = parts(log, STEP, hs.PerSubject())
    full = np.array([-1.0, 0.0, np.log(0.3)])
    laplace = LaplaceLikelihood(profiles, mixed, 1.0)
    np.testing.assert_allclose(laplace.by_person(full), marginal(profiles, mixed, full).by_person(full), atol=2e-3)


def test_a_population_without_deviations_is_a_regression_of_the_temperature() -> None:
    """By formula and maximum likelihood, two groups have the temperatures that ``PerGroup`` finds."""
    log = with_group(choices_of_people(20, 60, seed=2, sd=0.0))
    reward = STEP
    grouped = hs.fit(hs.SoftOptimalModel(CORRIDOR, reward, hs.PerGroup("group")), log)
    formula = hs.fit(hs.SoftOptimalModel(CORRIDOR, reward, "~ group"), log)
    assert formula.log_likelihood == pytest.approx(grouped.log_likelihood, abs=1e-7)
    assert formula.rank == grouped.rank == 2
    logs = grouped.params.loc["log_temperature", "estimate"]
    assert formula.population is not None
    found = formula.population.contrast({"group[T.b]": 1.0})
    assert found["estimate"] == pytest.approx(logs["b"] - logs["a"], abs=1e-5)
    hessian = grouped.std_errors("hessian").loc["log_temperature"]
    assert found["std_error"] == pytest.approx(np.hypot(hessian["a"], hessian["b"]), rel=1e-4)


def test_people_alike_have_a_spread_of_nothing_and_everybody_the_same_estimate() -> None:
    log = choices_of_people(30, 40, seed=5, sd=0.0)
    fit = hs.fit(
        hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject()),
        log,
        method="hierarchical",
    )
    shared = hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, hs.Shared()), log)
    assert fit.population is not None
    sd = float(fit.population.sd["log_temperature"])
    assert sd < 0.25
    assert (
        abs(fit.population.params.loc[("log_temperature", "Intercept"), "estimate"] - shared.weight("log_temperature"))
        < 0.05
    )
    if sd == 0.0:
        assert "do not differ" in fit.message


@pytest.mark.slow
def test_estimates_are_drawn_towards_the_mean_the_more_the_less_is_known() -> None:
    log = choices_of_people(24, 15, seed=7, sd=0.6)
    model = hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject())
    alone = hs.fit(model, log).temperatures()
    fit = hs.fit(model, log, method="hierarchical")
    together = fit.temperatures()
    inner = alone["boundary"] == ""
    assert fit.population is not None
    mean = float(fit.population.params.loc[("log_temperature", "Intercept"), "estimate"])
    apart_alone = (alone["log_temperature"][inner] - mean).abs()
    apart = (together["log_temperature"][inner] - mean).abs()
    assert (apart < apart_alone + 0.1).all()
    assert together["std_error"].notna().all()
    assert (together["boundary"] == "").all()


@pytest.mark.slow
def test_population_parameters_are_those_of_a_long_integral() -> None:
    """The maximum of the marginal likelihood, found on a grid of brute-force integrals."""
    log = choices_of_people(12, 20, seed=11, sd=0.7)
    model = hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject())
    fit = hs.fit(model, log, method="hierarchical")
    assert fit.population is not None
    mean, sd = (float(fit.population.params.loc[place, "estimate"]) for place in POPULATION)
    profiles, _ = parts(log, STEP, hs.PerSubject())
    grid = np.linspace(-9, 9, 1801)
    table = profiles.value(np.array([-1.0]), np.broadcast_to(grid[None, :, None], (12, 1801, 1)))

    def total(mu: float, sigma: float) -> float:
        return float(np.log(np.exp(table) @ norm.pdf(grid, mu, sigma) * 0.01).sum())

    best = total(mean, sd)
    assert fit.log_likelihood == pytest.approx(best, abs=1e-5)
    for mu, sigma in ((mean + 0.02, sd), (mean - 0.02, sd), (mean, sd * 1.03), (mean, sd / 1.03)):
        assert total(mu, sigma) < best
