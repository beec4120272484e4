"""Counting a large log while it is read: equal decisions become one row with their summed weight.

A stationary tabular likelihood needs no more (SCIENCE 5.5). Memory depends on the number of distinct
decisions, not on the number of rows.
"""

import dataclasses
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft._types import NONE
from humansoft.codebook import Codebook, Codes, Labels, row_labels
from humansoft.data.column_checks import LARGEST_WEIGHT, Places, check_column, check_columns, roles
from humansoft.data.columns import Columns
from humansoft.data.counts import combined, tally
from humansoft.data.distinct import Distinct, Totals
from humansoft.data.labelling import make_codebook, participants_table, whole_numbers
from humansoft.data.log import BehaviorLog
from humansoft.data.streams import Encoded, TableStream, open_stream
from humansoft.errors import LogError, Problems

Real = npt.NDArray[np.float64]
Values = dict[str, "pd.Series[Any]"]


def count_log(
    source: object,
    columns: Columns,
    keep: Sequence[str],
    participants: str | Path | pd.DataFrame | None,
    codebook: Codebook | None,
) -> BehaviorLog:
    """Read a table piece by piece into a counted log (see :func:`humansoft.read`)."""
    stream = open_stream(source)
    asked = dataclasses.replace(columns, episode=None, step=None)  # what is counted has no order
    empty = isinstance(source, pd.DataFrame) and source.empty
    check_columns(stream.names, asked, stream.name, keep, empty=empty)
    by_role = {**roles(asked), "keep": tuple(keep)}
    weight = Distinct()  # of what is wrong with weights, for their values may all differ
    labels = {name: Distinct() for role, names in by_role.items() if role != "weight" for name in names}
    totals = _stream_through(stream, labels, weight, columns.weight)
    values = {name: whole_numbers(stream.typed(name, column.values)) for name, column in labels.items()}
    places = {name: column.places for name, column in labels.items()}
    if columns.weight:
        values[columns.weight] = pd.Series(weight.values, name=columns.weight)
        places[columns.weight] = weight.places
    _check(stream.name, by_role, values, places, columns)
    rows = _Rows.of(totals, {name: column.place for name, column in labels.items()}, values)
    return _as_log(rows, columns, keep, stream.name, participants, codebook)


