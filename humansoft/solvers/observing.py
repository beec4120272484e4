"""From a log to observations: what people did, in the codes of a model."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from humansoft._types import NONE
from humansoft.codebook import Labels
from humansoft.data.log import BehaviorLog
from humansoft.solvers.choosing import Within
from humansoft.solvers.expansion import Observations
from humansoft.tasks.lookup import action_codes, playable_in
from humansoft.tasks.task import Task

Index = npt.NDArray[np.int64]
Unit = Literal["subject", "episode", "decision"]


def observed(
    log: BehaviorLog,
    task: Task,
    subjects: Labels,
    row_of_subject: Index,
    by: Unit,
    sticks_within: Within | None = None,
) -> Observations:
    """Return the responses of a checked log, summed ``by`` unit.

    Missing responses are left out, except by decision, where they keep their place with weight 0.

    Args:
        log: what people did.
        task: what they could do.
        subjects: people of the model.
        row_of_subject: [B] row of the model for each subject of the log's codebook.
        by: the unit that is kept apart.
        sticks_within: keep the action made before apart, too, and how far back that may lie.

    Raises:
        LogError: the action made before, of a counted log.
    """
    timed = task.horizon is not None
    state = task.states.encode(log.codebook.states.values)[log.state]
    action = action_codes(task, log.codebook.actions, state, log.action)
    previous = None if sticks_within is None else previous_actions(log, task, state, action, sticks_within)
    if by == "decision":
        action = np.where(log.responded, action, 0)
        subject, unit, time = log.subject, np.arange(len(log)), log.time
        weight = np.where(log.responded, log.weight, 0.0)
    else:
        counts = log.counts_of(state, action, by, timed, previous)
        state, action, time, weight = counts.state, counts.action, counts.time, counts.weight
        subject, unit, previous = counts.subject, counts.unit, counts.previous
    person = subjects.encode(log.codebook.subjects.values)[subject]
    time = time if timed else np.zeros_like(time)
    return Observations(row_of_subject[subject], state, time, action, weight, person, unit, previous)


def previous_actions(log: BehaviorLog, task: Task, state: Index, action: Index, within: Within) -> Index:
    """Return the action that was made before each decision of a log [N], -1 where there is none that could be repeated.

    It is the last action that the log records before in the same episode, or of the same subject: a missing response
    keeps it. None is there at the first recorded decision, or where that action cannot be chosen now.

    Args:
        log: what people did.
        task: what they could do.
        state: [N] the task's code of each state.
        action: [N] the task's code of each action.
        within: how far back it may lie.

    Raises:
        LogError: a counted log, which has no order.
    """
    log.require_episodes("what was done before a decision is not known; read it without counted=True for Stickiness()")
    last = np.maximum.accumulate(np.where(log.responded, np.arange(len(log)), NONE))
    before = np.r_[NONE, last[:-1]][: len(log)]
    first = log.episode_start if within == "episode" else np.diff(log.subject, prepend=NONE) != 0
    start = np.flatnonzero(first)[np.cumsum(first) - 1]
    previous = np.where(before >= start, action[before], NONE)
    again = playable_in(task, state)[np.arange(len(log)), previous]
    return np.where((previous >= 0) & again, previous, NONE)
