"""Fixed-point solvers: plain soft value iteration, and its acceleration by Anderson's mixing."""

from dataclasses import dataclass

import torch
from torch import Tensor

from humansoft.solvers.bellman import action_value, plan_backup, soft_value
from humansoft.solvers.convergence import diverged, failure, scaled, settled
from humansoft.solvers.linear_system import linear_system
from humansoft.solvers.problem import Problem
from humansoft.solvers.solution import Outcome, SolveStatus

_LOOK_EVERY = 1000  # sweeps between looks at whether undiscounted value iteration gets anywhere
_UNDISCOUNTED = 1e-3  # without a discount, sweeps contract only as fast as episodes end: ask for smaller residuals
_RIDGE = 1e-12  # of the mixing weights, relative to the size of the residuals


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
        goal = self.tolerance * (1 - problem.discount if problem.discount < 1 else _UNDISCOUNTED)
        residual = looked = float("inf")
        for sweep in range(1, self.max_steps + 1):
            following = soft_value(action_value(problem, reward, value), problem.log_prior, temperature)
            change = following - value
            residual = scaled(change, following, temperature)
            value = following
            if residual <= goal:
                return _settled(problem, reward, temperature, value, sweep, residual)
            if diverged(value, temperature):
                return Outcome(value, failure(problem), sweep, float("inf"))
            if problem.discount == 1 and sweep % max(_LOOK_EVERY, len(value)) == 0:
                gained = float(change.max())
                if gained > 0.999 * looked > 0:  # as much with every sweep, for ever
                    return Outcome(value, failure(problem), sweep, residual)
                looked = gained
        return Outcome(value, SolveStatus.MAX_STEPS, self.max_steps, residual)


@dataclass(frozen=True)
class Anderson:
    """Value iteration with Anderson's mixing of the last few sweeps: 5 to 20 times fewer of them, no linear systems.

    Mixed values that leave a larger residual than before are given up for a plain sweep, so that it
    is never slower than value iteration by more than a factor (Walker and Ni 2011).

    Attributes:
        tolerance: residual |T(V) - V| relative to (1 - discount) and min(temperature, 1 + |V|).
        max_steps: sweeps after which the solver gives up.
        memory: number of earlier sweeps that are mixed in.
    """

    tolerance: float = 1e-10
    max_steps: int = 100_000
    memory: int = 5

    def value(self, problem: Problem, reward: Tensor, temperature: Tensor, start: Tensor | None) -> Outcome:
        """Find V by mixed backups; never raises."""
        value = torch.zeros_like(temperature) if start is None else start
        goal = self.tolerance * (1 - problem.discount if problem.discount < 1 else _UNDISCOUNTED)
        targets: list[Tensor] = []
        changes: list[Tensor] = []
        best = float("inf")
        for sweep in range(1, self.max_steps + 1):
            target = soft_value(action_value(problem, reward, value), problem.log_prior, temperature)
            change = target - value
            residual = scaled(change, target, temperature)
            if residual <= goal:
                return _settled(problem, reward, temperature, target, sweep, residual)
            if diverged(target, temperature):
                return Outcome(target, failure(problem), sweep, float("inf"))
            if residual > 2 * best:  # mixing went astray: start over from plain sweeps
                targets, changes = [], []
            if problem.discount == 1 and sweep == max(_LOOK_EVERY, len(value)):
                # Perhaps there is nothing to find, which plain sweeps can tell.
                return ValueIteration(self.tolerance, self.max_steps).value(problem, reward, temperature, target)
            best = min(best, residual)
            targets, changes = [*targets[-self.memory :], target], [*changes[-self.memory :], change]
            value = _mixed(targets, changes)
        return Outcome(value, SolveStatus.MAX_STEPS, self.max_steps, best)


def _mixed(targets: list[Tensor], changes: list[Tensor]) -> Tensor:
    """Return the mix of backups (weights of sum 1) whose mixed residual is smallest."""
    if len(targets) == 1:
        return targets[0]
    steps = torch.stack([changes[-1] - c for c in changes[:-1]])
    gram = steps @ steps.T
    gram = gram + _RIDGE * gram.diagonal().max() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    weights = torch.linalg.lstsq(gram, (steps @ changes[-1])[:, None]).solution[:, 0]
    mixed: Tensor = targets[-1] - weights @ torch.stack([targets[-1] - t for t in targets[:-1]])
    return mixed


def _settled(
    problem: Problem, reward: Tensor, temperature: Tensor, value: Tensor, sweep: int, residual: float
) -> Outcome:
    """Return a value that sweeps no longer change, with the linear system of its policy."""
    _, policy = plan_backup(problem, reward, temperature, value)
    try:
        system = linear_system(problem, policy)
        return Outcome(value, settled(problem, system), sweep, residual, system)
    except RuntimeError:  # exactly singular: this policy never ends
        return Outcome(value, failure(problem), sweep, residual)
