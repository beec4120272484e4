"""Backward induction: the exact solution of problems with a fixed number of decisions."""

import torch
from jaxtyping import Float
from torch import Tensor

from humansoft.solvers.bellman import SoftMaximum, action_value, soft_value
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
    log_prior, hard = problem.log_prior, torch.zeros_like(temperature)
    value, found, chosen = hard, [], SoftMaximum(log_prior, temperature)
    rewards = reward.expand(problem.horizon, *log_prior.shape)
    for time in reversed(range(problem.horizon)):
        q = action_value(problem, rewards[time], value)
        value, log_policy = chosen.backup(q)
        if plan_hard:
            value = soft_value(q, log_prior, hard)
        found.append((value, q, log_policy))
    value, q, log_policy = (torch.stack(tables[::-1]) for tables in zip(*found, strict=True))
    return SoftSolution(
        value=value,
        q=q,
        log_policy=log_policy,
        status=SolveStatus.CONVERGED,
        num_steps=problem.horizon,
        residual=0.0,
    )
