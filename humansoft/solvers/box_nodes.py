"""Nodes that stand for all actions of a box: a grid, an action from each of its cells, or an importance sample.

A node stands for the volume 1 / (J density it was drawn with), as in :mod:`humansoft.solvers.quadrature`.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from humansoft.solvers.box import Box
from humansoft.solvers.q_functions import Choices
from humansoft.solvers.quadrature import MOST_GRID_DIMENSIONS, ActionNodes

Values = Callable[[Float[Tensor, "M J D"]], Float[Tensor, "N J"]]
"""From places in the unit box, of each state its own or (M = 1) the same for all, to their values."""

LogWeight = Callable[[Float[Tensor, "N K D"]], Float[Tensor, "N K"]]
"""From actions in each state to the log of what is to be integrated there, up to a constant."""

_ROUNDS = 4  # proposals of an importance sample
_WIDER = 1.25  # a proposal has heavier tails than what it was fitted to


class BoxNodes(nn.Module):
    """How an integral over a box becomes a sum: quadrature in 1 and 2 dimensions, importance sampling beyond.

    Args:
        box: where actions lie.
        num_nodes: J, about how many there are.

    Example:
        >>> nodes, warm = BoxNodes(Box((0.0,), (2.0,)), num_nodes=8), torch.ones(5)
        >>> found = nodes.choices(lambda place: torch.zeros(5, 8), warm, torch.Generator())
        >>> round(found.log_volume.exp().sum(dim=1)[0].item(), 6)
        2.0
    """

    _grid: Tensor
    _log_cell: Tensor

    def __init__(self, box: Box, num_nodes: int) -> None:
        """Lay out the grid, where there is one."""
        super().__init__()
        self.box, self.num_nodes, size = box, num_nodes, box.num_dimensions
        self.on_grid = size <= MOST_GRID_DIMENSIONS
        if self.on_grid:
            self.per_dimension = max(round(num_nodes ** (1 / size)), 2)
            grid = ActionNodes.gauss_legendre([-1.0] * size, [1.0] * size, self.per_dimension)
            self.register_buffer("_grid", grid.actions.float(), persistent=False)
            self.register_buffer("_log_cell", grid.log_volume.float(), persistent=False)

    def choices(self, values: Values, temperature: Float[Tensor, " N"], generator: torch.Generator) -> Choices:
        """Return the nodes of a Gauss-Legendre rule, or an importance sample of exp(value / temperature)."""
        if not self.on_grid:
            return self._sampled(values, temperature, generator)
        value = values(self._grid[None])
        log_volume = (self._log_cell + self.box.log_scale).expand_as(value)
        return Choices(value, log_volume, self.box.from_unit(self._grid).expand(len(value), -1, -1))

    def candidates(self, values: Values, temperature: Float[Tensor, " N"], generator: torch.Generator) -> Choices:
        """Return an action from each cell of an even grid, or an importance sample."""
        if not self.on_grid:
            return self._sampled(values, temperature, generator)
        place, log_cell = scattered(len(temperature), self.per_dimension, self.box.num_dimensions, generator)
        value = values(place)
        return Choices(value, torch.full_like(value, log_cell + self.box.log_scale), self.box.from_unit(place))

    def _sampled(self, values: Values, temperature: Tensor, generator: torch.Generator) -> Choices:
        # hard planning: the best action weighs everything
        unit = temperature.to(torch.float32).clamp_min(torch.finfo(torch.float32).eps)[:, None]
        nodes, found = importance_sample(
            lambda place: values(place) / unit, len(unit), self.num_nodes, self.box.num_dimensions, generator
        )
        log_volume, action = nodes.log_volume + self.box.log_scale, self.box.from_unit(nodes.actions)
        return Choices(found * unit, log_volume, action, drawn=True)


def scattered(
    num_states: int, num_cells: int, num_dimensions: int, generator: torch.Generator
) -> tuple[Float[Tensor, "N J D"], float]:
    """Return one action drawn from each cell of an even grid over the unit box, and the log volume of a cell.

    Drawing one of them with weights f(action) is drawing from the density f over the whole box, up to the error of
    the sum over cells: unlike the nodes of a rule they can be anywhere.

    Args:
        num_states: N.
        num_cells: in each dimension.
        num_dimensions: D.
        generator: where chance comes from.
    """
    line = torch.arange(num_cells, dtype=torch.float32, device=generator.device)
    corner = torch.cartesian_prod(*[line] * num_dimensions).view(-1, num_dimensions)
    jitter = torch.rand((num_states, *corner.shape), generator=generator, device=generator.device)
    return (corner + jitter) * (2 / num_cells) - 1, num_dimensions * math.log(2 / num_cells)


def importance_sample(
    log_weight: LogWeight, num_states: int, num_nodes: int, num_dimensions: int, generator: torch.Generator
) -> tuple[ActionNodes, Float[Tensor, "N J"]]:
    """Return nodes where it matters, in any number of dimensions, and the log weight at each.

    The first proposal is uniform over the unit box, each later one a normal that is cut off at its edges and fitted
    to what was found so far. Each action counts as drawn from the mixture of all proposals (Cornuet et al. 2012,
    adaptive multiple importance sampling): as the uniform one is among them, no weight can run away.

    Args:
        log_weight: log of what is to be integrated.
        num_states: N.
        num_nodes: J, rounded up to a multiple of the number of proposals.
        num_dimensions: D.
        generator: where chance comes from.
    """
    count = math.ceil(num_nodes / _ROUNDS)
    shape = (num_states, count, num_dimensions)
    action = torch.rand(shape, generator=generator, device=generator.device) * 2 - 1
    found = log_weight(action)
    density = torch.full_like(found, -num_dimensions * math.log(2))  # logs of the sum of all proposals' densities
    proposals: list[_CutNormal] = []
    for k in range(1, _ROUNDS):
        # A proposal narrower than the gaps between the nodes so far would only see the best of them.
        floor = count ** (-1 / num_dimensions) * 0.5 ** (k - 1)
        proposals.append(_CutNormal.fitted(action, torch.softmax(found - density, dim=-1), floor))
        drawn = proposals[-1].sample(shape, generator)
        uniform = torch.full_like(drawn[..., 0], -num_dimensions * math.log(2))
        earlier = torch.stack([uniform, *(p.log_density(drawn) for p in proposals)])
        density = torch.cat([torch.logaddexp(density, proposals[-1].log_density(action)), earlier.logsumexp(dim=0)], 1)
        action, found = torch.cat([action, drawn], dim=1), torch.cat([found, log_weight(drawn)], dim=1)
    return ActionNodes(action, -density - math.log(count)), found


class _CutNormal:
    """Independent normals in each dimension, cut off at -1 and 1."""

    def __init__(self, mean: Float[Tensor, "N 1 D"], std: Float[Tensor, "N 1 D"]) -> None:
        self.mean, self.std = mean, std
        self._below: Tensor = torch.special.ndtr((-1 - mean) / std)
        self._inside: Tensor = torch.special.ndtr((1 - mean) / std) - self._below

    @classmethod
    def fitted(cls, action: Tensor, share: Tensor, floor: float) -> "_CutNormal":
        mean = (share[..., None] * action).sum(dim=1, keepdim=True)
        square = (share[..., None] * (action - mean).square()).sum(dim=1, keepdim=True)
        return cls(mean, (_WIDER * square.sqrt()).clamp_min(floor))

    def sample(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        rank = torch.rand(shape, generator=generator, device=generator.device)
        normal: Tensor = torch.special.ndtri(self._below + rank * self._inside)
        drawn = self.mean + self.std * normal
        return drawn.clamp(-1, 1)

    def log_density(self, action: Tensor) -> Tensor:
        scaled = (action - self.mean) / self.std
        logs: Tensor = -0.5 * scaled.square() - (self.std * self._inside).log() - 0.5 * math.log(2 * math.pi)
        return logs.sum(dim=-1)
