"""What a task says of states by their codes, whether its tables have a row for each state or goals share them."""

from collections.abc import Hashable

import numpy as np
import numpy.typing as npt

from humansoft._types import NONE
from humansoft.codebook import Labels
from humansoft.errors import ModelError
from humansoft.tasks.goals import Goals
from humansoft.tasks.task import Task

Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Real = npt.NDArray[np.float64]


def network_of(task: Task) -> Goals:
    """Return the goals of a task of which it is known that it is a network."""
    assert task.goals is not None
    return task.goals


def places(task: Task, state: Index) -> Index:
    """Return the row of each state in the task's tables."""
    return state if task.goals is None else task.goals.split(state)[1]


def available_in(task: Task, state: Index) -> Flags:
    """Return which actions may be chosen in each state [N, A]."""
    if task.goals is None:
        return task.available.numpy()[state]
    goal, link = task.goals.split(state)
    entered = task.transitions.successors.numpy()[link, :, 0]
    target = task.goals.target[goal][:, None]
    is_open = ~task.goals.closed[entered] | (entered == target)
    found: Flags = task.available.numpy()[link] & is_open & (link[:, None] != target)
    return found


def playable_in(task: Task, state: Index) -> Flags:
    """Return which actions have a finite value in each state [N, A]."""
    if task.goals is None:
        return task.playable.numpy()[state]
    goal, link = task.goals.split(state)
    entered = task.transitions.successors.numpy()[link, :, 0]
    found: Flags = available_in(task, state) & task.goals.reach[goal[:, None], entered]
    return found


def is_terminal(task: Task, state: Index) -> Flags:
    """Return where the episode has ended [N]."""
    if task.goals is None:
        return task.terminal.numpy()[state]
    goal, link = task.goals.split(state)
    ended: Flags = task.goals.target[goal] == link
    return ended


def possible_starts(task: Task) -> Flags:
    """Return in which of all states something can be done [S]; of a network, for every goal in turn."""
    if task.goals is None:
        return task.playable.any(dim=-1).numpy()
    goals, starts = task.goals, task.goals.reach.copy()
    starts[np.arange(len(goals.target)), goals.target] = False
    return starts.ravel()


def successors_of(task: Task, state: Index, action: Index) -> Index:
    """Return the codes of the states that an action may lead to [N, K]; padding leads to the state itself."""
    place = places(task, state)
    found: Index = task.transitions.successors.numpy()[place, action] + (state - place)[:, None]
    return found


def probabilities_of(task: Task, state: Index, action: Index) -> Real:
    """Return the probabilities of :func:`successors_of` [N, K]."""
    found: Real = task.transitions.probabilities.numpy()[places(task, state), action]
    return found


def action_codes(task: Task, labels: Labels, state: Index, action: Index) -> Index:
    """Return the task's code of actions that were taken.

    Args:
        task: the task.
        labels: the labels that ``action`` counts in.
        state: [N] task's code of the state it was taken in.
        action: [N] code of the action in ``labels``, -1 for none.
    """
    if task.goals is None:
        code: Index = np.r_[task.actions.encode(labels.values), NONE][action]
        return code
    entered = np.r_[task.goals.links.encode(labels.values), NONE][action]
    return np.where(state >= 0, task.goals.turn(places(task, state), entered), NONE)


def action_labels(task: Task, state: Index, action: Index) -> list[Hashable]:
    """Return the label of each action taken, ``None`` for -1."""
    if task.goals is None:
        return task.actions.decode(action)
    entered = task.transitions.successors.numpy()[places(task, state), action, 0]
    return task.goals.links.decode(np.where(action >= 0, entered, NONE))


def require_tables(task: Task, what: str) -> None:
    """Refuse what needs a table with a row for each state.

    Raises:
        ModelError: the task is a network, whose states are never spelled out.
    """
    if task.goals is not None:
        raise ModelError(f"{what} is not offered for networks, which have {len(task.states):,} states (goal, link)")
