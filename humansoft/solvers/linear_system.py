"""The linear systems of a policy: M = I - discount * P_pi and its transpose, factorised or iterated."""

from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import LinearOperator, SuperLU, bicgstab, spilu, splu
from torch import Tensor

from humansoft.solvers.problem import Problem

Real = npt.NDArray[np.float64]

_LARGEST_FACTORISED = 50_000  # states of one block: on a plane, factors grow as M log M and their cost as M^1.5
_PRECISE = 1e-13  # share of the right side
_MOST_ROUNDS = 20
_MOST_ITERATIONS = 400
_ILU_DROPS, _ILU_FILL = 1e-4, 10.0


class LinearSystem(ABC):
    """M = I - discount * P_pi of one policy; a subclass says how M^-1 is applied."""

    problem: Problem

    @abstractmethod
    def apply_inverse(self, right: Tensor, transposed: bool = False) -> Tensor:
        """Return M^-1 right (or M^-T right) of one [M] or several columns [M, C], without derivatives."""

    def solve(self, policy: Tensor, right: Tensor, *, transposed: bool = False) -> Tensor:
        """Return M^-1 right (or M^-T right), differentiable in ``policy`` and ``right``."""
        return _Solve.apply(policy, right, self, transposed)  # type: ignore[no-any-return,no-untyped-call]


class FactorisedSystem(LinearSystem):
    """M by its sparse triangular factors: made once, then cheap for any number of right sides."""

    def __init__(self, problem: Problem, policy: Tensor) -> None:
        """Factorise; raises ``RuntimeError`` when the policy never ends (exactly singular)."""
        self.problem = problem
        pattern = problem.pattern
        size = len(pattern.indptr) - 1
        # Compressed rows of M are compressed columns of its transpose.
        turned = csc_array((pattern.fill(policy), pattern.indices, pattern.indptr), shape=(size, size))
        self._factor: SuperLU = splu(turned)

    def apply_inverse(self, right: Tensor, transposed: bool = False) -> Tensor:
        """Return M^-1 right or M^-T right."""
        vector: Real = right.detach().numpy()
        return torch.from_numpy(self._factor.solve(vector, "N" if transposed else "T"))  # type: ignore[call-overload]


class IteratedSystem(LinearSystem):
    """M by BiCGSTAB: memory of a few vectors, for problems whose factors would be too large."""

    def __init__(self, problem: Problem, policy: Tensor) -> None:
        """Fill in the matrix; nothing is factorised unless the iteration stalls."""
        self.problem = problem
        pattern = problem.pattern
        size = len(pattern.indptr) - 1
        self._matrix = csr_array((pattern.fill(policy), pattern.indices, pattern.indptr), shape=(size, size))

    def apply_inverse(self, right: Tensor, transposed: bool = False) -> Tensor:
        """Return M^-1 right or M^-T right to 13 digits; raises ``RuntimeError`` when that is not reached."""
        vectors: Real = right.detach().numpy()
        if vectors.ndim == 1:
            return torch.from_numpy(self.approximate(vectors, _PRECISE, transposed))
        columns = [self.approximate(np.ascontiguousarray(c), _PRECISE, transposed) for c in vectors.T]
        return torch.from_numpy(np.stack(columns, axis=1))

    def approximate(self, right: Real, tolerance: float, transposed: bool = False) -> Real:
        """Return M^-1 right with a residual of at most a share ``tolerance`` of ``right``.

        What plain iteration leaves is iterated on; an incomplete factorisation helps where that stalls. The
        residual is that of the solution itself: the one that the iteration carries along can drift away from it.
        """
        matrix = self._matrix.T if transposed else self._matrix
        solution, rest = np.zeros_like(right), right
        allowed, helper = tolerance * float(np.linalg.norm(right)), None
        for _ in range(_MOST_ROUNDS):
            left = float(np.linalg.norm(rest))
            if left <= allowed:
                return solution
            step, _ = bicgstab(matrix, rest, rtol=0.0, atol=allowed / 2, maxiter=_MOST_ITERATIONS, M=helper)
            better = right - matrix @ (solution + step)
            if np.linalg.norm(better) < left / 2:
                solution, rest = solution + step, better
            elif helper is None:
                helper = LinearOperator(matrix.shape, spilu(csc_array(matrix), _ILU_DROPS, _ILU_FILL).solve)
            else:
                break
        raise RuntimeError("the linear system of a policy was not solved: it may never end")


def linear_system(
    problem: Problem, policy: Tensor, kind: Literal["factorised", "iterated"] | None = None
) -> LinearSystem:
    """Return the system of a policy: factorised, or iterated where a block has very many states.

    Raises:
        RuntimeError: the policy never ends (the matrix is exactly singular).
    """
    if kind is None:
        kind = "factorised" if len(policy) / problem.num_blocks <= _LARGEST_FACTORISED else "iterated"
    return FactorisedSystem(problem, policy) if kind == "factorised" else IteratedSystem(problem, policy)


class _Solve(torch.autograd.Function):
    """x = M^-1 b with M = I - discount * sum_a policy * P; its backward is one transposed solve."""

    @staticmethod
    def forward(ctx: Any, policy: Tensor, right: Tensor, system: LinearSystem, transposed: bool) -> Tensor:  # noqa: ANN401
        solution = system.apply_inverse(right, transposed)
        ctx.save_for_backward(policy, solution)
        ctx.system, ctx.transposed = system, transposed
        return solution

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:  # noqa: ANN401
        policy, solution = ctx.saved_tensors
        system: LinearSystem = ctx.system
        adjoint = system.solve(policy, gradients[0], transposed=not ctx.transposed)
        # d(M^-1 b) = -M^-1 dM x, and dM = -discount * dpolicy * P
        left, right = (solution, adjoint) if ctx.transposed else (adjoint, solution)
        to_policy = system.problem.discount * left[:, None] * system.problem.expected_next(right)
        return to_policy, adjoint, None, None
