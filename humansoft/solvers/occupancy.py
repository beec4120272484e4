"""Where a policy leads: expected visits, the probability of an end and the time to it, by linear solves.

With mu the start distribution and P the transition matrix of a policy, expected visits are

    d = mu + discount * P' d    (each visit counts discount ** time: the planner's weight)
    d = mu + P' d               (each visit counts once: what happens until the episode ends)

and with h(s) the probability of ever reaching a goal from s, h = P h with h = 1 at the goal; the
expected number of decisions on the ways that lead there is g = P g + h, given that they do: g / h.
"""

from collections.abc import Hashable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from jaxtyping import Float

from humansoft.errors import ModelError, Problems, SolveError, UsageError, did_you_mean
from humansoft.solvers.chain import can_reach, ended, probabilities_of, solve_chain, transition_matrix
from humansoft.solvers.policy import HasPolicy, Policy, policy_of
from humansoft.tasks.lookup import require_tables
from humansoft.threads import one_thread

Array = npt.NDArray[np.float64]
Over = Literal["state", "state_action"]

_ROUNDING = 1e-6


@one_thread()
def occupancy(
    policy: Policy | HasPolicy,
    initial: Mapping[Any, float] | None = None,
    *,
    over: Over = "state",
    discounted: bool = True,
    by_time: bool = False,
) -> pd.DataFrame:
    r"""Return how often each person is expected to be where, and to do what there.

    Args:
        policy: what people do: a policy of a task, or a fit.
        initial: state label -> probability of starting there; the task's start distribution by default.
        over: "state" counts visits to states, "state_action" decisions.
        discounted: true weighs the decision at time t with discount ** t, as the planner does; false
            counts every decision once, until the episode ends.
        by_time: one row for each time too; for tasks with a horizon.

    Returns:
        One row a subject and state (and action, and time): ``visits``. Visits to states sum to the
        expected number of decisions, terminal states apart: these are visited once, on arrival, so
        that undiscounted visits to them are the probability of ending there.

    Raises:
        ModelError: no start distribution, unknown start states, or probabilities that do not sum to 1.
        UsageError: unknown ``over``, or ``by_time`` without a horizon.
        SolveError: undiscounted, where some episodes never end.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95)
        >>> policy = hs.plan(task, {"step": -1.0}, temperature=0.1)
        >>> visits = hs.occupancy(policy, discounted=False)
        >>> visits["visits"].round(2).tolist()  # of the three cells above and the three below
        [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    """
    policy = policy_of(policy, "occupancy()")
    require_tables(policy.task, "occupancy()")
    task = policy.task
    if over not in ("state", "state_action"):
        raise UsageError(f"occupancy(over={over!r}).{did_you_mean(over, ['state', 'state_action'])}")
    if by_time and task.horizon is None:
        raise UsageError("occupancy(by_time=True) is for tasks with a horizon; this one has none")
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
    return _table(policy, counted if by_time else counted.sum(axis=0, keepdims=True), by_time)


@one_thread()
def expected_steps(policy: Policy | HasPolicy, goal: Hashable | list[Hashable] = None) -> pd.DataFrame:
    r"""Return how probable it is to get to an end from each state, and how long it takes.

    Nothing is discounted: these are real probabilities and numbers of decisions.

    Args:
        policy: what people do: a policy of a task, or a fit.
        goal: label of a state, or a list of labels, that counts as arriving; all terminal states by default.

    Returns:
        One row a subject and state: ``probability`` of ever arriving (within the horizon, where there is one,
        from the first decision), and ``steps``, the expected number of decisions on the ways that arrive
        (NaN where none does). Where ``probability`` is 1 that is the expected time to the goal.

    Raises:
        ModelError: unknown goal, or a task without terminal states and no goal given.
        SolveError: it takes so long that rounding spoils the answer.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95)
        >>> steps = hs.expected_steps(hs.plan(task, {"step": -1.0}, temperature=0.01)).set_index("state")
        >>> round(steps.loc[[(0, 0)], "steps"].item(), 3)
        2.0
    """
    policy = policy_of(policy, "expected_steps()")
    require_tables(policy.task, "expected_steps()")
    arrived = _goal(policy, goal)
    target = arrived.astype(float)
    chosen = np.where(arrived[:, None], 0.0, probabilities_of(policy))  # at a goal the way is over
    problem = policy.expansion.problem
    if policy.task.horizon is None:
        matrix = transition_matrix(problem, chosen)
        reaching = can_reach(matrix, arrived)
        chosen = np.where(reaching[:, None], chosen, 0.0)  # from elsewhere nobody comes back: the system stays regular
        probability = solve_chain(problem, chosen, target, 1.0)
        sure = reaching & ~can_reach(matrix, ~reaching)
        _require_accurate(np.abs(probability[sure] - 1.0).max(initial=0.0))
        probability = np.where(sure, 1.0, probability)
        # At the goal itself no decision is left to take.
        total = solve_chain(problem, chosen, np.where(arrived, 0.0, probability), 1.0)
    else:
        probability, total = target, np.zeros_like(target)
        for decided in chosen[::-1]:
            matrix = transition_matrix(problem, decided)
            probability = np.where(arrived, 1.0, matrix @ probability)
            total = np.where(arrived, 0.0, matrix @ total + probability)
    with np.errstate(invalid="ignore"):
        steps = np.where(probability > 0, total / probability, np.nan)
    table = _table(policy, np.minimum(probability, 1.0)[None], by_time=False).rename(columns={"visits": "probability"})
    return table.assign(steps=_table(policy, steps[None], by_time=False)["visits"])


