"""Problem: the decision process a solver sees."""

from dataclasses import dataclass
from functools import cached_property

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
