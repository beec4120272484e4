"""A reward that is known as a whole: nothing of it is learned."""

from collections.abc import Hashable, Sequence

import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.errors import ModelError, Problems
from humansoft.parameters import Parameter
from humansoft.rewards.base import AbstractReward
from humansoft.tasks.task import Task


class KnownReward(AbstractReward):
    """r(s, a) is given, from an earlier fit or from the experiment; temperatures are then in its units.

    Args:
        values: [S, A] the reward of every state and action, in the order of ``task.states`` and ``task.actions``, or
            [T, S, A], where it is another at each time of a task with a horizon; a tensor or an array. What cannot be
            done has no reward: its entry is not read.

    Raises:
        ModelError: values of another shape. Those that do not fit the task are refused when the model is made.

    Example:
        >>> import humansoft as hs
        >>> log, task = hs.load_dataset("overcooked_cramped_room")
        >>> earlier = hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), log)
        >>> known = hs.KnownReward(earlier.model.reward(task).detach())
        >>> again = hs.fit(hs.SoftOptimalModel(task, known, hs.Shared()), log)
        >>> abs(again.params.loc["log_temperature", "estimate"].item()) < 1e-4  # the temperature that it was 1 for
        True
    """

    is_linear = True

    def __init__(self, values: Tensor | npt.ArrayLike) -> None:
        """Keep a copy of the values."""
        super().__init__()
        table = torch.as_tensor(values, dtype=DTYPE).detach().clone()
        if table.dim() > 2 and len(table) == 1:
            table = table[0]  # what a reward gives has an axis for people
        if table.dim() not in (2, 3):
            raise ModelError(
                f"KnownReward takes a value for every state and action [S, A], or for every time, too [T, S, A]; these "
                f"have the shape {tuple(table.shape)}"
            )
        self.register_buffer("values", table[None])

    def build(self, task: Task, subjects: Sequence[Hashable]) -> None:
        """Create nothing; see that the values are the task's, and clear those of what cannot be done.

        Raises:
            ModelError: another number of states, actions or times, or values that are no numbers; all at once.
        """
        values = self.forward(task)[0]
        expected = tuple(task.available.shape)
        with Problems("KnownReward", ModelError) as problems:
            if tuple(values.shape[-2:]) != expected:
                problems.add(
                    f"it has values for {values.shape[-2]} states and {values.shape[-1]} actions, the task has "
                    f"{expected[0]} and {expected[1]}"
                )
                return
            if values.dim() == 3 and len(values) != task.horizon:
                problems.add(f"it has values for {len(values)} times, the task's horizon is {task.horizon}")
            missing = (task.available & ~torch.isfinite(values)).reshape(-1, *expected).any(dim=0).nonzero().tolist()
            for state, action in missing:
                where = f"state {task.states.values[state]!r} and action {task.actions.values[action]!r}"
                problems.add(f"the value of {where} is no finite number")
        self.values = torch.where(task.available, values, 0.0)[None]

    def forward(self, task: Task) -> Float[Tensor, "1 *T S A"]:
        """Return the reward."""
        values: Tensor = self.values
        return values

    def parameters_of(self, task: Task, subjects: Sequence[Hashable]) -> list[Parameter]:
        """Describe nothing."""
        return []
