"""Reading behavior logs: any table with one row a decision becomes a BehaviorLog."""

import dataclasses
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft._types import NONE
from humansoft.codebook import Codebook, Codes, Labels, row_labels
from humansoft.data.column_checks import check_columns, check_values, mixes_types, roles
from humansoft.data.columns import Columns
from humansoft.data.counted import count_log
from humansoft.data.labelling import load_table, make_codebook, participants_table, whole_numbers
from humansoft.data.log import BehaviorLog
from humansoft.data.parts import by_conditions

Mask = npt.NDArray[np.bool_]


def read(
    source: str | Path | pd.DataFrame,
    *,
    subject: str | None = "subject",
    episode: str | None = "episode",
    step: str | None = "step",
    state: str | Sequence[str] = "state",
    action: str = "action",
    next_state: str | Sequence[str] | None = None,
    context: str | None = None,
    weight: str | None = None,
    terminated: str | None = None,
    truncated: str | None = None,
    conditions: str | Sequence[str] = (),
    participants: str | Path | pd.DataFrame | None = None,
    codebook: Codebook | None = None,
    counted: bool = False,
    keep: str | Sequence[str] = (),
) -> BehaviorLog:
    """Read a behavior log from CSV, TSV, Parquet or a DataFrame with one row a decision.

    Args:
        source: a table, or the path of one (.csv, .tsv, .parquet; .gz and the like are unpacked).
        subject: column of the person; ``None``: the whole log is one person's.
        episode: column of the run or trial; ``None``: one episode a person.
        step: column that orders the decisions of an episode; ``None``: the order of the rows.
        state: column of the state, or several columns that together make it.
        action: column of the response; empty cells are missing responses.
        next_state: column(s) of the following state; by default the state of the next row.
        context: column of the maze, layout or condition.
        weight: column that says how often a row counts (> 0).
        terminated: true where the task ended after the decision.
        truncated: true where only the recording stopped.
        conditions: column(s) of the block, session or condition; every person is then a subject of its own in each,
            as :func:`humansoft.by_condition` makes it.
        participants: a table with one row a person (a column named as ``subject``) that brings
            group columns.
        codebook: labels of an earlier log, to keep its codes; unknown labels are appended.
        counted: for large logs: the table is read piece by piece and equal decisions become one
            row with their summed weight, so that memory grows with the distinct decisions only. The
            columns of episode and step are not read (:attr:`BehaviorLog.counted` says what that
            costs), and a table without next_state has no next states.
        keep: further columns that tell decisions apart in a counted log, such as a group column; an
            ordinary log has all columns anyway.

    Returns:
        The log, sorted by subject, episode and step. ``to_dataframe`` gives the table back (the
        distinct decisions, if counted; such a table is read again with ``counted=True, weight="weight"``).

    Raises:
        LogError: everything that makes the table unreadable as a log, all problems at once.
            Whether it fits a task is asked later, by :func:`humansoft.check`.

    Example:
        >>> import pandas as pd, humansoft as hs
        >>> table = pd.DataFrame({"ppt": ["a", "a"], "trial": [1, 2], "cell": [3, 4], "move": ["up", None]})
        >>> hs.read(table, subject="ppt", episode=None, step="trial", state="cell", action="move")
        BehaviorLog(DataFrame: 2 decisions, 1 subjects, 1 episodes, 2 states, 1 actions)
    """
    columns = Columns(
        subject=subject,
        episode=episode,
        step=step,
        state=_names(state),
        action=action,
        next_state=_names(next_state) if next_state else None,
        context=context,
        weight=weight,
        terminated=terminated,
        truncated=truncated,
    )
    inside = _names(conditions)
    if counted:
        log = count_log(source, columns, tuple(dict.fromkeys((*_names(keep), *inside))), participants, codebook)
    else:
        frame, name = load_table(source)
        log = build_log(frame, columns, name, participants=participants, codebook=codebook)
    return by_conditions(log, inside)


def _names(columns: str | Sequence[str]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)


