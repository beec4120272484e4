"""Labels and codes: how the words of a log become the integers of the mathematics, and back.

Codes are made once and carried along (training log -> held-out log, task -> log), never derived
again from new data, so that a code cannot change its meaning.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from typing import Any, SupportsIndex, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.errors import did_you_mean

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=True)
class Labels:
    """An ordered, duplicate-free list of labels; the code of a label is its place.

    Attributes:
        kind: what is labelled ("state", "action", "subject", ...), used in messages.
        values: the labels, a tuple or (of pairs) what acts like one; states of several columns are tuples.

    Example:
        >>> actions = Labels("action", ("left", "right"))
        >>> actions.encode(["right", "jump"])
        array([ 1, -1])
    """

    kind: str
    values: tuple[Hashable, ...]
    _index: Mapping[Hashable, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Build the look-up table and refuse duplicates."""
        index = {value: code for code, value in enumerate(self.values)}
        if len(index) != len(self.values):
            twice = next(v for i, v in enumerate(self.values) if index[v] != i)
            raise ValueError(f"{self.kind} {twice!r} is listed twice")
        object.__setattr__(self, "_index", index)

    def __len__(self) -> int:
        """Return the number of labels."""
        return len(self.values)

    def __contains__(self, value: Hashable) -> bool:
        """Say whether the label is known (1 and "1" are different labels)."""
        return self._code(value) >= 0

    @cached_property
    def _types(self) -> frozenset[type]:
        return frozenset(type(v) for v in self.values)

    def _code(self, value: Hashable) -> int:
        # True == 1 == 1.0 for a dict; a label 1 must not answer to True.
        code = self._index.get(value, -1)
        return -1 if code >= 0 and isinstance(value, bool) != isinstance(self.values[code], bool) else code

    def encode(self, labels: Iterable[Hashable]) -> Codes:
        """Return the code of each label, -1 where it is unknown."""
        wanted = list(labels)
        if bool in self._types or bool in map(type, wanted):
            return np.fromiter((self._code(label) for label in wanted), dtype=np.int64)
        return np.fromiter(map(self._index.get, wanted, repeat(-1)), dtype=np.int64)

    def decode(self, codes: Iterable[SupportsIndex]) -> list[Hashable]:
        """Return the label of each code, ``None`` for -1."""
        return [self.values[code] if code.__index__() >= 0 else None for code in codes]

    def suggest(self, value: Hashable) -> str:
        """Return the "did you mean" half-sentence for an unknown label."""
        return did_you_mean(value, self.values)

    @classmethod
    def of(cls, kind: str, values: Iterable[Hashable]) -> "Labels":
        """Collect the distinct labels of a column in natural order (numbers by size, text by letters)."""
        distinct = list(dict.fromkeys(values))
        try:
            distinct.sort()  # type: ignore[call-arg]
        except TypeError:  # labels of different types have no order of their own
            distinct.sort(key=lambda v: (type(v).__name__, str(v)))
        return cls(kind, tuple(distinct))


class Pairs(Sequence[Hashable]):
    """All pairs of an outer and an inner label, outer by outer, never spelled out."""

    def __init__(self, outer: Sequence[Hashable], inner: Sequence[Hashable]) -> None:
        """Note what is paired."""
        self.outer, self.inner = outer, inner

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.outer) * len(self.inner)

    @overload
    def __getitem__(self, place: SupportsIndex) -> tuple[Hashable, Hashable]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Hashable]: ...
    def __getitem__(self, place: SupportsIndex | slice) -> Hashable | Sequence[Hashable]:
        """Return the pair at a place, or a list of them."""
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        at = place.__index__() + (len(self) if place.__index__() < 0 else 0)
        if not 0 <= at < len(self):
            raise IndexError(f"there are {len(self)} pairs, none at {place}")
        one, two = divmod(at, len(self.inner))
        return self.outer[one], self.inner[two]

    def __eq__(self, other: object) -> bool:
        """Whether the same labels are paired."""
        return isinstance(other, Pairs) and (self.outer, self.inner) == (other.outer, other.inner)

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash((tuple(self.outer), tuple(self.inner)))


class PairLabels(Labels):
    """The labels ``(outer, inner)`` of all pairs; millions of them take no memory.

    Example:
        >>> states = PairLabels("state", Labels("goal", ("home", "work")), Labels("link", (1, 2, 3)))
        >>> states.encode([("work", 1), ("work", 4)]), states.decode([5])
        (array([ 3, -1]), [('work', 3)])
    """

    outer: Labels
    inner: Labels

    def __init__(self, kind: str, outer: Labels, inner: Labels) -> None:
        """Note what is paired."""
        for name, value in (("kind", kind), ("values", Pairs(outer.values, inner.values)), ("outer", outer)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "inner", inner)

    def _code(self, value: Hashable) -> int:
        if not (isinstance(value, tuple) and len(value) == 2):
            return -1
        one, two = self.outer._code(value[0]), self.inner._code(value[1])
        return -1 if min(one, two) < 0 else one * len(self.inner) + two

    def encode(self, labels: Iterable[Hashable]) -> Codes:
        """Return the code of each label, -1 where it is unknown."""
        wanted = [v if isinstance(v, tuple) and len(v) == 2 else (None, None) for v in labels]
        one, two = self.outer.encode(v[0] for v in wanted), self.inner.encode(v[1] for v in wanted)
        return np.where((one < 0) | (two < 0), -1, one * len(self.inner) + two)

    def suggest(self, value: Hashable) -> str:
        """Return the "did you mean" half-sentence for an unknown pair: of the part that is unknown."""
        if not (isinstance(value, tuple) and len(value) == 2):
            return f" Write it as a pair ({self.outer.kind}, {self.inner.kind})."
        return self.inner.suggest(value[1]) if value[0] in self.outer else self.outer.suggest(value[0])


@dataclass(frozen=True)
class Codebook:
    """The label lists of one log; a log and every part split from it share one codebook.

    Attributes:
        subjects: people, in natural order.
        states: state labels; ``(context, state)`` pairs where the log has contexts.
        actions: action labels.
    """

    subjects: Labels
    states: Labels
    actions: Labels


def row_labels(frame: pd.DataFrame, columns: Sequence[str]) -> list[Hashable]:
    """Return one plain Python label per row: the value of one column, or a tuple over several."""
    lists = [frame[column].tolist() for column in columns]
    return lists[0] if len(lists) == 1 else list(zip(*lists, strict=True))


def label_index(columns: Sequence[Sequence[Hashable]], names: list[str]) -> pd.MultiIndex:
    """Return the index of rows that are called by several labels each, of any type: text beside tuples, too.

    pandas would sort them, and what cannot be sorted is padded with warnings or refused.

    Example:
        >>> label_index([["weight", "temperature"], ["all", ("ann", 1)]], ["name", "label"]).tolist()
        [('weight', 'all'), ('temperature', ('ann', 1))]
    """
    places = [{label: place for place, label in enumerate(dict.fromkeys(column))} for column in columns]
    levels: list[Any] = [pd.Index(list(place), tupleize_cols=False) for place in places]  # pandas' stubs want lists
    return pd.MultiIndex(
        levels=levels,
        codes=[[place[label] for label in column] for place, column in zip(places, columns, strict=True)],
        names=names,
    )
