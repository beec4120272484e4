"""BiCGSTAB (van der Vorst 1992) on tensors: one vector or many columns at once, on any device."""

from collections.abc import Callable

import torch
from torch import Tensor

from humansoft.solvers.sparse_rows import is_on_host

Operator = Callable[[Tensor], Tensor]
Scalar = Tensor | float


def bicgstab(
    product: Operator, right: Tensor, allowed: Tensor, max_steps: int, helper: Operator | None = None
) -> Tensor:
    """Return x with product(x) near ``right`` ([M] or [M, C]); how near it came is for the caller to see.

    Columns do not touch each other; one that has arrived stays as it is.

    Args:
        product: multiplies with the matrix.
        right: right sides.
        allowed: norm of the residual, of each column, at which a column has arrived.
        max_steps: steps (two products each) after which all stop.
        helper: multiplies with something near the inverse.
    """
    solution, rest, shadow = torch.zeros_like(right), right.clone(), right
    along, image = torch.zeros_like(right), torch.zeros_like(right)
    rho: Scalar = 1.0
    alpha: Scalar = 1.0
    omega: Scalar = 1.0
    goal: Scalar = float(allowed) ** 2 if _is_single(right) else allowed**2
    left = _dot(rest, rest)
    for _ in range(max_steps):
        running = left > goal
        if not (running if isinstance(running, bool) else bool(running.any())):
            break
        rho_before, rho = rho, _dot(shadow, rest)
        beta = _over(rho * alpha, rho_before * omega)
        along = _add(_add(along, image, -omega).mul_(beta), rest, 1.0)
        helped = along if helper is None else helper(along)
        image = product(helped)
        alpha = running * _over(rho, _dot(shadow, image))
        _add(rest, image, -alpha)
        smoothed = rest if helper is None else helper(rest)
        turned = product(smoothed)
        omega = running * _over(_dot(turned, rest), _dot(turned, turned))
        _add(_add(solution, helped, alpha), smoothed, omega)
        _add(rest, turned, -omega)
        left = _dot(rest, rest)
    return solution


def _is_single(vector: Tensor) -> bool:
    """Whether scalars may be Python's: short vectors spend more time on scalars that are tensors than on themselves."""
    return vector.ndim == 1 and is_on_host(vector)


def _dot(left: Tensor, right: Tensor) -> Scalar:
    """Return the scalar product of each pair of columns."""
    return torch.dot(left, right).item() if _is_single(left) else (left * right).sum(dim=0)


def _add(total: Tensor, vector: Tensor, scale: Scalar) -> Tensor:
    """Add scale * vector to a total, in place."""
    return total.addcmul_(vector, scale) if isinstance(scale, Tensor) else total.add_(vector, alpha=scale)


def _over(above: Scalar, below: Scalar) -> Scalar:
    """Divide, by 1 where a column has nothing left to divide by: it has arrived, and ``above`` is 0 too."""
    return above / (below + (below == 0))
