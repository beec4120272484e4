"""The population behind people: own parameters = what covariates say + how a person deviates.

own_i = X_i beta + u_i, u_i ~ N(0, Sigma): a linear mixed model on the log temperature (and on reward weights where
people have their own), under the soft-optimal likelihood (SCIENCE 4.5).
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import null_space

from humansoft.parameters import Parameter, Parameters

Real = npt.NDArray[np.float64]

MOST_TWISTED = 4.0
"""Largest inverse hyperbolic tangent of a correlation (.9993): beyond, the two deviations are one."""


@dataclass(frozen=True, eq=False)
class Mixed:
    """A mixed model of the own parameters of B people (K each), and the names of its parameters.

    The parameters are one vector: what people share (of the reward, then of choice terms), coefficients (p), logs of
    standard deviations, and, where asked for, the inverse hyperbolic tangent of the correlation of two deviations.

    Attributes:
        shared: the parameters that people share, fixed ones included.
        coefficients: the p coefficients.
        spread: logs of the standard deviations of the deviations that there are (D <= K), and their correlation.
        design: [B, K, p] what multiplies the coefficients.
        deviating: [D] which own parameters deviate between people.
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

    def coefficients_of(self, own: Real) -> Real:
        """Return the coefficients [p] that explain own parameters [B, K] best, in the mean square."""
        rows, wanted = self.design.reshape(-1, self.design.shape[2]), own.reshape(-1)
        allowed = np.eye(rows.shape[1]) if self.mean_zero is None else null_space(self.mean_zero[None, :])
        found: Real = (allowed @ np.linalg.lstsq(rows @ allowed, wanted, rcond=None)[0]).astype(np.float64)
        return found

    def covariance(self, full: Real) -> Real:
        """Return the covariance of the deviations [D, D]."""
        sizes = np.exp(self.split(full)[2])[: self.num_deviations]
        return np.outer(sizes, sizes) * self._correlation(full)

    def covariance_slopes(self, full: Real) -> Real:
        """Return its derivatives by each parameter of the spread [r, D, D]."""
        count = self.num_deviations
        covariance = self.covariance(full)
        slopes = [covariance * (np.eye(count)[d][:, None] + np.eye(count)[d]) for d in range(count)]
        if len(self.spread) > count:
            sizes = np.sqrt(np.diag(covariance))
            twist = self.split(full)[2][-1]
            bent = (1 - np.tanh(twist) ** 2) * (abs(twist) < MOST_TWISTED)
            slopes.append(np.outer(sizes, sizes) * bent * (1 - np.eye(2)))
        return np.stack(slopes) if slopes else np.zeros((0, 0, 0))

    def _correlation(self, full: Real) -> Real:
        count = self.num_deviations
        found = np.eye(count)
        if len(self.spread) > count:
            twist = np.clip(self.split(full)[2][-1], -MOST_TWISTED, MOST_TWISTED)
            found[0, 1] = found[1, 0] = np.tanh(twist)
        return found
