"""Full Bayes: draws of a population and of everybody in it, from priors and what people did.

Log temperatures (and weights, where people have their own) come from the same mixed model as a hierarchical fit
(SCIENCE 4.5), under the priors of :class:`humansoft.PopulationPrior`. The draws are those of NUTS (Hoffman and Gelman
2014), by nutpie, on the exact log density and gradient.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from humansoft.data.log import BehaviorLog
from humansoft.fit.assemble_posterior import assemble_posterior
from humansoft.fit.bayes_extra import require_bayes
from humansoft.fit.deviations import Posterior
from humansoft.fit.hierarchical import own_rows
from humansoft.fit.nuts import LogDensity, Sampling, sample
from humansoft.fit.population_density import PopulationDensity
from humansoft.fit.population_fit import PopulationProblem, population_maximum, population_problem
from humansoft.fit.population_lapse import noticeable_lapse
from humansoft.fit.population_prior import prior_scales
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel

Real = npt.NDArray[np.float64]
OnStep = Callable[[int, float], None]

_SMALLEST_START = 0.1  # of a standard deviation, in units of its prior: where people look alike, 0 is a bad start
_JITTER = 0.3  # of the population's parameters, in standard units: far more than they are uncertain by
_WIDER = 2.0  # starts of people's parameters are spread this much wider than they are uncertain
_LARGEST_SEED = 2**32


def posterior_fit(
    model: SoftOptimalModel,
    log: BehaviorLog,
    *,
    sampling: Sampling,
    seed: int | None,
    max_steps: int,
    allow_unidentified: bool,
    on_step: OnStep | None,
) -> Fit:
    """Sample the population of a checked log's people; see :func:`humansoft.fit`.

    Chains start around the maximum of the population's likelihood, spread wider than the posterior. Without a seed one
    is drawn, and noted in the result.
    """
    require_bayes()
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0]) % _LARGEST_SEED
    problem = population_problem(model, log, True, seed, max_steps, allow_unidentified)
    best, _ = population_maximum(problem, "auto", None)
    density, near, width = _density(problem, sampling, best.full, best.objective.posterior(best.full))

    def density_of_chain() -> LogDensity:
        profiles = problem.people.profiles()  # what it keeps between points is not for two threads
        return lambda point: density.value_and_gradient(profiles, point)

    def start(generator: np.random.Generator) -> Real:
        found: Real = near + width * generator.standard_normal(len(near))
        return found

    chains = sample(density_of_chain, start, sampling, seed, on_step)
    return assemble_posterior(problem, density, chains, best.history, sampling, seed)


def _density(
    problem: PopulationProblem, sampling: Sampling, full: Real, posterior: Posterior | None
) -> tuple[PopulationDensity, Real, Real]:
    """Return the log density, a point near its maximum, and how widely chains start around it."""
    assert posterior is not None, "the maximum is feasible"
    mixed, people = problem.mixed, problem.people
    design, own = people.by_subject(mixed.design), own_rows(people.likelihood.model)
    scales = prior_scales(sampling.prior, mixed, design, own, problem.alike, problem.seen)
    shared, coefficients, log_sd = mixed.split(noticeable_lapse(mixed, full))
    sources = mixed.varies.sources()
    sizes = np.exp(log_sd)[sources.sd_of]
    left = _left(mixed.covariance(full), posterior.covariance, sources.loading * sizes[:, None] ** 2, sizes)
    # What share of its prior variance a person's own decisions take away.
    centring = np.clip(1 - left / sizes**2, 0.0, 1.0)
    near_full = np.concatenate([shared, coefficients, np.maximum(log_sd, np.log(_SMALLEST_START * scales.sd))])
    density = PopulationDensity(mixed, scales, centring, near_full)
    near = density.point_of(near_full, posterior.mean)
    safe = np.exp(mixed.split(near_full)[2])[sources.sd_of]
    own_width = _WIDER * np.sqrt(left) * safe**centring / safe
    width = np.concatenate([np.full(density.size - own_width.size, _JITTER), own_width.ravel()])
    return density, near, width


def _left(prior: Real, posterior: Real, moved: Real, sizes: Real) -> Real:
    """Return the variances [B, Z] of the numbers that add up to deviations, given what people did.

    Args:
        prior: [D, D] covariance of deviations.
        posterior: [B, D, D] the same, given what people did.
        moved: [Z, D] covariance of numbers with deviations.
        sizes: [Z] their standard deviations.
    """
    slope = np.linalg.solve(prior, moved.T).T
    found: Real = sizes**2 - np.einsum("zd,bde,ze->bz", slope, prior - posterior, slope)
    return np.maximum(found, 0.0)
