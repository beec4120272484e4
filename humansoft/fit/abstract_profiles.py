"""Profiles: the log-likelihood of every person as a function of what is the person's own.

A population model needs each person's likelihood at many values of the person's own parameters (log temperature,
and reward weights where people have their own), at one value of what everybody shares.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from humansoft.fit.chebyshev import Pieces
from humansoft.fit.likelihood import LOG_TEMPERATURE_LIMIT

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scores:
    """First derivatives of each person's log-likelihood.

    Attributes:
        shared: [B, Q, k] by the free parameters that people share: of the reward, then of choice terms.
        own: [B, Q, K] by the person's own.
    """

    shared: Real
    own: Real


class Profiles(ABC):
    """Log-likelihoods of B people at Q values each of their K own parameters.

    ``shared`` holds the parameters that people share, fixed ones included: of the reward, then of choice terms.
    """

    @abstractmethod
    def value(self, shared: Real, own: Real) -> Real:
        """Return the log-likelihoods [B, Q] at own parameters [B, Q, K], minus infinity without a solution."""

    @abstractmethod
    def scores(self, shared: Real, own: Real) -> Scores:
        """Return their first derivatives."""

    def value_and_scores(self, shared: Real, own: Real) -> tuple[Real, Scores] | None:
        """Return both at once, or ``None`` where somebody has no solution."""
        value = self.value(shared, own)
        return (value, self.scores(shared, own)) if np.isfinite(value).all() else None

    @abstractmethod
    def curvature(self, shared: Real, own: Real) -> Real:
        """Return their second derivatives by a person's own parameters [B, Q, K, K]."""


def pieces_of(own: Real) -> Pieces:
    """Return the pieces that everybody's log temperatures [B, Q, 1] fall on."""
    return Pieces(own.reshape(-1).clip(-LOG_TEMPERATURE_LIMIT, LOG_TEMPERATURE_LIMIT))


def inside(own: Real) -> Real:
    """1 where a log temperature is within its limits, else 0."""
    return (np.abs(own) < LOG_TEMPERATURE_LIMIT).astype(np.float64)
