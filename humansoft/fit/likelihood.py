"""The likelihood of a bound model as a function of one flat parameter vector, and its derivatives."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.data.counts import tally
from humansoft.fit.arrow import ArrowMatrix
from humansoft.fit.directions import Directions, curvature
from humansoft.fit.objective import Objective
from humansoft.model import SoftOptimalModel
from humansoft.parameters import Parameters
from humansoft.solvers.expansion import Observations
from humansoft.tasks.lookup import playable_in

Real = npt.NDArray[np.float64]
Pulled = Callable[[Tensor], Tensor]
"""From rewards to a number whose derivative by them is that of the log-likelihood."""

LOG_TEMPERATURE_LIMIT = 30.0
"""Largest |log temperature|: beyond e^30 behavior cannot be told from its limit in float64."""


@dataclass(eq=False)
class AbstractLikelihood(Objective):
    """log L(parameters) of observed decisions, exact to its second derivatives.

    Parameters are the full vector (P): the reward's tensors, the log temperatures, those of choice
    terms, fixed ones included. A subclass says how the soft Bellman equation is solved for all people.

    Attributes:
        model: a bound model; never changed.
        observations: what its people did.
    """

    model: SoftOptimalModel
    observations: Observations

    def __post_init__(self) -> None:
        """Solve exactly: what is learned from samples has no derivatives."""
        if self.model.learns_from_samples:
            self.model = self.model.solved_by(None)

    @property
    def table(self) -> Parameters:
        """Names and constraints of the model's parameters."""
        return self.model.table

    @property
    def num_decisions(self) -> float:
        """Weighted decisions, 1 at the least."""
        return max(float(self.observations.weight.sum()), 1.0)

    @abstractmethod
    def log_prob(self, full: Float[Tensor, " P"]) -> Float[Tensor, " N"] | None:
        """Return log pi(a|s) of each observation, or ``None`` where the problem has no solution."""

    def by_person(self, full: Float[Tensor, " P"]) -> Real:
        """Return the log-likelihood of each person [B], minus infinity where the problem has no solution."""
        log_prob, people = self.log_prob(full), len(self.model.subjects)
        if log_prob is None:
            return np.full(people, -np.inf)
        weighted = log_prob.numpy() * self.observations.weight
        return np.bincount(self.observations.person, weights=weighted, minlength=people).astype(np.float64)

    @abstractmethod
    def jacobian(self, full: Float[Tensor, " P"], shift: Float[Tensor, "S A"] | None = None) -> Real:
        """Return d log pi(a|s) / d color of each observation [N, colors].

        A person's derivative by a parameter of their own stands in the column of its color.

        Args:
            full: parameter vector.
            shift: a change of reward [S, A]; its derivative is appended as a last column.
        """

    @abstractmethod
    def require_solvable(self, full: Float[Tensor, " P"]) -> None:
        """Raise the solver's sentence when there is no solution at a parameter vector.

        Raises:
            SolveError: with the feasible bound of the temperature where there is one.
        """

    @abstractmethod
    def _kept(self, observations: Observations) -> Self:
        """Return the likelihood of the same decisions counted by other units; what was solved is kept."""

    def counting(self, observations: Observations) -> Self:
        """Return the likelihood of the same decisions counted by other units; what was solved and derived is kept."""
        other = self._kept(observations)
        other.directions = self.directions
        return other

    def again(self) -> Self:
        """Return the same likelihood once more, for a model whose constraints have changed; what was solved is kept."""
        return self._kept(self.observations)

    @abstractmethod
    def _of(self, observations: Observations) -> "AbstractLikelihood":
        """Return the likelihood of other decisions of the same people."""

    def start(self) -> Float[Tensor, " P"]:
        """Return the model's current parameters as one vector."""
        tensors = (*self.model.reward.parameters(), self.model.log_temperature, *self.model.choice.parameters())
        return torch.cat([p.detach().reshape(-1) for p in tensors])

    def value(self, full: Float[Tensor, " P"]) -> float:
        """Return the log-likelihood, minus infinity where the problem has no solution."""
        return float(self.by_person(full).sum())

    @cached_property
    def directions(self) -> Directions:
        """What moves with each color of parameters."""
        return Directions(self.model)

    def of_people(self, kept: npt.NDArray[np.bool_]) -> "AbstractLikelihood":
        """Return the part of the likelihood that some people [B] contribute; only their problems are solved."""
        return self._of(self.observations.select(kept[self.observations.person]))

    @property
    def pilot(self) -> "AbstractLikelihood | None":
        """A part of the data that gives nearly as good a start at a fraction of the price, where there is one."""
        return None

    @cached_property
    def every_action(self) -> "AbstractLikelihood":
        """The likelihood of all playable actions in all visited states, weighted by visits."""
        return self.counting(in_every_action(self.observations, self.model, self.observations.person))

    @cached_property
    def every_action_by_row(self) -> "AbstractLikelihood":
        """The same where one person stands for all people of a row: their derivatives are the same."""
        return self.counting(in_every_action(self.observations, self.model, self.observations.row))

    def _by_parameter(self, full: Tensor, pulled: Pulled, by_log_temperature: Tensor, row: Tensor) -> Real:
        """Return a gradient by free parameters [P] of derivatives by rewards and log temperatures.

        Args:
            full: parameter vector.
            pulled: the rewards [R, S, A] times their derivatives, summed.
            by_log_temperature: derivatives by log temperatures.
            row: row of the model that each of these belongs to.
        """
        table = self.model.table
        weights = full[table.rewards].detach().requires_grad_()
        by_weight = torch.zeros_like(weights)
        if len(weights):  # a reward may be known as a whole
            (by_weight,) = torch.autograd.grad(pulled(self.directions.reward_at(weights)), weights)
        found = torch.zeros(len(full), dtype=DTYPE)
        found[table.rewards] = by_weight
        found[table.temperatures].index_add_(0, self.model.temperature_row()[row], by_log_temperature)
        return np.where(table.free, found.numpy(), 0.0)

    def _bent(self, full: Tensor, pulled: Pulled, straight: ArrowMatrix) -> ArrowMatrix:
        """Add to a Hessian what the curvature of a reward adds that is not linear; see :meth:`_by_parameter`."""
        weights = full[self.model.table.rewards].detach()
        bent = np.zeros((len(full), len(full)))
        bent[: len(weights), : len(weights)] = curvature(lambda w: pulled(self.directions.reward_at(w)), weights)
        return straight.plus(bent)

    def outer(self, scores: Real, person: npt.NDArray[np.int64]) -> ArrowMatrix:
        """Return the sum of products of scores [U, C] with themselves, each of one person [U]."""
        row = self.directions.row_of_person[person]
        order = np.argsort(row, kind="stable")
        ends = np.cumsum(np.bincount(row, minlength=len(self.directions.owner)))[:-1]
        by_row = [mine.T @ mine for mine in np.split(scores[order], ends)]
        return ArrowMatrix.of_rows(self.directions.layout, np.stack(by_row))


def in_every_action(seen: Observations, model: SoftOptimalModel, who: npt.NDArray[np.int64]) -> Observations:
    """Return one observation for each playable action that anybody ([N] ``who``) met, weighted by visits."""
    before = [] if seen.previous is None else [seen.previous]
    first, visits = tally([seen.time, seen.state, who, *before], seen.weight)
    place, action = np.nonzero(playable_in(model.task, seen.state[first]))
    wide = seen.select(first[place])
    return replace(wide, action=action, weight=visits[place], unit=wide.person)
