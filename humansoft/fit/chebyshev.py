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
        value: [B, NODES].
        slope: [B, NODES].
        bend: [B, NODES].
    """

    value: Real
    slope: Real
    bend: Real


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
        local = 2 * (self.points / WIDTH - self._number) - 1
        basis = chebyshev.chebvander(local, NODES - 1)
        value, slope, bend = _from_values()
        return Weights(basis @ value, basis[:, :-1] @ slope, basis[:, :-2] @ bend)

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
