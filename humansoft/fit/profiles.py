"""The profiles of people who do what they plan, and of people who have rewards of their own.

Where people differ in temperature alone, one solution of the soft Bellman equation a node serves everybody, however
many people and values there are.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array

from humansoft.codebook import Labels
from humansoft.fit.abstract_profiles import Profiles, Scores, inside, pieces_of
from humansoft.fit.chebyshev import NODES, Pieces, nodes_of
from humansoft.fit.choice_likelihood import ChoiceLikelihood
from humansoft.fit.choosing_profiles import ChoosingProfiles
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.fit.interpolated_likelihood import InterpolatedLikelihood
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.solvers.expansion import Observations

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def profiles_of(likelihood: AbstractLikelihood) -> Profiles:
    """Return the profiles of the people of a bound model."""
    if likelihood.model.rows_are_people:
        return PersonProfiles(likelihood)
    if likelihood.model.choice:
        return ChoosingProfiles(likelihood.model, likelihood.observations)
    return TemperatureProfiles(InterpolatedLikelihood(likelihood.model, likelihood.observations))


@dataclass(eq=False)
class TemperatureProfiles(Profiles):
    """People share the reward and differ in temperature: K = 1, solved at nodes and interpolated between."""

    likelihood: InterpolatedLikelihood
    _summed: dict[int, tuple[bytes, Real]] = field(default_factory=dict, repr=False)
    _scored: dict[int, tuple[bytes, Real]] = field(default_factory=dict, repr=False)

    def value(self, shared: Real, own: Real) -> Real:
        """Return the log-likelihoods [B, Q], minus infinity without a solution."""
        pieces = pieces_of(own)
        decided = self._decided(pieces, shared)
        if decided is None:
            return np.full(own.shape[:2], -np.inf)
        return self._interpolated(pieces, decided, own)[..., 0]

    def scores(self, shared: Real, own: Real) -> Scores:
        """Return their first derivatives; by temperature, those of the interpolation."""
        pieces = pieces_of(own)
        return self._scores(pieces, self._known(pieces, shared), shared, own)

    def value_and_scores(self, shared: Real, own: Real) -> tuple[Real, Scores] | None:
        """Return both at once, or ``None`` where somebody has no solution."""
        pieces = pieces_of(own)
        decided = self._decided(pieces, shared)
        if decided is None:
            return None
        value = self._interpolated(pieces, decided, own)[..., 0]
        return value, self._scores(pieces, decided, shared, own)

    def _scores(self, pieces: Pieces, decided: Real, shared: Real, own: Real) -> Scores:
        slope = self._interpolated(pieces, decided, own, 1)
        by_shared = np.zeros((*own.shape[:2], self.likelihood.num_shared))
        if by_shared.size:
            tables = np.stack([self._scored_on(number, shared) for number in pieces.used])
            by_shared = self._interpolated(pieces, tables, own)
        return Scores(by_shared, slope * inside(own))

    def curvature(self, shared: Real, own: Real) -> Real:
        """Return their second derivatives by the log temperature [B, Q, 1, 1]."""
        pieces = pieces_of(own)
        bend = self._interpolated(pieces, self._known(pieces, shared), own, 2)
        found: Real = (bend * inside(own))[..., None]
        return found

    def _decided(self, pieces: Pieces, shared: Real) -> Real | None:
        """Return the log probability of all that each person decided, at all nodes [pieces, B, NODES, 1]."""
        tables = [self._decided_on(number, shared) for number in pieces.used]
        known = [table for table in tables if table is not None]
        return np.stack(known)[..., None] if len(known) == len(tables) else None

    def _known(self, pieces: Pieces, shared: Real) -> Real:
        decided = self._decided(pieces, shared)
        assert decided is not None, "derivatives are asked for at feasible parameters only"
        return decided

    def _interpolated(self, pieces: Pieces, tables: Real, own: Real, order: int = 0) -> Real:
        """Interpolate tables [pieces, B, NODES, k], or a derivative, at everybody's values -> [B, Q, k]."""
        people, values = own.shape[:2]
        person = np.repeat(np.arange(people), values)
        return pieces.interpolated(tables, person, order).reshape(people, values, tables.shape[-1])

    def _decided_on(self, number: int, shared: Real) -> Real | None:
        """Return the log probability of all that each person decided at the nodes of a piece [B, NODES]."""
        key = shared.tobytes()
        if number not in self._summed or self._summed[number][0] != key:
            log_policy = self.likelihood.piece(number).log_policy(_point(number, shared))
            if log_policy is None:
                return None
            self._summed[number] = (key, np.asarray(self._counts @ log_policy))
        return self._summed[number][1]

    def _scored_on(self, number: int, shared: Real) -> Real:
        """Return its derivatives by what people share [B, NODES, k]."""
        key = shared.tobytes()
        if number not in self._scored or self._scored[number][0] != key:
            scores = self.likelihood.piece(number).scores(_point(number, shared))[:, :, :-1]
            summed: Any = self._counts @ scores.reshape(len(scores), -1)
            self._scored[number] = (key, np.asarray(summed).reshape(self._counts.shape[0], NODES, -1))
        return self._scored[number][1]

    @cached_property
    def _counts(self) -> csr_array:
        """[B, D] how often each person decided what."""
        seen, choices = self.likelihood.observations, self.likelihood.choices
        shape = (len(self.likelihood.model.subjects), len(choices.action))
        return csr_array((seen.weight, (seen.person, choices.of_observation)), shape=shape)


