"""How probable it is that a policy arrives, and what the way there takes, by linear solves.

With P the transition matrix of a policy and h(s) the probability of ever reaching a goal from s, h = P h with h = 1 at
the goal; the expected number of decisions on the ways that lead there is g = P g + h, given that they do: g / h. Sums
of features on these ways follow with what a decision brings times the probability of arriving after it in place of h.
"""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from jaxtyping import Float

from humansoft.errors import ModelError, Problems, UsageError, did_you_mean, refuse_text
from humansoft.solvers.asked_trips import listed
from humansoft.solvers.chain import (
    can_reach,
    ended,
    probabilities_of,
    require_accurate,
    solve_chain,
    transition_matrix,
)
from humansoft.solvers.policy import HasPolicy, Policy, policy_of
from humansoft.solvers.state_tables import table_of
from humansoft.solvers.trip_tables import trip_steps
from humansoft.solvers.trips import task_of
from humansoft.tasks.task import Task
from humansoft.threads import one_thread

Array = npt.NDArray[np.float64]


@one_thread()
def expected_steps(
    policy: Policy | HasPolicy, goal: Hashable | Iterable[Hashable] = None, *, features: Sequence[str] = ()
) -> pd.DataFrame:
    r"""Return how probable it is to get to an end from each state, and how long it takes.

    Nothing is discounted: these are real probabilities and numbers of decisions.

    Args:
        policy: what people do: a policy of a task, or a fit.
        goal: label of a state, or several labels in a list (or set, array, series), that count as arriving; all
            terminal states by default. On a network, where trips go: a goal, or several.
        features: names of features whose sums along the way are wanted, too, for example a time.

    Returns:
        One row a subject and state: ``probability`` of ever arriving (within the horizon, where there is one,
        from the first decision), and ``steps``, the expected number of decisions on the ways that arrive
        (NaN where none does). Where ``probability`` is 1 that is the expected time to the goal. Of each feature,
        ``total_NAME``: the expected sum over these decisions. On a network, one row a subject, goal and link:
        ``steps`` is the number of links still to enter. Where no way leads to the goal (as from other goals that no
        turn leaves), ``probability`` is 0 and all sums are NaN.

    Raises:
        ModelError: unknown goal or feature; a task without terminal states, or a network, and no goal given.
        UsageError: features that are one text.
        SolveError: it takes so long that rounding spoils the answer.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95)
        >>> steps = hs.expected_steps(hs.plan(task, {"step": -1.0}, temperature=0.01)).set_index("state")
        >>> round(steps.loc[[(0, 0)], "steps"].item(), 3)
        2.0
        >>> turns = [("home", "main", 2.0), ("home", "park", 3.0), ("main", "work", 0.0), ("park", "work", 0.0)]
        >>> town = hs.Task.network(pd.DataFrame(turns, columns=["from", "to", "minutes"]), features=["minutes"])
        >>> people = hs.plan(town, {"minutes": -1.0}, planner="entropy")
        >>> times = hs.expected_steps(people, "work", features=["minutes"]).set_index("link")
        >>> times.loc["home", ["steps", "total_minutes"]].round(2).tolist()
        [2.0, 2.27]
    """
    task = task_of(policy, "expected_steps()")
    refuse_text("features", features, UsageError)
    _check_features(task, features)
    if task.goals is not None:
        return trip_steps(policy, task, goal, features)
    policy = policy_of(policy, "expected_steps()")
    arrived = _goal(policy, goal)
    chosen = np.where(arrived[:, None], 0.0, probabilities_of(policy))  # at a goal the way is over
    gains = _gains(policy, features)
    if task.horizon is None:
        probability, totals = _until(policy, arrived, chosen, gains)
    else:
        probability, totals = arrived.astype(float), np.zeros((len(arrived), gains.shape[-1]))
        for decided in chosen[::-1]:
            totals = _expected(policy, decided, totals) + _gained(policy, decided, gains, probability)
            probability = np.where(arrived, 1.0, _expected(policy, decided, probability))
    with np.errstate(invalid="ignore"):
        sums = np.where(probability[:, None] > 0, totals / probability[:, None], np.nan)
    table = table_of(policy, np.minimum(probability, 1.0)[None], by_time=False).rename(
        columns={"visits": "probability"}
    )
    for column, values in zip(["steps", *(f"total_{name}" for name in features)], sums.T, strict=True):
        table[column] = table_of(policy, values[None], by_time=False)["visits"]
    return table


def _gains(policy: Policy, features: Sequence[str]) -> Float[Array, "M A C"]:
    """Return what each decision counts for: 1, and its features."""
    task = policy.task
    places = [task.feature_names.index(name) for name in features]
    values = task.features.numpy()[policy.expansion.state.numpy()][..., places]
    return np.concatenate([np.ones((*values.shape[:2], 1)), values], axis=2)


def _expected(policy: Policy, chosen: Float[Array, "M A"], value: Float[Array, "M *C"]) -> Float[Array, "M *C"]:
    """Return P_pi value."""
    found: Array = transition_matrix(policy.expansion.problem, chosen) @ value
    return found


def _gained(
    policy: Policy, chosen: Float[Array, "M A"], gains: Float[Array, "M A C"], arriving: Float[Array, " M"]
) -> Float[Array, "M C"]:
    """Return what the next decision is expected to bring [M, C], where it leads to an arrival."""
    following = policy.expansion.problem.expected_next(torch.from_numpy(arriving)).numpy()
    found: Array = np.einsum("ma,mac->mc", chosen * following, gains)
    return found


def _until(
    policy: Policy, arrived: npt.NDArray[np.bool_], chosen: Float[Array, "M A"], gains: Float[Array, "M A C"]
) -> tuple[Float[Array, " M"], Float[Array, "M C"]]:
    """Return the probability of ever arriving, and what is expected to be gained on the ways that do."""
    problem = policy.expansion.problem
    matrix = transition_matrix(problem, chosen)
    reaching = can_reach(matrix, arrived)
    chosen = np.where(reaching[:, None], chosen, 0.0)  # from elsewhere nobody comes back: the system stays regular
    probability = solve_chain(problem, chosen, arrived.astype(float), 1.0)
    sure = reaching & ~can_reach(matrix, ~reaching)
    require_accurate(np.abs(probability[sure] - 1.0).max(initial=0.0))
    probability = np.where(sure, 1.0, probability)
    return probability, solve_chain(problem, chosen, _gained(policy, chosen, gains, probability), 1.0)


def _goal(policy: Policy, goal: Hashable | Iterable[Hashable]) -> npt.NDArray[np.bool_]:
    """[M] true where the way is over."""
    states = policy.task.states
    if goal is None:
        if not bool(policy.task.terminal.any()):
            raise ModelError("the task has no terminal states: say which states count as arriving, goal=...")
        return ended(policy)
    labels = listed(goal)
    with Problems("expected_steps(goal=...)", ModelError) as problems:
        for label in labels:
            if label not in states:
                problems.add(f"unknown state {label!r}.{states.suggest(label)}")
    return np.isin(policy.expansion.state.numpy(), states.encode(labels))


def _check_features(task: Task, features: Sequence[str]) -> None:
    """Refuse features that a task does not have.

    Raises:
        ModelError: all of them at once.
    """
    with Problems("expected_steps(features=...)", ModelError) as problems:
        for name in features:
            if name not in task.feature_units:
                problems.add(f"the task has no feature {name!r}.{did_you_mean(name, task.feature_names)}")
