"""The profiles of people with choice terms: plans interpolated between temperatures, then tilted and lapsed.

What is planned is the same for everybody at one temperature; it is solved for at nodes. What is done is worked out for
everybody's own situations at everybody's own temperatures. It is not interpolated itself: log((1 - epsilon) p + epsilon
u) has singularities near the real line where a lapse is rare, so that an error of 1e-9 in log p would be one of 1e-4.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from humansoft._types import DTYPE, NONE
from humansoft.fit.abstract_profiles import Profiles, Scores
from humansoft.fit.chebyshev import NODES, Pieces, nodes_of
from humansoft.fit.choice_likelihood import as_planned
from humansoft.fit.interpolated_likelihood import InterpolatedLikelihood
from humansoft.fit.likelihood import LOG_TEMPERATURE_LIMIT
from humansoft.model import SoftOptimalModel
from humansoft.solvers.choosing import ChoiceRule, Chosen
from humansoft.solvers.expansion import Observations

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_CHUNK = 500_000  # actions in situations at temperatures that are worked out at a time


@dataclass(frozen=True, eq=False)
class _Met:
    """The distinct situations that some people met (M of them, in the order of people).

    Attributes:
        people: which of all people these are.
        person: [M] whose it is, counted from the first of them.
        place: [M] number of its (time, state).
        previous: [M] code of the action made before, -1 for none.
        number: [M, A] how often each action was chosen.
    """

    people: slice
    person: Int[Tensor, " M"]
    place: Int[Tensor, " M"]
    previous: Index
    number: Float[Tensor, "M A"]

    @cached_property
    def places(self) -> tuple[Int[Tensor, " L"], Int[Tensor, " M"]]:
        """The places they met, and the number of each situation's among them."""
        found: tuple[Tensor, Tensor] = self.place.unique(return_inverse=True)
        return found

    def of_people(self, low: int, high: int) -> "_Met":
        """Return the situations of some of all people."""
        first, last = torch.searchsorted(self.person, torch.tensor([low, high])).tolist()
        some = slice(first, last)
        return _Met(slice(low, high), self.person[some] - low, self.place[some], self.previous[some], self.number[some])

    def parts(self, values: int) -> list["_Met"]:
        """Cut them between people so that what is done in each at so many temperatures has room."""
        count, each = self.people.stop, self.number.shape[1] * max(values, 1)
        most = np.bincount(self.person.numpy(), minlength=count)
        ends, room = [0], _CHUNK
        for person in range(count):
            room -= int(most[person]) * each
            if room < 0 and person > ends[-1]:
                ends.append(person)
                room = _CHUNK - int(most[person]) * each
        return [self.of_people(low, high) for low, high in zip(ends, [*ends[1:], count], strict=True)]


@dataclass(frozen=True, eq=False)
class _Between:
    """Where everybody's log temperatures [B, Q] lie between nodes.

    Attributes:
        pieces: of the log temperatures, one after the other.
        shape: (B, Q).
    """

    pieces: Pieces
    shape: tuple[int, int]

    def at(self, met: _Met, tables: list[Float[Tensor, "J L A"]], weights: Real) -> Float[Tensor, "M Q A"]:
        """Interpolate the tables of the pieces in some situations, at the temperatures of those who met them."""
        values, num_actions = self.shape[1], tables[0].shape[-1]
        places, place = met.places
        rows = slice(met.people.start * values, met.people.stop * values)
        piece, own = self.pieces.piece[rows], torch.from_numpy(weights[rows])
        found = torch.zeros((len(own), len(places) * num_actions), dtype=DTYPE)
        for number in np.unique(piece).tolist():
            here = torch.from_numpy(np.flatnonzero(piece == number))
            table = tables[number] if len(places) == tables[number].shape[1] else tables[number][:, places]
            found[here] = own[here] @ table.flatten(start_dim=1)
        row = met.person[:, None] * values + torch.arange(values)
        return found.view(-1, num_actions)[(row * len(places) + place[:, None]).ravel()].view(*row.shape, num_actions)


class _Done(NamedTuple):
    """What is done in some situations, at the temperatures of those who met them."""

    met: _Met
    tilts: Float[Tensor, "m A K"]
    chosen: Chosen

    @property
    def number(self) -> Float[Tensor, "m 1 A"]:
        """How often each action was chosen."""
        return self.met.number[:, None, :]

    def added_to(self, total: Float[Tensor, "B *K"], each: Float[Tensor, "m *K"]) -> None:
        """Add what is known of each situation to what is known of each person."""
        total[self.met.people].index_add_(0, self.met.person, each)


