"""Worlds to act in: where solvers that learn from samples get their decisions from."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from humansoft.solvers.box import Box
from humansoft.solvers.problem import Problem


@dataclass(frozen=True, eq=False)
class Step:
    """One decision of each of W walkers and what it led to.

    Attributes:
        state: [W] code, or [W, O] observation, in which it was made.
        action: [W] code, or [W, D] continuous action, of what was done.
        reward: [W] what it brought.
        next_state: what followed, also where the episode ended with it.
        terminated: true where the world itself ended the episode: nothing comes after, the value is 0.
        truncated: true where only the walk was cut off: what follows is still worth something.
        valid: false where nobody decided, because the environment was just starting a new episode.
    """

    state: Shaped[Tensor, "W *O"]
    action: Shaped[Tensor, "W *D"]
    reward: Float[Tensor, " W"]
    next_state: Shaped[Tensor, "W *O"]
    terminated: Bool[Tensor, " W"]
    truncated: Bool[Tensor, " W"]
    valid: Bool[Tensor, " W"]

    def on(self, device: torch.device) -> "Step":
        """Return the step on a device (itself where it is there)."""
        if self.action.device == device:
            return self
        return Step(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


class AbstractWorld(ABC):
    """W walkers in copies of one world; it also knows what a plan is measured against in each state.

    Attributes:
        num_actions: number of actions, 0 where they are continuous.
        box: where continuous actions lie.
        num_walkers: W.
        discount: weight of the next step's value.
    """

    num_actions: int
    num_walkers: int
    discount: float
    box: Box | None = None

    @abstractmethod
    def reset(self, seed: int) -> Shaped[Tensor, "W *O"]:
        """Begin anew: after this, the same actions give the same steps."""

    @abstractmethod
    def step(self, action: Shaped[Tensor, "W *D"]) -> tuple[Step, Shaped[Tensor, "W *O"]]:
        """Let everybody act once; return what happened and where they are now (in a new episode, where one ended)."""

    @abstractmethod
    def log_prior(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, "N A"]:
        """Return the log reference policy; -inf where the action cannot be chosen.

        Of continuous actions it is a density, the same everywhere in the box: then A is 1.
        """

    def log_prior_of(self, state: Shaped[Tensor, "N *O"], action: Shaped[Tensor, "N *D"]) -> Float[Tensor, " N"]:
        """Return the log reference probability (or density) of one action in each state."""
        prior = self.log_prior(state)
        return prior[:, 0] if self.box is not None else prior.gather(-1, action[:, None])[:, 0]

    @abstractmethod
    def temperature(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, " N"]:
        """Return the temperature of planning."""

    def varied(self, batch: Step, generator: torch.Generator) -> Step:
        """Return decisions to learn from in as many ways as they can be looked at: here, as they are."""
        del generator
        return batch


class SampledProblem(AbstractWorld):
    """A decision process with known transitions, of which only samples are shown.

    Walks start anywhere, and anywhere again after an end or, by chance, after any step: so all states are seen.

    Args:
        problem: the decision process.
        reward: [M, A] its reward.
        temperature: [M] planning temperature of each state.
        num_walkers: W.
        restart: probability that a walk is cut off after a step.
        starts: states of which each is as likely to be the start of a walk; all that have not ended by default.
    """

    def __init__(
        self,
        problem: Problem,
        reward: Float[Tensor, "M A"],
        temperature: Float[Tensor, " M"],
        num_walkers: int,
        restart: float = 0.05,
        starts: Int[Tensor, " N"] | None = None,
    ) -> None:
        """Look up once what cannot change."""
        self.num_actions, self.discount = problem.log_prior.shape[1], problem.discount
        self.problem, self.num_walkers, self.restart = problem, num_walkers, restart
        self.reward, self._temperature = reward, temperature
        self._cumulative = problem.probabilities.cumsum(dim=-1)
        self._going = problem.playable.any(dim=-1)
        self._starts = self._going.nonzero()[:, 0] if starts is None else starts
        self._generator = torch.Generator(problem.device)
        self._state = torch.zeros(0, dtype=torch.int64)

    def reset(self, seed: int) -> Shaped[Tensor, "W *O"]:
        """Put every walker somewhere."""
        self._generator.manual_seed(seed)
        self._state = self.somewhere()
        return self._state

    def step(self, action: Int[Tensor, " W"]) -> tuple[Step, Shaped[Tensor, "W *O"]]:
        """Draw what follows."""
        state = self._state
        cumulative = self._cumulative[state, action]
        drawn = (self._uniform()[:, None] * cumulative[:, -1:] >= cumulative).sum(dim=-1)
        following = self.problem.successors[state, action, drawn]
        terminated = ~self._going[following]
        truncated = ~terminated & (self._uniform() < self.restart)
        self._state = torch.where(terminated | truncated, self.somewhere(), following)
        valid = torch.ones_like(terminated)
        return Step(state, action, self.reward[state, action], following, terminated, truncated, valid), self._state

    def log_prior(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, "N A"]:
        """Return the problem's."""
        return self.problem.log_prior[state]

    def temperature(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, " N"]:
        """Return that of each state."""
        return self._temperature[state]

    def _uniform(self) -> Tensor:
        return torch.rand(
            self.num_walkers, generator=self._generator, dtype=self.reward.dtype, device=self.problem.device
        )

    def somewhere(self) -> Int[Tensor, " W"]:
        """Return where walks begin."""
        return self._starts[(self._uniform() * len(self._starts)).long()]
