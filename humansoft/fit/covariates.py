"""Covariates of people: from a formula and the participants' columns to a design matrix.

What a formula does to a column may depend on who is there: the mean that is taken off, the knots of a spline, the
categories and their order. These are always those of the people whom the population was learned from.
"""

import warnings
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.linalg import qr

from humansoft.codebook import Labels
from humansoft.data.log import BehaviorLog
from humansoft.errors import HumansoftError, LogError, ModelError, Problems, UsageError, shortlist
from humansoft.fit.formulas import formula_errors, names_in, parsed
from humansoft.temperature import ByFormula, PerGroup, Temperature

Real = npt.NDArray[np.float64]

_DEPENDENT = 1e-9  # share of a column that the columns before it do not explain
_FEW = 5  # people a value on average, below which values that read as numbers are measurements and no codes of groups


def columns_of(temperature: Temperature) -> list[str]:
    """Return the names of the columns that explain people's mean log temperatures.

    Raises:
        UsageError: a formula that cannot be read, or calls a function that is not known.

    Example:
        >>> columns_of(ByFormula("~ np.log(age) + site"))
        ['age', 'site']
    """
    return (
        [temperature.column] if isinstance(temperature, PerGroup) else sorted(names_in(_formula(temperature)).columns)
    )


def covariates_of(temperature: Temperature, log: BehaviorLog, people: Sequence[Hashable]) -> pd.DataFrame:
    """Return the columns [B, ...] that explain people's mean log temperatures; of categories, those that occur.

    Raises:
        LogError: a column that is missing, empty for somebody, not one value a person, or of dates.
        UsageError: a formula that cannot be read, or calls a function that is not known.
    """
    names = columns_of(temperature)
    values = {name: _plain(log.person_values(name).reindex(list(people)), name) for name in names}
    return pd.DataFrame(values, index=pd.Index(list(people))).infer_objects()


def design_of(temperature: Temperature, covariates: pd.DataFrame) -> pd.DataFrame:
    """Return what multiplies the coefficients of people's mean log temperatures [B, p].

    Args:
        temperature: ``PerSubject()``: one mean for all. ``PerGroup(column)``: one mean a group. A formula: its terms.
        covariates: one row a person, the columns that explain.

    Raises:
        LogError: a term that is not finite for everybody, or numbers that are stored as text.
        UsageError: a formula that cannot be read.
        ModelError: terms that add up to others (collinear), or more terms than people.

    Example:
        >>> design_of(ByFormula("~ age"), pd.DataFrame({"age": [30.0, 40.0]}))["age"].tolist()
        [30.0, 40.0]
    """
    if not isinstance(temperature, PerGroup):
        _require_no_numbers_as_text(_formula(temperature), covariates)
    found = design_like(temperature, covariates, covariates)
    _require_full_rank(found, _formula(temperature))
    return found


def design_at(
    temperature: Temperature, covariates: pd.DataFrame, people: pd.DataFrame, column: str, value: Hashable
) -> pd.DataFrame:
    """Return the design [B, p] of people if all had one value of a column, and everything else as it is.

    Args:
        temperature: what explains people's mean log temperatures.
        covariates: the columns of those whom the population was learned from.
        people: the columns of the people.
        column: the column.
        value: the value that everybody gets.
    """
    changed = pd.DataFrame({name: _plain(people[name], str(name)) for name in covariates.columns})
    changed[column] = pd.Series([value] * len(changed), changed.index)
    return design_like(temperature, covariates, changed)


