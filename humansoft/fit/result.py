"""Fit: the frozen result of fitting a model to a log."""

import enum
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from humansoft.codebook import Labels, label_index
from humansoft.data.log import Columns
from humansoft.data.parts import persons_of
from humansoft.errors import NotConvergedError, UsageError
from humansoft.fit.comparison import same_draws, same_model, same_part
from humansoft.fit.population import Population
from humansoft.fit.uncertainty import Covariances
from humansoft.model import SoftOptimalModel
from humansoft.solvers.asked_trips import goal_codes, listed
from humansoft.solvers.policy import Policy
from humansoft.tasks.task import Task

Index = npt.NDArray[np.int64]


def require_fit(given: object, purpose: str) -> None:
    """Refuse what is no fit, such as a policy.

    Raises:
        UsageError: saying what to do.
    """
    if not isinstance(given, Fit):
        raise UsageError(
            f"{purpose} takes a fit (of fit() or load()), not {type(given).__name__}. Of a policy, "
            "episode_log_probs(policy, log) says how probable recorded episodes are, and "
            "policy.action_distribution(state, subject) what is done in a state"
        )


class FitStatus(enum.Enum):
    """How a fit ended; the value is the sentence a user reads."""

    CONVERGED = "Converged: the scaled gradient is below 1e-6."
    BOUNDARY = (
        "Converged; some temperatures (or a lapse) are at a boundary (behavior that looks perfectly rational or "
        "perfectly random, people who never lapse) and have one-sided intervals."
    )
    NOT_IDENTIFIED = (
        "Converged, but the data do not identify all parameters: estimates along the flat directions are arbitrary "
        "(allow_unidentified=True)."
    )
    MAX_STEPS = (
        "Stopped at the step limit before the optimum: raise max_steps, and look at the estimates that grew large."
    )
    MIXED = "Converged: the chains have mixed (R-hat below 1.01, no divergences)."
    NOT_MIXED = (
        "The chains have not mixed (R-hat of 1.01 or more, or divergences): their draws are not the posterior. Raise "
        "tune and draws; if it stays, look at what the data leave open (identify) and at the prior."
    )


