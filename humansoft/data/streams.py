"""Tables read piece by piece: each column of a piece as codes and the few distinct values they stand for.

What a value means (text, a number, nothing) is decided at the end, over all distinct values of a
column, exactly as if the column had been read in one piece.
"""

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from humansoft._types import NONE
from humansoft.codebook import Codes
from humansoft.errors import LogError, UsageError
from humansoft.table_files import damage_as, separator_of

_PIECE = 2**19
"""Rows in a piece: enough to be fast, and some tens of megabytes."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """One column of a piece.

    Attributes:
        codes: [N] place of each row's value in ``values``, -1 where the cell is empty.
        values: the values, of which some may not occur; an unhashable one is an empty list.
    """

    codes: Codes
    values: list[Any]


@dataclass(frozen=True, eq=False)
class Piece:
    """Consecutive rows of a table.

    Attributes:
        labels: the columns that hold labels.
        weight: the column of weights as it stands, ``None`` where there is none.
        num_rows: how many rows.
    """

    labels: dict[str, Encoded]
    weight: "pd.Series[Any] | None"
    num_rows: int


class TableStream(ABC):
    """A table that is read piece by piece."""

    name: str
    names: list[Any]

    @abstractmethod
    def pieces(self, labels: Sequence[str], weight: str | None) -> Iterator[Piece]:
        """Yield the rows in order; only the named columns are read."""

    @abstractmethod
    def typed(self, column: str, values: list[Any]) -> "pd.Series[Any]":
        """Return distinct values (``None`` for an empty cell) with the type they have in the whole column."""


def open_stream(source: object) -> TableStream:
    """Open a file, or take a DataFrame in pieces.

    Raises:
        UsageError: neither a path nor a DataFrame.
        LogError: the file does not exist, or its header cannot be read.
    """
    if isinstance(source, pd.DataFrame):
        return _FrameStream(source)
    if not isinstance(source, str | Path):
        raise UsageError(f"read() takes a path or a pandas DataFrame, not a {type(source).__name__}")
    path = Path(source)
    separator = separator_of(path, LogError)
    return _ParquetStream(path) if separator is None else _TextStream(path, separator)


class _ParquetStream(TableStream):
    """Record batches of a Parquet file; dictionaries are made by Arrow."""

    def __init__(self, path: Path) -> None:
        # Half a second to import: only when a large log is read.
        import pyarrow.parquet

        self.path, self.name = path, path.name
        with damage_as(path, LogError):
            self.file = pyarrow.parquet.ParquetFile(path)
            self.schema = self.file.schema_arrow
        self.names = list(self.schema.names)

    def pieces(self, labels: Sequence[str], weight: str | None) -> Iterator[Piece]:
        wanted = [*labels, *([weight] if weight and weight not in labels else [])]
        with damage_as(self.path, LogError):
            for batch in self.file.iter_batches(_PIECE, columns=wanted):
                encoded = {column: _encoded_arrow(batch.column(column)) for column in labels}
                yield Piece(encoded, batch.column(weight).to_pandas() if weight else None, batch.num_rows)

    def typed(self, column: str, values: list[Any]) -> "pd.Series[Any]":
        import pyarrow as pa

        kind = self.schema.field(column).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_nested(kind):
            return pd.Series(values, dtype=object, name=column)
        typed: pd.Series[Any] = pa.array(values, kind).to_pandas().rename(column)
        return typed


def _encoded_arrow(array: Any) -> Encoded:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_nested(array.type):
        return Encoded(np.where(array.is_valid().to_numpy(zero_copy_only=False), 0, NONE).astype(np.int64), [[]])
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), None, array)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = array.indices.fill_null(NONE).to_numpy(zero_copy_only=False).astype(np.int64)
    return Encoded(codes, array.dictionary.to_pylist())


class _TextStream(TableStream):
    """Pieces of a CSV or TSV file: labels as text until all of them are known."""

    def __init__(self, path: Path, separator: str) -> None:
        self.path, self.name, self.separator = path, path.name, separator
        with damage_as(path, LogError):
            self.names = list(pd.read_csv(path, sep=separator, nrows=0).columns)

    def pieces(self, labels: Sequence[str], weight: str | None) -> Iterator[Piece]:
        wanted = {*labels, *([weight] if weight else [])}
        text = dict.fromkeys(labels, str)
        with damage_as(self.path, LogError), self._reader(wanted, text) as reader:
            for frame in reader:
                encoded = {column: _encoded_series(frame[column]) for column in labels}
                yield Piece(encoded, frame[weight] if weight else None, len(frame))

    def _reader(self, wanted: set[str], text: dict[str, type[str]]) -> Any:  # noqa: ANN401 - private to pandas
        return pd.read_csv(
            self.path, sep=self.separator, chunksize=_PIECE, usecols=lambda name: name in wanted, dtype=text
        )

    def typed(self, column: str, values: list[Any]) -> "pd.Series[Any]":
        # Let the parser itself say what it would have made of the whole column.
        lines = io.StringIO()
        csv.writer(lines).writerows(enumerate(values))
        lines.seek(0)
        parsed = pd.read_csv(lines, header=None, names=["place", column], low_memory=False)
        return parsed[column]


def _encoded_series(values: "pd.Series[Any]") -> Encoded:
    codes, distinct = pd.factorize(values)
    return Encoded(codes.astype(np.int64), distinct.tolist())


class _FrameStream(TableStream):
    """Slices of a DataFrame."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame, self.name, self.names = frame.reset_index(drop=True), "DataFrame", list(frame.columns)

    def pieces(self, labels: Sequence[str], weight: str | None) -> Iterator[Piece]:
        for start in range(0, len(self.frame), _PIECE):
            rows = self.frame.iloc[start : start + _PIECE]
            encoded = {column: self._encoded(rows[column]) for column in labels}
            yield Piece(encoded, rows[weight].reset_index(drop=True) if weight else None, len(rows))

    def _encoded(self, values: "pd.Series[Any]") -> Encoded:
        if values.dtype != object:
            return _encoded_series(values)
        # Objects may be of two types (1 and True are equal then), or lists, which cannot be looked up.
        places: dict[Any, int] = {}
        distinct: list[Any] = []
        codes = np.full(len(values), NONE)
        for row, (value, empty) in enumerate(zip(values.tolist(), values.isna().tolist(), strict=True)):
            if empty:
                continue
            value = value if _hashable(value) else []
            code = places.setdefault(key_of(value), len(distinct))
            if code == len(distinct):
                distinct.append(value)
            codes[row] = code
        return Encoded(codes, distinct)

    def typed(self, column: str, values: list[Any]) -> "pd.Series[Any]":
        dtype = self.frame[column].dtype
        return pd.Series(values, dtype=object if isinstance(dtype, pd.CategoricalDtype) else dtype, name=column)


def _hashable(value: object) -> bool:
    return getattr(type(value), "__hash__", None) is not None


def key_of(value: object) -> object:
    """Return what tells a value from others of its column: 1 is not True, and lists are all alike."""
    return (type(value), value) if _hashable(value) else list
