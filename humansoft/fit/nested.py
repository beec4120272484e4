"""The likelihood of people who were met in several conditions: one-dimensional quadrature within another."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from humansoft.fit.abstract_profiles import Profiles, Scores
from humansoft.fit.deviations import Posterior, modes
from humansoft.fit.marginal import MarginalLikelihood
from humansoft.fit.mixed import Mixed
from humansoft.fit.nested_nodes import NestedNodes, Sizes, Weighed
from humansoft.fit.repeated import RepeatedProfiles

Real = npt.NDArray[np.float64]

_ROUNDS = 1  # of placing nodes at the moments that the nodes before gave


@dataclass(eq=False)
class NestedLikelihood(MarginalLikelihood):
    """The log of each person's likelihood, integrated over the person's level and the changes about it.

    Attributes:
        profiles: what was done in each condition, and whose conditions these are.
        nodes: where to integrate, at one parameter vector (T = 1).
    """

    profiles: RepeatedProfiles
    nodes: NestedNodes
    _scored: tuple[bytes, tuple[Real, Scores]] | None = field(default=None, init=False, repr=False)

    @classmethod
    def placed(
        cls, profiles: Profiles, mixed: Mixed, decisions: float, full: Real, num_nodes: int, near: Real | None = None
    ) -> Self | None:
        """Return it with nodes where everybody's posterior is, ``None`` where there is no solution."""
        assert isinstance(profiles, RepeatedProfiles), "levels and changes are those of conditions of one person"
        found = modes(profiles, mixed, full, near)
        if found is None:
            return None
        nodes, sizes = _at_modes(profiles, mixed, full, found.mean, num_nodes), Sizes.of(mixed, full[None])
        placed = cls(profiles, mixed, decisions, num_nodes, nodes)
        for _ in range(_ROUNDS):
            weighed = placed._weighed(full)
            if not np.isfinite(weighed.log_likelihood).all():
                return None
            placed = cls(profiles, mixed, decisions, num_nodes, placed.nodes.moved(weighed, sizes))
        return placed

    @property
    def middle(self) -> Real:
        """Deviations [B, D] around which the nodes lie."""
        return self.profiles.measures.by_person(self.nodes.deviation.mean(axis=(1, 2, 3)))

    def by_person(self, full: Real) -> Real:
        """Return each person's log marginal likelihood [B], minus infinity without a solution."""
        return self._weighed(full).log_likelihood[:, 0]

    def scores(self, full: Real) -> Real:
        """Return their derivatives by the parameters [B, P]: those of all nodes, weighted by their chances."""
        mixed, measures, nodes = self.mixed, self.profiles.measures, self.nodes
        weighed, slopes = self._weighed(full, scored=True), self._value_and_scores(full)[1]
        level, change = weighed.level, weighed.change
        chance = (level[measures.place[0]][..., None] * change).reshape(len(change), -1)
        by_shared = np.einsum("sn,snk->sk", chance, slopes.shared)
        by_own = np.einsum("sn,snk->sk", chance, slopes.own)
        found = np.zeros((mixed.num_people, len(full)))
        found[:, np.flatnonzero(mixed.free_shared)] = measures.summed(by_shared)
        first, last = len(mixed.shared), len(full) - len(mixed.spread)
        found[:, first:last] = measures.summed(by_own * measures.by_subject(mixed.design))
        between, within = np.exp(2 * full[last:])
        found[:, last] = (level * nodes.level.nodes**2).sum(axis=(1, 2)) / between - 1
        squares = (chance * nodes.change.nodes.reshape(chance.shape) ** 2).sum(axis=1)
        found[:, last + 1] = measures.summed(squares / within - 1)
        return np.where(self.table.free, found, 0.0)

    def posterior(self, full: Real) -> Posterior:
        """Return the posterior means and covariances of deviations."""
        measures, nodes, weighed = self.profiles.measures, self.nodes, self._weighed(full)
        mean, variance = nodes.change.moments(weighed.change)  # [S, T, Q] given each level
        there = (measures.cell >= 0)[..., None]
        level, chance = nodes.level.nodes, weighed.level[:, 0]
        along = level + measures.by_person(mean[:, 0])  # [B, D, Q]
        within = np.where(there, measures.by_person(variance[:, 0]), np.exp(2 * full[-1]))
        middle = np.einsum("bq,bdq->bd", chance, along)
        apart = along - middle[..., None]
        covariance = np.einsum("bq,bdq,beq->bde", chance, apart, apart)
        alone = np.einsum("bq,bdq->bd", chance, within)
        return Posterior(middle, covariance + alone[..., None] * np.eye(self.mixed.num_deviations))

    def _weighed(self, full: Real, *, scored: bool = False) -> Weighed:
        """Return the integrals at parameters; ``scored``: what people did has its derivatives taken, too."""
        known = self._scored is not None and self._scored[0] == self._key(full)
        if scored or known:
            values = self._value_and_scores(full)[0]
        else:
            values = self.profiles.single.value(self.mixed.split(full)[0], self._own(full))
        return self.nodes.weighed(values.reshape(self.nodes.change.nodes.shape), Sizes.of(self.mixed, full[None]))

    def _value_and_scores(self, full: Real) -> tuple[Real, Scores]:
        """Return those of all subjects at the nodes; the last are kept: they do not depend on standard deviations."""
        key = self._key(full)
        if self._scored is None or self._scored[0] != key:
            found = self.profiles.single.value_and_scores(self.mixed.split(full)[0], self._own(full))
            assert found is not None, "derivatives are asked for at feasible parameters only"
            self._scored = key, found
        return self._scored[1]

    def _key(self, full: Real) -> bytes:
        return full[: len(full) - len(self.mixed.spread)].tobytes()

    def _own(self, full: Real) -> Real:
        """Return log temperatures [S, T * Q * J, 1] at the nodes."""
        mean = self.profiles.measures.by_subject(self.mixed.design @ self.mixed.split(full)[1])
        return mean[:, None, None] + self.nodes.deviation.reshape(len(mean), -1, 1)


def _at_modes(profiles: RepeatedProfiles, mixed: Mixed, full: Real, mode: Real, num_nodes: int) -> NestedNodes:
    """Return nodes for likelihoods that are bent as they are at the modes [B, D] of deviations."""
    measures, shared, away = profiles.measures, mixed.split(full)[0], profiles.measures.by_subject(mode)
    own = measures.by_subject(mixed.own(full, mode[:, None])[:, 0])[:, None, None]
    precision = np.maximum(-profiles.single.curvature(shared, own)[:, 0, 0], 0.0)  # [S, 1]
    slope = profiles.single.scores(shared, own).own[:, 0] + precision * away[:, None]
    return NestedNodes.of_normal(measures, precision, slope, Sizes.of(mixed, full[None]), num_nodes)
