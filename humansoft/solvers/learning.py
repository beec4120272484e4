"""What every algorithm that learns a policy from sampled decisions can be asked to do, whoever drives it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from humansoft.solvers.q_functions import AbstractQ
from humansoft.solvers.world import Step

Minimise = Callable[[Tensor], None]
"""Takes one step down a loss."""


class AbstractLearner(nn.Module, ABC):
    """An algorithm with everything it has learned and remembers: its state dictionary is a complete checkpoint.

    That is so because an epoch begins with new episodes: nothing inside an environment outlives it.
    """

    scores_are_rewards: bool = True
    """Whether scores are divided by the temperature, or are logarithms already."""

    @property
    @abstractmethod
    def scores(self) -> AbstractQ:
        """What was learned, of which the policy is a softmax."""

    @abstractmethod
    def begin(self, seed: int) -> None:
        """Begin new episodes: what follows depends on the seed and on what was learned and remembered."""

    @abstractmethod
    def step(self, minimise: Minimise) -> Sequence[Step]:
        """Act, and learn from it; return what happened."""

    @abstractmethod
    def optimizer(self) -> torch.optim.Optimizer:
        """Return what is to step down the losses."""

    @abstractmethod
    def log_policy(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, "N A"]:
        """Return log pi(.|s) of what was learned so far."""

    @abstractmethod
    def progress(self) -> dict[str, float]:
        """Return the entropy of acting and the temperature now, for people who watch."""


def minimiser(optimizer: torch.optim.Optimizer) -> Minimise:
    """Return a function that takes one step of an optimizer down a loss."""

    def minimise(loss: Tensor) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()

    return minimise
