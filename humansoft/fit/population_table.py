"""The table of a population's parameters: standard errors, intervals, and what runs away."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.linalg import null_space
from scipy.optimize import brentq

from humansoft.fit.arrow import dense, inverse
from humansoft.fit.boundary import ONE_SIDED_DROP, TWO_SIDED_DROP
from humansoft.fit.hierarchical import SMALLEST_SD, collapsed
from humansoft.fit.marginal import PopulationObjective
from humansoft.fit.mixed import Mixed
from humansoft.fit.population import Population
from humansoft.fit.population_lapse import highest_logit, log_likelihood
from humansoft.fit.satterthwaite import degrees_of_freedom, reach_95
from humansoft.fit.working_model import WorkingModel

Real = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_UNTOLD = 1e-4  # information about a log temperature or log spread: a standard error of 100 natural logs
_INVOLVED = 0.3  # share of a parameter in a direction that the data leave open
_VAGUE = 0.25  # standard error of a log spread from which its likelihood is not that of a normal distribution
_WIDEST = 12.0  # natural logs from the estimate within which an end of an interval is looked for
_FARTHEST = 40.0  # the same, of what runs away
_SAFE_SD = 0.02  # that stands for 0 where its inverse square, which moments to eight digits are taken times, is needed
_ROUNDING = 1e-12  # of the mean of a column that is 0, or of what does not move
_CLOSE, _NEAR = 1e-4, 5e-3  # how closely ends are found, of the latter if each of their values takes a maximum
_ABYSS = -1e4  # what stands for the logarithm of 0
_NEWTON_STEPS, _GAIN = 10, 2e-3  # towards the best of all else; nats that are worth another step
_FIRST_STEP = 0.25  # variance of a log standard deviation of which the estimate, 0, has no curvature


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What the data tell of a population's parameters.

    Attributes:
        covariance: [P, P] of the parameters as they are learned (:attr:`Mixed.turn`); 0 for fixed parameters, for a
            spread of 0 and for what runs away.
        runaway: [P] parameters whose likelihood rises for ever: the coefficient of a group in which nobody erred.
        paths: [P, P] in each column, how the parameters as they are learned move with one that runs away.
        errors: [V, P, P] independent standard errors of the covariance, V of them.
        spread: [r] what says how deviations vary, by the restricted likelihood.
        highest_logit: logit at which the one-sided interval of a lapse ends that people can do without, else nan.
    """

    covariance: Real
    runaway: Flags
    paths: Real
    errors: Real
    spread: Real
    highest_logit: float = float("nan")

    @classmethod
    def of(cls, known: Population, mixed: Mixed) -> "Uncertainty":
        """Return that of a population that other people told: what its intervals end at."""
        params = known.params
        low, high = (params[end].to_numpy(dtype=float) for end in ("ci_low", "ci_high"))
        untold = params["std_error"].isna().to_numpy() & ~params["fixed"].to_numpy(dtype=bool)
        lapse = untold & (params.index.get_level_values("name") == "logit_lapse")
        runaway = untold & ~lapse & (np.isinf(low) | np.isinf(high))
        covariance = mixed.from_terms @ known.covariance @ mixed.from_terms.T
        logit = float(high[lapse][0]) if lapse.any() else float("nan")
        errors = mixed.from_terms @ known.covariance_errors @ mixed.from_terms.T
        spread = np.log(np.maximum(known.sd.to_numpy(dtype=float), SMALLEST_SD / 2))
        return cls(covariance, runaway, mixed.from_terms, errors, spread, logit)

    @property
    def has_boundary(self) -> bool:
        """Whether some parameter has a one-sided interval."""
        return bool(self.runaway.any()) or not np.isnan(self.highest_logit)


