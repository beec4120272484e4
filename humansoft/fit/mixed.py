"""The population behind people: own parameters = what covariates say + how a person deviates.

own_i = X_i beta + u_i, u_i ~ N(0, Sigma): a linear mixed model on the log temperature (and on reward weights where
people have their own), under the soft-optimal likelihood (SCIENCE 4.5).
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import null_space

from humansoft.fit.spreads import Repeated, Separate, Spread
from humansoft.parameters import Parameter, Parameters

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mixed:
    """A mixed model of the own parameters of B people (K each), and the names of its parameters.

    The parameters are one vector: what people share (of the reward, then of choice terms), coefficients (p), and what
    says how deviations vary: logs of standard deviations, and in one case the inverse hyperbolic tangent of a
    correlation.

    Attributes:
        shared: the parameters that people share, fixed ones included.
        coefficients: the p coefficients.
        spread: the r parameters of the covariance of the deviations that there are (D <= K).
        design: [B, K, p] what multiplies the coefficients.
        deviating: [D] which own parameters deviate between people.
        varying: how the spread makes a covariance.
        mean_zero: [p] weights of the sum of coefficients that is held at 0, where nothing else gives a scale.
        held: [P] where parameters are held that were found at a boundary, nan for all others; ``None``: there are none.
        turn: [p, p] coefficients of the terms of a formula = turn @ coefficients, where the design has combinations of
            terms that are orthogonal and of size 1, so that nothing depends on a column's unit or where its zero is;
            ``None``: the design has the terms themselves.
    """

    shared: tuple[Parameter, ...]
    coefficients: tuple[Parameter, ...]
    spread: tuple[Parameter, ...]
    design: Real
    deviating: tuple[int, ...]
    varying: type[Spread] = Separate
    mean_zero: Real | None = None
    held: Real | None = None
    turn: Real | None = None

    @property
    def rows(self) -> tuple[Parameter, ...]:
        """The parameters by name, as they were given."""
        return (*self.shared, *self.coefficients, *self.spread)

    @cached_property
    def table(self) -> Parameters:
        """Names and constraints of all parameters; what is held counts as fixed."""
        rows = self.rows
        if self.held is not None:
            settled = zip(rows, self.held.tolist(), strict=True)
            rows = tuple(row if np.isnan(value) else replace(row, fixed=value) for row, value in settled)
        if self.mean_zero is None:
            return Parameters.of(rows)
        return Parameters.of(rows, np.r_[np.zeros(len(self.shared)), self.mean_zero, np.zeros(len(self.spread))])

    def holding(self, places: npt.NDArray[np.bool_], full: Real) -> "Mixed":
        """Return the same with some parameters ([P] ``places``) held where they are in a vector."""
        before = np.full(len(full), np.nan) if self.held is None else self.held
        return replace(self, held=np.where(places, full, before))

    def releasing(self, places: npt.NDArray[np.bool_]) -> "Mixed":
        """Return the same with some parameters ([P] ``places``) no longer held."""
        return self if self.held is None else replace(self, held=np.where(places, np.nan, self.held))

    @property
    def num_people(self) -> int:
        """Return B."""
        return len(self.design)

    @property
    def num_deviations(self) -> int:
        """Return D."""
        return len(self.deviating)

    @property
    def is_nested(self) -> bool:
        """Whether a person deviates everywhere alike, and in each of several conditions from that."""
        return self.varying is Repeated and self.num_deviations > 1

    @cached_property
    def free_shared(self) -> npt.NDArray[np.bool_]:
        """Which of the shared parameters are learned, at first at least: some may come to be held."""
        return np.array([row.fixed is None for row in self.shared], dtype=bool)

    @property
    def learned_shared(self) -> list[Parameter]:
        """The shared parameters that are learned, at first at least."""
        return [row for row in self.shared if row.fixed is None]

    def split(self, full: Real) -> tuple[Real, Real, Real]:
        """Return the shared, the coefficients and the spread of a parameter vector."""
        first, last = len(self.shared), len(self.shared) + len(self.coefficients)
        return full[:first], full[first:last], full[last:]

    @cached_property
    def to_terms(self) -> Real:
        """What makes parameters with coefficients of a formula's terms out of those that are learned [P, P]."""
        found = np.eye(len(self.rows))
        if self.turn is not None:
            first, last = len(self.shared), len(self.shared) + len(self.coefficients)
            found[first:last, first:last] = self.turn
        return found

    @cached_property
    def from_terms(self) -> Real:
        """The inverse [P, P]."""
        found: Real = np.linalg.inv(self.to_terms).astype(np.float64)
        return found

    def own(self, full: Real, deviation: Real) -> Real:
        """Return own parameters [B, Q, K] at deviations [B, Q, D]."""
        means = self.design @ self.split(full)[1]
        placed = np.zeros((*deviation.shape[:2], means.shape[1]))
        placed[:, :, list(self.deviating)] = deviation
        found: Real = means[:, None, :] + placed
        return found

    def coefficients_of(self, own: Real, full: Real | None = None) -> Real:
        """Return the coefficients [p] that explain own parameters [B, K] best, in the mean square.

        Generalised least squares: deviations that vary together as parameters say count as such.
        """
        design, wanted = self.design, own
        if full is not None and self.num_deviations == design.shape[1]:
            root = np.linalg.cholesky(self.covariance(full))
            design, wanted = np.linalg.solve(root, design), np.linalg.solve(root, own.T).T
        rows, wanted = design.reshape(-1, design.shape[2]), wanted.reshape(-1)
        allowed = np.eye(rows.shape[1]) if self.mean_zero is None else null_space(self.mean_zero[None, :])
        found: Real = (allowed @ np.linalg.lstsq(rows @ allowed, wanted, rcond=None)[0]).astype(np.float64)
        return found

    @cached_property
    def varies(self) -> Spread:
        """How the deviations of one person vary together."""
        return self.varying(self.num_deviations)

    def covariance(self, full: Real) -> Real:
        """Return the covariance of the deviations [D, D]."""
        return self.varies.covariance(self.split(full)[2])

    def covariance_slopes(self, full: Real) -> Real:
        """Return its derivatives by each parameter of the spread [r, D, D]."""
        return self.varies.slopes(self.split(full)[2])
