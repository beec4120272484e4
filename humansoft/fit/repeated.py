"""Repeated measures: people who were met in several conditions, each of which counts as a subject of the model.

log temperature of person i in condition c = x_ic' beta + u_i + v_ic: whoever is precise in one condition tends to be in
the others. Taken for independent people, conditions of one person would make the interval of a contrast between
conditions too wide, and that of a contrast between groups of people too narrow.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.codebook import Labels
from humansoft.data.parts import WhoIsWho, persons_of
from humansoft.fit.abstract_profiles import Profiles, Scores

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RepeatedMeasures:
    """Which subjects of a model are one person.

    Attributes:
        people: labels of the B people.
        cell: [B, C] place among the S subjects of each person's conditions, -1 where a person was met in fewer than C.
    """

    people: tuple[Hashable, ...]
    cell: Index

    @classmethod
    def of(cls, source: WhoIsWho, subjects: Sequence[Hashable]) -> "RepeatedMeasures":
        """Return who is who among subjects, which may be conditions of people, as a log or a fit says."""
        known = persons_of(source, subjects)
        people = Labels.of("person", [known[subject] for subject in subjects])
        person = people.encode([known[subject] for subject in subjects])
        number = pd.Series(person).groupby(person).cumcount().to_numpy()
        cell = np.full((len(people), int(number.max(initial=0)) + 1), -1, dtype=np.int64)
        cell[person, number] = np.arange(len(person))
        return cls(people.values, cell)

    def some(self, numbers: Index) -> tuple[Index, "RepeatedMeasures"]:
        """Return the subjects of some people [S'], and who is who among them; somebody may be there several times."""
        cell = self.cell[numbers]
        there = cell >= 0
        place = np.where(there, np.cumsum(there).reshape(cell.shape) - 1, -1)
        return cell[there], RepeatedMeasures(tuple(range(len(numbers))), place)

    @property
    def num_conditions(self) -> int:
        """Return C: 1 where every subject is a person."""
        return int(self.cell.shape[1])

    @cached_property
    def place(self) -> tuple[Index, Index]:
        """The person and the condition [S] of each subject."""
        person, condition = np.nonzero(self.cell >= 0)
        order = np.argsort(self.cell[person, condition])
        return person[order], condition[order]

    def by_person(self, values: Real) -> Real:
        """Lay out values of subjects [S, ...] by person and condition [B, C, ...], 0 where there are none."""
        found = np.zeros((*self.cell.shape, *values.shape[1:]))
        found[self.place] = values
        return found

    def by_subject(self, values: Real) -> Real:
        """Return values [B, C, ...] of those conditions in which people were met, subject by subject [S, ...]."""
        return values[self.place]

    def summed(self, values: Real) -> Real:
        """Add up values of subjects [S, ...] by person [B, ...]."""
        total: Real = self.by_person(values).sum(axis=1)
        return total


@dataclass(eq=False)
class RepeatedProfiles(Profiles):
    """What each person did in all conditions, as a function of the temperatures in each [C].

    Attributes:
        single: profiles of the subjects.
        measures: which of them are one person.
    """

    single: Profiles
    measures: RepeatedMeasures

    def value(self, shared: Real, own: Real) -> Real:
        """Return the log-likelihoods [B, Q] at log temperatures [B, Q, C]."""
        return self.measures.summed(self.single.value(shared, self._of_subjects(own)))

    def scores(self, shared: Real, own: Real) -> Scores:
        """Return their first derivatives."""
        return self._together(self.single.scores(shared, self._of_subjects(own)))

    def value_and_scores(self, shared: Real, own: Real) -> tuple[Real, Scores] | None:
        """Return both at once, or ``None`` where somebody has no solution."""
        found = self.single.value_and_scores(shared, self._of_subjects(own))
        return None if found is None else (self.measures.summed(found[0]), self._together(found[1]))

    def curvature(self, shared: Real, own: Real) -> Real:
        """Return their second derivatives by the log temperatures [B, Q, C, C]."""
        bent = self.measures.by_person(self.single.curvature(shared, self._of_subjects(own))[..., 0, 0])
        found: Real = bent.swapaxes(1, 2)[..., None] * np.eye(self.measures.num_conditions)
        return found

    def _of_subjects(self, own: Real) -> Real:
        """Return the log temperatures of each subject [S, Q, 1]."""
        return self.measures.by_subject(own.swapaxes(1, 2))[..., None]

    def _together(self, scores: Scores) -> Scores:
        return Scores(self.measures.summed(scores.shared), self.measures.by_person(scores.own[..., 0]).swapaxes(1, 2))
