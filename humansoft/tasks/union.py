"""The disjoint union: mazes, layouts or goals that share actions and features become one task."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from humansoft.codebook import Labels
from humansoft.errors import Problems, TaskError, shortlist
from humansoft.tasks.parts import TaskParts


def union_parts(tasks: Mapping[Any, TaskParts]) -> TaskParts:
    """Join named contexts; see :meth:`Task.union` for the rules."""
    _check(tasks)
    members = list(tasks.values())
    sizes = [len(t.states) for t in members]
    shift = np.repeat(np.cumsum([0, *sizes[:-1]]), [len(t.state) for t in members])
    starts = [t.initial for t in members if t.initial is not None]
    return TaskParts(
        states=Labels("state", tuple((name, s) for name, t in tasks.items() for s in t.states.values)),
        actions=members[0].actions,
        state=np.concatenate([t.state for t in members]) + shift,
        action=np.concatenate([t.action for t in members]),
        next_state=np.concatenate([t.next_state for t in members]) + shift,
        probability=np.concatenate([t.probability for t in members]),
        features=np.concatenate([t.features for t in members]),
        terminal=np.concatenate([t.terminal for t in members]),
        feature_units=members[0].feature_units,
        initial=np.concatenate(starts) / len(members) if len(starts) == len(members) else None,
        exact=all(t.exact for t in members),
        contextual=True,
        source="the union of tasks",
    )


def _check(tasks: Mapping[Any, TaskParts]) -> None:
    with Problems("the union of tasks", TaskError) as problems:
        if not tasks:
            problems.add("there are no tasks to join")
        for name, task in tasks.items():
            if task.contextual:
                problems.add(f"task {name!r} has contexts of its own; join all of them in one union")
            first_name, first = next(iter(tasks.items()))
            # As lists: the same features in another order are other columns.
            for what, own, theirs in (
                ("actions", list(task.actions.values), list(first.actions.values)),
                ("features", list(task.feature_units), list(first.feature_units)),
                ("units", list(task.feature_units.values()), list(first.feature_units.values())),
            ):
                if own != theirs:
                    problems.add(
                        f"context {name!r} has {what} {shortlist(own)}; context {first_name!r} has "
                        f"{shortlist(theirs)}; they must be the same, in the same order"
                    )
