"""Exact solvers of stationary problems: Newton-Kantorovich and plain value iteration."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from humansoft.solvers.bellman import (
    action_value,
    log_soft_policy,
    newton_step,
    policy_of,
    policy_value,
    prior_policy,
    soft_value,
)
from humansoft.solvers.problem import LinearSystem, Problem
from humansoft.solvers.solution import SoftSolution, SolveStatus

_EPS = torch.finfo(torch.float64).eps
_STALL = 1e-6  # corrections this small that no longer shrink are rounding
_ENDLESS = 1e12  # a policy that takes this many steps to end is one that never does, but for rounding
_LOOK_EVERY = 1000  # sweeps between looks at whether undiscounted value iteration gets anywhere


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a value solver found: V, how it ended, and the factorised system of its last policy."""

    value: Tensor
    status: SolveStatus
    num_steps: int
    residual: float
    system: LinearSystem | None = None


@dataclass(frozen=True)
class Newton:
    """Newton's method on the soft Bellman equation (= soft policy iteration): 5-10 steps at any discount.

    Attributes:
        tolerance: largest last correction, relative to min(temperature, 1 + |V|).
        max_steps: steps after which the solver gives up.
    """

    tolerance: float = 1e-10
    max_steps: int = 100

    def value(self, problem: Problem, reward: Tensor, temperature: Tensor, start: Tensor | None) -> Outcome:
        """Find V from a given start, or safely from the reference policy; never raises."""
        if start is not None:  # a neighbour's solution is usually 2-4 steps away
            outcome = self._iterate(problem, reward, temperature, start)
            if outcome.status is SolveStatus.CONVERGED:
                return outcome
        try:
            # The reference policy always ends, so its value is a safe start (undiscounted, V = 0 is not).
            start = policy_value(problem, reward, temperature, prior_policy(problem))
        except RuntimeError:  # even that policy's system is singular
            return Outcome(torch.zeros_like(temperature), _failure(problem), 0, float("inf"))
        return self._iterate(problem, reward, temperature, start)

    def _iterate(self, problem: Problem, reward: Tensor, temperature: Tensor, value: Tensor) -> Outcome:
        correction = float("inf")
        for step in range(1, self.max_steps + 1):
            before = correction
            policy = policy_of(action_value(problem, reward, value), problem.log_prior, temperature)
            try:
                system = LinearSystem(problem, policy)
            except RuntimeError:  # exactly singular: this policy never ends
                return Outcome(value, _failure(problem), step, float("inf"))
            following = newton_step(problem, reward, temperature, value, system)
            correction = _scaled(following - value, following, temperature)
            value = following
            if _diverged(value, temperature):
                return Outcome(value, _failure(problem), step, float("inf"))
            # Newton squares its error until rounding (eps * |V| / (1 - discount)) stops it.
            stalled = before < _STALL and correction > before / 2
            if correction <= self.tolerance or stalled:
                proper = problem.discount < 1 or _ends(problem, system)
                status = SolveStatus.CONVERGED if proper else SolveStatus.INFEASIBLE
                return Outcome(value, status, step, correction, system)
        return Outcome(value, _failure(problem), self.max_steps, correction)


@dataclass(frozen=True)
class ValueIteration:
    """Plain soft value iteration: slow, but made of nothing but backups (the reference).

    Attributes:
        tolerance: residual |T(V) - V| relative to (1 - discount) and min(temperature, 1 + |V|).
        max_steps: sweeps after which the solver gives up.
    """

    tolerance: float = 1e-10
    max_steps: int = 1_000_000

    def value(self, problem: Problem, reward: Tensor, temperature: Tensor, start: Tensor | None) -> Outcome:
        """Find V by repeated backups; never raises."""
        value = torch.zeros_like(temperature) if start is None else start
        # Undiscounted, sweeps contract only as fast as episodes end: ask for much smaller residuals.
        goal = self.tolerance * (1 - problem.discount if problem.discount < 1 else 1e-3)
        residual = looked = float("inf")
        for sweep in range(1, self.max_steps + 1):
            following = soft_value(action_value(problem, reward, value), problem.log_prior, temperature)
            change = following - value
            residual = _scaled(change, following, temperature)
            value = following
            if residual <= goal:
                return self._settled(problem, reward, temperature, value, sweep, residual)
            if _diverged(value, temperature):
                return Outcome(value, _failure(problem), sweep, float("inf"))
            if problem.discount == 1 and sweep % max(_LOOK_EVERY, len(value)) == 0:
                gained = float(change.max())
                if gained > 0.999 * looked > 0:  # as much with every sweep, for ever
                    return Outcome(value, _failure(problem), sweep, residual)
                looked = gained
        return Outcome(value, SolveStatus.MAX_STEPS, self.max_steps, residual)

    def _settled(
        self, problem: Problem, reward: Tensor, temperature: Tensor, value: Tensor, sweep: int, residual: float
    ) -> Outcome:
        """Return a value that sweeps no longer change, with the factorised system of its policy."""
        policy = policy_of(action_value(problem, reward, value), problem.log_prior, temperature)
        try:
            system = LinearSystem(problem, policy)
        except RuntimeError:  # exactly singular: this policy never ends
            return Outcome(value, _failure(problem), sweep, residual)
        proper = problem.discount < 1 or _ends(problem, system)
        status = SolveStatus.CONVERGED if proper else SolveStatus.INFEASIBLE
        return Outcome(value, status, sweep, residual, system)


