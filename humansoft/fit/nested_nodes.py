"""Nodes of nested integrals: over what a person deviates by everywhere, and in it over each condition's own deviation.

Of a person in C conditions, with level u and changes v about it, the likelihood is

    integral of N(u; 0, between^2) prod_c [ integral of L_c(x_c' beta + u + v) N(v; 0, within^2) dv ] du,

because conditions are independent given u. Each integral is over one number, so that all cost in proportion to C.
Nodes of a level are where the person's posterior is, those of a change where its posterior given the level is.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from humansoft.fit.deviations import rule
from humansoft.fit.mixed import Mixed
from humansoft.fit.repeated import RepeatedMeasures

Real = npt.NDArray[np.float64]

_NARROWEST = 1e-12  # variance of a posterior relative to what it was before: where one node has all the probability


@dataclass(frozen=True, eq=False)
class Sizes:
    """Standard deviations at T parameter vectors.

    Attributes:
        between: [T] of levels.
        within: [T] of changes.
    """

    between: Real
    within: Real

    @classmethod
    def of(cls, mixed: Mixed, full: Real) -> "Sizes":
        """Return those that parameters [T, P] say."""
        between, within = np.exp(full[:, -len(mixed.spread) :]).T
        return cls(between, within)


@dataclass(frozen=True, eq=False)
class Line:
    """Nodes of integrals over one normal number x each: of exp(f(x)) N(x; 0, size^2).

    Attributes:
        nodes: [..., Q].
        log_weight: [..., Q] logarithm of the length that each stands for.
    """

    nodes: Real
    log_weight: Real

    @classmethod
    def at(cls, mean: Real, variance: Real, num_nodes: int) -> "Line":
        """Return nodes where integrands have some means and variances [...]."""
        points, log_weight = rule(num_nodes, 1)
        width = np.sqrt(variance)[..., None]
        return cls(mean[..., None] + width * points[:, 0], np.log(width) + log_weight)

    def integrated(self, values: Real, size: Real) -> tuple[Real, Real]:
        """Return the logs of integrals [...], and the share of each node [..., Q].

        Args:
            values: [..., Q] of f.
            size: standard deviations, to be broadcast against these.
        """
        terms = values + self.log_weight - 0.5 * (self.nodes / size) ** 2
        top = terms.max(axis=-1, keepdims=True)
        mass = np.exp(terms - np.where(np.isfinite(top), top, 0.0))
        total = mass.sum(axis=-1, keepdims=True)
        with np.errstate(divide="ignore"):  # minus infinity where there is no solution
            log_total = (top + np.log(total) - np.log(size))[..., 0] - 0.5 * np.log(2 * np.pi)
        return log_total, mass / np.maximum(total, 1.0)

    def moments(self, chance: Real) -> tuple[Real, Real]:
        """Return means and variances [...] of nodes with some probabilities [..., Q]."""
        mean = (chance * self.nodes).sum(axis=-1)
        return mean, (chance * (self.nodes - mean[..., None]) ** 2).sum(axis=-1)


@dataclass(frozen=True, eq=False)
class Weighed:
    """What the integrals come to, and the probability of each node.

    Attributes:
        log_likelihood: [B, T] of each person.
        level: [B, T, Q] given all that the person did.
        change: [S, T, Q, J] given that, and the level.
    """

    log_likelihood: Real
    level: Real
    change: Real


@dataclass(frozen=True, eq=False)
class NestedNodes:
    """Nodes of B people's levels and, at each of these, of changes in S conditions, at T parameter vectors.

    Attributes:
        measures: which of the S subjects are one person.
        level: [B, T, Q] nodes.
        change: [S, T, Q, J] nodes.
    """

    measures: RepeatedMeasures
    level: Line
    change: Line

    @classmethod
    def of_normal(
        cls, measures: RepeatedMeasures, precision: Real, slope: Real, sizes: Sizes, num_nodes: int
    ) -> "NestedNodes":
        """Return nodes where posteriors would be if likelihoods were exp(slope d - precision d^2 / 2) of a deviation d.

        Args:
            measures: which subjects are one person.
            precision: [S, 1] of each subject.
            slope: [S, T].
            sizes: standard deviations at T parameter vectors.
            num_nodes: Q = J of them.
        """
        left = 1 / (1 + precision * sizes.within**2)  # of what a condition tells, that is about the level
        told = 1 / (sizes.between**-2 + measures.summed(precision * left))
        level = Line.at(told * measures.summed(slope * left), told, num_nodes)
        variance = np.broadcast_to((sizes.within**2 * left)[..., None], (*slope.shape, num_nodes))
        mean = variance * (slope[..., None] - precision[..., None] * level.nodes[measures.place[0]])
        return cls(measures, level, Line.at(mean, variance, num_nodes))

    @property
    def deviation(self) -> Real:
        """[S, T, Q, J] what log temperatures deviate by at the nodes."""
        return self.level.nodes[self.measures.place[0]][..., None] + self.change.nodes

    def weighed(self, values: Real, sizes: Sizes) -> Weighed:
        """Return the integrals of the log-likelihoods [S, T, Q, J] of subjects at the nodes."""
        inner, change = self.change.integrated(values, sizes.within[:, None, None])
        total, level = self.level.integrated(self.measures.summed(inner), sizes.between[:, None])
        return Weighed(total, level, change)

    def moved(self, found: Weighed, sizes: Sizes) -> "NestedNodes":
        """Return as many nodes at the posterior means and variances that these nodes tell (Naylor and Smith 1982).

        The posterior mean of a change falls with the level by 1 - its variance / within^2.
        """
        num_nodes = self.level.nodes.shape[-1]
        mean, variance = self.level.moments(found.level)
        level = Line.at(mean, np.maximum(variance, _NARROWEST * sizes.between**2), num_nodes)
        mean, variance = self.change.moments(found.change)
        variance = np.maximum(variance, _NARROWEST * sizes.within[:, None] ** 2)
        away = (level.nodes - self.level.nodes)[self.measures.place[0]]
        mean = mean + (variance / sizes.within[:, None] ** 2 - 1) * away
        return NestedNodes(self.measures, level, Line.at(mean, variance, num_nodes))
