"""What each person's decisions say of a population: the person's own temperature integrated out, at many draws.

This is the likelihood that leave-one-person-out cross-validation needs (SCIENCE 4.6): at the person's own drawn
temperature it would say how well people are described after they were seen.
"""

import numpy as np
import numpy.typing as npt

from humansoft.fit.abstract_profiles import Profiles
from humansoft.fit.deviations import Posterior
from humansoft.fit.mixed import Mixed
from humansoft.fit.nested_nodes import Line, NestedNodes, Sizes
from humansoft.fit.population_density import PopulationDraws
from humansoft.fit.repeated import RepeatedProfiles

Real = npt.NDArray[np.float64]

_NODES, _NESTED = 31, 11  # a dimension: some draws lie far out, where posteriors are less like a normal
_AT_ONCE = 6_000  # numbers of a subject, where all draws are of one reward


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
    informed, pull = _as_normal(mixed, near, middle)
    nested = profiles if isinstance(profiles, RepeatedProfiles) and mixed.is_nested else None

    def at(full: Real) -> Real:
        """Return it at draws [T, P] that have the shared parameters of the first."""
        if nested is None:
            return _single(profiles, mixed, full, informed[:, 0], pull)
        return _nested(nested, mixed, full, np.diagonal(informed, axis1=1, axis2=2), pull)

    size = 1 if mixed.free_shared.any() else max(_AT_ONCE // (_NODES if nested is None else _NESTED**2), 1)
    return np.concatenate([at(draws.full[low : low + size]) for low in range(0, len(draws.full), size)])


def _single(profiles: Profiles, mixed: Mixed, full: Real, informed: Real, pull: Real) -> Real:
    """Return it where people have one deviation, and likelihoods like normals [B, 1]."""
    mean = _means(mixed, full)[..., 0].T
    size = np.sqrt(np.array([mixed.covariance(point)[0, 0] for point in full]))
    variance = 1 / (informed + size**-2)
    line = Line.at(variance * (pull - informed * mean), variance, _NODES)
    own = mean[..., None] + line.nodes
    values = profiles.value(mixed.split(full[0])[0], own.reshape(len(own), -1, 1)).reshape(own.shape)
    found: Real = line.integrated(values, size[:, None])[0].T
    return found


def _nested(profiles: RepeatedProfiles, mixed: Mixed, full: Real, informed: Real, pull: Real) -> Real:
    """Return it where people were met in several conditions, with likelihoods like normals [B, D]."""
    by_subject, sizes = profiles.measures.by_subject, Sizes.of(mixed, full)
    mean = by_subject(np.moveaxis(_means(mixed, full), 0, -1))
    precision, slope = by_subject(informed)[:, None], by_subject(pull)[:, None]
    nodes = NestedNodes.of_normal(profiles.measures, precision, slope - precision * mean, sizes, _NESTED)
    own = mean[..., None, None] + nodes.deviation
    values = profiles.single.value(mixed.split(full[0])[0], own.reshape(len(own), -1, 1)).reshape(own.shape)
    return nodes.weighed(values, sizes).log_likelihood.T


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
