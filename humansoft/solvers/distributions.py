"""What is done in each of N states: a probability of each of some actions, or a density over a box of them."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from humansoft._types import DTYPE
from humansoft.solvers.box import Box
from humansoft.solvers.quadrature import MOST_GRID_DIMENSIONS

_HERMITE = 32  # nodes of the expectation over a normal; log(1 - tanh^2) is smooth
_EDGE = 1 - 1e-12  # of the unit box, where its preimage would be infinite
_DRAWN = 1024  # actions in such a table where a grid would have too many


@dataclass(frozen=True, eq=False)
class Weighted:
    """Finitely many actions that stand for a distribution: the mean of any f is sum_j probability_j f(action_j).

    Attributes:
        action: [N, J] codes, or [N, J, D].
        probability: [N, J].
    """

    action: Shaped[Tensor, "N J *D"]
    probability: Float[Tensor, "N J"]


class AbstractDistribution(ABC):
    """A distribution over actions in each of N states, measured by counting or by volume."""

    @abstractmethod
    def sample(self, generator: torch.Generator) -> Shaped[Tensor, "N *D"]:
        """Draw an action in each state."""

    @abstractmethod
    def log_prob(self, action: Shaped[Tensor, "N *D"]) -> Float[Tensor, " N"]:
        """Return the log probability or log density of an action in each state."""

    @abstractmethod
    def entropy(self) -> Float[Tensor, " N"]:
        """Return E[-log pi], which of a density can be negative."""

    @abstractmethod
    def weighted(self, generator: torch.Generator) -> Weighted:
        """Return actions that stand for it."""

    @abstractmethod
    def log_prob_error(self) -> Float[Tensor, " N"]:
        """Return how far off log_prob may be in nats, where an integral in it is estimated; else 0."""

    def diagnostics(self) -> dict[str, float]:
        """Return numbers for people who watch a training."""
        return {"entropy": float(self.entropy().mean())}


class Categorical(AbstractDistribution):
    """Finitely many actions.

    Args:
        log_policy: [N, A], -inf where an action cannot be chosen.

    Example:
        >>> Categorical(torch.tensor([[0.25, 0.75]]).log()).log_prob(torch.tensor([1])).exp().item()
        0.75
    """

    def __init__(self, log_policy: Float[Tensor, "N A"]) -> None:
        """Keep it."""
        self.log_policy = log_policy

    def sample(self, generator: torch.Generator) -> Int[Tensor, " N"]:
        """Draw codes."""
        return torch.multinomial(self.log_policy.exp(), 1, generator=generator)[:, 0]

    def log_prob(self, action: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
        """Look up."""
        return self.log_policy.gather(-1, action[:, None])[:, 0]

    def entropy(self) -> Float[Tensor, " N"]:
        """Return that of counting."""
        chosen = self.log_policy > -torch.inf
        return -torch.where(chosen, self.log_policy.exp() * self.log_policy, 0.0).sum(dim=-1)

    def weighted(self, generator: torch.Generator) -> Weighted:
        """Return all actions."""
        codes = torch.arange(self.log_policy.shape[1], device=self.log_policy.device)
        return Weighted(codes.expand(self.log_policy.shape), self.log_policy.exp())

    def log_prob_error(self) -> Float[Tensor, " N"]:
        """Return 0."""
        return torch.zeros_like(self.log_policy[:, 0])


class SquashedNormal(AbstractDistribution):
    r"""Independent normal variables u, squashed into a box by tanh (float64, for tanh comes close to 1 quickly).

    The density of a = centre + half * tanh(u) is that of u divided by the slope half * (1 - tanh(u)^2), whose
    logarithm 2 (log 2 - u - softplus(-2 u)) stays exact where tanh(u)^2 rounds to 1 (Haarnoja et al. 2018, App. C).

    Args:
        mean: [N, D] of u.
        log_std: [N, D] of u.
        box: where actions lie.

    Example:
        >>> narrow = SquashedNormal(torch.zeros(1, 1), torch.full((1, 1), -3.0), Box((0.0,), (4.0,)))
        >>> narrow.sample(torch.Generator().manual_seed(1)).round().item()
        2.0
    """

    def __init__(self, mean: Float[Tensor, "*N D"], log_std: Float[Tensor, "*N D"], box: Box) -> None:
        """Keep it."""
        self.mean, self.log_std, self.box = mean.to(DTYPE), log_std.to(DTYPE), box

    def sample(self, generator: torch.Generator) -> Float[Tensor, "*N D"]:
        """Draw normally, and squash."""
        drawn = torch.randn(self.mean.shape, generator=generator, dtype=DTYPE, device=self.mean.device)
        return self._squashed(drawn)

    def log_prob(self, action: Float[Tensor, "*N D"]) -> Float[Tensor, "*N"]:
        """Return the log density by the change of variables."""
        inner = self.box.to_unit(action.to(DTYPE)).clamp(-_EDGE, _EDGE).atanh()
        scaled = (inner - self.mean) * (-self.log_std).exp()
        log_normal = -0.5 * scaled.square() - self.log_std - 0.5 * math.log(2 * math.pi)
        return (log_normal - _log_slope(inner)).sum(dim=-1) - self.box.log_scale

    def entropy(self) -> Float[Tensor, " N"]:
        """Return the normal's entropy plus the mean log slope, by Gauss-Hermite quadrature."""
        nodes, weights = _hermite(self.mean.device)
        inner = self.mean[..., None] + self.log_std.exp()[..., None] * nodes
        stretched = (weights * _log_slope(inner)).sum(dim=-1)
        return (self.log_std + 0.5 * math.log(2 * math.pi * math.e) + stretched).sum(dim=-1) + self.box.log_scale

    def weighted(self, generator: torch.Generator) -> Weighted:
        """Return Gauss-Hermite nodes, or beyond 2 dimensions draws that count the same."""
        count, size, device = len(self.mean), self.box.num_dimensions, self.mean.device
        if size <= MOST_GRID_DIMENSIONS:
            nodes, weights = _hermite(device)
            normal = torch.cartesian_prod(*[nodes] * size).view(1, -1, size)
            mass = torch.cartesian_prod(*[weights] * size).view(-1, size).prod(dim=1)
        else:
            normal = torch.randn((count, _DRAWN, size), generator=generator, dtype=DTYPE, device=device)
            mass = torch.full((_DRAWN,), 1 / _DRAWN, dtype=DTYPE, device=device)
        action = self.box.from_unit((self.mean[:, None] + self.log_std.exp()[:, None] * normal).tanh())
        return Weighted(action, mass.expand(count, -1))

    def log_prob_error(self) -> Float[Tensor, " N"]:
        """Return 0."""
        return torch.zeros_like(self.mean[:, 0])

    def _squashed(self, drawn: Tensor) -> Tensor:
        return self.box.from_unit((self.mean + self.log_std.exp() * drawn).tanh())


def _log_slope(inner: Tensor) -> Tensor:
    """Return log(1 - tanh(u)^2), which is even in u."""
    return 2 * (math.log(2) - inner.abs() - functional.softplus(-2 * inner.abs()))


def _hermite(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return nodes and weights of the expectation over a standard normal variable."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_HERMITE)
    return torch.from_numpy(nodes).to(device), torch.from_numpy(weights / weights.sum()).to(device)
