"""Problem: the decision process a solver sees."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from humansoft.solvers.dense_blocks import DenseBlocks, dense_blocks
from humansoft.solvers.sparse_rows import SparseRows
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
        block_sizes: states of each of the parts that do not touch, one part after the other; empty for one part.
    """

    successors: Int[Tensor, "M A K"]
    probabilities: Float[Tensor, "M A K"]
    log_prior: Float[Tensor, "M A"]
    discount: float
    horizon: int | None = None
    block_sizes: tuple[int, ...] = ()

    @property
    def largest_block(self) -> int:
        """States of the largest part that touches no other."""
        return max(self.block_sizes, default=len(self.log_prior))

    @property
    def device(self) -> torch.device:
        """Where the problem is solved."""
        return self.log_prior.device

    def on(self, device: torch.device) -> "Problem":
        """Return the problem on a device (itself where it is there)."""
        if device == self.device:
            return self
        successors, probabilities = self.successors.to(device), self.probabilities.to(device)
        return replace(self, successors=successors, probabilities=probabilities, log_prior=self.log_prior.to(device))

    @cached_property
    def playable(self) -> Tensor:
        """[M, A] true where the action can be chosen."""
        return torch.isfinite(self.log_prior)

    @cached_property
    def kernel(self) -> SparseRows:
        """P(s' | s, a): a row for each state and action."""
        return SparseRows(self.successors.flatten(0, 1), self.probabilities.flatten(0, 1), len(self.successors))

    @cached_property
    def pattern(self) -> Pattern:
        """Sparsity pattern of I - discount * P_pi."""
        return Pattern.of(self.successors, self.probabilities * self.playable[:, :, None], self.discount)

    @cached_property
    def dense_blocks(self) -> tuple[DenseBlocks, ...]:
        """Where the entries of :attr:`pattern` stand in batches of dense matrices."""
        return dense_blocks(self.pattern, self.block_sizes or (len(self.log_prior),))

    @cached_property
    def is_deterministic(self) -> bool:
        """True when every action that can be chosen has one outcome."""
        return int((self.probabilities * self.playable[:, :, None] > 0).sum(dim=-1).max()) <= 1

    def expected_next(self, value: Tensor) -> Tensor:
        """Return E[value(s') | s, a] as [M, A] of values [M], or as [M, A, C] of C columns of values [M, C]."""
        return self.kernel.times(value).view(*self.log_prior.shape, *value.shape[1:])

    def flow(self, mass: Tensor) -> Tensor:
        """Return where mass [M, A] on states and actions goes in one step, as [M]: expected_next transposed.

        Of C columns of mass [M, A, C]: [M, C].
        """
        return self.kernel.transposed_times(mass.flatten(0, 1))
