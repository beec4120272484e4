"""What every algorithm that learns a policy from sampled decisions can be asked to do, whoever drives it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from humansoft.solvers.distributions import AbstractDistribution
from humansoft.solvers.q_functions import AbstractScores
from humansoft.solvers.world import AbstractWorld, Step

Minimise = Callable[[Tensor], None]
"""Takes one step down a loss."""


class AbstractLearner(nn.Module, ABC):
    """An algorithm with everything it has learned and remembers: its state dictionary is a complete checkpoint.

    That is so because an epoch begins with new episodes: nothing inside an environment outlives it.

    Args:
        world: where to act.
        example: a state of the world, for its shape and type.
    """

    scores_are_rewards: bool = True
    """Whether scores are divided by the temperature, or are logarithms already."""

    def __init__(self, world: AbstractWorld, example: Tensor) -> None:
        """Stand in the world, before the first episode."""
        super().__init__()
        self.world, self.state = world, example
        self.generator = torch.Generator()

    @property
    @abstractmethod
    def scores(self) -> AbstractScores:
        """What was learned, of which the policy is a softmax."""

    @property
    def device(self) -> torch.device:
        """Where it learns."""
        return next(self.parameters()).device

    def begin(self, seed: int) -> None:
        """Begin new episodes: what follows depends on the seed and on what was learned and remembered."""
        self.generator = torch.Generator(self.device).manual_seed(seed + 1)
        self.state = self.world.reset(seed).to(self.device)

    @abstractmethod
    def step(self, minimise: Minimise) -> Sequence[Step]:
        """Act, and learn from it; return what happened."""

    @abstractmethod
    def optimizer(self) -> torch.optim.Optimizer:
        """Return what is to step down the losses."""

    @abstractmethod
    def distribution(self, state: Shaped[Tensor, "N *O"]) -> AbstractDistribution:
        """Return pi(.|s) of what was learned so far."""

    def temperature(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, " N"]:
        """Return the temperature at which it acts now."""
        return self.world.temperature(state)

    @torch.no_grad()
    def progress(self) -> dict[str, float]:
        """Return the entropy of acting and the temperature where the walkers are, for people who watch."""
        shown = self.distribution(self.state).diagnostics()
        return {**shown, "temperature": float(self.temperature(self.state).mean())}


def minimiser(optimizer: torch.optim.Optimizer) -> Minimise:
    """Return a function that takes one step of an optimizer down a loss."""

    def minimise(loss: Tensor) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()

    return minimise


def train(learner: AbstractLearner, num_steps: int, seed: int) -> None:
    """Let a learner act and learn for some steps of one training, driven by its own optimizer."""
    learner.begin(seed)
    minimise = minimiser(learner.optimizer())
    with torch.enable_grad():
        for _ in range(num_steps):
            learner.step(minimise)
