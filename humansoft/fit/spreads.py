"""How the deviations of one person vary together: three shapes of a covariance matrix, each with few parameters."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

MOST_TWISTED = 4.0
"""Largest inverse hyperbolic tangent of a correlation (.9993): beyond, the two deviations are one."""

_ALIKE = 1e-9  # ratio of variances below which conditions of one person are one
_SMALLEST = 1e-7  # a variance that stands for 0, whose logarithm is finite


@dataclass(frozen=True, eq=False)
class Sources:
    """Z independent normal numbers that D deviations are sums of.

    Attributes:
        loading: [Z, D] in which deviations each is.
        sd_of: [Z] which log standard deviation is that of each.
        level: [Z, D] weights of means of the D own parameters that add up to a level each may be measured from.
    """

    loading: Real
    sd_of: Index
    level: Real


@dataclass(frozen=True)
class Spread(ABC):
    """A covariance matrix of ``count`` deviations (D) as a function of ``spread``, r numbers without bounds.

    Attributes:
        count: D.
    """

    count: int

    @abstractmethod
    def covariance(self, spread: Real) -> Real:
        """Return the covariance [D, D]."""

    @abstractmethod
    def slopes(self, spread: Real) -> Real:
        """Return its derivatives by each number of the spread [r, D, D]."""

    @abstractmethod
    def sources(self) -> Sources:
        """Return independent normal numbers that deviations are sums of, where there are such."""

    @abstractmethod
    def of_moments(self, moments: Real) -> Real:
        """Return the spread [r] under which deviations with these mean squares and products [D, D] are most likely."""


@dataclass(frozen=True)
class Separate(Spread):
    """Every deviation is independent of the others; r = D logs of standard deviations.

    Example:
        >>> Separate(2).covariance(np.log([1.0, 3.0])).round(6).tolist()
        [[1.0, 0.0], [0.0, 9.0]]
    """

    def covariance(self, spread: Real) -> Real:
        """Return the covariance [D, D]."""
        return np.diag(np.exp(2 * spread))

    def slopes(self, spread: Real) -> Real:
        """Return its derivatives by each log standard deviation [D, D, D]."""
        found = np.zeros((self.count, self.count, self.count))
        place = np.arange(self.count)
        found[place, place, place] = 2 * np.exp(2 * spread)
        return found

    def sources(self) -> Sources:
        """Return that every deviation is a number of its own."""
        return Sources(np.eye(self.count), np.arange(self.count), np.eye(self.count))

    def of_moments(self, moments: Real) -> Real:
        """Return the logs of the root mean squares."""
        return _log_sd(np.diag(moments))


@dataclass(frozen=True)
class Correlated(Spread):
    """Two deviations with a correlation; r = 3: logs of standard deviations, inverse hyperbolic tangent of it.

    Example:
        >>> Correlated(2).covariance(np.r_[np.log([1.0, 2.0]), np.arctanh(0.5)]).round(6).tolist()
        [[1.0, 1.0], [1.0, 4.0]]
    """

    def covariance(self, spread: Real) -> Real:
        """Return the covariance [2, 2]."""
        correlation = np.tanh(np.clip(spread[2], -MOST_TWISTED, MOST_TWISTED))
        sizes = np.exp(spread[:2])
        found: Real = np.outer(sizes, sizes) * np.array([[1.0, correlation], [correlation, 1.0]])
        return found

    def slopes(self, spread: Real) -> Real:
        """Return its derivatives by each number of the spread [3, 2, 2]."""
        covariance, sizes = self.covariance(spread), np.exp(spread[:2])
        by_size = [covariance * (one[:, None] + one) for one in np.eye(2)]
        bent = (1 - np.tanh(spread[2]) ** 2) * (abs(spread[2]) < MOST_TWISTED)
        return np.stack([*by_size, np.outer(sizes, sizes) * bent * (1 - np.eye(2))])

    def sources(self) -> Sources:
        """Refuse: the sign of the correlation would decide how they add up."""
        raise NotImplementedError("two correlated deviations are no sums of numbers with a standard deviation each")

    def of_moments(self, moments: Real) -> Real:
        """Return the logs of the root mean squares, and the correlation's inverse hyperbolic tangent."""
        log_sd = _log_sd(np.diag(moments))
        correlation = moments[0, 1] / np.exp(log_sd.sum())
        most = np.tanh(MOST_TWISTED)
        found: Real = np.r_[log_sd, np.arctanh(np.clip(correlation, -most, most))]
        return found


@dataclass(frozen=True)
class Repeated(Spread):
    """Compound symmetry: a person deviates from others, and in each condition from the person's own level.

    deviation of person i in condition c = u_i + v_ic; r = 2: logs of the standard deviations of u and of v.

    Example:
        >>> Repeated(2).covariance(np.log([1.0, 2.0])).round(6).tolist()
        [[5.0, 1.0], [1.0, 5.0]]
    """

    def covariance(self, spread: Real) -> Real:
        """Return the covariance [D, D]."""
        between, within = np.exp(2 * spread)
        found: Real = between + max(within, _ALIKE * between) * np.eye(self.count)
        return found

    def slopes(self, spread: Real) -> Real:
        """Return its derivatives by both logs of standard deviations [2, D, D]."""
        between, within = 2 * np.exp(2 * spread)
        own = [0.0, within] if within > _ALIKE * between else [_ALIKE * between, 0.0]
        return np.array([[[between]], [[0.0]]]) + np.array(own)[:, None, None] * np.eye(self.count)

    def sources(self) -> Sources:
        """Return that one number is in all deviations, measured from their mean, and each has one of its own."""
        everywhere, alone = np.ones((1, self.count)), np.eye(self.count)
        sd_of = np.r_[0, np.ones(self.count, dtype=np.int64)]
        return Sources(np.vstack([everywhere, alone]), sd_of, np.vstack([everywhere / self.count, 0 * alone]))

    def of_moments(self, moments: Real) -> Real:
        """Return both logs of standard deviations: of the variance of means, and of what is left about them."""
        along = moments.sum() / self.count  # of the mean over conditions, times their number
        if self.count == 1:  # between and within are not told apart: half of it each
            return _log_sd(np.array([along, along]) / 2)
        within = (np.trace(moments) - along) / (self.count - 1)
        if along < within:  # less alike than by chance
            return _log_sd(np.array([0.0, np.trace(moments) / self.count]))
        return _log_sd(np.array([(along - within) / self.count, within]))


def _log_sd(variance: Real) -> Real:
    found: Real = 0.5 * np.log(np.maximum(variance, _SMALLEST))
    return found
