"""How well a fit predicts each person or episode that was left out of it, without fitting once for each.

What is scored is the estimate itself, with maximum likelihood the plug-in estimate. (Draws from a normal
approximation, weighted to the exact likelihood, would score another predictor: the posterior under a flat prior. That
depends on whether temperatures or their logarithms are flat, and does not exist for people at a boundary.) So the
estimate without unit i is found by one Newton step from the whole estimate. With the unit's score g and information U,
and C the inverse of the whole information,

    change = -C (1 - U C)^-1 g,

exact for quadratic likelihoods; its first order is the infinitesimal jackknife. The unit is then solved for exactly at
what came out. One step is not enough where the unit alone knows more than .3 of some direction (the largest
eigenvalue of U C, its leverage), or where likelihoods bend: with a cubic term T of the whole likelihood, one step is
off by T / 2, and T is told by how far the unit's own likelihood misses what its slope and curvature promise, over its
share of the data. The fit without such a unit is found by Newton's method; where that does not settle, or runs to a
boundary, the unit is marked: "refit".

Where people come from a population, a person is scored with own parameters integrated out
(:mod:`humansoft.evaluate.population_leave_one_out`); of draws from a posterior, by importance sampling.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from humansoft.data.log import BehaviorLog
from humansoft.errors import NotAvailableError, UsageError
from humansoft.evaluate.fitted_decisions import UnitName, Units, units_of
from humansoft.evaluate.left_out import MOST_LEVERAGE, REFIT, REFITTED, Left, table_of
from humansoft.evaluate.population_leave_one_out import leave_people_out
from humansoft.evaluate.posterior_leave_one_out import leave_one_out_of_posterior, posterior_of
from humansoft.fit.arrow import BlockCovariance, inverse
from humansoft.fit.boundary import find_boundary
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.result import Fit, FitStatus

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_MOST_BEND = 0.005  # nats, of each unit: they add up
_MOST_STEPS, _MOST_HALVINGS, _DECREMENT = 30, 12, 1e-8


def leave_one_out(fit: Fit, unit: UnitName = "subject", log: BehaviorLog | None = None) -> pd.DataFrame:
    """Return the log probability of each unit under the estimates without it.

    Returns:
        One row a unit: num_decisions, log_likelihood (with it), log_predictive (without it), leverage, and
        mark: "", "refitted" (found by fitting the others) or "refit" (nothing settled: not to be trusted). Of people
        from a population, both are marginal likelihoods; of draws from a posterior, log_predictive, pareto_k and mark.

    Raises:
        UsageError: leaving a unit out leaves nothing to predict it from, with the way out.
    """
    posterior = posterior_of(fit)
    if posterior is not None:
        return leave_one_out_of_posterior(posterior, unit)
    if fit.population is not None and unit == "subject":
        return leave_people_out(fit, log)
    _require_defined(fit, unit)
    units = units_of(fit, unit, log)
    before = units.log_likelihood()
    found = None
    if fit.model.table.num_free:
        found = [_without(units, _covariance(fit), number) for number in range(len(before))]
    return table_of(units.index, units.num_decisions(), before, found)


def _require_defined(fit: Fit, unit: UnitName) -> None:
    if fit.population is not None:
        raise UsageError(
            "a hierarchical fit pulls people towards the population: its estimates are no maximum of the likelihood, "
            "from which one could step to those without a unit. Compare by unit='subject', or by cross_validation"
        )
    if unit != "subject":
        return
    own = [row for row in fit.model.table.rows if row.level == "subject" and row.fixed is None]
    at_edge = [row for row in fit.model.table.rows if row.level == "subject" and row.kind == "log_temperature"]
    if own or (at_edge and fit.status is FitStatus.BOUNDARY):
        name = (own or at_edge)[0].name
        raise UsageError(
            f"leaving a person out leaves nothing to learn that person's own {name} from: without a distribution of "
            "people, leave-one-out by subject is not defined. Fit the model with method='hierarchical', compare by "
            "unit='episode', or by criteria that need no person left out (aic, bic)"
        )


def _covariance(fit: Fit) -> BlockCovariance:
    try:
        return fit.covariances.matrix("hessian")
    except NotAvailableError as error:
        raise UsageError(
            f"leave-one-out moves the estimates along their covariance, and there is none: {error}"
        ) from None


def _without(units: Units, covariance: BlockCovariance, number: int) -> Left:
    """Leave one unit out."""
    whole, full = units.likelihood, units.likelihood.start()
    inside = units.unit == number
    part = likelihood_of(whole.model, whole.observations.select(inside))
    row = whole.directions.row_of_person[part.observations.person[0]]
    moved = whole.directions.owner[row]
    moved = moved[moved >= 0]
    ask = np.zeros((len(full), len(moved)))
    ask[moved, np.arange(len(moved))] = 1.0
    known = covariance.times(ask)  # [P, C]: everybody moves when one unit is left out
    information = -part.hessian(full).times(ask)[moved]
    gradient = part.gradient(full)[moved]
    share = information @ known[moved]
    leverage = float(np.real(np.linalg.eigvals(share)).max(initial=0.0))
    predicted = -np.inf
    if leverage < 1.0:
        change = -known @ np.linalg.solve(np.eye(len(moved)) - share, gradient)
        predicted = part.value(torch.from_numpy(full.numpy() + change))
        promised = part.value(full) + gradient @ change[moved] - change[moved] @ information @ change[moved] / 2
        bend = 3.0 * abs(predicted - promised) * whole.observations.weight.sum() / part.observations.weight.sum()
        if leverage <= MOST_LEVERAGE and bend <= _MOST_BEND:
            return Left(predicted, leverage, "")
    settled = _settled(likelihood_of(whole.model, whole.observations.select(~inside)), full.numpy())
    if settled is None:
        return Left(predicted, leverage, REFIT)
    return Left(part.value(torch.from_numpy(settled)), leverage, REFITTED)


def _settled(rest: AbstractLikelihood, full: Real) -> Real | None:
    """Maximise the likelihood of the others by Newton's method; ``None`` where it runs away."""
    table, value = rest.model.table, rest.value(torch.from_numpy(full))
    for _ in range(_MOST_STEPS):
        point = torch.from_numpy(full)
        gradient = rest.gradient(point)
        solved = inverse(rest.hessian(point).scaled(-1.0), table.free, table.mean_zero)
        step = solved.covariance.times(gradient[:, None])[:, 0]
        gain = float(gradient @ step)
        if solved.smallest <= 0 or not np.isfinite(gain):
            return None
        trials = [full + step / 2**halving for halving in range(_MOST_HALVINGS)]
        reached = next((there for there in trials if rest.value(torch.from_numpy(there)) > value), None)
        if gain < _DECREMENT:
            ended = full if reached is None else reached
            return None if find_boundary(rest, ended).at_limit.any() else ended
        if reached is None:
            return None
        full, value = reached, rest.value(torch.from_numpy(reached))
    return None