def uncertainty(objective: PopulationObjective, full: Real) -> Uncertainty:
    """Return the inverse Hessian over what the data tell of the population.

    That of all but the spread is the one at the variances of deviations that maximise the restricted likelihood.
    """
    information, mixed = objective.hessian(torch.from_numpy(full)).scaled(-1.0).toarray(), objective.mixed
    moving = mixed.table.free & ~collapsed(mixed, full)
    runaway, paths = _runaway(mixed, information, moving)
    spread = mixed.split(full)[2]
    errors = np.zeros((0, len(full), len(full)))
    is_spread = np.arange(len(full)) >= len(full) - len(spread)
    small = is_spread & (full < np.log(_SAFE_SD))
    safe = np.where(small, np.log(_SAFE_SD), full)
    near = objective.around(safe) if _has_variances(mixed) else None
    if near is not None and not (runaway & is_spread & ~small).any():
        working = WorkingModel.of(near, safe, information, _directions(mixed, moving & ~runaway))
        variances = np.exp(2 * mixed.split(safe)[2])
        more = working.restricted(variances)
        working, spread = working.at(more), 0.5 * np.log(np.maximum(variances + more, SMALLEST_SD**2 / 4))
        information = working.information
        errors = np.einsum("vw,vpq->wpq", working.spread_errors(), working.lost)
    found = _inverse(mixed, information, moving, runaway)
    errors = found @ errors @ found
    return Uncertainty(found, runaway, paths, errors, spread, highest_logit(objective, full, found))


def _has_variances(mixed: Mixed) -> bool:
    """Whether the deviations are sums of independent ones, each with a variance."""
    return bool(mixed.spread) and all(row.kind == "log_sd" for row in mixed.spread)


def _directions(mixed: Mixed, moving: Flags) -> Real:
    """Return independent directions [P, q] in which all may move that is no spread, terms that do not move held."""
    kept = moving & (np.arange(len(moving)) < len(moving) - len(mixed.spread))
    found: Real = mixed.from_terms[:, kept]
    weights = mixed.table.mean_zero
    return found if weights is None else found @ null_space((weights @ found)[None])


def _inverse(mixed: Mixed, information: Real, moving: Flags, runaway: Flags) -> Real:
    """Return the covariance [P, P] of parameters as they are learned, if those of the terms that run away are held."""
    weights = mixed.table.mean_zero
    if not runaway.any():
        return inverse(dense(information), moving, weights).covariance.toarray()
    back = mixed.from_terms
    by_term = None if weights is None else back.T @ weights
    found = inverse(dense(back.T @ information @ back), moving & ~runaway, by_term).covariance.toarray()
    covariance: Real = back @ found @ back.T
    return covariance


def _runaway(mixed: Mixed, information: Real, moving: Flags) -> tuple[Flags, Real]:
    """[P] coefficients of terms and spreads that stand in a direction about which there is no information.

    And [P, P], in their columns, how the parameters as they are learned move when one of them is moved by 1 along such
    directions: with the slope of a column that is far from 0, the intercept has to.
    """
    table = mixed.table
    kept = np.flatnonzero(moving)
    sizes = _sizes(mixed, mixed.design)[kept]
    allowed = np.eye(len(kept))
    if table.mean_zero is not None:  # where a sum is held, nothing has to be known along it
        allowed = null_space((table.mean_zero[kept] / sizes)[None])
    values, vectors = np.linalg.eigh(allowed.T @ (information[np.ix_(kept, kept)] / np.outer(sizes, sizes)) @ allowed)
    untold = np.zeros((len(moving), int((values < _UNTOLD).sum())))
    untold[kept] = allowed @ vectors[:, values < _UNTOLD] / sizes[:, None]
    sizes = _sizes(mixed, mixed.design @ mixed.from_terms[_block(mixed), _block(mixed)])
    basis = np.linalg.qr(sizes[:, None] * (mixed.to_terms @ untold))[0]
    found = (np.abs(basis) > _INVOLVED).any(axis=1) & moving & ~table.is_reward
    share = np.where(found, (basis**2).sum(axis=1), 1.0)
    paths: Real = mixed.from_terms @ ((basis @ basis.T) / share * sizes / sizes[:, None])
    return found, paths


