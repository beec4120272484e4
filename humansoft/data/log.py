"""BehaviorLog: who, in which episode, at which step, in which state, did what."""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft._types import NONE
from humansoft.codebook import Codebook, Codes, Labels
from humansoft.data.columns import Columns as Columns
from humansoft.data.counts import Counts, transition_table
from humansoft.errors import LogError, did_you_mean, shortlist


@dataclass(frozen=True, eq=False)
class BehaviorLog:
    """Recorded decisions as flat columns, sorted by (subject, episode, step).

    Make one with :func:`humansoft.read`. All arrays have one entry a decision (axis N); codes
    refer to ``codebook``, -1 means "none".

    Attributes:
        frame: the user's rows and columns, in the log's order.
        columns: which column of ``frame`` plays which role.
        codebook: labels of the codes, shared with every part that is split off.
        row: [N] place of the decision in the user's table, counted from 0.
        subject: [N] code of the person.
        episode: [N] number of the episode, distinct over all people.
        step: [N] the user's step numbers.
        state: [N] code of the state.
        action: [N] code of the action, -1 for a missing response.
        next_state: [N] code of the state that followed, -1 where none was recorded.
        weight: [N] how often the decision counts.
        terminated: [N] true where the task itself ended after the decision.
        truncated: [N] true where only the recording stopped after the decision.
        participants: one row a person, indexed by subject label, with group columns.
        source: where the log came from, for messages.
        dataset: name of the catalogue's data set, if it came from there.
        multiplicity: [N] how many rows of the user's table each row of a counted log stands for;
            ``None`` in an ordinary log, where each is its own.
    """

    frame: pd.DataFrame
    columns: Columns
    codebook: Codebook
    row: Codes
    subject: Codes
    episode: Codes
    step: Codes
    state: Codes
    action: Codes
    next_state: Codes
    weight: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    participants: pd.DataFrame = field(default_factory=pd.DataFrame)
    source: str = "DataFrame"
    dataset: str | None = None
    multiplicity: Codes | None = None

    def __len__(self) -> int:
        """Return the number of rows (decisions, missing responses included; distinct ones, if counted)."""
        return len(self.state)

    @property
    def counted(self) -> bool:
        """True when equal decisions were summed while reading (``read(..., counted=True)``).

        Such a log has neither episodes nor steps (``episode`` is the person, ``step`` 0): nothing is held out by
        episode or time, no standard error is clustered by episode, nothing said about the order of decisions.
        """
        return self.multiplicity is not None

    @property
    def table_rows(self) -> Codes:
        """[N] how many rows of the user's table each row stands for: 1, if the log is not counted."""
        return np.ones(len(self), dtype=np.int64) if self.multiplicity is None else self.multiplicity

    @property
    def num_decisions(self) -> int:
        """Number of rows of the user's table in this log, missing responses included."""
        return len(self) if self.multiplicity is None else int(self.multiplicity.sum())

    def require_episodes(self, purpose: str) -> None:
        """Refuse a counted log where its episodes or steps are needed.

        Raises:
            LogError: saying what they are needed for.
        """
        if self.counted:
            raise LogError(f"{self.source} was counted while reading, which keeps no episodes and steps: {purpose}")

    def __eq__(self, other: object) -> bool:
        """Two logs are equal when they record the same decisions, in whatever row order."""
        if not isinstance(other, BehaviorLog):
            return NotImplemented
        names = (
            *("subject", "episode", "step", "state", "action", "next_state"),
            *("weight", "terminated", "truncated", "table_rows"),
        )
        return (
            len(self) == len(other)
            and self.counted == other.counted
            and self.codebook == other.codebook
            and all(np.array_equal(getattr(self, n), getattr(other, n)) for n in names)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show sizes, not contents."""
        kept = f"counted, {len(self):,} distinct" if self.counted else f"{self.num_episodes:,} episodes"
        return (
            f"BehaviorLog({self.source}: {self.num_decisions:,} decisions, {len(self.subjects):,} subjects, "
            f"{kept}, {len(self.codebook.states):,} states, {len(self.codebook.actions)} actions)"
        )

    @property
    def subjects(self) -> tuple[Hashable, ...]:
        """Labels of the people who have at least one row here, in the codebook's order."""
        return tuple(self.codebook.subjects.values[code] for code in np.unique(self.subject))

    @property
    def num_episodes(self) -> int:
        """Number of episodes that have at least one row here; 0 in a counted log, which has none."""
        return 0 if self.counted else len(np.unique(self.episode))

    @property
    def responded(self) -> npt.NDArray[np.bool_]:
        """[N] true where an action was recorded."""
        responded: npt.NDArray[np.bool_] = self.action != NONE
        return responded

    def to_dataframe(self) -> pd.DataFrame:
        """Return the user's table: its columns, types and row order, nothing added or lost.

        Of a counted log: the distinct decisions, the columns that were read, and their summed weight.
        """
        return self.frame.iloc[np.argsort(self.row, kind="stable")].reset_index(drop=True)

    def select(self, mask: npt.NDArray[np.bool_]) -> "BehaviorLog":
        """Return the decisions where ``mask`` [N] is true; the codebook stays the same."""
        mask = np.asarray(mask, dtype=bool)
        arrays = {
            name: getattr(self, name)[mask]
            for name in (
                *("row", "subject", "episode", "step", "state", "action", "next_state", "weight"),
                *("terminated", "truncated", *(["multiplicity"] if self.counted else [])),
            )
        }
        return replace(self, frame=self.frame.iloc[np.flatnonzero(mask)], **arrays)

    def where(self, position: int) -> str:
        """Name one decision for a message: "row 118 (subject 'p07', episode 3, step 5)".

        Rows are counted from 1 below the header, as a person counts them in the table.
        """
        subject = self.codebook.subjects.values[self.subject[position]]
        if self.multiplicity is not None:
            alike = self.multiplicity[position] - 1
            return f"row {self.row[position] + 1} (subject {subject!r}" + (f"; {alike:,} more alike)" if alike else ")")
        # A list of one cell, for pandas turns a lone one into a numpy scalar that prints as such.
        column = self.columns.episode
        episode = self.frame[column].iloc[[position]].tolist()[0] if column else 1
        step = f"step {self.step[position]}"
        return f"row {self.row[position] + 1} (subject {subject!r}, episode {episode!r}, {step})"

    def group(self, column: str) -> tuple[Labels, Codes]:
        """Return the values of a per-person column and each person's code.

        The column may stand in the participants table or, constant within every person, in the
        log itself.

        Args:
            column: name of the column.

        Returns:
            The group labels, and one code for each subject of the codebook (-1: no row here).

        Raises:
            LogError: no such column, an empty value, or a person with two values.
        """
        table = self.person_values(column)
        labels = Labels.of("group", table.tolist())
        by_subject = dict(zip(table.index, labels.encode(table.tolist()), strict=True))
        codes = np.array([by_subject.get(s, NONE) for s in self.codebook.subjects.values], dtype=np.int64)
        return labels, codes

    def person_values(self, column: str) -> "pd.Series[Any]":
        """Return a per-person column, indexed by the people who have a row here; see :meth:`group`."""
        if column in self.participants.columns:
            values = self.participants[column].reindex(list(self.subjects))
        elif column in self.frame.columns:
            names = np.array(self.codebook.subjects.values, dtype=object)[self.subject]
            pairs = pd.DataFrame({"subject": names, "value": self.frame[column].to_numpy()}).drop_duplicates()
            twice = pairs["subject"][pairs["subject"].duplicated()].unique()
            if len(twice):
                raise LogError(
                    f"column {column!r} has more than one value for {len(twice)} of "
                    f"{len(self.subjects)} subjects ({shortlist(twice, 3)}); "
                    "a group column needs one value a person; where people were met in several conditions, "
                    f"by_condition(log, {column!r}) (--conditions {column}) makes a subject of each"
                )
            values = pairs.set_index("subject")["value"]
        else:
            known = [*self.participants.columns, *self.frame.columns]
            lost = f" A counted log has only the columns it was told to keep, keep=[{column!r}]." * self.counted
            raise LogError(f"there is no column {column!r} to group people by.{did_you_mean(column, known)}{lost}")
        empty = values.index[values.isna()]
        if len(empty):
            raise LogError(f"group column {column!r} is empty for subjects {shortlist(empty)}; fill it or drop them")
        return values

    @cached_property
    def episode_start(self) -> npt.NDArray[np.bool_]:
        """[N] true on the first recorded decision of each episode; nowhere in a counted log."""
        if self.counted:
            return np.zeros(len(self), dtype=bool)
        return np.r_[True, self.episode[1:] != self.episode[:-1]] if len(self) else np.zeros(0, dtype=bool)

    @cached_property
    def time(self) -> Codes:
        """[N] decisions made before this one in its episode (step minus the episode's first step)."""
        if self.counted:
            return np.zeros(len(self), dtype=np.int64)
        first = self.step[self.episode_start]
        time: Codes = self.step - first[np.cumsum(self.episode_start) - 1]
        return time

    def counts(self, states: Labels, actions: Labels, by: str = "subject", timed: bool = False) -> Counts:
        """Count decisions over (unit, [time,] state, action): the sufficient statistic of a policy.

        Args:
            states: state labels of the task; the log's labels are looked up in it.
            actions: action labels of the task.
            by: "subject" or "episode", the unit that is kept apart.
            timed: keep the step within the episode too (finite horizon).

        Returns:
            Sparse counts; missing responses are left out. A label the task does not know has -1.

        Raises:
            LogError: episodes or times of a counted log, which has none.
        """
        state = states.encode(self.codebook.states.values)[self.state]
        return self.counts_of(state, np.r_[actions.encode(self.codebook.actions.values), NONE][self.action], by, timed)

    def counts_of(
        self, state: Codes, action: Codes, by: str = "subject", timed: bool = False, previous: Codes | None = None
    ) -> Counts:
        """Count decisions given a task's codes [N] of states, actions and previous actions; see :meth:`counts`."""
        if by == "episode" or timed:
            self.require_episodes(f"read it without counted=True to count decisions by {'time' if timed else by}")
        kept = self.responded
        keys = [
            self.subject[kept],
            getattr(self, by)[kept],
            self.time[kept] if timed else np.zeros(int(kept.sum()), dtype=np.int64),
            state[kept],
            action[kept],
            *([] if previous is None else [previous[kept]]),
        ]
        return Counts.of(keys, self.weight[kept])

    def transition_counts(self) -> pd.DataFrame:
        """Count what followed what: all that :meth:`humansoft.Task.from_counts` needs of a log.

        Returns:
            One row for each distinct (state, action, next state), with the context in front where
            the log has one. ``next_state`` is ``None`` where none was recorded; ``count`` is the
            summed weight; ``ended`` is true where the task ended. A row with count 0 says only
            that the state (and action) occurred: nothing is known of what followed, or the
            response (``action`` ``None``) is missing. ``starts`` says on the first row of a state how
            many episodes began there, and is 0 on its other rows (and everywhere in a counted log).

        Raises:
            LogError: a counted log without a next_state column: nothing is known of what followed.

        Example:
            >>> import humansoft as hs
            >>> table = pd.DataFrame({"step": [1, 2, 3], "state": ["a", "b", "a"], "action": "go"})
            >>> counts = hs.read(table, subject=None, episode=None).transition_counts()
            >>> counts[["state", "next_state", "count", "starts"]].values.tolist()
            [['a', None, 0.0, 1], ['a', 'b', 1.0, 0], ['b', 'a', 1.0, 0]]
        """
        if self.columns.next_state is None:
            self.require_episodes("name the column of the next state, read(..., next_state=...), to count transitions")
        flags = {"ended": self.terminated, "starts": self.episode_start}
        codes = {"state": self.state, "action": self.action, "next_state": self.next_state}
        codes |= {name: flag.astype(np.int64) for name, flag in flags.items()}
        counts = transition_table(self.codebook.states.values, self.codebook.actions.values, codes, self.weight)
        if self.columns.context:  # pairs become two columns, as in a table of transitions
            counts.insert(0, "context", [pair[0] for pair in counts["state"]])
            for column in ("state", "next_state"):
                counts[column] = pd.Series([pair and pair[1] for pair in counts[column]], dtype=object)
        return counts
