"""Backward induction: the exact solution of problems with a fixed number of decisions."""

import torch
from jaxtyping import Float
from torch import Tensor

from humansoft.solvers.bellman import action_value, log_soft_policy, soft_value
from humansoft.solvers.problem import Problem
from humansoft.solvers.solution import SoftSolution, SolveStatus


def solve_finite_horizon(
    problem: Problem,
    reward: Float[Tensor, "*T M A"],
    temperature: Float[Tensor, " M"],
    *,
    plan_hard: bool = False,
) -> SoftSolution:
    """Solve a problem of ``problem.horizon`` decisions, last decision first.

    Time 0 is the first decision of the episode; after the last one the value is 0. Derivatives of
    any order are plain autograd.

    Args:
        problem: the decision process with a horizon.
        reward: [M, A] reward, the same at every time, or [T, M, A] reward of each time.
        temperature: [M] temperature of each state.
        plan_hard: plan with the hard maximum, act softly (the "boltzmann" planner).

    Returns:
        The solution with a time axis in front: value [T, M], q and log_policy [T, M, A].
    """
    if problem.horizon is None:
        raise ValueError("backward induction needs a horizon")
    planning = torch.zeros_like(temperature) if plan_hard else temperature
    value = torch.zeros_like(temperature)
    values, qs = [], []
    rewards = reward.expand(problem.horizon, *problem.log_prior.shape)
    for time in reversed(range(problem.horizon)):
        q = action_value(problem, rewards[time], value)
        value = soft_value(q, problem.log_prior, planning)
        values.append(value)
        qs.append(q)
    q = torch.stack(qs[::-1])
    return SoftSolution(
        value=torch.stack(values[::-1]),
        q=q,
        log_policy=log_soft_policy(q, problem.log_prior, temperature),
        status=SolveStatus.CONVERGED,
        num_steps=problem.horizon,
        residual=0.0,
    )
