"""The log density of a population and of everybody in it, given what they did, with its exact gradient.

This is what Hamiltonian Monte Carlo moves on: one unconstrained vector q of

    shared weights / their prior sd · g (coefficients = middle + root g) · log(sd / its prior scale) · w of everybody

A deviation is sd times a standard normal e. How e is written decides how well chains mix (Papaspiliopoulos, Roberts
and Skoeld 2007): non-centred (w = e) where people are hardly seen, centred (w = the deviation from a fixed mean) where
their own decisions tell nearly all. Between the two, with a share c of centring for each person (Gorinova, Moore and
Hoffman 2020),

    w = sd^c e + c (mean - mean at the start),     own = mean + sd e.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from humansoft.fit.mixed import Mixed
from humansoft.fit.population_prior import PriorScales
from humansoft.fit.profiles import Profiles

Real = npt.NDArray[np.float64]

_LOG_2_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False)
class PopulationDraws:
    """Parameters at T points.

    Attributes:
        full: [T, P] the population's.
        own: [T, B, K] everybody's own.
    """

    full: Real
    own: Real


@dataclass(frozen=True, eq=False)
class PopulationDensity:
    """log p(decisions, people, population) as a function of an unconstrained vector [n].

    Attributes:
        mixed: the population.
        scales: its prior.
        centring: [B, D] share of centring, between 0 and 1: it changes how the vector is read, not what is sampled.
        start: [P] parameters of the population near which deviations are centred.
    """

    mixed: Mixed
    scales: PriorScales
    centring: Real
    start: Real

    @cached_property
    def sizes(self) -> tuple[int, int, int, int]:
        """How many numbers stand for shared weights, coefficients, standard deviations and people."""
        people, count = self.centring.shape
        return len(self.scales.shared), self.scales.root.shape[1], count, people * count

    @property
    def size(self) -> int:
        """Return n."""
        return sum(self.sizes)

    def value_and_gradient(self, profiles: Profiles, point: Real) -> tuple[float, Real]:
        """Return the log density and its gradient [n]; minus infinity and 0 where there is no solution."""
        mixed, share = self.mixed, self.centring
        weights, turned, log_scale, _ = self._parts(point)
        full, own = self._read(point)
        sd = self.scales.sd * np.exp(log_scale)
        found = profiles.value_and_scores(mixed.split(full)[0], own[:, None])
        if found is None or not np.isfinite(found[0]).all():
            return -np.inf, np.zeros_like(point)
        likelihood, scores = found
        standard = self._standard(point)
        value = float(likelihood.sum()) - 0.5 * float((weights**2).sum() + (turned**2).sum() + (standard**2).sum())
        value += float((log_scale - 0.5 * np.exp(2 * log_scale)).sum()) - float((share * np.log(sd)).sum())
        value += len(sd) * float(np.log(2)) - 0.5 * _LOG_2_PI * self.size

        slope = scores.own[:, 0]
        dev = list(mixed.deviating)
        own_slope, shrunk = slope[:, dev], sd**-share
        by_mean = slope.copy()
        by_mean[:, dev] += share * shrunk * (standard - own_slope * sd)
        by_log_sd = (own_slope * (1 - share) * sd * standard + share * (standard**2 - 1)).sum(axis=0)
        by_coefficient = np.einsum("bk,bkp->p", by_mean, mixed.design)
        return value, np.concatenate(
            [
                scores.shared[:, 0].sum(axis=0) * self.scales.shared - weights,
                self.scales.root.T @ by_coefficient - turned,
                by_log_sd + 1 - np.exp(2 * log_scale),
                (shrunk * (own_slope * sd - standard)).ravel(),
            ]
        )

    def draws(self, points: Real) -> PopulationDraws:
        """Return what unconstrained vectors [T, n] stand for."""
        found = [self._read(point) for point in points]
        return PopulationDraws(np.stack([full for full, _ in found]), np.stack([own for _, own in found]))

    def point_of(self, full: Real, deviation: Real) -> Real:
        """Return the unconstrained vector [n] of a population and deviations [B, D]."""
        shared, coefficients, log_sd = self.mixed.split(full)
        sd = np.exp(log_sd)
        turned = np.linalg.lstsq(self.scales.root, coefficients - self.scales.middle, rcond=None)[0]
        placed = sd**self.centring * deviation / sd + self.centring * self._moved(coefficients)
        free = shared[self.mixed.free_shared] / self.scales.shared
        return np.concatenate([free, turned, np.log(sd / self.scales.sd), placed.ravel()])

    def prior_points(self, count: int, generator: np.random.Generator) -> Real:
        """Draw unconstrained vectors [count, n] from the prior alone."""
        standard = generator.standard_normal((count, self.size))
        ends = np.cumsum(self.sizes)
        log_scale = np.log(np.abs(standard[:, ends[1] : ends[2]]))
        standard[:, ends[1] : ends[2]] = log_scale
        coefficients = self.scales.middle + standard[:, ends[0] : ends[1]] @ self.scales.root.T
        error = standard[:, ends[2] :].reshape(count, *self.centring.shape)
        sd = (self.scales.sd * np.exp(log_scale))[:, None, :]
        moved = np.stack([self._moved(row) for row in coefficients])
        standard[:, ends[2] :] = (sd**self.centring * error + self.centring * moved).reshape(count, -1)
        return standard

    def _read(self, point: Real) -> tuple[Real, Real]:
        """Return the population's parameters [P] and everybody's own [B, K]."""
        weights, turned, log_scale, _ = self._parts(point)
        sd = self.scales.sd * np.exp(log_scale)
        coefficients = self.scales.middle + self.scales.root @ turned
        shared = np.array([0.0 if row.fixed is None else row.fixed for row in self.mixed.shared])
        shared[self.mixed.free_shared] = weights * self.scales.shared
        own = self.mixed.design @ coefficients
        own[:, list(self.mixed.deviating)] += sd * self._standard(point)
        return np.concatenate([shared, coefficients, np.log(sd)]), own

    def _standard(self, point: Real) -> Real:
        """Return everybody's deviations in standard deviations [B, D]."""
        _, turned, log_scale, placed = self._parts(point)
        sd = self.scales.sd * np.exp(log_scale)
        moved = self._moved(self.scales.middle + self.scales.root @ turned)
        found: Real = (placed - self.centring * moved) * sd**-self.centring
        return found

    def _moved(self, coefficients: Real) -> Real:
        """Return how far everybody's mean [B, D] is from where it was at the start."""
        change = coefficients - self.mixed.split(self.start)[1]
        found: Real = (self.mixed.design @ change)[:, list(self.mixed.deviating)]
        return found

    def _parts(self, point: Real) -> tuple[Real, Real, Real, Real]:
        """Return standardised weights, g, log scales and w [B, D] of a vector."""
        weights, turned, log_scale, placed = np.split(point, np.cumsum(self.sizes)[:-1])
        return weights, turned, log_scale, placed.reshape(self.centring.shape)
