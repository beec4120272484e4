"""People met several times: one temperature a session, drawn together from one population.

log temperature of person i in session s = mean_s + u_is, (u_i1, u_i2) ~ N(0, Sigma): the correlation in Sigma is
that of the temperatures themselves, not of noisy estimates of them (Waltmann et al. 2022).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.codebook import Labels
from humansoft.data.log import BehaviorLog
from humansoft.data.parts import condition_of, parted
from humansoft.errors import LogError, shortlist
from humansoft.fit.abstract_profiles import Profiles, Scores
from humansoft.fit.mixed import Mixed
from humansoft.fit.spreads import Correlated
from humansoft.parameters import Parameter

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sessions:
    """A log in which every person in every session counts as a subject.

    Attributes:
        log: the decisions; its subjects are (person, session).
        people: labels of the people who were met in both sessions.
        labels: the two sessions.
        cell: [B, 2] place of each person's session among ``log.subjects``.
        once: people who were met in one session only; they are left out.
    """

    log: BehaviorLog
    people: tuple[Hashable, ...]
    labels: tuple[Hashable, Hashable]
    cell: Index
    once: tuple[Hashable, ...]

    def cells(self, place: int) -> list[Hashable]:
        """Return the (person, session) labels of one of the sessions."""
        return [(person, self.labels[place]) for person in self.people]


def by_session(log: BehaviorLog, column: str) -> Sessions:
    """Tell the sessions of a log apart.

    Raises:
        UsageError: no such column.
        LogError: not two sessions, decisions without one, episodes in two of them, or nobody met twice.
    """
    labels, session = condition_of(log, column)
    if len(labels) != 2:
        raise LogError(
            f"column {column!r} has {len(labels)} values ({shortlist(labels.values)}): reliability needs two sessions"
        )
    met = pd.crosstab(log.subject, session) > 0
    twice = met.index[met.all(axis=1)].to_numpy()
    names = log.codebook.subjects.values
    if len(twice) < 3:
        raise LogError(f"{len(twice)} people have decisions in both sessions: reliability needs at least 3")
    kept = np.isin(log.subject, twice)
    parts = parted(log.select(kept), session[kept], labels)
    people = tuple(names[code] for code in twice)
    cell = parts.codebook.subjects.encode([(p, s) for p in people for s in labels.values]).reshape(-1, 2)
    once = tuple(names[code] for code in met.index[~met.all(axis=1)])
    return Sessions(parts, people, (labels.values[0], labels.values[1]), cell, once)


def halves(log: BehaviorLog) -> BehaviorLog:
    """Return the log with a subject for each (person, half): every other episode of the person.

    Raises:
        LogError: the log was counted while reading, which keeps no episodes.
    """
    log.require_episodes("read it without counted=True to halve it")
    number = pd.Series(log.episode).groupby(log.subject).rank(method="dense").to_numpy().astype(np.int64)
    return parted(log, (number - 1) % 2, Labels("half", (0, 1)))


@dataclass(eq=False)
class SessionProfiles(Profiles):
    """What each person did in both sessions, as a function of the temperatures in the first and in the second.

    Attributes:
        single: profiles of each (person, session).
        cell: [B, 2] their places.
    """

    single: Profiles
    cell: Index

    def value(self, shared: Real, own: Real) -> Real:
        """Return the log-likelihoods [B, Q] at log temperatures [B, Q, 2]."""
        total: Real = np.sum([self.single.value(shared, mine)[place] for mine, place in self._parts(own)], axis=0)
        return total

    def scores(self, shared: Real, own: Real) -> Scores:
        """Return their first derivatives."""
        return _together([(self.single.scores(shared, mine), place) for mine, place in self._parts(own)])

    def value_and_scores(self, shared: Real, own: Real) -> tuple[Real, Scores] | None:
        """Return both at once, or ``None`` where somebody has no solution."""
        values, scores = [], []
        for mine, place in self._parts(own):
            found = self.single.value_and_scores(shared, mine)
            if found is None:
                return None
            values.append(found[0][place])
            scores.append((found[1], place))
        total: Real = np.sum(values, axis=0)
        return total, _together(scores)

    def curvature(self, shared: Real, own: Real) -> Real:
        """Return their second derivatives by the log temperatures [B, Q, 2, 2]."""
        bent = np.zeros((*own.shape, 2))
        for session, (mine, place) in enumerate(self._parts(own)):
            bent[..., session, session] = self.single.curvature(shared, mine)[place][..., 0, 0]
        return bent

    def _parts(self, own: Real) -> list[tuple[Real, Index]]:
        """Return everybody's log temperatures in each session, spread over all (person, session)."""
        parts = []
        for session in range(2):
            place = self.cell[:, session]
            spread = np.zeros((int(self.cell.max()) + 1, own.shape[1], 1))
            spread[place] = own[:, :, session : session + 1]
            parts.append((spread, place))
        return parts


def _together(found: Sequence[tuple[Scores, Index]]) -> Scores:
    """Return everybody's scores from those of the sessions, each with the places of people in it."""
    by_shared: Real = np.sum([scores.shared[place] for scores, place in found], axis=0)
    return Scores(by_shared, np.concatenate([scores.own[place] for scores, place in found], axis=2))


def two_sessions(sessions: Sessions, shared: Sequence[Parameter]) -> Mixed:
    """Return the population of people met twice: a mean and a spread in each session, and a correlation.

    Args:
        sessions: whom it is made of.
        shared: what all of them share, all of it known.
    """
    count = len(sessions.people)
    names = [str(label) for label in sessions.labels]
    means = tuple(Parameter("log_temperature", "log_temperature", "group", name) for name in names)
    spread = tuple(Parameter("sd", "log_sd", "group", name) for name in names)
    correlation = Parameter("correlation", "atanh_correlation", "group", " and ".join(names))
    design = np.tile(np.eye(2), (count, 1, 1))
    return Mixed(tuple(shared), means, (*spread, correlation), design, (0, 1), Correlated)
