"""Networks: a table of turns between links, shared by trips to many goals."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from humansoft.codebook import Labels
from humansoft.errors import Problems, TaskError, did_you_mean, refuse_text, shortlist
from humansoft.table_files import read_table
from humansoft.tasks.goals import Goals
from humansoft.tasks.parts import Index, Real, TaskParts

_SUBJECT = "the network"


def network_parts(
    edges: pd.DataFrame | str | Path,
    *,
    goals: Sequence[Hashable] | None = None,
    source: str = "from",
    target: str = "to",
    features: Sequence[str] = (),
    units: Mapping[str, str] | None = None,
) -> TaskParts:
    """Turn a table of turns into a task over links; see :meth:`Task.network` for the rules."""
    refuse_text("features", features, TaskError)
    frame = table_of_turns(edges, [source, target, *features], _SUBJECT)
    check_columns(frame, source, target, features, units or {}, _SUBJECT)
    links = Labels.of("link", [*frame[source].tolist(), *frame[target].tolist()])
    start, end = links.encode(frame[source].tolist()), links.encode(frame[target].tolist())
    _check_turns(links, start, end)
    known = {name: (units or {}).get(name, "") for name in features}
    values = frame[list(features)].to_numpy(dtype=float)
    return parts_of_turns(links, _targets(links, start, end, goals), start, end, values, known, _SUBJECT)


def parts_of_turns(
    links: Labels, target: Index, start: Index, end: Index, values: Real, units: Mapping[str, str], source: str
) -> TaskParts:
    """Return the parts of a network.

    Args:
        links: labels of the L links.
        target: [C] code of the link of each goal.
        start: [E] link that each turn leaves; no turn stands twice.
        end: [E] link that it enters.
        values: [E, F] its features.
        units: unit of each feature by name, in the order of F.
        source: what was described, for messages.
    """
    order = np.lexsort((end, start))
    start, end = start[order], end[order]
    slot = np.arange(len(start)) - np.searchsorted(start, start)
    actions = Labels("action", tuple(f"turn_{k + 1}" for k in range(int(slot.max()) + 1)))
    features = np.zeros((len(links), len(actions), len(units)))
    features[start, slot] = values[order]
    leaving = np.zeros(len(links), dtype=bool)
    leaving[start] = True
    return TaskParts(
        states=links,
        actions=actions,
        state=start,
        action=slot,
        next_state=end,
        probability=np.ones(len(start)),
        features=features,
        terminal=~leaving,
        feature_units=dict(units),
        goals=Goals(links, target, start, end, slot),
        source=source,
    )


def table_of_turns(turns: object, columns: Sequence[str], subject: str) -> pd.DataFrame:
    """Return a table of turns, read from a file where it is a path.

    Raises:
        TaskError: it is no table.
    """
    if isinstance(turns, pd.DataFrame):
        return turns
    if isinstance(turns, str | Path):
        return read_table(Path(turns), TaskError)
    raise TaskError(
        f"{subject}: a {type(turns).__name__} is no table of turns; give a data frame or the path of one, for example "
        f"pd.DataFrame(turns, columns={list(columns)})"
    )


def check_columns(
    frame: pd.DataFrame, source: str, target: str, features: Sequence[str], units: Mapping[str, str], subject: str
) -> None:
    """Refuse a table of turns that cannot be read.

    Raises:
        TaskError: columns that are missing, empty or not numbers, units of no feature; all at once.
    """
    with Problems(subject, TaskError) as problems:
        if frame.empty:
            problems.add("it has no rows")
            return
        for column in dict.fromkeys([source, target, *features]):
            if column not in frame.columns:
                problems.add(f"there is no column {column!r}.{did_you_mean(column, list(frame.columns))}")
            elif frame[column].isna().any():
                row = int(np.flatnonzero(frame[column].isna())[0]) + 1
                problems.add(f"column {column!r} is empty or not a number (NaN), first at row {row}")
            elif column in features and not pd.api.types.is_numeric_dtype(frame[column]):
                problems.add(f"column {column!r} holds {frame[column].iloc[0]!r}, not numbers")
            elif column in features and np.isinf(frame[column].to_numpy(dtype=float)).any():
                row = int(np.flatnonzero(np.isinf(frame[column].to_numpy(dtype=float)))[0]) + 1
                problems.add(f"column {column!r} is infinite, first at row {row}")
        for name in units.keys() - set(features):
            problems.add(f"there is a unit for {name!r} but no such feature.{did_you_mean(name, features)}")


def _check_turns(links: Labels, start: Index, end: Index) -> None:
    keys, number = np.unique(start * len(links) + end, return_counts=True)
    twice = keys[number > 1]
    if len(twice):
        pairs = [(links.values[key // len(links)], links.values[key % len(links)]) for key in twice]
        raise TaskError(
            f"{_SUBJECT}: {len(twice)} turns stand twice or more, {shortlist(pairs)}: an action is named by the link "
            "that it enters, so parallel ways need links of their own between them"
        )


def _targets(links: Labels, start: Index, end: Index, goals: Sequence[Hashable] | None) -> Index:
    """Return the codes of the goals: those given, or every link that no turn leaves."""
    if goals is None:
        found = np.setdiff1d(end, start)
        if not len(found):
            raise TaskError(f"{_SUBJECT}: turns leave every link, so it must be told where trips end, goals=")
        return found
    codes = links.encode(goals)
    with Problems(_SUBJECT, TaskError) as problems:
        if not len(codes):
            problems.add("there are no goals, goals=[]")
        for label in [g for g, code in zip(goals, codes, strict=True) if code < 0][:5]:
            problems.add(f"goal {label!r} is no link of the network.{links.suggest(label)}")
        known = codes[codes >= 0]
        distinct, number = np.unique(known, return_counts=True)
        if (number > 1).any():
            problems.add(f"goals {shortlist(links.decode(distinct[number > 1]))} stand more than once")
        lost = np.setdiff1d(known, end[start != end])  # nobody enters from itself
        if len(lost):
            problems.add(f"no turn leads into the goals {shortlist(links.decode(lost))}")
    return codes
