"""What is learned from samples: scores of actions, such as their values, as a table or as a network."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from humansoft.solvers.bellman import log_soft_policy
from humansoft.solvers.box import Box
from humansoft.solvers.distributions import AbstractDistribution, Categorical
from humansoft.solvers.standardised import Standardised


@dataclass(frozen=True, eq=False)
class Choices:
    """J actions in each of N states that stand for all there are.

    Attributes:
        value: [N, J] Q of each.
        log_volume: [N, J] log of how much of the action space each stands for; 0 where each is one of finitely many.
        action: [N, J, D] the actions; ``None`` where they are the codes 0 to J - 1.
        drawn: whether they are an importance sample.
    """

    value: Float[Tensor, "N J"]
    log_volume: Float[Tensor, "N J"]
    action: Float[Tensor, "N J D"] | None = None
    drawn: bool = False

    def pick(self, place: Int[Tensor, " N"]) -> Shaped[Tensor, "N *D"]:
        """Return the action at one place in each state."""
        return place if self.action is None else self.action[torch.arange(len(place), device=place.device), place]


class AbstractScores(nn.Module, ABC):
    """Says what to do in a state, with parameters to learn.

    Attributes:
        num_states: number of codes, where observations are codes.
        num_inputs: O, numbers of an observation, where it is an array.
        num_actions: number of actions, 0 where they are continuous.
        box: where continuous actions lie.
    """

    num_states: int | None = None
    num_inputs: int | None = None
    num_actions: int = 0
    box: Box | None = None

    @abstractmethod
    def distribution(
        self,
        state: Shaped[Tensor, "N *O"],
        log_prior: Float[Tensor, "N R"],
        temperature: Float[Tensor, " N"],
        generator: torch.Generator,
    ) -> AbstractDistribution:
        """Return pi proportional to prior * exp(score / temperature).

        Args:
            state: in which to act.
            log_prior: log reference of each action, or the same for all; of a density only uniform ones are known.
            temperature: in units of the scores.
            generator: of random nodes, where an integral has to be estimated.
        """

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return what it was made with."""

    def description(self) -> dict[str, Any]:
        """Return what it is, and was made with, for a file."""
        return {"kind": type(self).__name__, **self.arguments()}

    def show(self, state: Shaped[Tensor, "N *O"]) -> None:
        """Learn what observations look like, before anything is learned from them; a table has no use for it."""


class AbstractQ(AbstractScores):
    """Q(s, a), finitely many actions or not."""

    @abstractmethod
    def chosen(self, state: Shaped[Tensor, "N *O"], action: Shaped[Tensor, "N *D"]) -> Float[Tensor, " N"]:
        """Return Q(s, a) of one action in each state, for its gradient."""

    @abstractmethod
    def choices(
        self, state: Shaped[Tensor, "N *O"], temperature: Float[Tensor, " N"], generator: torch.Generator
    ) -> Choices:
        """Return actions to sum over, for V."""

    @abstractmethod
    def candidates(
        self, state: Shaped[Tensor, "N *O"], temperature: Float[Tensor, " N"], generator: torch.Generator
    ) -> Choices:
        """Return actions to draw from: together they can be any action."""

    @abstractmethod
    def optimizer(self) -> torch.optim.Optimizer:
        """Return what turns gradients of a sum of squared errors into steps."""

    def twin(self) -> Self:
        """Return a copy that no gradient reaches."""
        return copy.deepcopy(self).requires_grad_(False)


