"""What every algorithm that learns a policy from sampled decisions can be asked to do, whoever drives it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from humansoft.solvers.distributions import AbstractDistribution
from humansoft.solvers.q_functions import AbstractScores
from humansoft.solvers.world import AbstractWorld, Step

Minimise = Callable[[Tensor], None]
"""Takes one step down a loss."""

Temperature = TypeVar("Temperature", float, Tensor)
"""One, or one for each decision."""


class AbstractLearner(nn.Module, ABC):
    """An algorithm with everything it has learned and remembers: its state dictionary is a complete checkpoint.

    That is so because an epoch begins with new episodes: nothing inside an environment outlives it.

    Args:
        world: where to act.
        example: a state of the world, for its shape and type.
    """

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

    def score_unit(self, temperature: Temperature) -> Temperature:
        """Return by what scores are to be divided, so that they are logarithms, for people of a temperature."""
        return temperature

    @property
    def largest_gradient(self) -> float | None:
        """Norm to which longer gradients are shortened before a step."""
        return None

    def rate_left(self) -> float:
        """Return the share of the learning rate that is left; it may fall while training."""
        return 1.0

    def temperature(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, " N"]:
        """Return the temperature at which it acts now."""
        return self.world.temperature(state)

    @torch.no_grad()
    def progress(self) -> dict[str, float]:
        """Return the entropy of acting and the temperature where the walkers are, for people who watch."""
        shown = self.distribution(self.state).diagnostics()
        return {**shown, "temperature": float(self.temperature(self.state).mean())}


def minimiser(optimizer: torch.optim.Optimizer, largest_gradient: float | None = None) -> Minimise:
    """Return a function that takes one step of an optimizer down a loss."""

    def minimise(loss: Tensor) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        shorten_gradient(optimizer, largest_gradient)
        optimizer.step()

    return minimise


def shorten_gradient(optimizer: torch.optim.Optimizer, largest: float | None) -> None:
    """Shorten a gradient whose norm is larger than wanted."""
    if largest is not None:
        nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], largest)


def lower_rate(optimizer: torch.optim.Optimizer, left: float) -> None:
    """Leave a share of an optimizer's learning rate (those of stochastic approximation fall by themselves)."""
    for group in optimizer.param_groups:
        if "lr" in group:
            group["lr"] = left * group.setdefault("initial_lr", group["lr"])


def train(learner: AbstractLearner, num_steps: int, seed: int) -> None:
    """Let a learner act and learn for some steps of one training, driven by its own optimizer."""
    learner.begin(seed)
    optimizer = learner.optimizer()
    minimise = minimiser(optimizer, learner.largest_gradient)
    with torch.enable_grad():
        for _ in range(num_steps):
            lower_rate(optimizer, learner.rate_left())
            learner.step(minimise)
