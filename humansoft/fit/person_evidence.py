"""What each person's decisions say of a population: the person's own temperature integrated out, at many draws.

This is the likelihood that leave-one-person-out cross-validation needs (SCIENCE 4.6): at the person's own drawn
temperature it would say how well people are described after they were seen.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from humansoft.fit.abstract_profiles import Profiles
from humansoft.fit.deviations import Posterior
from humansoft.fit.mixed import Mixed
from humansoft.fit.population_density import PopulationDraws

Real = npt.NDArray[np.float64]

_NODES = 31  # some draws lie far out, where posteriors are less like a normal
_CHUNK = 200  # draws at a time, where all are of one reward


def person_evidence(profiles: Profiles, mixed: Mixed, draws: PopulationDraws, near: Posterior, middle: Real) -> Real:
    """Return the log marginal likelihood [T, B] of each person at each draw, by Gauss-Hermite quadrature.

    Nodes lie where a normal likelihood with the same posterior at ``middle`` would put the person's posterior at the
    draw.

    Args:
        profiles: what people did, as a function of one parameter of their own.
        mixed: the population.
        draws: its parameters (T of them).
        near: posterior deviations at ``middle``.
        middle: [P] some parameters that are typical of the draws.
    """
    changing = bool(mixed.free_shared.any())
    size = 1 if changing else _CHUNK
    parts = [
        _evidence(profiles, mixed, draws.full[low : low + size], near, middle)
        for low in range(0, len(draws.full), size)
    ]
    return np.concatenate(parts)


def _evidence(profiles: Profiles, mixed: Mixed, full: Real, near: Posterior, middle: Real) -> Real:
    """Return it at draws [T, P] that have the shared parameters of the first."""
    shared, mean, sd = mixed.split(full[0])[0], _means(mixed, full), np.exp(full[:, -1:])
    informed, pull = _as_normal(mixed, near, middle)
    variance = 1 / (informed + 1 / sd**2)
    place = variance * (pull + mean / sd**2)
    nodes = Posterior(place.reshape(-1, 1), variance.reshape(-1, 1, 1)).nodes(_NODES)
    draws, people = place.shape
    own = nodes.deviation[..., 0].reshape(draws, people, -1)
    flat = own.swapaxes(0, 1).reshape(people, -1, 1)
    likelihood = profiles.value(shared, flat).reshape(people, draws, -1).swapaxes(0, 1)
    apart = (own - mean[..., None]) / sd[..., None]
    prior = -0.5 * apart**2 - np.log(sd)[..., None] - 0.5 * np.log(2 * np.pi)
    found: Real = logsumexp(nodes.log_weight.reshape(own.shape) + likelihood + prior, axis=2)
    return found


def _as_normal(mixed: Mixed, near: Posterior, middle: Real) -> tuple[Real, Real]:
    """Return the precision [B] of the normal likelihood that makes the posterior what it is, and times its mean."""
    mean, variance = _means(mixed, middle[None])[0], np.exp(2 * middle[-1])
    precision = 1 / near.covariance[:, 0, 0]
    informed = np.maximum(precision - 1 / variance, 0.0)
    pull = np.where(informed > 0, (mean + near.mean[:, 0]) * precision - mean / variance, 0.0)
    return informed, pull


def _means(mixed: Mixed, full: Real) -> Real:
    """Return what the population says of everybody [T, B]."""
    coefficients = full[:, len(mixed.shared) : len(mixed.shared) + len(mixed.coefficients)]
    found: Real = coefficients @ mixed.design[:, 0].T
    return found
