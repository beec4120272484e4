"""From a log to observations: what people did, in the codes of a model."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from humansoft.codebook import Labels
from humansoft.data.log import BehaviorLog
from humansoft.solvers.expansion import Observations
from humansoft.tasks.lookup import action_codes
from humansoft.tasks.task import Task

Index = npt.NDArray[np.int64]
Unit = Literal["subject", "episode", "decision"]


def observed(log: BehaviorLog, task: Task, subjects: Labels, row_of_subject: Index, by: Unit) -> Observations:
    """Return the responses of a checked log, summed ``by`` unit.

    Missing responses are left out, except by decision, where they keep their place with weight 0.

    Args:
        log: what people did.
        task: what they could do.
        subjects: people of the model.
        row_of_subject: [B] row of the model for each subject of the log's codebook.
        by: the unit that is kept apart.
    """
    timed = task.horizon is not None
    state = task.states.encode(log.codebook.states.values)[log.state]
    action = action_codes(task, log.codebook.actions, state, log.action)
    if by == "decision":
        action = np.where(log.responded, action, 0)
        subject, unit, time = log.subject, np.arange(len(log)), log.time
        weight = np.where(log.responded, log.weight, 0.0)
    else:
        counts = log.counts_of(state, action, by=by, timed=timed)
        state, action, time, weight = counts.state, counts.action, counts.time, counts.weight
        subject, unit = counts.subject, counts.unit
    person = subjects.encode(log.codebook.subjects.values)[subject]
    time = time if timed else np.zeros_like(time)
    return Observations(row_of_subject[subject], state, time, action, weight, person, unit)
