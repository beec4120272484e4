"""How many standard errors a 95 % interval reaches, and which kind of standard error it is, in words.

A sandwich is a sum over clusters. The scores of few clusters are smaller than the errors they stand for, for the
estimates were fitted to them, and vary themselves. So an interval from C clusters and p parameters estimated from
them reaches sqrt(C / (C - p)) standard errors times the quantile of Student's t with C - p degrees of freedom
(CR1; Bell and McCaffrey 2002, Cameron and Miller 2015). Standard errors are not touched: they are the published kinds.

Coverage of 95 % intervals of people's own parameters, simulated from correct models (400 people, four seeds; see
``tests/recovery/test_coverage.py``): the sandwich, +- 1.96 and corrected, beside the inverse Hessian,

    episodes    one parameter       two parameters
    10          .886  .939  .940    .866  .926  .949
    12          .893  .933  .946    .876  .920  .941
    15          .914  .937  .947    .894  .932  .950
    20          .914  .932  .949    .914  .939  .954

so that a sandwich is the default from 20 episodes on, and the inverse Hessian before.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm, t

from humansoft.data.log import BehaviorLog
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.parameters import Parameters

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

NORMAL_95 = 1.959963984540054
"""Standard errors that a 95 % interval of a normal estimate reaches."""

FEWEST_EPISODES = 5
"""With fewer episodes, a sandwich clustered by episode says more about luck than about noise: there is none."""

ENOUGH_EPISODES = 20
"""From so many episodes on (one parameter; one more for each further one) it is the default of a person's own."""

_WHY = {
    "hessian": "inverse Hessian",
    "sandwich_by_subject": "sandwich clustered by subject, because one person's decisions go together",
    "sandwich_by_episode": (
        "sandwich clustered by episode, because decisions of one episode go together, and a person's own parameters "
        "cannot be clustered by subject"
    ),
}


@dataclass(frozen=True, eq=False)
class Clusters:
    """How many people and episodes stand behind the estimate of each parameter.

    Attributes:
        is_own: [P] whether it belongs to one person, by name or because there is only one.
        people: [P] people whose decisions it enters.
        episodes: [P] their episodes; 0 in a counted log.
        shared_by: [P] number of parameters that are estimated from those same people.
    """

    is_own: npt.NDArray[np.bool_]
    people: Index
    episodes: Index
    shared_by: Index

    @classmethod
    def of(cls, likelihood: AbstractLikelihood, log: BehaviorLog) -> "Clusters":
        """Count the clusters of a log."""
        rows, people = likelihood.model.table.rows, likelihood.model.subjects
        episodes = np.zeros(len(people))
        if not log.counted:
            number = pd.Series(log.episode).groupby(log.subject).nunique()
            episodes[people.encode(log.codebook.subjects.decode(number.index))] = number
        members = likelihood.directions.summed(np.ones(len(people)))
        sharing = Counter((row.level, row.label) for row in rows if row.fixed is None)
        return cls(
            np.array([row.level == "subject" for row in rows], dtype=bool) | (members == 1),
            members.astype(np.int64),
            likelihood.directions.summed(episodes).astype(np.int64),
            np.array([sharing[row.level, row.label] for row in rows], dtype=np.int64),
        )

    @property
    def enough_people(self) -> npt.NDArray[np.bool_]:
        """[P] whether more people share a parameter than there are parameters that they share."""
        enough: npt.NDArray[np.bool_] = ~self.is_own & (self.people > self.shared_by)
        return enough

    @property
    def enough_episodes(self) -> npt.NDArray[np.bool_]:
        """[P] whether one person's parameter rests on enough episodes to be clustered by them."""
        enough: npt.NDArray[np.bool_] = self.is_own & (self.episodes - self.shared_by >= ENOUGH_EPISODES - 1)
        return enough

    def reach(self, kinds: Sequence[str], level: float = 0.95) -> Real:
        """Return how many standard errors of a kind [P] an interval reaches to each side [P]."""
        found = np.full(len(kinds), float(norm.ppf(0.5 + level / 2)))
        for kind, clusters in (("sandwich_by_subject", self.people), ("sandwich_by_episode", self.episodes)):
            freedom = clusters - self.shared_by
            few = (np.array(kinds, dtype=object) == kind) & (freedom > 0)
            found[few] = np.sqrt(clusters[few] / freedom[few]) * t.ppf(0.5 + level / 2, freedom[few])
        return found

    def explained(self, table: Parameters, kinds: Sequence[str], counted: bool) -> str:
        """Say which kind of standard error each parameter has, and why."""
        names: dict[str, list[str]] = {}
        for place, (row, kind) in enumerate(zip(table.rows, kinds, strict=True)):
            if row.fixed is None and kind in _WHY:
                reason = _WHY[kind] + (self._lacking(place, counted) if kind == "hessian" else "")
                names.setdefault(reason, []).append(f"`{row.name}`")
        if not names:
            return ""
        parts = [f"{', '.join(dict.fromkeys(several))}: {reason}" for reason, several in names.items()]
        few = any(kind.startswith("sandwich") for kind in kinds)
        return "standard errors, and why: " + "; ".join(parts) + "; intervals allow for few clusters" * few

    def _lacking(self, place: int, counted: bool) -> str:
        """Say why a parameter has no robust standard error by default."""
        if self.is_own[place] and counted:
            return ", because a counted log has no episodes to cluster by"
        if self.is_own[place] and not self.enough_episodes[place]:
            return f", because clustering by episode takes {ENOUGH_EPISODES} episodes a person or more"
        if not self.is_own[place] and not self.enough_people[place]:
            return ", because clustering by subject takes more people than the parameters they share"
        return ", because sums by cluster do not span all directions"
