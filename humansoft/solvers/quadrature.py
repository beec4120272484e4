"""Nodes that stand for all actions of a continuous action space: quadrature to 2 dimensions, sampling beyond.

An integral over actions becomes a sum over J nodes, each with the volume that it stands for:

    integral f(a) da  ~  sum_j exp(log_volume_j) f(a_j)

A log-sum-exp over a grid without the logs of the volumes is no log-integral: it grows by alpha * log(2) with
every doubling of the nodes (SCIENCE 2, A3b). So actions and volumes come together, in one value.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.errors import Problems, UsageError

Real = npt.NDArray[np.float64]
Rule = Callable[[int], tuple[Real, Real]]

MOST_GRID_DIMENSIONS = 2
"""Dimensions up to which a grid will do: its nodes are a power of them."""


@dataclass(frozen=True, eq=False)
class ActionNodes:
    """Actions at which Q is asked, and the log of the volume that each stands for.

    Attributes:
        actions: [J, D], or [..., J, D] where every state has nodes of its own.
        log_volume: [J] or [..., J].
    """

    actions: Float[Tensor, "... J D"]
    log_volume: Float[Tensor, "... J"]

    @classmethod
    def trapezoid(cls, low: Sequence[float], high: Sequence[float], num_nodes: int) -> "ActionNodes":
        """Return an even grid over a box: the best rule where Q falls off before the edges.

        Args:
            low: lowest action in each of at most 2 dimensions.
            high: highest action in each dimension.
            num_nodes: nodes in each dimension, at least 2.

        Raises:
            UsageError: an empty box, more than 2 dimensions, or fewer than 2 nodes.

        Example:
            >>> ActionNodes.trapezoid([0.0], [1.0], num_nodes=3).log_volume.exp().tolist()
            [0.25, 0.5, 0.25]
        """
        _check("trapezoid", low, high, num_nodes, 2, MOST_GRID_DIMENSIONS)
        return _product(_even, low, high, num_nodes)

    @classmethod
    def gauss_legendre(cls, low: Sequence[float], high: Sequence[float], num_nodes: int) -> "ActionNodes":
        """Return the Gauss-Legendre rule over a box: the best rule where Q is smooth up to the edges.

        Args:
            low: lowest action in each of at most 2 dimensions.
            high: highest action in each dimension.
            num_nodes: nodes in each dimension.

        Raises:
            UsageError: an empty box, more than 2 dimensions, or no nodes.

        Example:
            >>> nodes = ActionNodes.gauss_legendre([0.0, 0.0], [2.0, 3.0], num_nodes=4)
            >>> nodes.actions.shape, round(nodes.log_volume.exp().sum().item(), 12)
            (torch.Size([16, 2]), 6.0)
        """
        _check("gauss_legendre", low, high, num_nodes, 1, MOST_GRID_DIMENSIONS)
        return _product(np.polynomial.legendre.leggauss, low, high, num_nodes)

    @classmethod
    def uniform(cls, low: Sequence[float], high: Sequence[float], num_nodes: int, *, seed: int) -> "ActionNodes":
        """Return actions drawn at random from a box, for any number of dimensions.

        Args:
            low: lowest action in each dimension.
            high: highest action in each dimension.
            num_nodes: how many are drawn.
            seed: same seed, same actions.

        Raises:
            UsageError: an empty box, or no nodes.

        Example:
            >>> ActionNodes.uniform([0.0] * 3, [2.0] * 3, num_nodes=4, seed=1).log_volume.exp().tolist()
            [2.0, 2.0, 2.0, 2.0]
        """
        _check("uniform", low, high, num_nodes, 1, None)
        drawn = np.random.default_rng(seed).uniform(low, high, size=(num_nodes, len(low)))
        volume = np.prod(np.subtract(high, low)) / num_nodes
        return cls(torch.from_numpy(drawn), torch.full((num_nodes,), float(np.log(volume)), dtype=DTYPE))

    @classmethod
    def normal(
        cls, mean: Float[Tensor, "... D"], std: Float[Tensor, "... D"], num_nodes: int, *, seed: int
    ) -> "ActionNodes":
        """Return an importance sample: actions drawn from a normal proposal, each for the volume 1 / (J density).

        A good proposal resembles exp(Q / alpha) and has heavier tails (a larger standard deviation): where the
        proposal is too narrow, what it misses is not seen in the spread of the estimate either.

        Args:
            mean: centre of the proposal, in each state.
            std: its standard deviation in each dimension.
            num_nodes: how many are drawn in each state.
            seed: same seed, same actions.

        Raises:
            UsageError: standard deviations that are not above 0, or no nodes.

        Example:
            >>> mean = torch.zeros(5, 3, dtype=torch.float64)  # of five states
            >>> ActionNodes.normal(mean, torch.ones_like(mean), num_nodes=100, seed=1).actions.shape
            torch.Size([5, 100, 3])
        """
        with Problems("ActionNodes.normal", UsageError) as problems:
            if num_nodes < 1:
                problems.add(f"num_nodes is {num_nodes}; it must be at least 1")
            if not bool((std > 0).all() and torch.isfinite(std).all() and torch.isfinite(mean).all()):
                problems.add("the mean must be finite and the standard deviation a finite number above 0")
        shape = (*mean.shape[:-1], num_nodes, mean.shape[-1])
        scaled = torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).to(mean.dtype)
        log_density = (-0.5 * scaled**2 - 0.5 * np.log(2 * np.pi) - std[..., None, :].log()).sum(dim=-1)
        return cls(mean[..., None, :] + std[..., None, :] * scaled, -log_density - float(np.log(num_nodes)))


def _check(
    name: str, low: Sequence[float], high: Sequence[float], num_nodes: int, fewest: int, most: int | None
) -> None:
    with Problems(f"ActionNodes.{name}", UsageError) as problems:
        if len(low) != len(high) or not len(low):
            problems.add(f"low has {len(low)} dimensions and high {len(high)}; give both the same, at least 1")
        elif not all(np.isfinite(a) and np.isfinite(b) and a < b for a, b in zip(low, high, strict=True)):
            problems.add(f"the box from {list(low)} to {list(high)} is empty or endless")
        if num_nodes < fewest:
            problems.add(f"num_nodes is {num_nodes}; it must be at least {fewest}")
        if most is not None and len(low) > most:
            problems.add(f"a grid has at most {most} dimensions, this box has {len(low)}; draw ActionNodes.normal")


def _even(num_nodes: int) -> tuple[Real, Real]:
    """Return nodes and volumes of the trapezoidal rule on [-1, 1]."""
    volumes = np.full(num_nodes, 2.0 / (num_nodes - 1))
    volumes[[0, -1]] /= 2
    return np.linspace(-1.0, 1.0, num_nodes), volumes


def _product(rule: Rule, low: Sequence[float], high: Sequence[float], num_nodes: int) -> ActionNodes:
    """Return the product of a rule on [-1, 1] over the dimensions of a box."""
    nodes, volumes = rule(num_nodes)
    half = np.subtract(high, low) / 2
    lines = [a + h * (nodes + 1) for a, h in zip(low, half, strict=True)]
    logs = [np.log(h * volumes) for h in half]
    actions = np.stack([line.ravel() for line in np.meshgrid(*lines, indexing="ij")], axis=-1)
    log_volume = sum(line.ravel() for line in np.meshgrid(*logs, indexing="ij"))
    return ActionNodes(torch.from_numpy(actions), torch.from_numpy(np.asarray(log_volume)))