_SHOWN = {"log_temperature": "temperature", "logit_lapse": "lapse"}
_PLAIN = ("log_likelihood", "num_decisions", "rank", "status", "notes", "seed", "versions", "population")
_TRAINING = ("counts", "starts", "participants", "columns", "dataset", "source")


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a fit keeps of its log: enough to compare with baselines, resample starts and read new files.

    Attributes:
        counts: one row a distinct (subject, state, action): codes of the task, weight; the previous action, too, where
            people are sticky.
        starts: one row an episode: subject, state it began in, number of decisions.
        participants: one row a person with group columns, indexed by subject.
        columns: roles of the columns of the log, to read files of the same columns.
        dataset: the catalogue's name of the data set, if it came from there.
        source: where the log came from.
    """

    counts: pd.DataFrame
    starts: pd.DataFrame
    participants: pd.DataFrame
    columns: Columns
    dataset: str | None
    source: str


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted soft-optimal model: estimates, their uncertainty, and the model to predict with.

    Attributes:
        model: the model bound to its people, at the estimates.
        params: one row a parameter, indexed by (name, label): estimate, std_error,
            std_error_kind, ci_low, ci_high, unit, fixed, boundary ("", "lower" or "upper").
            Temperatures stand as ``log_temperature``, a lapse as ``logit_lapse``.
        covariances: covariance matrices by kind.
        log_likelihood: at the estimates, summed over decisions.
        num_decisions: weighted decisions with a response and more than one option.
        rank: number of parameters that the data identify (the k of AIC and BIC).
        status: how the fit ended.
        notes: sentences that belong beside the numbers (boundaries, units, equivalent planners).
        history: log-likelihood after each optimiser iteration.
        training: what is kept of the log.
        seed: seed the fit was given.
        versions: versions of the libraries that produced it.
        population: what a population model says of the people behind these; ``None`` for people one by one.
        posterior: draws of a fit by ``method="posterior"``, as ``arviz.InferenceData``; ``None`` for other fits.
    """

    model: SoftOptimalModel
    params: pd.DataFrame
    covariances: Covariances
    log_likelihood: float
    num_decisions: float
    rank: int
    status: FitStatus
    notes: tuple[str, ...]
    history: pd.DataFrame
    training: TrainingData
    seed: int | None
    versions: dict[str, str] = field(default_factory=dict)
    population: Population | None = None
    posterior: Any = None

    @property
    def subjects(self) -> Labels:
        """People the model was fitted to."""
        return self.model.subjects

    @property
    def converged(self) -> bool:
        """True when the optimiser reached an optimum (boundary cases included), or chains have mixed."""
        return self.status not in (FitStatus.MAX_STEPS, FitStatus.NOT_MIXED)

    @property
    def message(self) -> str:
        """The status as a sentence, with the notes."""
        return " ".join([self.status.value, *self.notes])

    @property
    def aic(self) -> float:
        """Akaike's criterion, with the number of identified parameters."""
        return 2 * self.rank - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion, with the number of identified parameters and decisions."""
        return float(np.log(self.num_decisions) * self.rank - 2 * self.log_likelihood)

    @property
    def task(self) -> Task:
        """The task that they were fitted in."""
        return self.model.task

    @property
    def policy(self) -> Policy:
        """What the fitted people do in every state of the task; in a large network that is a large table."""
        return self._policy_in(np.arange(len(self.task.states)))

    def policy_toward(self, goals: Sequence[Hashable]) -> Policy:
        """Return what the fitted people do on trips to some goals of a network; it says nothing of others.

        Raises:
            UsageError: the task is no network.
            ModelError: no goals, or unknown ones; all at once.
        """
        task = self.task
        if task.goals is None:
            raise UsageError("policy_toward(goals) is for networks; fit.policy says what people do in other tasks")
        codes = goal_codes(task, listed(goals), "policy_toward")
        return self._policy_in(codes * len(task.goals.links))

    def _policy_in(self, states: Index) -> Policy:
        """Return what they do in the contexts of some states (codes)."""
        model = self.model
        row = np.arange(len(model.subjects)) if model.rows_are_people else model.group_of_subject
        return model.policy_on(
            model.subjects, row, model.expand(np.repeat(row, len(states)), np.tile(states, len(row)))
        )

    def require_converged(self) -> None:
        """Raise when the fit stopped early.

        Raises:
            NotConvergedError: with the status sentence.
        """
        if not self.converged:
            raise NotConvergedError(self.message)

    def std_errors(self, kind: str | None = None) -> "pd.Series[float]":
        """Return standard errors: "hessian", "bhhh", "sandwich_by_subject" or "sandwich_by_episode".

        Raises:
            NotAvailableError: unknown kind, or the reason why this one does not exist.
        """
        return pd.Series(self.covariances.std_errors(kind), index=self.params.index, name=kind or "std_error")

    def summary(self) -> pd.DataFrame:
        """Return the table to read: reward weights, temperatures with inverse temperatures, choice terms.

        Temperatures are shown on their own scale; their intervals are symmetric in the logarithm. So is the
        probability of a lapse, whose interval is symmetric in the logit.
        """
        table = self.params.drop(columns=["fixed"]).copy()
        logs = table.index.get_level_values("name") == "log_temperature"
        natural = table.loc[logs, ["estimate", "ci_low", "ci_high"]].astype(float)
        table.loc[logs, ["estimate", "ci_low", "ci_high"]] = np.exp(natural)
        table.loc[logs, "std_error"] *= np.exp(natural["estimate"])
        table["inverse_temperature"] = np.where(logs, 1 / table["estimate"], np.nan)
        lapse = table.index.get_level_values("name") == "logit_lapse"
        shown = expit(table.loc[lapse, ["estimate", "ci_low", "ci_high"]].to_numpy(dtype=float))
        table.loc[lapse, ["estimate", "ci_low", "ci_high"]] = shown
        table.loc[lapse, "std_error"] *= shown[:, 0] * (1 - shown[:, 0])
        table.loc[lapse, "unit"] = "probability"
        names, labels = zip(*table.index, strict=True) if len(table) else ((), ())
        table.index = label_index([[_SHOWN.get(name, name) for name in names], labels], ["name", "label"])
        return table

    def temperatures(self) -> pd.DataFrame:
        """Return one row a person: temperature, its interval, inverse temperature, boundary, group."""
        rows = self.params.loc[["log_temperature"]]
        place = self.model.group_of_subject
        people = pd.DataFrame(
            {
                "temperature": np.exp(rows["estimate"].to_numpy(dtype=float))[place],
                "ci_low": np.exp(rows["ci_low"].to_numpy(dtype=float))[place],
                "ci_high": np.exp(rows["ci_high"].to_numpy(dtype=float))[place],
                "inverse_temperature": np.exp(-rows["estimate"].to_numpy(dtype=float))[place],
                "log_temperature": rows["estimate"].to_numpy(dtype=float)[place],
                "std_error": rows["std_error"].to_numpy(dtype=float)[place],
                "boundary": rows["boundary"].to_numpy()[place],
                "unit": rows["unit"].to_numpy()[place],
            },
            index=pd.Index(list(self.subjects.values), name="subject"),
        )
        return people

    def weight(self, name: str, label: Hashable = "all") -> float:
        """Return one estimate by name."""
        place = self.params.index.get_loc((name, label))
        return float(self.params["estimate"].to_numpy(dtype=float)[place])

    @property
    def num_people(self) -> int:
        """Number of people; of people who were met in several conditions, each is a subject in each."""
        return len(set(persons_of(self.training, self.subjects.values).values()))

    def __eq__(self, other: object) -> bool:
        """Two fits are equal when all their numbers, labels and sentences are."""
        if not isinstance(other, Fit):
            return NotImplemented
        ours, theirs = self.covariances.matrices, other.covariances.matrices
        return (
            all(getattr(self, name) == getattr(other, name) for name in _PLAIN)
            and self.params.equals(other.params)
            and self.history.equals(other.history)
            and self.covariances.kinds == other.covariances.kinds
            and ours.keys() == theirs.keys()
            and all(same_part(ours[kind], theirs[kind]) for kind in ours)
            and all(same_part(getattr(self.training, f), getattr(other.training, f)) for f in _TRAINING)
            and same_model(self.model, other.model)
            and same_draws(self.posterior, other.posterior)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show what was fitted and how it ended, not the tables."""
        return (
            f"Fit({len(self.subjects)} subjects, {self.num_decisions:,.0f} decisions, log-likelihood "
            f"{self.log_likelihood:.3f}, {self.rank} parameters, {self.status.name.lower()})"
        )
