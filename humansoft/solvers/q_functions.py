"""What soft Q-learning learns: action values as a table or as a network, and how each is moved."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from humansoft.solvers.standardised import Standardised


class AbstractQ(nn.Module, ABC):
    """Q(s, a) of every action, with parameters to learn."""

    @abstractmethod
    def forward(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, "N A"]:
        """Return Q(s, .)."""

    def chosen(self, state: Shaped[Tensor, "N *O"], action: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
        """Return Q(s, a) of one action in each state, for its gradient."""
        values: Tensor = self(state)
        return values.gather(-1, action[:, None])[:, 0]

    @abstractmethod
    def optimizer(self) -> torch.optim.Optimizer:
        """Return what turns gradients of a sum of squared errors into steps."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return what it was made with."""

    def show(self, state: Shaped[Tensor, "N *O"]) -> None:
        """Learn what observations look like, before anything is learned from them; a table has no use for it."""

    def twin(self) -> "AbstractQ":
        """Return a copy that no gradient reaches."""
        return copy.deepcopy(self).requires_grad_(False)


class QTable(AbstractQ):
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
        self.num_actions, self.patience, self.decay = num_actions, patience, decay
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
            "num_states": len(self.table) // self.num_actions,
            "num_actions": self.num_actions,
            "patience": self.patience,
            "decay": self.decay,
        }

    def optimizer(self) -> torch.optim.Optimizer:
        """Return stochastic approximation."""
        return RobbinsMonro(self.parameters(), self.patience, self.decay)


class QNetwork(AbstractQ):
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
        self.sizes, self.learning_rate = (num_inputs, *hidden, num_actions), learning_rate
        self.scale, self.layers = Standardised(num_inputs), layers(self.sizes)

    def forward(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, "N A"]:
        """Run the network."""
        values: Tensor = self.layers(self.scale(state))
        return values

    def show(self, state: Shaped[Tensor, "N *O"]) -> None:
        """Measure inputs in their standard deviations."""
        self.scale.show(state)

    def twin(self) -> "QNetwork":
        """Return a copy that no gradient reaches and that measures its inputs as this one does."""
        twin = copy.deepcopy(self).requires_grad_(False)
        twin.scale = self.scale
        return twin

    def arguments(self) -> dict[str, Any]:
        """Return what it was made with."""
        inputs, *hidden, actions = self.sizes
        return {
            "num_inputs": inputs,
            "num_actions": actions,
            "hidden": hidden,
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
