"""The lapse of a population: whether its people can do without, and how large it may be.

As in fits one by one (:mod:`humansoft.fit.boundary`), a likelihood that is best without lapses is a result: the lapse
is held at 0 while all else settles, and has a one-sided interval.
"""

import numpy as np
import numpy.typing as npt
import torch

from humansoft.fit.boundary import FLAT, NEVER, ONE_SIDED_DROP, highest_lapse
from humansoft.fit.marginal import PopulationObjective
from humansoft.fit.mixed import Mixed

Real = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_NOTICEABLE = -5.0  # a lapse of .7 %: from further below, hardly anything leads up


def noticeable_lapse(mixed: Mixed, full: Real) -> Real:
    """Return parameters [P] in which people lapse often enough for the likelihood to tell whether they should more."""
    found: Real = np.where(mixed.table.is_lapse & mixed.table.free, np.maximum(full, _NOTICEABLE), full)
    return found


def needless_lapse(objective: PopulationObjective, full: Real) -> Flags:
    """[P] whether a parameter is a lapse that is learned and has become rare, and the likelihood is as good without.

    None at all can be better than too many where a few are better still: a lapse has to go down by itself first.
    """
    lapse = objective.table.is_lapse & objective.table.free & (full < _NOTICEABLE)
    if not lapse.any():
        return lapse
    here, never = (float(objective.by_person(x).sum()) for x in (full, np.where(lapse, NEVER, full)))
    return lapse & (never >= here - FLAT)


def missed_lapse(objective: PopulationObjective, free: Mixed, full: Real) -> Flags:
    """[P] whether a lapse is held at 0 that would be learned (in ``free``), and now the likelihood is better with it.

    Whether lapses are needed depends on how much people differ, and that was not known when it was held.
    """
    held = objective.table.is_lapse & free.table.free & ~objective.table.free
    if not held.any():
        return held
    here, some = (float(objective.by_person(x).sum()) for x in (full, np.where(held, _NOTICEABLE, full)))
    return held & (some > here + FLAT)


def highest_logit(objective: PopulationObjective, full: Real, covariance: Real) -> float:
    """Return the end of the one-sided interval of a lapse that a population can do without, nan where it cannot.

    A lapse and temperatures explain the same mistakes: all other parameters follow, by a step of Newton's method.

    Args:
        objective: the likelihood of the population.
        full: [P] its maximum.
        covariance: [P, P] of what the data tell of it.
    """
    lapse = np.array([row.kind == "logit_lapse" and row.fixed is None for row in objective.mixed.rows], dtype=bool)
    if not lapse.any():
        return float("nan")
    here, never = (log_likelihood(objective, x) for x in (full, np.where(lapse, NEVER, full)))
    if never < here - ONE_SIDED_DROP:
        return float("nan")
    others = _given(covariance, int(np.flatnonzero(lapse)[0]))

    def newton_step(point: Real) -> tuple[Real, float]:
        gradient = objective.gradient(torch.from_numpy(point))
        step: Real = others @ gradient
        return step, 0.5 * float(gradient @ step)

    def profile(logit: float) -> float:
        point = np.where(lapse, logit, full)
        step, gain = newton_step(point)
        straight, followed = (log_likelihood(objective, x) for x in (point, point + step))
        if not followed > straight:
            return straight + gain
        return followed + newton_step(point + step)[1]

    return highest_lapse(profile, max(here, never) - ONE_SIDED_DROP)


def log_likelihood(objective: PopulationObjective, full: Real) -> float:
    """Return the log-likelihood with nodes where the posteriors are at these parameters."""
    return float(by_person_at(objective, full).sum())


def by_person_at(objective: PopulationObjective, full: Real) -> Real:
    """Return that of each person [B], minus infinity where there is no solution."""
    there = objective.around(full)
    return np.full(objective.mixed.num_people, -np.inf) if there is None else there.by_person(full)


def _given(covariance: Real, place: int) -> Real:
    """Return the covariance of all other parameters where one is known."""
    variance = covariance[place, place]
    if variance <= 0:
        return covariance
    found: Real = covariance - np.outer(covariance[place], covariance[place]) / variance
    return found
