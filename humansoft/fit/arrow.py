"""Block-arrow matrices: second derivatives of people who have parameters of their own and share others.

Parameters that belong to one row of people only (their temperatures) never meet those of another row, so
the Hessian of B people has a block for each of them, an edge for what they share, and nothing else. Sums,
solutions and inverses then cost as much as there are people, not the square or cube of it.

The inverse under the constraints (some parameters fixed, at most one weighted sum a'x held at 0) is blocks plus a
matrix of low rank. With own blocks D, edge B (the constraint is one more column of it, with a) and the Schur
complement S = corner - B' D^-1 B of the shared parameters and the constraint,

    [H a; a' 0]^-1 = D^-1 + W S^-1 W',     W = -D^-1 B for own parameters, the identity for shared ones.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_TINY, _ROUNDING = 1e-300, 1e-16


@dataclass(frozen=True, eq=False)
class Layout:
    """Which parameters a row of people has alone, and which it shares with other rows.

    Attributes:
        owner: [R, C] parameter that a color is in each row, -1 where there is none.
        size: number of parameters P.
    """

    owner: Index
    size: int

    @cached_property
    def is_own(self) -> Flags:
        """[C] whether each parameter of a color belongs to one row only, of several."""
        met = np.bincount(self.owner[self.owner >= 0], minlength=self.size)
        shared = (self.owner >= 0) & (np.r_[met, 0][self.owner] > 1)
        own: Flags = ~shared.any(axis=0) & (len(self.owner) > 1)
        return own

    @cached_property
    def own(self) -> Index:
        """[R, c] the parameters of each row alone, -1 where there is none."""
        return self.owner[:, self.is_own]

    @cached_property
    def border(self) -> Index:
        """[k] the parameters that rows share."""
        shared = self.owner[:, ~self.is_own]
        return np.unique(shared[shared >= 0])

    @cached_property
    def place(self) -> Index:
        """[R, C - c] place in the border of each row's shared parameters, -1 where there is none."""
        places = np.full(self.size + 1, -1)
        places[self.border] = np.arange(len(self.border))
        found: Index = places[self.owner[:, ~self.is_own]]
        return found


@dataclass(frozen=True, eq=False)
class ArrowMatrix:
    """A symmetric matrix [P, P] of own blocks, edges and a corner.

    Attributes:
        layout: which parameter stands where.
        blocks: [R, c, c] a row's own parameters with each other.
        edge: [R, c, k] a row's own parameters with the shared ones.
        corner: [k, k] the shared parameters with each other.
    """

    layout: Layout
    blocks: Real
    edge: Real
    corner: Real

    @classmethod
    def of_rows(cls, layout: Layout, by_row: Real) -> "ArrowMatrix":
        """Add up the matrices [R, C, C] of all rows, in colors, into one of parameters."""
        own, num_rows, num_shared = layout.is_own, len(layout.owner), len(layout.border)
        given = len(by_row)  # rows without decisions may be left out at the end
        blocks = np.zeros((num_rows, own.sum(), own.sum()))
        blocks[:given] = by_row[:, own][:, :, own]
        edge = np.zeros((num_rows, own.sum(), num_shared + 1))
        corner = np.zeros((num_shared + 1, num_shared + 1))  # place -1, the last: what no row has
        place = layout.place[:given]
        np.add.at(edge.swapaxes(1, 2), (np.arange(given)[:, None], place), by_row[:, ~own][:, :, own])
        np.add.at(corner, (place[:, :, None], place[:, None, :]), by_row[:, ~own][:, :, ~own])
        return cls(layout, blocks, edge[:, :, :num_shared], corner[:num_shared, :num_shared])

    def scaled(self, factor: float) -> "ArrowMatrix":
        """Return the matrix times a number."""
        return replace(self, blocks=factor * self.blocks, edge=factor * self.edge, corner=factor * self.corner)

    def plus(self, dense: Real) -> "ArrowMatrix":
        """Return the sum with a matrix [P, P] that has no entries outside the arrow."""
        own, border = self.layout.own, self.layout.border
        kept = (own >= 0)[:, :, None]
        return replace(
            self,
            blocks=self.blocks + np.where(kept & kept.swapaxes(1, 2), dense[own[:, :, None], own[:, None, :]], 0.0),
            edge=self.edge + np.where(kept, dense[own[:, :, None], border], 0.0),
            corner=self.corner + dense[np.ix_(border, border)],
        )

    def diagonal(self) -> Real:
        """Return the diagonal [P]."""
        found = np.zeros(self.layout.size + 1)
        found[self.layout.own] = np.diagonal(self.blocks, axis1=1, axis2=2)
        found[self.layout.border] = np.diag(self.corner)
        return found[:-1]

    def times(self, columns: Real) -> Real:
        """Return the product with columns [P, Q]."""
        own, border = self.layout.own, self.layout.border
        mine = _own_rows(own, columns)
        product = np.zeros((self.layout.size + 1, columns.shape[1]))
        product[own] = self.blocks @ mine + self.edge @ columns[border]
        product[border] = self.corner @ columns[border] + np.einsum("rck,rcq->kq", self.edge, mine)
        return product[:-1]

    def toarray(self) -> Real:
        """Return the matrix [P, P] itself."""
        return self.times(np.eye(self.layout.size))


