"""The table of a population's parameters: standard errors, intervals, and what runs away."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.linalg import null_space
from scipy.optimize import brentq

from humansoft.fit.arrow import inverse
from humansoft.fit.boundary import ONE_SIDED_DROP
from humansoft.fit.hierarchical import collapsed
from humansoft.fit.intervals import NORMAL_95
from humansoft.fit.marginal import PopulationObjective
from humansoft.fit.population import Population
from humansoft.fit.population_lapse import highest_logit, log_likelihood

Real = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_TWO_SIDED_DROP = 1.9207294103470467  # half the .95 quantile of chi-squared with 1 degree of freedom
_UNTOLD = 1e-4  # information about a log temperature or log spread: a standard error of 100 natural logs
_INVOLVED = 0.3  # share of a parameter in a direction that the data leave open
_VAGUE = 0.25  # standard error of a log spread from which its likelihood is not that of a normal distribution
_WIDEST = 12.0  # natural logs from the estimate within which an end of an interval is looked for
_FARTHEST = 40.0  # the same, of what runs away
_CLOSE, _ABYSS = 1e-4, -1e4  # how closely ends are found; what stands for the logarithm of 0


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What the data tell of a population's parameters.

    Attributes:
        covariance: [P, P]; 0 for fixed parameters, for a spread of 0 and for what runs away.
        runaway: [P] parameters whose likelihood rises for ever: a group in which nobody erred.
        highest_logit: logit at which the one-sided interval of a lapse ends that people can do without, else nan.
    """

    covariance: Real
    runaway: Flags
    highest_logit: float = float("nan")

    @classmethod
    def of(cls, known: Population) -> "Uncertainty":
        """Return that of a population that other people told: what its intervals end at."""
        params = known.params
        low, high = (params[end].to_numpy(dtype=float) for end in ("ci_low", "ci_high"))
        untold = params["std_error"].isna().to_numpy() & ~params["fixed"].to_numpy(dtype=bool)
        lapse = untold & (params.index.get_level_values("name") == "logit_lapse")
        runaway = untold & ~lapse & (np.isinf(low) | np.isinf(high))
        return cls(known.covariance, runaway, float(high[lapse][0]) if lapse.any() else float("nan"))

    @property
    def has_boundary(self) -> bool:
        """Whether some parameter has a one-sided interval."""
        return bool(self.runaway.any()) or not np.isnan(self.highest_logit)


def uncertainty(objective: PopulationObjective, full: Real) -> Uncertainty:
    """Return the inverse Hessian over what the data tell of the population."""
    information, table = objective.hessian(torch.from_numpy(full)).scaled(-1.0), objective.table
    moving = table.free & ~collapsed(objective.mixed, full)
    runaway = _runaway(objective, information.toarray(), moving)
    found = inverse(information, moving & ~runaway, table.mean_zero).covariance.toarray()
    return Uncertainty(found, runaway, highest_logit(objective, full, found))


def _runaway(objective: PopulationObjective, information: Real, moving: Flags) -> Flags:
    """[P] coefficients and spreads that stand in a direction about which there is no information."""
    mixed, table = objective.mixed, objective.table
    sizes = table.scales.copy()
    first = len(mixed.shared)
    sizes[first : first + len(mixed.coefficients)] = np.sqrt((mixed.design**2).sum(axis=1).mean(axis=0))
    sizes = np.maximum(sizes, 1e-300)
    kept = np.flatnonzero(moving)
    allowed = np.eye(len(kept))
    if table.mean_zero is not None:  # where a sum is held, nothing has to be known along it
        allowed = null_space((table.mean_zero / sizes)[None, kept])
    values, vectors = np.linalg.eigh(
        allowed.T @ (information[np.ix_(kept, kept)] / np.outer(sizes[kept], sizes[kept])) @ allowed
    )
    involved = (np.abs(allowed @ vectors[:, values < _UNTOLD]) > _INVOLVED).any(axis=1)
    found = np.zeros(len(moving), dtype=bool)
    found[kept[involved]] = True
    return found & ~table.is_reward


