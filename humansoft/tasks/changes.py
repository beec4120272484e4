"""Changed worlds: a corridor that is blocked, a new link; the rest of the task stays as it is.

Networks are changed in ``network_changes.py``.

In a task, features belong to a state and action. Those with the unit "per entry" (a grid's goal and legend)
are met on entering a state, all others by deciding: that is how the features of a changed action are found.
"""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from humansoft.errors import Problems, TaskError, UsageError, did_you_mean
from humansoft.tasks.blocking import closed_ways
from humansoft.tasks.network_changes import HowBlocked, closed_network
from humansoft.tasks.parts import Flags, Index, Real, TaskParts
from humansoft.tasks.task import Task

PER_ENTRY = "per entry"


def block(
    task: Task,
    *,
    states: Sequence[Hashable] = (),
    passages: Sequence[tuple[Hashable, Hashable]] = (),
    actions: Sequence[tuple[Hashable, Hashable]] = (),
    how: HowBlocked | None = None,
) -> Task:
    r"""Return the task with a corridor blocked.

    Args:
        task: the task as it was.
        states: states that nobody can enter any more (a wall where a cell was); on a network, links, on which trips
            may still begin.
        passages: pairs of states between which there is no way any more, in either direction; on a network, pairs
            of links.
        actions: (state, action) pairs that no longer lead anywhere; on a network, turns (link left, link entered).
        how: "stay", the default: whoever tries stays where they are, as before a grid's walls: the decision
            counts, and features "per entry" are not met. "unavailable", the only way on a network: the action
            cannot be chosen there any more; an action that only may go that way is gone as a whole.

    Raises:
        TaskError: unknown labels, a word that blocks nothing, a start in a blocked state, a
            state that is left without actions, a goal of a network that no turn leads into any more, or an uncertain
            action whose features "per entry" cannot be told apart (build the changed task anew, with a wall in its
            maze).
        UsageError: "stay" on a network.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95)
        >>> closed = hs.block(task, passages=[((0, 1), (0, 2))])
        >>> policy = hs.plan(closed, {"step": -1.0}, temperature=0.1)
        >>> policy.action_distribution((0, 1)).idxmax()
        'down'
    """
    if how not in (None, "stay", "unavailable"):
        raise UsageError(f"block(how={how!r}).{did_you_mean(how, ['stay', 'unavailable'])}")
    if task.goals is not None:
        return closed_network(task, states, passages, actions, how)
    parts = task.parts
    closed = closed_ways(
        parts.states, parts.actions, (parts.state, parts.action, parts.next_state), (states, passages, actions)
    )
    with Problems("the blocked task", TaskError) as problems:
        sealed = parts.states.encode(states)
        if parts.initial is not None and parts.initial[sealed].any():
            problems.add("people start in a blocked state: change the start distribution first")
    changed = _without(parts, closed) if how == "unavailable" else _bumping(parts, closed)
    return Task.of_parts(dataclasses.replace(changed, source="the blocked task"), task.discount, task.horizon)


