"""The log density of a population and of everybody in it, given what they did, with its exact gradient.

This is what Hamiltonian Monte Carlo moves on: one unconstrained vector q of

    what people share, standardised · g (coefficients = middle + root g) · log(sd / its prior scale) · w of everybody

A deviation is sd times a standard normal e. How e is written decides how well chains mix (Papaspiliopoulos, Roberts
and Skoeld 2007): non-centred (w = e) where people are hardly seen, centred (w = the deviation from a fixed mean) where
their own decisions tell nearly all. Between the two, with a share c of centring for each person (Gorinova, Moore and
Hoffman 2020),

    w = sd^c e + c (mean - mean at the start),     own = mean + sd e.

With repeated measures, own = mean + sd_between e_person + sd_within e_condition, and the mean that a person's number is
measured from is that over conditions.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from humansoft.fit.abstract_profiles import Profiles
from humansoft.fit.mixed import Mixed
from humansoft.fit.population_prior import PriorScales
from humansoft.fit.spreads import Sources

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
        centring: [B, Z] share of centring, between 0 and 1: it changes how the vector is read, not what is sampled. Z
            numbers make a person's deviations: as many as there are, or one more where one of them is in all.
        start: [P] parameters of the population near which deviations are centred.
    """

    mixed: Mixed
    scales: PriorScales
    centring: Real
    start: Real

    @cached_property
    def sizes(self) -> tuple[int, int, int, int]:
        """How many numbers stand for what people share, coefficients, standard deviations and people."""
        return len(self.scales.shared), self.scales.root.shape[1], len(self.scales.sd), self.centring.size

    @property
    def size(self) -> int:
        """Return n."""
        return sum(self.sizes)

    def value_and_gradient(self, profiles: Profiles, point: Real) -> tuple[float, Real]:
        """Return the log density and its gradient [n]; minus infinity and 0 where there is no solution."""
        mixed, share, at = self.mixed, self.centring, self._read(point)
        found = profiles.value_and_scores(at.shared, at.own[:, None])
        if found is None or not np.isfinite(found[0].sum()):
            return -np.inf, np.zeros_like(point)
        likelihood, scores = found
        tight = np.exp(2 * at.log_scale)
        squares = at.weights @ at.weights + at.turned @ at.turned + (at.standard**2).sum() + tight.sum()
        constant = len(tight) * np.log(2) - 0.5 * _LOG_2_PI * self.size
        log_size = at.log_scale.sum() - (share * np.log(at.sizes)).sum()
        value = float(likelihood.sum() - 0.5 * squares + log_size + constant)

        slope, dev = scores.own[:, 0], list(mixed.deviating)
        own_slope, by_mean = slope[:, dev] @ self._sources.loading.T, slope.copy()
        by_mean[:, dev] += (share * at.shrunk * (at.standard - own_slope * at.sizes)) @ self._sources.level
        by_log_sd = own_slope * (1 - share) * at.sizes * at.standard + share * (at.standard**2 - 1)
        by_coefficient = np.tensordot(by_mean, mixed.design, 2)
        return value, np.concatenate(
            [
                scores.shared[:, 0].sum(axis=0) * self.scales.shared - at.weights,
                self.scales.root.T @ by_coefficient - at.turned,
                np.bincount(self._sources.sd_of, by_log_sd.sum(axis=0), len(tight)) + 1 - tight,
                (at.shrunk * (own_slope * at.sizes - at.standard)).ravel(),
            ]
        )

    def draws(self, points: Real) -> PopulationDraws:
        """Return what unconstrained vectors [T, n] stand for."""
        found = [self._read(point) for point in points]
        full = [np.concatenate([at.shared, at.coefficients, np.log(at.sd)]) for at in found]
        return PopulationDraws(np.stack(full), np.stack([at.own for at in found]))

    def point_of(self, full: Real, deviation: Real) -> Real:
        """Return the unconstrained vector [n] of a population and deviations [B, D]."""
        shared, coefficients, log_sd = self.mixed.split(full)
        sizes = np.exp(log_sd)[self._sources.sd_of]
        turned = np.linalg.lstsq(self.scales.root, coefficients - self.scales.middle, rcond=None)[0]
        # The most likely numbers that add up to the deviations.
        numbers = deviation @ np.linalg.solve(self.mixed.covariance(full), self._sources.loading.T) * sizes**2
        placed = sizes**self.centring * numbers / sizes + self.centring * self._moved(coefficients)
        free = (shared[self.mixed.free_shared] - self.scales.shared_middle) / self.scales.shared
        return np.concatenate([free, turned, log_sd - np.log(self.scales.sd), placed.ravel()])

    def prior_points(self, count: int, generator: np.random.Generator) -> Real:
        """Draw unconstrained vectors [count, n] from the prior alone."""
        standard = generator.standard_normal((count, self.size))
        ends = np.cumsum(self.sizes)
        log_scale = np.log(np.abs(standard[:, ends[1] : ends[2]]))
        standard[:, ends[1] : ends[2]] = log_scale
        coefficients = self.scales.middle + standard[:, ends[0] : ends[1]] @ self.scales.root.T
        error = standard[:, ends[2] :].reshape(count, *self.centring.shape)
        sizes = (self.scales.sd * np.exp(log_scale))[:, None, self._sources.sd_of]
        moved = np.stack([self._moved(row) for row in coefficients])
        standard[:, ends[2] :] = (sizes**self.centring * error + self.centring * moved).reshape(count, -1)
        return standard

    def _read(self, point: Real) -> "_Meaning":
        weights, turned, log_scale = (point[part] for part in self._places)
        placed = point[self.size - self.sizes[3] :].reshape(self.centring.shape)
        sd = self.scales.sd * np.exp(log_scale)
        sizes = sd[self._sources.sd_of]
        coefficients = self.scales.middle + self.scales.root @ turned
        shrunk = sizes**-self.centring
        standard = (placed - self.centring * self._moved(coefficients)) * shrunk
        shared = self._fixed.copy()
        shared[self.mixed.free_shared] = self.scales.shared_middle + weights * self.scales.shared
        own = self.mixed.design @ coefficients
        own[:, list(self.mixed.deviating)] += (sizes * standard) @ self._sources.loading
        return _Meaning(weights, turned, log_scale, shared, coefficients, sd, sizes, shrunk, standard, own)

    def _moved(self, coefficients: Real) -> Real:
        """Return how far what everybody's numbers are measured from [B, Z] is from where it was at the start."""
        change = coefficients - self.mixed.split(self.start)[1]
        found: Real = (self.mixed.design @ change)[:, list(self.mixed.deviating)] @ self._sources.level.T
        return found

    @cached_property
    def _sources(self) -> Sources:
        return self.mixed.varies.sources()

    @cached_property
    def _places(self) -> tuple[slice, slice, slice]:
        """Where standardised weights, g and log scales stand in a vector."""
        first, second, third = np.cumsum(self.sizes[:3]).tolist()
        return slice(0, first), slice(first, second), slice(second, third)

    @cached_property
    def _fixed(self) -> Real:
        """What people share, 0 where it is learned."""
        return np.array([0.0 if row.fixed is None else row.fixed for row in self.mixed.shared])


@dataclass(frozen=True, eq=False, slots=True)
class _Meaning:
    """What an unconstrained vector stands for, and parts of its density.

    Attributes:
        weights: [k] what people share, standardised.
        turned: [q] g.
        log_scale: [r] log(sd / its prior scale).
        shared: what people share, fixed parameters included.
        coefficients: [p].
        sd: [r].
        sizes: [Z] the standard deviation of each number.
        shrunk: [B, Z] these to the power of minus the share of centring.
        standard: [B, Z] numbers in standard deviations.
        own: [B, K] everybody's own parameters.
    """

    weights: Real
    turned: Real
    log_scale: Real
    shared: Real
    coefficients: Real
    sd: Real
    sizes: Real
    shrunk: Real
    standard: Real
    own: Real
