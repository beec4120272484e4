"""cross_validate: how well a model predicts people, episodes or later decisions that it was not fitted to."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.checking import require_valid
from humansoft.data.folds import folds_of
from humansoft.data.log import BehaviorLog
from humansoft.data.parts import persons_of
from humansoft.data.splits import SplitBy
from humansoft.errors import UsageError, did_you_mean
from humansoft.evaluate.fitted_decisions import episode_index
from humansoft.evaluate.held_out_people import held_out_log_likelihood
from humansoft.evaluate.predict import log_probabilities
from humansoft.fit.fitting import fit
from humansoft.fit.known_population import measures_like
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel
from humansoft.tasks.lookup import action_codes, playable_in

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
HeldOutMethod = Literal["maximum_likelihood", "hierarchical"]
HELD_OUT_METHODS: tuple[HeldOutMethod, ...] = ("maximum_likelihood", "hierarchical")


def cross_validate(
    model: SoftOptimalModel,
    log: BehaviorLog,
    by: SplitBy = "episode",
    folds: int = 5,
    *,
    method: HeldOutMethod = "maximum_likelihood",
    seed: int | None = None,
) -> pd.DataFrame:
    """Fit a model to all folds but one and predict that one, in turn.

    With method="hierarchical" people come from a population, and what is held out is predicted with their own
    parameters integrated out, all of it together: people held out by their marginal likelihood under the population of
    the others; episodes and later decisions of people who are known by the integral over what their other
    decisions leave open, p(held out | own other decisions, population). So is a formula's temperature, from which
    nobody deviates with method="maximum_likelihood".

    Args:
        model: the hypothesis; it is fitted anew for every fold.
        log: the decisions.
        by: what is held out whole: "subject" (the people held out are predicted at the temperature of their
            group, the average, or through the population), "episode" (within every person; somebody's only episode is
            never held out), or "time" (every episode is cut into folds + 1 blocks, and each but the first predicted
            from those before it).
        folds: number of folds.
        method: how each fold is fitted: "maximum_likelihood" or "hierarchical".
        seed: needed for "subject" and "episode", which are dealt out at random; same seed, same folds.

    Returns:
        One row a fold: num_decisions with more than one option, log_likelihood, nats_per_decision and bits_per_decision
        (mean negative log-likelihood, smaller is better), num_unknown_subjects, converged; and a last row "all".
        One row a held-out (subject, episode) is in ``table.attrs["units"]``; of people held out whole who come from a
        population, one row a person, with episode "all".

    Raises:
        UsageError: a way to hold out, or a method, that does not exist or that the model or task does not allow.
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
    require_held_out_method(method)
    if by == "time" and model.task.horizon is not None:
        raise UsageError(
            "by='time' would take the later decisions of an episode for its first ones, and in a task with a horizon "
            "the time matters: hold out by episode or subject"
        )
    require_valid(log, model.task)
    rows, units = {}, []
    for number, (learned, held_out) in enumerate(folds_of(log, by, folds, seed), 1):
        row, own = _fold(fit(model, log.select(learned), method=method, seed=seed), log, learned, held_out, by)
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


def require_held_out_method(method: str) -> None:
    """Refuse methods of fitting by which nothing is held out.

    Raises:
        UsageError: there is no such method, or it samples.
    """
    if method == "posterior":
        raise UsageError(
            "method='posterior' would sample anew for every fold: fit each model once by it and compare the fits, "
            "compare_models(fits, criteria='loo'), or hold out with method='hierarchical'"
        )
    if method not in HELD_OUT_METHODS:
        raise UsageError(f"there is no method {method!r} here.{did_you_mean(method, HELD_OUT_METHODS)}")


def _fold(
    fitted: Fit, log: BehaviorLog, learned: Mask, held_out: Mask, by: SplitBy
) -> tuple[dict[str, float], pd.DataFrame]:
    """Return the row of a fold, and one row for each unit held out."""
    rest, task = log.select(held_out), fitted.model.task
    state = task.states.encode(rest.codebook.states.values)[rest.state]
    counted = rest.responded & (playable_in(task, state).sum(axis=1) > 1)
    weight = np.where(counted, rest.weight, 0.0)
    if fitted.population is None:
        logs, _ = log_probabilities(fitted, rest, "average")
        action = np.where(counted, action_codes(task, rest.codebook.actions, state, rest.action), 0)
        units = _by_unit(rest, weight, np.where(counted, logs[np.arange(len(logs)), action], 0.0))
    else:
        units = _by_unit(rest, weight, np.zeros_like(weight))
        found = held_out_log_likelihood(fitted, log, learned, held_out, by)
        if by == "subject":
            units = _by_person(units, fitted, rest)
            found = found.reindex(units.index.get_level_values("subject"))
        units["log_likelihood"] = found.to_numpy()
    strangers = sum(person not in fitted.subjects for person in rest.subjects)
    return _summed(float(units["log_likelihood"].sum()), float(weight.sum()), strangers, fitted.converged), units


def _by_person(units: pd.DataFrame, fitted: Fit, log: BehaviorLog) -> pd.DataFrame:
    """Add up each person's episodes, in all conditions where a population knows who is who."""
    assert fitted.population is not None
    who: Any = units.index.get_level_values("subject")
    if measures_like(fitted.population, log, log.subjects) is not None:
        who = who.map(persons_of(log, log.subjects)).rename("subject")
    people = units.groupby(who, sort=False).sum()
    people.index = pd.MultiIndex.from_product([people.index, ["all"]], names=["subject", "episode"])
    return people


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
