"""From an optimum to a Fit: standard errors, status, notes, and what is kept of the log."""

import platform
from dataclasses import replace
from functools import cache
from importlib import import_module

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.special import expit

from humansoft.data.counts import tally
from humansoft.data.log import BehaviorLog
from humansoft.data.parts import persons_of
from humansoft.fit.boundary import Boundary
from humansoft.fit.farming import farming_note
from humansoft.fit.identification import Identification
from humansoft.fit.interpolated_likelihood import TOLERANCE, InterpolatedLikelihood
from humansoft.fit.intervals import Clusters
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.objective import Objective
from humansoft.fit.result import Fit, FitStatus, TrainingData
from humansoft.fit.uncertainty import Covariances, covariances
from humansoft.model import SoftOptimalModel
from humansoft.parameters import Parameters
from humansoft.tasks.lookup import playable_in
from humansoft.temperature import PerGroup, PerSubject

Real = npt.NDArray[np.float64]

_GRADIENT = 1e-6


def assemble(
    likelihood: AbstractLikelihood,
    full: Real,
    boundary: Boundary,
    report: Identification,
    log: BehaviorLog,
    history: list[float],
    seed: int | None,
) -> Fit:
    """Turn an optimum into a :class:`Fit`: errors, status, notes, and what is kept of the log."""
    bound, table = likelihood.model, likelihood.model.table
    clusters = Clusters.of(likelihood, log)
    errors = covariances(likelihood, full, log, clusters, report.identified)
    value = likelihood.value(torch.from_numpy(full))
    status = _status(likelihood, full, boundary, report)
    params = _params(table, full, boundary, errors, clusters.reach(errors.kinds))
    notes = [
        *_boundary_notes(params, boundary, bound),
        *report.notes,
        *_repeated_notes(bound, log),
        *_interpolation_note(likelihood, full),
        farming_note(likelihood, full, boundary),
        clusters.explained(table, params["std_error_kind"].tolist(), log.counted),
    ]
    return Fit(
        model=bound.at(torch.from_numpy(full)),
        params=params,
        covariances=errors,
        log_likelihood=value,
        num_decisions=num_decisions(likelihood),
        rank=report.rank,
        status=status,
        notes=tuple(note for note in notes if note),
        history=pd.DataFrame({"step": np.arange(1, len(history) + 1), "log_likelihood": history}),
        training=training_data(likelihood, log),
        seed=seed,
        versions=dict(versions()),
    )


def _status(likelihood: AbstractLikelihood, full: Real, boundary: Boundary, report: Identification) -> FitStatus:
    if not is_optimum(likelihood, full):
        return FitStatus.MAX_STEPS
    if not report.identified:
        return FitStatus.NOT_IDENTIFIED
    return FitStatus.BOUNDARY if boundary.any else FitStatus.CONVERGED


def is_optimum(objective: Objective, full: Real) -> bool:
    """Optimiser success is not fit success: ask the gradient itself (Dennis and Schnabel's scaling)."""
    table, point = objective.table, torch.from_numpy(full)
    gradient = table.tangent(objective.gradient(point))
    size = np.maximum(np.abs(full), 1 / table.scales)
    return bool(np.max(np.abs(gradient) * size, initial=0.0) <= _GRADIENT * max(1.0, abs(objective.value(point))))


def _params(
    table: Parameters, full: Real, boundary: Boundary, covariances_of: Covariances, reach: Real
) -> pd.DataFrame:
    errors = covariances_of.std_errors()
    fixed = ~table.free & (boundary.kind == "")
    if table.mean_zero is not None and np.count_nonzero(table.mean_zero) == 1:
        errors = np.where(table.mean_zero != 0, np.nan, errors)  # the only one left is what its unit makes it
    errors = np.where(fixed | (boundary.kind != ""), np.nan, errors)
    low, high = full - reach * errors, full + reach * errors
    low = np.where(boundary.kind == "upper", boundary.bound, np.where(boundary.kind != "", -np.inf, low))
    high = np.where(boundary.kind == "lower", boundary.bound, np.where(boundary.kind != "", np.inf, high))
    return pd.DataFrame(
        {
            "estimate": full,
            "std_error": errors,
            "std_error_kind": np.where(np.isnan(errors), "", covariances_of.kinds),
            "ci_low": low,
            "ci_high": high,
            "unit": [row.unit for row in table.rows],
            "fixed": fixed,
            "boundary": boundary.kind,
        },
        index=covariances_of.index,
    )


