"""Trips that a user asks about: where they begin, where they go, and how many they are."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from jaxtyping import Float, Int

from humansoft.errors import ModelError, Problems, did_you_mean, shortlist
from humansoft.solvers.option_checks import is_number
from humansoft.tasks.goals import Goals
from humansoft.tasks.lookup import network_of
from humansoft.tasks.task import Task

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

TripNumbers = Mapping[Any, float] | pd.Series | pd.DataFrame
"""(goal, link) -> number of trips to that goal that begin on that link: a mapping, a series by (goal, link), or a table
with the columns goal, link and trips."""

_COLUMNS = ["goal", "link", "trips"]
_SHOWN = 5  # of the trips that cannot arrive, one by one


@dataclass(frozen=True, eq=False)
class Trips:
    """Where trips through a network begin and where they go.

    Attributes:
        goal: [G] codes of the goals that occur, in ascending order.
        start: [G, L] number of trips to each that begin on each link.
    """

    goal: Index
    start: Real

    @classmethod
    def collected(cls, state: Int[Index, " N"], number: Float[Real, " N"], num_links: int) -> "Trips":
        """Collect trips by the codes of the states that they begin in."""
        goal, link = np.divmod(state, num_links)
        known, place = np.unique(goal, return_inverse=True)
        start = np.zeros((len(known), num_links))
        np.add.at(start, (place, link), number)
        return cls(known, start)

    @classmethod
    def of(cls, task: Task, initial: TripNumbers | None, source: str) -> "Trips":
        """Read trips as a user writes them.

        Raises:
            ModelError: none, unknown goals or links, what is no number; all at once.
        """
        network = network_of(task)
        asked = _read(initial, source)
        with Problems(source, ModelError) as problems:
            for label, value in asked:
                if label not in task.states:
                    problems.add(_unknown(task, label))
                if not (is_number(value) and value >= 0):
                    problems.add(f"the number of trips of {label!r} is {value!r}")
            problems.raise_if_any()
            if not any(value > 0 for _, value in asked):
                problems.add("there are no trips")
        kept = [(label, float(value)) for label, value in asked if value > 0]
        state = task.states.encode(label for label, _ in kept)
        return cls.collected(state, np.array([value for _, value in kept]), len(network.links))

    @property
    def number(self) -> float:
        """How many trips there are."""
        return float(self.start.sum())

    def cut_off(self, goals: Goals) -> tuple[Index, Index]:
        """Return goal and link (codes) of the trips from where no way leads to their goal."""
        place, link = np.nonzero((self.start > 0) & ~goals.reach[self.goal])
        return self.goal[place], link

    def arriving(self, goals: Goals) -> "Trips":
        """Return the trips that can arrive."""
        place, link = np.nonzero((self.start > 0) & goals.reach[self.goal])
        size = self.start.shape[1]
        return Trips.collected(self.goal[place] * size + link, self.start[place, link], size)

    def require_ways(self, goals: Goals) -> None:
        """Refuse trips that cannot arrive.

        Raises:
            ModelError: naming the first of them.
        """
        goal, link = self.cut_off(goals)
        shown = zip(goal[:_SHOWN].tolist(), link[:_SHOWN].tolist(), strict=True)
        with Problems("these trips cannot arrive, leave them out", ModelError) as problems:
            for one, other in shown:
                problems.add(no_way(goals, one, other))
            if len(goal) > _SHOWN:
                problems.add(f"and so for {len(goal) - _SHOWN} more")


def no_way(goals: Goals, goal: int, link: int) -> str:
    """Say that no way leads from a link to a goal (codes), and what the reason may be."""
    end, start = goals.labels.values[goal], goals.links.values[link]
    said = f"no way leads from {start!r} to {end!r}"
    place = np.flatnonzero(goals.target == link)
    if len(place) and goals.reach[place[0], goals.target[goal]]:
        return f"{said}, but one from {end!r} to {start!r}: in (goal, link) the goal comes first"
    if goals.closed[link]:
        return f"{said}: no turn leaves {start!r}"
    return said


def goal_problem(task: Task, label: Hashable) -> str:
    """Say that a label is no goal."""
    known = task.goals is not None and label in task.goals.links
    return f"{label!r} is {'a link, but ' if known else ''}no goal of the network.{task.contexts.suggest(label)}"


def goal_codes(task: Task, goals: Sequence[Hashable], source: str) -> Int[Index, " G"]:
    """Return the codes of goals, in ascending order.

    Raises:
        ModelError: none, or unknown ones; all at once.
    """
    with Problems(source, ModelError) as problems:
        if not goals:
            problems.add("there are no goals")
        for label in goals:
            if label not in task.contexts:
                problems.add(goal_problem(task, label))
    return np.unique(task.contexts.encode(goals))


def listed(labels: Hashable | Iterable[Hashable]) -> list[Hashable]:
    """Return several labels as a list, and one (text or a tuple, for example) as a list of it."""
    if isinstance(labels, Iterable) and not isinstance(labels, Hashable):
        return list(labels)
    return [labels]


def _read(initial: object, source: str) -> list[tuple[Any, Any]]:
    """Return what is asked, pair by pair."""
    if initial is None:
        raise ModelError(
            "a network does not say where trips begin and where they go: initial={(goal, link): number of trips}"
        )
    if isinstance(initial, pd.DataFrame):
        with Problems(source, ModelError) as problems:
            for name in (name for name in _COLUMNS if name not in initial.columns):
                problems.add(f"there is no column {name!r}.{did_you_mean(name, initial.columns)}")
            more = [name for name in initial.columns if name not in _COLUMNS]
            if more:
                problems.add(f"columns {shortlist(more)} are not used: take initial[{_COLUMNS}]")
        goal, link, number = (initial[name].tolist() for name in _COLUMNS)
        return list(zip(zip(goal, link, strict=True), number, strict=True))
    if isinstance(initial, Mapping | pd.Series):
        return list(initial.items())
    raise ModelError(
        f"{source}: a {type(initial).__name__} does not say how many trips there are; give {{(goal, link): number of "
        "trips}, a series by (goal, link), or a table with the columns goal, link and trips"
    )


def _unknown(task: Task, label: Hashable) -> str:
    """Say which half of (goal, link) is unknown."""
    if not (isinstance(label, tuple) and len(label) == 2):
        return f"unknown trip {label!r}.{task.states.suggest(label)}"
    goal, link = label
    if (link, goal) in task.states:
        return f"unknown trip {label!r}: the goal comes first, ({link!r}, {goal!r})"
    links, said = network_of(task).links, []
    if goal not in task.contexts:
        said.append(goal_problem(task, goal))
    if link not in links:
        said.append(f"unknown link {link!r}.{links.suggest(link)}")
    return f"unknown trip {label!r}: {' '.join(said)}"
