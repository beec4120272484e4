"""A fit's people in a changed network: which links their trips would pass, and which trips cannot arrive any more."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.errors import ModelError, UsageError, shortlist
from humansoft.evaluate.changed_task import Question
from humansoft.fit.result import Fit
from humansoft.solvers.asked_trips import TripNumbers, Trips
from humansoft.solvers.policy import Policy
from humansoft.solvers.trip_tables import RARE, labelled, passes
from humansoft.solvers.trips import chains
from humansoft.tasks.goals import Goals
from humansoft.tasks.lookup import network_of
from humansoft.tasks.task import Task

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_RARE = 1e-6  # of the trips to a goal: what fewer do moves no flow by more than that
_SHOWN = 3  # of the ways that there are not any more, in a sentence


@dataclass(frozen=True, eq=False)
class TripQuestion(Question):
    """Which links trips pass: the expected number of passes [B, L] per trip, of a person's trips to all goals together.

    Attributes:
        trips: [B] the trips of each person that arrive.
        lost: (goal, link) of those that do not, and how many they are.
        is_shared: whether everybody makes the same trips; else each person their own.
    """

    trips: tuple[Trips, ...]
    lost: dict[Hashable, float]
    is_shared: bool

    predicted = "how often a trip passes a link"

    @classmethod
    def about(cls, fit: Fit, task: Task, prior: npt.ArrayLike | None, initial: TripNumbers | None) -> Self:
        """Ask about trips through a changed network; each person's own of the training data, where none are given.

        Raises:
            ModelError: unknown goals or links, or no trip that arrives.
            UsageError: a fit that keeps no starts, and none given.
        """
        goals = network_of(task)
        if initial is None:
            trips, lost = _recorded(fit, task)
        else:
            asked = Trips.of(task, initial, "counterfactual(initial=...)")
            trips, lost = (asked,) * len(fit.subjects), {}
        for one in trips[:1] if initial is not None else trips:
            for label, number in _cut_off(one, task):
                lost[label] = lost.get(label, 0.0) + number
        arriving = {id(one): one.arriving(goals) for one in trips}
        if not any(one.number for one in arriving.values()):
            raise ModelError(f"no trip can arrive in the changed network: no way leads {_ways(lost)}")
        own = tuple(arriving[id(one)] for one in trips)
        return cls.of(fit, task, prior, trips=own, lost=lost, is_shared=initial is not None)

    @property
    def cut_off(self) -> tuple[Hashable, ...]:
        """(goal, link) of the trips that cannot arrive."""
        return tuple(self.lost)

    def predict(self, full: Real) -> tuple[Policy, Real]:
        """Return the policy on trips to their goals, and how often a trip passes each link [B, L]."""
        policy = self._here if full is self.full else self._policy(full)
        found = np.zeros((len(self.trips), len(self._goals.links)))
        for people, trips, visits in self._visits(policy):
            found[people] = visits.sum(axis=0) / trips.number
        return policy, found

    def decisions(self) -> tuple[Index, Index]:
        """Return everybody on all links that more than very few of their trips to a goal pass."""
        size, people, states = len(self._goals.links), [], []
        for alike, trips, visits in self._visits(self._here):
            place, link = np.nonzero(visits > _RARE * trips.start.sum(axis=1, keepdims=True))
            goal = trips.goal[place]
            inner = link != self._goals.target[goal]
            states.append(np.tile((goal * size + link)[inner], len(alike)))
            people.append(np.repeat(alike, inner.sum()))
        return np.concatenate(people), np.concatenate(states)

    def example(self, where: tuple[int, ...]) -> str:
        """Name the person and the link."""
        who, link = self.model.subjects.values[where[0]], self._goals.links.values[where[1]]
        return f"how often a trip of {who!r} passes link {link!r}"

    def table(self, estimates: Real, low: Real, high: Real) -> pd.DataFrame:
        """Return one row a subject and link that is passed."""
        number = np.array([one.number for one in self.trips])
        where = np.nonzero(high > RARE)
        table = pd.DataFrame({"subject": labelled(self.model.subjects, where[0]).astype(object)})
        table["link"] = labelled(self._goals.links, where[1])
        own = number[where[0]]
        return table.assign(trips=own, visits=estimates[where] * own, low=low[where] * own, high=high[where] * own)

    def sentences(self) -> list[str]:
        """Say what is counted, which trips cannot arrive, and which begin where nobody gets any more."""
        arriving = self.trips[0].number if self.is_shared else sum(one.number for one in self.trips)
        each = " of each person" if self.is_shared else ""
        said = [
            f"Visits are expected passes by {arriving:g} trips that every person makes (initial=): over people, they "
            "add up to that many trips each."
            if self.is_shared
            else f"Visits are expected passes by each person's own recorded trips, {arriving:g} in all: over people, "
            "they add up to the recorded traffic."
        ]
        if self.lost:
            number = sum(self.lost.values())
            said.append(
                f"{number:g} of {number + arriving:g} trips{each} cannot arrive any more, and are left out: no way "
                f"leads {_ways(self.lost)}."
            )
        shut = np.setdiff1d(self._entered_before, self._goals.end)
        begun = np.concatenate([np.flatnonzero(one.start.any(axis=0)) for one in self.trips])
        on_shut = self._goals.links.decode(np.intersect1d(begun, shut))
        if on_shut:
            said.append(f"Trips still begin on {shortlist(on_shut, _SHOWN)}, into which no turn leads any more.")
        return said

    @property
    def _entered_before(self) -> Index:
        """Links (codes) into which turns led in the fitted network."""
        before = network_of(self.fit.task)
        code = self._goals.links.encode(before.links.decode(np.unique(before.end)))
        return code[code >= 0]

    @property
    def _goals(self) -> Goals:
        return network_of(self.model.task)

    @cached_property
    def _here(self) -> Policy:
        """The policy at the estimates."""
        return self._policy(self.full)

    def _policy(self, full: Real) -> Policy:
        model, row = self.model_at(full), self.rows
        goal = np.unique(np.concatenate([one.goal for one in self.trips]))
        states = np.tile(goal * len(self._goals.links), len(row))
        return model.policy_on(model.subjects, row, model.expand(np.repeat(row, len(goal)), states))

    def _visits(self, policy: Policy) -> Iterator[tuple[Index, Trips, Real]]:
        """Yield people who are alike and make the same trips, these, and how often they pass each link [G, L]."""
        alike: dict[tuple[int, int], list[int]] = {}
        for person, row in enumerate(self.rows.tolist()):
            alike.setdefault((row, id(self.trips[person])), []).append(person)
        known = dict(chains(policy))
        for (row, _), people in alike.items():
            trips = self.trips[people[0]]
            if len(trips.goal):
                yield np.array(people), trips, passes(known[row].toward(trips.goal), trips.start)[1]


def _recorded(fit: Fit, task: Task) -> tuple[tuple[Trips, ...], dict[Hashable, float]]:
    """Return the trips of each person in the training data, and those whose goal or link is gone."""
    starts, goals = fit.training.starts, network_of(task)
    if starts.empty:
        raise UsageError(
            f"the run was fitted to {fit.training.source}, counted while reading, which keeps no trips: say where they "
            "begin and where they go, initial={(goal, link): number of trips}"
        )
    table = starts.groupby(["subject", "state"]).size().reset_index(name="number")
    person, number = table["subject"].to_numpy(), table["number"].to_numpy(dtype=float)
    label = fit.task.states.decode(table["state"])
    state = task.states.encode(label)
    lost: dict[Hashable, float] = {}
    for place in np.flatnonzero(state < 0):
        lost[label[place]] = lost.get(label[place], 0.0) + float(number[place])
    trips = []
    for code in range(len(fit.subjects)):
        own = (person == code) & (state >= 0)
        trips.append(Trips.collected(state[own], number[own], len(goals.links)))
    return tuple(trips), lost


def _cut_off(trips: Trips, task: Task) -> list[tuple[Hashable, float]]:
    """Return (goal, link) of the trips from where no way leads to their goal, and how many they are."""
    goals = network_of(task)
    goal, link = trips.cut_off(goals)
    number = trips.start[np.searchsorted(trips.goal, goal), link]
    return list(zip(task.states.decode(goal * len(goals.links) + link), number.tolist(), strict=True))


def _ways(lost: Mapping[Any, float]) -> str:
    shown = [f"from {link!r} to {goal!r}" for goal, link in list(lost)[:_SHOWN]]
    return ", ".join(shown) + (f" (and {len(lost) - _SHOWN} more)" if len(lost) > _SHOWN else "")
