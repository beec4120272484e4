"""A free reward for every state, or for every state and action."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from humansoft._types import DTYPE
from humansoft.errors import ModelError, Problems, did_you_mean
from humansoft.parameters import Parameter
from humansoft.rewards.base import AbstractReward
from humansoft.tasks.lookup import require_tables
from humansoft.tasks.task import Task


class TableReward(AbstractReward):
    """r(s, a) is a number of its own for every state (or state and action) in which one can act.

    Such a reward is never identified as a whole (SCIENCE 4.3): a free r(s, a) leaves one
    unidentified direction a state. Fix entries, or read only what :func:`humansoft.identify` lets you.

    Args:
        over: "state" or "state_action".
        fixed: entries that are known: state label (or ``(state, action)``) -> value.
    """

    is_linear = True

    def __init__(
        self, over: Literal["state", "state_action"] = "state", fixed: Mapping[Hashable, float] | None = None
    ) -> None:
        """Note the hypothesis; the table is created when the task is known."""
        super().__init__()
        if over not in ("state", "state_action"):
            raise ModelError(f"TableReward(over={over!r}).{did_you_mean(over, ['state', 'state_action'])}")
        self.over = over
        self.fixed = dict(fixed or {})

    def build(self, task: Task, subjects: Sequence[Hashable]) -> None:
        """Create the table, zero where it is learned.

        Raises:
            ModelError: fixed entries that do not exist.
        """
        require_tables(task, "TableReward")
        labels = self._labels(task)
        with Problems("TableReward", ModelError) as problems:
            for label in self.fixed:
                if label not in labels:
                    problems.add(f"there is no entry {label!r} to fix.{did_you_mean(label, labels)}")
        self.entries = nn.Parameter(torch.tensor([self.fixed.get(label, 0.0) for label in labels], dtype=DTYPE))

    def forward(self, task: Task) -> Float[Tensor, "1 S A"]:
        """Return the reward of every state and action (0 where nobody can act)."""
        state, action = self._entry_of(task)
        table = torch.zeros(task.available.shape, dtype=DTYPE)
        values = self.entries
        if self.over == "state":
            acting = task.available.any(dim=-1)
            by_state = torch.zeros(len(task.states), dtype=DTYPE).masked_scatter(acting, values)
            return torch.where(task.available, by_state[:, None], 0.0)[None]
        return table.index_put((state, action), values)[None]

    def parameters_of(self, task: Task, subjects: Sequence[Hashable]) -> list[Parameter]:
        """Describe the entries: ``reward[state]`` or ``reward[(state, action)]``."""
        return [
            Parameter(name=f"reward[{label}]", kind="reward", fixed=self.fixed.get(label))
            for label in self._labels(task)
        ]

    def _entry_of(self, task: Task) -> tuple[Int[Tensor, " P"], Int[Tensor, " P"]]:
        state, action = task.available.nonzero(as_tuple=True)
        return state, action

    def _labels(self, task: Task) -> list[Hashable]:
        if self.over == "state":
            return task.states.decode(task.available.any(dim=-1).nonzero().squeeze(-1).tolist())
        pairs = zip(*(index.tolist() for index in self._entry_of(task)), strict=True)
        return [(task.states.values[s], task.actions.values[a]) for s, a in pairs]
