"""Interpolation between Chebyshev nodes on pieces of a line: smooth functions to many digits from few values.

Soft-optimal behavior is an analytic function of the log temperature, so that polynomials through Chebyshev nodes
converge geometrically (Trefethen 2019, chapter 8): as fast as its singularities are far from the real line. That
is usually about 1, but closer where very many ways are equally good. The error is therefore measured for every
fit, at :func:`probes`.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

WIDTH = 1.0
"""Width of a piece, in units of log temperature."""

NODES = 14
"""Nodes of a piece: 1e-9 of log pi(a|s) on ordinary tasks (tests/oracle/test_interpolation.py)."""


@dataclass(frozen=True, eq=False)
class Weights:
    """What each node of its piece contributes to a point, and to the first two derivatives there.

    Attributes:
        basis: [B, NODES] the Chebyshev polynomials at the points.
    """

    basis: Real

    @cached_property
    def value(self) -> Real:
        """[B, NODES]."""
        return self._times(0)

    @cached_property
    def slope(self) -> Real:
        """[B, NODES]."""
        return self._times(1)

    @cached_property
    def bend(self) -> Real:
        """[B, NODES]."""
        return self._times(2)

    def _times(self, order: int) -> Real:
        found: Real = self.basis[:, : NODES - order] @ _from_values()[order]
        return found


@dataclass(frozen=True, eq=False)
class Pieces:
    """The pieces that some points fall on.

    Attributes:
        points: [B] where functions are wanted.
    """

    points: Real

    @cached_property
    def used(self) -> tuple[int, ...]:
        """Numbers of the pieces that hold a point, in ascending order."""
        return tuple(np.unique(self._number).tolist())

    @cached_property
    def piece(self) -> Index:
        """[B] place of each point's piece among those used."""
        return np.searchsorted(np.array(self.used), self._number)

    @cached_property
    def nodes(self) -> Real:
        """[pieces, NODES] the nodes of the pieces used."""
        return nodes_of(np.array(self.used))

    @cached_property
    def weights(self) -> Weights:
        """The weights of every point."""
        basis: Real = chebyshev.chebvander(self._local, NODES - 1).astype(np.float64, copy=False)
        return Weights(basis)

    def interpolated(self, tables: Real, row: Index, order: int = 0) -> Real:
        """Return functions at the points [B, k], or a derivative of them, by Clenshaw's recurrence.

        Each point may have a function of its own, so that weights of all nodes would be larger than what they give.

        Args:
            tables: [pieces, R, NODES, k] values of R functions at the nodes.
            row: [B] which of them is wanted at each point.
            order: of the derivative.
        """
        series = np.tensordot(_from_values()[order], tables, axes=(1, 2)).reshape(NODES - order, -1, tables.shape[3])
        place, local = self.piece * tables.shape[1] + row, self._local[:, None]
        ahead, beyond = np.zeros((2, len(row), tables.shape[3]))
        for coefficient in series[:0:-1]:
            ahead, beyond = 2 * local * ahead - beyond + coefficient.take(place, axis=0), ahead
        found: Real = local * ahead - beyond + series[0].take(place, axis=0)
        return found

    @cached_property
    def _local(self) -> Real:
        """[B] where points are on their pieces, between -1 and 1."""
        return 2 * (self.points / WIDTH - self._number) - 1

    @cached_property
    def _number(self) -> Index:
        return np.floor(self.points / WIDTH).astype(np.int64)


def nodes_of(number: Index) -> Real:
    """Return the nodes of numbered pieces [pieces, NODES]."""
    found: Real = ((number[:, None] + 0.5 + _points() / 2) * WIDTH).astype(np.float64)
    return found


def probes(number: int) -> Real:
    """Return the points of a piece at which the error of interpolation is looked at: ends, middle and between."""
    local = np.array([-0.999, -0.62, 0.0, 0.78, 0.999])  # none of them is near a node
    found: Real = (number + 0.5 + local / 2) * WIDTH
    return found


@cache
def _from_values() -> tuple[Real, Real, Real]:
    """Return the matrices from values at the nodes to the coefficients of the polynomial and its two derivatives."""
    value: Real = np.linalg.inv(chebyshev.chebvander(_points(), NODES - 1)).astype(np.float64)
    slope, bend = (chebyshev.chebder(value, order, scl=2 / WIDTH).astype(np.float64) for order in (1, 2))
    return value, slope, bend


def _points() -> Real:
    """Return the Chebyshev points of the first kind on [-1, 1]."""
    return np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
