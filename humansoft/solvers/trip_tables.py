"""Link flows of trips through a network, and how long trips take: one row a goal and link, of the goals asked for."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from jaxtyping import Float

from humansoft.codebook import Labels
from humansoft.errors import ModelError, Problems, shortlist
from humansoft.solvers.chain import require_accurate
from humansoft.solvers.policy import HasPolicy, Policy
from humansoft.solvers.trips import TripChain, chains, toward
from humansoft.tasks.goals import Goals
from humansoft.tasks.task import Task

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def trip_visits(people: Policy | HasPolicy, task: Task, initial: Mapping[Any, float] | None, over: str) -> pd.DataFrame:
    """Return how often trips pass each link ("state") or take each turn ("state_action"); see ``occupancy``."""
    assert task.goals is not None
    trips = Trips.of(task, initial, "occupancy(initial=...)")
    trips.require_ways(task.goals)
    policy = toward(people, trips.goal, "occupancy()")
    tables = {}
    for row, chain in chains(policy):
        flows, visits = passes(chain, trips.start)
        where = np.nonzero(visits if over == "state" else flows)
        turns, links = chain.turns, task.goals.links
        table = pd.DataFrame({"goal": labelled(task.contexts, chain.goal[where[0]])})
        if over == "state":
            tables[row] = table.assign(link=labelled(links, where[1]), visits=visits[where])
        else:
            start, end = labelled(links, turns.start[where[1]]), labelled(links, turns.end[where[1]])
            tables[row] = table.assign(link=start, action=end, visits=flows[where])
    return of_people(policy, tables)


def passes(chain: TripChain, start: Float[Real, "G L"]) -> tuple[Float[Real, "G E"], Float[Real, "G L"]]:
    """Return how often each turn is taken, and how often each link is passed.

    Raises:
        SolveError: rounding spoils the answer.
    """
    flows = chain.flows(start)
    visits = chain.visits(start, flows)
    arrived = visits[np.arange(len(start)), chain.turns.target]
    require_accurate(np.abs(arrived / start.sum(axis=1) - 1.0).max())
    return flows, visits


def trip_steps(
    people: Policy | HasPolicy, task: Task, goal: Hashable | list[Hashable], features: Sequence[str]
) -> pd.DataFrame:
    """Return how many links it takes from each link to each of some goals; see ``expected_steps``."""
    assert task.goals is not None
    asked = _asked(task, goal)
    policy = toward(people, asked, "expected_steps()")
    tables = {}
    for row, chain in chains(policy):
        turns = chain.turns
        # Other goals that no turn leaves are on no trip to this one.
        passable = ~task.goals.closed | (np.arange(turns.reach.shape[1]) == turns.target[:, None])
        where, arrives = np.nonzero(passable), turns.reach[passable]
        table = pd.DataFrame(
            {
                "goal": labelled(task.contexts, chain.goal[where[0]]),
                "link": labelled(task.goals.links, where[1]),
                "probability": arrives.astype(float),
            }
        )
        gains = {"steps": np.ones(len(turns.start))}
        for name in features:
            values = task.features[..., task.feature_names.index(name)].numpy()
            gains[f"total_{name}"] = values[turns.start, turns.slot]
        for column, gain in gains.items():
            table[column] = np.where(arrives, chain.totals(gain)[where], np.inf)
        tables[row] = table
    return of_people(policy, tables)


class Trips:
    """Where trips through a network begin and where they go.

    Attributes:
        goal: [G] codes of the goals that occur, in ascending order.
        start: [G, L] number of trips to each that begin on each link.
    """

    goal: Index
    start: Real

    def __init__(self, state: Index, number: Real, num_links: int) -> None:
        """Collect trips by the codes [N] of the states that they begin in."""
        goal, link = np.divmod(state, num_links)
        self.goal, place = np.unique(goal, return_inverse=True)
        self.start = np.zeros((len(self.goal), num_links))
        np.add.at(self.start, (place, link), number)

    @classmethod
    def of(cls, task: Task, initial: Mapping[Any, float] | None, source: str) -> "Trips":
        """Read trips as a user writes them, (goal, link) -> number.

        Raises:
            ModelError: none, unknown goals or links, negative numbers; all at once.
        """
        assert task.goals is not None
        if initial is None:
            raise ModelError(
                "a network does not say where trips begin and where they go: initial={(goal, link): number of trips}"
            )
        labels, numbers = list(initial.keys()), [value for _, value in initial.items()]
        with Problems(source, ModelError) as problems:
            for label, value in zip(labels, numbers, strict=True):
                if label not in task.states:
                    problems.add(f"unknown (goal, link) {label!r}.{task.states.suggest(label)}")
                if not (0 <= value < np.inf):
                    problems.add(f"the number of trips of {label!r} is {value}")
            if not any(value > 0 for value in numbers):
                problems.add("there are no trips")
        kept = [place for place, value in enumerate(numbers) if value > 0]
        state = task.states.encode(labels[place] for place in kept)
        return cls(state, np.array([numbers[place] for place in kept], dtype=float), len(task.goals.links))

    def cut_off(self, goals: Goals) -> tuple[Index, Index]:
        """Return goal and link (codes) of the trips from where no way leads to their goal."""
        place, link = np.nonzero((self.start > 0) & ~goals.reach[self.goal])
        return self.goal[place], link

    def arriving(self, goals: Goals) -> "Trips":
        """Return the trips that can arrive."""
        place, link = np.nonzero((self.start > 0) & goals.reach[self.goal])
        size = self.start.shape[1]
        return Trips(self.goal[place] * size + link, self.start[place, link], size)

    def require_ways(self, goals: Goals) -> None:
        """Refuse trips that cannot arrive.

        Raises:
            ModelError: naming the first of them.
        """
        goal, link = self.cut_off(goals)
        with Problems("these trips cannot arrive", ModelError) as problems:
            for one, other in zip(goals.labels.decode(goal[:5]), goals.links.decode(link[:5]), strict=True):
                problems.add(f"no way leads from {other!r} to {one!r}")
            if len(goal) > 5:
                problems.add(f"and {len(goal) - 5} more; leave them out")


def _asked(task: Task, goal: Hashable | list[Hashable]) -> Index:
    """Return the codes of goals, in ascending order."""
    if goal is None:
        raise ModelError(
            f"goals of the network are {shortlist(task.contexts.values)}: say which, goal=... "
            "(all of them: goal=list(task.contexts.values))"
        )
    labels = goal if isinstance(goal, list) else [goal]
    with Problems("expected_steps(goal=...)", ModelError) as problems:
        if not labels:
            problems.add("there are no goals, goal=[]")
        for label in labels:
            if label not in task.contexts:
                problems.add(f"{label!r} is no goal of the network.{task.contexts.suggest(label)}")
    return np.unique(task.contexts.encode(labels))


def labelled(labels: Labels, codes: Index) -> "pd.Series[Any]":
    """Return labels of codes as a column; each label is looked at once."""
    present, place = np.unique(codes, return_inverse=True)
    found = labels.decode(present)
    return pd.Series(found, dtype=None if found else object).take(place).reset_index(drop=True)


def of_people(policy: Policy, tables: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Write one table a row of parameters as one of every person."""
    parts = []
    for label, row in zip(policy.subjects.values, policy.row.tolist(), strict=True):
        subject = pd.Series([label], dtype=object).repeat(len(tables[row])).reset_index(drop=True)
        parts.append(pd.concat([subject.rename("subject"), tables[row]], axis=1))
    return pd.concat(parts, ignore_index=True)
