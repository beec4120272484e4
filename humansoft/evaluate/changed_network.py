"""A fit's people in a changed network: which links their trips would pass, and which trips cannot arrive any more."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.errors import ModelError, UsageError
from humansoft.evaluate.changed_task import Question
from humansoft.fit.result import Fit
from humansoft.solvers.policy import Policy
from humansoft.solvers.trip_tables import Trips, labelled, passes
from humansoft.solvers.trips import chains
from humansoft.tasks.task import Task

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_RARE = 1e-6  # of the trips to a goal: what fewer do moves no flow by more than that
_SHOWN = 3  # of the ways that there are not any more, in a sentence


@dataclass(frozen=True, eq=False)
class TripQuestion(Question):
    """Which links trips pass: the expected number of passes [B, L] per trip, of trips to all goals together.

    Attributes:
        trips: the trips that arrive.
        lost: (goal, link) of those that do not, and how many they are.
    """

    trips: Trips
    lost: dict[Hashable, float]

    predicted = "how often a trip passes a link"

    @classmethod
    def about(cls, fit: Fit, task: Task, prior: npt.ArrayLike | None, initial: Mapping[Any, float] | None) -> Self:
        """Ask about trips through a changed network; those of the training data, where none are given.

        Raises:
            ModelError: unknown goals or links, or no trip that arrives.
            UsageError: a fit that keeps no starts, and none given.
        """
        goals = task.goals
        assert goals is not None
        lost: dict[Hashable, float] = {}
        if initial is None:
            asked = _recorded(fit)
            lost = {label: number for label, number in asked.items() if label not in task.states}
            initial = {label: number for label, number in asked.items() if label not in lost}
        if initial or not lost:
            trips = Trips.of(task, initial, "counterfactual(initial=...)")
            goal, link = trips.cut_off(goals)
            number = trips.start[np.searchsorted(trips.goal, goal), link]
            lost |= dict(zip(task.states.decode(goal * len(goals.links) + link), number.tolist(), strict=True))
            trips = trips.arriving(goals)
        if not initial or not len(trips.goal):
            raise ModelError(f"no trip can arrive in the changed network: no way leads {_ways(lost)}")
        return cls.of(fit, task, prior, trips=trips, lost=lost)

    @property
    def cut_off(self) -> tuple[Hashable, ...]:
        """(goal, link) of the trips that cannot arrive."""
        return tuple(self.lost)

    def predict(self, full: Real) -> tuple[Policy, Real]:
        """Return the policy on trips to their goals, and how often a trip passes each link [B, L]."""
        policy, total = self._policy(full), self.trips.start.sum()
        by_row = {row: visits.sum(axis=0) / total for row, visits in self._visits(policy)}
        return policy, np.stack([by_row[row] for row in self.rows.tolist()])

    def decisions(self) -> tuple[Index, Index]:
        """Return everybody on all links that more than very few of the trips to a goal pass."""
        size, people, states = self.trips.start.shape[1], [], []
        number = self.trips.start.sum(axis=1, keepdims=True)
        met = {row: np.nonzero(visits > _RARE * number) for row, visits in self._visits(self._policy(self.full))}
        for person, row in enumerate(self.rows.tolist()):
            place, link = met[row]
            inner = link != self._target[place]
            states.append((self.trips.goal[place] * size + link)[inner])
            people.append(np.full(inner.sum(), person))
        return np.concatenate(people), np.concatenate(states)

    def example(self, where: tuple[int, ...]) -> str:
        """Name the person and the link."""
        goals = self.model.task.goals
        assert goals is not None
        who, link = self.model.subjects.values[where[0]], goals.links.values[where[1]]
        return f"how often a trip of {who!r} passes link {link!r}"

    def table(self, estimates: Real, low: Real, high: Real) -> pd.DataFrame:
        """Return one row a subject and link that is passed."""
        goals, total = self.model.task.goals, self.trips.start.sum()
        assert goals is not None
        where = np.nonzero(high)
        table = pd.DataFrame({"subject": labelled(self.model.subjects, where[0]).astype(object)})
        table["link"] = labelled(goals.links, where[1])
        return table.assign(visits=estimates[where] * total, low=low[where] * total, high=high[where] * total)

    def sentences(self) -> list[str]:
        """Say which trips cannot arrive."""
        if not self.lost:
            return []
        number, arriving = sum(self.lost.values()), self.trips.start.sum()
        return [
            f"{number:g} of {number + arriving:g} trips cannot arrive any more, and are left out: no way leads "
            f"{_ways(self.lost)}."
        ]

    @property
    def _target(self) -> Index:
        goals = self.model.task.goals
        assert goals is not None
        return goals.target[self.trips.goal]

    def _policy(self, full: Real) -> Policy:
        model, row, goal = self.model_at(full), self.rows, self.trips.goal
        states = np.tile(goal * self.trips.start.shape[1], len(row))
        return model.policy_on(model.subjects, row, model.expand(np.repeat(row, len(goal)), states))

    def _visits(self, policy: Policy) -> Iterator[tuple[int, Real]]:
        """Yield how often trips to each goal pass each link [G, L], row by row."""
        for row, chain in chains(policy):
            yield row, passes(chain, self.trips.start)[1]


def _recorded(fit: Fit) -> dict[Hashable, float]:
    """Return the trips of the training data, (goal, link) -> number."""
    starts = fit.training.starts["state"].to_numpy()
    if not len(starts):
        raise UsageError(
            f"the run was fitted to {fit.training.source}, counted while reading, which keeps no trips: say where they "
            "begin and where they go, initial={(goal, link): number of trips}"
        )
    state, number = np.unique(starts, return_counts=True)
    return dict(zip(fit.task.states.decode(state), number.astype(float).tolist(), strict=True))


def _ways(lost: Mapping[Any, float]) -> str:
    shown = [f"from {link!r} to {goal!r}" for goal, link in list(lost)[:_SHOWN]]
    return ", ".join(shown) + (f" (and {len(lost) - _SHOWN} more)" if len(lost) > _SHOWN else "")
