"""In which states people are judged: the same for everybody, or each person's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array

from humansoft.errors import ModelError, Problems, UsageError, did_you_mean
from humansoft.evaluate.worth import chance, visits_of
from humansoft.fit.result import Fit
from humansoft.solvers.expansion import expand
from humansoft.tasks.task import Task

Real = npt.NDArray[np.float64]
Where = str | Mapping[Any, float]

REFERENCES = ("pooled", "task")


@dataclass(frozen=True, eq=False)
class Reference:
    """A distribution of starts, and one of decisions.

    Attributes:
        start: [S] where values are taken from.
        weights: [T, S] how much each decision counts, T times (one without a horizon); ``None``: how often the
            people of the fit are expected there, which is known once their policies are.
        words: what it is, as the methods of a paper say it.
    """

    start: Real
    weights: Real | None
    words: str

    @classmethod
    def of(cls, fit: Fit, reference: Where) -> "Reference":
        """Look up a reference by name, or take the user's.

        Raises:
            UsageError: unknown name.
            ModelError: the task has no start distribution, or the one given is none.
        """
        task = fit.model.task
        if isinstance(reference, Mapping):
            start = _checked(task, reference)
            words = "a distribution of states that was given"
            return (
                cls(start, _deciding(task, start[None]), words)
                if task.horizon is None
                else cls._at_random(task, start, words)
            )
        if reference == "task":
            if task.initial is None:
                raise ModelError(
                    "the task has no start distribution: use reference='pooled', or say where to start, "
                    "reference={state: probability}"
                )
            return cls._at_random(task, task.initial.numpy(), "the task's own start distribution")
        if reference != "pooled":
            raise UsageError(f"reference={reference!r}.{did_you_mean(reference, REFERENCES)}")
        if task.horizon is not None:
            starts = fit.training.starts
            start = np.bincount(starts["state"], minlength=len(task.states)).astype(np.float64)
            return cls(start / start.sum(), None, "the starts of all recorded episodes together")
        visits = _deciding(task, np.asarray(own_visits(fit).sum(axis=0), dtype=np.float64)[None])
        return cls(visits[0], visits, "the recorded decisions of all people together")

    @classmethod
    def _at_random(cls, task: Task, start: Real, words: str) -> "Reference":
        """Weigh decisions as somebody who chooses at random would meet them: that depends on nobody."""
        size = len(task.states)
        laid_out = expand(task, np.zeros(size, dtype=np.int64), np.arange(size), 1, None)
        policy = chance(laid_out.problem).numpy()
        if task.horizon is not None:
            policy = np.broadcast_to(policy, (task.horizon, *policy.shape))
        at = laid_out.state.numpy()
        visits = visits_of(laid_out.problem, policy, start[at][:, None])[:, :, 0]
        weights = np.zeros((len(visits), size))
        weights[:, at] = visits
        return cls(start, _deciding(task, weights), f"{words}, followed at random")

    def contexts(self, task: Task) -> npt.NDArray[np.int64]:
        """Return the contexts that it is in."""
        seen = self.start if self.weights is None else self.start + self.weights.sum(axis=0)
        return np.unique(task.context.numpy()[seen > 0])

    def completed(self, task: Task, visits: Real) -> "Reference":
        """Return it with the expected visits [T, S] of people for weights, where it has none."""
        return self if self.weights is not None else Reference(self.start, _deciding(task, visits), self.words)


def own_visits(fit: Fit) -> csr_array:
    """Return how often each person decided in each state [B, S]."""
    counts = fit.training.counts
    return _by_person(fit, counts["subject"], counts["state"], counts["weight"].to_numpy(dtype=float))


def own_starts(fit: Fit) -> csr_array:
    """Return in how many episodes each person began in each state [B, S]."""
    table = fit.training.starts
    return _by_person(fit, table["subject"], table["state"], np.ones(len(table)))


def _by_person(fit: Fit, subject: "pd.Series[int]", state: "pd.Series[int]", weight: Real) -> csr_array:
    shape = (len(fit.subjects), len(fit.model.task.states))
    return csr_array((weight, (subject.to_numpy(), state.to_numpy())), shape=shape)


def deciding(task: Task) -> npt.NDArray[np.bool_]:
    """[S] where there is something to decide: two actions or more."""
    several: npt.NDArray[np.bool_] = task.playable.sum(dim=-1).numpy() > 1
    return several


def _deciding(task: Task, weights: Real) -> Real:
    """Return weights [T, S] of decisions with a choice, which sum to 1."""
    kept = weights * deciding(task)
    total = float(kept.sum())
    if total <= 0:
        raise ModelError("no state of the reference leaves a choice between two actions: there is nothing to measure")
    normalised: Real = kept / total
    return normalised


def _checked(task: Task, given: Mapping[Any, float]) -> Real:
    with Problems("reference={state: probability}", ModelError) as problems:
        for label, value in given.items():
            if label not in task.states:
                problems.add(f"unknown state {label!r}.{task.states.suggest(label)}")
            if not 0 <= value <= 1:
                problems.add(f"the probability of {label!r} is {value}")
        if abs(sum(given.values()) - 1) > 1e-6:
            problems.add(f"the probabilities sum to {sum(given.values()):.6g}, not to 1")
    start = np.zeros(len(task.states))
    start[task.states.encode(given)] = list(given.values())
    return start
