"""A fit's people in a changed task: what has to agree, and what they would do there."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from humansoft._types import DTYPE
from humansoft.codebook import Labels
from humansoft.errors import ModelError, Problems, did_you_mean, shortlist
from humansoft.evaluate.flatness import with_released
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel
from humansoft.rewards.known import KnownReward
from humansoft.rewards.linear import LinearReward
from humansoft.solvers.expansion import Observations
from humansoft.solvers.policy import Policy
from humansoft.solvers.trip_tables import labelled
from humansoft.tasks.lookup import playable_in
from humansoft.tasks.task import Task

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def require_same_question(fit: Fit, task: Task, prior: npt.ArrayLike | None) -> None:
    """Refuse a task that these people cannot be asked about.

    Raises:
        ModelError: all that differs, at once.
    """
    old, model = fit.model.task, fit.model
    with Problems("the fitted people cannot be asked about this task", ModelError) as problems:
        if (old.goals is None) != (task.goals is None):
            problems.add(f"it is {_kind(task)}, they were seen in {_kind(old)}")
        elif task.goals is None:  # of a network, actions are the links entered
            _compare_actions(old, task, problems)
        used = model.reward.names(old) if isinstance(model.reward, LinearReward) else old.feature_names
        for name in used:
            if name not in task.feature_units:
                nothing = f"task.with_features({name}=0 everywhere)" if task.goals is None else "a column of zeros"
                problems.add(f"the feature {name!r} is gone: if nothing has it there, {nothing}")
            elif task.feature_units[name] != old.feature_units[name]:
                problems.add(
                    f"feature {name!r} is in {task.feature_units[name]!r}, it was in {old.feature_units[name]!r}"
                )
        if isinstance(model.reward, LinearReward) and model.reward.features is None:
            for name in task.feature_names:
                if name not in used:
                    hint = did_you_mean(name, used)
                    problems.add(f"the feature {name!r} is new to them: nothing is known of its weight.{hint}")
        if task.discount != old.discount:
            problems.add(
                f"the discount is {task.discount:g}, it was {old.discount:g}: that is the people's, not the task's"
            )
        if isinstance(model.reward, KnownReward) and not _same_places(old, task):
            problems.add(
                "the reward is a KnownReward, a table of numbers for the states and actions of the fitted task, and "
                "the changed one has others: make it a feature, with a weight held at 1, LinearReward(fixed={...})"
            )
        if model.prior is not None and prior is None:
            problems.add("the model has a reference policy of its own: say what it is in this task, prior=...")
        if prior is not None and model.prior is None:
            problems.add("the model was fitted without prior=...; leave it out")


def _kind(task: Task) -> str:
    return "no network" if task.goals is None else "a network"


def _compare_actions(old: Task, task: Task, problems: Problems) -> None:
    for label in task.actions.values:
        if label not in old.actions:
            problems.add(f"the action {label!r} is new to them.{old.actions.suggest(label)}")
    lost = [label for label in old.actions.values if label not in task.actions]
    if lost:
        problems.add(f"the actions {shortlist(lost)} are gone: name them, available nowhere, if that is meant")


def _same_places(old: Task, task: Task) -> bool:
    """Whether a table of rewards by state and action means in a task what it meant in the old one."""
    if old.goals is None or task.goals is None:  # what can no longer be done leaves its entry unread
        more = old.actions == task.actions and old.states == task.states
        return more and not bool((task.available & ~old.available).any())
    ends = np.array_equal(old.goals.start, task.goals.start) and np.array_equal(old.goals.end, task.goals.end)
    return ends and old.goals.links == task.goals.links


@dataclass(frozen=True, eq=False)
class Question(ABC):
    """A fit, and its model in the changed task; a subclass says what is predicted.

    Attributes:
        fit: the fit.
        full: [P] its parameters.
        model: the same people in the changed task.
        place: [P'] place of each parameter of the changed model among the fit's.
        num_parameters: how many parameters the fit had, before any was held at a boundary.
    """

    fit: Fit
    full: Real
    model: SoftOptimalModel
    place: Index
    num_parameters: int

    predicted: ClassVar[str]
    """One of the numbers that are predicted, for messages."""

    @classmethod
    def of(cls, fit: Fit, task: Task, prior: npt.ArrayLike | None, **more: Any) -> Self:  # noqa: ANN401 - own fields
        """Put the people of a fit into a changed task.

        Raises:
            ModelError: rewards of which nothing is known.
        """
        old = fit.model
        bound = old.changed(task=task, prior=prior).bound_to(old.subjects, old.groups, old.group_of_subject)
        known = {(row.name, row.label): p for p, row in enumerate(old.table.rows)}
        unknown = [str(row) for row in bound.table.rows if (row.name, row.label) not in known]
        if unknown:
            raise ModelError(f"nothing is known of {len(unknown)} rewards of the changed task: {shortlist(unknown)}")
        place = np.array([known[row.name, row.label] for row in bound.table.rows])
        tensors = (*old.reward.parameters(), old.log_temperature, *old.choice.parameters())
        full = torch.cat([tensor.detach().reshape(-1) for tensor in tensors]).numpy()
        # As it was before somebody was held at a boundary.
        free = old.changed().bound_to(old.subjects, old.groups, old.group_of_subject).table.num_free
        return cls(fit, full, bound, place, free, **more)

    @abstractmethod
    def predict(self, full: Real) -> tuple[Policy, Real]:
        """Return the policy at parameters [P] of the fit, and the numbers [B, ...] that are predicted.

        Raises:
            SolveError: no solution there.
        """

    @abstractmethod
    def decisions(self) -> tuple[Index, Index]:
        """Return people and states (codes [N]) of all decisions that people get to in the changed task."""

    @abstractmethod
    def example(self, where: tuple[int, ...]) -> str:
        """Say which of the predicted numbers stands at a place of their table."""

    @abstractmethod
    def table(self, estimates: Real, low: Real, high: Real) -> pd.DataFrame:
        """Return the predicted numbers, and their range, as a tidy table."""

    @property
    def cut_off(self) -> tuple[Hashable, ...]:
        """What people cannot do any more, and is not predicted."""
        return ()

    def sentences(self) -> list[str]:
        """Return what has to be said of the changed task, whatever is predicted."""
        return []

    def model_at(self, full: Real) -> SoftOptimalModel:
        """Return the people in the changed task, at parameters [P] of the fit."""
        return self.model.at(torch.from_numpy(full[self.place]).to(DTYPE))

    @property
    def rows(self) -> Index:
        """[B] row of parameters of each person."""
        model = self.model
        return np.arange(len(model.subjects)) if model.rows_are_people else model.group_of_subject

    def everywhere(self, full: Real) -> AbstractLikelihood:
        """Return the likelihood of all that people can do in the states that they get to."""
        model = with_released(self.model_at(full))
        person, state = self.decisions()
        first = playable_in(model.task, state).argmax(axis=1)
        times = model.task.horizon or 1
        time = np.repeat(np.arange(times), len(state))
        person, state, first = (np.tile(code, times) for code in (person, state, first))
        seen = Observations(self.rows[person], state, time, first, np.ones(len(first)), person, person)
        return likelihood_of(model, seen).every_action


@dataclass(frozen=True, eq=False)
class StateQuestion(Question):
    """What is done in each state: probabilities [B, (T,) S, A], 0 in states that nobody gets to.

    Attributes:
        reachable: [S] states that people get into.
    """

    reachable: Flags

    predicted = "a probability"

    @classmethod
    def about(cls, fit: Fit, task: Task, prior: npt.ArrayLike | None) -> Self:
        """Ask about a task that is no network."""
        return cls.of(fit, task, prior, reachable=_reachable(task))

    def predict(self, full: Real) -> tuple[Policy, Real]:
        """Return the policy, and its probabilities [B, (T,) S, A]."""
        model, row = self.model_at(full), self.rows
        states = len(model.task.states)
        person, state = np.repeat(row, states), np.tile(np.arange(states), len(row))
        expansion = model.expand(person, state)
        policy = model.policy_on(model.subjects, row, expansion)
        table = policy.log_policy.exp().numpy()
        found = table[..., expansion.place(model.task, person, state), :]
        found = np.moveaxis(found.reshape(*table.shape[:-2], len(row), states, -1), -3, 0)
        return policy, np.where(self.reachable[:, None], found, 0.0)

    def decisions(self) -> tuple[Index, Index]:
        """Return everybody in every state that is reached."""
        acting = np.flatnonzero(self.reachable & self.model.task.playable.any(dim=-1).numpy())
        people = len(self.rows)
        return np.repeat(np.arange(people), len(acting)), np.tile(acting, people)

    def example(self, where: tuple[int, ...]) -> str:
        """Name the action, the person and the state."""
        task, model = self.model.task, self.model
        who, state, action = (labels.values[where[axis]] for labels, axis in self._axes(task, model))
        return f"the probability of {action!r} of {who!r} in state {state!r}"

    def table(self, estimates: Real, low: Real, high: Real) -> pd.DataFrame:
        """Return one row a subject, state and action (and time) that can be met."""
        task, model = self.model.task, self.model
        kept = np.broadcast_to(task.playable.numpy() & self.reachable[:, None], estimates.shape)
        where = np.nonzero(kept)
        subjects, states, actions = (labelled(labels, where[axis]) for labels, axis in self._axes(task, model))
        table = pd.DataFrame({"subject": subjects.astype(object)})
        if task.horizon is not None:
            table["time"] = where[1]
        table = table.assign(state=states.astype(object), action=actions.astype(object))
        return table.assign(probability=estimates[kept], low=low[kept], high=high[kept])

    @staticmethod
    def _axes(task: Task, model: SoftOptimalModel) -> tuple[tuple[Labels, int], ...]:
        return (model.subjects, 0), (task.states, -2), (task.actions, -1)


def _reachable(task: Task) -> Flags:
    """[S] states that can be got into from the start distribution; all where there is none."""
    size = len(task.states)
    if task.initial is None:
        return np.ones(size, dtype=bool)
    state, action, following, _ = task.transitions.to_triples()
    kept = task.playable.numpy()[state, action]
    reached = task.initial.numpy() > 0
    while True:
        wider = reached.copy()
        wider[following[kept & reached[state]]] = True
        if (wider == reached).all():
            return reached
        reached = wider