def build_log(
    frame: pd.DataFrame,
    columns: Columns,
    name: str,
    participants: str | Path | pd.DataFrame | None = None,
    codebook: Codebook | None = None,
) -> BehaviorLog:
    """Check the columns of a table, encode them and sort them into a log (see :func:`read`)."""
    check_columns(list(frame.columns), columns, name, empty=frame.empty)
    used = _normalise(frame, columns)
    check_values(used, columns, name, mixed=codebook is not None and mixes_types(codebook.states.values))
    labels = _labels(used, columns)
    found = {kind: labels[kind] for kind in ("subject", "action")}
    codebook = make_codebook(found | {"state": [*labels["state"], *labels["next_state"]]}, codebook)
    arrays = _encode(labels, used, columns, codebook)
    order = np.lexsort((arrays["step"], arrays["episode"], arrays["subject"])).astype(np.int64)
    log = BehaviorLog(
        frame=frame.iloc[order],
        columns=columns,
        codebook=codebook,
        row=order,
        participants=participants_table(participants, columns, labels["subject"], name),
        source=name,
        **{key: value[order] for key, value in arrays.items()},
    )
    return log if columns.next_state else _next_from_rows(log)


def _normalise(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Return the columns that play a role, whole numbers as such."""
    used = frame[list(dict.fromkeys(c for names in roles(columns).values() for c in names))].copy()
    for column in used.columns:
        if column != columns.weight:
            used[column] = whole_numbers(used[column])
    return used


def _labels(used: pd.DataFrame, columns: Columns) -> dict[str, list[Hashable]]:
    """Return the label of each row for each role; ``None`` where there is none."""
    count = len(used)
    missed = used[columns.action].isna().tolist()
    states = row_labels(used, columns.state)
    following: list[Hashable] = [None] * count
    if columns.next_state:
        gone = used[list(columns.next_state)].isna().any(axis=1).tolist()
        named = row_labels(used, columns.next_state)
        following = [None if g else n for g, n in zip(gone, named, strict=True)]
    if columns.context:
        contexts = used[columns.context].tolist()
        states = list(zip(contexts, states, strict=True))
        following = [None if n is None else (c, n) for c, n in zip(contexts, following, strict=True)]
    return {
        "subject": used[columns.subject].tolist() if columns.subject else ["all"] * count,
        "episode": used[columns.episode].tolist() if columns.episode else [1] * count,
        "state": states,
        "action": [None if g else a for g, a in zip(missed, used[columns.action].tolist(), strict=True)],
        "next_state": following,
    }


def _encode(
    labels: dict[str, list[Hashable]], used: pd.DataFrame, columns: Columns, codebook: Codebook
) -> dict[str, Any]:
    count = len(used)
    subject = _codes(codebook.subjects, labels["subject"])
    runs = Labels.of("episode", labels["episode"])
    _, episode = np.unique(subject * len(runs) + _codes(runs, labels["episode"]), return_inverse=True)
    step = (
        pd.to_numeric(used[columns.step]).to_numpy(dtype=np.int64)
        if columns.step
        else pd.Series(episode).groupby(episode).cumcount().to_numpy(dtype=np.int64)
    )

    def flag(column: str | None) -> Mask:
        return used[column].astype(bool).to_numpy() if column else np.zeros(count, dtype=bool)

    return {
        "subject": subject,
        "episode": episode.astype(np.int64),
        "step": step,
        "state": _codes(codebook.states, labels["state"]),
        "action": _codes(codebook.actions, labels["action"]),
        "next_state": _codes(codebook.states, labels["next_state"]),
        "weight": pd.to_numeric(used[columns.weight]).to_numpy(dtype=float) if columns.weight else np.ones(count),
        "terminated": flag(columns.terminated),
        "truncated": flag(columns.truncated),
    }


def _codes(labels: Labels, values: list[Hashable]) -> Codes:
    """Encode a long column: every distinct label is looked up once."""
    distinct = list(dict.fromkeys(values))
    code = dict(zip(distinct, labels.encode(distinct).tolist(), strict=True))
    return np.fromiter(map(code.__getitem__, values), dtype=np.int64, count=len(values))


def _next_from_rows(log: BehaviorLog) -> BehaviorLog:
    """Take the state of the next row as the next state, within an episode and without a gap."""
    following = np.r_[log.state[1:], NONE]
    same = np.r_[(log.episode[1:] == log.episode[:-1]) & (log.step[1:] == log.step[:-1] + 1), False]
    return dataclasses.replace(log, next_state=np.where(same & ~log.terminated, following, NONE).astype(np.int64))
