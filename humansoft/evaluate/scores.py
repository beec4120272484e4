"""score: how well a fit predicts a log, beside what simpler predictors reach."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.checking import require_valid
from humansoft.data.log import BehaviorLog
from humansoft.errors import LogError, UsageError, did_you_mean
from humansoft.evaluate.baselines import BASELINES
from humansoft.evaluate.predict import OnUnknown, log_probabilities
from humansoft.fit.result import Fit, require_fit
from humansoft.tasks.lookup import action_codes, playable_in, require_tables
from humansoft.tasks.task import Task

Real = npt.NDArray[np.float64]


def score(
    fit: Fit, log: BehaviorLog, baselines: str | Sequence[str] = "all", on_unknown: OnUnknown = "average"
) -> pd.DataFrame:
    """Score a fit's predictions of recorded decisions, the model first, then the baselines.

    Decisions without a response or with a single option do not count. Baselines are learned from
    the fit's training data, never from the log that is scored.

    People whom the fit does not know are scored at one temperature, the mean of people like them
    (:func:`humansoft.predict`), and each decision by itself. That is not their likelihood under a population, which
    averages over how people differ and learns of a person from one decision to the next: ``adapt(fit,
    log).log_likelihood``, and ``cross_validate(..., by="subject", method="hierarchical")`` for people held out.

    Args:
        fit: a fitted model.
        log: decisions of the same task, best ones that were held out.
        baselines: "all", "none" or names among "uniform", "marginal", "empirical_policy",
            "multinomial_logit" (of a network, where turns differ from link to link: "uniform").
        on_unknown: "raise" refuses people the fit does not know.

    Returns:
        One row a predictor, indexed by name: nats_per_decision and bits_per_decision (mean negative
        log-likelihood, smaller is better), accuracy (share of decisions in which the likeliest
        action was taken; ties count by their share), log_likelihood, num_decisions,
        num_unknown_subjects.

    Raises:
        LogError: the log does not belong to the task, or no decision counts; unknown people of a group or category that
            nobody of the fit had.
        ModelError: unknown people and ``on_unknown="raise"``, or people without a reward of their own.
        UsageError: unknown baseline.

    Warns:
        NewcomerWarning: unknown people, and no column that tells their group or covariates.

    Example:
        >>> import humansoft as hs
        >>> log, task = hs.load_dataset("overcooked_cramped_room")
        >>> train, held_out = hs.split(log, by="time", fraction=0.2)
        >>> fitted = hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), train)
        >>> table = hs.score(fitted, held_out)
        >>> bool(table.loc["model", "nats_per_decision"] < table.loc["marginal", "nats_per_decision"])
        True
    """
    require_fit(fit, "score()")
    task = fit.model.task
    names = _names(baselines, task)
    require_valid(log, task)
    logs, known = log_probabilities(fit, log, on_unknown)
    counted = log.responded & (np.isfinite(logs).sum(axis=1) > 1)
    if not counted.any():
        raise LogError(f"{log.source}: no decision has both a response and more than one option; nothing to score")
    state = task.states.encode(log.codebook.states.values)[log.state][counted]
    action = action_codes(task, log.codebook.actions, state, log.action[counted])
    weight = log.weight[counted]
    strangers = int((~known[np.unique(log.subject)]).sum())
    rows = {"model": _row(logs[counted], action, weight, strangers)}
    with np.errstate(divide="ignore"):  # an unavailable action has log probability -inf
        if task.goals is not None:  # of a network, "uniform" alone
            options = playable_in(task, state)
            tables = {name: np.log(options / options.sum(axis=1, keepdims=True)) for name in names}
        else:
            counts = np.zeros((len(task.states), len(task.actions)))
            seen = fit.training.counts
            np.add.at(counts, (seen["state"], seen["action"]), seen["weight"])
            tables = {name: np.log(BASELINES[name](task, counts)[state]) for name in names}
    rows |= {name: _row(table, action, weight, 0) for name, table in tables.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("predictor")


def _names(baselines: str | Sequence[str], task: Task) -> list[str]:
    if baselines == "all":
        return ["uniform"] if task.goals is not None else list(BASELINES)
    if baselines == "none":
        return []
    names = [baselines] if isinstance(baselines, str) else list(baselines)
    for name in names:
        if name not in BASELINES:
            raise UsageError(f"there is no baseline {name!r}.{did_you_mean(name, ['all', 'none', *BASELINES])}")
        if name != "uniform":
            require_tables(task, f"the baseline {name!r}")
    return names


def _row(logs: Real, action: npt.NDArray[np.int64], weight: Real, strangers: int) -> dict[str, float | int]:
    taken = logs[np.arange(len(action)), action]
    best = logs >= logs.max(axis=1, keepdims=True) - 1e-12
    hit = best[np.arange(len(action)), action] / best.sum(axis=1)
    total = float(weight.sum())
    nats = float(-(weight @ taken) / total)
    return {
        "nats_per_decision": nats,
        "bits_per_decision": nats / np.log(2),
        "accuracy": float(weight @ hit / total),
        "log_likelihood": float(weight @ taken),
        "num_decisions": total,
        "num_unknown_subjects": strangers,
    }
