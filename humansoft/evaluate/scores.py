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
from humansoft.fit.result import Fit

Real = npt.NDArray[np.float64]


def score(
    fit: Fit, log: BehaviorLog, baselines: str | Sequence[str] = "all", on_unknown: OnUnknown = "average"
) -> pd.DataFrame:
    """Score a fit's predictions of recorded decisions, the model first, then the baselines.

    Decisions without a response or with a single option do not count. Baselines are learned from
    the fit's training data, never from the log that is scored.

    Args:
        fit: a fitted model.
        log: decisions of the same task, best ones that were held out.
        baselines: "all", "none" or names among "uniform", "marginal", "empirical_policy",
            "multinomial_logit".
        on_unknown: "raise" refuses people the fit does not know.

    Returns:
        One row a predictor, indexed by name: nats_per_decision and bits_per_decision (mean negative
        log-likelihood, smaller is better), accuracy (share of decisions in which the likeliest
        action was taken; ties count by their share), log_likelihood, num_decisions,
        num_unknown_subjects.

    Raises:
        LogError: the log does not belong to the task, or no decision counts.
        UsageError: unknown baseline.

    Example:
        >>> import humansoft as hs
        >>> log, task = hs.load_dataset("overcooked_cramped_room")
        >>> train, held_out = hs.split(log, by="time", fraction=0.2)
        >>> fitted = hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), train)
        >>> table = hs.score(fitted, held_out)
        >>> bool(table.loc["model", "nats_per_decision"] < table.loc["marginal", "nats_per_decision"])
        True
    """
    names = _names(baselines)
    task = fit.model.task
    require_valid(log, task)
    logs, known = log_probabilities(fit, log, on_unknown)
    counted = log.responded & (np.isfinite(logs).sum(axis=1) > 1)
    if not counted.any():
        raise LogError(f"{log.source}: no decision has both a response and more than one option; nothing to score")
    state = task.states.encode(log.codebook.states.values)[log.state][counted]
    action = task.actions.encode(log.codebook.actions.values)[log.action[counted]]
    weight = log.weight[counted]
    strangers = int((~known[np.unique(log.subject)]).sum())
    rows = {"model": _row(logs[counted], action, weight, strangers)}
    counts = np.zeros((len(task.states), len(task.actions)))
    np.add.at(counts, (fit.training.counts["state"], fit.training.counts["action"]), fit.training.counts["weight"])
    for name in names:
        with np.errstate(divide="ignore"):  # an unavailable action has log probability -inf
            table = np.log(BASELINES[name](task, counts)[state])
        rows[name] = _row(table, action, weight, 0)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("predictor")


def _names(baselines: str | Sequence[str]) -> list[str]:
    if baselines == "all":
        return list(BASELINES)
    if baselines == "none":
        return []
    names = [baselines] if isinstance(baselines, str) else list(baselines)
    for name in names:
        if name not in BASELINES:
            raise UsageError(f"there is no baseline {name!r}.{did_you_mean(name, ['all', 'none', *BASELINES])}")
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
