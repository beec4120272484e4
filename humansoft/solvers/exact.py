"""Exact solution of stationary problems: which solver, and how first derivatives pass through it."""

import torch
from jaxtyping import Float
from torch import Tensor

from humansoft.solvers.bellman import action_value, log_soft_policy, newton_step
from humansoft.solvers.fixed_point import Anderson, ValueIteration
from humansoft.solvers.linear import Desirability
from humansoft.solvers.newton import Newton
from humansoft.solvers.problem import Problem
from humansoft.solvers.solution import SoftSolution, SolveStatus

Solver = Newton | Desirability | Anderson | ValueIteration


def solve_stationary(
    problem: Problem,
    reward: Float[Tensor, "M A"],
    temperature: Float[Tensor, " M"],
    *,
    plan_hard: bool = False,
    solver: Solver | None = None,
    start: Float[Tensor, " M"] | None = None,
    differentiable: bool = True,
) -> SoftSolution:
    """Solve a stationary problem; derivatives pass by the implicit function theorem.

    Args:
        problem: the decision process (M states).
        reward: [M, A] reward; may require a gradient.
        temperature: [M] temperature of acting, and of planning unless ``plan_hard``.
        plan_hard: plan with the hard maximum, act softly (the "boltzmann" planner).
        solver: how to solve; by default the linear solve where it applies, else Newton.
        start: a value to start from.
        differentiable: take one more Newton step with autograd, which carries exact first derivatives.

    Returns:
        The solution; look at its status, nothing is raised.
    """
    planning = torch.zeros_like(temperature) if plan_hard else temperature
    with torch.no_grad():
        found = (solver or Desirability()).value(problem, reward.detach(), planning.detach(), start)
    value = found.value.detach()
    if found.status is SolveStatus.CONVERGED and differentiable:
        value = newton_step(problem, reward, planning, value, found.system)
    q = action_value(problem, reward, value)
    log_policy = log_soft_policy(q, problem.log_prior, temperature)
    return SoftSolution(value, q, log_policy, found.status, found.num_steps, found.residual, found.system)
