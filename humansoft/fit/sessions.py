"""People met several times: one temperature a session, drawn together from one population.

log temperature of person i in session s = mean_s + u_is, (u_i1, u_i2) ~ N(0, Sigma): the correlation in Sigma is
that of the temperatures themselves, not of noisy estimates of them (Waltmann et al. 2022).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from humansoft.codebook import Labels
from humansoft.data.log import BehaviorLog
from humansoft.data.parts import condition_of, parted
from humansoft.errors import LogError, shortlist
from humansoft.fit.mixed import Mixed
from humansoft.fit.repeated import RepeatedMeasures
from humansoft.fit.spreads import Correlated
from humansoft.parameters import Parameter


@dataclass(frozen=True, eq=False)
class Sessions:
    """A log in which every person in every session counts as a subject.

    Attributes:
        log: the decisions; its subjects are (person, session).
        labels: the two sessions.
        measures: which subjects of the log are one person.
        once: people who were met in one session only; they are left out.
    """

    log: BehaviorLog
    labels: tuple[Hashable, Hashable]
    measures: RepeatedMeasures
    once: tuple[Hashable, ...]

    @property
    def people(self) -> tuple[Hashable, ...]:
        """Labels of the people who were met in both sessions."""
        return self.measures.people

    def cells(self, place: int) -> list[Hashable]:
        """Return the (person, session) labels of one of the sessions."""
        return [(person, self.labels[place]) for person in self.people]


def by_session(log: BehaviorLog, column: str) -> Sessions:
    """Tell the sessions of a log apart.

    Raises:
        UsageError: no such column.
        LogError: not two sessions, decisions without one, episodes in two of them, or nobody met twice.
    """
    if column in log.columns.conditions:
        raise LogError(
            f"the log is taken apart by {column!r} already: each person in each {column} is a subject. Read it without "
            "conditions to see who was met twice"
        )
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
    measures = RepeatedMeasures(people, cell)
    once = tuple(names[code] for code in met.index[~met.all(axis=1)])
    return Sessions(parts, (labels.values[0], labels.values[1]), measures, once)


def halves(log: BehaviorLog) -> BehaviorLog:
    """Return the log with a subject for each (person, half): every other episode of the person.

    Raises:
        LogError: the log was counted while reading, which keeps no episodes.
    """
    log.require_episodes("read it without counted=True to halve it")
    number = pd.Series(log.episode).groupby(log.subject).rank(method="dense").to_numpy().astype(np.int64)
    return parted(log, (number - 1) % 2, Labels("half", (0, 1)))


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
