"""Is a table readable as a log? Every column is looked at before anything is built from it."""

import dataclasses
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.codebook import Codes
from humansoft.data.columns import Columns
from humansoft.errors import LogError, Problems, did_you_mean, shortlist

Mask = npt.NDArray[np.bool_]

LARGEST_STEP = 2**53
"""Beyond this, whole numbers in a column of floats are no longer exact."""

LARGEST_WEIGHT = 1e100
"""Beyond this, sums of weights are no longer exact enough to mean anything."""

MOST_ROWS = 5
"""Rows that a message names."""


@dataclass(frozen=True, eq=False)
class Places:
    """Where the entries of a column stand in its table: an entry for each row, or for each distinct value.

    Attributes:
        number: [V] how many rows hold the entry.
        first: [V, K] numbers of the first of them, counted from 1; 0 where there are no more.
    """

    number: Codes
    first: Codes

    @classmethod
    def of_rows(cls, count: int) -> "Places":
        """Return the places of a column that is there row by row."""
        return cls(np.ones(count, dtype=np.int64), np.arange(1, count + 1)[:, None])

    def say(self, mask: Mask) -> str:
        """Say how many rows hold the entries where ``mask`` [V] is true, and which come first."""
        rows = self.first[mask]
        shown = ", ".join(map(str, np.sort(rows[rows > 0])[:MOST_ROWS].tolist()))
        return f"{self.number[mask].sum()} of {self.number.sum()} rows, first: row {shown}"


def roles(columns: Columns) -> dict[str, tuple[str, ...]]:
    """Return role -> column names, for the roles that are played."""
    values = dataclasses.asdict(columns)
    return {role: (v,) if isinstance(v, str) else tuple(v) for role, v in values.items() if v}


def check_columns(
    names: Sequence[Hashable], columns: Columns, name: str, keep: Sequence[str] = (), empty: bool = False
) -> None:
    """Refuse a table that lacks rows or columns.

    Raises:
        LogError: all problems at once; ``name`` says which table it is.
    """
    with Problems(name, LogError) as problems:
        if empty:
            problems.add("the table has no rows")
        for role, wanted in (*roles(columns).items(), ("keep", tuple(keep))):
            for column in wanted:
                if column not in names:
                    hint = did_you_mean(column, names)
                    off = f" Pass {role}=None if there is none." if role in ("subject", "episode", "step") else ""
                    problems.add(f"there is no column {column!r} for {role}.{hint}{off}")
        if columns.next_state and len(columns.next_state) != len(columns.state):
            problems.add(
                f"state has {len(columns.state)} columns but next_state has {len(columns.next_state)}; name as many"
            )
        doubled = [column for column in dict.fromkeys(names) if names.count(column) > 1]
        if doubled:
            problems.add(f"column names {shortlist(doubled)} stand twice in the header; rename one")


def check_values(used: pd.DataFrame, columns: Columns, name: str, mixed: bool = False) -> None:
    """Refuse cells that cannot play their column's role: empty, of two types, infinite, negative.

    States of two types are right where they are known to be (``mixed``): an end that a task has named "end of 3".

    Raises:
        LogError: all problems of all columns at once, each with its first rows.
    """
    places = Places.of_rows(len(used))
    with Problems(name, LogError) as problems:
        for role, names in roles(columns).items():
            for column in names:
                check_column(used[column], role, places, problems, mixed and role in ("state", "next_state"))
        if used[columns.action].isna().all():
            problems.add(f"column {columns.action!r} is empty in every row: all responses are missing")


def check_column(values: "pd.Series[Any]", role: str, places: Places, problems: Problems, mixed: bool = False) -> None:
    """Note what is wrong with the entries of one column, given row by row or as distinct values."""
    if role in ("weight", "step"):
        _check_numbers(values, role, places, problems)
    elif role in ("terminated", "truncated"):
        _check_flags(values, role, places, problems)
    else:
        _check_labels(values, role, places, problems, mixed)


def _check_labels(values: "pd.Series[Any]", role: str, places: Places, problems: Problems, mixed: bool) -> None:
    what = f"column {values.name!r} ({role})"
    missing = values.isna().to_numpy()
    if missing.any() and role not in ("action", "next_state", "keep"):
        problems.add(f"{what} is empty in {places.say(missing)}; fill the cells or drop the rows")
    if pd.api.types.is_float_dtype(values):
        infinite = np.isinf(values.to_numpy(dtype=float, na_value=0.0))
        if infinite.any():
            problems.add(f"{what} is infinite in {places.say(infinite)}; fill the cells or drop the rows")
    if values.dtype != object:  # one type for the whole column
        return
    kinds = np.array([_kind(v) for v in values.tolist()], dtype=object)
    kinds[missing] = None
    found = np.unique(kinds[~missing])
    number = [int(places.number[kinds == kind].sum()) for kind in found]
    if "list" in found:
        where = places.say(kinds == "list")
        problems.add(f"{what} holds lists or arrays in {where}; give each part a column of its own")
    elif len(found) > 1 and not mixed:
        odd = ~missing & (kinds != found[int(np.argmax(number))])
        problems.add(
            f"{what} mixes {' and '.join(found)}: {places.say(odd)} holds {_value_at(values, odd)}; use one type"
        )


def mixes_types(labels: Iterable[Hashable]) -> bool:
    """Return whether labels are of several types, such as numbers and text."""
    return len({_kind(label) for label in labels}) > 1


def _kind(value: object) -> str:
    """Say in a user's words what a label is made of."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool | np.bool_):
        return "true/false"
    if np.isscalar(value):
        return "numbers"
    # A tuple is a label; what cannot be hashed cannot be looked up.
    return "list" if getattr(type(value), "__hash__", None) is None else "other labels"


def _value_at(values: "pd.Series[Any]", where: Mask) -> str:
    """Show the first value that is meant, as Python writes it."""
    return repr(values.iloc[np.flatnonzero(where)[:1]].tolist()[0])


def _check_numbers(values: "pd.Series[Any]", role: str, places: Places, problems: Problems) -> None:
    what = f"column {values.name!r} ({role})"
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    absent = np.isnan(numbers)
    if absent.any():
        problems.add(f"{what} is not a number in {places.say(absent)}: {_value_at(values, absent)}")
    huge = np.abs(numbers) > (LARGEST_WEIGHT if role == "weight" else LARGEST_STEP)
    if huge.any():
        problems.add(f"{what} is infinite or huge in {places.say(huge)}: {_value_at(values, huge)}")
    if role == "step":
        broken = ~absent & ~huge & (numbers != np.round(numbers))
        if broken.any():
            problems.add(f"{what} is not a whole number in {places.say(broken)}: {_value_at(values, broken)}")
    elif (numbers <= 0).any():
        problems.add(
            f"{what} is zero or negative in {places.say(numbers <= 0)}; "
            "weights say how often a row counts: drop rows that do not count"
        )


def _check_flags(values: "pd.Series[Any]", role: str, places: Places, problems: Problems) -> None:
    bad = ~values.isin([True, False, 0, 1]).to_numpy()
    if bad.any():
        problems.add(
            f"column {values.name!r} ({role}) is not true/false or 1/0 in {places.say(bad)}: {_value_at(values, bad)}"
        )
