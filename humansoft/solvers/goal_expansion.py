"""GoalExpansion: the (row, goal) pairs of a network that occur, and the turns that they share."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int
from torch import Tensor

from humansoft.errors import SolveError
from humansoft.solvers.expansion import Expansion, Observations
from humansoft.solvers.goal_turns import GoalTurns
from humansoft.solvers.problem import Problem
from humansoft.tasks.goals import Goals
from humansoft.tasks.lookup import available_in, network_of, playable_in
from humansoft.tasks.task import Task

Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Real = npt.NDArray[np.float64]

_LARGEST_SPELLED_OUT = 5_000_000  # (goal, link, turn) entries of a network that become one problem


@dataclass(frozen=True, eq=False)
class RowOfGoals:
    """The pairs of one row.

    Attributes:
        row: the row.
        pairs: their places among all pairs.
        turns: the turns of the network, as their goals share them.
    """

    row: int
    pairs: slice
    turns: GoalTurns


class GoalExpansion(Expansion):
    """What has to be solved of a network: one block of L links for each (row, goal) pair that occurs.

    The tables of all M = G * L states, which are fields of other expansions, are made only when they are asked for;
    ``state`` is the link of each state, its place in the task's tables.

    Attributes:
        task: a task with goals.
        goals: its goals.
        is_counted: true where each choice is measured against a uniform one (the "kl" planner).
        pair_row: [G] row of each pair, in ascending order.
        pair_goal: [G] its goal.
    """

    task: Task
    goals: Goals
    is_counted: bool
    pair_row: Index
    pair_goal: Index

    def __init__(self, task: Task, goals: Goals, is_counted: bool, pairs: Index, num_rows: int) -> None:
        """Lay out pairs (row * C + goal, in ascending order)."""
        number, size = len(goals.target), len(goals.links)
        block = np.full((num_rows, number), -1, dtype=np.int64)
        block.ravel()[pairs] = np.arange(len(pairs)) * size
        fields = {"task": task, "goals": goals, "is_counted": is_counted, "block": block, "local": np.arange(size)}
        for name, value in (fields | {"pair_row": pairs // number, "pair_goal": pairs % number}).items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Return the number of solved states M = G * L."""
        return len(self.pair_row) * len(self.goals.links)

    def place(self, task: Task, row: Index, state: Index) -> Index:
        """Return the place in M of each (row, state).

        Raises:
            ModelError: trips to some goal are not among those that were laid out for its row.
        """
        goal, link = self.goals.split(state)
        place: Index = self.starts(task, row, goal) + link
        return place

    def holds(self, task: Task, row: int) -> Flags:
        """Return for which of the task's states [S] trips to their goal are laid out for a row."""
        return np.repeat(self.block[row] >= 0, len(self.goals.links))

    def on(self, device: torch.device) -> "GoalExpansion":
        """Return itself: networks are solved on the CPU."""
        return self

    def position(self, task: Task, seen: Observations) -> Index:
        """Return the place in M of some decisions."""
        return self.place(task, seen.row, seen.state)

    def split(self, position: Index) -> tuple[Index, Index]:
        """Return pair and link of places in M."""
        pair, link = np.divmod(position, len(self.goals.links))
        return pair, link

    def row_at(self, position: Index) -> Index:
        """Return the row of places in M."""
        row: Index = self.pair_row[self.split(position)[0]]
        return row

    def entered(self, position: Index, action: Index) -> Index:
        """Return the place in M that actions lead to from places in M."""
        link = self.split(position)[1]
        entered: Index = position - link + self.task.transitions.successors.numpy()[link, action, 0]
        return entered

    def log_prior_at(self, position: Index) -> Real:
        """Return the log reference policy [N, A] at places in M, -inf where the action cannot be chosen."""
        pair, link = self.split(position)
        state = self.pair_goal[pair] * len(self.goals.links) + link
        prior = np.zeros((len(state), 1))
        if self.is_counted:
            prior = -np.log(np.maximum(available_in(self.task, state).sum(axis=1, keepdims=True), 1))
        return np.where(playable_in(self.task, state), prior, -np.inf)

    @cached_property
    def rows(self) -> tuple[RowOfGoals, ...]:
        """The pairs row by row; rows of the same goals share their turns."""
        distinct, first = np.unique(self.pair_row, return_index=True)
        known: dict[bytes, GoalTurns] = {}
        found = []
        for row, low, high in zip(distinct.tolist(), first, [*first[1:], len(self.pair_row)], strict=True):
            goal = self.pair_goal[low:high]
            if goal.tobytes() not in known:
                known[goal.tobytes()] = GoalTurns.of(self.goals, goal, self.is_counted)
            found.append(RowOfGoals(row, slice(int(low), int(high)), known[goal.tobytes()]))
        return tuple(found)

    @cached_property
    def row(self) -> Int[Tensor, " M"]:
        """[M] row each state is solved for."""
        return torch.from_numpy(np.repeat(self.pair_row, len(self.goals.links)))

    @cached_property
    def state(self) -> Int[Tensor, " M"]:
        """[M] link of each state."""
        return torch.from_numpy(np.tile(self.local, len(self.pair_row)))

    @property
    def task_state(self) -> Index:
        """[M] code of the (goal, link) of each state."""
        return (self.pair_goal[:, None] * len(self.goals.links) + self.local).ravel()

    @property
    def can_be_spelled_out(self) -> bool:
        """Whether the network is small enough for :attr:`problem`."""
        return len(self) * len(self.task.actions) <= _LARGEST_SPELLED_OUT

    @cached_property
    def problem(self) -> Problem:
        """The blocks as one problem of M states, for what one factorisation cannot solve.

        Raises:
            SolveError: the network is too large.
        """
        if not self.can_be_spelled_out:
            raise SolveError(f"a network of {len(self):,} states (goal, link) is too large to be spelled out")
        everywhere = np.arange(len(self))
        shift = torch.from_numpy(everywhere) - self.state
        return Problem(
            successors=self.task.transitions.successors[self.state] + shift[:, None, None],
            probabilities=self.task.transitions.probabilities[self.state],
            log_prior=torch.from_numpy(self.log_prior_at(everywhere)),
            discount=1.0,
            block_sizes=(len(self.goals.links),) * len(self.pair_row),
        )


def expand_goals(task: Task, row: Index, state: Index, num_rows: int, is_counted: bool) -> GoalExpansion:
    """Collect the (row, goal) pairs that occur in the data.

    Args:
        task: a task with goals.
        row: [N] row of each observation.
        state: [N] state code of each observation.
        num_rows: number of rows R.
        is_counted: whether each choice is measured against a uniform one.
    """
    goals = network_of(task)
    pairs = np.unique(row * len(goals.target) + goals.split(state)[0])
    return GoalExpansion(task, goals, is_counted, pairs, num_rows)
