"""The baseline of the policy gradient: what is expected of a state."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from humansoft.solvers.q_functions import QNetwork, QTable

_LATEST = 0.1  # weight of the latest rollout: what is expected moves as the policy gets better
_CONSTANT = 1e-6  # returns that spread less are left in their own unit


class BaselineTable(QTable):
    """V(s) of each state, in units of reward."""

    unit = 1.0
    """In which errors are measured."""

    def __init__(self, num_states: int) -> None:
        """Expect nothing."""
        super().__init__(num_states, 1)

    def expect(self, target: Float[Tensor, " N"]) -> None:
        """Learn what returns look like; a table has no use for it."""


class BaselineNetwork(QNetwork):
    """V(s) by a network whose output is measured in the spread of returns (van Hasselt et al. 2016).

    Returns of hundreds would otherwise fill the whole length to which a gradient is shortened, and leave nothing of it
    to the policy. What the network expects stays the same while the unit changes.

    Args:
        num_inputs: O, numbers of an observation.
        hidden: sizes of the hidden layers.
        learning_rate: of Adam.

    Example:
        >>> baseline = BaselineNetwork(4)
        >>> baseline.expect(torch.tensor([90.0, 110.0]))
        >>> baseline.unit
        tensor(10.)
    """

    unit: Float[Tensor, ""]
    level: Float[Tensor, ""]
    squares: Float[Tensor, ""]
    num_rollouts: Int[Tensor, ""]

    def __init__(self, num_inputs: int, hidden: Sequence[int] = (64, 64), learning_rate: float = 2e-3) -> None:
        """Draw the weights from torch's global generator, and expect 0: no other number means the same in any unit."""
        super().__init__(num_inputs, 1, hidden, learning_rate)
        nn.init.zeros_(self._last.weight)
        nn.init.zeros_(self._last.bias)
        self.register_buffer("unit", torch.ones(()))
        self.register_buffer("level", torch.zeros((), dtype=torch.float64))
        self.register_buffer("squares", torch.zeros((), dtype=torch.float64))
        self.register_buffer("num_rollouts", torch.zeros((), dtype=torch.int64))

    def forward(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, "N 1"]:
        """Run the network, in units of reward."""
        return self.level + self.unit * super().forward(state)

    @torch.no_grad()
    def expect(self, target: Float[Tensor, " N"]) -> None:
        """Measure in the spread of recent returns around their mean, and go on expecting the same."""
        if len(target) == 0:
            return
        self.num_rollouts.add_(1)
        latest = max(_LATEST, 1.0 / int(self.num_rollouts))
        level = self.level.lerp(target.mean().double(), latest)
        self.squares.lerp_(target.double().square().mean(), latest)
        spread = (self.squares - level.square()).clamp_min(0.0).sqrt()
        unit = torch.where(spread > _CONSTANT, spread, 1.0).float()
        self._last.weight.mul_(self.unit / unit)
        self._last.bias.mul_(self.unit).add_((self.level - level).float()).div_(unit)
        self.level.copy_(level)
        self.unit.copy_(unit)

    @property
    def _last(self) -> nn.Linear:
        """The layer that gives the values."""
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        return last
