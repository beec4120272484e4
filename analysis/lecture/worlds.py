"""Small worlds in plain numpy, how the package sees them, and brute force over all their paths."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.solvers.problem import Problem

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class World:
    """A decision process with S states and A actions.

    Attributes:
        transition: [S, A, S] P(s' | s, a).
        reward: [S, A].
        discount: weight of the next step's value.
        horizon: number of decisions, or ``None``.
    """

    transition: Array
    reward: Array
    discount: float
    horizon: int | None = None

    @property
    def rewards(self) -> Tensor:
        """[S, A] the reward as the package takes it."""
        return torch.from_numpy(self.reward)

    def temperatures(self, temperature: float) -> Tensor:
        """[S] one temperature for every state."""
        return torch.full((len(self.reward),), temperature, dtype=DTYPE)

    def problem(self, *, uniform_prior: bool = False) -> Problem:
        """Return the world as solvers see it: plain entropy, or divergence from uniform actions."""
        size, num_actions = self.reward.shape
        successors = torch.arange(size).expand(size, num_actions, size)
        log_prior = torch.full(self.reward.shape, -np.log(num_actions) if uniform_prior else 0.0, dtype=DTYPE)
        return Problem(successors, torch.from_numpy(self.transition), log_prior, self.discount, self.horizon)

    def in_time(self) -> Problem:
        """Return the world of ``horizon`` decisions with its time as part of the state: place t * S + s.

        The last layer has ended. So policies that are not optimal, and their gradients, are stationary problems.
        """
        assert self.horizon is not None
        size, num_actions = self.reward.shape
        layers = torch.arange(self.horizon + 1)[:, None, None, None]
        ahead = torch.clamp(layers + 1, max=self.horizon) * size + torch.arange(size)
        successors = ahead.expand(-1, size, num_actions, size).flatten(0, 1)
        probabilities = torch.from_numpy(self.transition).repeat(self.horizon + 1, 1, 1)
        log_prior = torch.zeros((self.horizon + 1) * size, num_actions, dtype=DTYPE)
        log_prior[-size:] = -torch.inf
        return Problem(successors, probabilities, log_prior, self.discount)

    def over_time(self, table: Tensor) -> Tensor:
        """Repeat a table [S, A] of what is done at any time over the layers of :meth:`in_time`, 0 in the last."""
        assert self.horizon is not None
        return torch.cat([table.repeat(self.horizon, 1), torch.zeros_like(table)])


def random_world(
    seed: int,
    num_states: int = 6,
    num_actions: int = 3,
    *,
    discount: float = 0.9,
    horizon: int | None = None,
    deterministic: bool = False,
) -> World:
    """Draw Dirichlet(0.5) transitions (or one successor each) and standard normal rewards."""
    generator = np.random.default_rng(seed)
    shape = (num_states, num_actions)
    if deterministic:
        transition = np.eye(num_states)[generator.integers(num_states, size=shape)]
    else:
        transition = generator.dirichlet(np.full(num_states, 0.5), size=shape)
    return World(transition, generator.normal(size=shape), discount, horizon)


@dataclass(frozen=True, eq=False)
class Paths:
    """Every path of T decisions that can be walked from uniform starts.

    Attributes:
        state: [N, T + 1] where it leads.
        action: [N, T] what was done.
        chance: [N] probability of its start and of what the world did.
        reward: [N, T] the reward of each decision.
    """

    state: Index
    action: Index
    chance: Array
    reward: Array

    def decided(self, table: Array) -> Array:
        """Look a table [S, A] or [T, S, A] up at every decision: [N, T]."""
        timed = np.broadcast_to(table, (self.action.shape[1], *table.shape[-2:]))
        found: Array = timed[np.arange(self.action.shape[1]), self.state[:, :-1], self.action]
        return found

    def weights(self, log_policy: Array) -> Array:
        """Return the probability of each path [N] under a policy [S, A] or [T, S, A]."""
        found: Array = self.chance * np.exp(self.decided(log_policy).sum(axis=1))
        return found


def all_paths(world: World) -> Paths:
    """Enumerate all paths of a world with a horizon: brute force, for few states and decisions only."""
    assert world.horizon is not None
    size, num_actions = world.reward.shape
    codes = np.indices((size, *(num_actions, size) * world.horizon)).reshape(2 * world.horizon + 1, -1).T
    state, action = codes[:, 0::2], codes[:, 1::2]
    chance = world.transition[state[:, :-1], action, state[:, 1:]].prod(axis=1) / size
    kept = chance > 0
    return Paths(state[kept], action[kept], chance[kept], world.reward[state[kept, :-1], action[kept]])


def soft_fixed_point(world: World, temperature: float, sweeps: int = 2000) -> Array:
    """Return the soft value [S] by plain value iteration in numpy."""
    value = np.zeros(len(world.reward))
    for _ in range(sweeps):
        value = log_sum(action_values(world, value), temperature)
    return value


def action_values(world: World, value: Array) -> Array:
    """Return Q = r + discount * E[V(s')] in numpy."""
    found: Array = world.reward + world.discount * world.transition @ value
    return found


def log_sum(q: Array, temperature: float) -> Array:
    """Return alpha log sum_a exp(Q / alpha) in numpy; the maximum at temperature 0."""
    top = np.asarray(q.max(axis=-1))
    if temperature == 0:
        return top
    return np.asarray(top + temperature * np.log(np.exp((q - top[..., None]) / temperature).sum(axis=-1)))
