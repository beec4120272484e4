"""A fit's people in a changed task: what has to agree, and what they would do there."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from humansoft._types import DTYPE
from humansoft.errors import ModelError, Problems, did_you_mean, shortlist
from humansoft.evaluate.flatness import with_released
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel
from humansoft.rewards.linear import LinearReward
from humansoft.solvers.expansion import Observations
from humansoft.solvers.policy import Policy
from humansoft.tasks.lookup import require_tables
from humansoft.tasks.task import Task

Real = npt.NDArray[np.float64]


def require_same_question(fit: Fit, task: Task, prior: npt.ArrayLike | None) -> None:
    """Refuse a task that these people cannot be asked about.

    Raises:
        ModelError: all that differs, at once.
    """
    old, model = fit.model.task, fit.model
    for asked in (old, task):
        require_tables(asked, "counterfactual()")
    with Problems("the fitted people cannot be asked about this task", ModelError) as problems:
        for label in task.actions.values:
            if label not in old.actions:
                problems.add(f"the action {label!r} is new to them.{old.actions.suggest(label)}")
        lost = [label for label in old.actions.values if label not in task.actions]
        if lost:
            problems.add(f"the actions {shortlist(lost)} are gone: name them, available nowhere, if that is meant")
        used = model.reward.names(old) if isinstance(model.reward, LinearReward) else old.feature_names
        for name in used:
            if name not in task.feature_units:
                problems.add(
                    f"the feature {name!r} is gone: if nothing has it there, task.with_features({name}=0 everywhere)"
                )
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
        if model.prior is not None and prior is None:
            problems.add("the model has a reference policy of its own: say what it is in this task, prior=...")
        if prior is not None and model.prior is None:
            problems.add("the model was fitted without prior=...; leave it out")


@dataclass(frozen=True, eq=False)
class Question:
    """A fit, and its model in the changed task.

    Attributes:
        fit: the fit.
        full: [P] its parameters.
        model: the same people in the changed task.
        place: [P'] place of each parameter of the changed model among the fit's.
        reachable: [S'] states that people get into.
        num_parameters: how many parameters the fit had, before any was held at a boundary.
    """

    fit: Fit
    full: Real
    model: SoftOptimalModel
    place: npt.NDArray[np.int64]
    reachable: npt.NDArray[np.bool_]
    num_parameters: int

    @classmethod
    def of(cls, fit: Fit, task: Task, prior: npt.ArrayLike | None) -> "Question":
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
        return cls(fit, full, bound, place, _reachable(task), free)

    def predict(self, full: Real) -> tuple[Policy, Real]:
        """Return the policy at parameters [P] of the fit, and its probabilities [B, (T,) S, A].

        Raises:
            SolveError: no solution there.
        """
        model = self.model.at(torch.from_numpy(full[self.place]).to(DTYPE))
        row, states = _rows(model), len(model.task.states)
        expansion = model.expand(np.repeat(row, states), np.tile(np.arange(states), len(row)))
        policy = model.policy_on(model.subjects, row, expansion)
        where = expansion.place(model.task, np.repeat(row, states), np.tile(np.arange(states), len(row)))
        table = policy.log_policy.exp().numpy()
        found = table[..., where, :].reshape(*table.shape[:-2], len(row), states, -1)
        return policy, np.moveaxis(found, -3, 0)

    def everywhere(self, full: Real) -> AbstractLikelihood:
        """Return the likelihood of all that people can do in the reachable states of the changed task."""
        model = with_released(self.model.at(torch.from_numpy(full[self.place]).to(DTYPE)))
        task, row = model.task, _rows(model)
        acting = np.flatnonzero(self.reachable & task.playable.any(dim=-1).numpy())
        person, state = np.repeat(np.arange(len(row)), len(acting)), np.tile(acting, len(row))
        first = task.playable.to(torch.int64).argmax(dim=-1).numpy()[state]
        times = task.horizon or 1
        time = np.repeat(np.arange(times), len(state))
        person, state, first = (np.tile(code, times) for code in (person, state, first))
        once = np.ones(len(first))
        return likelihood_of(model, Observations(row[person], state, time, first, once, person, person)).every_action


def _rows(model: SoftOptimalModel) -> npt.NDArray[np.int64]:
    return np.arange(len(model.subjects)) if model.rows_are_people else model.group_of_subject


def _reachable(task: Task) -> npt.NDArray[np.bool_]:
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
