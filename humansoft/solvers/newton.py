"""Newton-Kantorovich: 5-10 steps at any discount, by factors or, for very many states, inexactly by iteration."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from humansoft.solvers.bellman import plan_backup, policy_value, prior_policy
from humansoft.solvers.convergence import diverged, failure, scaled, settled
from humansoft.solvers.linear_system import IteratedSystem, linear_system
from humansoft.solvers.problem import Problem
from humansoft.solvers.solution import Outcome, SolveStatus

_STALL = 1e-6  # corrections this small that no longer shrink are rounding
_FEW_STATES = 5_000  # of one block: below, factors are cheaper than iterations
_FORCING = 1e-1  # relative error of an inexact correction far from the solution


@dataclass(frozen=True)
class Newton:
    """Newton's method on the soft Bellman equation (= soft policy iteration).

    Attributes:
        tolerance: largest last correction, relative to min(temperature, 1 + |V|).
        max_steps: steps after which the solver gives up.
        system: how corrections are found: "factorised" (sparse factors, on the CPU), "dense" (dense factors of
            each block), "iterated" (BiCGSTAB to just the precision that a step needs; discount below 1), or
            "auto", by structure, size and device.
    """

    tolerance: float = 1e-10
    max_steps: int = 100
    system: Literal["auto", "factorised", "dense", "iterated"] = "auto"

    def value(self, problem: Problem, reward: Tensor, temperature: Tensor, start: Tensor | None) -> Outcome:
        """Find V from a given start, or safely from the reference policy; never raises."""
        if self._iterates(problem):
            outcome = self._inexact(problem, reward, temperature, start)
            if outcome.status is SolveStatus.CONVERGED:
                return outcome
        if start is not None:  # a neighbour's solution is usually 2-4 steps away
            outcome = self._exact(problem, reward, temperature, start)
            if outcome.status is SolveStatus.CONVERGED:
                return outcome
        try:
            # The reference policy always ends, so its value is a safe start (undiscounted, V = 0 is not).
            start = policy_value(problem, reward, temperature, prior_policy(problem))
        except RuntimeError:  # even that policy's system is singular
            return Outcome(torch.zeros_like(temperature), failure(problem), 0, float("inf"))
        return self._exact(problem, reward, temperature, start)

    def _iterates(self, problem: Problem) -> bool:
        large = problem.largest_block > _FEW_STATES
        return problem.discount < 1 and (self.system == "iterated" or (self.system == "auto" and large))

    def _exact(self, problem: Problem, reward: Tensor, temperature: Tensor, value: Tensor) -> Outcome:
        correction = float("inf")
        kind = None if self.system == "auto" or self.system == "iterated" else self.system
        for step in range(1, self.max_steps + 1):
            before = correction
            target, policy = plan_backup(problem, reward, temperature, value)
            try:
                system = linear_system(problem, policy, kind)
                change = system.apply_inverse(target - value)
            except RuntimeError:  # exactly singular: this policy never ends
                return Outcome(value, failure(problem), step, float("inf"))
            value = value + change
            if diverged(value, temperature):
                return Outcome(value, failure(problem), step, float("inf"))
            correction = scaled(change, value, temperature)
            # Newton squares its error until rounding (eps * |V| / (1 - discount)) stops it.
            stalled = before < _STALL and correction > before / 2
            if correction <= self.tolerance or stalled:
                return Outcome(value, settled(problem, system), step, correction, system)
        return Outcome(value, failure(problem), self.max_steps, correction)

    def _inexact(self, problem: Problem, reward: Tensor, temperature: Tensor, start: Tensor | None) -> Outcome:
        """Newton with corrections as precise as they need to be; stops on the residual over 1 - discount."""
        value = torch.zeros_like(temperature) if start is None else start
        residual = float("inf")
        for step in range(1, self.max_steps + 1):
            before = residual
            target, policy = plan_backup(problem, reward, temperature, value)
            residual = scaled(target - value, value, temperature) / (1 - problem.discount)
            if residual <= self.tolerance or (before < _STALL and residual > before / 2):
                return Outcome(target, SolveStatus.CONVERGED, step, residual)
            if diverged(value, temperature):
                break
            # One step squares the error at best: a correction need not be more precise than that.
            precision = max(min(_FORCING, residual), 0.1 * self.tolerance / residual)
            try:
                change = IteratedSystem(problem, policy).approximate(target - value, precision)
            except RuntimeError:
                break
            value = value + change
        return Outcome(value, failure(problem), step, residual)
