"""Observations in units of their own spread, so that a network sees every number of them equally well."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

_FARTHEST = 10.0  # spreads from the mean; what is rarer than that must not drown everything else
_CONSTANT = 1e-6  # a number that spreads less is left in its own unit


class Standardised(nn.Module):
    """Subtracts the mean and divides by the standard deviation of all observations it was shown.

    In CartPole an angle of 0.2 is the end and so is a position of 2.4: a network that is fed both as they are takes
    several times as many decisions to learn. Means are merged as in Chan, Golub & LeVeque (1983).

    Args:
        num_inputs: O, numbers of an observation.

    Example:
        >>> scale = Standardised(1)
        >>> scale.show(torch.tensor([[1.0], [3.0]]))
        >>> scale(torch.tensor([[3.0]]))
        tensor([[1.]])
    """

    count: Int[Tensor, ""]
    mean: Float[Tensor, " O"]
    squares: Float[Tensor, " O"]
    spread: Float[Tensor, " O"]

    def __init__(self, num_inputs: int) -> None:
        """Leave observations as they are until some were shown."""
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(num_inputs))
        self.register_buffer("squares", torch.zeros(num_inputs))
        self.register_buffer("spread", torch.ones(num_inputs))

    def forward(self, state: Float[Tensor, "N O"]) -> Float[Tensor, "N O"]:
        """Return the observation in standard deviations from the mean."""
        return ((state - self.mean) / self.spread).clamp(-_FARTHEST, _FARTHEST)

    @torch.no_grad()
    def show(self, state: Float[Tensor, "N O"]) -> None:
        """Take more observations into account."""
        if len(state) == 0:
            return
        before, total = self.count.clone(), self.count + len(state)
        mean = state.mean(dim=0)
        shift = mean - self.mean
        self.squares += (state - mean).square().sum(dim=0) + shift.square() * (before * len(state) / total)
        self.mean += shift * (len(state) / total)
        self.count.copy_(total)
        spread = (self.squares / total).sqrt()
        self.spread.copy_(torch.where(spread > _CONSTANT, spread, 1.0))
