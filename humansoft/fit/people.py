"""The people of a population model: what they did, what explains them, and who is who."""

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.codebook import Labels
from humansoft.fit.abstract_profiles import Profiles
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.profiles import profiles_of
from humansoft.fit.repeated import RepeatedMeasures, RepeatedProfiles
from humansoft.model import SoftOptimalModel
from humansoft.solvers.expansion import Observations
from humansoft.temperature import PerSubject

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class People:
    """B people, each of whom is one subject of a model, or several: one in each condition.

    Attributes:
        likelihood: of what S subjects did, each with parameters of its own.
        terms: [S, p] the design that explains their mean log temperatures.
        measures: which subjects are one person, where that matters; ``None``: each is taken for a person.
    """

    likelihood: AbstractLikelihood
    terms: pd.DataFrame
    measures: RepeatedMeasures | None

    @property
    def labels(self) -> tuple[Hashable, ...]:
        """Labels of the B people."""
        return self.likelihood.model.subjects.values if self.measures is None else self.measures.people

    def profiles(self) -> Profiles:
        """Return what each person did, as a function of the person's own parameters."""
        single = profiles_of(self.likelihood)
        return single if self.measures is None else RepeatedProfiles(single, self.measures)

    def decisions(self) -> Real:
        """Return the weighted decisions [B] of each person."""
        seen = self.likelihood.observations
        of_subjects = np.bincount(seen.person, seen.weight, len(self.likelihood.model.subjects)).astype(np.float64)
        return of_subjects if self.measures is None else self.measures.summed(of_subjects)

    def by_subject(self, own: Real) -> Real:
        """Lay out what goes with own parameters [B, K, ...] of people by subjects [S, k, ...].

        Each of a person's parameters in several conditions is that of one subject.
        """
        return own if self.measures is None else self.measures.by_subject(own)[:, None]

    def of_subjects(self, values: Real) -> Real:
        """Add up values of subjects [S, ...] by person [B, ...]."""
        return values if self.measures is None else self.measures.summed(values)

    @property
    def number_of_subject(self) -> Index:
        """The person that each subject is [S]."""
        return np.arange(len(self.terms)) if self.measures is None else self.measures.place[0]

    def some(self, numbers: Index, more: tuple[Observations, Index] | None = None) -> "People":
        """Return n of the people, by their numbers; each may be there several times.

        Args:
            numbers: [n] who they are.
            more: decisions of the same subjects that were not seen, and which of the n made each of them.
        """
        subjects, measures = numbers, None
        if self.measures is not None:
            subjects, measures = self.measures.some(numbers)
        seen = self.likelihood.observations
        subject, found = _joined(subjects, seen.person)
        seen = seen.select(found)
        if more is not None:
            further, place = more
            if self.measures is not None and measures is not None:
                place = measures.cell[place, self.measures.place[1][further.person]]
            seen, subject = seen.joined(further), np.r_[subject, place]
        likelihood = likelihood_like(self.likelihood.model, subjects, seen, subject)
        return People(likelihood, self.terms.take(subjects), measures)


def _joined(wanted: Index, given: Index) -> tuple[Index, Index]:
    """Return every pair of places (in ``wanted``, in ``given``) with the same number, in the order of the latter."""
    order = np.argsort(wanted, kind="stable")
    first, last = (np.searchsorted(wanted[order], given, side) for side in ("left", "right"))
    number = last - first
    found = np.repeat(np.arange(len(given)), number)
    inside = np.arange(len(found)) - np.repeat(np.cumsum(number) - number, number)
    return order[np.repeat(first, number) + inside], found


def likelihood_like(model: SoftOptimalModel, like: Index, seen: Observations, subject: Index) -> AbstractLikelihood:
    """Return the likelihood of n subjects, each like one of a bound model's.

    Args:
        model: bound to S subjects.
        like: [n] which of these each of the n is like.
        seen: decisions.
        subject: [N] which of the n made each of them.
    """
    people = Labels("subject", tuple(range(len(like))))
    if isinstance(model.temperature, PerSubject):
        bound = model.bound_to(people, people, np.arange(len(like)))
    else:
        bound = model.bound_to(people, model.groups, model.group_of_subject[like])
    row = subject if bound.rows_are_people else bound.group_of_subject[subject]
    return likelihood_of(bound, replace(seen, row=row, person=subject, unit=subject))