def _block(mixed: Mixed) -> slice:
    """Return where the coefficients stand."""
    return slice(len(mixed.shared), len(mixed.shared) + len(mixed.coefficients))


def _sizes(mixed: Mixed, design: Real) -> Real:
    """Return the sizes [P] of what the parameters multiply, coefficients those of a design [B, K, p]."""
    found = mixed.table.scales.copy()
    found[_block(mixed)] = np.sqrt((design**2).sum(axis=1).mean(axis=0))
    return np.maximum(found, 1e-300)


def population_params(objective: PopulationObjective, full: Real, uncertain: Uncertainty) -> pd.DataFrame:
    """Return one row a parameter: estimate, std_error, interval, df, unit, fixed.

    Intervals of coefficients and of what people share are of Student's t (Satterthwaite 1946); others are normal, those
    of vaguely known standard deviations from the profile likelihood (0 where people may not differ at all); that of a
    lapse which people can do without begins at 0; of what runs away, one end is where the likelihood falls behind by as
    much as a one-sided 95 % interval allows. Standard deviations are those of maximum likelihood, with their intervals.
    """
    mixed, table = objective.mixed, objective.table
    is_sd = np.array([row.kind == "log_sd" for row in table.rows], dtype=bool)
    is_correlation = np.array([row.kind == "atanh_correlation" for row in table.rows], dtype=bool)
    is_spread = is_sd | is_correlation
    gone = collapsed(mixed, full)
    lapse = table.is_lapse & ~np.isnan(uncertain.highest_logit)
    told = table.free & ~gone & ~uncertain.runaway & ~lapse
    if table.mean_zero is not None:
        held = np.abs(mixed.from_terms.T @ table.mean_zero) > _ROUNDING
        told &= ~held if np.count_nonzero(held) == 1 else True  # what is 0 by definition has no error
    covariance = mixed.to_terms @ uncertain.covariance @ mixed.to_terms.T
    errors = np.where(told, np.sqrt(np.maximum(np.diag(covariance), 0.0)), np.nan)
    by_term = mixed.to_terms @ full
    freedom = np.where(
        told & ~is_spread, degrees_of_freedom(mixed.to_terms, uncertain.covariance, uncertain.errors), np.inf
    )
    reach = reach_95(freedom) * errors
    low, high = by_term - reach, by_term + reach
    for place in np.flatnonzero(is_sd & ~uncertain.runaway & ((errors > _VAGUE) | gone)):
        low[place], high[place] = _profile(objective, full, uncertain, int(place))
    for place in np.flatnonzero(uncertain.runaway & ~lapse):
        ends = _one_sided(objective, full, uncertain.paths[:, place])
        low[place], high[place] = by_term[place] + ends[0], by_term[place] + ends[1]
    low, high = np.where(lapse, -np.inf, low), np.where(lapse, uncertain.highest_logit, high)
    with np.errstate(over="ignore"):
        shown = [np.where(is_sd, np.exp(x), np.where(is_correlation, np.tanh(x), x)) for x in (by_term, low, high)]
    slope = np.where(is_sd, shown[0], np.where(is_correlation, 1 - shown[0] ** 2, 1.0))
    return pd.DataFrame(
        {
            "estimate": np.where(gone, 0.0, shown[0]),
            "std_error": errors * slope,
            "ci_low": shown[1],
            "ci_high": shown[2],
            "df": np.where(told, freedom, np.nan),
            "unit": [row.unit for row in table.rows],
            "fixed": [row.fixed is not None for row in mixed.rows],
        },
        index=table.index(),
    )