def _require_accurate(error: float) -> None:
    """Refuse what rounding has spoilt: I - P is nearly singular where people all but never leave."""
    if not error <= _ROUNDING:
        raise SolveError(
            "in this task people leave some states so rarely that the time to the end cannot be computed; "
            "it is astronomically long. Look at discounted visits instead, or at a goal that is nearer"
        )


def _start(policy: Policy, initial: Mapping[Any, float] | None) -> Float[Array, " M"]:
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


def _checked_start(policy: Policy, initial: Mapping[Any, float]) -> Float[Array, " S"]:
    states = policy.task.states
    with Problems("occupancy(initial=...)", ModelError) as problems:
        for label, value in initial.items():
            if label not in states:
                problems.add(f"unknown state {label!r}.{states.suggest(label)}")
            if not 0 <= value <= 1:
                problems.add(f"the probability of {label!r} is {value}")
        if abs(sum(initial.values()) - 1) > 1e-6:
            problems.add(f"the probabilities sum to {sum(initial.values()):.6g}, not to 1")
    share = np.zeros(len(states))
    share[states.encode(initial)] = list(initial.values())
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
        _require_accurate(np.abs(lost + over - 1.0).max())
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


def _goal(policy: Policy, goal: Hashable | list[Hashable]) -> npt.NDArray[np.bool_]:
    """[M] true where the way is over."""
    states = policy.task.states
    if goal is None:
        if not bool(policy.task.terminal.any()):
            raise ModelError("the task has no terminal states: say which states count as arriving, goal=...")
        return ended(policy)
    labels = goal if isinstance(goal, list) else [goal]
    with Problems("expected_steps(goal=...)", ModelError) as problems:
        for label in labels:
            if label not in states:
                problems.add(f"unknown state {label!r}.{states.suggest(label)}")
    return np.isin(policy.expansion.state.numpy(), states.encode(labels))


def _table(policy: Policy, values: Array, by_time: bool) -> pd.DataFrame:
    """Write [T, M] or [T, M, A] values of every row as one tidy table of every person."""
    task = policy.task
    row, state = policy.expansion.row.numpy(), policy.expansion.state.numpy()
    parts = []
    for label, own in zip(policy.subjects.values, policy.row, strict=True):
        place = np.flatnonzero(row == own)
        shape = values[:, place].shape
        if values.ndim == 3:  # only what can be done
            kept = np.broadcast_to(task.playable.numpy()[state[place]], shape)
        else:
            kept = np.ones(shape, dtype=bool)
        where = np.nonzero(kept)
        table = pd.DataFrame({"subject": pd.Series([label], dtype=object).repeat(len(where[0])).to_numpy()})
        if by_time:
            table["time"] = where[0]
        table["state"] = pd.Series(task.states.decode(state[place][where[1]].tolist()))
        if values.ndim == 3:
            table["action"] = pd.Series(task.actions.decode(where[2].tolist()))
        parts.append(table.assign(visits=values[:, place][kept]))
    return pd.concat(parts, ignore_index=True)