def population_params(objective: PopulationObjective, full: Real, uncertain: Uncertainty) -> pd.DataFrame:
    """Return one row a parameter: estimate, std_error, interval, unit, fixed.

    Intervals are normal, those of vaguely known standard deviations from the profile likelihood (0 where people may
    not differ at all); that of a lapse which people can do without begins at 0; of what runs away, one end is where
    the likelihood falls behind by as much as a one-sided 95 % interval allows.
    """
    mixed, table = objective.mixed, objective.table
    is_sd = np.array([row.kind == "log_sd" for row in table.rows], dtype=bool)
    is_correlation = np.array([row.kind == "atanh_correlation" for row in table.rows], dtype=bool)
    gone = collapsed(mixed, full)
    lapse = table.is_lapse & ~np.isnan(uncertain.highest_logit)
    told = table.free & ~gone & ~uncertain.runaway & ~lapse
    if table.mean_zero is not None and np.count_nonzero(table.mean_zero) == 1:
        told &= table.mean_zero == 0  # what is 0 by definition has no error
    errors = np.where(told, np.sqrt(np.maximum(np.diag(uncertain.covariance), 0.0)), np.nan)
    low, high = full - NORMAL_95 * errors, full + NORMAL_95 * errors
    for place in np.flatnonzero(is_sd & ~uncertain.runaway & ((errors > _VAGUE) | gone)):
        low[place], high[place] = _profile(objective, full, uncertain, int(place))
    for place in np.flatnonzero(uncertain.runaway & ~lapse):
        low[place], high[place] = _one_sided(objective, full, int(place))
    low, high = np.where(lapse, -np.inf, low), np.where(lapse, uncertain.highest_logit, high)
    with np.errstate(over="ignore"):
        shown = [np.where(is_sd, np.exp(x), np.where(is_correlation, np.tanh(x), x)) for x in (full, low, high)]
    slope = np.where(is_sd, shown[0], np.where(is_correlation, 1 - shown[0] ** 2, 1.0))
    return pd.DataFrame(
        {
            "estimate": np.where(gone, 0.0, shown[0]),
            "std_error": errors * slope,
            "ci_low": shown[1],
            "ci_high": shown[2],
            "unit": [row.unit for row in table.rows],
            "fixed": [row.fixed is not None for row in mixed.rows],
        },
        index=table.index(),
    )


def _profile(objective: PopulationObjective, full: Real, uncertain: Uncertainty, place: int) -> tuple[float, float]:
    """Return where the profile likelihood of a log standard deviation has fallen by half a chi-squared quantile.

    The other parameters follow along the line that their joint normal distribution says.
    """
    variance = uncertain.covariance[place, place]
    path = uncertain.covariance[place] / variance if variance > 0 else np.eye(len(full))[place]
    goal = log_likelihood(objective, full) - _TWO_SIDED_DROP
    ends = [_crossing(lambda x: log_likelihood(objective, full + x * path) - goal, side * _WIDEST) for side in (-1, 1)]
    return float(full[place]) + ends[0], float(full[place]) + ends[1]


def _one_sided(objective: PopulationObjective, full: Real, place: int) -> tuple[float, float]:
    """Return the interval of a parameter that runs away: without an end on the side to which it runs."""
    unit = np.eye(len(full))[place]
    height = {sign: log_likelihood(objective, full + sign * 2.0 * unit) for sign in (-1.0, 1.0)}
    back = -1.0 if height[1.0] >= height[-1.0] else 1.0
    goal = max(log_likelihood(objective, full), *height.values()) - ONE_SIDED_DROP
    end = float(full[place]) + _crossing(lambda x: log_likelihood(objective, full + x * unit) - goal, back * _FARTHEST)
    return (-np.inf, end) if back > 0 else (end, np.inf)


def _crossing(excess: Callable[[float], float], far: float) -> float:
    """Return where a function that is positive at 0 falls below 0 on the way to ``far``; infinite if it does not."""
    if excess(far) >= 0:
        return float(np.copysign(np.inf, far))
    if excess(0.0) <= 0:  # no maximum was reached
        return 0.0
    return float(brentq(lambda x: max(excess(x), _ABYSS), 0.0, far, xtol=_CLOSE))
