"""Entropy farming: under planner="entropy", each step earns temperature * log(number of actions) at most.

Where that is more than a step costs, staying is worth more than finishing (SCIENCE 1.1). Going on for ever is worth
(wage - cost) / (1 - discount), so people prefer not to finish where wage - cost exceeds (1 - discount) times what
ending brings; without a discount, where the wage exceeds the cost. The comparison does not change along the
direction in which step cost and goal reward trade off.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from humansoft.errors import shortlist
from humansoft.fit.boundary import Boundary
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.solvers.expansion import Observations
from humansoft.tasks.lookup import available_in, is_terminal, places, probabilities_of, successors_of

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Living:
    """What a step brings to each temperature's people, on average over their decisions.

    Attributes:
        wage: [G] temperature * log(number of actions), the most that the entropy of a step is worth.
        cost: [G] minus the reward of decisions that do not end the episode.
        interest: [G] (1 - discount) times the reward of those that do, 0 where none does.
    """

    wage: Real
    cost: Real
    interest: Real

    @property
    def endless(self) -> npt.NDArray[np.bool_]:
        """[G] whose people prefer not to finish."""
        found: npt.NDArray[np.bool_] = self.wage - self.cost > self.interest
        return found


def living(likelihood: AbstractLikelihood, full: Real) -> Living:
    """Weigh what entropy earns against what steps cost, at a parameter vector."""
    model, seen = likelihood.model.at(torch.from_numpy(full)), likelihood.observations
    ends = _ending(likelihood)
    reward = _rewards(model.reward(model.task).detach().numpy(), seen, places(model.task, seen.state))
    group = model.group_of_subject[seen.person]
    options = np.log(available_in(model.task, seen.state).sum(axis=1).clip(1))

    def mean(values: Real, weight: Real) -> Real:
        total = np.bincount(group, weight, len(model.groups))
        return np.bincount(group, weight * values, len(model.groups)) / np.where(total > 0, total, np.inf)

    return Living(
        wage=np.exp(model.log_temperature.numpy()) * mean(options, seen.weight),
        cost=-mean(reward, seen.weight * (1 - ends)),
        interest=(1 - model.task.discount) * mean(reward, seen.weight * ends),
    )


def _ending(likelihood: AbstractLikelihood) -> Real:
    """Return the probability that the episode ends with each decision [N]."""
    task, seen = likelihood.model.task, likelihood.observations
    following = successors_of(task, seen.state, seen.action)
    ended = is_terminal(task, following.ravel()).reshape(following.shape)
    found: Real = (probabilities_of(task, seen.state, seen.action) * ended).sum(axis=-1)
    return found


def _rewards(table: Real, seen: Observations, place: npt.NDArray[np.int64]) -> Real:
    """Return the reward of each decision [N] from a table [R, S, A] or [R, T, S, A]."""
    row = seen.row if len(table) > 1 else np.zeros_like(seen.row)
    found: Real = table[row, seen.time, place, seen.action] if table.ndim == 4 else table[row, place, seen.action]
    return found


def farming_note(likelihood: AbstractLikelihood, full: Real, boundary: Boundary) -> str:
    """Say who prefers not to finish, and the way out; nothing where nobody does, or nothing ends.

    Of people who look random, it is the lowest temperature of their interval that counts.
    """
    model = likelihood.model
    if model.planner != "entropy" or model.task.horizon is not None or not len(likelihood.observations):
        return ""
    if model.task.goals is None and not bool(model.task.terminal.any()):
        return ""
    found = living(likelihood, np.where(boundary.kind == "upper", boundary.bound, full))
    kinds = boundary.kind[len(full) - len(model.groups) :]
    who = np.flatnonzero(found.endless & ((kinds == "") | (kinds == "upper")))
    if not len(who):
        return ""
    most = who[np.argmax(found.wage[who] - found.cost[who])]
    labels = [model.groups.values[place] for place in who]
    several = f", for {len(who)} of {len(model.groups)} ({shortlist(labels)})" if len(model.groups) > 1 else ""
    least = " at the least" if kinds[most] == "upper" else ""
    return (
        f"temperature * log(number of actions) = {found.wage[most]:.3g}{least} exceeds the mean cost of a step, "
        f"{found.cost[most]:.3g}{several}: under planner='entropy' acting at random earns more than a step costs, and "
        "these people prefer not to finish; compare held-out scores with planner='kl', where it earns nothing"
    )
