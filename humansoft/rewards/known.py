"""A reward that is known as a whole: nothing of it is learned."""

from collections.abc import Hashable, Sequence

from jaxtyping import Float
from torch import Tensor

from humansoft.parameters import Parameter
from humansoft.rewards.base import AbstractReward
from humansoft.tasks.task import Task


class KnownReward(AbstractReward):
    """r(s, a) is given, from an earlier fit or from the experiment; temperatures are then in its units.

    Args:
        values: [1, S, A] the reward of every state and action (or [1, T, S, A], where it is another at each time).
    """

    is_linear = True

    def __init__(self, values: Float[Tensor, "1 *T S A"]) -> None:
        """Keep the values."""
        super().__init__()
        self.register_buffer("values", values)

    def build(self, task: Task, subjects: Sequence[Hashable]) -> None:
        """Create nothing."""

    def forward(self, task: Task) -> Float[Tensor, "1 *T S A"]:
        """Return the reward."""
        values: Tensor = self.values  # type: ignore[assignment]
        return values

    def parameters_of(self, task: Task, subjects: Sequence[Hashable]) -> list[Parameter]:
        """Describe nothing."""
        return []
