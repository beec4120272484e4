"""The linear solve of deterministic undiscounted tasks: the soft Bellman equation in desirabilities.

With z = exp(V / temperature) the soft Bellman equation of a deterministic task without discount is linear
(Todorov 2006), z(s) = sum_a p0(a|s) exp(r(s, a) / temperature) z(s'), with z = 1 at the ends. Measured against
a guess W of the values, y = exp((V - W) / temperature), it stays so, and neither overflows nor underflows
where the guess is near; I - P_pi is then the same matrix rescaled, so that one factorisation gives the value
and all its derivatives.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from humansoft.solvers.bellman import plan_backup
from humansoft.solvers.convergence import scaled
from humansoft.solvers.linear_system import LinearSystem, linear_system
from humansoft.solvers.newton import Newton
from humansoft.solvers.problem import Problem
from humansoft.solvers.solution import Outcome, SolveStatus

_MOST_GUESSES = 4
_MOST_SWEEPS = 10_000  # steps of the longest best path that is looked for


class RescaledSystem(LinearSystem):
    """I - P_pi of a solution, by the factors of the linear equation that gave it."""

    def __init__(self, inner: LinearSystem, scale: Tensor) -> None:
        """Note the factors and y [M]: I - P_pi = diag(y)^-1 (inner) diag(y)."""
        self.problem, self._inner, self._scale = inner.problem, inner, scale

    def apply_inverse(self, right: Tensor, transposed: bool = False) -> Tensor:
        """Return M^-1 right or M^-T right."""
        scale = self._scale if right.ndim == 1 else self._scale[:, None]
        if transposed:
            return scale * self._inner.apply_inverse(right / scale, transposed=True)
        return self._inner.apply_inverse(scale * right) / scale


@dataclass(frozen=True)
class Desirability:
    """The linear solve: one factorisation for the value of a deterministic, undiscounted task.

    Problems of another kind, and temperatures so low that desirabilities leave the range of numbers
    from every guess at hand, are passed on to Newton.

    Attributes:
        tolerance: largest Newton correction of the solution, relative to min(temperature, 1 + |V|).
    """

    tolerance: float = 1e-10

    def value(self, problem: Problem, reward: Tensor, temperature: Tensor, start: Tensor | None) -> Outcome:
        """Find V from a guess; never raises."""
        if applies_to(problem, temperature):
            outcome = None if start is None else self._from_guess(problem, reward, temperature, start)
            if outcome is None:
                guess = _best_value(problem, reward)
                outcome = None if guess is None else self._from_guess(problem, reward, temperature, guess)
            if outcome is not None:
                return outcome
        return Newton(self.tolerance).value(problem, reward, temperature, start)

    def _from_guess(self, problem: Problem, reward: Tensor, temperature: Tensor, value: Tensor) -> Outcome | None:
        acting = problem.playable.any(dim=-1)
        for step in range(1, _MOST_GUESSES + 1):
            gain = (reward + problem.expected_next(value) - value[:, None]) / temperature[:, None]
            weights = torch.where(problem.playable, problem.log_prior + gain, -torch.inf).exp()
            if not torch.isfinite(weights).all():
                return None
            try:
                inner = linear_system(problem, weights)
                scale = inner.apply_inverse((~acting).to(value.dtype))
            except RuntimeError:
                return None
            if not bool(((scale > 0) & torch.isfinite(scale)).all()):
                return None  # no finite value, or out of range: Newton tells which
            value = torch.where(acting, value + temperature * scale.log(), 0.0)
            system = RescaledSystem(inner, scale)
            target, _ = plan_backup(problem, reward, temperature, value)
            correction = system.apply_inverse(target - value)
            value = value + correction
            residual = scaled(correction, value, temperature)
            if residual <= self.tolerance:
                return Outcome(value, SolveStatus.CONVERGED, step, residual, system)
        return None


def _best_value(problem: Problem, reward: Tensor) -> Tensor | None:
    """Return the value of the best path from each state, by sweeps; ``None`` where paths get better for ever.

    A good guess at any temperature: choosing the best path costs at most log(actions) of it at each step.
    """
    masked = torch.where(problem.playable, reward, -torch.inf)
    acting = problem.playable.any(dim=-1)
    likely = problem.probabilities.argmax(dim=-1, keepdim=True)
    outcome = problem.successors.gather(-1, likely).squeeze(-1)
    value = torch.where(acting, -torch.inf, 0.0).to(reward.dtype)
    for _ in range(min(len(value), _MOST_SWEEPS) + 1):
        better = torch.where(acting, (masked + value[outcome]).amax(dim=-1), 0.0)
        if torch.equal(better, value):
            return value if bool(torch.isfinite(value).all()) else None
        value = better
    return None


def applies_to(problem: Problem, temperature: Tensor) -> bool:
    """Whether the soft Bellman equation of a problem is linear in desirabilities."""
    return problem.discount == 1 and problem.is_deterministic and bool((temperature > 0).all())
