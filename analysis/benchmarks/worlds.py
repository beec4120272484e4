"""Worlds and people for the benchmarks: slippery grids, random features, simulated decisions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.benchmarks.instances import Index, Instance, Real
from analysis.benchmarks.reference import Problem, soft_maximum

MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
SLIP = 0.2
DISCOUNT = 0.95

_NEWTON_STEPS = 100
_AT_ONCE = 200  # people solved together, so that their dense systems stay small


@dataclass(frozen=True)
class Shape:
    """How large a recording is.

    Attributes:
        side: cells along one side of the square grid.
        people: how many were recorded.
        episodes: of each person.
        steps: decisions in an episode.
    """

    side: int
    people: int
    episodes: int
    steps: int


def grid(side: int, features: Real, discount: float = DISCOUNT, horizon: int | None = None) -> Instance:
    """Return a grid where a fifth of the moves is drawn at random; moves off the edge stay.

    Args:
        side: cells along one side.
        features: [S, F] what is paid in a cell, whatever is done there.
        discount: weight of the next step's value.
        horizon: decisions in an episode, where that is limited.
    """
    size, options = side * side, len(MOVES)
    row, column = np.divmod(np.arange(size), side)
    edge = side - 1
    landing = np.stack([np.clip(row + r, 0, edge) * side + np.clip(column + c, 0, edge) for r, c in MOVES], axis=1)
    chance = (1 - SLIP) * np.eye(options) + SLIP / options
    key = (np.arange(size)[:, None, None] * options + np.arange(options)[:, None]) * size + landing[:, None, :]
    distinct, place = np.unique(key, return_inverse=True)  # at an edge, several moves lead to one cell
    weights = np.broadcast_to(chance, key.shape).ravel()
    pair, following = np.divmod(distinct, size)
    return Instance(
        state=pair // options,
        action=pair % options,
        next_state=following,
        probability=np.bincount(place.ravel(), weights=weights).astype(np.float64),
        features=np.ascontiguousarray(np.broadcast_to(features[:, None], (size, options, features.shape[1]))),
        discount=discount,
        horizon=horizon,
    )


def inverse_rl(shape: Shape, num_features: int, horizon: int | None, seed: int) -> Instance:
    """Return a grid of random features and people of temperature 1 who walk through it."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(shape.side**2, num_features))
    weights = generator.normal(size=num_features) / 3
    discount = DISCOUNT if horizon is None else 1.0
    world = replace(grid(shape.side, features, discount, horizon), truth={"weights": weights})
    policy = _policies_in_time(world, weights) if horizon else policies(world, weights, [1.0])
    who = np.zeros(shape.people, dtype=np.int64)
    return replace(world, log=walk(world, policy, who, shape, generator))


def known_reward(shape: Shape, seed: int) -> Instance:
    """Return people who want the same, which is known, and differ in their temperature."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(shape.side**2, 8)) @ generator.normal(size=(8, 1)) / 3
    return _with_people(grid(shape.side, features), np.ones(1), shape, generator)


def shared_weights(shape: Shape, seed: int) -> Instance:
    """Return people who share four weights, of which the first is 1, and differ in their temperature."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(shape.side**2, 4))
    return _with_people(grid(shape.side, features), np.array([1.0, -0.6, 0.4, 0.2]), shape, generator)


def _with_people(world: Instance, weights: Real, shape: Shape, generator: np.random.Generator) -> Instance:
    temperatures = np.exp(0.5 * generator.normal(size=shape.people))
    policy = policies(world, weights, temperatures)
    log = walk(world, policy, np.arange(shape.people), shape, generator)
    return replace(world, log=log, truth={"weights": weights, "temperatures": temperatures})


def policies(world: Instance, weights: Real, temperatures: Sequence[float] | Real) -> Real:
    """Return the policy [people, S, A] of each temperature."""
    reward = world.features @ weights
    if len(temperatures) == 1:  # sparse: the grid may be large
        return Problem(world).solve(reward / temperatures[0])[1][None]
    dense = world.dense("san")
    chunks = [
        _newton(dense, reward[None] / np.asarray(temperatures[i : i + _AT_ONCE])[:, None, None], world.discount)
        for i in range(0, len(temperatures), _AT_ONCE)
    ]
    return np.concatenate(chunks)


def _newton(transitions: Real, reward: Real, discount: float) -> Real:
    """Return the policies [people, S, A] of some rewards, by Newton's method on all of them at once."""
    size = reward.shape[1]
    value = np.zeros(reward.shape[:2])
    for _ in range(_NEWTON_STEPS):
        q = reward + discount * np.einsum("san,pn->psa", transitions, value, optimize=True)
        backed_up = soft_maximum(q)
        policy: Real = np.exp(q - backed_up[..., None])
        chain = np.einsum("psa,san->psn", policy, transitions, optimize=True)
        correction = np.linalg.solve(np.eye(size) - discount * chain, (backed_up - value)[..., None])[..., 0]
        value = value + correction
        if np.abs(correction).max() <= 1e-10 * (1 + np.abs(value).max()):
            break
    return policy


def _policies_in_time(world: Instance, weights: Real) -> Real:
    """Return the policy [T, S, A] of each decision of an episode."""
    problem, reward = Problem(world), world.features @ weights
    value, found = np.zeros(world.num_states), []
    for _ in range(world.horizon or 0):
        q = problem.q(reward, value)
        value = soft_maximum(q)
        found.append(np.exp(q - value[:, None]))
    return np.stack(found[::-1])


def walk(world: Instance, policy: Real, who: Index, shape: Shape, generator: np.random.Generator) -> dict[str, Index]:
    """Let every person walk through their episodes; starts are drawn evenly.

    Args:
        world: the decision problem.
        policy: [people, S, A], or [T, S, A] in a world with a horizon.
        who: [people] whose policy each person follows.
        shape: how much is recorded.
        generator: where chance comes from.
    """
    starts = np.searchsorted(world.pair, np.arange(world.num_states * world.num_actions + 1))
    reached = np.cumsum(world.probability)  # rises by 1 with every state and action
    person = np.repeat(np.arange(len(who)), shape.episodes)
    choice = policy.cumsum(axis=2)
    state = generator.integers(world.num_states, size=len(person))
    columns = []
    for step in range(shape.steps):
        row = np.full(len(person), step) if world.horizon else who[person]
        action = (generator.random(len(person))[:, None] > choice[row, state, :-1]).sum(axis=1)
        pair = state * world.num_actions + action
        # Rounding of a long sum must not lead out of the list of this state and action.
        drawn = np.searchsorted(reached, pair + generator.random(len(person)), side="right")
        entry = np.clip(drawn, starts[pair], starts[pair + 1] - 1)
        following = world.next_state[entry]
        episode = np.arange(len(person)) % shape.episodes
        columns.append(np.stack([person, episode, np.full(len(person), step), state, action, following]))
        state = following
    table = np.stack(columns, axis=2).reshape(6, -1)  # each episode's decisions one after the other
    names = ("subject", "episode", "step", "state", "action", "next_state")
    return dict(zip(names, table, strict=True))
