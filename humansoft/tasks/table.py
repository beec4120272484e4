"""Long tables of transitions: one row a (state, action, next state), with features beside it."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from humansoft.codebook import Labels, row_labels
from humansoft.errors import Problems, TaskError, did_you_mean, shortlist
from humansoft.table_files import read_table
from humansoft.tasks.parts import Flags, Index, Real, TaskParts

_SUBJECT = "the transition table"


def table_parts(
    table: pd.DataFrame | str | Path,
    *,
    state: str | Sequence[str] = "state",
    action: str = "action",
    next_state: str | Sequence[str] = "next_state",
    probability: str | None = None,
    context: str | None = None,
    features: Sequence[str] = (),
    units: Mapping[str, str] | None = None,
    terminal: Sequence[Hashable] | None = None,
    initial: Mapping[Any, float] | None = None,
    states: Sequence[Hashable] | None = None,
    actions: Sequence[Hashable] | None = None,
) -> TaskParts:
    """Turn a long table into a task; see :meth:`Task.table` for the rules."""
    frame = table if isinstance(table, pd.DataFrame) else read_table(Path(table), TaskError)
    numeric = [*features, *([probability] if probability else [])]
    _check_columns(frame, _names(state), _names(next_state), [action, *([context] if context else [])], numeric)
    origin, following = row_labels(frame, _names(state)), row_labels(frame, _names(next_state))
    if context:
        contexts = frame[context].tolist()
        origin = list(zip(contexts, origin, strict=True))
        following = list(zip(contexts, following, strict=True))
    chosen = frame[action].tolist()
    state_labels = _labels("state", [*origin, *following], states)
    action_labels = _labels("action", chosen, actions)
    s, a, n = state_labels.encode(origin), action_labels.encode(chosen), state_labels.encode(following)
    p = frame[probability].to_numpy(dtype=float) if probability else np.ones(len(frame))
    values = np.zeros((len(state_labels), len(action_labels), len(features)))
    for k, name in enumerate(features):
        # expected over next states: the feature of a state and action
        np.add.at(values[:, :, k], (s, a), p * frame[name].to_numpy(dtype=float))
    return TaskParts(
        states=state_labels,
        actions=action_labels,
        state=s,
        action=a,
        next_state=n,
        probability=p,
        features=values,
        feature_units={name: (units or {}).get(name, "") for name in features},
        terminal=_terminal(state_labels, s, terminal),
        initial=_initial(state_labels, initial),
        contextual=context is not None,
        source=_SUBJECT,
    )


def _names(columns: str | Sequence[str]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)


def _check_columns(
    frame: pd.DataFrame,
    state: Sequence[str],
    next_state: Sequence[str],
    other: Sequence[str],
    numeric: Sequence[str],
) -> None:
    with Problems(_SUBJECT, TaskError) as problems:
        if frame.empty:
            problems.add("it has no rows")
        if len(state) != len(next_state):
            problems.add(f"state has {len(state)} columns but next_state has {len(next_state)}; name as many")
        for column in dict.fromkeys([*state, *next_state, *other, *numeric]):
            if column not in frame.columns:
                problems.add(f"there is no column {column!r}.{did_you_mean(column, list(frame.columns))}")
            elif frame[column].isna().any():
                row = int(np.flatnonzero(frame[column].isna())[0]) + 1
                problems.add(f"column {column!r} is empty or not a number (NaN), first at row {row}")
        for column in (c for c in numeric if c in frame.columns):
            if not pd.api.types.is_numeric_dtype(frame[column]):
                problems.add(f"column {column!r} holds {frame[column].iloc[0]!r}, not numbers")
            elif np.isinf(frame[column].to_numpy(dtype=float, na_value=np.nan)).any():
                row = int(np.flatnonzero(np.isinf(frame[column].to_numpy(dtype=float, na_value=np.nan)))[0]) + 1
                problems.add(f"column {column!r} is infinite, first at row {row}")


def _labels(kind: str, used: list[Hashable], given: Sequence[Hashable] | None) -> Labels:
    """Return the given labels, or those in use in natural order."""
    if given is None:
        return Labels.of(kind, used)
    with Problems(_SUBJECT, TaskError) as problems:
        labels = Labels(kind, tuple(dict.fromkeys(given)))
        if len(labels) < len(given):
            problems.add(f"the list of {kind}s names {len(given) - len(labels)} of them twice")
        unknown = [v for v in dict.fromkeys(used) if v not in labels]
        if unknown:
            problems.add(f"{kind}s {shortlist(unknown)} are not in the given list.{labels.suggest(unknown[0])}")
    return labels


def _terminal(states: Labels, origins: Index, given: Sequence[Hashable] | None) -> Flags:
    leaving = np.zeros(len(states), dtype=bool)
    leaving[origins] = True
    if given is None:
        return ~leaving
    terminal = np.zeros(len(states), dtype=bool)
    with Problems(_SUBJECT, TaskError) as problems:
        for label in given:
            if label not in states:
                problems.add(f"terminal state {label!r} does not occur.{states.suggest(label)}")
            elif leaving[states.encode([label])[0]]:
                problems.add(f"terminal state {label!r} has outgoing rows; delete them or do not call it terminal")
        terminal[[c for c in states.encode(given) if c >= 0]] = True
        stuck = np.flatnonzero(~leaving & ~terminal)
        if len(stuck):
            problems.add(
                f"states {shortlist(states.decode(stuck.tolist()))} have no outgoing rows but are not called terminal"
            )
    return terminal


def _initial(states: Labels, given: Mapping[Any, float] | None) -> Real | None:
    if given is None:
        return None
    codes = states.encode(given)
    if (codes < 0).any():
        wrong = list(given)[int(np.flatnonzero(codes < 0)[0])]
        raise TaskError(f"initial state {wrong!r} does not occur in the table.{states.suggest(wrong)}")
    initial = np.zeros(len(states))
    initial[codes] = list(given.values())
    total = initial.sum()
    return initial / total if total > 0 else initial
