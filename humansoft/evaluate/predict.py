"""predict: the probability of every action, decision by decision."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from humansoft.checking import require_valid
from humansoft.data.log import BehaviorLog
from humansoft.errors import ModelError, UsageError, did_you_mean, shortlist
from humansoft.fit.newcomers import with_newcomers
from humansoft.fit.result import Fit, require_fit
from humansoft.tasks.lookup import action_codes, action_labels
from humansoft.tasks.task import Task
from humansoft.threads import one_thread

OnUnknown = Literal["average", "raise"]


def predict(fit: Fit, log: BehaviorLog, on_unknown: OnUnknown = "average") -> pd.DataFrame:
    """Predict what people do in each recorded state.

    A person the fit does not know is marked, and predicted at one temperature: the mean log temperature of the
    person's group (``PerGroup``) or covariates (a formula, a population), as the log tells them, else the geometric
    mean of those who were fitted. Somebody who is known from other conditions (:func:`humansoft.by_condition`) has in
    a new one its mean, and, where the population has repeated measures, what is known of the own level besides. At one
    temperature, people are predicted as typical ones: :func:`humansoft.cross_validate` with ``method="hierarchical"``
    averages over how they differ.

    Args:
        fit: a fitted model.
        log: decisions of the same task; they need not be the ones fitted.
        on_unknown: "raise" refuses people the fit does not know.

    Returns:
        One row a decision, in the order of the user's table: row, subject, episode, step, state,
        action, then ``p_<action>`` for every action (of a network: the link that each turn enters, ``turn_1``, ...,
        and ``p_turn_1``, ...), ``probability`` and ``log_prob`` of the action
        taken (missing where there was no response), ``num_options`` and ``subject_known``. Of a
        counted log: one row a distinct decision, in episode 1 and at step 0.

    Raises:
        LogError: the log does not belong to the task; unknown people of a group or category that nobody of the fit had.
        ModelError: unknown people and ``on_unknown="raise"``, or people without a reward of their own.

    Warns:
        NewcomerWarning: unknown people, and no column that tells their group or covariates.

    Example:
        >>> import humansoft as hs
        >>> log, task = hs.load_dataset("overcooked_cramped_room")
        >>> fitted = hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), log)
        >>> bool(hs.predict(fitted, log)["p_stay"].between(0, 1).all())
        True
    """
    require_fit(fit, "predict()")
    require_valid(log, fit.model.task)
    logs, known = log_probabilities(fit, log, on_unknown)
    task = fit.model.task
    state = task.states.encode(log.codebook.states.values)[log.state]
    chosen = np.where(log.responded, action_codes(task, log.codebook.actions, state, log.action), 0)
    log_prob = np.where(log.responded, logs[np.arange(len(log)), chosen], np.nan)
    columns = log.columns
    table = pd.DataFrame(
        {
            "row": log.row + 1,
            "subject": log.codebook.subjects.decode(log.subject),
            "episode": log.frame[columns.episode].to_numpy() if columns.episode and not log.counted else 1,
            "step": log.step,
            "state": log.codebook.states.decode(log.state),
            "action": log.codebook.actions.decode(log.action),
            **_turns(task, state, logs),
            **{f"p_{label}": np.exp(logs[:, a]) for a, label in enumerate(task.actions.values)},
            "probability": np.exp(log_prob),
            "log_prob": log_prob,
            "num_options": np.isfinite(logs).sum(axis=1),
            "subject_known": known[log.subject],
        }
    )
    return table.sort_values("row", kind="stable").reset_index(drop=True)


def _turns(task: Task, state: npt.NDArray[np.int64], logs: npt.NDArray[np.float64]) -> "dict[str, pd.Series[Any]]":
    """Return the link that each turn of a network enters; the actions of other tasks have one name everywhere."""
    if task.goals is None:
        return {}
    return {
        str(label): pd.Series(action_labels(task, state, np.where(np.isfinite(logs[:, a]), a, -1)), dtype=object)
        for a, label in enumerate(task.actions.values)
    }


@one_thread()
def log_probabilities(
    fit: Fit, log: BehaviorLog, on_unknown: OnUnknown
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return log pi(.|s) of each decision [N, A], and which subjects of the codebook are known.

    The log must have been checked against the task.
    """
    if on_unknown not in ("average", "raise"):
        raise UsageError(f"on_unknown={on_unknown!r}.{did_you_mean(on_unknown, ['average', 'raise'])}")
    model = fit.model
    _, known = model.rows_of(log)
    strangers = [s for s in log.subjects if s not in model.subjects]
    if strangers and (on_unknown == "raise" or model.rows_are_people):
        why = " and everybody has a reward of their own" if model.rows_are_people else ""
        raise ModelError(f"the fit does not know {len(strangers)} of the subjects{why}: {shortlist(strangers)}")
    model = with_newcomers(fit, log)
    with torch.no_grad():
        logs = model.log_policy_of(model.observe(log, by="decision"), differentiable=False)
    return logs.numpy(), known
