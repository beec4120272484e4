"""The situations that people met, and what is known at temperature nodes carried over to them.

Everybody meets situations of their own at temperatures of their own: what depends on the temperature is interpolated
for all people of a part at once, at all places that any of them met.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.fit.chebyshev import Pieces
from humansoft.fit.choice_likelihood import distinct_situations
from humansoft.fit.nodes import Choices
from humansoft.solvers.choosing import ChoiceRule
from humansoft.solvers.expansion import Observations

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

MOST = 500_000
"""Actions in situations at temperatures that are worked out at a time."""


@dataclass(frozen=True, eq=False)
class Part:
    """The situations of some people (M of them), for Q temperatures each.

    Attributes:
        people: which of all people these are.
        values: Q.
        person: [M] whose a situation is, counted from the first of them.
        places: [L] the (time, state) that any of them met.
        gather: [M * Q] where a situation at a temperature stands in a table of (person, temperature, place).
        number: [M, 1, A] how often each action was chosen.
        closed: [M, 1, A] whether it cannot be chosen.
        tilts: [M, A, K] what each stickiness and bias multiplies.
    """

    people: slice
    values: int
    person: Int[Tensor, " M"]
    places: Int[Tensor, " L"]
    gather: Int[Tensor, " MQ"]
    number: Float[Tensor, "M 1 A"]
    closed: Bool[Tensor, "M 1 A"]
    tilts: Float[Tensor, "M A K"]

    def add(self, total: Float[Tensor, "B *K"], each: Float[Tensor, "M *K"]) -> None:
        """Add what is known of each situation to what is known of each of all people."""
        total[self.people].index_add_(0, self.person, each)


@dataclass(frozen=True, eq=False)
class MetSituations:
    """The distinct situations that each of B people met (M of them, in the order of people).

    Attributes:
        num_people: B.
        person: [M] whose it is.
        place: [M] number of its (time, state).
        previous: [M] code of the action made before, -1 for none.
        number: [M, A] how often each action was chosen.
        available: [L, A] what can be chosen at each (time, state).
    """

    num_people: int
    person: Index
    place: Index
    previous: Index
    number: Real
    available: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, seen: Observations, choices: Choices, num_people: int, num_actions: int) -> "MetSituations":
        """Sum up what people did in each."""
        place = choices.place[choices.of_observation]
        available = np.zeros((int(choices.place.max(initial=-1)) + 1, num_actions), dtype=bool)
        available[choices.place, choices.action] = True
        first, _, before, number = distinct_situations(seen, seen.person, place, num_actions)
        return cls(num_people, seen.person[first], place[first], before, number, available)

    def parts(self, values: int, rule: ChoiceRule) -> list[Part]:
        """Cut them between people so that what is done in each at so many temperatures has room.

        Plans are carried to all places that anybody of a part met, for each of its people: people who meet places of
        their own ask for more than their situations.
        """
        bounds = np.searchsorted(self.person, np.arange(self.num_people + 1)).tolist()
        each = self.number.shape[1] * values
        ends, places = [0], set[int]()
        for person in range(self.num_people):
            first, last = bounds[ends[-1]], bounds[person + 1]
            places.update(self.place[bounds[person] : last].tolist())
            table = (person + 1 - ends[-1]) * len(places)
            if max(table, last - first) * each > MOST and person > ends[-1]:
                ends.append(person)
                places = set(self.place[bounds[person] : last].tolist())
        return [self._part(*ends_of, values, rule) for ends_of in zip(ends, [*ends[1:], self.num_people], strict=True)]

    def _part(self, low: int, high: int, values: int, rule: ChoiceRule) -> Part:
        some = slice(*np.searchsorted(self.person, [low, high]).tolist())
        person, place, number = self.person[some] - low, self.place[some], torch.from_numpy(self.number[some])
        places, own = np.unique(place, return_inverse=True)
        row = person[:, None] * values + np.arange(values)
        return Part(
            people=slice(low, high),
            values=values,
            person=torch.from_numpy(person),
            places=torch.from_numpy(places),
            gather=torch.from_numpy((row * len(places) + own[:, None]).ravel()),
            number=number[:, None, :],
            closed=torch.from_numpy(~self.available[place])[:, None, :],
            tilts=rule.tilts(self.previous[some], number.shape),
        )


@dataclass(frozen=True, eq=False)
class Interpolation:
    """From tables at the nodes of pieces to the situations of a part, at the temperatures of those who met them.

    Attributes:
        part: the situations.
        pieces: of everybody's log temperatures [B * Q].
    """

    part: Part
    pieces: Pieces

    def of(self, tables: list[Float[Tensor, "J L A"]], weights: Real) -> Float[Tensor, "M Q A"]:
        """Interpolate a table of each piece, with weights of the nodes [B * Q, J]."""
        part, num_actions = self.part, tables[0].shape[-1]
        own = torch.from_numpy(weights[self._rows])
        found = torch.empty((len(own), len(part.places) * num_actions), dtype=DTYPE)
        for number, here in self._split:
            table = tables[number]
            met = table if len(part.places) == table.shape[1] else table[:, part.places]
            if len(here) == len(own):
                found = own @ met.flatten(start_dim=1)
            else:
                found[here] = own[here] @ met.flatten(start_dim=1)
        rows = found.view(-1, num_actions).index_select(0, part.gather)
        return rows.view(len(part.person), part.values, num_actions)

    @property
    def _rows(self) -> slice:
        return slice(self.part.people.start * self.part.values, self.part.people.stop * self.part.values)

    @cached_property
    def _split(self) -> list[tuple[int, Int[Tensor, " N"]]]:
        """The pieces that log temperatures of these people are on, each with their numbers."""
        piece = self.pieces.piece[self._rows]
        return [(number, torch.from_numpy(np.flatnonzero(piece == number))) for number in np.unique(piece).tolist()]