def link(
    task: Task,
    state: Hashable,
    action: Hashable,
    next_state: Hashable,
    features: Mapping[str, float] | None = None,
) -> Task:
    r"""Return the task with a new link: an action that now leads to another state, for sure.

    On a network, :func:`humansoft.add_turns` opens links.

    Args:
        task: the task as it was.
        state: where the link starts.
        action: the action that takes it, available there before or not.
        next_state: where it leads.
        features: values of the features; by default those "per entry" are what entering
            ``next_state`` brings elsewhere, and all others what the action had before.

    Raises:
        TaskError: unknown labels or features, a terminal state, a value that cannot be known, or a network.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.\n#.\nG.", discount=0.95)
        >>> short = hs.link(task, (0, 0), "down", (2, 0))
        >>> hs.plan(short, {"step": -1.0}, temperature=0.1).action_distribution((0, 0)).idxmax()
        'down'
    """
    if task.goals is not None:
        raise TaskError("a new link of a network has turns into it and out of it: add_turns(task, turns)")
    parts, features = task.parts, features or {}
    with Problems("the new link", TaskError) as problems:
        for labels, label in ((parts.states, state), (parts.actions, action), (parts.states, next_state)):
            if label not in labels:
                problems.add(f"unknown {labels.kind} {label!r}.{labels.suggest(label)}")
        for name in features:
            if name not in parts.feature_units:
                problems.add(f"the task has no feature {name!r}.{did_you_mean(name, parts.feature_units)}")
        if state in parts.states and parts.terminal[parts.states.encode([state])[0]]:
            problems.add(f"{state!r} is terminal: nothing is decided there")
    s, n = parts.states.encode([state, next_state]).tolist()
    a = int(parts.actions.encode([action])[0])
    kept = (parts.state != s) | (parts.action != a)
    changed = dataclasses.replace(
        parts,
        state=np.r_[parts.state[kept], s],
        action=np.r_[parts.action[kept], a],
        next_state=np.r_[parts.next_state[kept], n],
        probability=np.r_[parts.probability[kept], 1.0],
        features=_link_features(parts, (s, a, n), features),
        source="the task with a new link",
    )
    return Task.of_parts(changed, task.discount, task.horizon)


def _pair(parts: TaskParts) -> Index:
    return parts.state * len(parts.actions) + parts.action


def _without(parts: TaskParts, closed: Flags) -> TaskParts:
    """Take the actions away that may go a blocked way."""
    kept = ~np.isin(_pair(parts), _pair(parts)[closed])
    return dataclasses.replace(
        parts,
        state=parts.state[kept],
        action=parts.action[kept],
        next_state=parts.next_state[kept],
        probability=parts.probability[kept],
    )


def _bumping(parts: TaskParts, closed: Flags) -> TaskParts:
    """Let blocked moves end where they start."""
    features = parts.features.copy()
    entered = [k for k, unit in enumerate(parts.feature_units.values()) if unit == PER_ENTRY]
    hit = np.flatnonzero(closed)
    for k in entered:
        uncertain = hit[(parts.probability[hit] < 1 - 1e-9) & (features[parts.state[hit], parts.action[hit], k] != 0)]
        if len(uncertain):
            name = list(parts.feature_units)[k]
            where = parts.states.values[parts.state[uncertain[0]]], parts.actions.values[parts.action[uncertain[0]]]
            raise TaskError(
                f"the action {where[1]!r} in state {where[0]!r} goes the blocked way only sometimes, and how much of "
                f"feature {name!r} belongs to it cannot be told: build the changed task anew, with a wall in its maze"
            )
        features[parts.state[hit], parts.action[hit], k] = 0.0
    return dataclasses.replace(parts, next_state=np.where(closed, parts.state, parts.next_state), features=features)


def _link_features(parts: TaskParts, place: tuple[int, int, int], given: Mapping[str, float]) -> Real:
    """Return all features, with those of the new link in their place (state, action, next state)."""
    s, a, n = place
    features = parts.features.copy()
    available = bool(((parts.state == s) & (parts.action == a)).any())
    sure = np.flatnonzero((parts.next_state == n) & (parts.state != n) & (parts.probability > 1 - 1e-9))
    with Problems("the new link", TaskError) as problems:
        for k, (name, unit) in enumerate(parts.feature_units.items()):
            if name in given:
                features[s, a, k] = given[name]
            elif unit == PER_ENTRY:
                values: npt.NDArray[np.float64] = parts.features[parts.state[sure], parts.action[sure], k]
                if not len(values) or np.ptp(values) > 0:
                    problems.add(f"what entering brings of {name!r} cannot be known: features={{{name!r}: ...}}")
                else:
                    features[s, a, k] = values[0]
            elif not available:
                problems.add(f"the action was not there before: say features={{{name!r}: ...}}")
    return features
