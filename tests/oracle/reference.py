"""Soft-optimal behavior in plain numpy, written from the equations and without the package.

Slow on purpose: dense transitions, value iteration, enumeration of every path. All functions accept
leading batch axes, and complex numbers: an imaginary step of 1e-30 gives derivatives to machine
precision (complex-step differentiation), which no code of the package has any part in.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Planner = Literal["kl", "entropy", "boltzmann"]
PLANNERS: tuple[Planner, ...] = ("kl", "entropy", "boltzmann")

STEP = 1e-30


@dataclass(frozen=True)
class World:
    """A decision process with dense transitions.

    Attributes:
        transition: [S, A, S], all 0 where the action cannot be chosen.
        available: [S, A]; a state without actions has ended.
    """

    transition: Array
    available: Array

    @property
    def acting(self) -> Array:
        """[S] true where something can be done."""
        return np.asarray(self.available.any(axis=-1))


@dataclass(frozen=True)
class Answer:
    """Values [..., S], action values [..., S, A] and log probabilities [..., S, A]."""

    value: Array
    q: Array
    log_policy: Array

    @property
    def policy(self) -> Array:
        """[..., S, A] probabilities."""
        found: Array = np.exp(self.log_policy)
        return found


def weights(world: World, planner: Planner) -> Array:
    """Return the reference measure: uniform over available actions ("kl"), 1 each otherwise, 0 if not available."""
    count = world.available.sum(axis=-1, keepdims=True)
    measure: Array = world.available / np.maximum(count, 1) if planner == "kl" else world.available * 1.0
    return measure


def log_sum(q: Array, measure: Array, alpha: Array | float) -> Array:
    """Return alpha log sum_a measure exp(q / alpha), 0 where nothing can be done."""
    alpha = np.asarray(alpha)[..., None]
    acting = (measure > 0).any(axis=-1)
    top = np.where(acting, np.where(measure > 0, q.real, -np.inf).max(axis=-1), 0.0)
    gaps = np.where(measure > 0, q - top[..., None], 0.0)
    total = (measure * np.exp(gaps / alpha[..., None])).sum(axis=-1)
    return np.where(acting, top + alpha * np.log(np.where(acting, total, 1.0)), 0.0)


def hard_max(q: Array, measure: Array) -> Array:
    """Return max_a q over actions that can be chosen, 0 where there are none (by real part)."""
    best = np.where(measure > 0, q.real, -np.inf).argmax(axis=-1)
    top = np.take_along_axis(q, best[..., None], axis=-1)[..., 0]
    return np.where((measure > 0).any(axis=-1), top, 0.0)


def log_policy(q: Array, measure: Array, alpha: Array | float) -> Array:
    """Return log pi = log measure + (q - V) / alpha, -inf where the action cannot be chosen."""
    value = log_sum(q, measure, alpha)
    with np.errstate(divide="ignore"):
        logs = np.log(measure) + (q - value[..., None]) / np.asarray(alpha)[..., None, None]
    return np.where(measure > 0, logs, -np.inf)


def action_values(world: World, reward: Array, value: Array, discount: float) -> Array:
    """Return Q = r + discount * E[V(s')]."""
    q: Array = reward + discount * np.einsum("san,...n->...sa", world.transition, value)
    return q


def solve(
    world: World,
    reward: Array,
    alpha: Array | float,
    planner: Planner,
    discount: float,
    *,
    sweeps: int,
    measure: Array | None = None,
) -> Answer:
    """Return the stationary solution by plain value iteration from 0."""
    measure = weights(world, planner) if measure is None else measure
    alpha = np.asarray(alpha)
    value = np.zeros(np.broadcast_shapes(reward.shape[:-1], (*alpha.shape, 1)), dtype=np.result_type(reward, alpha))
    for _ in range(sweeps):
        q = action_values(world, reward, value, discount)
        value = hard_max(q, measure) if planner == "boltzmann" else log_sum(q, measure, alpha)
    q = action_values(world, reward, value, discount)
    return Answer(value, q, log_policy(q, measure, alpha))


def solve_horizon(
    world: World,
    reward: Array,
    alpha: Array | float,
    planner: Planner,
    discount: float,
    horizon: int,
    measure: Array | None = None,
) -> Answer:
    """Return the solution of ``horizon`` decisions by backward recursion; a time axis [T] is put in front."""
    measure = weights(world, planner) if measure is None else measure
    alpha = np.asarray(alpha)
    value = np.zeros(np.broadcast_shapes(reward.shape[:-1], (*alpha.shape, 1)), dtype=np.result_type(reward, alpha))
    answers: list[Answer] = []
    for _ in range(horizon):
        q = action_values(world, reward, value, discount)
        value = hard_max(q, measure) if planner == "boltzmann" else log_sum(q, measure, alpha)
        answers.insert(0, Answer(value, q, log_policy(q, measure, alpha)))
    return Answer(*(np.stack([getattr(a, name) for a in answers]) for name in ("value", "q", "log_policy")))


def enumerate_paths(world: World, state: int, length: int) -> list[tuple[tuple[int, int], ...]]:
    """Return every sequence of (state, action) of a deterministic world that ends after ``length`` or at an end."""
    if length == 0 or not world.available[state].any():
        return [()]
    found = []
    for action in np.flatnonzero(world.available[state]):
        following = int(world.transition[state, action].argmax())
        found += [((state, int(action)), *rest) for rest in enumerate_paths(world, following, length - 1)]
    return found


def path_distribution(
    world: World, reward: Array, alpha: float, measure: Array, state: int, length: int
) -> tuple[list[tuple[tuple[int, int], ...]], Array]:
    """Return all paths of a deterministic world and p(path) proportional to measure * exp(sum of r / alpha).

    The reward is [S, A], or [T, S, A] where it changes with time.
    """
    paths = enumerate_paths(world, state, length)
    timed = np.broadcast_to(reward, (length, *measure.shape))
    mass = np.array(
        [np.prod([measure[s, a] * np.exp(timed[t, s, a] / alpha) for t, (s, a) in enumerate(path)]) for path in paths]
    )
    return paths, mass


def objective_by_enumeration(
    world: World, reward: Array, alpha: float, measure: Array, policy: Array, state: int, discount: float
) -> float:
    """Return E sum discount^t (r - alpha log(pi / measure)) over every path of a timed policy [T, S, A].

    Each of the (A * S)^T paths is visited and weighed by its probability; nothing is recursive in values.
    """
    horizon, size, num_actions = policy.shape
    reward = np.broadcast_to(reward, policy.shape)
    total = 0.0
    for path in itertools.product(range(num_actions), range(size), repeat=horizon):
        at, probability, gain = state, 1.0, 0.0
        for t in range(horizon):
            action, following = path[2 * t], path[2 * t + 1]
            if not world.available[at].any():  # ended: count the path once, when it stands still on action 0
                probability *= float(action == 0 and following == at)
                continue
            probability *= policy[t, at, action] * world.transition[at, action, following]
            if probability == 0:
                break
            bonus = alpha * np.log(policy[t, at, action] / measure[at, action])
            gain += discount**t * (reward[t, at, action] - bonus)
            at = following
        total += probability * gain
    return total


def soft_policy_value(
    world: World, reward: Array, alpha: float, measure: Array, policy: Array, discount: float
) -> Array:
    """Return (I - discount P_pi)^-1 (r_pi - alpha KL(pi || measure)) of a fixed policy [S, A]."""
    ratio = np.where(policy > 0, np.log(np.where(policy > 0, policy, 1.0) / np.where(measure > 0, measure, 1.0)), 0.0)
    gain = (policy * (reward - alpha * ratio)).sum(axis=-1)
    kernel = np.einsum("sa,san->sn", policy, world.transition)
    acting = world.acting
    value = np.zeros(len(gain))
    inner = np.ix_(acting, acting)
    value[acting] = np.linalg.solve(np.eye(int(acting.sum())) - discount * kernel[inner], gain[acting])
    return value


def desirability(world: World, reward: Array, alpha: float, measure: Array) -> Array:
    """Return V = alpha log z of a deterministic undiscounted world, where z = M z is linear (z = 1 at the ends)."""
    weight = measure * np.exp(np.where(world.available, reward, 0.0) / alpha)
    matrix = np.einsum("sa,san->sn", weight, world.transition)
    acting = world.acting
    z = np.ones(len(acting))
    inner = np.eye(int(acting.sum())) - matrix[np.ix_(acting, acting)]
    z[acting] = np.linalg.solve(inner, matrix[np.ix_(acting, ~acting)].sum(axis=1))
    value: Array = alpha * np.log(z)
    return value


def largest_temperature(world: World, cost: float) -> float:
    """Return the temperature at which a deterministic undiscounted entropy problem of equal step costs breaks.

    z = exp(-cost / alpha) N z + b has a positive solution while exp(cost / alpha) exceeds the spectral
    radius of N, the number of actions that lead from each acting state to each other.
    """
    acting = world.acting
    counts = world.transition.sum(axis=1)[np.ix_(acting, acting)]
    return float(cost / np.log(np.abs(np.linalg.eigvals(counts)).max()))


def complex_gradient(function: Callable[[Array], Array], point: Array) -> Array:
    """Return d f / d point: [..., P] for a function of [K, P] that returns [K, ...]."""
    size = len(point)
    moved = point + 1j * STEP * np.eye(size)
    return np.moveaxis(np.asarray(function(moved)).imag / STEP, 0, -1)


def complex_hessian(function: Callable[[Array], Array], point: Array, width: float = 1e-4) -> Array:
    """Return the Hessian [P, P] of a scalar function, by central differences of the complex-step gradient."""
    size = len(point)
    shifts = np.concatenate([width * np.eye(size), -width * np.eye(size)])
    moved = (point + shifts)[:, None, :] + 1j * STEP * np.eye(size)[None]
    gradients = (np.asarray(function(moved.reshape(-1, size))).imag / STEP).reshape(2, size, size)
    hessian: Array = (gradients[0] - gradients[1]) / (2 * width)
    return (hessian + hessian.T) / 2