@dataclass(frozen=True, eq=False)
class BlockCovariance:
    """A covariance [P, P] of own blocks plus a matrix of low rank: blocks + factor core factor'.

    Attributes:
        layout: which parameter stands where.
        blocks: [R, c, c] of each row's own parameters.
        factor: [P, Q].
        core: [Q, Q].
        unknown: [P] parameters about which it says nothing (nan); ``None``: none.
    """

    layout: Layout
    blocks: Real
    factor: Real
    core: Real
    unknown: Flags | None = None

    def variances(self) -> Real:
        """Return the diagonal [P]."""
        found = np.zeros(self.layout.size + 1)
        found[self.layout.own] = np.diagonal(self.blocks, axis1=1, axis2=2)
        total: Real = found[:-1] + np.einsum("pq,qr,pr->p", self.factor, self.core, self.factor, optimize=True)
        return total if self.unknown is None else np.where(self.unknown, np.nan, total)

    def times(self, columns: Real) -> Real:
        """Return the product with columns [P, Q]; nan for columns that involve what is unknown."""
        product = self.of_blocks(columns) + self.factor @ (self.core @ (self.factor.T @ columns))
        if self.unknown is not None:
            product[self.unknown] = np.nan
            product[:, (columns[self.unknown] != 0).any(axis=0)] = np.nan
        return product

    def of_blocks(self, columns: Real) -> Real:
        """Return the product of the blocks alone with columns [P, Q]."""
        own = self.layout.own
        product = np.zeros((self.layout.size + 1, columns.shape[1]))
        product[own] = self.blocks @ _own_rows(own, columns)
        return product[:-1]

    def around(self, middle: ArrowMatrix) -> "BlockCovariance":
        """Return the sandwich C M C of this covariance around a matrix."""
        pulled = middle.times(self.factor)
        rest = self.of_blocks(pulled)
        return BlockCovariance(
            self.layout,
            self.blocks @ middle.blocks @ self.blocks,
            np.hstack([self.factor, rest]),
            np.block(
                [
                    [self.core @ (self.factor.T @ pulled) @ self.core, self.core],
                    [self.core, np.zeros_like(self.core)],
                ]
            ),
        )

    def without(self, unknown: Flags) -> "BlockCovariance":
        """Return it with nothing said about some parameters [P]."""
        return replace(self, unknown=unknown)

    def toarray(self) -> Real:
        """Return the matrix [P, P] itself."""
        return self.times(np.eye(self.layout.size))


@dataclass(frozen=True, eq=False)
class Inverse:
    """The inverse of an arrow matrix under constraints.

    Attributes:
        covariance: the inverse; 0 for fixed parameters.
        smallest: the smallest eigenvalue over the largest, of the own blocks and of the Schur complement, whichever
            is smaller, with parameters scaled to a diagonal of 1. Not above 0 when the matrix is not positive definite
            where the constraints let it move; parameters with a diagonal of 0 are left out.
    """

    covariance: BlockCovariance
    smallest: float