@dataclass(eq=False)
class PersonProfiles(Profiles):
    """People have reward weights of their own: each is solved for at each value, as a person of its own."""

    likelihood: AbstractLikelihood
    _of_many: dict[int, ExactLikelihood] = field(default_factory=dict, repr=False)

    def value(self, shared: Real, own: Real) -> Real:
        """Return the log-likelihoods [B, Q], minus infinity without a solution."""
        wide = _several(own)
        many = self._many(wide.shape[1])
        return many.by_person(self._full(many, shared, wide)).reshape(wide.shape[:2])[:, : own.shape[1]]

    def scores(self, shared: Real, own: Real) -> Scores:
        """Return their first derivatives."""
        wide = _several(own)
        many = self._many(wide.shape[1])
        seen = many.observations
        by_color = many.jacobian(self._full(many, shared, wide)) * seen.weight[:, None]
        gather: Any = csr_array(
            (np.ones(len(seen)), (seen.person, np.arange(len(seen)))), (wide.shape[0] * wide.shape[1], len(seen))
        )
        summed = np.asarray(gather @ by_color).reshape(*wide.shape[:2], -1)[:, : own.shape[1]]
        is_own = many.directions.layout.is_own
        return Scores(summed[..., ~is_own], summed[..., is_own])

    def curvature(self, shared: Real, own: Real) -> Real:
        """Return their second derivatives by a person's own parameters [B, Q, K, K]."""
        wide = _several(own)
        many = self._many(wide.shape[1])
        blocks = many.hessian(self._full(many, shared, wide)).blocks
        return blocks.reshape(*wide.shape[:2], *blocks.shape[1:])[:, : own.shape[1]]

    def _full(self, many: ExactLikelihood, shared: Real, own: Real) -> torch.Tensor:
        full = many.start().numpy().copy()
        full[many.model.table.shared_places] = shared
        full[many.directions.layout.own] = own.reshape(-1, own.shape[2])
        return torch.from_numpy(full)

    def _many(self, values: int) -> ExactLikelihood:
        """Return the likelihood of a person of its own for each person and value, made once."""
        if values not in self._of_many:
            model, seen = self.likelihood.model, self.likelihood.observations
            people = Labels("subject", tuple(range(len(model.subjects) * values)))
            several = len(model.groups) > 1
            groups = people if several else model.groups
            of_person = np.arange(len(people)) if several else np.zeros(len(people), dtype=np.int64)
            repeated = np.repeat(np.arange(len(seen)), values)
            person = seen.person[repeated] * values + np.tile(np.arange(values), len(seen))
            wide: Observations = replace(seen.select(repeated), person=person, row=person, unit=person)
            kind = ChoiceLikelihood if model.choice else ExactLikelihood
            self._of_many[values] = kind(model.bound_to(people, groups, of_person), wide)
        return self._of_many[values]


def _several(own: Real) -> Real:
    """Return one person's only value twice, any others as they are: only among several is something one's own."""
    return np.repeat(own, 2, axis=1) if own.shape[0] * own.shape[1] == 1 else own


def _point(number: int, shared: Real) -> torch.Tensor:
    """Return the parameters of a piece: the shared ones, and the log temperatures of its nodes."""
    return torch.from_numpy(np.r_[shared, nodes_of(np.array([number]))[0]])
