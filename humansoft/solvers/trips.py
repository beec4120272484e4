"""Trips to some goals of a network: the policy of them alone, and the Markov chain that it makes of the links.

With the desirabilities z of a goal and m of its turns (``goal_system.py``), the policy is pi = m z' / z, so that
I - P = Z^-1 A Z. Expected passes of each turn, of trips that begin as mu says, and the expected sum of a gain that
each turn brings until the goal is reached, are then

    f = m * z' * (A^-T (mu / z)),      g = A^-1 (sum of m z' gain) / z

by the factors that the policy was found with: one factorisation for all goals that are asked.
"""

import dataclasses
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

from humansoft.codebook import Labels
from humansoft.solvers.chain import solve_chain
from humansoft.solvers.goal_expansion import GoalExpansion
from humansoft.solvers.goal_turns import GoalTurns
from humansoft.solvers.goals import GoalSolution, adjoint, solve_goals
from humansoft.solvers.policy import HasPolicy, Policy, policy_of
from humansoft.tasks.task import Task

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_LARGEST_GRAPH = 2_000_000  # (goal, turn) pairs that are searched at once


@runtime_checkable
class KnowsTrips(Protocol):
    """Somebody who can be asked about trips to some goals only, for example the people of a fit."""

    @property
    def task(self) -> Task:
        """The task acted in."""

    @property
    def subjects(self) -> Labels:
        """The people."""

    def policy_toward(self, goals: Sequence[Hashable]) -> Policy:
        """What they do on trips to some goals (labels) of a network."""


def subjects_of(people: Policy | HasPolicy, purpose: str) -> Labels:
    """Return the labels of people, without solving anything where that can be spared.

    Raises:
        UsageError: people without a policy of a task.
    """
    return people.subjects if isinstance(people, KnowsTrips) else policy_of(people, purpose).subjects


def task_of(people: Policy | HasPolicy, purpose: str) -> Task:
    """Return the task that people act in, without solving it where that can be spared.

    Raises:
        UsageError: people without a policy of a task.
    """
    return people.task if isinstance(people, KnowsTrips) else policy_of(people, purpose).task


def toward(people: Policy | HasPolicy, goals: Index, purpose: str) -> Policy:
    """Return what people do on trips to some goals (distinct codes, in ascending order) of a network.

    Raises:
        ModelError: the policy says nothing of trips to some of them.
    """
    if isinstance(people, KnowsTrips):
        return people.policy_toward(people.task.contexts.decode(goals))
    policy = policy_of(people, purpose)
    return restricted(policy, np.unique(policy.row), goals)


def restricted(policy: Policy, rows: Int[Index, " R"], goals: Int[Index, " G"]) -> Policy:
    """Return a policy in a network on trips to some goals, of some rows (distinct codes, in ascending order).

    Raises:
        ModelError: the policy says nothing of trips to some of them.
    """
    whole = policy.expansion
    assert isinstance(whole, GoalExpansion)
    known = whole.starts(policy.task, rows[:, None], goals)
    pairs = (rows[:, None] * len(whole.goals.target) + goals).ravel()
    part = GoalExpansion(whole.task, whole.goals, whole.is_counted, pairs, len(whole.block))
    found = policy.solution
    if isinstance(found, GoalSolution):
        solution: Any = solve_goals(part, found.rho * found.temperature[:, None, None], found.temperature)
    else:  # spelled out, pair by pair
        place = torch.from_numpy((known.reshape(-1, 1) + whole.local).ravel())
        tables = {name: getattr(found, name)[place] for name in ("value", "q", "log_policy")}
        solution = dataclasses.replace(found, system=None, **tables)
    return dataclasses.replace(policy, expansion=part, solution=solution)


