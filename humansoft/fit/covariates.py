"""Covariates of people: from a formula and the participants' columns to a design matrix."""

import re
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.linalg import qr

from humansoft.codebook import Labels
from humansoft.data.log import BehaviorLog
from humansoft.errors import LogError, ModelError, UsageError, shortlist
from humansoft.temperature import ByFormula, PerGroup, Temperature

Real = npt.NDArray[np.float64]

_COLOURS = re.compile(r"\x1b?[⧛⧚]|\x1b?\[[0-9;]+m|[⧛⧚]")
_DEPENDENT = 1e-9  # share of a column that the columns before it do not explain


def covariates_of(temperature: Temperature, log: BehaviorLog, people: Sequence[Hashable]) -> pd.DataFrame:
    """Return the columns [B, ...] that explain people's mean log temperatures.

    Raises:
        LogError: a column that is missing, empty for somebody, or not one value a person.
        UsageError: a formula that cannot be read.
    """
    names = [temperature.column] if isinstance(temperature, PerGroup) else variables_of(temperature)
    values = {name: log.person_values(name).reindex(list(people)) for name in names}
    return pd.DataFrame(values, index=pd.Index(list(people))).infer_objects()


def variables_of(temperature: Temperature) -> list[str]:
    """Return the names of the columns that a formula is about, none where there is no formula."""
    with _formula_errors(_formula(temperature)):
        return sorted(str(name) for name in _parsed(_formula(temperature)).required_variables)


def design_of(temperature: Temperature, covariates: pd.DataFrame) -> pd.DataFrame:
    """Return what multiplies the coefficients of people's mean log temperatures [B, p].

    Args:
        temperature: ``PerSubject()``: one mean for all. ``PerGroup(column)``: one mean a group. A formula: its terms.
        covariates: one row a person, the columns that explain.

    Raises:
        LogError: a term that is not finite for everybody.
        UsageError: a formula that cannot be read.
        ModelError: terms that add up to others (collinear), or more terms than people.

    Example:
        >>> design_of(ByFormula("~ age"), pd.DataFrame({"age": [30.0, 40.0]}))["age"].tolist()
        [30.0, 40.0]
    """
    found = _matrix(temperature, covariates)
    _require_full_rank(found, _formula(temperature))
    return found


def design_at(temperature: Temperature, covariates: pd.DataFrame, column: str, value: Hashable) -> pd.DataFrame:
    """Return the design [B, p] if everybody had one value of a column, and everything else as it is."""
    changed = covariates.copy()
    changed[column] = pd.Series([value] * len(changed), changed.index)
    return design_like(temperature, covariates, changed)


def design_like(temperature: Temperature, covariates: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return the design of other people in the terms of some: codings of categories depend on all that there are.

    Raises:
        LogError: categories that nobody of the first had: nothing is known of them.
    """
    both = _matrix(temperature, pd.concat([covariates, others]))
    fresh = [str(name) for name in both.columns if name not in _matrix(temperature, covariates).columns]
    if fresh:
        raise LogError(f"the fit knows nobody like these people: it has no terms {shortlist(fresh)}")
    return both.iloc[len(covariates) :]


def _matrix(temperature: Temperature, covariates: pd.DataFrame) -> pd.DataFrame:
    from formulaic import model_matrix  # half a second, which only populations pay

    if isinstance(temperature, PerGroup):
        groups = Labels.of("group", covariates[temperature.column].tolist())
        mine = groups.encode(covariates[temperature.column].tolist())
        return pd.DataFrame(np.eye(len(groups))[mine], covariates.index, [str(value) for value in groups.values])
    formula = _formula(temperature)
    if not len(covariates.columns):
        return pd.DataFrame({"Intercept": np.ones(len(covariates))}, covariates.index)
    with _formula_errors(formula):
        matrix = model_matrix(_parsed(formula), covariates, na_action="raise")
    found = pd.DataFrame(np.asarray(matrix, dtype=np.float64), covariates.index, list(matrix.columns))
    bad = [str(name) for name in found.columns if not np.isfinite(found[name]).all()]
    if bad:
        raise LogError(f"terms {shortlist(bad)} of {formula!r} are not finite for everybody")
    return found


def _formula(temperature: Temperature) -> str:
    return temperature.formula if isinstance(temperature, ByFormula) else "~ 1"


def _parsed(formula: str) -> Any:  # noqa: ANN401 - formulaic comes without types
    from formulaic import Formula

    parsed = Formula(formula)
    if hasattr(parsed, "lhs"):
        raise UsageError(f"the formula {formula!r} has a left side; write what explains log temperature: '~ ...'")
    return parsed


@contextmanager
def _formula_errors(formula: str) -> Iterator[None]:
    """Say in one sentence what formulaic says in colours."""
    from formulaic.errors import FormulaicError

    try:
        yield
    except FormulaicError as error:
        reason = _COLOURS.sub("", str(error)).splitlines()[0]
        raise UsageError(f"the formula {formula!r} cannot be read: {reason}") from error


def _require_full_rank(design: pd.DataFrame, formula: str) -> None:
    """Refuse terms that others add up to: their coefficients would be arbitrary."""
    values = design.to_numpy()
    if values.shape[1] > len(values):
        raise ModelError(f"{formula!r} has {values.shape[1]} terms for {len(values)} people: take some out")
    size = np.linalg.norm(values, axis=0)
    _, triangle, order = qr(values / np.where(size > 0, size, 1.0), mode="economic", pivoting=True)
    dependent = np.abs(np.diag(triangle)) <= _DEPENDENT
    if dependent.any():
        names = [str(design.columns[place]) for place in np.asarray(order)[dependent]]
        raise ModelError(
            f"{shortlist(names)} of {formula!r} add up from the other terms (collinear): only together is their effect "
            "in the data; take one of them out"
        )