def dense(matrix: Real) -> ArrowMatrix:
    """Return a matrix [P, P] of parameters that all are shared."""
    layout = Layout(np.arange(len(matrix))[None, :], len(matrix))
    return ArrowMatrix(layout, np.zeros((1, 0, 0)), np.zeros((1, 0, len(matrix))), matrix)


def inverse(matrix: ArrowMatrix, free: Flags, mean_zero: Real | None, cutoff: float = 0.0) -> Inverse:
    """Invert a matrix over its free parameters.

    Args:
        matrix: the matrix.
        free: [P] parameters that are not fixed.
        mean_zero: [P] weights of the sum that is held at 0, if there is one.
        cutoff: eigenvalues below this share of the largest are taken for flat: own parameters move along them only
            as far as the constraint makes them, shared ones not at all.
    """
    layout, num_shared = matrix.layout, len(matrix.layout.border)
    size = np.sqrt(np.abs(matrix.diagonal()))
    unit = np.r_[np.where(free & (size > 0), 1.0 / np.maximum(size, _TINY), 0.0), 0.0]
    own, shared = unit[layout.own], unit[layout.border]
    edge = np.zeros((*layout.own.shape, num_shared + 1))
    edge[:, :, :num_shared] = matrix.edge * own[:, :, None] * shared
    schur = np.zeros((num_shared + 1, num_shared + 1))
    schur[:num_shared, :num_shared] = matrix.corner * np.outer(shared, shared) + np.diag(shared == 0)
    if mean_zero is not None:
        weights = np.r_[mean_zero, 0.0] * unit
        weights /= max(float(np.linalg.norm(weights)), _TINY)
        edge[:, :, -1] = weights[layout.own]
        schur[-1, :num_shared] = schur[:num_shared, -1] = weights[layout.border]
    blocks = matrix.blocks * own[:, :, None] * own[:, None, :]
    values, vectors = np.linalg.eigh(blocks + np.eye(own.shape[1]) * (own == 0)[:, :, None])
    turned = vectors.swapaxes(1, 2) @ edge
    kept = 1.0 / np.maximum(values, max(max(cutoff, _ROUNDING) * float(values.max(initial=0.0)), _TINY))
    schur -= np.einsum("rcj,rc,rck->jk", turned, kept, turned)
    moving = schur if mean_zero is not None else schur[:num_shared, :num_shared]
    core, smallest = _pseudo_inverse(moving, int(mean_zero is not None), cutoff)
    factor = np.zeros((layout.size + 1, len(moving)))
    factor[layout.own] = -(vectors @ (kept[:, :, None] * turned))[:, :, : len(moving)] * own[:, :, None]
    factor[layout.border, np.arange(num_shared)] = shared
    inner = (vectors * kept[:, None, :]) @ vectors.swapaxes(1, 2) * own[:, :, None] * own[:, None, :]
    least = min(float(values.min(initial=np.inf)) / max(float(values.max(initial=0.0)), 1.0), smallest)
    return Inverse(BlockCovariance(layout, inner, factor[:-1], core), least)


def _pseudo_inverse(schur: Real, num_constraints: int, cutoff: float) -> tuple[Real, float]:
    """Invert the Schur complement: each constraint gives it one negative eigenvalue, all others should be positive."""
    if not len(schur):
        return schur, np.inf
    values, vectors = np.linalg.eigh((schur + schur.T) / 2)
    largest = max(float(np.abs(values).max()), 1.0)  # of parameters scaled to 1: what is left may be rounding alone
    told = np.abs(values) > cutoff * largest
    inverted = (vectors * np.where(told, 1.0 / np.where(told, values, 1.0), 0.0)) @ vectors.T
    positive = values[num_constraints:]
    return inverted, float(positive.min(initial=np.inf)) / largest


def _own_rows(own: Index, columns: Real) -> Real:
    """Return the rows [R, c, Q] of columns [P, Q] that stand for own parameters, 0 where there is none."""
    return np.where((own >= 0)[:, :, None], columns[own], 0.0)