def design_like(temperature: Temperature, covariates: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return the design [B, p] of people as a population sees them: its centring, its splines, its categories.

    Args:
        temperature: what explains people's mean log temperatures.
        covariates: the columns of those whom the population was learned from.
        others: the same columns of the people.

    Raises:
        LogError: categories that nobody of the population had: nothing is known of them; a term that is not finite or
            cannot be worked out, such as a spline beyond its ends.
        UsageError: a formula that cannot be read.
    """
    _require_known(temperature, covariates, others)
    if isinstance(temperature, PerGroup):
        groups = Labels.of("group", covariates[temperature.column].tolist())
        mine = groups.encode(others[temperature.column].tolist())
        return pd.DataFrame(np.eye(len(groups))[mine], others.index, [str(value) for value in groups.values])
    if not len(covariates.columns):
        return pd.DataFrame({"Intercept": np.ones(len(others))}, others.index)
    return _matrix(_formula(temperature), covariates, others)


def _matrix(formula: str, covariates: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return the terms of a formula for some people, with what formulaic learned of others."""
    from formulaic import model_matrix  # half a second, which only populations pay
    from formulaic.errors import DataMismatchWarning

    def made(like: Any, people: pd.DataFrame, said: str, kind: type[HumansoftError]) -> Any:  # noqa: ANN401
        with formula_errors(said, kind):
            return model_matrix(like, people, context=None, na_action="raise")

    matrix = made(parsed(formula), covariates, f"the formula {formula!r} cannot be read", UsageError)
    if others is not covariates:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataMismatchWarning)  # else a new category counts as the reference
            said = f"the formula {formula!r} cannot be worked out for people whom the fit does not know"
            matrix = made(matrix.model_spec, others, said, LogError)
    found = pd.DataFrame(np.asarray(matrix, dtype=np.float64), others.index, list(matrix.columns))
    bad = [str(name) for name in found.columns if not np.isfinite(found[name]).all()]
    if bad:
        raise LogError(f"terms {shortlist(bad)} of {formula!r} are not finite for everybody")
    return found


def _formula(temperature: Temperature) -> str:
    return temperature.formula if isinstance(temperature, ByFormula) else "~ 1"


def _plain(values: "pd.Series[Any]", name: str) -> "pd.Series[Any]":
    """Return a column as formulaic takes it: text as objects, numbers as numpy's, only categories that occur.

    Raises:
        LogError: dates and durations.
    """
    kind: Any = values.dtype
    if kind.kind in "mM" or isinstance(kind, pd.PeriodDtype):
        raise LogError(
            f"column {name!r} holds dates or durations ({kind}), which no term can use; turn it into a number, such as "
            f"years: table[{name!r}].dt.year, or (table[{name!r}] - start).dt.days"
        )
    if isinstance(kind, pd.CategoricalDtype):
        return values.cat.remove_unused_categories()
    if isinstance(kind, pd.StringDtype):
        return values.astype(object)
    return values.astype(kind.numpy_dtype) if hasattr(kind, "numpy_dtype") else values


def _is_numeric(values: "pd.Series[Any]") -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype)


def _require_no_numbers_as_text(formula: str, covariates: pd.DataFrame) -> None:
    """Refuse measurements that are stored as text, each of which would be a category of its own."""
    declared = names_in(formula).categories
    for name in covariates.columns:
        values = covariates[name]
        if _is_numeric(values) or isinstance(values.dtype, pd.CategoricalDtype) or name in declared:
            continue
        numbers = pd.to_numeric(values, errors="coerce").notna()
        different = values.nunique()
        if numbers.mean() > 0.5 and different > 2 and len(values) < _FEW * different:
            odd = list(values[~numbers].unique())
            raise LogError(
                f"column {name!r} holds numbers as text ({shortlist(values[numbers].unique(), 3)}"
                f"{f'; no numbers are {shortlist(odd, 3)}' if odd else ''}), so that each of its "
                f"{different} values would be a category; turn it into numbers (pandas.to_numeric), or write "
                f"C({name}) in the formula if these are codes of groups"
            )


def _require_known(temperature: Temperature, covariates: pd.DataFrame, others: pd.DataFrame) -> None:
    """Refuse people with values that are of another kind than, or no level of, what the population was learned from."""
    if others is covariates or not len(covariates.columns):
        return
    by_group = isinstance(temperature, PerGroup)
    declared = frozenset(covariates.columns) if by_group else names_in(_formula(temperature)).categories
    with Problems("the fit knows nobody like these people", LogError) as problems:
        for name in covariates.columns:
            known, asked = covariates[name], others[name]
            if name in declared or not _is_numeric(known):
                levels = Labels.of("level", known.tolist())
                fresh = asked[levels.encode(asked.tolist()) < 0]
                for level in fresh.unique().tolist():
                    people = shortlist(list(fresh.index[(fresh == level).to_numpy()]))
                    problems.add(
                        f"{name} is {level!r} of {people}; its levels in the fit are {shortlist(levels.values)}"
                    )
            elif not _is_numeric(asked):
                problems.add(f"{name} is a number in the fit, but here {asked.iloc[0]!r} of {asked.index[0]}")


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