@dataclass(eq=False)
class ChoosingProfiles(Profiles):
    """People share the reward and choice terms and differ in temperature: K = 1.

    Attributes:
        model: the bound model.
        observations: what its people did.
    """

    model: SoftOptimalModel
    observations: Observations
    _planned: InterpolatedLikelihood = field(init=False, repr=False)
    _cut: dict[int, list[_Met]] = field(default_factory=dict, init=False, repr=False)
    _tables: dict[int, tuple[bytes, Tensor]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Take plans from people who do what they plan."""
        self._planned = InterpolatedLikelihood(as_planned(self.model), self.observations)

    def value(self, shared: Real, own: Real) -> Real:
        """Return the log-likelihoods [B, Q], minus infinity without a solution."""
        between = _between(own)
        tables = self._log_policy(between, shared)
        if tables is None:
            return np.full(own.shape[:2], -np.inf)
        found = torch.zeros(own.shape[:2], dtype=DTYPE)
        for done in self._done(between, tables, shared):
            done.added_to(found, _log_likelihood(done))
        return found.numpy()

    def scores(self, shared: Real, own: Real) -> Scores:
        """Return their first derivatives; by temperature, those of the interpolation."""
        found = self.value_and_scores(shared, own)
        assert found is not None, "derivatives are asked for at feasible parameters only"
        return found[1]

    def value_and_scores(self, shared: Real, own: Real) -> tuple[Real, Scores] | None:
        """Return both at once, or ``None`` where somebody has no solution."""
        between = _between(own)
        tables = self._log_policy(between, shared)
        if tables is None:
            return None
        by_reward = self._by_reward(between, shared)
        rule, weights = self._rule(shared), between.pieces.weights
        value = torch.zeros(own.shape[:2], dtype=DTYPE)
        found = torch.zeros((*own.shape[:2], len(by_reward) + int(self._learned.sum()) + 1), dtype=DTYPE)
        for done in self._done(between, tables, shared):
            pull = done.chosen.pull(done.number)
            columns = [(pull * between.at(done.met, table, weights.value)).sum(dim=-1) for table in by_reward]
            by_choice = [torch.einsum("mqa,mak->mqk", pull, done.tilts)]
            if rule.lapses:
                by_choice.append(done.chosen.by_lapse(done.number, rule.logit_lapse)[..., None])
            columns += torch.cat(by_choice, dim=-1)[..., self._learned].unbind(dim=-1)
            columns.append((pull * between.at(done.met, tables, weights.slope)).sum(dim=-1))
            done.added_to(value, _log_likelihood(done))
            done.added_to(found, torch.stack(columns, dim=-1))
        by_parameter = found.numpy()
        return value.numpy(), Scores(by_parameter[..., :-1], by_parameter[..., -1:] * _inside(own))

    def curvature(self, shared: Real, own: Real) -> Real:
        """Return their second derivatives by the log temperature [B, Q, 1, 1]."""
        between = _between(own)
        tables = self._log_policy(between, shared)
        assert tables is not None, "derivatives are asked for at feasible parameters only"
        weights = between.pieces.weights
        found = torch.zeros(own.shape[:2], dtype=DTYPE)
        for done in self._done(between, tables, shared):
            chosen, kept = done.chosen, done.number * done.chosen.kept
            slope = between.at(done.met, tables, weights.slope)
            straight = (chosen.pull(done.number) * between.at(done.met, tables, weights.bend)).sum(dim=-1)
            apart = slope - (chosen.tilted * slope).sum(dim=-1, keepdim=True)
            spread = kept.sum(dim=-1) * (chosen.tilted * apart**2).sum(dim=-1)
            mixed = (kept * (1.0 - chosen.kept) * apart**2).sum(dim=-1)  # the more it was meant, the less a lapse
            done.added_to(found, straight - spread + mixed)
        bent: Real = (found.numpy()[..., None] * _inside(own))[..., None]
        return bent

    def _done(self, between: _Between, tables: list[Float[Tensor, "J L A"]], shared: Real) -> Iterator[_Done]:
        """Work out what is done in the situations that people met, part by part."""
        rule = self._rule(shared)
        for met in self._parts(between.shape[1]):
            planned = between.at(met, tables, between.pieces.weights.value)
            planned = planned.masked_fill(~self._available[met.place][:, None, :], -torch.inf)
            tilts = rule.tilts(met.previous, met.number.shape)
            log_odds = (tilts @ rule.weights[: rule.num_tilts])[:, None, :] if rule.num_tilts else None
            yield _Done(met, tilts, rule.choose_tilted(planned, log_odds))

    def _parts(self, values: int) -> list[_Met]:
        """Return the situations in parts for so many temperatures a person, made once."""
        if values not in self._cut:
            self._cut[values] = self._met.parts(values)
        return self._cut[values]

    def _rule(self, shared: Real) -> ChoiceRule:
        return self.model.choice.rule_at(torch.from_numpy(shared[len(shared) - len(self._learned) :]))

    @cached_property
    def _learned(self) -> Bool[Tensor, " K"]:
        """Which of the parameters of choice terms are learned."""
        return torch.from_numpy(self.model.table.free[self.model.table.choices])

    @cached_property
    def _met(self) -> _Met:
        """The situations that people met; what they did in them is summed up first."""
        seen, choices, num_actions = self.observations, self._planned.choices, len(self.model.task.actions)
        place = choices.place[choices.of_observation]
        before = np.full(len(seen), NONE) if seen.previous is None else seen.previous
        key = (seen.person * (place.max(initial=0) + 1) + place) * (num_actions + 1) + before + 1
        _, first, back = np.unique(key, return_index=True, return_inverse=True)
        number = np.bincount(back * num_actions + seen.action, seen.weight, len(first) * num_actions)
        return _Met(
            slice(0, len(self.model.subjects)),
            torch.from_numpy(seen.person[first]),
            torch.from_numpy(place[first]),
            before[first],
            torch.from_numpy(number.astype(np.float64).reshape(-1, num_actions)),
        )

    @cached_property
    def _available(self) -> Bool[Tensor, "L A"]:
        """What can be chosen at each (time, state)."""
        choices = self._planned.choices
        found = torch.zeros((int(choices.place.max(initial=-1)) + 1, len(self.model.task.actions)), dtype=torch.bool)
        found[torch.from_numpy(choices.place), torch.from_numpy(choices.action)] = True
        return found

    def _log_policy(self, between: _Between, shared: Real) -> list[Float[Tensor, "J L A"]] | None:
        """Return log pi at the nodes of the pieces, 0 where an action cannot be chosen; ``None`` without a solution."""
        key, found = self._rewards(shared).tobytes(), []
        for number in between.pieces.used:
            if number not in self._tables or self._tables[number][0] != key:
                table = self._planned.piece(number).log_policy(self._point(number, shared))
                if table is None:
                    return None
                self._tables[number] = (key, self._laid_out(table))
            found.append(self._tables[number][1])
        return found

    def _by_reward(self, between: _Between, shared: Real) -> list[list[Float[Tensor, "J L A"]]]:
        """Return the derivatives of log pi at the nodes by each parameter of the reward that is learned."""
        if not self._planned.num_shared:
            return []
        found = [self._planned.piece(number).scores(self._point(number, shared)) for number in between.pieces.used]
        return [[self._laid_out(table[:, :, place]) for table in found] for place in range(self._planned.num_shared)]

    def _laid_out(self, column: Real) -> Float[Tensor, "J L A"]:
        """Lay numbers of each (place, action) and node [D, J] out in a table."""
        choices, (places, actions) = self._planned.choices, self._available.shape
        found = torch.zeros((NODES, places, actions), dtype=DTYPE)
        found[:, torch.from_numpy(choices.place), torch.from_numpy(choices.action)] = torch.from_numpy(column.T)
        return found

    def _point(self, number: int, shared: Real) -> Float[Tensor, " Q"]:
        """Return the parameters of a piece: those of the reward, and the log temperatures of its nodes."""
        return torch.from_numpy(np.r_[self._rewards(shared), nodes_of(np.array([number]))[0]])

    def _rewards(self, shared: Real) -> Real:
        return shared[: len(shared) - len(self._learned)]


def _between(own: Real) -> _Between:
    limited = own.reshape(-1).clip(-LOG_TEMPERATURE_LIMIT, LOG_TEMPERATURE_LIMIT)
    return _Between(Pieces(limited), (own.shape[0], own.shape[1]))


def _inside(own: Real) -> Real:
    """1 where a log temperature is within its limits, else 0."""
    return (np.abs(own) < LOG_TEMPERATURE_LIMIT).astype(np.float64)


def _log_likelihood(done: _Done) -> Float[Tensor, "m Q"]:
    return torch.where(done.number > 0, done.number * done.chosen.log_prob, 0.0).sum(dim=-1)
