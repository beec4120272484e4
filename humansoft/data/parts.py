"""Parts of people: sessions, conditions or halves, each as a subject of its own."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.codebook import Codebook, Labels
from humansoft.data.columns import Columns
from humansoft.data.log import BehaviorLog
from humansoft.errors import LogError, Problems, UsageError, did_you_mean

Index = npt.NDArray[np.int64]

PERSON = "person"
"""The participants' column that says who each subject of a log by condition is."""

_ARRAYS = ("row", "episode", "step", "state", "action", "next_state", "weight", "terminated", "truncated")


def by_condition(log: BehaviorLog, column: str) -> BehaviorLog:
    """Return a log in which every person in every condition is a subject of its own: "person/condition".

    With ``PerSubject()`` a person then has a temperature in each condition, block or session; with the formula
    "~ <column>" the condition explains it. A population model of temperatures knows who is who (repeated measures): a
    person deviates from others, and in each condition from the person's own level. Where people have reward weights
    of their own, conditions of one person count as independent people, and a fit says so in its notes.

    A log can be taken apart by one column after another: its people stay those of the first.

    Args:
        log: the decisions.
        column: a column of the log that is constant within episodes.

    Returns:
        The log; its participants have the columns "person" and ``column``, and those they had before.

    Raises:
        UsageError: no such column, or the log is taken apart by it already.
        LogError: an empty value, or an episode in two conditions; participants with a column of their own that is named
            "person", or as the conditions are.

    Example:
        >>> import humansoft as hs
        >>> table = pd.DataFrame({"episode": [1, 2], "state": "a", "action": "go", "block": ["early", "late"]})
        >>> log = hs.read(table, subject=None, step=None)
        >>> len(hs.by_condition(log, "block").subjects)
        2
    """
    if column in log.columns.conditions:
        raise UsageError(f"the log is taken apart by {column!r} already")
    labels, code = condition_of(log, column)
    parts = parted(log, code, labels)
    pairs: list[Any] = list(parts.codebook.subjects.values)
    names = [f"{person}/{condition}" for person, condition in pairs]
    if len(set(names)) < len(names):
        raise LogError(f"subjects and values of {column!r} with a '/' in them give two people one name; rename them")
    before = persons_of(log, log.subjects)
    told = {PERSON: [before[subject] for subject, _ in pairs], column: [condition for _, condition in pairs]}
    table = log.participants.reindex([subject for subject, _ in pairs]).set_axis(names)
    _require_free(log, column, table, told)
    table = table.assign(**told)
    table.index.name = log.columns.subject
    codebook = Codebook(Labels("subject", tuple(names)), parts.codebook.states, parts.codebook.actions)
    columns = replace(log.columns, conditions=(*log.columns.conditions, column))
    return replace(parts, codebook=codebook, participants=table, columns=columns)


def by_conditions(log: BehaviorLog, columns: Sequence[str]) -> BehaviorLog:
    """Take a log apart by one column after another; see :func:`by_condition`."""
    for column in columns:
        log = by_condition(log, column)
    return log


def _require_free(log: BehaviorLog, column: str, table: pd.DataFrame, told: dict[str, list[Any]]) -> None:
    """Refuse to write over columns of the participants that say something else."""
    with Problems(f"{log.source} by {column!r}", LogError) as problems:
        if column == PERSON:
            problems.add(f"the column {PERSON!r} of a log by condition says who is who; rename that of the conditions")
        for name, values in told.items():
            if name in table.columns and table[name].tolist() != values:
                what = "who is who" if name == PERSON else "the condition of each"
                problems.add(
                    f"participants have a column {name!r} of their own, which would have to say {what}; rename it"
                )


class WhoIsWho(Protocol):
    """What knows people and their conditions: a log, or what a fit keeps of one."""

    @property
    def participants(self) -> pd.DataFrame:
        """One row a subject; where these are conditions of people, with the column "person"."""

    @property
    def columns(self) -> Columns:
        """Roles of columns; ``conditions`` is not empty where subjects are conditions of people."""


def persons_of(source: WhoIsWho, subjects: Iterable[Hashable]) -> dict[Hashable, Hashable]:
    """Return who each subject is: the person where subjects are people in one condition each, else the subject."""
    known = source.participants[PERSON].to_dict() if source.columns.conditions else {}
    return {subject: known.get(subject, subject) for subject in subjects}


def person_codes(log: BehaviorLog) -> Index:
    """Return a code of the person who made each decision [N]: conditions of one person have the same."""
    people = list(persons_of(log, log.codebook.subjects.values).values())
    code, _ = pd.factorize(pd.Series(people, dtype=object))
    found: Index = code[log.subject].astype(np.int64)
    return found


def condition_of(log: BehaviorLog, column: str) -> tuple[Labels, Index]:
    """Return the values of a column and each decision's code [N]; an episode has one as a whole.

    Raises:
        UsageError: no such column.
        LogError: an empty value, or an episode with two.
    """
    if column not in log.frame.columns:
        raise UsageError(f"the log has no column {column!r}.{did_you_mean(column, list(log.frame.columns))}")
    values = log.frame[column]
    empty = np.flatnonzero(values.isna().to_numpy())
    if len(empty):
        raise LogError(f"column {column!r} is empty in {len(empty)} rows, {log.where(int(empty[0]))} first")
    labels = Labels.of(column, values.tolist())
    code = labels.encode(values.tolist())
    torn = np.flatnonzero((np.diff(code) != 0) & (np.diff(log.episode) == 0)) + 1
    if len(torn) and not log.counted:
        raise LogError(
            f"{len(np.unique(log.episode[torn]))} episodes stand in two values of {column!r}, that of "
            f"{log.where(int(torn[0]))} first"
        )
    return labels, code


def parted(log: BehaviorLog, part: Index, labels: Labels) -> BehaviorLog:
    """Return a log whose subjects are the (person, part) pairs that occur, sorted by person, then part.

    Args:
        log: the decisions.
        part: [N] code of the part each decision belongs to; an episode belongs to one part as a whole.
        labels: names of the parts.
    """
    pair = log.subject * len(labels) + part
    used, code = np.unique(pair, return_inverse=True)
    names = log.codebook.subjects.values
    subjects = tuple((names[p // len(labels)], labels.values[p % len(labels)]) for p in used)
    order = np.argsort(code, kind="stable")  # within a part, episodes and steps stay in order
    moved: dict[str, Any] = {name: getattr(log, name)[order] for name in _ARRAYS}
    if log.multiplicity is not None:
        moved["multiplicity"] = log.multiplicity[order]
    return replace(
        log,
        frame=log.frame.iloc[order],
        codebook=Codebook(Labels("subject", subjects), log.codebook.states, log.codebook.actions),
        subject=code[order],
        participants=pd.DataFrame(),
        columns=replace(log.columns, conditions=()),
        **moved,
    )
