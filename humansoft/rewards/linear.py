"""Rewards that are weighted sums of named features."""

from collections.abc import Hashable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from humansoft._types import DTYPE
from humansoft.errors import ModelError, Problems, did_you_mean
from humansoft.parameters import Parameter
from humansoft.rewards.base import AbstractReward
from humansoft.tasks.task import Task


class LinearReward(AbstractReward):
    """r(s, a) = sum over features of weight * feature(s, a).

    Args:
        features: names of the task's features to use; all of them by default.
        fixed: weights that are known or set to give the scale, by feature name; a weight fixed at
            a non-zero value anchors the unit of temperature.
        shared: one set of weights for everybody; ``False``: everybody has their own.

    Example:
        >>> LinearReward(fixed={"step": -1.0})
        LinearReward(features=all, fixed={'step': -1.0}, shared=True)
    """

    is_linear = True

    def __init__(
        self,
        features: Sequence[str] | None = None,
        fixed: Mapping[str, float] | None = None,
        shared: bool = True,
    ) -> None:
        """Note the hypothesis; the weights are created when the task is known."""
        super().__init__()
        self.features = None if features is None else tuple(features)
        self.fixed = {name: float(value) for name, value in (fixed or {}).items()}
        self.shared = shared

    def build(self, task: Task, subjects: Sequence[Hashable]) -> None:
        """Create the weights [1 or B, F], zero where they are learned.

        Raises:
            ModelError: features the task does not have, or fixed weights that are not finite.
        """
        names = self.names(task)
        with Problems("LinearReward", ModelError) as problems:
            for name in dict.fromkeys((*names, *self.fixed)):
                if name not in task.feature_units:
                    problems.add(f"the task has no feature {name!r}.{did_you_mean(name, task.feature_names)}")
                elif name not in names:
                    problems.add(f"feature {name!r} is fixed but not among features={list(names)}")
            for name, value in self.fixed.items():
                if not torch.isfinite(torch.tensor(value)):
                    problems.add(f"the fixed weight of {name!r} is {value}")
            if not names:
                problems.add("the task has no features: add some with task.with_features, or use TableReward()")
        start = torch.tensor([self.fixed.get(name, 0.0) for name in names], dtype=DTYPE)
        self.weights = nn.Parameter(start.repeat(1 if self.shared else len(subjects), 1))

    def forward(self, task: Task) -> Float[Tensor, "R S A"]:
        """Return the reward of every state and action."""
        used = [task.feature_names.index(name) for name in self.names(task)]
        return torch.einsum("saf,rf->rsa", task.features[:, :, used], self.weights)

    def names(self, task: Task) -> tuple[str, ...]:
        """Return the names of the features in use, in the order of the weights."""
        return task.feature_names if self.features is None else self.features

    def parameters_of(self, task: Task, subjects: Sequence[Hashable]) -> list[Parameter]:
        """Describe the weights, person by person when they are not shared."""
        size = {n: _size(task, i) for i, n in enumerate(task.feature_names)}
        return [
            Parameter(
                name=name,
                kind="reward",
                level="shared" if self.shared else "subject",
                label=label,
                unit=task.feature_units[name],
                fixed=self.fixed.get(name),
                scale=size[name],
            )
            for label in ([None] if self.shared else subjects)
            for name in self.names(task)
        ]

    def __repr__(self) -> str:
        """Show the hypothesis."""
        features = "all" if self.features is None else list(self.features)
        return f"LinearReward(features={features}, fixed={self.fixed}, shared={self.shared})"


def _size(task: Task, feature: int) -> float:
    """Largest magnitude of a feature over available actions, 1 where it is 0 everywhere."""
    values = task.features[:, :, feature][task.available]
    size = float(values.abs().max()) if len(values) else 0.0
    return size if size > 0 else 1.0
