"""Gymnasium's tabular environments: the transition table ``env.unwrapped.P`` becomes a task."""

from typing import Any

import numpy as np

from humansoft.codebook import Labels
from humansoft.errors import Problems, TaskError, did_you_mean, shortlist
from humansoft.tasks.parts import Flags, Index, Real, TaskParts


def gymnasium_parts(env: Any, options: dict[str, Any]) -> TaskParts:  # noqa: ANN401 - any environment
    """Turn an environment or its id into a task; see :meth:`Task.from_gymnasium` for the rules."""
    if isinstance(env, str):
        env = make_environment(env, options)
    elif options:
        raise TaskError(f"options {sorted(options)} are for environment ids; this environment is already made")
    base = env.unwrapped
    table = getattr(base, "P", None)
    if table is None:
        name = base.spec.id if base.spec else type(base).__name__
        raise TaskError(
            f"{name} has no transition table (env.unwrapped.P): only tabular environments such as "
            "FrozenLake-v1, CliffWalking-v1 and Taxi-v4 can be read; describe it with Task.table or "
            "estimate it with Task.from_counts"
        )
    return _parts(table, base)


def make_environment(name: str, options: dict[str, Any], copies: int | None = None) -> Any:  # noqa: ANN401
    """Make an environment, or a vector of copies of it.

    Raises:
        TaskError: there is no such environment, or it does not take these options.
    """
    import gymnasium

    try:
        return gymnasium.make(name, **options) if copies is None else gymnasium.make_vec(name, copies, **options)
    except TypeError as error:
        raise TaskError(f"{name} does not have the options {sorted(options)}: {error}") from error
    except gymnasium.error.Error as error:
        # Where it is registered, something that it needs is missing.
        hint = "" if name in gymnasium.registry else did_you_mean(name, gymnasium.registry)
        raise TaskError(f"Gymnasium cannot make {name!r}: {str(error).rstrip('.')}.{hint}") from error


def _parts(table: dict[int, Any], base: Any) -> TaskParts:  # noqa: ANN401
    states, actions = numbers(base.observation_space), numbers(base.action_space)
    size, num_actions = len(states), len(actions)
    rows = np.array([(s, a, *entry) for s in table for a in table[s] for entry in table[s][a]], dtype=np.float64)
    given = getattr(base, "initial_state_distrib", None)
    _refuse_other_numbers(rows, given, states, actions)
    state, action, following = (rows[:, i].astype(np.int64) for i in (0, 1, 3))
    state, action, following = state - states.start, action - actions.start, following - states.start
    done = rows[:, 5] > 0
    initial = np.full(size, 1 / size) if given is None else np.asarray(given, dtype=float)
    starts = np.zeros(0, dtype=np.int64) if given is None else np.flatnonzero(initial)  # unless all are only possible
    twins = _both_ways(state, following, done, initial > 0, starts)
    twin_of = np.arange(size)
    twin_of[twins] = size + np.arange(len(twins))
    target = np.where(done, twin_of[following], following)
    terminal = np.zeros(size + len(twins), dtype=bool)
    terminal[target[done]] = True
    kept = ~terminal[state]  # what the table says about an ended episode is replaced by "ended"
    features = np.zeros((len(terminal), num_actions, 1))
    np.add.at(features[:, :, 0], (state[kept], action[kept]), (rows[:, 2] * rows[:, 4])[kept])
    return TaskParts(
        states=Labels("state", (*states, *(f"end of {states[s]}" for s in twins))),
        actions=Labels("action", tuple(actions)),
        state=state[kept],
        action=action[kept],
        next_state=target[kept],
        probability=rows[kept, 2],
        features=features,
        feature_units={"reward": "reward points"},
        terminal=terminal,
        initial=None if given is None else np.r_[initial, np.zeros(len(twins))],
        source="the environment",
    )


def numbers(space: Any) -> range:  # noqa: ANN401 - a Discrete of Gymnasium
    """Return the numbers of a finite space, which need not begin at 0."""
    return range(int(space.start), int(space.start) + int(space.n))


def _refuse_other_numbers(rows: Real, given: Any, states: range, actions: range) -> None:  # noqa: ANN401
    """Refuse a table [E, 6] or a start distribution that is not about the states and actions of the spaces."""
    columns = ((rows[:, 0], "states", states), (rows[:, 3], "next states", states), (rows[:, 1], "actions", actions))
    with Problems("the transition table (env.unwrapped.P)", TaskError) as problems:
        for column, what, known in columns:
            outside = np.unique(column[(column < known.start) | (column >= known.stop)])
            if len(outside):
                problems.add(
                    f"its {what} {shortlist(outside.astype(int).tolist())} are none of the environment's, which are "
                    f"numbered from {known[0]} to {known[-1]}"
                )
        if given is not None and np.shape(given) != (len(states),):
            problems.add(f"initial_state_distrib has the shape {list(np.shape(given))}, not [{len(states)}]")


def _both_ways(state: Index, following: Index, done: Flags, reached: Flags, starts: Index) -> Index:
    """Return the states that a running episode begins in, or enters without ``done``, and also enters with it.

    Such a state is an ordinary one and an end at once; the end becomes a state of its own.
    Only states that a running episode can be in (at first those that are ``reached`` before any decision) are asked:
    the tables also describe what would happen after the end (Taxi, CliffWalking).
    """
    reached = reached.copy()
    while True:
        entered = np.unique(following[~done & reached[state]])
        if reached[entered].all():
            return np.intersect1d(following[done & reached[state]], np.union1d(entered, starts))
        reached[entered] = True