@dataclasses.dataclass(frozen=True, eq=False)
class TripChain:
    """The trips of one row of people to some goals of a network.

    Attributes:
        policy: what they do, on trips to these goals.
        goal: [G] codes of the goals, in ascending order.
        turns: the turns [E] of the network.
        place: place of the row among those that were solved.
        among: [G] places of these goals among those of the row.
    """

    policy: Policy
    goal: Index
    turns: GoalTurns
    place: int
    among: Index | slice

    def toward(self, goals: Int[Index, " K"]) -> "TripChain":
        """Return the trips to some of these goals (codes) only."""
        among = np.searchsorted(self.goal, goals)
        return dataclasses.replace(
            self, goal=self.goal[among], among=np.arange(len(self.turns.target))[self.among][among]
        )

    @property
    def target(self) -> Index:
        """[G] link that ends the trips to each goal."""
        return self.turns.target[self.among]

    @property
    def reach(self) -> Flags:
        """[G, L] where a trip can end."""
        return self.turns.reach[self.among]

    def flows(self, start: Float[Real, "G L"]) -> Float[Real, "G E"]:
        """Return how often each turn is expected to be taken by trips that begin on links, until they end."""
        turns, solution = self.turns, self.policy.solution
        if isinstance(solution, GoalSolution):
            system = solution.systems[self.place]
            passing = np.where(self._passed(start), adjoint(system, start, self.among), 0.0)
            found: Real = passing[:, turns.start] * system.weight * system.z[self.among][:, turns.end]
            return np.maximum(found, 0.0)  # rounding may leave -1e-20
        policy, chosen = self._spelled_out()
        visits = solve_chain(policy.expansion.problem, chosen, start.ravel(), 1.0, transposed=True)
        taken = chosen.reshape(*start.shape, -1)[:, turns.start, turns.slot]
        return np.maximum(visits.reshape(start.shape)[:, turns.start] * taken, 0.0)

    def totals(self, gain: Float[Real, " E"]) -> Float[Real, "G L"]:
        """Return the expected sum of what turns bring, from each link to the goal; 0 where it is out of reach."""
        turns, solution = self.turns, self.policy.solution
        if isinstance(solution, GoalSolution):
            system = solution.systems[self.place]
            change = system.change(gain)[self.among]
            change[self._at_goal] = 0.0
            return np.divide(change, system.z[self.among], out=np.zeros_like(change), where=self.reach)
        policy, chosen = self._spelled_out()
        taken = chosen.reshape(*self.reach.shape, -1)[:, turns.start, turns.slot] * gain
        right = summed(taken, turns.start, self.reach.shape[1])
        return solve_chain(policy.expansion.problem, chosen, right.ravel(), 1.0).reshape(right.shape)

    def visits(self, start: Float[Real, "G L"], flows: Float[Real, "G E"]) -> Float[Real, "G L"]:
        """Return how often each link is expected to be passed: where trips begin, and where turns lead."""
        found: Real = start + summed(flows, self.turns.end, start.shape[1])
        return found

    def _passed(self, start: Float[Real, "G L"]) -> Bool[Flags, "G L"]:
        """Return which links trips get to and go on from: those beyond a goal on the way have nothing but rounding."""
        found = np.ones(start.shape, dtype=bool)
        inner = np.flatnonzero(self.turns.is_inner[self.among])
        size = max(1, _LARGEST_GRAPH // len(self.turns.start))
        for few in (inner[first : first + size] for first in range(0, len(inner), size)):
            found[few] = _got_to(self.turns, self.target[few], start[few] > 0)
        found[self._at_goal] = False
        return found

    @property
    def _at_goal(self) -> tuple[Index, Index]:
        """The place of each goal among the states [G, L]: there the trip is over."""
        return np.arange(len(self.goal)), self.target

    def _spelled_out(self) -> tuple[Policy, Float[Real, "M A"]]:
        """Return the policy of this row alone, and its probabilities."""
        whole = self.policy.expansion
        assert isinstance(whole, GoalExpansion)
        own = restricted(self.policy, np.array([whole.rows[self.place].row]), self.goal)
        chosen: Real = own.log_policy.detach().exp().numpy()
        return own, chosen


def _got_to(turns: GoalTurns, target: Int[Index, " K"], begun: Bool[Flags, "K L"]) -> Bool[Flags, "K L"]:
    """Return which links trips get to that begin on links and end on their target: one search for all of them."""
    number, size = begun.shape
    block, links = np.arange(number)[:, None], begun.size
    end = np.where(turns.start == target[:, None], turns.start, turns.end) + block * size  # from the target, nowhere
    first = np.searchsorted(turns.start, np.arange(size)) + block * len(turns.start)
    source = np.flatnonzero(begun)  # one more node leads to all of them
    indices, starts = np.r_[end.ravel(), source], np.r_[first.ravel(), end.size, end.size + len(source)]
    graph = csr_array((np.ones(len(indices)), indices, starts), shape=(links + 1,) * 2)
    found = np.zeros(links + 1, dtype=bool)
    found[breadth_first_order(graph, links, return_predecessors=False)] = True
    return found[:links].reshape(begun.shape)


def chains(policy: Policy) -> Iterator[tuple[int, TripChain]]:
    """Yield every row that occurs, and its trips."""
    expansion = policy.expansion
    assert isinstance(expansion, GoalExpansion)
    for place, own in enumerate(expansion.rows):
        yield own.row, TripChain(policy, expansion.pair_goal[own.pairs], own.turns, place, slice(None))


def summed(values: Float[Real, "G E"], place: Int[Index, " E"], size: int) -> Float[Real, "G L"]:
    """Add up what turns [E] have on their links (their starts, or their ends)."""
    number = len(values)
    where = (np.arange(number)[:, None] * size + place).ravel()
    found: Real = np.bincount(where, weights=values.ravel(), minlength=number * size).astype(np.float64)
    return found.reshape(number, size)
