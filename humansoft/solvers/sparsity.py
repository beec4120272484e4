"""The sparsity of I - discount * P_pi: where each transition lands, worked out once for all policies."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pattern:
    """Compressed rows of I - discount * P_pi.

    Attributes:
        discounted: [M, A, K] -discount * probability.
        place: [M * A * K] position of each entry in the data array.
        diagonal: [M] position of the diagonal.
        indices: columns, row after row.
        indptr: [M + 1] where each row starts.
    """

    discounted: Real
    place: npt.NDArray[np.int64]
    diagonal: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    indptr: npt.NDArray[np.int32]

    @classmethod
    def of(cls, successors: Int[Tensor, "M A K"], probabilities: Float[Tensor, "M A K"], discount: float) -> "Pattern":
        """Work the pattern out; probabilities are 0 where an action cannot be chosen."""
        own = torch.arange(len(successors), dtype=torch.int32)[:, None]
        entering = torch.where(probabilities > 0, successors, own[:, :, None]).to(torch.int32)
        # Rows are short: sorting each of them is much faster than sorting all entries.
        column, order = torch.sort(torch.cat([entering.flatten(1), own], dim=1), dim=1)
        fresh = torch.ones_like(column, dtype=torch.bool)
        fresh[:, 1:] = column[:, 1:] != column[:, :-1]
        number = (torch.cumsum(fresh.ravel(), 0) - 1).view_as(column)
        place = torch.empty_like(number).scatter_(1, order, number)
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), torch.cumsum(fresh.sum(dim=1), 0)])
        return cls(
            discounted=(-discount * probabilities).numpy(),
            place=place[:, :-1].flatten().numpy(),
            diagonal=place[:, -1].numpy(),
            indices=column[fresh].numpy(),
            indptr=starts.numpy().astype(np.int32),
        )

    def fill(self, policy: Float[Tensor, "M A"]) -> Real:
        """Return the entries of the matrix for a policy."""
        entries = (self.discounted * policy.detach().numpy()[:, :, None]).ravel()
        data: Real = np.bincount(self.place, weights=entries, minlength=len(self.indices)).astype(np.float64)
        data[self.diagonal] += 1.0
        return data
