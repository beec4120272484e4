"""The likelihood of a population: every person's own parameters integrated out, or held at their modes."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from torch import Tensor

from humansoft.fit.abstract_profiles import Profiles, Scores
from humansoft.fit.arrow import ArrowMatrix, dense
from humansoft.fit.deviations import Posterior, joint, modes
from humansoft.fit.mixed import Mixed
from humansoft.fit.objective import Objective
from humansoft.parameters import Parameters

Real = npt.NDArray[np.float64]

_STEP = 1e-4  # of central differences of the exact gradient, relative to a parameter that matters


def small_steps(table: Parameters, moving: npt.NDArray[np.bool_]) -> Iterator[tuple[int, Real]]:
    """Return each moving parameter's place with the step [P] of central differences along it."""
    for place in np.flatnonzero(moving).tolist():
        step = np.zeros(len(table))
        step[place] = _STEP / table.scales[place]
        yield place, step


@dataclass(eq=False)
class PopulationObjective(Objective):
    """A function of the population's parameters that adds up over people.

    Attributes:
        profiles: what each person did, as a function of the person's own parameters.
        mixed: how these are made of the population's parameters and deviations.
        decisions: weighted decisions of all people.
    """

    profiles: Profiles
    mixed: Mixed
    decisions: float
    _latest: tuple[bytes, Real] | None = field(default=None, init=False, repr=False)

    @property
    def table(self) -> Parameters:
        """Names and constraints of the population's parameters."""
        return self.mixed.table

    @property
    def num_decisions(self) -> float:
        """Weighted decisions, 1 at the least."""
        return max(self.decisions, 1.0)

    def around(self, full: Real) -> Self | None:
        """Return the same as it is best worked out at some parameters [P]; ``None`` without a solution."""
        del full
        return self

    @abstractmethod
    def by_person(self, full: Real) -> Real:
        """Return each person's part [B], minus infinity without a solution."""

    @abstractmethod
    def scores(self, full: Real) -> Real:
        """Return the derivatives of each person's part by the parameters [B, P], 0 for fixed ones."""

    def posterior(self, full: Real) -> Posterior | None:
        """Return how people deviate, given what they did; ``None`` where there is no solution."""
        raise NotImplementedError(f"a {type(self).__name__} is given the deviations")

    def value(self, full: Float[Tensor, " P"]) -> float:
        """Return the sum over people."""
        return float(self.by_person(full.detach().numpy()).sum())

    def gradient(self, full: Float[Tensor, " P"]) -> Real:
        """Return its derivatives by the parameters [P], 0 for fixed ones."""
        total: Real = self.scores(full.detach().numpy()).sum(axis=0)
        return total

    def hessian(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return its Hessian [P, P], by central differences of the exact gradient."""
        return dense(self._curved(full.detach().numpy()))

    def expected_information(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return minus the Hessian with its eigenvalues made positive, parameters scaled to what matters."""
        units = np.outer(self.table.scales, self.table.scales)
        values, vectors = np.linalg.eigh(-self._curved(full.detach().numpy()) / units)
        return dense((vectors * np.abs(values)) @ vectors.T * units)

    def _curved(self, full: Real) -> Real:
        key = full.tobytes()
        if self._latest is None or self._latest[0] != key:
            self._latest = (key, self._differences(full))
        return self._latest[1]

    def _differences(self, full: Real) -> Real:
        found: Real = -self.informations(full).sum(axis=0)
        return found

    def informations(self, full: Real) -> Real:
        """Return minus the second derivatives of each person's part [B, P, P], by central differences of the scores."""
        found = np.zeros((self.mixed.num_people, len(full), len(full)))
        for place, step in small_steps(self.table, self.table.free):
            found[:, place] = (self.scores(full - step) - self.scores(full + step)) / (2 * step[place])
        return (found + found.swapaxes(1, 2)) / 2

    def _by_parameter(self, full: Real, deviation: Real, chance: Real, scores: Scores) -> Real:
        """Return the mean derivatives [B, P] of what each person adds, over deviations with a chance [B, Q]."""
        mixed = self.mixed
        shared, coefficients, spread = mixed.split(full)
        found = np.zeros((mixed.num_people, len(full)))
        found[:, np.flatnonzero(mixed.free_shared)] = np.einsum("bq,bqk->bk", chance, scores.shared)
        first = len(shared)
        found[:, first : first + len(coefficients)] = np.einsum(
            "bq,bqk,bkp->bp", chance, scores.own, mixed.design, optimize=True
        )
        if len(spread):
            squares = np.einsum("bq,bqd,bqe->bde", chance, deviation, deviation)
            precision = np.linalg.inv(mixed.covariance(full))
            slopes = mixed.covariance_slopes(full)
            turned = precision @ slopes @ precision
            size = np.einsum("rde,de->r", slopes, precision)
            found[:, -len(spread) :] = 0.5 * (np.einsum("rde,bde->br", turned, squares) - size)
        return np.where(self.table.free, found, 0.0)


@dataclass(eq=False)
class MarginalLikelihood(PopulationObjective):
    """The log of each person's likelihood integrated over the population, at nodes that stay where they are.

    Attributes:
        num_nodes: how many there are in each dimension.
    """

    num_nodes: int

    @classmethod
    @abstractmethod
    def placed(
        cls, profiles: Profiles, mixed: Mixed, decisions: float, full: Real, num_nodes: int, near: Real | None = None
    ) -> Self | None:
        """Return it with nodes where everybody's posterior is, ``None`` where there is no solution.

        Args:
            profiles: what each person did.
            mixed: the population.
            decisions: weighted decisions of all people.
            full: [P] its parameters.
            num_nodes: how many nodes in each dimension.
            near: [B, D] deviations to look for posteriors from.
        """

    @property
    @abstractmethod
    def middle(self) -> Real:
        """Deviations [B, D] around which the nodes lie."""

    def around(self, full: Real) -> Self | None:
        """Return the same with nodes where posteriors are at some parameters [P]; ``None`` without a solution."""
        return self.placed(self.profiles, self.mixed, self.decisions, full, self.num_nodes, self.middle)


@dataclass(eq=False)
class ExpectedLikelihood(PopulationObjective):
    """The mean log-likelihood over deviations with given chances, as a function of what people share.

    Own parameters stay where they are: this is what the M step of EM maximises.

    Attributes:
        own: [B, Q, K] own parameters.
        chance: [B, Q] probabilities.
    """

    own: Real
    chance: Real

    @property
    def table(self) -> Parameters:
        """What people share, and all else held."""
        table = self.mixed.table
        first = len(self.mixed.shared)
        held = [*table.rows[:first], *(replace(row, fixed=0.0) for row in table.rows[first:])]
        return Parameters.of(held)

    def by_person(self, full: Real) -> Real:
        """Return each person's part [B], minus infinity without a solution."""
        found: Real = (self.chance * self.profiles.value(self.mixed.split(full)[0], self.own)).sum(axis=1)
        return found

    def scores(self, full: Real) -> Real:
        """Return its derivatives by the parameters [B, P]."""
        scores = self.profiles.scores(self.mixed.split(full)[0], self.own).shared
        found = np.zeros((self.mixed.num_people, len(full)))
        found[:, np.flatnonzero(self.mixed.free_shared)] = np.einsum("bq,bqk->bk", self.chance, scores)
        return found


@dataclass(eq=False)
class LaplaceLikelihood(PopulationObjective):
    """Each person's marginal likelihood by Laplace's approximation around the most probable deviation."""

    _found: tuple[bytes, Posterior | None] | None = field(default=None, init=False, repr=False)

    def by_person(self, full: Real) -> Real:
        """Return each person's log marginal likelihood [B], minus infinity without a solution."""
        found = self.posterior(full)
        if found is None:
            return np.full(self.mixed.num_people, -np.inf)
        height = joint(self.profiles, self.mixed, full, found.mean[:, None])[:, 0]
        size = np.linalg.slogdet(found.covariance)[1]
        total: Real = height + 0.5 * size + self.mixed.num_deviations / 2 * np.log(2 * np.pi)
        return total

    def scores(self, full: Real) -> Real:
        """Return its derivatives by the parameters [B, P], by central differences: those of V are third derivatives."""
        found = np.zeros((self.mixed.num_people, len(full)))
        for place, step in small_steps(self.table, self.table.free):
            found[:, place] = (self.by_person(full + step) - self.by_person(full - step)) / (2 * step[place])
        return found

    def posterior(self, full: Real) -> Posterior | None:
        """Return everybody's most probable deviation, found from the last one."""
        key = full.tobytes()
        if self._found is None or self._found[0] != key:
            before = None if self._found is None or self._found[1] is None else self._found[1].mean
            self._found = (key, modes(self.profiles, self.mixed, full, before))
        return self._found[1]


@dataclass(eq=False)
class LaplaceEquations(LaplaceLikelihood):
    """The same likelihood with the scores that Laplace-EM sets to 0: posteriors are taken for Gaussian.

    These are not the slope of the likelihood, so that where EM ends is not where the likelihood is largest.
    """

    def scores(self, full: Real) -> Real:
        """Return each person's scores [B, P], expected where the person is by the Gaussian."""
        found = self.posterior(full)
        assert found is not None, "scores are asked for at feasible parameters only"
        shared, mixed = self.mixed.split(full)[0], self.mixed
        points, chance = found.sigma_points()
        around = self.profiles.scores(shared, mixed.own(full, points))
        middle = self.profiles.scores(shared, mixed.own(full, found.mean[:, None])).own
        # At the mode, the slope by one's own parameters is what the density of deviations pulls with.
        pulled = Scores(around.shared, np.broadcast_to(middle, around.own.shape))
        return self._by_parameter(full, points, chance, pulled)
