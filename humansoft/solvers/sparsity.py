"""The sparsity of I - discount * P_pi: where each transition lands, worked out once for all policies."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from humansoft.solvers.elimination import Elimination
from humansoft.solvers.sparse_rows import SparseRows


@dataclass(frozen=True, eq=False)
class Pattern:
    """Compressed rows of I - discount * P_pi.

    Attributes:
        entering: what a policy adds to the entries: a row for each state and action, a column for each entry.
        identity: the entries of the identity matrix.
        indices: columns, row after row.
        indptr: [M + 1] where each row starts.
    """

    entering: SparseRows
    identity: Float[Tensor, " E"]
    indices: Int[Tensor, " E"]
    indptr: Int[Tensor, " rows"]

    @classmethod
    def of(cls, successors: Int[Tensor, "M A K"], probabilities: Float[Tensor, "M A K"], discount: float) -> "Pattern":
        """Work the pattern out; probabilities are 0 where an action cannot be chosen."""
        own = torch.arange(len(successors), dtype=torch.int32, device=successors.device)[:, None]
        entering = torch.where(probabilities > 0, successors, own[:, :, None]).to(torch.int32)
        # Rows are short: sorting each of them is much faster than sorting all entries.
        column, order = torch.sort(torch.cat([entering.flatten(1), own], dim=1), dim=1)
        fresh = torch.ones_like(column, dtype=torch.bool)
        fresh[:, 1:] = column[:, 1:] != column[:, :-1]
        number = (torch.cumsum(fresh.ravel(), 0) - 1).view_as(column)
        place = torch.empty_like(number).scatter_(1, order, number)
        starts = torch.nn.functional.pad(torch.cumsum(fresh.sum(dim=1), 0), (1, 0))
        indices = column[fresh]
        return cls(
            SparseRows(
                place[:, :-1].reshape(-1, successors.shape[2]), -discount * probabilities.flatten(0, 1), len(indices)
            ),
            identity=torch.zeros_like(indices, dtype=probabilities.dtype).index_fill_(0, place[:, -1], 1.0),
            indices=indices,
            indptr=starts.to(torch.int32),
        )

    def fill(self, policy: Float[Tensor, "M A"]) -> Float[Tensor, " E"]:
        """Return the entries of the matrix for a policy, without derivatives."""
        return self.entering.plain(policy.detach().flatten(), transposed=True).add_(self.identity)

    @cached_property
    def elimination(self) -> Elimination:
        """How to factorise such matrices with scipy."""
        return Elimination(self.indices.numpy(), self.indptr.numpy())
