"""The contract of a reward: three methods, and everything else follows by autograd."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from humansoft.parameters import Parameter
from humansoft.tasks.task import Task


class AbstractReward(nn.Module, ABC):
    """What people want, as a function of a task's features.

    A subclass MUST give:
        build(task, subjects): create its ``nn.Parameter`` tensors (float64) once the task and the
            people are known;
        forward(task): the reward of every state and action, [1, S, A], or [B, S, A] when
            people have rewards of their own; with a time axis [1, T, S, A] or [B, T, S, A] where a
            task's horizon is T and the reward is another at each time (a deadline, a season, an age);
        parameters_of(task, subjects): one :class:`Parameter` for each number of these tensors,
            in the order of ``self.parameters()``.

    It MAY say ``is_linear = True`` when ``forward`` is linear in the parameters (no offset): the reward's
    derivatives are then worked out once, and not again at every step.

    It then gets: likelihood, fitting, standard errors, identification, prediction, simulation.
    """

    is_linear: ClassVar[bool] = False

    @abstractmethod
    def build(self, task: Task, subjects: Sequence[Hashable]) -> None:
        """Create the parameters; called once, on the model's own copy of the reward."""

    @abstractmethod
    def forward(self, task: Task) -> Float[Tensor, "R *T S A"]:
        """Return the reward of every state and action (and time); R is 1 or the number of subjects."""

    @abstractmethod
    def parameters_of(self, task: Task, subjects: Sequence[Hashable]) -> list[Parameter]:
        """Describe each number of the parameters, in the order of ``self.parameters()``."""
