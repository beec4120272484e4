"""Sparse elimination: triangular factors of I - discount * P_pi in an order of states found once for all policies."""

import copy
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import SuperLU, splu

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Factors:
    """Triangular factors of a matrix.

    Attributes:
        factor: the factors of its transpose, states in the order of elimination.
        order: that order, ``None`` where it is inside ``factor``.
    """

    factor: SuperLU
    order: Index | None

    def solve(self, right: Real, transposed: bool) -> Real:
        """Return M^-1 right or M^-T right of one [M] or several columns [M, C]."""
        mode = "N" if transposed else "T"
        if self.order is None:
            found: Real = self.factor.solve(right, mode)  # type: ignore[call-overload]
            return found
        # The factors work on one column after the other: laid out so, many columns take half the time.
        moved = np.take(np.ascontiguousarray(right.T), self.order, axis=-1)
        solution = np.empty_like(moved)
        solution[..., self.order] = self.factor.solve(moved.T, mode).T  # type: ignore[call-overload]
        return np.ascontiguousarray(solution.T)


class Elimination:
    """Factorises matrices of one pattern; the first one finds the order for all."""

    def __init__(self, indices: npt.NDArray[np.int32], indptr: npt.NDArray[np.int32]) -> None:
        """Note the columns of the entries, row after row, and where each row starts."""
        self._indices, self._indptr = indices, indptr
        self._order: Index | None = None
        self.num_entries: int | None = None
        """Entries of the factors; unknown before the first ones."""

    def factors(self, data: Real) -> Factors:
        """Factorise; raises ``RuntimeError`` where the matrix is exactly singular."""
        if self._order is None:
            factor = _factor(self._turned(data), "MMD_AT_PLUS_A")
            self.num_entries = factor.nnz
            self._arrange(np.argsort(factor.perm_c), data)
            return Factors(factor, None)
        # The indices of a new matrix would be checked, which takes as long as the factors of 100 states.
        ordered = copy.copy(self._ordered)
        ordered.data = data[self._entry]
        return Factors(_factor(ordered, "NATURAL"), self._order)

    def _turned(self, data: Real) -> csc_array:
        """Return the transpose: compressed rows of a matrix are compressed columns of that."""
        size = len(self._indptr) - 1
        return csc_array((data, self._indices, self._indptr), shape=(size, size))

    def _arrange(self, order: Index, data: Real) -> None:
        """Work out where the entries are once the states stand in another order, block by block."""
        # The order comes with the blocks by turns, out of every cache: 2,847 mazes took 2.5 times as long.
        _, block = connected_components(self._turned(data), directed=False)
        order = order[np.argsort(block[order], kind="stable")]
        numbers = self._turned(np.arange(len(self._indices), dtype=np.float64))
        self._ordered = csc_array(numbers[order][:, order])
        self._ordered.sort_indices()
        self._entry = self._ordered.data.astype(np.int64)
        self._order = order


def _factor(matrix: csc_array, order: Literal["MMD_AT_PLUS_A", "NATURAL"]) -> SuperLU:
    """Factorise without exchanging rows.

    The matrices are diagonally dominant, or are so after scaling: their diagonal needs no other pivots, so that rows
    and columns may keep one order. Panels of single columns suit factors this sparse. Against splu's own choices, in
    milliseconds for one factorisation: 12 instead of 25 for 100 grids of 256 states, 44 instead of 105 for 1,000 grids
    of 100 states, 35 instead of 162 for 2,000 chains of 60 states, .05 instead of .17 for Rust's 90 states, 270 instead
    of 490 for one grid of 100,000 states; with half of the entries or fewer in each of them.
    """
    return splu(matrix, permc_spec=order, diag_pivot_thresh=0.0, relax=1, panel_size=1, options={"SymmetricMode": True})
