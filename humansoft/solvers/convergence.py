"""When a value solver may stop, and what it says where there is nothing to find."""

import torch
from torch import Tensor

from humansoft.solvers.bellman import action_value, policy_of, soft_value
from humansoft.solvers.linear_system import LinearSystem
from humansoft.solvers.problem import Problem
from humansoft.solvers.solution import SolveStatus

_EPS = torch.finfo(torch.float64).eps
_UNSETTLED = 0.25  # total variation of a policy, in any state
_ENDLESS = 1e12  # a policy that takes this many steps to end is one that never does, but for rounding


def scaled(change: Tensor, value: Tensor, temperature: Tensor) -> float:
    """Largest change relative to what matters (temperature) unless it is below rounding."""
    size = value.abs()
    # V = alpha * log(...) is rounded in units of alpha as well as of V itself
    rounding = 8 * _EPS * (size.max() + temperature) if len(size) else size
    unit = torch.minimum(torch.where(temperature > 0, temperature, torch.inf), 1 + size)
    beyond = torch.where(change.abs() <= rounding, 0.0, change.abs())
    return float((beyond / unit).max()) if len(size) else 0.0


def diverged(value: Tensor, temperature: Tensor) -> bool:
    """Whether values have left every range in which they could be a solution."""
    return not bool(torch.isfinite(value).all()) or bool(value.abs().max() > 1e15 * (1 + temperature.max()))


def failure(problem: Problem) -> SolveStatus:
    """Return what it means that no solution was found."""
    return SolveStatus.INFEASIBLE if problem.discount == 1 else SolveStatus.MAX_STEPS


def learned_status(
    problem: Problem, reward: Tensor, value: Tensor, q: Tensor, planning: Tensor, temperature: Tensor
) -> tuple[SolveStatus, float]:
    """Return how near a solution is what was learned from samples, and its residual.

    Unlike the residual, which is in units of the temperature, the change of the policy by one exact backup says
    whether people would act differently.

    Args:
        problem: the decision process.
        reward: [M, A].
        value: [M] learned V.
        q: [M, A] learned Q.
        planning: [M] temperature of planning, 0 for the hard maximum.
        temperature: [M] temperature of acting, above 0.
    """
    better = action_value(problem, reward, value)
    residual = scaled(soft_value(better, problem.log_prior, planning) - value, value, temperature)
    if diverged(value, temperature):
        return failure(problem), residual
    chances = [policy_of(table, problem.log_prior, temperature) for table in (q, better)]
    change = 0.5 * (chances[0] - chances[1]).abs().sum(dim=-1)
    return (SolveStatus.UNSETTLED if bool((change > _UNSETTLED).any()) else SolveStatus.LEARNED), residual


def settled(problem: Problem, system: LinearSystem) -> SolveStatus:
    """Return CONVERGED, or INFEASIBLE where the policy of a settled value never ends."""
    return SolveStatus.CONVERGED if problem.discount < 1 or _ends(problem, system) else SolveStatus.INFEASIBLE


def _ends(problem: Problem, system: LinearSystem) -> bool:
    """Whether the policy of a system reaches an end: its expected times are at least 1, and not endless.

    Beyond the feasible temperature, Newton can land on a root that is no value of any policy, or on
    values so large that rounding hides that they grow for ever.
    """
    acting = problem.playable.any(dim=-1)
    try:
        steps = system.apply_inverse(acting.to(problem.log_prior.dtype))
    except RuntimeError:  # iterated in vain
        return False
    return bool(((steps[acting] >= 1 - 1e-6) & (steps[acting] <= _ENDLESS)).all())
