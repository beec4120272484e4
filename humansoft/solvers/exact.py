"""Solution of stationary problems: which solver, and how first derivatives pass through an exact one."""

import torch
from jaxtyping import Float
from torch import Tensor

from humansoft.errors import ModelError, Problems, did_you_mean
from humansoft.solvers.bellman import action_value, log_soft_policy, newton_step
from humansoft.solvers.fixed_point import Anderson, ValueIteration
from humansoft.solvers.linear import Desirability
from humansoft.solvers.newton import Newton
from humansoft.solvers.policy_gradient import PolicyGradient
from humansoft.solvers.problem import Problem
from humansoft.solvers.soft_q_learning import SoftQLearning
from humansoft.solvers.solution import SoftSolution, SolveStatus

SampledSolver = SoftQLearning | PolicyGradient
Solver = Newton | Desirability | Anderson | ValueIteration | SampledSolver

SAMPLED_SOLVERS: dict[str, type[SampledSolver]] = {
    "soft_q_learning": SoftQLearning,
    "policy_gradient": PolicyGradient,
}
"""Solvers that learn a policy from sampled decisions, by name."""

_NAMED: dict[str, type[Solver]] = {
    "newton": Newton,
    "desirability": Desirability,
    "anderson": Anderson,
    "value_iteration": ValueIteration,
    **SAMPLED_SOLVERS,
}


def refuse_impossible(solver: Solver | None, planner: str, horizon: int | None) -> None:
    """Refuse plans that cannot be learned from samples.

    Raises:
        ModelError: with every reason.
    """
    if not isinstance(solver, SampledSolver):
        return
    with Problems(f"solver={type(solver).__name__}", ModelError) as problems:
        if horizon is not None:
            problems.add("it learns policies without a horizon; leave it out, for such tasks are solved exactly")
        if planner == "boltzmann" and isinstance(solver, PolicyGradient):
            problems.add(
                "planner='boltzmann' acts on the values of the best policy, which a policy gradient does not "
                "learn; use solver='soft_q_learning'"
            )


def solver_named(solver: Solver | str | None) -> Solver | None:
    """Return a solver, which may be given by name where its defaults will do; ``None`` leaves the choice to the task.

    Raises:
        ModelError: there is no such solver.

    Example:
        >>> solver_named("newton").tolerance
        1e-10
    """
    if not isinstance(solver, str):
        return solver
    if solver not in _NAMED:
        raise ModelError(f"there is no solver {solver!r}.{did_you_mean(solver, _NAMED)}")
    return _NAMED[solver]()


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
    q = action_value(problem, reward, value) if found.q is None else found.q
    log_policy = log_soft_policy(q, problem.log_prior, temperature)
    return SoftSolution(value, q, log_policy, found.status, found.num_steps, found.residual, found.system)
