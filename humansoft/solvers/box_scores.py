"""What is learned where actions are continuous: a network of action values, or of the moments of a normal."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from humansoft.solvers.box import Box
from humansoft.solvers.box_nodes import BoxNodes
from humansoft.solvers.distributions import SquashedNormal
from humansoft.solvers.q_density import QDensity
from humansoft.solvers.q_functions import AbstractQ, AbstractScores, Choices, layers

_NUM_NODES, _MOST_NODES = {1: 32, 2: 144}, 256
_FINER = 8  # a policy is asked less often than a target is made, and is to be right
_ROWS = 2048  # states times actions that go through a network at once
_LOG_STD = 4.0  # standard deviations before squashing lie between exp(-4) and exp(4)


class BoxQ(AbstractQ):
    """A network from an observation and a continuous action to its value (float32).

    V is an integral: by Gauss-Legendre quadrature where there are at most 2 dimensions, by importance sampling else.

    Args:
        num_inputs: O, numbers of an observation.
        low: lowest action in each dimension.
        high: highest action in each dimension.
        num_nodes: J, about how many actions are asked for an integral while learning; by default 32 in 1
            dimension, 144 in 2 and 256 beyond. A policy asks 8 times as many.
        hidden: sizes of the hidden layers.
        learning_rate: of Adam.

    Example:
        >>> q = BoxQ(3, low=[-2.0], high=[2.0])
        >>> q.chosen(torch.zeros(5, 3), torch.ones(5, 1)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        num_inputs: int,
        low: Sequence[float],
        high: Sequence[float],
        num_nodes: int | None = None,
        hidden: Sequence[int] = (64, 64),
        learning_rate: float = 2e-3,
    ) -> None:
        """Draw the weights from torch's global generator."""
        super().__init__()
        self.box: Box
        self.num_inputs, self.learning_rate = num_inputs, learning_rate
        self.box, self.hidden = Box(tuple(low), tuple(high)), tuple(hidden)
        self.layers = layers((num_inputs + self.box.num_dimensions, *hidden, 1))
        self.nodes = BoxNodes(self.box, num_nodes or _NUM_NODES.get(self.box.num_dimensions, _MOST_NODES))
        self.fine_nodes = BoxNodes(self.box, _FINER * self.nodes.num_nodes)

    def forward(self, state: Float[Tensor, "N O"], place: Float[Tensor, "M J D"]) -> Float[Tensor, "N J"]:
        """Return Q(s, a) at places in the unit box (M is N, or 1 where all states share them).

        The first layer is linear in both, so that its part of the state is computed once for all J actions.
        """
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        of_state, of_place = first.weight[:, : state.shape[1]], first.weight[:, state.shape[1] :]
        outer, shared = functional.linear(state, of_state, first.bias), functional.linear(place, of_place)
        few = max(_ROWS // place.shape[1], 1)  # what lies between two layers stays in the cache
        parts = zip(torch.split(outer, few), torch.split(shared.expand(len(state), -1, -1), few), strict=True)
        rest = self.layers[1:]
        return torch.cat([rest(one[:, None] + other)[..., 0] for one, other in parts])

    def chosen(self, state: Float[Tensor, "N O"], action: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
        """Return Q(s, a) of one action in each state, for its gradient."""
        place = self.box.to_unit(action.to(state.dtype))
        values: Tensor = self.layers(torch.cat([state, place], dim=1))
        return values[:, 0]

    def choices(
        self, state: Float[Tensor, "N O"], temperature: Float[Tensor, " N"], generator: torch.Generator
    ) -> Choices:
        """Return the nodes of the quadrature, or an importance sample."""
        return self.nodes.choices(partial(self, state), temperature, generator)

    def candidates(
        self, state: Float[Tensor, "N O"], temperature: Float[Tensor, " N"], generator: torch.Generator
    ) -> Choices:
        """Return an action from each cell of a grid, or an importance sample."""
        return self.nodes.candidates(partial(self, state), temperature, generator)

    def distribution(
        self,
        state: Float[Tensor, "N O"],
        log_prior: Float[Tensor, "N R"],
        temperature: Float[Tensor, " N"],
        generator: torch.Generator,
    ) -> QDensity:
        """Return exp((Q - V) / temperature), from more nodes than learning takes."""
        return QDensity(self, self.fine_nodes, state, temperature, generator)

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam, in one kernel."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate, fused=True)

    def arguments(self) -> dict[str, Any]:
        """Return what it was made with."""
        return {
            "num_inputs": self.num_inputs,
            "low": list(self.box.low),
            "high": list(self.box.high),
            "num_nodes": self.nodes.num_nodes,
            "hidden": list(self.hidden),
            "learning_rate": self.learning_rate,
        }


class NormalNetwork(AbstractScores):
    """A network from an observation to a squashed normal over the actions of a box (float32).

    Args:
        num_inputs: O, numbers of an observation.
        low: lowest action in each dimension.
        high: highest action in each dimension.
        hidden: sizes of the hidden layers.

    Example:
        >>> actor = NormalNetwork(3, low=[-2.0], high=[2.0])
        >>> one = torch.zeros(1)
        >>> density = actor.distribution(torch.zeros(1, 3), one[None], one, torch.Generator())
        >>> density.weighted(torch.Generator()).probability.shape
        torch.Size([1, 32])
    """

    def __init__(
        self, num_inputs: int, low: Sequence[float], high: Sequence[float], hidden: Sequence[int] = (64, 64)
    ) -> None:
        """Draw the weights from torch's global generator, near a density that is almost flat over the box."""
        super().__init__()
        self.box: Box
        self.num_inputs, self.box, self.hidden = num_inputs, Box(tuple(low), tuple(high)), tuple(hidden)
        self.layers = layers((num_inputs, *hidden, 2 * self.box.num_dimensions))
        with torch.no_grad():
            for parameter in self.layers[-1].parameters():
                parameter.mul_(0.01)

    def forward(self, state: Float[Tensor, "N O"]) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"]]:
        """Return mean and log standard deviation before squashing."""
        mean, raw = self.layers(state).chunk(2, dim=-1)
        return mean, _LOG_STD * torch.tanh(raw / _LOG_STD)

    def distribution(
        self,
        state: Float[Tensor, "N O"],
        log_prior: Float[Tensor, "N R"],
        temperature: Float[Tensor, " N"],
        generator: torch.Generator,
    ) -> SquashedNormal:
        """Return the normal: what it learned are logarithms already, at any temperature."""
        mean, log_std = self(state)
        return SquashedNormal(mean, log_std, self.box)

    def arguments(self) -> dict[str, Any]:
        """Return what it was made with."""
        low, high = list(self.box.low), list(self.box.high)
        return {"num_inputs": self.num_inputs, "low": low, "high": high, "hidden": list(self.hidden)}
