"""Sufficient statistics of a log: how often each decision, and each transition, occurred."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.codebook import Codes

Real = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Sparse counts over (subject, unit, time, state, action); one entry a distinct combination.

    Attributes:
        subject: [N] subject code of the log's codebook.
        unit: [N] subject or episode code, whichever was asked for.
        time: [N] step within the episode (0 everywhere when not timed).
        state: [N] state code of the task.
        action: [N] action code of the task.
        weight: [N] summed weight of the decisions.
        previous: [N] code of the action made before, -1 for none; ``None`` where nobody asked.
    """

    subject: Codes
    unit: Codes
    time: Codes
    state: Codes
    action: Codes
    weight: Real
    previous: Codes | None = None

    @classmethod
    def of(cls, keys: Sequence[Codes], weight: Real) -> "Counts":
        """Sum ``weight`` over equal rows of ``keys`` (subject, unit, time, state, action, perhaps previous)."""
        first, total = tally(keys[1:], weight)  # the unit determines its subject
        subject, unit, time, state, action, *previous = (key[first] for key in keys)
        return cls(subject, unit, time, state, action, total, *previous)


def tally(keys: Sequence[Codes], weight: Real) -> tuple[Codes, Real]:
    """Return where each distinct row of ``keys`` first stands, in order, and its summed weight.

    ``weight`` may have several columns [N, W], which are summed each.

    Example:
        >>> first, total = tally([np.array([7, 7, 2])], np.array([1.0, 2.0, 1.0]))
        >>> first.tolist(), total.tolist()
        ([2, 0], [1.0, 3.0])
    """
    # A hash table of millions of rows is several times faster than sorting them.
    place, distinct = pd.factorize(combined(keys, len(weight)))
    order = np.argsort(distinct)
    first = np.flatnonzero(np.diff(np.maximum.accumulate(place), prepend=-1) > 0)  # places count up as rows appear
    sums = [np.bincount(place, weights=column, minlength=len(first)) for column in np.atleast_2d(weight.T)]
    total = (sums[0] if weight.ndim == 1 else np.column_stack(sums)).astype(np.float64)
    return first[order].astype(np.int64), total[order]


def combined(keys: Sequence[Codes], count: int) -> Codes:
    """Return one number for each of ``count`` rows of ``keys``, equal where the rows are and in their order."""
    flat, size = np.zeros(count, dtype=np.int64), 1
    for key in keys:
        width = int(key.max(initial=0)) + 2  # codes start at -1
        if size * width > 2**62:  # renumber what has been seen, lest the product overflow
            flat = np.unique(flat, return_inverse=True)[1]
            size = int(flat.max(initial=0)) + 1
        flat, size = flat * width + key + 1, size * width
    return flat


def transition_table(
    states: Sequence[Hashable], actions: Sequence[Hashable], codes: Mapping[str, Codes], weight: Real
) -> pd.DataFrame:
    """Count what followed what; see :meth:`BehaviorLog.transition_counts` for the columns.

    Args:
        states: labels of the state codes.
        actions: labels of the action codes.
        codes: [N] "state", "action", "next_state" (-1: none), "ended" and "starts" (0 or 1).
        weight: [N] how often the row counts.
    """
    known = (codes["action"] >= 0) & ((codes["next_state"] >= 0) | (codes["ended"] > 0))
    # A row after which nothing is known still shows that its state and action occur.
    following = np.where(known, codes["next_state"], -1)
    ended = np.where(known, codes["ended"], 0)
    keys = [codes["state"], codes["action"], following, ended]
    first, total = tally(keys, np.where(known, weight, 0.0))
    state = codes["state"][first]  # in order, for it is the first key
    starts = np.bincount(codes["state"], weights=codes["starts"], minlength=len(states))
    is_first = np.diff(state, prepend=-1) > 0
    return pd.DataFrame(
        {
            "state": _labelled(states, state),
            "action": _labelled(actions, codes["action"][first]),
            "next_state": _labelled(states, following[first]),
            "count": total,
            "ended": ended[first] > 0,
            "starts": np.where(is_first, starts[state], 0.0).astype(np.int64),
        }
    )


def _labelled(labels: Sequence[Hashable], codes: Codes) -> "pd.Series[str]":
    """Return the labels of codes; as objects, so that 3 stays 3 beside a None."""
    return pd.Series([labels[code] if code >= 0 else None for code in codes], dtype=object)
