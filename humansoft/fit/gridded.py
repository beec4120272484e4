"""The likelihood of people with one or two deviations each: quadrature at a grid of nodes."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from humansoft.fit.abstract_profiles import Profiles
from humansoft.fit.deviations import Nodes, Posterior, adapted, joint, log_density, moments
from humansoft.fit.marginal import MarginalLikelihood
from humansoft.fit.mixed import Mixed

Real = npt.NDArray[np.float64]


@dataclass(eq=False)
class GridLikelihood(MarginalLikelihood):
    """The log of each person's likelihood, integrated at a grid of nodes, as many in each dimension of the deviations.

    Attributes:
        nodes: where to integrate.
    """

    nodes: Nodes

    @classmethod
    def placed(
        cls, profiles: Profiles, mixed: Mixed, decisions: float, full: Real, num_nodes: int, near: Real | None = None
    ) -> Self | None:
        """Return it with nodes where everybody's posterior is, ``None`` where there is no solution."""
        nodes = adapted(profiles, mixed, full, num_nodes, near)
        return None if nodes is None else cls(profiles, mixed, decisions, num_nodes, nodes)

    @property
    def middle(self) -> Real:
        """Deviations [B, D] around which the nodes lie: the posterior means."""
        found: Real = self.nodes.deviation.mean(axis=1)
        return found

    def by_person(self, full: Real) -> Real:
        """Return each person's log marginal likelihood [B], minus infinity without a solution."""
        return self._integrated(full)[0]

    def scores(self, full: Real) -> Real:
        """Return their derivatives by the parameters [B, P]: those of all nodes, weighted by their chances."""
        deviation = self.nodes.deviation
        shared, own = self.mixed.split(full)[0], self.mixed.own(full, deviation)
        found = self.profiles.value_and_scores(shared, own)
        if found is None:  # some nodes have no solution: they have no chance
            return self._by_parameter(full, deviation, self.chances(full), self.profiles.scores(shared, own))
        terms = self.nodes.log_weight + found[0] + log_density(self.mixed, full, deviation)
        chance = np.exp(terms - logsumexp(terms, axis=1, keepdims=True))
        return self._by_parameter(full, deviation, chance, found[1])

    def chances(self, full: Real) -> Real:
        """Return the posterior probability of each node [B, Q]."""
        total, terms = self._integrated(full)
        found: Real = np.exp(terms - total[:, None])
        return found

    def posterior(self, full: Real) -> Posterior:
        """Return the posterior means and covariances of deviations."""
        return moments(self.nodes, self.chances(full))

    def _integrated(self, full: Real) -> tuple[Real, Real]:
        terms = self.nodes.log_weight + joint(self.profiles, self.mixed, full, self.nodes.deviation)
        if not np.isfinite(terms).any(axis=1).all():
            return np.full(len(terms), -np.inf), terms
        total: Real = logsumexp(terms, axis=1)
        return total, terms