Solver = Newton | ValueIteration


def _failure(problem: Problem) -> SolveStatus:
    undiscounted = problem.discount == 1
    return SolveStatus.INFEASIBLE if undiscounted else SolveStatus.MAX_STEPS


def _diverged(value: Tensor, temperature: Tensor) -> bool:
    return not bool(torch.isfinite(value).all()) or bool(value.abs().max() > 1e15 * (1 + temperature.max()))


def _ends(problem: Problem, system: LinearSystem) -> bool:
    """Whether the policy of a system reaches an end: its expected times are at least 1, and not endless.

    Beyond the feasible temperature, Newton can land on a root that is no value of any policy, or on
    values so large that rounding hides that they grow for ever.
    """
    acting = problem.playable.any(dim=-1)
    steps = system.solve(torch.zeros_like(problem.log_prior), acting.to(problem.log_prior.dtype))
    return bool(((steps[acting] >= 1 - 1e-6) & (steps[acting] <= _ENDLESS)).all())


def _scaled(change: Tensor, value: Tensor, temperature: Tensor) -> float:
    """Largest change relative to what matters (temperature) unless it is below rounding."""
    size = value.abs()
    # V = alpha * log(...) is rounded in units of alpha as well as of V itself
    rounding = 8 * _EPS * (size.max() + temperature) if len(size) else size
    unit = torch.minimum(torch.where(temperature > 0, temperature, torch.inf), 1 + size)
    beyond = torch.where(change.abs() <= rounding, 0.0, change.abs())
    return float((beyond / unit).max()) if len(size) else 0.0


def solve_stationary(
    problem: Problem,
    reward: Float[Tensor, "M A"],
    temperature: Float[Tensor, " M"],
    *,
    plan_hard: bool = False,
    solver: Solver | None = None,
    start: Float[Tensor, " M"] | None = None,
    tracked_steps: int = 1,
) -> SoftSolution:
    """Solve a stationary problem; derivatives pass by the implicit function theorem.

    Args:
        problem: the decision process (M states).
        reward: [M, A] reward; may require a gradient.
        temperature: [M] temperature of acting, and of planning unless ``plan_hard``.
        plan_hard: plan with the hard maximum, act softly (the "boltzmann" planner).
        solver: how to solve; Newton by default.
        start: a value to start from.
        tracked_steps: Newton steps taken with autograd from the solution: 1 carries exact first
            derivatives, 2 exact second ones, 0 none.

    Returns:
        The solution; look at its status, nothing is raised.
    """
    planning = torch.zeros_like(temperature) if plan_hard else temperature
    with torch.no_grad():
        found = (solver or Newton()).value(problem, reward.detach(), planning.detach(), start)
    value = found.value.detach()
    if found.status is SolveStatus.CONVERGED:
        for _ in range(tracked_steps):
            value = newton_step(problem, reward, planning, value, found.system)
    q = action_value(problem, reward, value)
    log_policy = log_soft_policy(q, problem.log_prior, temperature)
    return SoftSolution(value, q, log_policy, found.status, found.num_steps, found.residual, found.system)


def feasible_bound(is_feasible: Callable[[float], bool], infeasible: float) -> float:
    """Return the largest feasible temperature below an infeasible one, by bisection to 4 digits."""
    low, high = infeasible, infeasible
    while not is_feasible(low):
        low, high = low / 2, low
        if low < 1e-12:
            return 0.0
    while high / low > 1 + 1e-4:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if is_feasible(middle) else (low, middle)
    return low
