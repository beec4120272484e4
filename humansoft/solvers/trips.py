"""Trips to some goals of a network: the policy of them alone, and the Markov chain that it makes of the links.

With the desirabilities z of a goal and m of its turns (``goal_system.py``), the policy is pi = m z' / z, so that
I - P = Z^-1 A Z. Expected passes of each turn, of trips that begin as mu says, and the expected sum of a gain that
each turn brings until the goal is reached, are then

    f = m * z' * (A^-T (mu / z)),      g = A^-1 (sum of m z' gain) / z

by the factors that the policy was found with: one factorisation for all goals that are asked.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array

from humansoft.solvers.chain import can_reach, solve_chain
from humansoft.solvers.goal_expansion import GoalExpansion
from humansoft.solvers.goal_turns import GoalTurns
from humansoft.solvers.goals import GoalSolution, adjoint, solve_goals
from humansoft.solvers.policy import HasPolicy, Policy, policy_of
from humansoft.tasks.task import Task

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@runtime_checkable
class KnowsTrips(Protocol):
    """Somebody who can be asked about trips to some goals only, for example the people of a fit."""

    @property
    def task(self) -> Task:
        """The task acted in."""

    def policy_toward(self, goals: Index) -> Policy:
        """What they do on trips to some goals (codes) of a network."""


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
        return people.policy_toward(goals)
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
    """

    policy: Policy
    goal: Index
    turns: GoalTurns
    place: int

    def flows(self, start: Float[Real, "G L"]) -> Float[Real, "G E"]:
        """Return how often each turn is expected to be taken by trips that begin on links, until they end."""
        turns, solution = self.turns, self.policy.solution
        if isinstance(solution, GoalSolution):
            system = solution.systems[self.place]
            passing = np.where(self._passed(start), adjoint(system, start), 0.0)
            found: Real = passing[:, turns.start] * system.weight * system.z[:, turns.end]
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
            change = system.change(gain)
            change[self._at_goal] = 0.0
            return np.divide(change, system.z, out=np.zeros_like(change), where=turns.reach)
        policy, chosen = self._spelled_out()
        taken = chosen.reshape(*turns.reach.shape, -1)[:, turns.start, turns.slot] * gain
        right = summed(taken, turns.start, turns.reach.shape[1])
        return solve_chain(policy.expansion.problem, chosen, right.ravel(), 1.0).reshape(right.shape)

    def visits(self, start: Float[Real, "G L"], flows: Float[Real, "G E"]) -> Float[Real, "G L"]:
        """Return how often each link is expected to be passed: where trips begin, and where turns lead."""
        found: Real = start + summed(flows, self.turns.end, start.shape[1])
        return found

    def _passed(self, start: Float[Real, "G L"]) -> Bool[Flags, "G L"]:
        """Return which links trips get to and go on from: those beyond a goal on the way have nothing but rounding."""
        turns, found = self.turns, np.ones(start.shape, dtype=bool)
        for place in np.flatnonzero(turns.is_inner):
            taken = turns.start != turns.target[place]
            ways = turns.end[taken], turns.start[taken]
            backwards = csr_array((np.ones(taken.sum()), ways), shape=(start.shape[1],) * 2)
            found[place] = can_reach(backwards, start[place] > 0)
        found[self._at_goal] = False
        return found

    @property
    def _at_goal(self) -> tuple[Index, Index]:
        """The place of each goal among the states [G, L]: there the trip is over."""
        return np.arange(len(self.goal)), self.turns.target

    def _spelled_out(self) -> tuple[Policy, Float[Real, "M A"]]:
        """Return the policy of this row alone, and its probabilities."""
        whole = self.policy.expansion
        assert isinstance(whole, GoalExpansion)
        own = restricted(self.policy, np.array([whole.rows[self.place].row]), self.goal)
        chosen: Real = own.log_policy.detach().exp().numpy()
        return own, chosen


def chains(policy: Policy) -> Iterator[tuple[int, TripChain]]:
    """Yield every row that occurs, and its trips."""
    expansion = policy.expansion
    assert isinstance(expansion, GoalExpansion)
    for place, own in enumerate(expansion.rows):
        yield own.row, TripChain(policy, expansion.pair_goal[own.pairs], own.turns, place)


def summed(values: Float[Real, "G E"], place: Int[Index, " E"], size: int) -> Float[Real, "G L"]:
    """Add up what turns [E] have on their links (their starts, or their ends)."""
    number = len(values)
    where = (np.arange(number)[:, None] * size + place).ravel()
    found: Real = np.bincount(where, weights=values.ravel(), minlength=number * size).astype(np.float64)
    return found.reshape(number, size)