def _repeated_notes(bound: SoftOptimalModel, log: BehaviorLog) -> list[str]:
    """Say that standard errors of what people share do not know which subjects are one person."""
    shares = any(row.fixed is None and row.level != "subject" for row in bound.table.rows)
    if not shares or len(set(persons_of(log, log.subjects).values())) == len(log.subjects):
        return []
    return [
        "conditions of one person count as different people here: standard errors of what people share take no account "
        "of how alike a person is in them. method='hierarchical' does, and bootstrap(by='subject')"
    ]


def _boundary_notes(params: pd.DataFrame, boundary: Boundary, bound: SoftOptimalModel) -> list[str]:
    whose = "Subject" if isinstance(bound.temperature, PerSubject) else "Group"
    notes = []
    for place in np.flatnonzero(boundary.kind != "").tolist():
        (name, label), row = params.index[place], params.iloc[place]
        if name == "logit_lapse":
            notes.append(lapse_note(float(row["ci_high"])))
            continue
        who = f"{whose} {label!r}" if isinstance(bound.temperature, PerSubject | PerGroup) else "The log"
        if row["boundary"] == "lower":
            notes.append(
                f"{who} shows no costly mistake: the likelihood increases as the temperature goes to 0; "
                f"temperature < {np.exp(row['ci_high']):.3g} (95 %, one-sided)."
            )
        elif row["boundary"] == "upper":
            notes.append(
                f"{who} follows no preference: the likelihood increases with the temperature; "
                f"temperature > {np.exp(row['ci_low']):.3g} (95 %, one-sided)."
            )
        else:
            notes.append(f"{who} made no decision that depends on the temperature: nothing can be said about it.")
    return notes


def lapse_note(highest_logit: float) -> str:
    """Say that people may never lapse, and the end of the one-sided interval (infinite: there is none)."""
    if np.isinf(highest_logit):
        return "These data say nothing of the lapse: with none, and with nothing but lapses, they are about as likely."
    return f"The data can do without lapses: lapse < {expit(highest_logit):.3g} (95 %, one-sided)."


def _interpolation_note(likelihood: AbstractLikelihood, full: Real) -> list[str]:
    if not isinstance(likelihood, InterpolatedLikelihood):
        return []
    return [
        f"the soft Bellman equation was solved at {likelihood.num_nodes(torch.from_numpy(full))} temperatures and "
        f"interpolated between them: no log probability is off by more than {TOLERANCE:g} (measured between them)"
    ]


def num_decisions(likelihood: AbstractLikelihood) -> float:
    """Count the decisions that had more than one option."""
    observed = likelihood.observations
    several = playable_in(likelihood.model.task, observed.state).sum(axis=1) > 1
    return float(observed.weight[several].sum())


def training_data(likelihood: AbstractLikelihood, log: BehaviorLog) -> TrainingData:
    """Return what a fit keeps of its log."""
    bound, seen = likelihood.model, likelihood.observations
    if bound.task.horizon is not None:
        before = [] if seen.previous is None else [seen.previous]
        first, weight = tally([seen.person, seen.state, seen.action, *before], seen.weight)
        seen = replace(seen.select(first), weight=weight)
    to_state = bound.task.states.encode(log.codebook.states.values)
    first = np.flatnonzero(log.episode_start)
    lengths = np.diff(np.r_[first, len(log)])
    people = log.codebook.subjects
    to_subject = bound.subjects.encode(people.values)
    participants = log.participants
    if isinstance(bound.temperature, PerGroup) and bound.temperature.column not in participants.columns:
        labels, codes = log.group(bound.temperature.column)
        values = pd.Series(labels.decode(codes), index=list(people.values), name=bound.temperature.column)
        participants = participants.reindex(list(people.values)).assign(**{bound.temperature.column: values})
    return TrainingData(
        counts=pd.DataFrame(
            {
                "subject": seen.person,
                "state": seen.state,
                "action": seen.action,
                **({} if seen.previous is None else {"previous": seen.previous}),
                "weight": seen.weight,
            }
        ),
        starts=pd.DataFrame(
            {
                "subject": to_subject[log.subject[first]],
                "state": to_state[log.state[first]],
                "length": lengths,
            }
        ),
        participants=participants,
        columns=log.columns,
        dataset=log.dataset,
        source=log.source,
    )


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a fit depends on."""
    # Asked of the modules, which are loaded anyway: to read what was installed takes as long as a small fit.
    names = ("humansoft", "torch", "pytorch_lightning", "scipy", "numpy", "pandas")
    found = {name.replace("_", "-"): str(import_module(name).__version__) for name in names}
    return {"python": platform.python_version(), **found}
