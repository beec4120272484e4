"""NUTS against what it must agree with: the posterior by brute force, and the maximum of the same population."""

from dataclasses import dataclass

import arviz as az
import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

import humansoft as hs
from humansoft.fit.population_fit import population_problem
from humansoft.fit.population_prior import advantage_size
from humansoft.fit.profiles import profiles_of
from tests.oracle.populations import CORRIDOR, choices_of_people
from tests.recovery.people import simulate_people

pytestmark = pytest.mark.slow

Real = npt.NDArray[np.float64]

MEAN, SD, PEOPLE = -1.0, 0.6, 30


@pytest.fixture(scope="module")
def people() -> tuple[hs.BehaviorLog, hs.Task, dict[str, float]]:
    standard = np.random.default_rng(4).standard_normal(PEOPLE)
    truth = {f"p{i:02d}": float(np.exp(MEAN + SD * z)) for i, z in enumerate(standard)}
    return *simulate_people(truth, episodes=4, seed=5), truth


def known(task: hs.Task) -> hs.SoftOptimalModel:
    return hs.SoftOptimalModel(task, hs.LinearReward(["goal", "lava"], {"goal": 1.0, "lava": -1.5}), hs.PerSubject())


@pytest.fixture(scope="module")
def sampled(people: tuple[hs.BehaviorLog, hs.Task, dict[str, float]]) -> hs.Fit:
    log, task, _ = people
    return hs.fit(known(task), log, method="posterior", seed=2, draws=600, tune=400, chains=4)


@dataclass(frozen=True)
class Reference:
    """Posterior moments by brute force: of the mean log temperature, of sd, and of everybody's log temperature."""

    mean: Real
    sd: Real
    own: Real


@pytest.fixture(scope="module")
def reference(people: tuple[hs.BehaviorLog, hs.Task, dict[str, float]]) -> Reference:
    """Integrate on grids: over everybody's log temperature, then over the mean and sd of the population."""
    log, task, _ = people
    problem = population_problem(known(task), log, True, 1, 200, False)
    level = np.log(advantage_size(problem.alike, problem.seen))
    own = np.linspace(-9.0, 5.0, 2801)
    points = np.broadcast_to(own[None, :, None], (PEOPLE, len(own), 1))
    height = profiles_of(problem.people.likelihood).value(np.array([1.0, -1.5]), points)
    top = height.max(axis=1)
    likelihood = np.exp(height - top[:, None])
    means, sds = np.linspace(-2.4, 0.4, 101), np.linspace(0.02, 1.8, 101)
    log_posterior = np.empty((101, 101))
    person = np.empty((101, 101, 2, PEOPLE))
    for place, mean in enumerate(means):
        density = stats.norm.pdf(own, mean, sds[:, None])
        evidence = density @ likelihood.T
        first, second = ((density * own**power) @ likelihood.T / evidence for power in (1, 2))
        person[place] = np.stack([first, second], axis=1)
        prior = stats.norm.logpdf(mean, level, 1.5) + stats.halfnorm.logpdf(sds)
        log_posterior[place] = np.log(evidence * (own[1] - own[0])).sum(axis=1) + prior
    chance = np.exp(log_posterior - log_posterior.max())
    chance /= chance.sum()
    assert chance[[0, -1]].sum() + chance[:, [0, -1]].sum() < 1e-5, "the grid holds all of the posterior"

    def moments(values: Real) -> Real:
        first = float((chance * values).sum())
        return np.array([first, np.sqrt(float((chance * (values - first) ** 2).sum()))])

    first, second = np.einsum("ms,mskb->kb", chance, person)
    return Reference(
        moments(means[:, None] + 0 * sds),
        moments(sds + 0 * means[:, None]),
        np.stack([first, np.sqrt(second - first**2)]),
    )


def errors_of(draws: Real) -> Real:
    """Monte-Carlo standard errors of the mean and of the standard deviation of draws [chains, draws]."""
    return np.array([float(az.mcse(draws, method=how)) for how in ("mean", "sd")])  # type: ignore[no-untyped-call]


def test_the_posterior_is_that_of_brute_force_and_agrees_with_the_maximum(
    people: tuple[hs.BehaviorLog, hs.Task, dict[str, float]], sampled: hs.Fit, reference: Reference
) -> None:
    """One test, so that the draws are made once: by however many processes tests are run."""
    the_population_is_that_of_brute_force(sampled, reference)
    people_are_those_of_brute_force(sampled, reference)
    the_sampler_and_the_maximum_agree_as_far_as_the_prior_lets_them(people, sampled)


def the_population_is_that_of_brute_force(sampled: hs.Fit, reference: Reference) -> None:
    assert sampled.status.name == "MIXED", sampled.message
    draws = sampled.posterior.posterior
    for values, expected in ((draws["coefficient"], reference.mean), (draws["sd"], reference.sd)):
        found = values.values[..., 0]
        moments = np.array([found.mean(), found.std()])
        assert (np.abs(moments - expected) < 4 * errors_of(found)).all()


def people_are_those_of_brute_force(sampled: hs.Fit, reference: Reference) -> None:
    draws = sampled.posterior.posterior["log_temperature"].values
    for place in range(PEOPLE):
        found = draws[..., place]
        moments = np.array([found.mean(), found.std()])
        assert (np.abs(moments - reference.own[:, place]) < 4.5 * errors_of(found)).all(), place


def the_sampler_and_the_maximum_agree_as_far_as_the_prior_lets_them(
    people: tuple[hs.BehaviorLog, hs.Task, dict[str, float]], sampled: hs.Fit
) -> None:
    log, task, truth = people
    maximum = hs.fit(known(task), log, method="hierarchical", seed=1)
    assert maximum.population is not None
    assert sampled.population is not None
    for row in (("log_temperature", "Intercept"), ("sd", "log_temperature")):
        theirs, ours = (fit.population.params.loc[row] for fit in (maximum, sampled))  # type: ignore[union-attr]
        assert abs(ours["estimate"] - theirs["estimate"]) < 0.6 * theirs["std_error"]
        assert ours["std_error"] == pytest.approx(theirs["std_error"], rel=0.25)
    ours, theirs = (fit.temperatures()["log_temperature"].to_numpy() for fit in (sampled, maximum))
    assert np.abs(ours - theirs).max() < 0.1
    recovery = [np.corrcoef(found, np.log(list(truth.values())))[0, 1] for found in (ours, theirs)]
    assert recovery[0] == pytest.approx(recovery[1], abs=0.02)
    assert sampled.log_likelihood == pytest.approx(maximum.log_likelihood, abs=0.5)


def test_a_free_weight_is_sampled_with_the_population() -> None:
    log = choices_of_people(6, 60, seed=3, sd=0.4)
    model = hs.SoftOptimalModel(CORRIDOR, hs.LinearReward(["goal", "lava"], {"goal": 1.0}), hs.PerSubject())
    fitted = hs.fit(model, log, method="posterior", seed=3, draws=100, tune=100, chains=1)
    draws = fitted.posterior.posterior
    assert list(draws["weight"].values) == ["lava"]
    maximum = hs.fit(model, log, method="hierarchical")
    low, high = np.quantile(draws["reward"].sel(weight="lava").values, [0.005, 0.995])
    assert low < maximum.weight("lava") < high
