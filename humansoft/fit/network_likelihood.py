"""The likelihood of trips through a network, solved for all goals at once."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.fit.arrow import ArrowMatrix
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.fit.likelihood import LOG_TEMPERATURE_LIMIT, AbstractLikelihood
from humansoft.solvers.expansion import Observations
from humansoft.solvers.goal_derivatives import GoalDerivatives, Pull
from humansoft.solvers.goal_expansion import GoalExpansion
from humansoft.solvers.goals import GoalSolution, solve_goals
from humansoft.solvers.solution import SolveStatus

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_PILOT = 10  # one of so many goals


@dataclass(eq=False)
class NetworkLikelihood(AbstractLikelihood):
    """The exact likelihood of a task with goals.

    Where desirabilities leave the range of numbers (at temperatures far below the costs), a small network is
    spelled out goal by goal; a large one has no likelihood there.
    """

    _solved: tuple[bytes, GoalSolution] | None = field(default=None, repr=False)
    _latest: tuple[bytes, GoalDerivatives] | None = field(default=None, repr=False)
    _pulls: tuple[bytes, tuple[Pull, ...]] | None = field(default=None, repr=False)

    @torch.no_grad()
    def solve(self, full: Float[Tensor, " P"]) -> GoalSolution:
        """Solve the network at a parameter vector; the last solution is kept."""
        here = full.detach().numpy().tobytes()
        if self._solved is None or self._solved[0] != here:
            rewards = self.directions.reward_at(full[self.model.table.rewards].detach())
            self._latest = self._pulls = None  # not two solutions at a time: they are large
            self._solved = (here, solve_goals(self.expansion, rewards, self._temperature(full)))
        return self._solved[1]

    @cached_property
    def expansion(self) -> GoalExpansion:
        """The (row, goal) pairs that have to be solved."""
        found = self.model.expand(self.observations.row, self.observations.state)
        assert isinstance(found, GoalExpansion)
        return found

    @cached_property
    def _position(self) -> Index:
        return self.expansion.position(self.model.task, self.observations)

    @cached_property
    def _spelled_out(self) -> ExactLikelihood:
        found = ExactLikelihood(self.model, self.observations)
        found.expansion = self.expansion
        return found

    def _fallback(self, full: Tensor) -> ExactLikelihood | None:
        """Return the likelihood of the spelled-out network, where this one cannot be had and that one can."""
        lost = self.solve(full).status is SolveStatus.OUT_OF_RANGE
        return self._spelled_out if lost and self.expansion.can_be_spelled_out else None

    def log_prob(self, full: Float[Tensor, " P"]) -> Float[Tensor, " N"] | None:
        """Return log pi(a|s) of each observation, or ``None`` where the problem has no solution."""
        other, solution = self._fallback(full), self.solve(full)
        if other is not None:
            return other.log_prob(full)
        if solution.status is not SolveStatus.CONVERGED:
            return None
        return solution.log_prob_at(self._position, self.observations.action)

    def gradient(self, full: Float[Tensor, " P"]) -> Real:
        """Return d log L / d parameters [P], 0 for fixed ones."""
        other = self._fallback(full)
        if other is not None:
            return other.gradient(full)
        found = self._derivatives(full).gradient(self._pulled(full))
        own = found.by_log_temperature * self._inside(full)
        return self._by_parameter(full, lambda r: (found.by_reward * r).sum(), own, torch.arange(len(own)))

    def hessian(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return the exact Hessian of log L [P, P], over free parameters."""
        other = self._fallback(full)
        if other is not None:
            return other.hessian(full)
        derivatives = self._derivatives(full)
        by_row = derivatives.hessian(self._pulled(full))
        found = ArrowMatrix.of_rows(self.directions.layout, by_row.numpy())
        if self.model.reward.is_linear:
            return found
        by_reward = derivatives.gradient(self._pulled(full)).by_reward
        return self._bent(full, lambda r: (by_reward * r).sum(), found)

    def jacobian(self, full: Float[Tensor, " P"], shift: Float[Tensor, "S A"] | None = None) -> Real:
        """Return d log pi(a|s) / d color of each observation [N, colors]; a shift is not for networks."""
        assert shift is None, "a change of reward by state and action is not asked of networks"
        other = self._fallback(full)
        if other is not None:
            return other.jacobian(full)
        return self._derivatives(full).scores(self._position, self.observations.action).numpy()

    def expected_information(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return the Fisher information [P, P]: sum over visits of E[score score'] under the model."""
        other = self._fallback(full)
        if other is not None:
            return other.expected_information(full)
        by_row = self._derivatives(full).information(self.observations)
        return ArrowMatrix.of_rows(self.directions.layout, by_row.numpy())

    def require_solvable(self, full: Float[Tensor, " P"]) -> None:
        """Raise the solver's sentence when there is no solution at a parameter vector."""
        self.model.at(full.detach()).require_solvable(self.expansion)

    def _kept(self, observations: Observations) -> Self:
        other = type(self)(self.model, observations, self._solved)
        other.expansion = self.expansion
        return other

    def counting(self, observations: Observations) -> Self:
        """Return the likelihood of the same decisions counted by other units; what was solved and derived is kept."""
        other = super().counting(observations)
        other._latest = self._latest
        return other

    @cached_property
    def pilot(self) -> "NetworkLikelihood | None":
        """The trips to the goals that people go to most, a tenth of very many."""
        pair, number = self.expansion.split(self._position)[0], len(self.expansion.pair_goal)
        if number < _PILOT**2 or len(self.expansion.rows) > 1:
            return None
        most = np.argsort(-np.bincount(pair, weights=self.observations.weight), kind="stable")[: number // _PILOT]
        return self._of(self.observations.select(np.isin(pair, most)))

    def _of(self, observations: Observations) -> "NetworkLikelihood":
        return NetworkLikelihood(self.model, observations)

    def _log_temperature(self, full: Tensor) -> Tensor:
        """[R] of the rows that have one of their own."""
        return full[self.model.table.temperatures].detach()[self.model.temperature_row()]

    def _temperature(self, full: Tensor) -> Tensor:
        return self._log_temperature(full).clamp(-LOG_TEMPERATURE_LIMIT, LOG_TEMPERATURE_LIMIT).exp()

    def _inside(self, full: Tensor) -> Tensor:
        """[R] 1 where a log temperature is within its limits, and moves with its parameter; else 0."""
        return (self._log_temperature(full).abs() < LOG_TEMPERATURE_LIMIT).to(DTYPE)

    def _derivatives(self, full: Float[Tensor, " P"]) -> GoalDerivatives:
        """Return the derivatives at a feasible parameter vector; those of the last one are kept."""
        key, solution = full.detach().numpy().tobytes(), self.solve(full)
        assert solution.status is SolveStatus.CONVERGED, "derivatives are asked for at feasible parameters only"
        if self._latest is None or self._latest[0] != key:
            moved = torch.from_numpy(self.directions.is_temperature.astype(np.float64))
            heated = self._inside(full)[:, None] * moved
            change = self.directions.reward(full)
            self._latest = (key, GoalDerivatives(solution, self._temperature(full), change, heated))
        return self._latest[1]

    def _pulled(self, full: Float[Tensor, " P"]) -> tuple[Pull, ...]:
        """Return what the decisions ask of the solution, for the gradient and for the Hessian at one place."""
        key = full.detach().numpy().tobytes()
        if self._pulls is None or self._pulls[0] != key:
            self._pulls = (key, self._derivatives(full).pulls(self.observations))
        return self._pulls[1]