def _stream_through(
    stream: TableStream, labels: dict[str, Distinct], weight: Distinct, weight_column: str | None
) -> Totals:
    """Read all rows, encode their labels and sum the weight of equal ones."""
    totals, start = Totals(), 0
    for piece in stream.pieces(list(labels), weight_column):
        keys = [labels[name].add(encoded, start) for name, encoded in piece.labels.items()]
        amount = np.ones(piece.num_rows)
        if piece.weight is not None:
            amount = pd.to_numeric(piece.weight, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
            weight.add(_faults(piece.weight, amount), start)
        totals.add(keys, amount, start)
        start += piece.num_rows
    if start == 0:
        raise LogError(f"{stream.name} has a header but no rows")
    return totals


def _faults(weight: "pd.Series[Any]", amount: Real) -> Encoded:
    """Sort weights by what is wrong with them; each kind of fault is stood for by its first value."""
    with np.errstate(invalid="ignore"):
        kind = np.isnan(amount) * 4 + (np.abs(amount) > LARGEST_WEIGHT) * 2 + (amount <= 0)
    found, first, codes = np.unique(kind, return_index=True, return_inverse=True)
    shown = weight.iloc[first].tolist()
    return Encoded(codes.astype(np.int64), [value if fault else 1.0 for value, fault in zip(shown, found, strict=True)])


def _check(
    name: str, by_role: dict[str, tuple[str, ...]], values: Values, places: dict[str, Places], columns: Columns
) -> None:
    """Refuse what the ordinary reader refuses, in the same words and with the same rows."""
    with Problems(name, LogError) as problems:
        for role, names in by_role.items():
            for column in names:
                check_column(values[column], role, places[column], problems)
        if values[columns.action].isna().all():
            problems.add(f"column {columns.action!r} is empty in every row: all responses are missing")


@dataclasses.dataclass(frozen=True, eq=False)
class _Rows:
    """The distinct rows of the table, in the order in which they first occur.

    Attributes:
        values: the distinct values of each column.
        place: [D] place of each row's value among them.
        sums: [D, 2] summed weight, and number of rows of the table.
        row: [D] row of the table where it first occurs.
    """

    values: Values
    place: dict[str, Codes]
    sums: Real
    row: Codes

    @classmethod
    def of(cls, totals: Totals, place_of: dict[str, Codes], values: Values) -> "_Rows":
        keys, sums, row = totals.result()
        order = np.argsort(row)
        place = {name: place_of[name][key[order]] for name, key in zip(place_of, keys, strict=True)}
        return cls(values, place, sums[order], row[order])

    def labels(self, columns: Sequence[str], context: str | None) -> tuple[list[Hashable], Codes]:
        """Return the distinct labels that some columns make, ``None`` where a cell is empty, and [D] their places."""
        names = [*columns, *([context] if context else [])]
        flat = combined([self.place[name] for name in names], len(self.row))
        _, first, inverse = np.unique(flat, return_index=True, return_inverse=True)
        table = self.take(names, first)
        labels = row_labels(table, columns)
        if context:
            labels = list(zip(table[context].tolist(), labels, strict=True))
        empty = table[list(columns)].isna().any(axis=1).tolist()
        return [None if gone else label for label, gone in zip(labels, empty, strict=True)], inverse.astype(np.int64)

    def take(self, names: Sequence[str], rows: Codes) -> pd.DataFrame:
        """Return some columns of some rows as they stand in the table."""
        return pd.DataFrame(
            {name: self.values[name].take(self.place[name][rows]).reset_index(drop=True) for name in names}
        )

    def flag(self, column: str | None) -> Codes:
        """[D] 1 where a column is true, 0 without such a column."""
        if column is None:
            return np.zeros(len(self.row), dtype=np.int64)
        flag: Codes = self.values[column].astype(bool).to_numpy().astype(np.int64)[self.place[column]]
        return flag

    def other(self, column: str) -> Codes:
        """[D] code of each value of a column, -1 where it is empty."""
        return pd.factorize(self.values[column])[0].astype(np.int64)[self.place[column]]


def _as_log(
    rows: _Rows,
    columns: Columns,
    keep: Sequence[str],
    name: str,
    participants: str | Path | pd.DataFrame | None,
    codebook: Codebook | None,
) -> BehaviorLog:
    """Encode the distinct rows, and count again those whose cells differ but whose labels do not (1 and 1.0)."""
    none = np.zeros(len(rows.row), dtype=np.int64)
    found: dict[str, tuple[list[Hashable], Codes]] = {
        "subject": rows.labels([columns.subject], None) if columns.subject else (["all"], none),
        "state": rows.labels(columns.state, columns.context),
        "action": rows.labels([columns.action], None),
        "next_state": rows.labels(columns.next_state, columns.context) if columns.next_state else ([None], none),
    }
    states = [*found["state"][0], *found["next_state"][0]]
    codebook = make_codebook({"subject": found["subject"][0], "action": found["action"][0], "state": states}, codebook)
    books = {"subject": codebook.subjects, "action": codebook.actions}
    codes = {role: _encoded(books.get(role, codebook.states), *labelled) for role, labelled in found.items()}
    codes |= {"terminated": rows.flag(columns.terminated), "truncated": rows.flag(columns.truncated)}
    first, sums = tally([*codes.values(), *(rows.other(column) for column in keep)], rows.sums)
    return BehaviorLog(
        frame=_frame(rows, columns, first, sums[:, 0]),
        columns=columns,
        codebook=codebook,
        row=rows.row[first],
        subject=codes["subject"][first],
        episode=codes["subject"][first],
        step=np.zeros(len(first), dtype=np.int64),
        state=codes["state"][first],
        action=codes["action"][first],
        next_state=codes["next_state"][first],
        weight=sums[:, 0],
        terminated=codes["terminated"][first] > 0,
        truncated=codes["truncated"][first] > 0,
        participants=participants_table(participants, columns, found["subject"][0], name),
        source=name,
        multiplicity=sums[:, 1].astype(np.int64),
    )


def _encoded(book: Labels, labels: list[Hashable], place: Codes) -> Codes:
    codes = [NONE if label is None else int(book.encode([label])[0]) for label in labels]
    return np.array(codes, dtype=np.int64)[place]


def _frame(rows: _Rows, columns: Columns, first: Codes, weight: Real) -> pd.DataFrame:
    """Return the table of distinct decisions: the columns that were read, and the summed weight."""
    frame = rows.take(list(rows.place), first)
    name = columns.weight or "weight"
    while columns.weight is None and name in frame.columns:
        name += "_"
    frame[name] = weight
    return frame
