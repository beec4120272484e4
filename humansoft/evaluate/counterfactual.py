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

from humansoft.errors import IdentificationError, SolveError, UsageError
from humansoft.evaluate.changed_network import TripQuestion
from humansoft.evaluate.changed_task import Question, StateQuestion, require_same_question
from humansoft.evaluate.flatness import effects, training_likelihood
from humansoft.fit.flat_space import spectrum
from humansoft.fit.result import Fit, require_fit
from humansoft.solvers.asked_trips import TripNumbers
from humansoft.solvers.policy import Policy
from humansoft.tasks.task import Task
from humansoft.threads import one_thread

Real = npt.NDArray[np.float64]

_SAME_LIKELIHOOD = 1e-3  # of a log-likelihood: no data tell models apart that are this close
_MOST_HALVINGS = 10
_NO_CHANGE = 1e-6  # of a probability, or of the passes of a link per trip


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """What the fitted people would do in a changed task.

    Attributes:
        policy: what they do at the estimates; :func:`humansoft.occupancy`, ``simulate`` and others take it.
        identified: true where everything that explains the training data equally well predicts the same.
        message: what is identified and what is not, in a sentence to report.
        predictions: one row a subject, state and action (and time, with a horizon): ``probability``,
            and ``low`` and ``high``, its range over the flat directions of the fit. On a network, one row a subject
            and link that more than a billionth of the subject's trips pass: ``trips``, how many trips of the subject
            arrive, ``visits``, how often these together are expected to pass the link, and the range of that.
        cut_off: on a network, (goal, link) of the trips from where no way leads to their goal any more; they are not
            among the predictions.
    """

    policy: Policy
    identified: bool
    message: str
    predictions: pd.DataFrame
    cut_off: tuple[Hashable, ...] = ()

    def __str__(self) -> str:
        """Say whether the data can tell."""
        return self.message


@one_thread()
def counterfactual(
    fit: Fit,
    task: Task,
    *,
    prior: npt.ArrayLike | None = None,
    reach: float = 1.0,
    initial: TripNumbers | None = None,
) -> Counterfactual:
    r"""Predict what the fitted people do in a changed task: a blocked corridor, a new link, another maze.

    Predicted are probabilities of actions, on a network how often links are passed. Along every flat direction of the
    fit parameters are moved as far as ``reach`` says, as long as the
    training data stay as probable as they were; wherever that changes a prediction, the
    prediction is a range. Weights that were held fixed are taken at their word, but the message says if the
    prediction rests on them.

    Args:
        fit: a fitted model.
        task: the changed task, with the actions, features and discount of the fitted one;
            :func:`humansoft.block` and :func:`humansoft.link` (:func:`humansoft.add_turns` of a network) make one.
        prior: [S, A] reference policy in the changed task, where the fitted model has one of its own.
        reach: how far to move, in units of the largest reward of a decision in the fitted task.
        initial: on a network, (goal, link) -> number of trips to that goal that begin on that link, which every person
            makes (or a series or table, as :func:`humansoft.occupancy` takes it); by default each person makes the
            trips that were recorded of them, so that the sum over people is the recorded traffic.

    Returns:
        Policy, range and verdict, over the states that can be reached from the task's start
        distribution (all states where it has none). On a network the policy is that of trips to these goals.

    Raises:
        NotConvergedError: the fit stopped early.
        ModelError: the task asks what these people cannot be asked; all differences at once; no trip can arrive.
        UsageError: what is no fit; trips, where the task is no network; none, of a fit to a counted log, which has no
            starts.
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
        >>> turns = [("home", "main", 2.0), ("home", "park", 3.0), ("main", "work", 0.0), ("park", "work", 0.0)]
        >>> town = hs.Task.network(pd.DataFrame(turns, columns=["from", "to", "minutes"]), features=["minutes"])
        >>> trips = hs.simulate(hs.plan(town, {"minutes": -1.0}, planner="entropy"), episodes=50, seed=1)
        >>> drivers = hs.fit(hs.SoftOptimalModel(town, temperature=hs.Fixed(1.0), planner="entropy"), trips)
        >>> closed = hs.counterfactual(drivers, hs.block(town, states=["main"]), initial={("work", "home"): 100})
        >>> closed.predictions.set_index("link")["visits"].round(1).to_dict()
        {'home': 100.0, 'park': 100.0, 'work': 100.0}
    """
    require_fit(fit, "counterfactual()")
    fit.require_converged()
    require_same_question(fit, task, prior)
    asked = _question(fit, task, prior, initial)
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
    message = " ".join([*sentences, *asked.sentences()])
    return Counterfactual(policy, identified, message, asked.table(estimates, low, high), asked.cut_off)


def _question(fit: Fit, task: Task, prior: npt.ArrayLike | None, initial: TripNumbers | None) -> Question:
    if task.goals is not None:
        return TripQuestion.about(fit, task, prior, initial)
    if initial is not None:
        raise UsageError("counterfactual(initial=...) is for networks; give other tasks a start distribution")
    return StateQuestion.about(fit, task, prior)


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
        """Return the smallest and largest of each predicted number along the directions [P, K]."""
        low, high = self.estimates.copy(), self.estimates.copy()
        for direction in directions.T:
            size = float(np.max(np.abs(direction) * self.asked.fit.model.table.scales))
            for way in (1.0, -1.0):
                for share in (1.0, 0.5):
                    found = self._as_far(direction * way * share * self.distance / size)
                    np.minimum(low, found, out=low)
                    np.maximum(high, found, out=high)
        return low, high

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
    where = tuple(int(place) for place in np.unravel_index(int((high - low).argmax()), low.shape))
    return (
        f"The prediction is not identified: {names} can change without any change in what the training data say, but "
        f"here that changes what people do. For example, {asked.example(where)} "
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
        f"well, and change {asked.predicted} here by up to {most:.3g}."
    ]


def _moving(asked: Question, directions: Real) -> str:
    """Name the parameters that move along some of the directions."""
    table = asked.fit.model.table
    effect = np.abs(directions).max(axis=1, initial=0.0) * table.scales
    names = [f"`{table.rows[p]}`" for p in np.flatnonzero(effect > 1e-6 * effect.max(initial=0.0))]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
