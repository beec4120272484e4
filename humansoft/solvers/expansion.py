"""Expansion: many rows (people, groups) and contexts laid out as one problem in separate blocks."""

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from humansoft.errors import ModelError, shortlist
from humansoft.solvers.problem import Problem
from humansoft.tasks.task import Task

Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Expansion:
    """The states that have to be solved: one block for each (row, context) pair that occurs.

    Attributes:
        problem: the blocks as one problem of M states.
        state: [M] code of the task's state.
        row: [M] row (distinct reward and temperature) it is solved for.
        block: [R, C] place where the block of a pair starts, -1 for pairs that do not occur.
        local: [S] place of each task state within its block.
    """

    problem: Problem
    state: Int[Tensor, " M"]
    row: Int[Tensor, " M"]
    block: Index
    local: Index

    @property
    def task_state(self) -> Index:
        """[M] code of the task's state, whichever tables it is looked up in."""
        return self.state.numpy()

    def place(self, task: Task, row: Index, state: Index) -> Index:
        """Return the place in M of each (row, state).

        Raises:
            ModelError: the context of some state is not among those that were laid out for its row.
        """
        place: Index = self.starts(task, row, task.context.numpy()[state]) + self.local[state]
        return place

    def starts(self, task: Task, row: Int[Index, "*#N"], context: Int[Index, "*#N"]) -> Index:
        """Return the place where the block of each (row, context) begins.

        Raises:
            ModelError: some are not laid out.
        """
        begins: Index = self.block[row, context]
        if (begins < 0).any():
            lost = task.contexts.decode(np.unique(np.broadcast_to(context, begins.shape)[begins < 0]))
            where = "in" if task.goals is None else "on trips to"
            raise ModelError(f"the policy does not say what people do {where} {shortlist(lost)}")
        return begins

    def holds(self, task: Task, row: int) -> Bool[Flags, " S"]:
        """Return which of the task's states are laid out for a row."""
        found: Flags = self.block[row, task.context.numpy()] >= 0
        return found

    def on(self, device: torch.device) -> "Expansion":
        """Return the layout with the problem on a device; what says where states are stays on the CPU."""
        return replace(self, problem=self.problem.on(device))

    def laid_out(self, rewards: Float[Tensor, "R *T S A"]) -> Float[Tensor, "*T M A"]:
        """Give each of the M states the reward of its row (all share one where R is 1) and task state.

        What comes out is on the device of the problem, whatever gradient is to flow back.
        """
        return self.columns_laid_out(rewards[..., None])[..., 0]

    def columns_laid_out(self, rewards: Float[Tensor, "R *T S A C"]) -> Float[Tensor, "*T M A C"]:
        """Do so with C columns of rewards."""
        row = self.row if rewards.shape[0] > 1 else torch.zeros_like(self.row)
        if rewards.ndim == 4:
            return rewards[row, self.state].to(self.problem.device)
        if rewards.shape[1] != self.problem.horizon:
            horizon = self.problem.horizon
            raise ModelError(
                f"the reward [R, T, S, A] has {rewards.shape[1]} times, but "
                + ("the task has no horizon" if horizon is None else f"the horizon of the task is {horizon}")
            )
        return rewards[row, :, self.state].movedim(1, 0).to(self.problem.device)

    def position(self, task: Task, seen: "Observations") -> Index:
        """Return where in a time-major table of all M states each of some decisions stands."""
        position: Index = seen.time * len(self.state) + self.place(task, seen.row, seen.state)
        return position


@dataclass(frozen=True, eq=False)
class Observations:
    """Decisions in the codes of a model.

    Attributes:
        row: [N] row (distinct reward and temperature) of the model that the person has.
        state: [N] state code of the task.
        time: [N] decisions made before in the episode; 0 without a horizon.
        action: [N] action code.
        weight: [N] how often it was seen.
        person: [N] place of the person among the model's subjects, -1 for people it does not know.
        unit: [N] code of the subject, episode or decision it belongs to.
        previous: [N] code of the action made before in the episode, -1 for none; ``None`` where it does not matter.
    """

    row: Index
    state: Index
    time: Index
    action: Index
    weight: npt.NDArray[np.float64]
    person: Index
    unit: Index
    previous: Index | None = None

    def __len__(self) -> int:
        """Return N."""
        return len(self.action)

    def select(self, chosen: Index | npt.NDArray[np.bool_]) -> "Observations":
        """Return some of the decisions, by place or by mask."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return Observations(**{name: column[chosen] for name, column in columns.items() if column is not None})

    def joined(self, other: "Observations") -> "Observations":
        """Return these decisions and others after them, of which the same is known."""
        pairs = {field.name: (getattr(self, field.name), getattr(other, field.name)) for field in fields(self)}
        return Observations(**{name: np.concatenate(both) for name, both in pairs.items() if both[0] is not None})


def expand(task: Task, row: Index, state: Index, num_rows: int, log_prior: Float[Tensor, "S A"] | None) -> Expansion:
    """Lay out the blocks of all (row, context) pairs that occur in the data.

    Args:
        task: the task; its contexts are closed under its transitions.
        row: [N] row of each observation.
        state: [N] state code of each observation.
        num_rows: number of rows R.
        log_prior: [S, A] log reference policy, -inf where the action cannot be chosen.
    """
    context = task.context.numpy()
    num_contexts = len(task.contexts)
    order = np.argsort(context, kind="stable")
    sizes = np.bincount(context, minlength=num_contexts)
    first = np.r_[0, np.cumsum(sizes)[:-1]]
    local = np.empty(len(order), dtype=np.int64)
    local[order] = np.arange(len(order)) - np.repeat(first, sizes)
    pairs = np.unique(row * num_contexts + context[state])
    pair_row, pair_context = pairs // num_contexts, pairs % num_contexts
    starts = np.r_[0, np.cumsum(sizes[pair_context])]
    block = np.full((num_rows, num_contexts), -1, dtype=np.int64)
    block[pair_row, pair_context] = starts[:-1]
    lengths = sizes[pair_context]
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
    states = order[np.repeat(first[pair_context], lengths) + within]
    flat_state = torch.from_numpy(states)
    shift = torch.from_numpy(np.repeat(starts[:-1], lengths))
    successors = torch.from_numpy(local)[task.transitions.successors[flat_state]] + shift[:, None, None]
    prior = torch.where(task.playable, 0.0, -torch.inf) if log_prior is None else log_prior
    problem = Problem(
        successors=successors,
        probabilities=task.transitions.probabilities[flat_state],
        log_prior=prior[flat_state].to(task.features.dtype),
        discount=task.discount,
        horizon=task.horizon,
        block_sizes=tuple(lengths.tolist()),
    )
    return Expansion(problem, flat_state, torch.from_numpy(np.repeat(pair_row, lengths)), block, local)
