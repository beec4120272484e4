"""Predictors every model has to beat; all learned from the fit's training counts only."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.tasks.task import Task

Real = npt.NDArray[np.float64]


def uniform(task: Task, counts: Real) -> Real:
    """Return every available action equally likely [S, A]."""
    return _normalised(np.ones_like(counts), task)


def marginal(task: Task, counts: Real) -> Real:
    """Return the overall action frequencies (add-one), over the actions available in each state [S, A]."""
    return _normalised(np.broadcast_to(counts.sum(axis=0) + 1.0, counts.shape), task)


def empirical_policy(task: Task, counts: Real) -> Real:
    """Return the action frequencies of each state, smoothed by adding one to every available action [S, A]."""
    return _normalised(counts + 1.0, task)


def multinomial_logit(task: Task, counts: Real) -> Real:
    """Return a multinomial logit on the state's description [S, A].

    A state of several columns is described by one indicator for each value of each column, any other
    state by an indicator of its own. L2-penalised with scikit-learn's default strength.
    """
    # scikit-learn takes a second to import: only when this baseline is wanted.
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    described = OneHotEncoder(handle_unknown="ignore").fit_transform(_descriptions(task))
    state, action = np.nonzero(counts)
    weights = counts[state, action]
    probabilities = np.zeros_like(counts)
    taken = np.unique(action)
    if len(taken) == 1:
        probabilities[:, taken] = 1.0
    else:
        model = LogisticRegression(max_iter=2000).fit(described[state], action, sample_weight=weights)
        probabilities[:, model.classes_] = model.predict_proba(described)
    # an action never seen in training keeps the chance of one observation in all
    return _normalised(probabilities + 1.0 / (1.0 + counts.sum()), task)


def _descriptions(task: Task) -> pd.DataFrame:
    labels = [label[1] if task.has_contexts else label for label in task.states.values]  # type: ignore[index]
    tuples = all(isinstance(label, tuple) for label in labels)
    table = pd.DataFrame([label if tuples else (label,) for label in labels])
    if task.has_contexts:
        table["context"] = task.context.numpy()
    return table.astype(str).rename(columns=str)


def _normalised(weights: Real, task: Task) -> Real:
    """Spread the weights over the available actions so that each acting state sums to 1."""
    kept = np.where(task.playable.numpy(), weights, 0.0)
    total = kept.sum(axis=1, keepdims=True)
    share: Real = np.divide(kept, total, out=np.zeros_like(kept), where=total > 0)
    return share


BASELINES: Mapping[str, Callable[[Task, Real], Real]] = {
    "uniform": uniform,
    "marginal": marginal,
    "empirical_policy": empirical_policy,
    "multinomial_logit": multinomial_logit,
}
