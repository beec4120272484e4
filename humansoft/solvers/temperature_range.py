"""One network for people of all temperatures: the temperature is one more number that it sees.

A person's temperature stays the same, so it can be treated as a part of the state that no action changes; the soft
Bellman equation then holds for each temperature by itself (universal value functions, Schaul et al. 2015).
"""

import dataclasses
import math
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from humansoft.solvers.distributions import AbstractDistribution
from humansoft.solvers.gymnasium_world import GymnasiumWorld
from humansoft.solvers.q_functions import AbstractScores
from humansoft.solvers.world import AbstractWorld, Step


def with_temperature(
    observed: Shaped[Tensor, "N *O"], log_temperature: Float[Tensor, " N"], num_codes: int | None
) -> Float[Tensor, "N P"]:
    """Return what a network sees: an observation (codes as indicators), and then the log temperature.

    Example:
        >>> with_temperature(torch.tensor([1]), torch.tensor([-0.5]), num_codes=3)
        tensor([[ 0.0000,  1.0000,  0.0000, -0.5000]])
    """
    seen = observed if num_codes is None else nn.functional.one_hot(observed, num_codes)
    return torch.cat([seen.to(torch.float32), log_temperature[:, None].to(torch.float32)], dim=1)


class RangeWorld(AbstractWorld):
    """Walkers of different temperatures in one environment, of which each keeps its own for an episode.

    Args:
        world: the environment.
        low: smallest temperature.
        high: largest; they are drawn log-uniformly between the two.
    """

    num_states = None  # what is seen are numbers, also where the environment's observations are codes

    def __init__(self, world: GymnasiumWorld, low: float, high: float) -> None:
        """Nobody has a temperature yet."""
        self.num_actions, self.num_walkers, self.discount = world.num_actions, world.num_walkers, world.discount
        self.box = world.box
        self.world, self.low, self.high = world, low, high
        self._log_temperature = torch.zeros(self.num_walkers)
        self._generator = torch.Generator()

    def reset(self, seed: int) -> Float[Tensor, "W P"]:
        """Begin new episodes with new temperatures."""
        self._generator.manual_seed(seed)
        observed = self.world.reset(seed)
        self._log_temperature = self._drawn(self.num_walkers, self._generator)
        return self._seen(observed)

    def step(self, action: Shaped[Tensor, "W *D"]) -> tuple[Step, Float[Tensor, "W P"]]:
        """Act once; whoever begins an episode then has another temperature in it."""
        step, observed = self.world.step(action)
        happened = dataclasses.replace(step, state=self._seen(step.state), next_state=self._seen(step.next_state))
        drawn = self._drawn(self.num_walkers, self._generator)
        self._log_temperature = torch.where(step.valid, self._log_temperature, drawn)
        return happened, self._seen(observed)

    def log_prior(self, state: Float[Tensor, "N P"]) -> Float[Tensor, "N A"]:
        """Return the environment's."""
        return self.world.log_prior(state)

    def temperature(self, state: Float[Tensor, "N P"]) -> Float[Tensor, " N"]:
        """Read it off."""
        return state[:, -1].exp()

    def varied(self, batch: Step, generator: torch.Generator) -> Step:
        """Return the decisions as those of people of other temperatures: what an action leads to is the same."""
        other = self._drawn(len(batch.action), generator)[:, None]
        state, following = (torch.cat([seen[:, :-1], other], dim=1) for seen in (batch.state, batch.next_state))
        return dataclasses.replace(batch, state=state, next_state=following)

    def _seen(self, observed: Shaped[Tensor, "W *O"]) -> Float[Tensor, "W P"]:
        return with_temperature(observed, self._log_temperature, self.world.num_states)

    def _drawn(self, count: int, generator: torch.Generator) -> Float[Tensor, " N"]:
        share = torch.rand(count, generator=generator, device=generator.device)
        return math.log(self.low) + share * (math.log(self.high) - math.log(self.low))


class AtTemperature(AbstractScores):
    """Scores that were learned for all temperatures, asked at one of them.

    Args:
        network: from observations with the log temperature beside them to scores.
        temperature: the one.
        num_states: number of codes, where observations are codes.

    Example:
        >>> from humansoft.solvers.q_functions import QNetwork
        >>> cold = AtTemperature(QNetwork(3 + 1, 2), temperature=0.5, num_states=3)
        >>> one = torch.ones(2)
        >>> cold.distribution(torch.tensor([0, 2]), torch.zeros(2, 2), one, torch.Generator()).log_policy.shape
        torch.Size([2, 2])
    """

    def __init__(self, network: AbstractScores, temperature: float, num_states: int | None = None) -> None:
        """Look at the environment as the network does."""
        super().__init__()
        self.network, self.temperature = network, temperature
        self.num_actions, self.box = network.num_actions, network.box
        self.num_states = num_states
        self.num_inputs = None if num_states is not None or network.num_inputs is None else network.num_inputs - 1

    def distribution(
        self,
        state: Shaped[Tensor, "N *O"],
        log_prior: Float[Tensor, "N R"],
        temperature: Float[Tensor, " N"],
        generator: torch.Generator,
    ) -> AbstractDistribution:
        """Return what the network says of people of this temperature."""
        own = torch.full((len(state),), math.log(self.temperature), device=state.device)
        seen = with_temperature(state, own, self.num_states)
        return self.network.distribution(seen, log_prior, temperature, generator)

    def arguments(self) -> dict[str, Any]:
        """Return what it was made with."""
        return {
            "network": self.network.description(),
            "temperature": self.temperature,
            "num_states": self.num_states,
        }
