"""Problem: the decision process a solver sees."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from humansoft.solvers.sparsity import Pattern


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
        num_blocks: number of parts that do not touch.
    """

    successors: Int[Tensor, "M A K"]
    probabilities: Float[Tensor, "M A K"]
    log_prior: Float[Tensor, "M A"]
    discount: float
    horizon: int | None = None
    num_blocks: int = 1

    @cached_property
    def playable(self) -> Tensor:
        """[M, A] true where the action can be chosen."""
        return torch.isfinite(self.log_prior)

    @cached_property
    def pattern(self) -> Pattern:
        """Sparsity pattern of I - discount * P_pi."""
        return Pattern.of(self.successors, self.probabilities * self.playable[:, :, None], self.discount)

    @cached_property
    def is_deterministic(self) -> bool:
        """True when every action that can be chosen has one outcome."""
        return int((self.probabilities * self.playable[:, :, None] > 0).sum(dim=-1).max()) <= 1

    def expected_next(self, value: Tensor) -> Tensor:
        """Return E[value(s') | s, a] as [M, A] of values [M], or as [M, A, C] of C columns of values [M, C]."""
        found: Tensor = _Product.apply(self._departures, self, value)  # type: ignore[no-untyped-call]
        return found.view(*self.log_prior.shape, *value.shape[1:])

    def flow(self, mass: Tensor) -> Tensor:
        """Return where mass [M, A] on states and actions goes in one step, as [M]: expected_next transposed."""
        found: Tensor = _Product.apply(self._arrivals, self, mass.reshape(-1))  # type: ignore[no-untyped-call]
        return found

    @cached_property
    def _departures(self) -> Tensor:
        """[M * A, M] transition probabilities as compressed rows: several times faster than gathering successors."""
        possible = self.probabilities > 0
        ends = torch.cumsum(possible.sum(dim=-1).ravel(), 0)
        starts = torch.cat([torch.zeros_like(ends[:1]), ends])
        return _compressed(starts, self.successors[possible], self.probabilities[possible], len(self.successors))

    @cached_property
    def _arrivals(self) -> Tensor:
        """[M, M * A] the same transposed."""
        columns = self._departures.to_sparse_csc()
        return _compressed(columns.ccol_indices(), columns.row_indices(), columns.values(), len(self._departures))


def _compressed(starts: Tensor, columns: Tensor, entries: Tensor, width: int) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Sparse CSR tensor support is in beta.*")
        shape = (len(starts) - 1, width)
        return torch.sparse_csr_tensor(starts, columns, entries, shape, check_invariants=True)


class _Product(torch.autograd.Function):
    """A sparse matrix of a problem times a dense one; its backward is the other matrix."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, problem: Problem, dense: Tensor) -> Tensor:  # noqa: ANN401
        ctx.problem, ctx.departing = problem, matrix is problem._departures
        product: Tensor = matrix @ dense
        return product

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:  # noqa: ANN401
        other = ctx.problem._arrivals if ctx.departing else ctx.problem._departures
        return None, None, _Product.apply(other, ctx.problem, gradients[0])  # type: ignore[no-untyped-call]