class AbstractFiniteQ(AbstractQ):
    """Q(s, a) of each of finitely many actions."""

    @abstractmethod
    def forward(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, "N A"]:
        """Return Q(s, .)."""

    def chosen(self, state: Shaped[Tensor, "N *O"], action: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
        """Return Q(s, a) of one action in each state, for its gradient."""
        values: Tensor = self(state)
        return values.gather(-1, action[:, None])[:, 0]

    def choices(
        self, state: Shaped[Tensor, "N *O"], temperature: Float[Tensor, " N"], generator: torch.Generator
    ) -> Choices:
        """Return all actions."""
        value = self(state)
        return Choices(value, torch.zeros_like(value))

    def candidates(
        self, state: Shaped[Tensor, "N *O"], temperature: Float[Tensor, " N"], generator: torch.Generator
    ) -> Choices:
        """Return all actions."""
        return self.choices(state, temperature, generator)

    def distribution(
        self,
        state: Shaped[Tensor, "N *O"],
        log_prior: Float[Tensor, "N R"],
        temperature: Float[Tensor, " N"],
        generator: torch.Generator,
    ) -> Categorical:
        """Return the soft policy, as precise as the prior is (or as Q is, if that is more)."""
        value: Tensor = self(state)
        value = value.to(torch.promote_types(value.dtype, log_prior.dtype))
        return Categorical(log_soft_policy(value, log_prior.expand_as(value), temperature))


class QTable(AbstractFiniteQ):
    """A number for each state and action, each with a learning rate that falls with its own visits.

    Args:
        num_states: M.
        num_actions: A.
        patience: visits of a pair after which its rate has begun to fall.
        decay: power of that fall, between 1/2 and 1 for convergence.

    Example:
        >>> QTable(5, 2)(torch.tensor([3, 4])).shape
        torch.Size([2, 2])
    """

    def __init__(self, num_states: int, num_actions: int, patience: float = 100.0, decay: float = 0.75) -> None:
        """Start from 0."""
        super().__init__()
        self.num_states, self.num_actions, self.patience, self.decay = num_states, num_actions, patience, decay
        self.table = nn.Parameter(torch.zeros(num_states * num_actions, 1, dtype=torch.float64))

    def forward(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, "N A"]:
        """Look up."""
        return self.table.view(-1, self.num_actions)[state]

    def chosen(self, state: Shaped[Tensor, "N *O"], action: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
        """Look up, with a gradient that has one entry a sample."""
        return nn.functional.embedding(state * self.num_actions + action, self.table, sparse=True)[:, 0]

    def arguments(self) -> dict[str, Any]:
        """Return what it was made with."""
        return {
            "num_states": self.num_states,
            "num_actions": self.num_actions,
            "patience": self.patience,
            "decay": self.decay,
        }

    def optimizer(self) -> torch.optim.Optimizer:
        """Return stochastic approximation."""
        return RobbinsMonro(self.parameters(), self.patience, self.decay)


class QNetwork(AbstractFiniteQ):
    """A network from observations, in units of their spread, to action values (float32).

    Args:
        num_inputs: O, numbers of an observation.
        num_actions: A.
        hidden: sizes of the hidden layers.
        learning_rate: of Adam.

    Example:
        >>> QNetwork(4, 2)(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
    """

    def __init__(
        self, num_inputs: int, num_actions: int, hidden: Sequence[int] = (64, 64), learning_rate: float = 2e-3
    ) -> None:
        """Draw the weights from torch's global generator."""
        super().__init__()
        self.num_inputs, self.num_actions = num_inputs, num_actions
        self.hidden, self.learning_rate = tuple(hidden), learning_rate
        self.scale, self.layers = Standardised(num_inputs), layers((num_inputs, *hidden, num_actions))

    def forward(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, "N A"]:
        """Run the network."""
        values: Tensor = self.layers(self.scale(state))
        return values

    def show(self, state: Shaped[Tensor, "N *O"]) -> None:
        """Measure inputs in their standard deviations."""
        self.scale.show(state)

    def twin(self) -> Self:
        """Return a copy that no gradient reaches and that measures its inputs as this one does."""
        twin = copy.deepcopy(self).requires_grad_(False)
        twin.scale = self.scale
        return twin

    def arguments(self) -> dict[str, Any]:
        """Return what it was made with."""
        return {
            "num_inputs": self.num_inputs,
            "num_actions": self.num_actions,
            "hidden": list(self.hidden),
            "learning_rate": self.learning_rate,
        }

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam, in one kernel: with small networks the time goes into single calls."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate, fused=True)


def layers(sizes: Sequence[int]) -> nn.Sequential:
    """Return linear layers of these sizes with ReLU between them."""
    steps = [layer for ins, outs in pairwise(sizes) for layer in (nn.Linear(ins, outs), nn.ReLU())]
    return nn.Sequential(*steps[:-1])


class RobbinsMonro(torch.optim.Optimizer):
    """Stochastic approximation: each entry moves by its mean error, at a rate (1 + visits / patience)^-decay.

    Args:
        parameters: tables [E, 1] whose gradients are sparse, one entry a sample.
        patience: visits after which a rate has begun to fall.
        decay: power of that fall.
    """

    def __init__(self, parameters: Any, patience: float, decay: float) -> None:  # noqa: ANN401 - as torch has it
        """Nobody has been visited."""
        super().__init__(parameters, {"patience": patience, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move what was visited."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for table in group["params"]:
                # Summed up (coalesced), the gradient would no longer tell how often an entry was drawn.
                entry, slope = table.grad._indices()[0], table.grad._values()[:, 0]
                count = torch.bincount(entry, minlength=len(table)).to(slope.dtype)
                mean = torch.bincount(entry, weights=slope, minlength=len(table)) / count.clamp_min(1.0)
                visits = self.state[table].setdefault("visits", torch.zeros_like(count))
                visits += count
                rate = (1 + visits / group["patience"]) ** -group["decay"]
                table -= ((1 - (1 - rate) ** count) * mean)[:, None]
        return loss