def _profile(objective: PopulationObjective, full: Real, uncertain: Uncertainty, place: int) -> tuple[float, float]:
    """Return where the profile likelihood of a log standard deviation has fallen by half a chi-squared quantile.

    The other parameters follow along the line that their joint normal distribution says; where there is another
    standard deviation, which may take over, they are then led to their maximum.
    """
    variance = uncertain.covariance[place, place]
    path = uncertain.covariance[place] / variance if variance > 0 else np.eye(len(full))[place]
    goal = log_likelihood(objective, full) - TWO_SIDED_DROP
    several = len(objective.mixed.spread) > 1

    def excess(moved: float) -> float:
        if several:
            return _best_given(objective, full, uncertain.covariance, path, place, moved) - goal
        return log_likelihood(objective, full + moved * path) - goal

    ends = [_crossing(excess, side * _WIDEST, _NEAR if several else _CLOSE) for side in (-1, 1)]
    return float(full[place]) + ends[0], float(full[place]) + ends[1]


def _best_given(
    objective: PopulationObjective, full: Real, covariance: Real, path: Real, place: int, moved: float
) -> float:
    """Return the largest log-likelihood where a log standard deviation is held ``moved`` from its estimate.

    Newton's method with the curvature of the estimate, from the best of three starts: along the normal's line, with all
    else as it is, and with other standard deviations that take over from this one.
    """
    is_sd = np.array([row.kind == "log_sd" for row in objective.table.rows], dtype=bool)
    others = is_sd & (np.arange(len(full)) != place)
    objective = replace(objective, mixed=objective.mixed.releasing(others))
    alone = np.where(np.arange(len(full)) == place, full + moved, full)
    instead = np.where(others, np.logaddexp(2 * full, 2 * full[place]) / 2, alone)
    inner = covariance - np.outer(covariance[place], path)
    inner[others, others] = np.maximum(inner[others, others], _FIRST_STEP)
    starts = (full + moved * path, alone, instead)
    value, point, there = max((_placed(objective, point) for point in starts), key=lambda found: found[0])
    for _ in range(_NEWTON_STEPS):
        if there is None:
            break
        slope = there.scores(point).sum(axis=0)
        slope[place] = 0.0
        step = inner @ slope
        found = _placed(objective, point + step / max(1.0, float(np.abs(step).max())))
        if not found[0] > value + _GAIN:
            break
        value, point, there = found
    return value


def _placed(objective: PopulationObjective, full: Real) -> tuple[float, Real, PopulationObjective | None]:
    """Return the log-likelihood at a point, the point, and the objective with nodes there, if there is a solution."""
    there = objective.around(full)
    value = -np.inf if there is None else float(there.by_person(full).sum())
    return value, full, there if np.isfinite(value) else None


def _one_sided(objective: PopulationObjective, full: Real, path: Real) -> tuple[float, float]:
    """Return where the interval of a parameter that runs away ends, from its estimate, as it moves along a path [P].

    It has no end on the side to which it runs.
    """
    mixed = objective.mixed
    moved = (mixed.design @ path[_block(mixed)], path[len(path) - len(mixed.spread) :])
    logs = max(float(np.abs(by).max(initial=0.0)) for by in moved)  # that people's means or a spread move by
    unit = path / logs
    height = {sign: log_likelihood(objective, full + sign * 2.0 * unit) for sign in (-1.0, 1.0)}
    back = -1.0 if height[1.0] >= height[-1.0] else 1.0
    goal = max(log_likelihood(objective, full), *height.values()) - ONE_SIDED_DROP
    end = _crossing(lambda x: log_likelihood(objective, full + x * unit) - goal, back * _FARTHEST)
    end /= logs
    return (-np.inf, end) if back > 0 else (end, np.inf)


def _crossing(excess: Callable[[float], float], far: float, close: float = _CLOSE) -> float:
    """Return where a function that is positive at 0 falls below 0 on the way to ``far``; infinite if it does not."""
    if excess(far) >= 0:
        return float(np.copysign(np.inf, far))
    if excess(0.0) <= 0:  # no maximum was reached
        return 0.0
    return float(brentq(lambda x: max(excess(x), _ABYSS), 0.0, far, xtol=close))
