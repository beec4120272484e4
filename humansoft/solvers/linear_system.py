"""The linear systems of a policy, M = I - discount * P_pi and its transpose: sparse factors, dense ones, iteration."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import spilu
from torch import Tensor

from humansoft.solvers.bicgstab import bicgstab
from humansoft.solvers.problem import Problem
from humansoft.solvers.sparse_rows import is_on_host
from humansoft.threads import one_thread

_LARGEST_FACTORISED = 50_000  # states of one block: on a plane, factors grow as M log M and their cost as M^1.5
_FEWEST_DENSE_ENTRIES, _MOST_DENSE_ENTRIES = 2**13, 2**27  # of all blocks; the latter is a gigabyte
_FULL = 0.5  # share of the blocks' entries from which sparse factors are dense ones with a detour
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
    """M by its sparse triangular factors: made once, then cheap for any number of right sides; on the CPU."""

    def __init__(self, problem: Problem, policy: Tensor) -> None:
        """Factorise; raises ``RuntimeError`` when the policy never ends (exactly singular)."""
        self.problem = problem
        pattern = problem.pattern
        self._factors = pattern.elimination.factors(pattern.fill(policy).numpy())

    def apply_inverse(self, right: Tensor, transposed: bool = False) -> Tensor:
        """Return M^-1 right or M^-T right."""
        return torch.from_numpy(self._factors.solve(right.detach().numpy(), transposed))


class DenseSystem(LinearSystem):
    """M by dense factors of its blocks, all blocks of a size at once: for small blocks, on any device."""

    def __init__(self, problem: Problem, policy: Tensor) -> None:
        """Factorise; raises ``RuntimeError`` when the policy never ends (exactly singular)."""
        self.problem = problem
        data = problem.pattern.fill(policy)
        with one_thread():  # with more of them, torch's batches on the CPU can be wrong or hang (SCIENCE 5.4)
            self._factors = [torch.linalg.lu_factor(blocks.fill(data)) for blocks in problem.dense_blocks]

    def apply_inverse(self, right: Tensor, transposed: bool = False) -> Tensor:
        """Return M^-1 right or M^-T right."""
        columns = right.detach() if right.ndim > 1 else right.detach()[:, None]
        padded = torch.nn.functional.pad(columns, (0, 0, 0, 1))
        solution = torch.empty_like(padded)
        with one_thread():
            for blocks, (lu, pivots) in zip(self.problem.dense_blocks, self._factors, strict=True):
                solution[blocks.state] = torch.linalg.lu_solve(lu, pivots, padded[blocks.state], adjoint=transposed)
        return solution[:-1].view_as(right)


class IteratedSystem(LinearSystem):
    """M by BiCGSTAB: memory of a few vectors, for problems whose factors would be too large; on any device."""

    def __init__(self, problem: Problem, policy: Tensor) -> None:
        """Note the policy, on the CPU as a matrix; nothing is factorised unless the iteration stalls."""
        self.problem, self._policy = problem, policy.detach()
        self._matrices = _matrices(problem, self._policy) if is_on_host(policy) else None

    def apply_inverse(self, right: Tensor, transposed: bool = False) -> Tensor:
        """Return M^-1 right or M^-T right to 13 digits; raises ``RuntimeError`` when that is not reached."""
        return self.approximate(right.detach(), _PRECISE, transposed)

    def approximate(self, right: Tensor, tolerance: float, transposed: bool = False) -> Tensor:
        """Return M^-1 right with residuals of at most a share ``tolerance`` of each column of ``right``.

        What plain iteration leaves is iterated on; an incomplete factorisation helps where that stalls. The
        residual is that of the solution itself: the one that the iteration carries along can drift away from it.
        """
        solution, rest, helper = torch.zeros_like(right), right, None
        allowed = tolerance * right.norm(dim=0)
        for _ in range(_MOST_ROUNDS):
            left = rest.norm(dim=0)
            if bool((left <= allowed).all()):
                return solution
            step = bicgstab(lambda x: self._times(x, transposed), rest, allowed / 2, _MOST_ITERATIONS, helper)
            better = right - self._times(solution + step, transposed)
            if bool((better.norm(dim=0) <= torch.maximum(left / 2, allowed)).all()):
                solution, rest = solution + step, better
            elif helper is None and self._matrices is not None:
                helper = _incomplete(self._matrices[transposed])
            else:
                break
        raise RuntimeError("the linear system of a policy was not solved: it may never end")

    def _times(self, vector: Tensor, transposed: bool) -> Tensor:
        """Return M x or M^T x."""
        if self._matrices is not None:
            return torch.from_numpy(self._matrices[transposed] @ vector.numpy())
        policy = self._policy if vector.ndim == 1 else self._policy[..., None]
        if transposed:
            return vector - self.problem.discount * self.problem.flow(policy * vector[:, None])
        return vector - self.problem.discount * (policy * self.problem.expected_next(vector)).sum(dim=1)


def _matrices(problem: Problem, policy: Tensor) -> tuple[csr_array, csc_array]:
    """Return M and its transpose."""
    pattern = problem.pattern
    entries = (pattern.fill(policy).numpy(), pattern.indices.numpy(), pattern.indptr.numpy())
    shape = (len(policy), len(policy))
    return csr_array(entries, shape=shape), csc_array(entries, shape=shape)


def _incomplete(matrix: csr_array | csc_array) -> Callable[[Tensor], Tensor]:
    """Return what multiplies with nearly the inverse: an incomplete factorisation."""
    factor = spilu(csc_array(matrix), _ILU_DROPS, _ILU_FILL)
    return lambda right: torch.from_numpy(factor.solve(right.numpy()))


SystemKind = Literal["factorised", "dense", "iterated"]
_SYSTEMS: dict[SystemKind, type[FactorisedSystem | DenseSystem | IteratedSystem]] = {
    "factorised": FactorisedSystem,
    "dense": DenseSystem,
    "iterated": IteratedSystem,
}


def linear_system(problem: Problem, policy: Tensor, kind: SystemKind | None = None) -> LinearSystem:
    """Return the system of a policy, by default of the kind that suits the problem and where it is.

    Raises:
        RuntimeError: the policy never ends (the matrix is exactly singular).
    """
    return _SYSTEMS[kind or _suitable(problem, is_on_host(policy))](problem, policy)


def _suitable(problem: Problem, on_host: bool) -> SystemKind:
    """Return the fastest kind of system.

    On the CPU, in milliseconds for one factorisation, sparse against dense factors in batches: 12 against 141 for 100
    grids of 256 states, 44 against 141 for 1,000 grids of 100, 35 against 131 for 2,000 chains of 60, .13 against
    .17 for Rust's 90 states (share of entries that are filled: 6 to 13 %); 4.4 against 9.3 for 10 tasks of 256 states
    at random (22 %), 11 against 4.7 for 100 of 64 (89 %), 557 against 179 for one of 2,000 (75 %). On a GPU nothing
    was measured.
    """
    entries = sum(size**2 for size in problem.block_sizes) or len(problem.log_prior) ** 2
    if not on_host:
        return "dense" if entries <= _MOST_DENSE_ENTRIES else "iterated"
    if problem.largest_block > _LARGEST_FACTORISED and problem.discount < 1:  # iteration stalls without a discount
        return "iterated"
    filled = problem.pattern.elimination.num_entries
    full = filled is not None and filled > _FULL * entries  # unknown before the first factors
    return "dense" if full and entries > _FEWEST_DENSE_ENTRIES else "factorised"


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
