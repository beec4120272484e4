"""Two optimisers for exact likelihoods, as torch optimizers so that Lightning runs them like any other.

Both minimise to convergence within one ``step``; a loss of infinity is a barrier, before which the
step is shortened.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import OptimizeResult, minimize
from torch import Tensor

from humansoft.fit.arrow import ArrowMatrix, Inverse, inverse

Real = npt.NDArray[np.float64]
Closure = Callable[[], Any]
OnStep = Callable[[float], None]

_ARMIJO = 1e-4
_HALVINGS = 40
_SILENT = 1e-10
_POSITIVE, _FLAT = 1e-10, 1e-11  # eigenvalues relative to the largest
_EXACT = 1e-4  # share of the tolerance: a step that gains less changes nothing that is printed
_IDLE, _MOST_IDLE = 1e-8, 4  # nats gained by a step that gains nothing, and how many of them end the search


@dataclass(frozen=True, eq=False)
class Curvature:
    """Second derivatives of the mean loss, over the parameters that are free.

    Attributes:
        matrix: of all parameters [P, P].
        free: [P] which of them are free.
        mean_zero: [P] weights of the sum that is held at 0, if there is one.
    """

    matrix: ArrowMatrix
    free: npt.NDArray[np.bool_]
    mean_zero: Real | None

    @property
    def is_positive(self) -> bool:
        """Whether it is positive definite by more than rounding."""
        return self._inverse.smallest > _POSITIVE

    def solve(self, gradient: Real) -> Real:
        """Return the inverse times a gradient [P_free], staying put along flat directions."""
        full = np.zeros((len(self.free), 1))
        full[self.free, 0] = gradient
        step: Real = self._inverse.covariance.times(full)[self.free, 0]
        return step

    @cached_property
    def _inverse(self) -> Inverse:
        size = np.sqrt(np.abs(self.matrix.diagonal()))
        told = self.free & (size > _SILENT * size[self.free].max(initial=0.0))  # the data say something here
        return inverse(self.matrix, told, self.mean_zero, cutoff=_FLAT)


class _VectorOptimizer(torch.optim.Optimizer):
    """What both share: one parameter vector, and loss and gradient as numbers."""

    def __init__(self, parameter: torch.nn.Parameter, max_steps: int, on_step: OnStep) -> None:
        super().__init__([parameter], {})
        self.parameter, self.max_steps, self.on_step = parameter, max_steps, on_step

    def step(self, closure: Closure | None = None) -> Any:  # noqa: ANN401
        """Minimise; ``closure`` computes the loss and its gradient at the parameter."""
        assert closure is not None
        if self.parameter.numel():
            self._minimise(closure)
        return closure()

    def _minimise(self, closure: Closure) -> None:
        raise NotImplementedError

    def _evaluate(self, closure: Closure, x: Real) -> tuple[float, Real]:
        """Return loss and gradient at x; (inf, 0) behind the barrier."""
        with torch.no_grad():
            self.parameter.copy_(torch.from_numpy(x))
        with torch.enable_grad():
            loss: Tensor = closure()
        gradient = self.parameter.grad
        if not bool(torch.isfinite(loss)) or gradient is None:
            return np.inf, np.zeros_like(x)
        return float(loss.detach()), gradient.numpy().astype(np.float64)


class FisherScoring(_VectorOptimizer):
    """Newton's method with the expected information far from the optimum and the exact Hessian near it.

    The expected information is positive semi-definite everywhere, and its steps are invariant to
    how the parameters are scaled; near the optimum the Hessian squares the error at each step.

    Args:
        parameter: the vector [P_free] to optimise.
        information: returns the expected information of the mean loss at the current parameter.
        hessian: returns its exact Hessian.
        weight: number of decisions, to speak of the total log-likelihood.
        limits: [P_free] largest change of each entry in one step.
        max_steps: largest number of iterations.
        on_step: called after every iteration with the loss.
        tolerance: stop when a step would gain less than this, in nats of the log-likelihood.
        near: whether it starts near the optimum.
    """

    def __init__(
        self,
        parameter: torch.nn.Parameter,
        information: Callable[[], Curvature],
        hessian: Callable[[], Curvature],
        weight: float,
        limits: Real,
        max_steps: int,
        on_step: OnStep,
        tolerance: float = 1e-10,
        near: bool = False,
    ) -> None:
        """Note the options; the work is done in ``step``."""
        super().__init__(parameter, max_steps, on_step)
        self.information, self.hessian = information, hessian
        self.weight, self.limits, self.tolerance, self.near = weight, limits, tolerance, near

    def _minimise(self, closure: Closure) -> None:
        x = self.parameter.detach().numpy().copy()
        loss, gradient = self._evaluate(closure, x)
        near, idle = self.near, 0
        for _ in range(self.max_steps):
            direction = self._direction(gradient, near)
            gain = -float(gradient @ direction) * self.weight  # twice the predicted gain in nats
            if gain <= self.tolerance:
                if near and gain > _EXACT * self.tolerance:  # the last digits are one step away
                    self._backtrack(closure, x, loss, gradient, direction)
                return
            near = near or gain < 2.0
            direction /= max(1.0, float(np.max(np.abs(direction) / self.limits)))
            moved = self._backtrack(closure, x, loss, gradient, direction)
            if moved is None:  # no step lowers the loss beyond rounding
                self._evaluate(closure, x)
                return
            idle = idle + 1 if (loss - moved[1]) * self.weight < _IDLE else 0
            x, loss, gradient = moved
            self.on_step(loss)
            if idle == _MOST_IDLE:  # steps of rounding size: somebody's limit is reached in all but name
                return

    def _direction(self, gradient: Real, near: bool) -> Real:
        if near:
            curvature = self.hessian()
            if curvature.is_positive:
                return -curvature.solve(gradient)
        return -self.information().solve(gradient)

    def _backtrack(
        self, closure: Closure, x: Real, loss: float, gradient: Real, direction: Real
    ) -> tuple[Real, float, Real] | None:
        slope = float(gradient @ direction)
        length = 1.0
        for _ in range(_HALVINGS):
            candidate = x + length * direction
            value, following = self._evaluate(closure, candidate)
            if value <= loss + _ARMIJO * length * slope:
                return candidate, value, following
            rounding = 4 * np.finfo(float).eps * abs(loss)
            if abs(value - loss) <= rounding and abs(length * slope) <= rounding:
                return (candidate, value, following) if np.abs(following).max() < np.abs(gradient).max() else None
            length /= 2
        return None


class LimitedMemory(_VectorOptimizer):
    """scipy's L-BFGS, for models with too many parameters for a curvature matrix.

    Args:
        parameter: the vector [P_free] to optimise.
        scales: [P_free] typical size of each entry's effect; the search runs in entry * scale.
        max_steps: largest number of iterations.
        on_step: called after every iteration with the loss.
    """

    def __init__(self, parameter: torch.nn.Parameter, scales: Real, max_steps: int, on_step: OnStep) -> None:
        """Note the options; the work is done in ``step``."""
        super().__init__(parameter, max_steps, on_step)
        self.scales = scales

    def _minimise(self, closure: Closure) -> None:
        def scaled(y: Real) -> Any:  # noqa: ANN401 - scipy's stubs know no function with jac=True
            loss, gradient = self._evaluate(closure, y / self.scales)
            # L-BFGS-B interpolates: it needs a large number where there is no value
            return (loss if np.isfinite(loss) else 1e10), gradient / self.scales

        def report(intermediate_result: OptimizeResult) -> None:
            self.on_step(float(intermediate_result.fun))

        start = self.parameter.detach().numpy() * self.scales
        options: Any = {
            "maxiter": self.max_steps,
            "maxfun": 4 * self.max_steps,
            "gtol": 1e-10,
            "ftol": 1e-15,
            "maxcor": 30,
        }
        found = minimize(scaled, start, jac=True, method="L-BFGS-B", callback=report, options=options)
        self._evaluate(closure, found.x / self.scales)
