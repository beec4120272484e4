"""Mistakes seen and expected, by what they cost: do people err as the model says (SCIENCE D7)?

In the model a mistake is exponentially unlikely in its cost. Misfit is absorbed by the temperature, so that
temperatures of people who err in another way are no measure of noise.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from humansoft.fit.arrow import inverse
from humansoft.fit.choice_likelihood import as_planned
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.result import Fit
from humansoft.planners import log_prior
from humansoft.solvers.expansion import Observations

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

NUM_BINS = 5
FEWEST_EXPECTED = 5.0
"""Mistakes that each bin must be expected to hold for its count to be near normal."""

_TIE = 1e-9  # in temperatures: what costs less is no mistake
_FLAT = 1e-9  # relative eigenvalues of the information below this say nothing
_DETERMINED = 1e-6  # of the variance: directions of the counts that the estimates leave no freedom


@dataclass(frozen=True, eq=False)
class GapBins:
    """Mistakes of some people in bins of what they cost.

    Attributes:
        cost: [bins] mean cost of the mistakes expected in each bin, in temperatures.
        seen: [bins] mistakes made.
        expected: [bins] mistakes that the model expects in the states that people were in.
        covariance: [bins, bins] of seen - expected under the model, given that its parameters were estimated.
    """

    cost: Real
    seen: Real
    expected: Real
    covariance: Real

    @property
    def test(self) -> tuple[float, int, float]:
        """The chi-squared statistic, its degrees of freedom and its p; nan, 0, nan with too few mistakes."""
        if not len(self.seen):
            return float("nan"), 0, float("nan")
        size = np.sqrt(np.maximum(self.expected, np.finfo(float).tiny))
        values, directions = np.linalg.eigh(self.covariance / np.outer(size, size))
        kept = values > _DETERMINED
        off = directions.T @ ((self.seen - self.expected) / size)
        statistic = float((off[kept] ** 2 / values[kept]).sum())
        return statistic, int(kept.sum()), float(chi2.sf(statistic, int(kept.sum())))


def gap_bins(fit: Fit, likelihood: AbstractLikelihood, people: npt.NDArray[np.bool_]) -> GapBins:
    """Count mistakes of some people [B] by cost, beside what a fit expects of them.

    The counts vary less than they would around the truth, for the parameters were estimated from them: what the
    scores explain of them is taken out (as in a conditional moment test).

    Args:
        fit: the fit.
        likelihood: the likelihood of its decisions, at its parameters.
        people: [B] whose mistakes.
    """
    choices = _Choices.of(fit, likelihood, people)
    total = float(choices.visits @ choices.mistake)
    number = min(NUM_BINS, int(total // FEWEST_EXPECTED))
    if number < 2:
        none = np.zeros(0)
        return GapBins(none, none, none, np.zeros((0, 0)))
    inside = choices.bins(number)  # [N, bins]
    weighted = (choices.visits * choices.chance)[:, None] * inside
    expected = weighted.sum(axis=0)
    cost = (weighted * choices.cost[:, None]).sum(axis=0) / expected
    first = np.flatnonzero(np.diff(choices.visit, prepend=-1))
    each = np.add.reduceat(choices.chance[:, None] * inside, first, axis=0)
    covariance = np.diag(expected) - (each * choices.visits[first][:, None]).T @ each
    # What the estimates take out: Cov(counts, scores) times the inverse information times its transpose.
    with_scores = _by_parameter(likelihood, choices, weighted)
    table = likelihood.model.table
    information = likelihood.expected_information(likelihood.start())
    explained = with_scores.T @ inverse(information, table.free, table.mean_zero, _FLAT).covariance.times(with_scores)
    seen = (choices.made[:, None] * inside).sum(axis=0)
    return GapBins(cost, seen, expected, covariance - explained)


@dataclass(frozen=True, eq=False)
class _Choices:
    """All that some people could have done where they were (N actions, those of one visit side by side).

    Attributes:
        visit: [N] which visited (person, time, state; what was done before, if people are sticky) an action belongs to.
        visits: [N] how often that was.
        person: [N] whose.
        chance: [N] probability of the action.
        cost: [N] what it costs against the best, in temperatures.
        made: [N] how often it was done.
        scores: [N, C] derivative of its log probability by each color of parameters.
    """

    visit: Index
    visits: Real
    person: Index
    chance: Real
    cost: Real
    made: Real
    scores: Real

    @classmethod
    def of(cls, fit: Fit, likelihood: AbstractLikelihood, people: npt.NDArray[np.bool_]) -> "_Choices":
        every, point = likelihood.every_action, likelihood.start()
        logs = every.log_prob(point)
        assert logs is not None, "there is a solution at the estimates"
        seen, model = every.observations, fit.model
        visit = np.cumsum(np.diff(_place(seen, likelihood), prepend=-1) != 0) - 1
        value = _planned(likelihood, seen) if model.choice else logs.numpy()
        if model.task.goals is None:
            value = value - log_prior(model.task, model.planner, model.prior).numpy()[seen.state, seen.action]
        best = np.maximum.reduceat(value, np.flatnonzero(np.diff(visit, prepend=-1)))
        kept = people[seen.person]
        made = _made(seen, likelihood)
        return cls(
            visit[kept],
            seen.weight[kept],
            seen.person[kept],
            np.exp(logs.numpy())[kept],
            (best[visit] - value)[kept],
            made[kept],
            every.jacobian(point)[kept],
        )

    @property
    def mistake(self) -> Real:
        """[N] probability of the action where it is a mistake, else 0."""
        return np.where(self.cost > _TIE, self.chance, 0.0)

    def bins(self, number: int) -> Real:
        """Return [N, number] which bin of cost a mistake is in, with about equally many expected in each."""
        order = np.argsort(self.cost, kind="stable")
        share = np.cumsum((self.visits * self.mistake)[order])
        cuts = np.searchsorted(share, share[-1] * np.arange(1, number) / number)
        edges = np.unique(self.cost[order][cuts])
        place = np.searchsorted(edges, self.cost, side="left")
        inside = (place[:, None] == np.arange(len(edges) + 1)) & (self.cost > _TIE)[:, None]
        filled = ((self.visits * self.mistake)[:, None] * inside).sum(axis=0) > 0
        found: Real = inside[:, filled].astype(np.float64)
        return found


def _planned(likelihood: AbstractLikelihood, seen: Observations) -> Real:
    """Return the log probability of each action [N] before habits and slips, which say nothing of what it costs."""
    planned = likelihood_of(as_planned(likelihood.model), seen)
    logs = planned.log_prob(planned.start())
    assert logs is not None, "there is a solution at the estimates"
    return logs.numpy()


def _place(seen: Observations, likelihood: AbstractLikelihood) -> Index:
    """Return one number for each (time, state, person), and action made before where that matters."""
    task = likelihood.model.task
    found: Index = (seen.time * len(task.states) + seen.state) * len(likelihood.model.subjects) + seen.person
    return found if seen.previous is None else found * (len(task.actions) + 1) + seen.previous + 1


def _made(every: Observations, likelihood: AbstractLikelihood) -> Real:
    """Return how often each possible action [N] was done."""
    actions = len(likelihood.model.task.actions)
    done = likelihood.observations
    keys = _place(every, likelihood) * actions + every.action
    order = np.argsort(keys)
    found = order[np.searchsorted(keys[order], _place(done, likelihood) * actions + done.action)]
    return np.bincount(found, weights=done.weight, minlength=len(keys)).astype(np.float64)


def _by_parameter(likelihood: AbstractLikelihood, choices: _Choices, weighted: Real) -> Real:
    """Return the covariance of the counts [bins] with the score of each parameter [P, bins]."""
    directions = likelihood.directions
    row = directions.row_of_person[choices.person]
    by_row = np.zeros((len(directions.owner), choices.scores.shape[1], weighted.shape[1]))
    np.add.at(by_row, row, choices.scores[:, :, None] * weighted[:, None, :])
    found = np.zeros((len(likelihood.model.table) + 1, weighted.shape[1]))
    np.add.at(found, directions.owner, by_row)
    return found[:-1]
