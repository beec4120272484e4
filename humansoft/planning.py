"""plan: the policy of people whose reward and temperature are known."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from humansoft._types import DTYPE
from humansoft.codebook import Labels
from humansoft.errors import ModelError
from humansoft.model import SoftOptimalModel
from humansoft.planners import Planner
from humansoft.rewards.base import AbstractReward
from humansoft.rewards.linear import LinearReward
from humansoft.solvers.exact import Solver
from humansoft.solvers.policy import Policy
from humansoft.tasks.task import Task
from humansoft.temperature import PerSubject
from humansoft.threads import one_thread


@one_thread()
def plan(
    task: Task,
    reward: Mapping[str, float] | AbstractReward,
    temperature: float | Mapping[Any, float] = 1.0,
    planner: Planner = "kl",
    solver: Solver | str | None = None,
    device: str | torch.device = "cpu",
) -> Policy:
    r"""Solve the forward problem: the policy of people with a known reward and temperature.

    Args:
        task: what they could do.
        reward: weight of each feature (features left out weigh 0), or a reward module.
        temperature: one number, or one for each person.
        planner: "kl", "entropy" or "boltzmann".
        solver: how to solve, as an object or by name ("soft_q_learning"); chosen by the task when not given.
        device: where to solve, for example "cuda"; the policy comes back to the CPU.

    Returns:
        The policy over the whole task.

    Raises:
        ModelError: unknown feature, a temperature that is not above 0, or no such device here.
        SolveError: no finite solution (with the feasible bound).

    Example:
        >>> task = Task.grid("S.G\n...", discount=0.95)
        >>> plan(task, {"step": -1.0}, temperature={"ann": 0.2, "bob": 2.0}).subjects.values
        ('ann', 'bob')
    """
    people = temperature if isinstance(temperature, Mapping) else {"all": temperature}
    for name, value in people.items():
        if not (value > 0 and np.isfinite(value)):
            raise ModelError(f"the temperature of {name!r} is {value}; it must be a finite number above 0")
    if isinstance(reward, Mapping):
        reward = LinearReward(fixed={**dict.fromkeys(task.feature_names, 0.0), **reward})
    model = SoftOptimalModel(task, reward, PerSubject(), planner, solver=solver, device=device)
    who = Labels("subject", tuple(people))
    bound = model.bound_to(who, who, np.arange(len(who)))
    with torch.no_grad():
        bound.log_temperature.copy_(torch.tensor([float(np.log(v)) for v in people.values()], dtype=DTYPE))
    everywhere = np.tile(np.arange(len(task.states)), len(people))
    row = np.arange(len(people))
    return bound.policy_on(bound.subjects, row, bound.expand(np.repeat(row, len(task.states)), everywhere))
