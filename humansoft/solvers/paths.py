"""Whole paths: how probable one is, and which are the most probable.

A path is a tuple of labels (state, action, state, action, ..., state): p(path) is the product of
pi(a|s) and, if they count, P(s'|s, a). On a network, a path is a route: the links of a trip, each entered from the one
before it.
"""

import dataclasses
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from jaxtyping import Float

from humansoft._types import NONE
from humansoft.errors import ModelError, Problems, SolveError, UsageError, refuse_text
from humansoft.solvers.asked_trips import goal_problem, no_way
from humansoft.solvers.chain import person_of
from humansoft.solvers.path_search import PathSearch
from humansoft.solvers.policy import HasPolicy, Policy, policy_of
from humansoft.solvers.trips import restricted, subjects_of, task_of, toward
from humansoft.tasks.lookup import network_of
from humansoft.tasks.task import Task

Array = npt.NDArray[np.float64]


def path_log_prob(
    policy: Policy | HasPolicy,
    path: Sequence[Hashable],
    subject: Hashable = None,
    *,
    goal: Hashable = None,
    transitions: bool = True,
) -> float:
    r"""Return the log probability that an episode begins with a path, given where it starts.

    Args:
        policy: what people do: a policy of a task, or a fit.
        path: labels (state, action, state, ..., state); the last state may be left out. On a network: the links of a
            route.
        subject: person, needed when there are several.
        goal: on a network, where the trip goes; the last link of the route by default.
        transitions: true counts what people do and where it leads them; false only what they do.

    Returns:
        The log probability, minus infinity for what cannot happen.

    Raises:
        ModelError: unknown labels or person, a route to no goal, or more decisions than the horizon allows; all at
            once.
        UsageError: a path that is text; a goal, where the task is no network.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95)
        >>> policy = hs.plan(task, {"step": -1.0}, temperature=1.0)
        >>> straight = ((0, 0), "right", (0, 1), "right", (0, 2))
        >>> round(hs.path_log_prob(policy, straight), 3)
        -0.479
        >>> turns = [("home", "main", 2.0), ("home", "park", 3.0), ("main", "work", 0.0), ("park", "work", 0.0)]
        >>> town = hs.Task.network(pd.DataFrame(turns, columns=["from", "to", "minutes"]), features=["minutes"])
        >>> people = hs.plan(town, {"minutes": -1.0}, planner="entropy")
        >>> round(hs.path_log_prob(people, ("home", "main", "work")), 3)
        -0.313
    """
    task, subjects = task_of(policy, "path_log_prob()"), subjects_of(policy, "path_log_prob()")
    refuse_text("path", path, UsageError)
    if task.goals is not None:
        return _route_log_prob(policy, task, path, subject, goal)
    _refuse_goal(goal, "path_log_prob")
    states, actions = list(path[::2]), list(path[1::2])
    with Problems("the path", ModelError) as problems:
        person = person_of(subjects, subject, problems)
        for labels, given, first in ((task.states, states, 0), (task.actions, actions, 1)):
            for place, label in enumerate(given):
                if label not in labels:
                    problems.add(
                        f"unknown {labels.kind} {label!r} at place {2 * place + first}.{labels.suggest(label)}"
                    )
        if task.horizon is not None and len(actions) > task.horizon:
            problems.add(f"it has {len(actions)} decisions, but the task's horizon is {task.horizon}")
    if not actions:
        return 0.0
    policy = policy_of(policy, "path_log_prob()")
    state, action = task.states.encode(states), task.actions.encode(actions)
    before = np.r_[NONE, action[:-1]]
    logs = policy.log_prob(np.full(len(action), person), state[: len(action)], np.arange(len(action)), before)
    total = float(logs[np.arange(len(action)), action].sum())
    if transitions:
        steps = min(len(action), len(state) - 1)
        share = transition_probability(policy, state[:steps], action[:steps], state[1 : steps + 1])
        with np.errstate(divide="ignore"):
            total += float(np.log(share).sum())
    return total


def _route_log_prob(
    people: Policy | HasPolicy, task: Task, path: Sequence[Hashable], subject: Hashable, goal: Hashable
) -> float:
    """Return the log probability of the turns of a route through a network; where they lead is certain."""
    network = network_of(task)
    links, label = network.links, goal if goal is not None else next(iter(path[-1:]), None)
    with Problems("the route", ModelError) as problems:
        person = person_of(subjects_of(people, "path_log_prob()"), subject, problems)
        for place, entered in enumerate(path):
            if entered not in links:
                problems.add(f"unknown link {entered!r} at place {place}.{links.suggest(entered)}")
        if goal is not None and goal not in task.contexts:
            problems.add(goal_problem(task, goal))
        elif label in links and label not in task.contexts:
            problems.add(f"it ends on {label!r}, which is no goal: say where the trip goes, goal=...")
    asked = task.contexts.encode([label])
    policy = toward(people, asked, "path_log_prob()")
    link = links.encode(path)
    turn = network.turn(link[:-1], link[1:])
    logs = policy.log_prob(np.full(len(turn), person), asked[0] * len(links) + link[:-1])
    return float(np.where(turn < 0, -np.inf, logs[np.arange(len(turn)), turn]).sum())


