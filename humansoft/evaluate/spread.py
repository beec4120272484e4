"""From the covariance of parameters to that of what depends on them: standard errors, intervals and ranks."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from humansoft.errors import NotAvailableError
from humansoft.fit.arrow import BlockCovariance
from humansoft.fit.intervals import NORMAL_95
from humansoft.fit.result import Fit

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Function = Callable[[Real], Real]
Scale = tuple[Function, Function, Function]

NUM_DRAWS = 2_000
MOST_RANKED = 1_000
"""Ranks of more people come without intervals, which take the covariance of everybody with everybody."""


def usual_covariance(fit: Fit) -> tuple[BlockCovariance, str] | None:
    """Return one covariance of all free parameters and its name, or ``None`` where the fit has none.

    That which people's own parameters are reported with, if all of them are reported with the same. Else the inverse
    Hessian: a cluster sum of somebody with a single episode is 0 at the optimum, and would make them look certain.
    """
    table = fit.model.table
    free = table.free & (fit.params["boundary"].to_numpy() == "")
    own = free & np.array([row.level != "shared" for row in table.rows], dtype=bool)
    named = fit.params["std_error_kind"][own if own.any() else free]
    kinds = [str(kind) for kind in named.unique()]
    for kind in dict.fromkeys([*(kinds if len(kinds) == 1 else []), "hessian"]):
        try:
            found = fit.covariances.matrix(kind)
        except NotAvailableError:
            continue
        if found.unknown is None or not (found.unknown & free).any():
            return found, kind
    return None


def row_covariances(covariance: BlockCovariance, owner: Index) -> Real:
    """Return the covariance [R, C, C] of the parameters [R, C] that each row depends on; 0 where there is none (-1)."""
    own = covariance.layout.own
    row_of, place_of = (np.full(covariance.layout.size + 1, -1) for _ in range(2))
    rows, places = np.nonzero(own >= 0)
    row_of[own[rows, places]], place_of[own[rows, places]] = rows, places
    row, place = row_of[owner], place_of[owner]
    factor = np.vstack([covariance.factor, np.zeros((1, covariance.factor.shape[1]))])[owner]
    found = np.einsum("rcq,qp,rdp->rcd", factor, covariance.core, factor, optimize=True)
    if own.shape[1]:
        alike = (row[:, :, None] == row[:, None, :]) & (row[:, :, None] >= 0)
        found += np.where(alike, covariance.blocks[row[:, :, None], place[:, :, None], place[:, None, :]], 0.0)
    missing = owner < 0
    return np.where(missing[:, :, None] | missing[:, None, :], 0.0, found)


def columns_of(slopes: Real, owner: Index, size: int) -> Real:
    """Return the slopes [R, C] of each row as columns of parameters [P, R]."""
    columns = np.zeros((size + 1, len(owner)))
    np.add.at(columns, (owner, np.arange(len(owner))[:, None]), slopes)
    return columns[:-1]


def ranks_of(covariance: BlockCovariance, places: Index, estimates: Real, seed: int) -> tuple[Real, Real]:
    """Return the 95 % interval of the rank of each of some parameters, by their places, smallest first."""
    columns = np.zeros((covariance.layout.size, len(places)))
    columns[places, np.arange(len(places))] = 1.0
    return rank_intervals(estimates, covariance.times(columns)[places], seed)


def rank_intervals(values: Real, covariance: Real, seed: int) -> tuple[Real, Real]:
    """Return the 95 % interval of the rank of each of some estimates [N], smallest first.

    Ranks of draws from the estimates' joint normal distribution; equal values share the mean of their ranks.

    Args:
        values: the estimates.
        covariance: [N, N] of them.
        seed: of the draws.

    Example:
        >>> low, high = rank_intervals(np.array([1.0, 2.0, 2.1]), np.diag([1e-4, 0.04, 0.04]), seed=1)
        >>> low.tolist(), high.tolist()
        ([1.0, 2.0, 2.0], [1.0, 3.0, 3.0])
    """
    sizes, directions = np.linalg.eigh((covariance + covariance.T) / 2)
    root = directions * np.sqrt(np.maximum(sizes, 0.0))
    draws = values + np.random.default_rng(seed).normal(size=(NUM_DRAWS, len(values))) @ root.T
    ranks = rankdata(draws, axis=1)
    low, high = np.quantile(ranks, [0.025, 0.975], axis=0, method="inverted_cdf")
    return low, high


def variances(slopes: Real, covariance: Real) -> Real:
    """Return the variance [R, Q] of what moves by slopes [R, Q, C] with parameters of covariance [R, C, C]."""
    found: Real = np.einsum("rmc,rcd,rmd->rm", slopes, covariance, slopes, optimize=True)
    return np.asarray(np.maximum(found, 0.0))


def bounded(scale: Scale, value: Real, error: Real) -> tuple[Real, Real]:
    """Return the interval of a measure by the delta method on a scale on which it is unbounded."""
    to, slope, back = scale
    with np.errstate(divide="ignore", invalid="ignore"):
        middle, reach = to(value), NORMAL_95 * error * np.abs(slope(value))
        ends = np.stack([back(middle - reach), back(middle + reach)])
    # Where nothing is uncertain the interval is the value, whatever the scale.
    ends = np.where(error == 0, value, np.where(np.isfinite(middle) & np.isfinite(reach), ends, np.nan))
    return ends.min(axis=0), ends.max(axis=0)


def bounded_along(scale: Scale, value: Real, values: Real, errors: Real) -> tuple[Real, Real]:
    """Return the interval of a measure that is known along the interval of one parameter.

    Its ends are the smallest and the largest value along there. What other parameters leave uncertain at these is added
    as squares are, on a scale on which the measure is unbounded.

    Args:
        scale: that scale.
        value: [R] at the estimates.
        values: [K, R] along the interval, the estimate among them.
        errors: [K, R] standard errors that other parameters give there.
    """
    to, slope, back = scale
    ends: list[Real] = []
    for place in (values.argmin(axis=0), values.argmax(axis=0)):
        end, error = (np.take_along_axis(table, place[None], axis=0)[0] for table in (values, errors))
        with np.errstate(divide="ignore", invalid="ignore"):
            middle, away = to(value), to(end) - to(value)
            other = NORMAL_95 * error * np.abs(slope(end))
            reach = np.hypot(away, other)
            both = np.stack([back(middle - reach), back(middle + reach)])
        moved = both.max(axis=0) if ends else both.min(axis=0)
        # At the end of its range a measure has no place on that scale; where nothing is uncertain, nothing is added.
        told = (error > 0) & np.isfinite(middle) & np.isfinite(away) & np.isfinite(other)
        ends.append(np.where(told, moved, end))
    return ends[0], ends[1]


def _expit(x: Real) -> Real:
    return np.exp(-np.logaddexp(0.0, -x))


_BELOW_ONE: Scale = (
    lambda v: np.log(1.0 - v),
    lambda v: 1.0 / (1.0 - v),
    lambda x: 1.0 - np.exp(x),
)
_SHARE: Scale = (lambda v: np.log(v / (1.0 - v)), lambda v: 1.0 / (v * (1.0 - v)), _expit)
_POSITIVE: Scale = (np.log, lambda v: 1.0 / v, np.exp)
SCALES = {
    "normalised_value": _BELOW_ONE,
    "choice_error": _SHARE,
    "costly_error": _SHARE,
    **dict.fromkeys(("information_bits", "complexity_bits", "signal_to_noise", "regret_per_decision"), _POSITIVE),
}
"""Each measure's scale without bounds: to it, its slope, and back."""
