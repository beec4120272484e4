"""Link flows of trips through a network, and how long trips take: one row a goal and link, of the goals asked for."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from jaxtyping import Float

from humansoft.codebook import Labels
from humansoft.errors import ModelError, shortlist
from humansoft.solvers.asked_trips import TripNumbers, Trips, goal_codes, listed
from humansoft.solvers.chain import require_accurate
from humansoft.solvers.policy import HasPolicy, Policy
from humansoft.solvers.trips import TripChain, chains, toward
from humansoft.tasks.lookup import network_of
from humansoft.tasks.task import Task

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

RARE = 1e-9
"""Share of trips: links that fewer of them pass are left out of tables, unless they are asked for."""


def trip_visits(
    people: Policy | HasPolicy, task: Task, initial: TripNumbers | None, over: str, by_goal: bool, least_share: float
) -> pd.DataFrame:
    """Return how often trips pass each link ("state") or take each turn ("state_action"); see ``occupancy``."""
    network = network_of(task)
    trips = Trips.of(task, initial, "occupancy(initial=...)")
    trips.require_ways(network)
    policy = toward(people, trips.goal, "occupancy()")
    links, tables = network.links, {}
    for row, chain in chains(policy):
        counted, begun = passes(chain, trips.start)[over != "state_action"], trips.start.sum(axis=1, keepdims=True)
        if not by_goal:
            counted, begun = counted.sum(axis=0, keepdims=True), begun.sum(keepdims=True)
        where = np.nonzero(counted > least_share * begun)
        columns: dict[str, Any] = {"goal": labelled(task.contexts, chain.goal[where[0]])} if by_goal else {}
        if over == "state":
            columns |= {"link": labelled(links, where[1])}
        else:
            start, end = (labelled(links, code[where[1]]) for code in (chain.turns.start, chain.turns.end))
            columns |= {"link": start, "action": end}
        tables[row] = pd.DataFrame(columns).assign(visits=counted[where])
    return of_people(policy, tables)


def passes(chain: TripChain, start: Float[Real, "G L"]) -> tuple[Float[Real, "G E"], Float[Real, "G L"]]:
    """Return how often each turn is taken, and how often each link is passed.

    Raises:
        SolveError: rounding spoils the answer.
    """
    flows = chain.flows(start)
    visits = chain.visits(start, flows)
    arrived = visits[np.arange(len(start)), chain.target]
    require_accurate(np.abs(arrived / start.sum(axis=1) - 1.0).max())
    return flows, visits


def trip_steps(
    people: Policy | HasPolicy, task: Task, goal: Hashable | Iterable[Hashable], features: Sequence[str]
) -> pd.DataFrame:
    """Return how many links it takes from each link to each of some goals; see ``expected_steps``."""
    network = network_of(task)
    if goal is None:
        raise ModelError(
            f"goals of the network are {shortlist(task.contexts.values)}: say which, goal=... "
            "(all of them: goal=list(task.contexts.values))"
        )
    asked = goal_codes(task, listed(goal), "expected_steps(goal=...)")
    policy = toward(people, asked, "expected_steps()")
    tables = {}
    for row, chain in chains(policy):
        turns, shape = chain.turns, chain.reach.shape
        table = pd.DataFrame(
            {
                "goal": labelled(task.contexts, np.repeat(chain.goal, shape[1])),
                "link": labelled(network.links, np.tile(np.arange(shape[1]), shape[0])),
                "probability": chain.reach.ravel().astype(float),
            }
        )
        gains = {"steps": np.ones(len(turns.start))}
        for name in features:
            values = task.features[..., task.feature_names.index(name)].numpy()
            gains[f"total_{name}"] = values[turns.start, turns.slot]
        for column, gain in gains.items():
            table[column] = np.where(chain.reach, chain.totals(gain), np.nan).ravel()
        tables[row] = table
    return of_people(policy, tables)


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
