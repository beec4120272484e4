"""Problem: the decision process a solver sees, and the linear systems it gives rise to."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from scipy.sparse import csc_array
from scipy.sparse.linalg import SuperLU, splu
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Problem:
    """Transitions, prior policy and discount of M states; blocks that do not touch are a batch.

    Attributes:
        successors: [M, A, K] successor lists.
        probabilities: [M, A, K] their probabilities.
        log_prior: [M, A] log of the reference policy (0 for the entropy planner); -inf where the
            action cannot be chosen. A state without actions has ended: its value is 0.
        discount: weight of the next step's value.
        horizon: number of decisions, or ``None`` for a stationary problem.
    """

    successors: Int[Tensor, "M A K"]
    probabilities: Float[Tensor, "M A K"]
    log_prior: Float[Tensor, "M A"]
    discount: float
    horizon: int | None = None

    @cached_property
    def playable(self) -> Tensor:
        """[M, A] true where the action can be chosen."""
        return torch.isfinite(self.log_prior)

    @cached_property
    def pattern(self) -> "_Pattern":
        """Sparsity pattern of I - discount * P_pi, worked out once."""
        return _Pattern.of(self)

    def expected_next(self, value: Tensor) -> Tensor:
        """Return E[value(s') | s, a] as [M, A] of values [M], or as [M, A, C] of C columns of values [M, C]."""
        if value.ndim == 1:
            return (self.probabilities * value[self.successors]).sum(dim=-1)
        found = torch.zeros((*self.log_prior.shape, value.shape[1]), dtype=value.dtype, device=value.device)
        for k in range(self.successors.shape[2]):  # one successor at a time: no table of [M, A, K, C]
            found.addcmul_(self.probabilities[:, :, k, None], value[self.successors[:, :, k]])
        return found

    def flow(self, mass: Tensor) -> Tensor:
        """Return where mass [M, A] on states and actions goes in one step, as [M]: expected_next transposed."""
        arriving = (self.probabilities * mass[:, :, None]).ravel()
        return torch.zeros_like(self.log_prior[:, 0]).index_add_(0, self.successors.ravel(), arriving)


@dataclass(frozen=True, eq=False)
class _Pattern:
    """Where each (state, action, successor) lands in the compressed columns of the matrix."""

    flat_action: npt.NDArray[np.int64]  # state * A + action of each entry
    discounted: npt.NDArray[np.float64]  # -discount * probability of each entry
    place: npt.NDArray[np.int64]  # position of each entry in the data array
    diagonal: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    indptr: npt.NDArray[np.int32]

    @classmethod
    def of(cls, problem: Problem) -> "_Pattern":
        probabilities = problem.probabilities.numpy() * problem.playable.numpy()[:, :, None]
        state, action, k = np.nonzero(probabilities > 0)
        size, num_actions = problem.log_prior.shape
        successor = problem.successors.numpy()[state, action, k]
        own = np.arange(size)
        key = np.r_[successor * size + state, own * size + own]  # column-major order
        distinct, inverse = np.unique(key, return_inverse=True)
        column, row = distinct // size, distinct % size
        return cls(
            flat_action=state * num_actions + action,
            discounted=-problem.discount * probabilities[state, action, k],
            place=inverse[: len(state)],
            diagonal=inverse[len(state) :],
            indices=row.astype(np.int32),
            indptr=np.searchsorted(column, np.arange(size + 1)).astype(np.int32),
        )


class LinearSystem:
    """The factorised matrix M = I - discount * P_pi of one policy, and its transpose."""

    def __init__(self, problem: Problem, policy: Tensor) -> None:
        """Factorise; raises ``RuntimeError`` when the policy never ends (exactly singular)."""
        pattern = problem.pattern
        entries = pattern.discounted * policy.detach().numpy().ravel()[pattern.flat_action]
        summed = np.bincount(pattern.place, weights=entries, minlength=len(pattern.indices))
        data = summed.astype(np.float64)
        data[pattern.diagonal] += 1.0
        size = len(pattern.diagonal)
        matrix = csc_array((data, pattern.indices, pattern.indptr), shape=(size, size))
        self.problem = problem
        self._factor: SuperLU = splu(matrix)

    def solve(self, policy: Tensor, right: Tensor, *, transposed: bool = False) -> Tensor:
        """Return M^-1 right (or M^-T right), differentiable in ``policy`` and ``right``."""
        return _Solve.apply(policy, right, self, transposed)  # type: ignore[no-any-return,no-untyped-call]

    def apply_inverse(self, right: Tensor, transposed: bool = False) -> Tensor:
        """Return M^-1 right (or M^-T right) of one [M] or several columns [M, C], without derivatives."""
        vector: npt.NDArray[np.float64] = right.detach().numpy()
        solution = self._factor.solve(vector, "T" if transposed else "N")  # type: ignore[call-overload]
        return torch.from_numpy(solution)


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
