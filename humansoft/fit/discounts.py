"""The profile of the discount: how well the model fits at each one, for a discount is nearly never identified.

A stationary free reward fits equally well at every discount; with few features the likelihood tells them apart by
its functional form alone (SCIENCE 4.3). So a discount is fixed, and this says what hangs on it.
"""

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.checking import require_valid
from humansoft.data.log import BehaviorLog
from humansoft.errors import IdentificationError, Problems, SolveError, UsageError
from humansoft.fit.boundary import TWO_SIDED_DROP
from humansoft.fit.point import maximum_likelihood
from humansoft.model import SoftOptimalModel
from humansoft.threads import one_thread

Real = npt.NDArray[np.float64]

DISCOUNTS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)
"""From people who only see the next step to people who look a hundred steps ahead."""


@one_thread()
def discount_profile(
    model: SoftOptimalModel,
    log: BehaviorLog,
    *,
    discounts: Sequence[float] = DISCOUNTS,
    seed: int = 0,
    max_steps: int = 200,
) -> pd.DataFrame:
    r"""Fit a model at several discounts, each starting from the estimates at the one before.

    Args:
        model: the hypothesis; its task's own discount is among those that are tried.
        log: the decisions.
        discounts: weights of the next step's value, in [0, 1].
        seed: seed of the identification draws.
        max_steps: largest number of optimiser iterations at each discount.

    Returns:
        One row a discount, indexed by it: log_likelihood; likelihood_ratio, twice what is lacking to the best;
        flat, whether that is at most 3.84 (the 5 % point of one degree of freedom): the data do not reject it; status;
        then one column an estimate, named as in messages (``step``, ``log_temperature[p07]``). A discount at which the
        model has no solution or is not identified has NaN, and says so in its status.
        ``table.attrs["message"]`` says in a sentence what the data tell.

    Raises:
        UsageError: fewer than two discounts, or one outside [0, 1].
        LogError: the log does not fit the task.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S..\n.#.\n..G", discount=0.9)
        >>> log = hs.simulate(hs.plan(task, {"step": -1.0}, 0.5), 30, seed=1)
        >>> model = hs.SoftOptimalModel(task, hs.LinearReward(["step"]), hs.Fixed(1.0))
        >>> table = hs.discount_profile(model, log, discounts=[0.8, 0.95])
        >>> table.index.tolist()
        [0.8, 0.9, 0.95]
    """
    own = model.task.discount
    tried = sorted({*map(float, discounts), own})
    with Problems("discount_profile", UsageError) as problems:
        if len(tried) < 2:
            problems.add(f"discounts={list(discounts)}: name one at least besides the task's own, {own:g}")
        for discount in tried:
            if not 0 <= discount <= 1:
                problems.add(f"a discount of {discount:g} does not lie between 0 and 1")
        if model.task.goals is not None:
            problems.add("trips through a network are not discounted")
    require_valid(log, model.task)
    found: dict[float, _AtDiscount] = {}
    for discount in sorted(tried, key=lambda value: abs(value - own)):
        near = min((v for v in found if len(found[v].full)), key=lambda v: abs(v - discount), default=None)
        start = None if near is None else found[near].full
        found[discount] = _fitted(model, discount, log, start, seed, max_steps)
    table = pd.DataFrame([found[discount].row for discount in tried], index=pd.Index(tried, name="discount"))
    ratio = 2 * (table["log_likelihood"].max() - table["log_likelihood"])
    table.insert(1, "likelihood_ratio", ratio)
    table.insert(2, "flat", ratio <= 2 * TWO_SIDED_DROP)
    table.attrs["message"] = _sentence(table, own)
    return table


@dataclass(frozen=True, eq=False)
class _AtDiscount:
    """What was fitted at one discount.

    Attributes:
        row: log-likelihood, status and estimates.
        full: [P] parameters to start others from; none without a fit.
    """

    row: dict[str, object]
    full: Real


def _fitted(
    model: SoftOptimalModel, discount: float, log: BehaviorLog, start: Real | None, seed: int, max_steps: int
) -> _AtDiscount:
    """Fit at one discount; where there is no fit, say why."""
    other = copy.copy(model)
    other.task = dataclasses.replace(model.task, discount=discount)
    options: dict[str, Any] = {"seed": seed, "max_steps": max_steps, "allow_unidentified": False, "on_step": None}
    try:
        fit = maximum_likelihood(other, log, **options, start=start)
    except IdentificationError:
        return _AtDiscount({"log_likelihood": np.nan, "status": "not identified"}, np.zeros(0))
    except SolveError:
        return _AtDiscount({"log_likelihood": np.nan, "status": "no solution"}, np.zeros(0))
    estimates = fit.params["estimate"].to_numpy(dtype=float)
    named = {str(row): float(value) for row, value in zip(fit.model.table.rows, estimates, strict=True)}
    # A temperature that was at a boundary here may be within elsewhere, but would not come back from it.
    inner = (fit.params["boundary"] == "").to_numpy() | (fit.params["boundary"] == "both").to_numpy()
    middle = float(np.median(estimates[inner & fit.model.table.is_temperature])) if inner.any() else 0.0
    full = np.where(inner, estimates, middle if np.isfinite(middle) else 0.0)
    return _AtDiscount({"log_likelihood": fit.log_likelihood, "status": fit.status.name.lower(), **named}, full)


def _sentence(table: pd.DataFrame, own: float) -> str:
    """Say what the data tell about the discount."""
    fitted = table[table["log_likelihood"].notna()]
    if len(fitted) < 2:
        return "the model could be fitted at fewer than two discounts: nothing can be said about the discount"
    flat = fitted.index[fitted["flat"]]
    best = fitted["log_likelihood"].idxmax()
    standing = f"Reporting at the fixed discount = {own:g}" + (
        "; see how the estimates move." if own in flat else f", which the data reject in favour of {best:g}."
    )
    standing = "" if list(flat) == [own] else f" {standing}"
    if len(flat) == 1:
        return f"The discount's profile has its best at {best:g}, and no other that was tried is as likely.{standing}"
    span = float(fitted.loc[flat, "likelihood_ratio"].max()) / 2
    kind = "is flat" if len(flat) == len(fitted) else "is flat in part"
    return (
        f"The discount's profile {kind} (difference in log-likelihood at most {span:.2g} between {flat.min():g} and "
        f"{flat.max():g}): the data do not tell how far people look ahead.{standing}"
    )
