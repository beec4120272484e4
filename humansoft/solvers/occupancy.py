"""Where a policy leads: expected visits, by linear solves.

With mu the start distribution and P the transition matrix of a policy, expected visits are

    d = mu + discount * P' d    (each visit counts discount ** time: the planner's weight)
    d = mu + P' d               (each visit counts once: what happens until the episode ends)
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from jaxtyping import Float

from humansoft.errors import ModelError, Problems, SolveError, UsageError, did_you_mean
from humansoft.solvers.asked_trips import TripNumbers
from humansoft.solvers.chain import (
    can_reach,
    ended,
    probabilities_of,
    require_accurate,
    solve_chain,
    transition_matrix,
)
from humansoft.solvers.option_checks import is_number
from humansoft.solvers.policy import HasPolicy, Policy, policy_of
from humansoft.solvers.state_tables import table_of
from humansoft.solvers.trip_tables import RARE, trip_visits
from humansoft.solvers.trips import task_of
from humansoft.threads import one_thread

Array = npt.NDArray[np.float64]
Over = Literal["state", "state_action"]


@one_thread()
def occupancy(
    policy: Policy | HasPolicy,
    initial: TripNumbers | None = None,
    *,
    over: Over = "state",
    discounted: bool = True,
    by_time: bool = False,
    by_goal: bool = True,
    least_share: float = RARE,
) -> pd.DataFrame:
    r"""Return how often each person is expected to be where, and to do what there.

    Args:
        policy: what people do: a policy of a task, or a fit.
        initial: state label -> probability of starting there; the task's start distribution by default. On a
            network: (goal, link) -> number of trips to that goal that begin on that link; also as a series by
            (goal, link), such as ``log.frame[log.episode_start].groupby(["goal", "link"]).size()``, or as a table
            with the columns goal, link and trips.
        over: "state" counts visits to states, "state_action" decisions.
        discounted: true weighs the decision at time t with discount ** t, as the planner does; false
            counts every decision once, until the episode ends.
        by_time: one row for each time too; for tasks with a horizon.
        by_goal: on a network, false adds up the trips to all goals.
        least_share: on a network, the share of the trips (to a goal) that have to pass a link for it to have a row.

    Returns:
        One row a subject and state (and action, and time): ``visits``. Visits to states sum to the
        expected number of decisions, terminal states apart: these are visited once, on arrival, so
        that undiscounted visits to them are the probability of ending there. On a network, one row a
        subject, goal and link: how often the trips to that goal are expected to pass the link, for the goals in
        ``initial`` and the links that more than ``least_share`` of them pass. "state_action" counts turns; their
        ``action`` is the link entered. Every person makes all the trips.

    Raises:
        ModelError: no start distribution, unknown start states, or probabilities that do not sum to 1; on a
            network, trips from where no way leads to their goal.
        UsageError: unknown ``over``, ``by_time`` without a horizon, ``by_goal=False`` where there are none, or a
            ``least_share`` that is no share.
        SolveError: undiscounted, where some episodes never end.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95)
        >>> policy = hs.plan(task, {"step": -1.0}, temperature=0.1)
        >>> visits = hs.occupancy(policy, discounted=False)
        >>> visits["visits"].round(2).tolist()  # of the three cells above and the three below
        [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
        >>> turns = [("home", "main", 2.0), ("home", "park", 3.0), ("main", "work", 0.0), ("park", "work", 0.0)]
        >>> town = hs.Task.network(pd.DataFrame(turns, columns=["from", "to", "minutes"]), features=["minutes"])
        >>> people = hs.plan(town, {"minutes": -1.0}, planner="entropy")
        >>> flows = hs.occupancy(people, {("work", "home"): 100}).set_index("link")["visits"]
        >>> flows.round(1).to_dict()  # of a hundred trips from home to work
        {'home': 100.0, 'main': 73.1, 'park': 26.9, 'work': 100.0}
    """
    task = task_of(policy, "occupancy()")
    if over not in ("state", "state_action"):
        raise UsageError(f"occupancy(over={over!r}).{did_you_mean(over, ['state', 'state_action'])}")
    if not (is_number(least_share) and 0 <= least_share < 1):
        raise UsageError(f"occupancy(least_share={least_share!r}): it is a share of trips, at least 0 and below 1")
    if by_time and task.horizon is None:
        raise UsageError("occupancy(by_time=True) is for tasks with a horizon; this one has none")
    if task.goals is not None:
        return trip_visits(policy, task, initial, over, by_goal, least_share)
    if not by_goal:
        raise UsageError("occupancy(by_goal=False) is for networks; this task is none")
    policy = policy_of(policy, "occupancy()")
    start = _start(policy, initial)
    discount = task.discount if discounted else 1.0
    chosen = probabilities_of(policy)
    if task.horizon is None:
        visits = _visits(policy, chosen, start, discount)[None]
        chosen = chosen[None]
    else:
        visits = _visits_by_time(policy, chosen, start, discount)
        chosen = np.concatenate([chosen, np.zeros_like(chosen[:1])])  # nothing is decided after the last decision
    counted = visits if over == "state" else visits[:, :, None] * chosen
    return table_of(policy, counted if by_time else counted.sum(axis=0, keepdims=True), by_time)


def _start(policy: Policy, initial: object) -> Float[Array, " M"]:
    """Lay the start distribution out over every person's states."""
    task = policy.task
    if initial is None and task.initial is None:
        raise ModelError("the task has no start distribution: say where people start, initial={state: probability}")
    if initial is None:
        assert task.initial is not None
        share = task.initial.numpy()
    else:
        share = _checked_start(policy, initial)
    contexts = np.unique(task.context.numpy()[share > 0])
    if (policy.expansion.block[np.unique(policy.row)][:, contexts] < 0).any():
        raise ModelError(
            "the policy does not say what everybody does in every context that people start in: "
            "give initial= within contexts that all of them know"
        )
    start: Array = share[policy.expansion.state.numpy()]
    return start


def _checked_start(policy: Policy, initial: object) -> Float[Array, " S"]:
    states = policy.task.states
    if not isinstance(initial, Mapping | pd.Series):
        raise ModelError(
            f"occupancy(initial=...): a {type(initial).__name__} does not say where people start; give "
            "{state: probability}"
        )
    given = dict(initial.items())
    with Problems("occupancy(initial=...)", ModelError) as problems:
        for label, value in given.items():
            if label not in states:
                problems.add(f"unknown state {label!r}.{states.suggest(label)}")
            if not (is_number(value) and 0 <= value <= 1):
                problems.add(f"the probability of {label!r} is {value!r}")
        total = sum(value for value in given.values() if is_number(value))
        if abs(total - 1) > 1e-6:
            problems.add(f"the probabilities sum to {total:.6g}, not to 1")
    share = np.zeros(len(states))
    share[states.encode(given)] = list(given.values())
    return share


def _visits(policy: Policy, chosen: Array, start: Array, discount: float) -> Float[Array, " M"]:
    problem = policy.expansion.problem
    if discount == 1:
        endless = ~can_reach(transition_matrix(problem, chosen), ended(policy))
        chosen = np.where(endless[:, None], 0.0, chosen)
    visits = solve_chain(problem, chosen, start, discount, transposed=True)
    if discount == 1:
        row = policy.expansion.row.numpy()
        begun = np.bincount(row, weights=start)[policy.row]
        lost = np.bincount(row, weights=visits * endless)[policy.row] / begun
        over = np.bincount(row, weights=visits * ended(policy))[policy.row] / begun
        require_accurate(np.abs(lost + over - 1.0).max())
        if lost.any():
            who = policy.subjects.values[int(lost.argmax())]
            raise SolveError(
                f"episodes do not surely end (those of {who!r} never do with probability {lost.max():.3g}): visits "
                "without discount are infinite. Use discounted=True, or other starts"
            )
    return np.maximum(visits, 0.0)  # rounding may leave -1e-20


def _visits_by_time(policy: Policy, chosen: Array, start: Array, discount: float) -> Float[Array, "T M"]:
    """Return visits at times 0 to the horizon; at the last one only arrivals at an end count."""
    visits, weight = [start], discount
    current = start
    for decided in chosen:
        current = transition_matrix(policy.expansion.problem, decided).T @ current
        visits.append(weight * current)
        weight *= discount
    visits[-1] = np.where(ended(policy), visits[-1], 0.0)
    return np.stack(visits)
