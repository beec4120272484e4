"""What the fitted people would do in a changed task, and whether the data can tell.

A flat direction of a fit leaves the likelihood of its training data unchanged, but it may change
behavior elsewhere (SCIENCE 4.3). Predictions are then a range, not a number.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from humansoft.errors import IdentificationError, SolveError
from humansoft.evaluate.changed_task import Question, require_same_question
from humansoft.evaluate.flatness import effects, training_likelihood
from humansoft.fit.flat_space import spectrum
from humansoft.fit.result import Fit
from humansoft.solvers.policy import Policy
from humansoft.tasks.task import Task
from humansoft.threads import one_thread

Real = npt.NDArray[np.float64]

_SAME_LIKELIHOOD = 1e-3  # of a log-likelihood: no data tell models apart that are this close
_MOST_HALVINGS = 10
_NO_CHANGE = 1e-6  # of a probability


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """What the fitted people would do in a changed task.

    Attributes:
        policy: what they do at the estimates; :func:`humansoft.occupancy`, ``simulate`` and others take it.
        identified: true where everything that explains the training data equally well predicts the same.
        message: what is identified and what is not, in a sentence to report.
        predictions: one row a subject, state and action (and time, with a horizon): ``probability``,
            and ``low`` and ``high``, its range over the flat directions of the fit.
    """

    policy: Policy
    identified: bool
    message: str
    predictions: pd.DataFrame

    def __str__(self) -> str:
        """Say whether the data can tell."""
        return self.message


@one_thread()
def counterfactual(fit: Fit, task: Task, *, prior: npt.ArrayLike | None = None, reach: float = 1.0) -> Counterfactual:
    r"""Predict what the fitted people do in a changed task: a blocked corridor, a new link, another maze.

    Along every flat direction of the fit parameters are moved as far as ``reach`` says, as long as the
    training data stay as probable as they were; wherever that changes a prediction, the
    prediction is a range. Weights that were held fixed are taken at their word, but the message says if the
    prediction rests on them.

    Args:
        fit: a fitted model.
        task: the changed task, with the actions, features and discount of the fitted one;
            :func:`humansoft.block` and :func:`humansoft.link` make one.
        prior: [S, A] reference policy in the changed task, where the fitted model has one of its own.
        reach: how far to move, in units of the largest reward of a decision in the fitted task.

    Returns:
        Policy, range and verdict, over the states that can be reached from the task's start
        distribution (all states where it has none).

    Raises:
        NotConvergedError: the fit stopped early.
        ModelError: the task asks what these people cannot be asked; all differences at once.
        IdentificationError: a fit with a horizon that is not identified: it does not keep what the range needs.
        SolveError: the model has no solution in the changed task.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95)
        >>> people = hs.plan(task, {"step": -1.0}, temperature={"ann": 0.4, "bob": 1.0})
        >>> model = hs.SoftOptimalModel(task, hs.LinearReward(["step"], {"step": -1.0}), hs.PerSubject())
        >>> fitted = hs.fit(model, hs.simulate(people, episodes=20, seed=1))
        >>> changed = hs.counterfactual(fitted, hs.block(task, passages=[((0, 1), (0, 2))]))
        >>> changed.identified
        True
    """
    fit.require_converged()
    require_same_question(fit, task, prior)
    asked = Question.of(fit, task, prior)
    policy, estimates = asked.predict(asked.full)
    table = fit.model.table
    moved = _Range(asked, estimates, reach)
    number = asked.num_parameters - fit.rank  # of flat directions of the fit
    directions = moved.directions() if number else np.zeros((len(table), 0))
    low, high = moved.over(directions)
    identified = bool((high - low).max(initial=0.0) <= _NO_CHANGE)
    sentences = [_verdict(asked, directions, low, high) if not identified else _certificate(number)]
    fixed = [p for p, row in enumerate(table.rows) if row.kind == "reward" and row.fixed is not None]
    if identified and fixed:
        sentences += _assumptions(asked, moved, fixed)
    if fit.model.choice.is_sticky:
        sentences.append("These people are sticky: the probabilities are those of a decision with no action before it.")
    return Counterfactual(
        policy, identified, " ".join(sentences), _table(policy, estimates, low, high, asked.reachable)
    )


class _Range:
    """Predictions over parameters that explain the training data equally well."""

    def __init__(self, asked: Question, estimates: Real, reach: float) -> None:
        self.asked, self.estimates = asked, estimates
        fit = asked.fit
        self.likelihood = None if fit.model.task.horizon is not None else training_likelihood(fit)
        if self.likelihood is not None:
            self.at_estimates = self.likelihood.value(torch.from_numpy(asked.full))
        with torch.no_grad():
            rewards = fit.model.reward(fit.model.task)[..., fit.model.task.available]
        self.distance = reach * (float(rewards.abs().max()) or 1.0)

    def directions(self, released: bool = False) -> Real:
        """Return the flat directions [P, K] that matter in the changed task; ``released``: of fixed parameters too."""
        none = np.zeros((len(self.asked.full), 0))
        if self.likelihood is None:
            raise IdentificationError(
                "the parameters of this fit are not identified, and a fit with a horizon does not keep the times that "
                "a range of predictions needs; fix what `identify` names, and fit again"
            )
        likelihood = training_likelihood(self.asked.fit, released=True) if released else self.likelihood
        flat = spectrum(likelihood.every_action_by_row, self.asked.full).flat
        if flat.shape[1] == 0:
            return none
        size = np.max(np.abs(flat) * self.asked.fit.model.table.scales[:, None], axis=0)
        flat = flat / size
        effect = effects(
            self.asked.everywhere(self.asked.full), self.asked.full[self.asked.place], flat[self.asked.place]
        )
        _, _, rows = np.linalg.svd(effect, full_matrices=False)
        mixed, change = flat @ rows.T, np.abs(effect @ rows.T).max(axis=0, initial=0.0)
        kept: Real = mixed[:, change > _NO_CHANGE]
        return kept

    def over(self, directions: Real) -> tuple[Real, Real]:
        """Return the smallest and largest probability [B, (T,) S, A] along the directions [P, K]."""
        low, high = self.estimates.copy(), self.estimates.copy()
        for direction in directions.T:
            size = float(np.max(np.abs(direction) * self.asked.fit.model.table.scales))
            for way in (1.0, -1.0):
                for share in (1.0, 0.5):
                    found = self._as_far(direction * way * share * self.distance / size)
                    np.minimum(low, found, out=low)
                    np.maximum(high, found, out=high)
        seen = np.where(self.asked.reachable[:, None], True, False)
        return np.where(seen, low, self.estimates), np.where(seen, high, self.estimates)

    def _as_far(self, step: Real) -> Real:
        """Return predictions as far along a step as the training data stay as probable."""
        assert self.likelihood is not None
        for _ in range(_MOST_HALVINGS):
            full = self.asked.full + step
            value = self.likelihood.value(torch.from_numpy(full))
            if abs(value - self.at_estimates) <= _SAME_LIKELIHOOD:
                try:
                    return self.asked.predict(full)[1]
                except SolveError:  # nobody plans with such a reward there: come closer
                    pass
            step = step / 2
        return self.estimates


def _certificate(number: int) -> str:
    if number == 0:
        return "The prediction is identified: the fit has no flat direction."
    return (
        f"The prediction is identified: {number} direction{'s are' if number > 1 else ' is'} flat in the fit, but "
        "behavior in this task does not depend on it."
    )


def _verdict(asked: Question, directions: Real, low: Real, high: Real) -> str:
    names = _moving(asked, directions)
    where = np.unravel_index(int((high - low).argmax()), low.shape)
    task, model = asked.model.task, asked.model
    who, state, action = model.subjects.values[where[0]], task.states.values[where[-2]], task.actions.values[where[-1]]
    return (
        f"The prediction is not identified: {names} can change without any change in what the training data say, but "
        f"here that changes what people do. For example, the probability of {action!r} of {who!r} in state {state!r} "
        f"lies between {low[where]:.3g} and {high[where]:.3g}. Report the range (columns low and high); fix what is "
        "known, or record behavior that tells more."
    )


def _assumptions(asked: Question, moved: _Range, fixed: list[int]) -> list[str]:
    """Say whether the prediction rests on weights that were held fixed."""
    table = asked.fit.model.table
    if moved.likelihood is None:
        return ["Whether it rests on the fixed weights is not known: a fit with a horizon keeps no times."]
    directions = moved.directions(released=True)
    low, high = moved.over(directions)
    most = float((high - low).max(initial=0.0))
    if most <= _NO_CHANGE:
        return []
    values = {table.rows[p].name: table.rows[p].fixed for p in fixed}
    return [
        f"It rests on fixed={values}: other values of {_moving(asked, directions)} explain the training data as "
        f"well, and change a probability here by up to {most:.3g}."
    ]


def _moving(asked: Question, directions: Real) -> str:
    """Name the parameters that move along some of the directions."""
    table = asked.fit.model.table
    effect = np.abs(directions).max(axis=1, initial=0.0) * table.scales
    names = [f"`{table.rows[p]}`" for p in np.flatnonzero(effect > 1e-6 * effect.max(initial=0.0))]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _table(policy: Policy, estimates: Real, low: Real, high: Real, reachable: npt.NDArray[np.bool_]) -> pd.DataFrame:
    task = policy.task
    kept = np.broadcast_to(task.playable.numpy() & reachable[:, None], estimates.shape)
    where = np.nonzero(kept)

    def labelled(labels: tuple[Hashable, ...], codes: npt.NDArray[np.int64]) -> "pd.Series[str]":
        return pd.Series([labels[code] for code in codes.tolist()], dtype=object)

    table = pd.DataFrame({"subject": labelled(policy.subjects.values, where[0])})
    if task.horizon is not None:
        table["time"] = where[1]
    table["state"] = labelled(task.states.values, where[-2])
    table["action"] = labelled(task.actions.values, where[-1])
    return table.assign(probability=estimates[kept], low=low[kept], high=high[kept])
