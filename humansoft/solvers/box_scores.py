"""What is learned where actions are continuous: a network of action values, or of the moments of a normal."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from humansoft.solvers.box import Box
from humansoft.solvers.box_nodes import importance_sample, scattered
from humansoft.solvers.distributions import SquashedNormal
from humansoft.solvers.q_density import QDensity
from humansoft.solvers.q_functions import AbstractQ, AbstractScores, Choices, layers
from humansoft.solvers.quadrature import ActionNodes

_MOST_GRID_DIMENSIONS = 2
_ROWS = 2048  # states times actions that go through a network at once
_LOG_STD = 4.0  # standard deviations before squashing lie between exp(-4) and exp(4)


class BoxQ(AbstractQ):
    """A network from an observation and a continuous action to its value (float32).

    V is an integral: by Gauss-Legendre quadrature where there are at most 2 dimensions, by importance sampling else.

    Args:
        num_inputs: O, numbers of an observation.
        low: lowest action in each dimension.
        high: highest action in each dimension.
        num_nodes: J, about how many actions are asked for an integral.
        hidden: sizes of the hidden layers.
        learning_rate: of Adam.

    Example:
        >>> q = BoxQ(3, low=[-2.0], high=[2.0])
        >>> q.chosen(torch.zeros(5, 3), torch.ones(5, 1)).shape
        torch.Size([5])
    """

    _grid: Tensor
    _log_cell: Tensor

    def __init__(
        self,
        num_inputs: int,
        low: Sequence[float],
        high: Sequence[float],
        num_nodes: int = 64,
        hidden: Sequence[int] = (64, 64),
        learning_rate: float = 2e-3,
    ) -> None:
        """Draw the weights from torch's global generator."""
        super().__init__()
        self.box, self.num_nodes, self.learning_rate = Box(tuple(low), tuple(high)), num_nodes, learning_rate
        size = self.box.num_dimensions
        self.sizes = (num_inputs, *hidden)
        self.layers = layers((num_inputs + size, *hidden, 1))
        self.on_grid = size <= _MOST_GRID_DIMENSIONS
        if self.on_grid:
            self.per_dimension = max(round(num_nodes ** (1 / size)), 2)
            grid = ActionNodes.gauss_legendre([-1.0] * size, [1.0] * size, self.per_dimension)
            self.register_buffer("_grid", grid.actions.float(), persistent=False)
            self.register_buffer("_log_cell", grid.log_volume.float(), persistent=False)

    def forward(self, state: Float[Tensor, "N O"], place: Float[Tensor, "M J D"]) -> Float[Tensor, "N J"]:
        """Return Q(s, a) at places in the unit box (M is N, or 1 where all states share them).

        The first layer is linear in both, so that its part of the state is computed once for all J actions.
        """
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        of_state, of_place = first.weight[:, : state.shape[1]], first.weight[:, state.shape[1] :]
        outer, shared = functional.linear(state, of_state, first.bias), functional.linear(place, of_place)
        few = max(_ROWS // place.shape[1], 1)  # what lies between two layers stays in the cache
        parts = zip(outer.split(few), shared.expand(len(state), -1, -1).split(few), strict=True)
        return torch.cat([self.layers[1:](one[:, None] + other)[..., 0] for one, other in parts])

    def chosen(self, state: Float[Tensor, "N O"], action: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
        """Return Q(s, a) of one action in each state, for its gradient."""
        place = self.box.to_unit(action.to(state.dtype))
        values: Tensor = self.layers(torch.cat([state, place], dim=1))
        return values[:, 0]

    def choices(
        self, state: Float[Tensor, "N O"], temperature: Float[Tensor, " N"], generator: torch.Generator
    ) -> Choices:
        """Return the nodes of the quadrature, or an importance sample."""
        if not self.on_grid:
            return self._sampled(state, temperature, generator)
        value = self(state, self._grid[None])
        log_volume = (self._log_cell + self.box.log_scale).expand_as(value)
        return Choices(value, log_volume, self.box.from_unit(self._grid).expand(len(state), -1, -1))

    def candidates(
        self, state: Float[Tensor, "N O"], temperature: Float[Tensor, " N"], generator: torch.Generator
    ) -> Choices:
        """Return an action from each cell of a grid, or an importance sample."""
        if not self.on_grid:
            return self._sampled(state, temperature, generator)
        place, log_cell = scattered(len(state), self.per_dimension, self.box.num_dimensions, generator)
        value = self(state, place)
        return Choices(value, torch.full_like(value, log_cell + self.box.log_scale), self.box.from_unit(place))

    def distribution(
        self,
        state: Float[Tensor, "N O"],
        log_prior: Float[Tensor, "N R"],
        temperature: Float[Tensor, " N"],
        generator: torch.Generator,
    ) -> QDensity:
        """Return exp((Q - V) / temperature)."""
        return QDensity(self, state, temperature, generator)

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam, in one kernel."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate, fused=True)

    def arguments(self) -> dict[str, Any]:
        """Return what it was made with."""
        inputs, *hidden = self.sizes
        return {
            "num_inputs": inputs,
            "low": list(self.box.low),
            "high": list(self.box.high),
            "num_nodes": self.num_nodes,
            "hidden": hidden,
            "learning_rate": self.learning_rate,
        }

    def _sampled(self, state: Tensor, temperature: Tensor, generator: torch.Generator) -> Choices:
        tiny = torch.finfo(state.dtype).eps  # hard planning: the best action weighs everything
        sharpness = 1 / temperature.to(state.dtype).clamp_min(tiny)[:, None]
        nodes, found = importance_sample(
            lambda place: self(state, place) * sharpness,
            len(state),
            self.num_nodes,
            self.box.num_dimensions,
            generator,
        )
        log_volume, action = nodes.log_volume + self.box.log_scale, self.box.from_unit(nodes.actions)
        return Choices(found / sharpness, log_volume, action, drawn=True)


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
        torch.Size([1, 101])
    """

    def __init__(
        self, num_inputs: int, low: Sequence[float], high: Sequence[float], hidden: Sequence[int] = (64, 64)
    ) -> None:
        """Draw the weights from torch's global generator, near a density that is almost flat over the box."""
        super().__init__()
        self.box, self.sizes = Box(tuple(low), tuple(high)), (num_inputs, *hidden)
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
        inputs, *hidden = self.sizes
        return {"num_inputs": inputs, "low": list(self.box.low), "high": list(self.box.high), "hidden": hidden}
