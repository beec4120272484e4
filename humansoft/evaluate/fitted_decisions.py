"""The decisions that fits were learned from, once more: whether they are the same, and their likelihood by unit."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.data.log import BehaviorLog
from humansoft.errors import UsageError, did_you_mean, shortlist
from humansoft.evaluate.flatness import training_likelihood
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.result import Fit
from humansoft.tasks.lookup import action_labels, playable_in

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
UnitName = Literal["subject", "episode"]
Decisions: TypeAlias = dict[tuple[Hashable, Hashable, Hashable], float]
UNITS: tuple[UnitName, ...] = ("subject", "episode")


@dataclass(frozen=True, eq=False)
class Units:
    """A fit's likelihood, and the units that its decisions fall into.

    Attributes:
        likelihood: of the decisions the fit was learned from, summed by unit.
        unit: [N] number of the unit of each observation.
        index: labels of the units.
    """

    likelihood: AbstractLikelihood
    unit: Index
    index: "pd.Index[str]"

    def summed(self, by_observation: Real) -> Real:
        """Add up something weighted of each observation [N] over units [U]."""
        weights = self.likelihood.observations.weight * by_observation
        return np.bincount(self.unit, weights, len(self.index)).astype(np.float64)

    def num_decisions(self) -> Real:
        """Return how many decisions with more than one option each unit made [U]."""
        seen = self.likelihood.observations
        several = playable_in(self.likelihood.model.task, seen.state).sum(axis=1) > 1
        return self.summed(several.astype(np.float64))

    def log_likelihood(self) -> Real:
        """Return the log-likelihood of each unit [U] at the estimates."""
        log_prob = self.likelihood.log_prob(self.likelihood.start())
        assert log_prob is not None, "the estimates are feasible"
        return self.summed(log_prob.numpy())


def require_unit(unit: str) -> UnitName:
    """Return the name of a unit.

    Raises:
        UsageError: there is no such unit.
    """
    for name in UNITS:
        if name == unit:
            return name
    raise UsageError(f"unit={unit!r}: no such unit.{did_you_mean(unit, UNITS)}")


def units_of(fit: Fit, unit: UnitName = "subject", log: BehaviorLog | None = None) -> Units:
    """Lay out what a fit was learned from by units.

    Args:
        fit: the fit.
        unit: "subject", or "episode", which takes the log: a fit keeps no episodes.
        log: the log the fit was learned from.

    Raises:
        UsageError: the log is needed, or is not the one that was fitted.
        LogError: episodes of a counted log, which has none.
    """
    if log is None:
        if unit == "episode" or fit.model.task.horizon is not None:
            why = "no episodes" if unit == "episode" else "no times, which matter in a task with a horizon"
            raise UsageError(f"a fit keeps {why}: pass the log it was fitted to, log=...")
        likelihood = training_likelihood(fit)
    else:
        require_fitted(fit, log)
        likelihood = likelihood_of(fit.model, fit.model.observe(log, by=unit))
    seen = likelihood.observations
    if unit == "subject" or log is None:
        values, place = np.unique(seen.person, return_inverse=True)
        index = pd.Index(fit.subjects.decode(values), name="subject", tupleize_cols=False)
    else:
        values, place = np.unique(seen.unit, return_inverse=True)
        index = episode_index(log, values)
    return Units(likelihood, place.astype(np.int64), index)


def episode_index(log: BehaviorLog, episodes: Index) -> pd.MultiIndex:
    """Return the labels (subject, episode) of some episodes' codes."""
    first = np.flatnonzero(log.episode_start)
    first = first[np.searchsorted(log.episode[first], episodes)]
    names = log.frame[log.columns.episode].iloc[first].tolist() if log.columns.episode else [1] * len(first)
    subjects = log.codebook.subjects.decode(log.subject[first])
    return pd.MultiIndex.from_arrays([pd.Index(subjects, tupleize_cols=False), names], names=["subject", "episode"])


def require_same_decisions(fits: Mapping[str, Fit]) -> None:
    """Refuse fits of different data: their likelihoods say nothing about each other.

    Raises:
        UsageError: naming the first two that differ, and in what.
    """
    (first, one), *others = fits.items()
    decisions = _decisions(one)
    for name, fit in others:
        theirs = _decisions(fit)
        lost = [
            key for key in decisions.keys() | theirs.keys() if not _alike(decisions.get(key, 0.0), theirs.get(key, 0.0))
        ]
        if lost:
            subject, state, action = min(lost, key=str)
            key = (subject, state, action)
            raise UsageError(
                f"{first!r} and {name!r} were fitted to different decisions: {len(lost):,} of "
                f"{len(decisions.keys() | theirs.keys()):,} counts differ, for example subject {subject!r} in "
                f"{state!r} did {action!r} {decisions.get(key, 0.0):g} and {theirs.get(key, 0.0):g} times. "
                "Criteria compare models of the same decisions only: fit all of them to one log"
            )


def require_fitted(fit: Fit, log: BehaviorLog) -> None:
    """Refuse a log that is not the one the fit was learned from.

    Raises:
        UsageError: its decisions are others, or somebody else's.
    """
    strangers = [label for label in log.subjects if label not in fit.subjects]
    if strangers:
        raise UsageError(f"this is not the log that was fitted: the fit does not know {shortlist(strangers)}")
    seen = fit.model.observe(log)
    same = _decisions(fit) == _rounded(_counts(fit, seen.person, seen.state, seen.action, seen.weight))
    if not same:
        raise UsageError(
            f"{log.source} is not the log that was fitted ({fit.training.source}, {fit.num_decisions:,.0f} decisions): "
            "pass the one the fits were learned from"
        )


def _decisions(fit: Fit) -> Decisions:
    """Return how often each person did what where, by labels."""
    counts = fit.training.counts
    person, state, action = (counts[name].to_numpy() for name in ("subject", "state", "action"))
    return _rounded(_counts(fit, person, state, action, counts["weight"].to_numpy(dtype=float)))


def _counts(fit: Fit, person: Index, state: Index, action: Index, weight: Real) -> Decisions:
    task = fit.model.task
    total: Decisions = {}
    labels = zip(
        fit.subjects.decode(person), task.states.decode(state), action_labels(task, state, action), strict=True
    )
    for key, count in zip(labels, weight.tolist(), strict=True):
        total[key] = total.get(key, 0.0) + count
    return total


def _rounded(decisions: Decisions) -> Decisions:
    """Return sums of weights without the rounding of their order."""
    return {key: float(f"{count:.9g}") for key, count in decisions.items() if count}


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-6 * max(1.0, abs(one))
