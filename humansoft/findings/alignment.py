"""Alignment: a log lined up with a task, row by row."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from humansoft.codebook import Codes
from humansoft.data.log import BehaviorLog
from humansoft.errors import did_you_mean
from humansoft.tasks.lookup import action_codes, available_in, is_terminal, playable_in
from humansoft.tasks.task import Task

Mask = npt.NDArray[np.bool_]

_MOST_COMPARED = 2000  # looking for a near miss takes a millisecond for each ten labels


@dataclass(frozen=True, eq=False)
class Alignment:
    """A log in the codes of a task; -1 where the task does not know a label or there is none.

    Attributes:
        log: the decisions.
        task: what they could do.
    """

    log: BehaviorLog
    task: Task

    @cached_property
    def state(self) -> Codes:
        """[N] the task's code of each state."""
        code: Codes = self.task.states.encode(self.log.codebook.states.values)[self.log.state]
        return code

    @cached_property
    def next_state(self) -> Codes:
        """[N] the task's code of each next state."""
        code: Codes = np.r_[self.task.states.encode(self.log.codebook.states.values), -1][self.log.next_state]
        return code

    @cached_property
    def action(self) -> Codes:
        """[N] the task's code of each action."""
        return action_codes(self.task, self.log.codebook.actions, self.state, self.log.action)

    @cached_property
    def decided(self) -> Mask:
        """[N] true where a known action was taken in a known state."""
        decided: Mask = (self.state >= 0) & (self.action >= 0)
        return decided

    @cached_property
    def available(self) -> Mask:
        """[N] true where the action taken was available."""
        rows = np.arange(len(self.log))
        available: Mask = self.decided & available_in(self.task, self.state)[rows, self.action]
        return available

    @cached_property
    def playable(self) -> Mask:
        """[N] true where the action taken has a finite value."""
        playable: Mask = self.decided & self._can_play[np.arange(len(self.log)), self.action]
        return playable

    @cached_property
    def options(self) -> Codes:
        """[N] how many actions of finite value a person had, 0 in unknown states."""
        return np.where(self.state >= 0, self._can_play.sum(axis=1), 0)

    @cached_property
    def _can_play(self) -> Mask:
        """[N, A] which actions have a finite value."""
        return playable_in(self.task, self.state)

    @cached_property
    def in_terminal(self) -> Mask:
        """[N] true in a terminal state."""
        inside: Mask = (self.state >= 0) & is_terminal(self.task, self.state)
        return inside

    @cached_property
    def enters_terminal(self) -> Mask:
        """[N] true where the next state is known and terminal."""
        enters: Mask = (self.next_state >= 0) & is_terminal(self.task, self.next_state)
        return enters

    def state_label(self, row: int) -> Hashable:
        """Return a row's state as the log writes it."""
        return self.log.codebook.states.values[int(self.log.state[row])]

    def next_label(self, row: int) -> Hashable:
        """Return a row's next state as the log writes it."""
        return self.log.codebook.states.values[int(self.log.next_state[row])]

    def action_label(self, row: int) -> Hashable:
        """Return a row's action as the log writes it."""
        return self.log.codebook.actions.values[int(self.log.action[row])]


def suggestion(label: Hashable, known: Sequence[Hashable]) -> str:
    """Return what an unknown label may have meant: the same text in another type, or a near miss.

    Example:
        >>> suggestion(("0", 1), [(0, 1), (0, 2)])
        "0 (int) is known, this is '0' (str): make the types agree (for example column.astype('int'))."
    """
    twin = next((k for k in known if _written(k) == _written(label)), None)
    if isinstance(label, tuple) and isinstance(twin, tuple):
        part, same = next((p, q) for p, q in zip(label, twin, strict=True) if type(p) is not type(q))
        return did_you_mean(part, [same]).strip()
    return did_you_mean(label, known[:_MOST_COMPARED] if twin is None else [twin]).strip()


def _written(label: Hashable) -> Hashable:
    """Return a label as text, whatever its type (1 and "1" alike)."""
    return tuple(_written(part) for part in label) if isinstance(label, tuple) else str(label)
