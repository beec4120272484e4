"""cross_validate: how well a model predicts people, episodes or later decisions that it was not fitted to."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.checking import require_valid
from humansoft.data.folds import folds_of
from humansoft.data.log import BehaviorLog
from humansoft.data.splits import SplitBy
from humansoft.errors import UsageError
from humansoft.evaluate.fitted_decisions import episode_index
from humansoft.evaluate.predict import log_probabilities
from humansoft.fit.fitting import fit
from humansoft.model import SoftOptimalModel
from humansoft.tasks.lookup import action_codes

Real = npt.NDArray[np.float64]


def cross_validate(
    model: SoftOptimalModel,
    log: BehaviorLog,
    by: SplitBy = "episode",
    folds: int = 5,
    *,
    seed: int | None = None,
) -> pd.DataFrame:
    """Fit a model to all folds but one and predict that one, in turn.

    Args:
        model: the hypothesis; it is fitted anew for every fold.
        log: the decisions.
        by: what is held out whole: "subject" (the people held out are predicted at the average temperature), "episode"
            (within every person; somebody's only episode is never held out), or "time" (every episode
            is cut into folds + 1 blocks, and each but the first predicted from those before it).
        folds: number of folds.
        seed: needed for "subject" and "episode", which are dealt out at random; same seed, same folds.

    Returns:
        One row a fold: num_decisions with more than one option, log_likelihood, nats_per_decision and bits_per_decision
        (mean negative log-likelihood, smaller is better), num_unknown_subjects, converged; and a last row "all".
        One row a held-out (subject, episode) is in ``table.attrs["units"]``.

    Raises:
        UsageError: a way to hold out that does not exist or that the model or task does not allow.
        LogError: the log does not belong to the task, or has too few people or episodes.
        IdentificationError: what is left of the data cannot tell the parameters apart.

    Example:
        >>> import humansoft as hs
        >>> log, task = hs.load_dataset("overcooked_cramped_room")
        >>> model = hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0))
        >>> table = hs.cross_validate(model, log, by="time", folds=2)
        >>> table.index.tolist()
        [1, 2, 'all']
    """
    if by == "time" and model.task.horizon is not None:
        raise UsageError(
            "by='time' would take the later decisions of an episode for its first ones, and in a task with a horizon "
            "the time matters: hold out by episode or subject"
        )
    require_valid(log, model.task)
    rows, units = {}, []
    for number, (learned, held_out) in enumerate(folds_of(log, by, folds, seed), 1):
        row, own = _fold(model, log.select(learned), log.select(held_out), seed)
        rows[number] = row
        units.append(own.assign(fold=number))
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("fold")
    everything = _summed(
        table["log_likelihood"].sum(),
        table["num_decisions"].sum(),
        int(table["num_unknown_subjects"].sum()),
        bool(table["converged"].all()),
    )
    table = pd.concat([table, pd.DataFrame([everything], index=["all"])]).rename_axis("fold")
    table.attrs["units"] = pd.concat(units)
    return table


def _fold(
    model: SoftOptimalModel, train: BehaviorLog, held_out: BehaviorLog, seed: int | None
) -> tuple[dict[str, float], pd.DataFrame]:
    fitted = fit(model, train, seed=seed)
    logs, known = log_probabilities(fitted, held_out, "average")
    task = fitted.model.task
    counted = held_out.responded & (np.isfinite(logs).sum(axis=1) > 1)
    state = task.states.encode(held_out.codebook.states.values)[held_out.state]
    action = np.where(counted, action_codes(task, held_out.codebook.actions, state, held_out.action), 0)
    weight = np.where(counted, held_out.weight, 0.0)
    taken = np.where(counted, logs[np.arange(len(logs)), action], 0.0)
    strangers = int((~known[np.unique(held_out.subject)]).sum())
    row = _summed(float(weight @ taken), float(weight.sum()), strangers, fitted.converged)
    return row, _by_unit(held_out, weight, taken)


def _summed(log_likelihood: float, decisions: float, strangers: int, converged: bool) -> dict[str, float]:
    nats = -log_likelihood / decisions if decisions else np.nan
    return {
        "num_decisions": decisions,
        "log_likelihood": log_likelihood,
        "nats_per_decision": nats,
        "bits_per_decision": nats / np.log(2),
        "num_unknown_subjects": strangers,
        "converged": converged,
    }


def _by_unit(log: BehaviorLog, weight: Real, taken: Real) -> pd.DataFrame:
    """Add up each episode (of a counted log: each person)."""
    values, place = np.unique(log.episode, return_inverse=True)
    if log.counted:
        subjects = log.codebook.subjects.decode(values)
        index = pd.MultiIndex.from_arrays([subjects, [1] * len(values)], names=["subject", "episode"])
    else:
        index = episode_index(log, values)
    sums = {"num_decisions": np.bincount(place, weight), "log_likelihood": np.bincount(place, weight * taken)}
    return pd.DataFrame(sums, index=index)
