"""Separate blocks of states as batches of small dense matrices."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from humansoft.solvers.sparsity import Pattern

_ALIKE = 16  # blocks whose sizes are equal in units of this many states share a batch


@dataclass(frozen=True, eq=False)
class DenseBlocks:
    """Blocks of about equal size as one batch: all have the size of the largest, with ones on the diagonal.

    Attributes:
        state: [batch, size] the state of each line, M where there is none.
        entry: which entries of the pattern stand in these blocks.
        place: where, counted through the batch, row after row.
        padding: places of the diagonal in lines without a state.
    """

    state: Int[Tensor, "batch size"]
    entry: Int[Tensor, " inside"]
    place: Int[Tensor, " inside"]
    padding: Int[Tensor, " lines"]

    def fill(self, data: Float[Tensor, " E"]) -> Float[Tensor, "batch size size"]:
        """Return the matrices of the pattern's entries."""
        count, size = self.state.shape
        flat = data.new_zeros(count * size * size)
        flat[self.place] = data[self.entry]
        flat[self.padding] = 1.0
        return flat.view(count, size, size)


def dense_blocks(pattern: Pattern, block_sizes: tuple[int, ...]) -> tuple[DenseBlocks, ...]:
    """Sort blocks (states of each, one block after the other) into batches, on the device of the pattern."""
    device = pattern.indices.device
    sizes = torch.tensor(block_sizes).to(device)
    starts = torch.cumsum(sizes, 0) - sizes
    block = torch.repeat_interleave(torch.arange(len(sizes), device=device), sizes)
    local = torch.arange(len(block), device=device) - starts[block]
    row = torch.repeat_interleave(torch.arange(len(block), device=device), pattern.indptr.diff())
    found = []
    kind = (sizes - 1) // _ALIKE
    for number in sorted({(size - 1) // _ALIKE for size in block_sizes}):
        members = (kind == number).nonzero()[:, 0]
        size = int(sizes[members].max())
        line = torch.arange(size, device=device)
        filled = line < sizes[members][:, None]
        state = torch.where(filled, starts[members][:, None] + line, len(block))
        rank = torch.zeros_like(sizes).index_copy_(0, members, torch.arange(len(members), device=device))
        entry = (kind[block[row]] == number).nonzero()[:, 0]
        from_state = row[entry]
        place = (rank[block[from_state]] * size + local[from_state]) * size + local[pattern.indices[entry]]
        empty = (~filled).flatten().nonzero()[:, 0]
        found.append(DenseBlocks(state, entry, place, padding=empty * size + empty % size))
    return tuple(found)
