"""How well a population predicts each of its people if it is learned from the others alone.

A person is a new draw to those who do not know them: what is scored is the person's marginal likelihood, own
parameters integrated out, at the population's parameters without the person,

    log p(y_i | theta_-i) = log of the integral of p(y_i | u) N(u; 0, Sigma_-i) du,

and not the probability of what the person did at estimates that have seen it (SCIENCE 4.6). theta (means, effects of
covariates, log spreads, and what everybody shares) maximises the sum over people of l_i(theta), their log marginal
likelihoods. With person i's score g_i and information U_i, and H the sum of all U,

    theta_-i = theta - (H - U_i)^-1 g_i,

one Newton step, exact for quadratic likelihoods; its first order is the infinitesimal jackknife. The integral is then
solved anew there, and the slope of the others' likelihood tells the next step: what it would change in the integral, to
first order, is added. Where that is more than .005 nats, the step is taken, up to three times. The others are fitted
alone, as any population is, where this does not settle; where the person alone knows more than .3 of some direction
(the largest eigenvalue of H^-1 U_i, the leverage); and where a spread that is 0 (or a lapse that people do without) is
better at another value for the others. If nothing settles, or something runs away that did not before, the person is
marked: "refit".

Laplace-EM ends where its own equations hold, and not where its likelihood is largest: for g_i and U_i it has what each
person adds to these (:class:`humansoft.fit.marginal.LaplaceEquations`).
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.linalg import null_space

from humansoft.data.log import BehaviorLog
from humansoft.errors import SolveError, UsageError, shortlist
from humansoft.evaluate.fitted_decisions import units_of
from humansoft.evaluate.left_out import MOST_LEVERAGE, REFIT, REFITTED, Left, table_of
from humansoft.fit.assemble import is_optimum
from humansoft.fit.boundary import FLAT, NEVER
from humansoft.fit.hierarchical import collapsed
from humansoft.fit.known_population import as_known, at_parameters, measures_like
from humansoft.fit.marginal import LaplaceEquations
from humansoft.fit.mixed import Mixed
from humansoft.fit.people import People
from humansoft.fit.population import Integration, Population
from humansoft.fit.population_lapse import by_person_at
from humansoft.fit.population_maximum import PopulationMaximum, by_laplace, by_quadrature
from humansoft.fit.result import Fit
from humansoft.parameters import Parameters
from humansoft.threads import one_thread

Real = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_MOST_CHANGE = 0.005  # nats by which another step may change a person's score
_MORE_STEPS = 3  # with the same curvature, before the others are fitted anew
_LARGEST_LEAP = 3.0  # of a parameter in units in which it matters: from further off, fits start anew
_UNTOLD = 1e-4  # information about a log temperature or log spread: a standard error of 100 natural logs
_ALONE = 1e-9  # share of a term that all people but one tell
_SPREADS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # that may be better for the others than 0
_LAPSES = (-5.0, -3.0)  # logits that may be better for the others than never


@one_thread()
def leave_people_out(fit: Fit, log: BehaviorLog | None = None) -> pd.DataFrame:
    """Return the log marginal likelihood of each person under the population of all others.

    People who are seen through a population that others told (:func:`humansoft.adapt`) are predicted as they are.

    Args:
        fit: a fit with a population, by maximum likelihood.
        log: the log that was fitted; needed only in tasks with a horizon.

    Returns:
        One row a person: num_decisions, log_likelihood (marginal, with the person), log_predictive (without), leverage,
        and mark: "", "refitted" (found by fitting the others) or "refit" (nothing settled: not to be trusted).

    Raises:
        UsageError: no population, or the others tell nothing of a person's group, with the way out.
    """
    population = fit.population
    if population is None:
        raise UsageError("this fit takes people one by one and knows no population: fit with method='hierarchical'")
    units = units_of(fit, "subject", log)
    measures = measures_like(population, fit.training, fit.subjects.values)
    people = People(units.likelihood, population.design, measures)
    known = population.evidence.to_numpy(dtype=np.float64).astype(np.float64)
    found = None
    if not set(fit.subjects.values).isdisjoint(population.covariates.index):
        _require_learnable(population, people)
        everybody = _Everybody.of(people, population)
        found = [everybody.without(number) for number in range(len(known))]
    index = pd.Index(people.labels, name="subject", tupleize_cols=False)
    return table_of(index, people.of_subjects(units.num_decisions()), known, found)


def _require_learnable(population: Population, people: People) -> None:
    """Refuse populations of which some parameter is told by one person alone.

    Raises:
        UsageError: naming these people.
    """
    if population.integration == "nuts":
        raise UsageError(
            "the population was sampled, and its draws are not in this fit: compare fits that hold them (fit.posterior)"
        )
    design = population.design
    if len(people.labels) < 2:
        raise UsageError("there is one person alone: nobody is left to learn the population from")
    basis = np.linalg.qr(design.to_numpy(dtype=float))[0]
    told = people.of_subjects(basis[:, :, None] * basis[:, None])  # share of each direction that a person tells
    alone = np.linalg.eigvalsh(told)[:, -1] > 1 - _ALONE
    if alone.any():
        names = shortlist([people.labels[place] for place in np.flatnonzero(alone)])
        raise UsageError(
            f"leaving {names} out leaves nothing to learn some term of {population.formula!r} from "
            f"({', '.join(map(str, design.columns))}): nobody else is of that kind. Put groups together, or compare by "
            "criteria that need no person left out (aic, bic)"
        )


@dataclass(frozen=True, eq=False)
class _Everybody:
    """The likelihood of all people at the population's parameters.

    Attributes:
        people: who they are, and what they did.
        best: the likelihood of the population, and where it is largest; what is at a boundary is held there.
        integration: how people's own parameters are integrated out.
    """

    people: People
    best: PopulationMaximum
    integration: Integration

    @classmethod
    def of(cls, people: People, population: Population) -> "_Everybody":
        anew = people.some(np.arange(len(people.labels)))
        best = as_known(anew, population)
        mixed = best.objective.mixed
        held = collapsed(mixed, best.full) | (mixed.table.is_lapse & mixed.table.free & (best.full <= NEVER))
        objective = replace(best.objective, mixed=mixed.holding(held, best.full))
        if population.integration == "laplace":  # whose estimates solve other equations
            objective = LaplaceEquations(objective.profiles, objective.mixed, objective.decisions)
        return cls(anew, replace(best, objective=objective), population.integration)

    def without(self, number: int) -> Left:
        """Leave one person out."""
        full, basis = self.best.full, self._basis
        mine, score = self._informations[number], self._scores[number]
        whole = basis.T @ self._informations.sum(axis=0) @ basis
        leverage = float(np.real(np.linalg.eigvals(np.linalg.solve(whole, basis.T @ mine @ basis))).max(initial=0.0))
        better = self._better_without(number)
        if leverage >= 1.0 or better is not None:
            return self._fitted_without(number, full if better is None else better, leverage)
        rest = basis @ np.linalg.inv(whole - basis.T @ mine @ basis) @ basis.T
        moved = full + rest @ (self._scores.sum(axis=0) - score)
        if leverage > MOST_LEVERAGE or not self._is_near(moved):
            return self._fitted_without(number, moved if self._is_near(moved) else full, leverage)
        for mark in ("", *[REFITTED] * _MORE_STEPS):
            alone = self._alone(number, moved)
            step = rest @ np.delete(self.best.objective.scores(moved), number, axis=0).sum(axis=0)
            change = float(alone.objective.scores(moved)[0] @ step)
            if abs(change) <= _MOST_CHANGE:
                return Left(float(alone.objective.by_person(moved)[0]) + change, leverage, mark)
            moved = moved + step
            if not self._is_near(moved):
                break
        return self._fitted_without(number, full, leverage)

    def _is_near(self, full: Real) -> bool:
        """Say whether parameters are near those of all people, and there is a solution."""
        away = np.abs((full - self.best.full) * self.best.objective.table.scales)
        return bool(away.max() <= _LARGEST_LEAP and np.isfinite(self.best.objective.by_person(full)).all())

    @cached_property
    def _scores(self) -> Real:
        """Derivatives of each person's log marginal likelihood [B, P]."""
        return self.best.objective.scores(self.best.full)

    @cached_property
    def _informations(self) -> Real:
        """Minus its second derivatives [B, P, P]."""
        return self.best.objective.informations(self.best.full)

    @cached_property
    def _basis(self) -> Real:
        """Directions [P, F] of which all people together tell something."""
        return _told(self.best.objective.table, self._informations.sum(axis=0))

    @cached_property
    def _elsewhere(self) -> tuple[Real, Real]:
        """Parameters [T, P] with what is at a boundary taken off it, and what each person gains by that [T, B]."""
        full, mixed = self.best.full, self.best.objective.mixed
        points = [
            np.where(np.arange(len(full)) == place, value, full)
            for places, values in ((collapsed(mixed, full), np.log(_SPREADS)), (self._without_lapse, _LAPSES))
            for place in np.flatnonzero(places)
            for value in values
        ]
        here = by_person_at(self.best.objective, full)
        gains = [by_person_at(self.best.objective, point) - here for point in points]
        return np.reshape(points, (-1, len(full))), np.reshape(gains, (-1, len(here)))

    @property
    def _without_lapse(self) -> Flags:
        table = self.best.objective.table
        free = np.array([row.fixed is None for row in self.best.objective.mixed.rows], dtype=bool)
        found: Flags = table.is_lapse & free & ~table.free
        return found

    def _better_without(self, number: int) -> Real | None:
        """Return parameters off a boundary that are better for the others, if there are such."""
        points, gains = self._elsewhere
        others = gains.sum(axis=1) - gains[:, number]
        place = int(np.argmax(others)) if len(others) else 0
        return points[place] if len(others) and others[place] > FLAT else None

    def _alone(self, number: int, full: Real) -> PopulationMaximum:
        """Return the likelihood of one person at parameters of the population."""
        place = np.array([number])
        return at_parameters(self.people.some(place), self._mixed_of(place), full, self.integration)

    def _fitted_without(self, number: int, start: Real, leverage: float) -> Left:
        """Fit the others alone."""
        others = np.delete(np.arange(len(self._scores)), number)
        mixed, rest = replace(self._mixed_of(others), held=None), self.people.some(others)
        profiles, decisions = rest.profiles(), float(rest.decisions().sum())
        try:
            if self.integration == "laplace":
                best = by_laplace(profiles, mixed, decisions, start, None)
            else:
                best = by_quadrature(profiles, mixed, decisions, start, None)
            predictive = float(self._alone(number, best.full).objective.by_person(best.full)[0])
        except SolveError:
            return Left(-np.inf, leverage, REFIT)
        return Left(predictive, leverage, REFITTED if self._is_settled(best) else REFIT)

    def _is_settled(self, best: PopulationMaximum) -> bool:
        """Say whether the others have a maximum, and tell as much of the population as everybody does."""
        objective = best.objective
        if not (best.settled if self.integration == "laplace" else is_optimum(objective, best.full)):
            return False
        whole, mixed = self.best.objective.mixed, objective.mixed
        gone = collapsed(mixed, best.full) & mixed.table.free
        mixed = mixed.holding(gone, best.full)
        information = -objective.hessian(torch.from_numpy(best.full)).toarray()
        untold = mixed.table.num_free - _told(mixed.table, information).shape[1]
        return bool(untold <= whole.table.num_free - self._basis.shape[1])

    def _mixed_of(self, people: npt.NDArray[np.int64]) -> Mixed:
        mixed = self.best.objective.mixed
        return replace(mixed, design=mixed.design[people])


def _told(table: Parameters, information: Real) -> Real:
    """Return the directions [P, F] in which free parameters may move and of which there is some information [P, P]."""
    kept = np.flatnonzero(table.free)
    scales = table.scales[kept]
    allowed = np.eye(len(kept))
    if table.mean_zero is not None:
        allowed = null_space((table.mean_zero[kept] / scales)[None])
    inner = information[np.ix_(kept, kept)] / np.outer(scales, scales)
    values, vectors = np.linalg.eigh(allowed.T @ inner @ allowed)
    found = np.zeros((len(table), int((values > _UNTOLD).sum())))
    found[kept] = allowed @ vectors[:, values > _UNTOLD] / scales[:, None]
    return found
