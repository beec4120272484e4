"""How a person deviates from the population, given its parameters: modes, moments, and nodes to integrate over.

The posterior of a person's deviation u is exp(loglik_i(own(u))) N(u; 0, Sigma). Adaptive Gauss-Hermite quadrature
(Pinheiro and Bates 1995) puts its nodes where that posterior is: at its mode first, then, because the likelihood
of few decisions is lopsided, at its own mean and covariance (Naylor and Smith 1982).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import logsumexp

from humansoft.fit.abstract_profiles import Profiles
from humansoft.fit.mixed import Mixed

Real = npt.NDArray[np.float64]

_MOST_STEPS, _HALVINGS = 60, 40
_LARGEST_STEP = 2.0  # of an own parameter in one step
_SETTLED = 1e-12  # nats that the next step would gain
_ROUNDS = 4  # of placing nodes at the moments that the nodes before gave
_MANY = 32  # nodes in one dimension from which equal distances serve any smooth shape better than one that is normal
_REACH = 8.0  # of these, in standard deviations
_SMALLEST_WEIGHT = 1e-9  # relative to the largest: corners of a product of rules that are not worth a solution


@dataclass(frozen=True, eq=False)
class Nodes:
    """Nodes and weights: the integral of exp(f(u)) over u is the sum of exp(log_weight + f(deviation)).

    Attributes:
        deviation: [B, Q, D].
        log_weight: [B, Q].
    """

    deviation: Real
    log_weight: Real


@dataclass(frozen=True, eq=False)
class Posterior:
    """The Gaussian that is nearest to each person's posterior deviation.

    Attributes:
        mean: [B, D] mode or mean.
        covariance: [B, D, D].
    """

    mean: Real
    covariance: Real

    def nodes(self, num_nodes: int) -> Nodes:
        """Return quadrature nodes where the posterior is, ``num_nodes`` a dimension."""
        points, log_weight = rule(num_nodes, self.mean.shape[1])
        root = np.linalg.cholesky(self.covariance)
        deviation = self.mean[:, None, :] + np.einsum("bde,qe->bqd", root, points)
        size = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        return Nodes(deviation, size[:, None] + log_weight)

    def sigma_points(self) -> tuple[Real, Real]:
        """Return points [B, 2 D + 1, D] and chances with the same mean and covariance (Julier and Uhlmann 1997)."""
        people, count = self.mean.shape
        root = np.linalg.cholesky(self.covariance) * np.sqrt(count + 1.0)
        away = np.concatenate([np.zeros((people, 1, count)), root.swapaxes(1, 2), -root.swapaxes(1, 2)], axis=1)
        chance = np.r_[1.0 / (count + 1), np.full(2 * count, 0.5 / (count + 1))]
        return self.mean[:, None, :] + away, np.tile(chance, (people, 1))


def log_density(mixed: Mixed, full: Real, deviation: Real) -> Real:
    """Return log N(u; 0, Sigma) [B, Q] of deviations [B, Q, D]."""
    covariance = mixed.covariance(full)
    if not len(covariance):
        return np.zeros(deviation.shape[:2])
    root = np.linalg.cholesky(covariance)
    standard = np.linalg.solve(root, deviation.reshape(-1, len(root)).T)
    found: Real = -0.5 * (standard**2).sum(axis=0) - np.log(np.diag(root)).sum() - len(root) / 2 * np.log(2 * np.pi)
    return found.reshape(deviation.shape[:2])


def joint(profiles: Profiles, mixed: Mixed, full: Real, deviation: Real) -> Real:
    """Return log-likelihood plus log density of deviations [B, Q, D] -> [B, Q]."""
    shared = mixed.split(full)[0]
    return profiles.value(shared, mixed.own(full, deviation)) + log_density(mixed, full, deviation)


def modes(profiles: Profiles, mixed: Mixed, full: Real, start: Real | None = None) -> Posterior | None:
    """Return everybody's most probable deviation and the curvature there; ``None`` where there is no solution.

    Newton's method for all people at once; each one's step is shortened until it gains.
    """
    count, dev = mixed.num_deviations, list(mixed.deviating)
    mean = np.zeros((mixed.num_people, count)) if start is None else start.copy()
    if not count:
        return Posterior(mean, np.zeros((mixed.num_people, 0, 0)))
    shared = mixed.split(full)[0]
    precision = np.linalg.inv(mixed.covariance(full))
    here = joint(profiles, mixed, full, mean[:, None])[:, 0]
    if not np.isfinite(here).all():
        return None if start is None else modes(profiles, mixed, full)
    for _ in range(_MOST_STEPS):
        own = mixed.own(full, mean[:, None])
        slope = profiles.scores(shared, own).own[:, 0, dev] - mean @ precision
        bent = profiles.curvature(shared, own)[:, 0][:, dev][:, :, dev]
        steepness = precision - _negative_part(bent)
        step = np.linalg.solve(steepness, slope[..., None])[..., 0]
        gain = (slope * step).sum(axis=1)
        if gain.max(initial=0.0) <= _SETTLED:
            break
        shorter: Real = step / np.maximum(np.abs(step).max(axis=1, keepdims=True) / _LARGEST_STEP, 1.0)
        mean, here = _improved(profiles, mixed, full, mean, shorter, here)
    exact = precision - bent
    definite = np.linalg.eigvalsh(exact)[:, 0] > 0
    covariance: Real = np.linalg.inv(np.where(definite[:, None, None], exact, steepness)).astype(np.float64)
    return Posterior(mean, covariance)


def _improved(profiles: Profiles, mixed: Mixed, full: Real, mean: Real, step: Real, here: Real) -> tuple[Real, Real]:
    """Take each person's step, shortened until it does not lose."""
    length = np.ones(len(mean))
    for _ in range(_HALVINGS):
        moved = mean + length[:, None] * step
        value = joint(profiles, mixed, full, moved[:, None])[:, 0]
        worse = ~(value >= here - 1e-12 * np.abs(here))
        if not worse.any():
            return moved, value
        length = np.where(worse, length / 2, length)
    return np.where(worse[:, None], mean, moved), np.where(worse, here, value)


