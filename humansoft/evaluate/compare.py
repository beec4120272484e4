"""compare: how rational people are beside each other, where that can be said at all.

Only reward / temperature is in the data (SCIENCE 4.4). Temperatures are comparable when everybody
is taken to want the same thing (shared reward), in units of an anchored weight, or relative to the
average person; everything else is refused with the reason.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from humansoft.errors import IdentificationError, UsageError, shortlist
from humansoft.evaluate.anchor import anchor_names, anchors_of, people_without_anchor
from humansoft.evaluate.group_means import group_means
from humansoft.evaluate.methods import MOTIVATED_OR_PRECISE, methods_of
from humansoft.evaluate.spread import MOST_RANKED, ranks_of, usual_covariance
from humansoft.fit.result import Fit, FitStatus
from humansoft.fit.satterthwaite import degrees_of_freedom, reach_95
from humansoft.temperature import AVERAGE_PERSON, PerGroup, PerSubject
from humansoft.threads import one_thread

Real = npt.NDArray[np.float64]


@one_thread()
def compare(fit: Fit, *others: Fit, by: str | None = None, seed: int = 0) -> pd.DataFrame:
    """Compare temperatures between people or groups, with intervals.

    Args:
        fit: a fit with a temperature per person or per group.
        *others: more fits, whose people are put into the same table; only fits in the same units.
        by: a participants' column: temperatures of its groups and the ratios between them. With
            ``PerGroup(by)`` they are the groups' own parameters, in a hierarchical fit the population's means (whose
            intervals cover the choice of people too: of Student's t with ``df`` degrees of freedom, Satterthwaite
            1946). With ``PerSubject()`` one by one they are geometric means over these very people: the interval
            covers estimation error, not the choice of people.
        seed: of the draws that the intervals of ranks are counted from.

    Returns:
        Without ``by``: one row a person (or group), least noisy first: temperature, ci_low, ci_high,
        inverse_temperature, log_temperature, std_error, rank with its interval (rank_low, rank_high: nan at a
        boundary, and beside other fits), boundary, unit; and, where two
        planners are one likelihood, the other planner's inverse temperature. Sentences that belong
        beside the table are in ``table.attrs["notes"]``, a paragraph for a paper in ``table.attrs["methods"]``.
        With ``by``: the same for each group, then one row a pair of groups with the ratio of
        temperatures; df is infinite where the interval is normal.

    Raises:
        IdentificationError: the comparison is not lawful: reward and temperature both free, no
            common unit, an anchor that does not act on everybody, a group at a boundary.
        UsageError: nothing to compare (one temperature, one person), or an unknown column.
    """
    fits = (fit, *others)
    for one in fits:
        _require_lawful(one)
    _require_common_unit(fits)
    if by is not None:
        if others:
            raise UsageError("compare(by=...) takes one fit; compare several fits without by=")
        table = _by_group(fit, by)
    else:
        table = _people(fits, seed)
    notes = [note for one in fits for note in one.notes]
    table.attrs["notes"] = list(dict.fromkeys([*notes, MOTIVATED_OR_PRECISE]))
    table.attrs["methods"] = methods_of(fit, by=by)
    return table


def _require_lawful(fit: Fit) -> None:
    """Refuse fits whose temperatures have no common meaning."""
    if fit.model.rows_are_people:
        raise IdentificationError(
            "every subject has a reward of their own: only reward / temperature is in the data, so their temperatures "
            "cannot be compared. Ways out: LinearReward(shared=True); a weight fixed for everybody "
            "(fixed={...}, shared=True); or scale-free measures, rationality(fit)"
        )
    if not isinstance(fit.model.temperature, PerSubject | PerGroup):
        raise UsageError(
            "this fit has one temperature for everybody: there is nothing to compare between people; "
            "fit with temperature=PerSubject() or PerGroup(column)"
        )
    if len(fit.model.groups) < 2:
        raise UsageError(
            f"only one {'subject' if isinstance(fit.model.temperature, PerSubject) else 'group'} "
            f"({fit.model.groups.values[0]!r}): comparing needs at least two; its own estimate is in fit.summary()"
        )
    if fit.status is FitStatus.NOT_IDENTIFIED:
        raise IdentificationError(
            "the parameters of this fit are not identified, so its temperatures are arbitrary: " + " ".join(fit.notes)
        )
    fit.require_converged()
    _require_anchor(fit)


def _require_anchor(fit: Fit) -> None:
    """The anchored weight must act on everybody's choices, or its unit means nothing to them."""
    if not anchors_of(fit):
        return
    silent = people_without_anchor(fit)
    if silent:
        names = ", ".join(anchor_names(fit))
        raise IdentificationError(
            f"the anchor ({names}) makes no difference to any choice of {shortlist(silent)}: their temperatures are "
            "not in its unit. Leave them out, or anchor a feature that everybody met"
        )


def _require_common_unit(fits: Sequence[Fit]) -> None:
    if len(fits) < 2:
        return
    units = [str(fit.temperatures()["unit"].iloc[0]) for fit in fits]
    if AVERAGE_PERSON in units:
        raise IdentificationError(
            f"temperatures of different fits cannot be compared when their unit is {AVERAGE_PERSON!r}: each fit has "
            "its own average. Fix one weight at the same non-zero value in all of them"
        )
    planners = {fit.model.planner for fit in fits}
    anchors = {
        tuple(
            (r.name, r.unit, r.fixed) for r in fit.model.table.rows if r.fixed not in (None, 0.0) and r.kind == "reward"
        )
        for fit in fits
    }
    if len(set(units)) > 1 or len(anchors) > 1:
        raise IdentificationError(
            f"these fits measure temperature in different units ({shortlist(sorted(set(units)))}): their numbers "
            "cannot be compared. Fix the same weight at the same value, in the same unit, in all of them"
        )
    if len(planners) > 1:
        raise IdentificationError(
            f"these fits have different planners ({', '.join(sorted(planners))}), which put temperature on different "
            "scales; fit all of them with one planner"
        )


