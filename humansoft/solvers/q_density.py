"""The soft policy over continuous actions: pi(a|s) = exp((Q(s, a) - V(s)) / temperature)."""

from functools import cached_property, partial

import torch
from jaxtyping import Float
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.solvers.bellman import soft_backup
from humansoft.solvers.box_nodes import BoxNodes
from humansoft.solvers.distributions import AbstractDistribution, Weighted
from humansoft.solvers.q_functions import AbstractQ, Choices


class QDensity(AbstractDistribution):
    """A density known up to its integral, which is estimated once for N states.

    The temperature has to be above 0: a density cannot be the maximum.

    Args:
        q: action values, called with states and places in the unit box.
        nodes: by which its integral becomes a sum.
        state: in which to act.
        temperature: [N] in units of Q.
        generator: of random nodes, where there are any.
    """

    def __init__(
        self, q: AbstractQ, nodes: BoxNodes, state: Tensor, temperature: Tensor, generator: torch.Generator
    ) -> None:
        """Keep it; it is integrated when that is first asked for."""
        self.q, self.state, self.temperature = q, state, temperature.to(DTYPE)
        self._nodes, self._generator = nodes, generator

    @cached_property
    def value(self) -> Float[Tensor, " N"]:
        """V, measured by volume."""
        return self._integral[0]

    def sample(self, generator: torch.Generator) -> Float[Tensor, "N D"]:
        """Draw one of many candidates, which were drawn from all actions."""
        candidates = self._candidates(generator)
        shares = self._soft(candidates)[1].exp()
        return candidates.pick(torch.multinomial(shares, 1, generator=generator)[:, 0])

    def log_prob(self, action: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
        """Return (Q - V) / temperature."""
        return (self.q.chosen(self.state, action).to(DTYPE) - self.value) / self.temperature

    def entropy(self) -> Float[Tensor, " N"]:
        """Return E[-log pi] over the nodes."""
        log_density = self._log_share - self._choices.log_volume
        return -(self._log_share.exp() * log_density).sum(dim=-1)

    def weighted(self, generator: torch.Generator) -> Weighted:
        """Return the nodes of the integral."""
        assert self._choices.action is not None
        return Weighted(self._choices.action, self._log_share.exp())

    def effective_nodes(self) -> Float[Tensor, " N"]:
        """Return 1 / sum of squared shares: how many nodes carry the integral; where hardly one does, distrust it."""
        return 1 / self._log_share.exp().square().sum(dim=-1)

    def log_prob_error(self) -> Float[Tensor, " N"]:
        """Return how far off V / temperature may be, in nats.

        Of an importance sample of J actions that is its standard error sqrt((J / effective nodes - 1) / J) (delta
        method); of quadrature, how much another estimate differs, from a random action in each cell of a grid.
        """
        if self._choices.drawn:
            count = self._log_share.shape[1]
            return ((count / self.effective_nodes() - 1).clamp_min(0) / count).sqrt()
        other = self._soft(self._candidates(self._generator))[0]
        return (other - self.value).abs() / self.temperature

    def diagnostics(self) -> dict[str, float]:
        """Return numbers for people who watch a training."""
        return {
            **super().diagnostics(),
            "effective_nodes": float(self.effective_nodes().mean()),
            "log_prob_error": float(self.log_prob_error().mean()),
        }

    @cached_property
    def _choices(self) -> Choices:
        return self._nodes.choices(partial(self.q, self.state), self.temperature, self._generator)

    @cached_property
    def _integral(self) -> tuple[Tensor, Tensor]:
        return self._soft(self._choices)

    @property
    def _log_share(self) -> Tensor:
        return self._integral[1]

    def _candidates(self, generator: torch.Generator) -> Choices:
        return self._nodes.candidates(partial(self.q, self.state), self.temperature, generator)

    def _soft(self, choices: Choices) -> tuple[Tensor, Tensor]:
        return soft_backup(choices.value.to(DTYPE), choices.log_volume.to(DTYPE), self.temperature)
