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

_NODES = {1: 31, 2: 9, 3: 5}  # a dimension: some draws lie far out, where posteriors are less like a normal
_AT_ONCE = 6_000  # numbers of a person, where all draws are of one reward


def person_evidence(profiles: Profiles, mixed: Mixed, draws: PopulationDraws, near: Posterior, middle: Real) -> Real:
    """Return the log marginal likelihood [T, B] of each person at each draw, by Gauss-Hermite quadrature.

    Nodes lie where a normal likelihood with the same posterior at ``middle`` would put the person's posterior at the
    draw.

    Args:
        profiles: what people did, as a function of their own temperature, or their temperatures in some conditions.
        mixed: the population.
        draws: its parameters (T of them).
        near: posterior deviations at ``middle``.
        middle: [P] some parameters that are typical of the draws.
    """
    count = mixed.num_deviations
    size = 1 if mixed.free_shared.any() else max(_AT_ONCE // (count * _NODES[count] ** count), 1)
    parts = [
        _evidence(profiles, mixed, draws.full[low : low + size], near, middle)
        for low in range(0, len(draws.full), size)
    ]
    return np.concatenate(parts)


def _evidence(profiles: Profiles, mixed: Mixed, full: Real, near: Posterior, middle: Real) -> Real:
    """Return it at draws [T, P] that have the shared parameters of the first."""
    shared, mean = mixed.split(full[0])[0], _means(mixed, full)
    prior = np.stack([mixed.covariance(point) for point in full])
    precision = np.linalg.inv(prior)[:, None]
    informed, pull = _as_normal(mixed, near, middle)
    covariance = np.linalg.inv(informed + precision)
    place = (covariance @ (pull[..., None] + precision @ mean[..., None]))[..., 0]
    draws, people, count = place.shape
    nodes = Posterior(place.reshape(-1, count), covariance.reshape(-1, count, count)).nodes(_NODES[count])
    own = nodes.deviation.reshape(draws, people, -1, count)
    flat = own.swapaxes(0, 1).reshape(people, -1, count)
    likelihood = profiles.value(shared, flat).reshape(people, draws, -1).swapaxes(0, 1)
    apart = own - mean[:, :, None]
    squares = np.einsum("tbqd,tde,tbqe->tbq", apart, precision[:, 0], apart, optimize=True)
    size = np.linalg.slogdet(prior)[1][:, None, None] + count * np.log(2 * np.pi)
    terms = nodes.log_weight.reshape(likelihood.shape) + likelihood - 0.5 * (squares + size)
    found: Real = logsumexp(terms, axis=2)
    return found


def _as_normal(mixed: Mixed, near: Posterior, middle: Real) -> tuple[Real, Real]:
    """Return the precision [B, D, D] of the normal likelihood that makes the posterior what it is, and times its mean.

    Where the posterior is wider than the prior in some direction, decisions are taken to say nothing of it.
    """
    mean, prior = _means(mixed, middle[None])[0], np.linalg.inv(mixed.covariance(middle))
    values, vectors = np.linalg.eigh(np.linalg.inv(near.covariance) - prior)
    kept = np.einsum("bde,be,bfe->bdf", vectors, (values > 0).astype(np.float64), vectors)
    informed = np.einsum("bde,be,bfe->bdf", vectors, np.maximum(values, 0.0), vectors)
    pull = np.linalg.solve(near.covariance, (mean + near.mean)[..., None])[..., 0] - mean @ prior
    return informed, np.einsum("bde,be->bd", kept, pull)


def _means(mixed: Mixed, full: Real) -> Real:
    """Return what the population says of everybody [T, B, D]."""
    coefficients = full[:, len(mixed.shared) : len(mixed.shared) + len(mixed.coefficients)]
    found: Real = np.einsum("tp,bdp->tbd", coefficients, mixed.design)
    return found