def _people(fits: Sequence[Fit], seed: int) -> pd.DataFrame:
    tables = []
    for number, fit in enumerate(fits, 1):
        table = _levels(fit)
        if len(fits) > 1:
            table.insert(0, "fit", number)
        tables.append(table)
    joined = pd.concat(tables)
    inner = joined["boundary"] == ""
    joined["rank"] = joined["temperature"].where(inner).rank()
    joined["rank_low"], joined["rank_high"] = _rank_intervals(fits, inner.to_numpy(), seed)
    order = np.lexsort((joined["temperature"].to_numpy(), joined["boundary"].map({"lower": -1, "upper": 1}).fillna(0)))
    return joined.iloc[order]


def _rank_intervals(fits: Sequence[Fit], inner: npt.NDArray[np.bool_], seed: int) -> tuple[Real, Real]:
    """Return the interval of the rank of each inner temperature of a single fit; nan elsewhere."""
    low, high = (np.full(len(inner), np.nan) for _ in range(2))
    if len(fits) > 1 or not inner.any() or inner.sum() > MOST_RANKED:
        return low, high
    found = usual_covariance(fits[0])
    if found is not None:
        places = np.flatnonzero(fits[0].model.table.is_temperature)[inner]
        logs = fits[0].params["estimate"].to_numpy(dtype=float)[places]
        low[inner], high[inner] = ranks_of(found[0], places, logs, seed)
    return low, high


def _levels(fit: Fit) -> pd.DataFrame:
    """Return one row a temperature parameter."""
    rows = fit.params.loc[["log_temperature"]].droplevel("name")
    logs = rows["estimate"].astype(float)
    kind = "subject" if isinstance(fit.model.temperature, PerSubject) else "group"
    table = pd.DataFrame(
        {
            "temperature": np.exp(logs),
            "ci_low": np.exp(rows["ci_low"].astype(float)),
            "ci_high": np.exp(rows["ci_high"].astype(float)),
            "inverse_temperature": np.exp(-logs),
            "log_temperature": logs,
            "std_error": rows["std_error"],
            "std_error_kind": rows["std_error_kind"],
            "boundary": rows["boundary"],
            "unit": rows["unit"],
        }
    ).rename_axis(kind)
    other, shift = other_planner(fit)
    if other:
        table[f"inverse_temperature_{other}"] = table["inverse_temperature"] + shift
    return table


def other_planner(fit: Fit) -> tuple[str, float]:
    """Return the planner of equal likelihood and what it adds to every inverse temperature.

    Known in closed form when the anchored weight w is the only reward and its feature is 1 for every
    decision: kl with 1/alpha is entropy with 1/alpha - log|A| / w (SCIENCE 0.2). ("", 0) otherwise.
    """
    model = fit.model
    if model.planner not in ("kl", "entropy") or model.prior is not None or model.task.horizon is not None:
        return "", 0.0
    if model.task.goals is not None:  # on a network, links differ in their turns
        return "", 0.0
    weights = [row for row in model.table.rows if row.kind == "reward" and row.fixed != 0.0]
    acting = model.task.playable
    options = acting.sum(dim=-1)[acting.any(dim=-1)]
    if len(weights) != 1 or weights[0].fixed is None or int(options.min()) != int(options.max()):
        return "", 0.0
    with torch.no_grad():
        reward = model.reward(model.task)[0][acting]
    if float(reward.max() - reward.min()) > 1e-12:
        return "", 0.0
    wage = float(np.log(float(options[0])) / reward[0])
    return ("entropy", -wage) if model.planner == "kl" else ("kl", wage)


def _by_group(fit: Fit, by: str) -> pd.DataFrame:
    means = group_means(fit, by)
    groups, unit = means.groups.values, str(fit.temperatures()["unit"].iloc[0])
    pairs = list(combinations(range(len(groups)), 2))
    unity = np.eye(len(groups))
    contrasts = np.vstack([unity, *(unity[b] - unity[a] for a, b in pairs)])
    names = [("group", str(label), unit) for label in groups]
    names += [("ratio", f"{groups[b]} / {groups[a]}", "ratio of temperatures") for a, b in pairs]
    errors = np.sqrt(np.einsum("dg,gh,dh->d", contrasts, means.covariance, contrasts))
    freedom = degrees_of_freedom(contrasts, means.covariance, means.errors)
    numbers = np.stack([contrasts @ means.estimate, errors, freedom], axis=1).tolist()
    rows = [_row(*name, value, error, df, means.kind) for name, (value, error, df) in zip(names, numbers, strict=True)]
    table = pd.DataFrame(rows).set_index(["kind", "label"])
    table["num_people_at_boundary"] = int((fit.params.loc[["log_temperature"], "boundary"] != "").sum())
    return table


def _row(kind: str, label: str, unit: str, value: float, error: float, freedom: float, name: str) -> dict[str, object]:
    reach = float(reach_95(freedom)) * error
    return {
        "kind": kind,
        "label": label,
        "temperature": float(np.exp(value)),
        "ci_low": float(np.exp(value - reach)),
        "ci_high": float(np.exp(value + reach)),
        "inverse_temperature": float(np.exp(-value)),
        "log_temperature": value,
        "std_error": error,
        "std_error_kind": name,
        "df": freedom,
        "unit": unit,
    }
