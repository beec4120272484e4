"""What is known of each person of a population: the moments of their deviation, and where its central 95 % end.

Where people's standard deviation is estimated as 0, the posteriors are points at the mean, as if it were known that
nobody differs. There people are seen through all standard deviations s that are still likely: close to 0, the
likelihood of s falls like exp(-c s^2), and the end of its 95 % interval says how fast.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.integrate import cumulative_trapezoid, trapezoid

from humansoft.fit.boundary import TWO_SIDED_DROP
from humansoft.fit.deviations import Posterior, joint
from humansoft.fit.hierarchical import collapsed
from humansoft.fit.marginal import MarginalLikelihood, PopulationObjective

Real = npt.NDArray[np.float64]

_GRID, _WIDTH = 161, 9.0  # points and half width (in standard deviations) of the grid of a deviation
_SPREADS, _MOST = 24, 2.0  # standard deviations to average over, up to so many times the end of their interval
_FEW_SPREADS = 8  # the same, where each takes an integral over several deviations
_CURVED = 4.0  # how much closer the grid's points are in the middle, where small standard deviations keep people
_TAIL = 0.025


@dataclass(frozen=True, eq=False)
class PeoplePosterior:
    """The posterior of everybody's deviations.

    Attributes:
        moments: their means and covariances.
        tails: [B, 2] where the central 95 % of a single deviation end, from its mean; ``None``: as in a normal.
    """

    moments: Posterior
    tails: Real | None

    @classmethod
    def of(cls, objective: PopulationObjective, full: Real, population: pd.DataFrame) -> "PeoplePosterior":
        """Return it at parameters of a population.

        Args:
            objective: the population's likelihood.
            full: [P] the parameters.
            population: their table, with the interval of each.
        """
        found = objective.posterior(full)
        assert found is not None, "the maximum is feasible"
        gone = collapsed(objective.mixed, full)
        ends = np.where(gone, population["ci_high"].to_numpy(dtype=float), 0.0)
        gone = (ends > 0) & (ends < np.inf) & (objective.mixed.num_people > 1)  # of one person, a spread says nothing
        if objective.mixed.num_deviations != 1:
            return cls(_averaged_moments(objective, full, ends, gone) if gone.any() else found, None)
        if gone.any():
            return _averaged(objective, full, gone, float(ends.max()))
        if not isinstance(objective, MarginalLikelihood):
            return cls(found, None)
        # Few decisions make it lopsided: who never erred may be much colder than the mean, but hardly hotter.
        apart = np.sqrt(found.covariance[:, 0, 0])[:, None] * np.linspace(-_WIDTH, _WIDTH, _GRID)
        height = joint(objective.profiles, objective.mixed, full, (found.mean + apart)[:, :, None])
        return cls(found, _tails(np.exp(height - height.max(axis=1, keepdims=True)), apart))


def _averaged(
    objective: PopulationObjective, full: Real, gone: npt.NDArray[np.bool_], highest: float
) -> PeoplePosterior:
    """Return the posterior averaged over a standard deviation, whose likelihood falls to the end of its interval."""
    line = np.sinh(_CURVED * np.linspace(-1.0, 1.0, 2 * _GRID - 1)) / np.sinh(_CURVED)
    deviation = np.tile(_WIDTH * highest * line, (objective.mixed.num_people, 1))
    mass = np.zeros_like(deviation)
    for share in (np.arange(_SPREADS) + 0.5) * _MOST / _SPREADS:
        there = np.where(gone, np.log(share * highest), full)
        height = joint(objective.profiles, objective.mixed, there, deviation[:, :, None])
        density = np.exp(height - height.max(axis=1, keepdims=True))
        mass += np.exp(-TWO_SIDED_DROP * share**2) * density / trapezoid(density, deviation, axis=1)[:, None]
    mass /= trapezoid(mass, deviation, axis=1)[:, None]
    mean = trapezoid(mass * deviation, deviation, axis=1)
    apart = deviation - mean[:, None]
    variance = trapezoid(mass * apart**2, deviation, axis=1)
    return PeoplePosterior(Posterior(mean[:, None], variance[:, None, None]), _tails(mass, apart))


def _averaged_moments(objective: PopulationObjective, full: Real, ends: Real, gone: npt.NDArray[np.bool_]) -> Posterior:
    """Return the moments of several deviations, averaged over standard deviations like the posterior of a single one.

    Args:
        objective: the population's likelihood.
        full: [P] its maximum.
        ends: [P] where the intervals of standard deviations end.
        gone: [P] which of these are averaged over.
    """
    weights, found = [], []
    for share in (np.arange(_FEW_SPREADS) + 0.5) * _MOST / _FEW_SPREADS:
        at = np.where(gone, np.log(np.where(gone, share * ends, 1.0)), full)
        near = objective.around(at)
        posterior = None if near is None else near.posterior(at)
        if posterior is not None:
            weights.append(np.exp(-TWO_SIDED_DROP * share**2))
            found.append(posterior)
    weight = np.array(weights) / np.sum(weights)
    means = np.stack([posterior.mean for posterior in found])
    mean = np.einsum("s,sbd->bd", weight, means)
    apart = means - mean
    inside = np.stack([posterior.covariance for posterior in found]) + apart[..., :, None] * apart[..., None, :]
    return Posterior(mean, np.einsum("s,sbde->bde", weight, inside))


def _tails(mass: Real, apart: Real) -> Real:
    """Return the quantiles [B, 2] of densities [B, Q] over points."""
    below = cumulative_trapezoid(mass, apart, axis=1, initial=0)
    below /= below[:, -1:]
    return np.array([np.interp((_TAIL, 1 - _TAIL), b, a) for b, a in zip(below, apart, strict=True)])
