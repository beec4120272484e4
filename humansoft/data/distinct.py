"""What is kept of a stream: the distinct values of a column, and the totals of distinct rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from humansoft._types import NONE
from humansoft.codebook import Codes
from humansoft.data.column_checks import MOST_ROWS, Places
from humansoft.data.counts import tally
from humansoft.data.streams import Encoded, key_of

Real = npt.NDArray[np.float64]


class Distinct:
    """The distinct values of one column so far: how often each occurred, and in which rows first.

    The code of an empty cell is 0.
    """

    def __init__(self) -> None:
        """Start without values."""
        self._values: list[Any] = [None]
        self._codes: dict[object, int] = {}
        self._number: Codes = np.zeros(1, dtype=np.int64)
        self._first: Codes = np.zeros((1, MOST_ROWS), dtype=np.int64)

    def add(self, column: Encoded, start: int) -> Codes:
        """Take in one piece of the column, whose first row is row ``start``; return the codes of its rows."""
        codes: Codes = np.array([*map(self._code, column.values), 0])[column.codes]  # the last one is for -1
        new = len(self._values) - len(self._number)
        number = np.bincount(codes, minlength=len(self._values))
        self._first = np.pad(self._first, ((0, new), (0, 0)))
        self._note(codes, number, start)
        self._number = np.pad(self._number, (0, new)) + number
        return codes

    def _code(self, value: object) -> int:
        if value is None or value != value:  # NaN
            return 0
        code = self._codes.setdefault(key_of(value), len(self._values))
        if code == len(self._values):
            self._values.append(value)
        return code

    def _note(self, codes: Codes, number: Codes, start: int) -> None:
        """Note the rows of values of which fewer than enough are known; after a piece or two that is none."""
        known = (self._first > 0).sum(axis=1)
        rows = np.flatnonzero(((known < MOST_ROWS) & (number > 0))[codes])
        rows = rows[np.argsort(codes[rows], kind="stable")]
        value = codes[rows]
        place = known[value] + np.arange(len(rows)) - np.searchsorted(value, value)
        kept = place < MOST_ROWS
        self._first[value[kept], place[kept]] = start + rows[kept] + 1

    @property
    def _present(self) -> Codes:
        """Codes of the values that occur, in the order in which they first do."""
        present = np.flatnonzero(self._number)
        return present[np.argsort(self._first[present, 0])]

    @property
    def place(self) -> Codes:
        """[codes] place of each code among the values that occur."""
        place = np.full(len(self._number), NONE, dtype=np.int64)
        place[self._present] = np.arange(len(self._present))
        return place

    @property
    def places(self) -> Places:
        """Where the values that occur stand in the table."""
        return Places(self._number[self._present], self._first[self._present])

    @property
    def values(self) -> list[Any]:
        """The values that occur, ``None`` for an empty cell."""
        return [self._values[code] for code in self._present]


@dataclass(eq=False)
class Totals:
    """Summed weight, number and first row of each distinct row of codes.

    Pieces wait until they are as many as what has been merged, so that merging costs little in all.
    """

    _waiting: list[tuple[list[Codes], Real, Codes]] = field(default_factory=list)
    _size: int = 0  # rows that wait
    _merged: int = 0

    def add(self, keys: Sequence[Codes], weight: Real, start: int) -> None:
        """Take in rows of the table from row ``start``, one code a column."""
        sums = np.column_stack([weight, np.ones(len(weight))])
        self._waiting.append(_merge(keys, sums, np.arange(start, start + len(weight))))
        self._size += len(self._waiting[-1][2])
        if self._size > max(2 * self._merged, _ENOUGH_TO_MERGE):
            self.result()

    def result(self) -> tuple[list[Codes], Real, Codes]:
        """Return the codes of the distinct rows, their [D, 2] weight and number, and where each first stood."""
        waiting, self._waiting = self._waiting, []
        keys = [np.concatenate(key) for key in zip(*(entry[0] for entry in waiting), strict=True)]
        sums, row = (np.concatenate([entry[i] for entry in waiting]) for i in (1, 2))
        del waiting
        merged = _merge(keys, sums, row)
        self._waiting, self._merged = [merged], len(merged[2])
        self._size = self._merged
        return merged


_ENOUGH_TO_MERGE = 2**21


def _merge(keys: Sequence[Codes], sums: Real, row: Codes) -> tuple[list[Codes], Real, Codes]:
    """Sum equal rows; earlier ones come first, so that the first row of each is the earliest."""
    first, total = tally(keys, sums)
    return [key[first] for key in keys], total, row[first]