def adapted(profiles: Profiles, mixed: Mixed, full: Real, num_nodes: int, start: Real | None = None) -> Nodes | None:
    """Return nodes where everybody's posterior is, ``None`` where there is no solution."""
    found = modes(profiles, mixed, full, start)
    if found is None:
        return None
    nodes = found.nodes(num_nodes)
    for _ in range(_ROUNDS if mixed.num_deviations else 0):
        terms = nodes.log_weight + joint(profiles, mixed, full, nodes.deviation)
        if not np.isfinite(logsumexp(terms, axis=1)).all():
            return None
        nodes = moments(nodes, np.exp(terms - logsumexp(terms, axis=1, keepdims=True))).nodes(num_nodes)
    return nodes


def moments(nodes: Nodes, chance: Real) -> Posterior:
    """Return the means and covariances of deviations that have some probabilities [B, Q]."""
    mean = np.einsum("bq,bqd->bd", chance, nodes.deviation)
    apart = nodes.deviation - mean[:, None, :]
    return Posterior(mean, np.einsum("bq,bqd,bqe->bde", chance, apart, apart))


def _negative_part(bent: Real) -> Real:
    """Return the nearest matrices [B, D, D] without positive eigenvalues."""
    values, vectors = np.linalg.eigh(bent)
    found: Real = np.einsum("bde,be,bfe->bdf", vectors, np.minimum(values, 0.0), vectors)
    return found


@cache
def rule(num_nodes: int, dimensions: int) -> tuple[Real, Real]:
    """Return points [Q, D] and log weights [Q] for integrals over all of space: Gauss-Hermite, or many at one distance.

    With the latter, the error is exponentially small in their number where all is smooth at their distance (Trefethen
    and Weideman 2014), a plateau with an edge included.
    """
    if not dimensions:
        return np.zeros((1, 0)), np.zeros(1)
    if dimensions == 1 and num_nodes >= _MANY:
        even = np.linspace(-_REACH, _REACH, num_nodes)
        return even[:, None], np.full(num_nodes, np.log(even[1] - even[0]))
    points, weights = hermegauss(num_nodes)
    grid = np.stack(np.meshgrid(*[points] * dimensions, indexing="ij"), axis=-1).reshape(-1, dimensions)
    mass = np.stack(np.meshgrid(*[weights] * dimensions, indexing="ij"), axis=-1).reshape(-1, dimensions).prod(axis=1)
    kept = mass > _SMALLEST_WEIGHT * mass.max() if dimensions > 1 else np.ones(len(mass), dtype=bool)
    return grid[kept], (np.log(mass) + 0.5 * (grid**2).sum(axis=1))[kept]
