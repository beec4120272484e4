"""The linear mixed model that a population's likelihood looks like at its maximum, and what it says of small samples.

What a person did is to the population like a measurement y of the person's deviation with a normal error (Breslow and
Clayton 1993; Wolfinger and O'Connell 1993): y ~ N(X beta, Sigma + V). Of the posterior with mean m and covariance W,
G = (Sigma + V)^-1 = Sigma^-1 - Sigma^-1 W Sigma^-1 and r = G (y - X beta) = Sigma^-1 m; the information about the
coefficients, the sum of X' G X, is exact (Louis 1982). From these alone follow

- the variances of the deviations that maximise the restricted likelihood (Patterson and Thompson 1971), the profile
  likelihood less half the log determinant of the information about all else (Cox and Reid 1987): those of maximum
  likelihood are too small, by a share of p / B with p coefficients of B people;
- the covariance of coefficients with these variances, and how uncertain it is itself, for the degrees of freedom of
  contrasts (Satterthwaite 1946): :mod:`humansoft.fit.satterthwaite`.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from humansoft.fit.marginal import PopulationObjective
from humansoft.fit.movement import movement
from humansoft.fit.spreads import Sources

Real = npt.NDArray[np.float64]

_FARTHEST = 2.0  # times the growth of a variance in a balanced study, beyond which the model works no more
_UNTOLD = 1e-9  # share of the information about a variance below which there is none
_LEAST = 1e-300


@dataclass(frozen=True, eq=False)
class WorkingModel:
    """A linear mixed model of B people, at one set of the V variances of their D deviations.

    Attributes:
        precision: [B, D, D] inverse of the covariance of what each person's decisions say, G.
        pull: [B, D] what they say, apart from what was expected, times that: r.
        moved: [B, D, P] how fast the latter falls as parameters move that are no spread: G X; 0 for others.
        slope: [P] derivatives of the log-likelihood by these.
        information: [P, P] about all parameters.
        directions: [P, q] independent directions in which parameters may move that are no spread.
        ways: [V, D, D] how each variance adds to the covariance of deviations.
        offset: [V] what the precisions leave out of the derivatives of the log-likelihood by the variances.
    """

    precision: Real
    pull: Real
    moved: Real
    slope: Real
    information: Real
    directions: Real
    ways: Real
    offset: Real

    @classmethod
    def of(cls, objective: PopulationObjective, full: Real, information: Real, directions: Real) -> "WorkingModel":
        """Return it at the maximum of a population's likelihood.

        Args:
            objective: the likelihood.
            full: [P] the maximum.
            information: [P, P] about all parameters.
            directions: [P, q] independent directions in which parameters may move that are no spread.
        """
        mixed = objective.mixed
        found = objective.posterior(full)
        assert found is not None, "the maximum is feasible"
        prior: Real = np.linalg.inv(mixed.covariance(full)).astype(np.float64)
        exact = prior - prior @ found.covariance @ prior
        precision, ways = _concave(exact), _ways(mixed.varies.sources())
        dev, first = list(mixed.deviating), len(mixed.shared)
        shared = mixed.table.free & (np.arange(len(full)) < first)
        moved = -prior @ movement(objective, full, shared)[:, dev]
        moved[:, :, first : first + len(mixed.coefficients)] = precision @ mixed.design[:, dev]
        offset = 0.5 * np.einsum("bde,ved->v", precision - exact, ways)
        return cls(precision, found.mean @ prior, moved, np.zeros(len(full)), information, directions, ways, offset)

    def at(self, more: Real) -> "WorkingModel":
        """Return it where variances are larger by so much [V], and all else is the same."""
        added = self._added(more)
        left = np.linalg.inv(np.eye(len(added)) + self.precision @ added)
        pull, moved = np.einsum("bde,be->bd", left, self.pull), left @ self.moved
        return replace(
            self,
            precision=left @ self.precision,
            pull=pull,
            moved=moved,
            slope=self.slope - np.einsum("bdp,de,be->p", self.moved, added, pull, optimize=True),
            information=self.information - np.einsum("bdp,de,beq->pq", self.moved, added, moved, optimize=True),
        )

    def _added(self, more: Real) -> Real:
        found: Real = np.einsum("v,vde->de", more, self.ways)
        return found

    @cached_property
    def along(self) -> Real:
        """The information about the directions [q, q]."""
        found: Real = self.directions.T @ self.information @ self.directions
        return found

    @cached_property
    def known(self) -> Real:
        """Its inverse, as the covariance of all parameters [P, P] where the spread is known."""
        found: Real = self.directions @ np.linalg.inv(self.along) @ self.directions.T
        return found

    @cached_property
    def lost(self) -> Real:
        """How the information about all parameters falls with each variance [V, P, P]."""
        found: Real = np.einsum("bdp,vde,beq->vpq", self.moved, self.ways, self.moved, optimize=True)
        return found

    def score(self) -> Real:
        """Return the derivatives of the restricted log-likelihood by the variances [V]."""
        pull = self.pull - self.moved @ (self.known @ self.slope)  # all else goes to where it is most likely
        squares = np.einsum("bd,vde,be->v", pull, self.ways, pull, optimize=True)
        expected = np.einsum("bde,ved->v", self.precision, self.ways)
        found: Real = 0.5 * (squares - expected + np.einsum("vpq,qp->v", self.lost, self.known))
        return found + self.offset

    def height(self, start: "WorkingModel", more: Real) -> float:
        """Return the restricted log-likelihood, less a constant, where this is ``start.at(more)``."""
        added = self._added(more)
        size = np.linalg.slogdet(np.eye(len(added)) + start.precision @ added)[1].sum()
        squares = np.einsum("bd,de,be->", start.pull, added, self.pull, optimize=True)
        gained = self.slope @ self.known @ self.slope
        total = squares - size + gained - np.linalg.slogdet(self.along)[1]
        return float(0.5 * total + self.offset @ more)

    def information_of_variances(self) -> Real:
        """Return the expected information [V, V] about the variances, of the restricted likelihood."""
        inner = np.einsum("bde,vef->vbdf", self.precision, self.ways)
        alone = np.einsum("vbde,wbed->vw", inner, inner, optimize=True)
        pulled = np.einsum(
            "bdp,vde,wbef,bfq,qp->vw", self.moved, self.ways, inner, self.moved, self.known, optimize=True
        )
        taken = self.lost @ self.known
        found: Real = 0.5 * (alone - 2 * pulled + np.einsum("vpq,wqp->vw", taken, taken))
        return found

    def spread_errors(self) -> Real:
        """Return independent standard errors of the variances in columns [V, V]: their covariance is L L'."""
        alone = np.einsum("bde,vef,bfg,vgd->v", self.precision, self.ways, self.precision, self.ways, optimize=True)
        sizes = np.sqrt(np.maximum(alone / 2, _LEAST))
        values, vectors = np.linalg.eigh(self.information_of_variances() / np.outer(sizes, sizes))
        found: Real = vectors / np.sqrt(np.maximum(values, _UNTOLD)) / sizes[:, None]
        return found

    def restricted(self, variances: Real) -> Real:
        """Return by how much the most likely variances [V] of the restricted likelihood are larger than these."""
        sizes = len(self.pull) / np.maximum(np.einsum("bde,ved->v", self.precision, self.ways), _LEAST)

        def cost(units: Real) -> tuple[float, Real]:
            there = self.at(units * sizes)
            return -there.height(self, units * sizes), -there.score() * sizes

        terms = self.directions.shape[1]
        most = _FARTHEST * terms / max(len(self.pull) - terms, 1)
        limits = [(-float(part), most) for part in variances / sizes]
        found: Real = minimize(cost, np.zeros(len(sizes)), jac=True, method="L-BFGS-B", bounds=limits).x * sizes
        return found


def _concave(precision: Real) -> Real:
    """Return the nearest precisions [B, D, D] that are none below 0, with the same sum of traces.

    The likelihood of somebody who looks as if at random, or perfect, is convex in places.
    """
    values, vectors = np.linalg.eigh(precision)
    positive = np.maximum(values, 0.0)
    share = max(float(values.sum()), 0.0) / max(float(positive.sum()), _LEAST)
    found: Real = (vectors * (share * positive)[:, None, :]) @ vectors.swapaxes(1, 2)
    return found


def _ways(sources: Sources) -> Real:
    """Return how each variance adds to the covariance of deviations [V, D, D]."""
    found = np.zeros((int(sources.sd_of.max()) + 1, *sources.loading.shape[1:] * 2))
    np.add.at(found, sources.sd_of, sources.loading[:, :, None] * sources.loading[:, None, :])
    return found
