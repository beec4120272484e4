"""Small random worlds, and how they become tasks and problems of the package."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

import humansoft as hs
from humansoft.solvers.problem import Problem
from tests.oracle.reference import Array, World


def random_world(
    generator: np.random.Generator,
    num_states: int,
    num_actions: int,
    *,
    successors: int | None = None,
    ends: bool = False,
    masked: bool = False,
) -> World:
    """Draw a world: Dirichlet rows on ``successors`` states (1: deterministic), perhaps with an end and masks.

    With ``ends`` the last state is the end, and each action risks to end there (deterministic worlds: action 0
    walks one state further). With ``masked`` some actions are missing; each state keeps the first.
    """
    count = successors or num_states
    transition = np.zeros((num_states, num_actions, num_states))
    for s in range(num_states):
        for a in range(num_actions):
            landing = generator.choice(num_states, size=count, replace=False)
            transition[s, a, landing] = generator.dirichlet(np.full(count, 0.5)) if count > 1 else 1.0
    available = np.ones((num_states, num_actions), dtype=bool)
    if masked:
        available[:, 1:] = generator.random((num_states, num_actions - 1)) < 0.7
    if ends and count == 1:
        transition[:-1, 0] = np.eye(num_states)[1:]
    elif ends:
        transition *= 0.85
        transition[:, :, -1] += 0.15
    if ends:
        available[-1] = False
    return World(transition * available[:, :, None], available)


def state_labels(world: World) -> list[int]:
    """Return the labels of the states: their numbers."""
    return list(range(len(world.available)))


def action_labels(world: World) -> list[str]:
    """Return the labels of the actions: a0, a1, ..."""
    return [f"a{a}" for a in range(world.available.shape[1])]


def transition_table(world: World) -> pd.DataFrame:
    """Return the world as a long table of transitions."""
    state, action, following = np.nonzero(world.transition)
    return pd.DataFrame(
        {
            "state": state,
            "action": [f"a{a}" for a in action],
            "next_state": following,
            "probability": world.transition[state, action, following],
        }
    )


def task_of(world: World, features: Mapping[str, Array], discount: float, horizon: int | None = None) -> hs.Task:
    """Return the world as a task, with each feature given as [S, A]."""
    task = hs.Task.table(
        transition_table(world),
        probability="probability",
        discount=discount,
        horizon=horizon,
        states=state_labels(world),
        actions=action_labels(world),
    )
    return task.with_features(**features)


def problem_of(world: World, measure: Array, discount: float, horizon: int | None = None) -> Problem:
    """Return the world as the problem that solvers see, every state a possible successor of every other."""
    size, num_actions = world.available.shape
    successors = torch.arange(size).expand(size, num_actions, size)
    with np.errstate(divide="ignore"):
        log_prior = torch.from_numpy(np.log(measure))
    return Problem(successors, torch.from_numpy(world.transition.copy()), log_prior, discount, horizon)


def temperatures(world: World, temperature: float) -> torch.Tensor:
    """Return one temperature for every state."""
    return torch.full((len(world.available),), temperature, dtype=torch.float64)