def _refuse_goal(goal: Hashable, verb: str) -> None:
    """Refuse a goal where states say everything.

    Raises:
        UsageError: there is one.
    """
    if goal is not None:
        raise UsageError(f"{verb}(goal={goal!r}) is for networks; in other tasks states say all that is to be known")


def transition_probability(
    policy: Policy, state: npt.NDArray[np.int64], action: npt.NDArray[np.int64], following: npt.NDArray[np.int64]
) -> Float[Array, " N"]:
    """Return P(s'|s, a) of codes [N]."""
    transitions = policy.task.transitions
    successors = transitions.successors.numpy()[state, action]
    share: Array = np.where(
        successors == following[:, None], transitions.probabilities.numpy()[state, action], 0.0
    ).sum(axis=1)
    return share


def likely_paths(
    policy: Policy | HasPolicy,
    start: Hashable,
    subject: Hashable = None,
    *,
    goal: Hashable = None,
    most: int = 10,
    max_steps: int | None = None,
) -> pd.DataFrame:
    r"""Return the most probable paths from a state to an end, most probable first.

    The search is exact: what is best about the rest of a path (the most probable way to an end from
    each state) is known beforehand, so that paths come out in their order.

    Args:
        policy: what people do: a policy of a task, or a fit.
        start: label of the state to start in; on a network the link to start on.
        subject: person, needed when there are several.
        goal: on a network, where the trip goes.
        most: how many paths.
        max_steps: cut paths off after so many decisions (they then count as they are, ``ended`` false);
            by default the horizon, or where there is none, only paths that end.

    Returns:
        One row a path: ``probability``, ``cumulative`` (of this and all rows above), ``num_decisions``,
        ``ended`` and ``path``, the labels (state, action, ..., state), or the links of a route, as
        :func:`path_log_prob` takes them.

    Raises:
        ModelError: unknown state, link, goal or person.
        UsageError: ``most`` or ``max_steps`` below 1; a goal, where the task is no network.
        SolveError: no end can be reached from there, and neither a horizon nor ``max_steps`` cuts paths off; on a
            network, no way leads to the goal.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95)
        >>> paths = hs.likely_paths(hs.plan(task, {"step": -1.0}, temperature=0.2), (0, 0), most=2)
        >>> paths["path"].iloc[0]
        ((0, 0), 'right', (0, 1), 'right', (0, 2))
        >>> turns = [("home", "main", 2.0), ("home", "park", 3.0), ("main", "work", 0.0), ("park", "work", 0.0)]
        >>> town = hs.Task.network(pd.DataFrame(turns, columns=["from", "to", "minutes"]), features=["minutes"])
        >>> people = hs.plan(town, {"minutes": -1.0}, planner="entropy")
        >>> hs.likely_paths(people, "home", goal="work")["path"].tolist()
        [('home', 'main', 'work'), ('home', 'park', 'work')]
    """
    if most < 1 or (max_steps is not None and max_steps < 1):
        raise UsageError(f"likely_paths(most={most}, max_steps={max_steps}): both must be at least 1")
    task = task_of(policy, "likely_paths()")
    if task.goals is not None:
        policy, state = _trip(policy, task, start, subject, goal)
        person = 0
    else:
        _refuse_goal(goal, "likely_paths")
        with Problems("likely_paths", ModelError) as problems:
            person = person_of(subjects_of(policy, "likely_paths()"), subject, problems)
            if start not in task.states:
                problems.add(f"unknown state {start!r}.{task.states.suggest(start)}")
        policy = policy_of(policy, "likely_paths()")
        policy.require_memoryless("likely_paths()")
        state = task.states.encode([start])
    limits = [limit for limit in (task.horizon, max_steps) if limit is not None]
    search = PathSearch(policy, min(limits) if limits else None)
    place = int(policy.expansion.place(task, policy.row[[person]], state)[0])
    rows: list[tuple[float, float, int, bool, tuple[Hashable, ...]]] = []
    for log_prob, steps, over, path in search.paths(place):
        probability = float(np.exp(log_prob))
        rows.append((probability, probability + (rows[-1][1] if rows else 0.0), steps, over, path))
        if len(rows) == most:
            break
    return pd.DataFrame(rows, columns=["probability", "cumulative", "num_decisions", "ended", "path"])


def _trip(
    people: Policy | HasPolicy, task: Task, start: Hashable, subject: Hashable, goal: Hashable
) -> tuple[Policy, npt.NDArray[np.int64]]:
    """Return what one person does on trips to a goal, and the code [1] of the state that the trip begins in."""
    network = network_of(task)
    with Problems("the trip", ModelError) as problems:
        person = person_of(subjects_of(people, "likely_paths()"), subject, problems)
        if goal is None:
            problems.add("say where it goes, goal=...")
        elif goal not in task.contexts:
            problems.add(goal_problem(task, goal))
        if start not in network.links:
            problems.add(f"unknown link {start!r}.{network.links.suggest(start)}")
    code, state = task.contexts.encode([goal]), task.states.encode([(goal, start)])
    link = network.links.encode([start])
    if not network.reach[code[0], link[0]]:
        raise SolveError(no_way(network, int(code[0]), int(link[0])))
    policy = toward(people, code, "likely_paths()")
    row = policy.row[[person]]
    return dataclasses.replace(restricted(policy, row, code), row=row), state
