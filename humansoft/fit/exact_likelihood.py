"""The likelihood with the soft Bellman equation solved for every person (or group) and context that occurs."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.func import functional_call

from humansoft._types import DTYPE
from humansoft.fit.arrow import ArrowMatrix
from humansoft.fit.likelihood import LOG_TEMPERATURE_LIMIT, AbstractLikelihood, Pulled
from humansoft.solvers.adjoint import Adjoint
from humansoft.solvers.derivatives import Derivatives
from humansoft.solvers.expansion import Expansion, Observations
from humansoft.solvers.solution import SoftSolution, SolveStatus

Real = npt.NDArray[np.float64]


@dataclass(eq=False)
class ExactLikelihood(AbstractLikelihood):
    """The exact likelihood; its last solution is kept as the start of the next one."""

    _warm: Tensor | None = field(default=None, repr=False)
    _solved: tuple[bytes, SoftSolution] | None = field(default=None, repr=False)
    _seen_by_derivatives: Adjoint | None = field(default=None, repr=False)
    _latest: tuple[bytes, Derivatives] | None = field(default=None, repr=False)
    _latest_hessian: tuple[Derivatives, ArrowMatrix] | None = field(default=None, repr=False)
    _latest_scores: tuple[bytes, npt.NDArray[np.int64], Tensor] | None = field(default=None, repr=False)

    @torch.no_grad()
    def solve(self, full: Float[Tensor, " P"]) -> SoftSolution:
        """Solve the model at a parameter vector; the last solution is kept."""
        full = full.detach()
        here = full[: self.model.table.temperatures.stop].numpy().tobytes()  # nothing else is planned with
        if self._solved is not None and self._solved[0] == here:
            return self._solved[1]
        named, table = list(self.model.reward.named_parameters()), self.model.table
        chunks = torch.split(full[table.rewards], [p.numel() for _, p in named])
        values = {f"reward.{name}": c.view_as(p) for (name, p), c in zip(named, chunks, strict=True)}
        values["log_temperature"] = full[table.temperatures].clamp(-LOG_TEMPERATURE_LIMIT, LOG_TEMPERATURE_LIMIT)
        options = {"differentiable": False, "start": self._guess(full)}
        solution: SoftSolution = functional_call(self.model, values, (self.expansion,), options)
        self._solved = (here, solution)
        if self.model.task.horizon is None and solution.status is SolveStatus.CONVERGED:
            self._warm = solution.value
        return solution

    def begin_with(self, value: Float[Tensor, " M"]) -> None:
        """Start the next solution from a value that is thought to be near it."""
        self._warm, self._latest = value, None

    def _guess(self, full: Tensor) -> Tensor | None:
        """Return where to start: the last value, carried along its derivative where that is known."""
        if self._latest is None or self._warm is None:
            return self._warm
        there, derivatives = self._latest
        moved = np.append(full.numpy() - np.frombuffer(there), 0.0)  # owner -1: nothing moves
        step = torch.from_numpy(moved[self.directions.owner])[self.expansion.row]
        change = derivatives.value_change
        return derivatives.adjoint.solution.value + (change * step.to(change.device)).sum(dim=1)

    def log_prob(self, full: Float[Tensor, " P"]) -> Float[Tensor, " N"] | None:
        """Return log pi(a|s) of each observation, or ``None`` where the problem has no solution."""
        solution = self.solve(full)
        if solution.status is not SolveStatus.CONVERGED:
            return None
        table = solution.log_policy.reshape(-1, len(self.model.task.actions))
        observed = self.observations
        place = torch.from_numpy(self._position * table.shape[1] + observed.action)
        return table.take(place.to(table.device)).cpu()

    def value(self, full: Float[Tensor, " P"]) -> float:
        """Return the log-likelihood: what people did is summed up first, for many did the same."""
        solution = self.solve(full)
        if solution.status is not SolveStatus.CONVERGED:
            return -np.inf
        place, weight = self._done
        return float(torch.dot(weight, solution.log_policy.take(place)))

    @cached_property
    def _done(self) -> tuple[Int[Tensor, " D"], Float[Tensor, " D"]]:
        """What was done at all, as places in a table of log pi, and how often."""
        counts = self.counts.flatten()
        place = counts.nonzero()[:, 0]
        return place, counts[place]

    @cached_property
    def expansion(self) -> Expansion:
        """The states that have to be solved."""
        return self.model.expand(self.observations.row, self.observations.state)

    @cached_property
    def _position(self) -> npt.NDArray[np.int64]:
        """[N] where each observation stands in a time-major table of the states."""
        return self.expansion.position(self.model.task, self.observations)

    def gradient(self, full: Float[Tensor, " P"]) -> Real:
        """Return d log L / d parameters [P], 0 for fixed ones."""
        return self._gradient_of(full, self.counts)

    def _gradient_of(self, full: Float[Tensor, " P"], counts: Float[Tensor, "T M A"]) -> Real:
        """Return d sum(counts * log pi) / d parameters [P], 0 for fixed ones."""
        adjoint = self._adjoint(full)
        pull = adjoint.pull(counts)
        by_reward, own = adjoint.by_reward(pull), torch.zeros(len(self.expansion.row), dtype=DTYPE)
        if self.directions.is_temperature.any():
            own = adjoint.by_log_temperature(pull).cpu() * self._inside(full)
        rows = self.expansion.row
        return self._by_parameter(full, self._pulled(by_reward), own, rows)

    def hessian(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return the exact Hessian of log L [P, P]; the last one is kept."""
        derivatives = self._derivatives(full)
        if self._latest_hessian is None or self._latest_hessian[0] is not derivatives:
            self._latest_hessian = (derivatives, self._hessian(full, derivatives))
        return self._latest_hessian[1]

    def _hessian(self, full: Float[Tensor, " P"], derivatives: Derivatives) -> ArrowMatrix:
        counts = self.counts
        by_row = derivatives.hessian(counts, self.expansion.row.to(counts.device))
        found = ArrowMatrix.of_rows(self.directions.layout, by_row.cpu().numpy())
        if self.model.reward.is_linear:
            return found
        by_reward = derivatives.adjoint.by_reward(derivatives.adjoint.pull(counts))
        return self._bent(full, self._pulled(by_reward), found)

    def _pulled(self, by_reward: Float[Tensor, "T M A"]) -> Pulled:
        """Return what multiplies rewards with the derivatives by them."""
        at_any_time = by_reward.sum(dim=0)

        def pulled(rewards: Tensor) -> Tensor:
            laid_out = self.expansion.laid_out(rewards)
            return ((by_reward if laid_out.ndim == by_reward.ndim else at_any_time) * laid_out).sum()

        return pulled

    def jacobian(self, full: Float[Tensor, " P"], shift: Float[Tensor, "S A"] | None = None) -> Real:
        """Return d log pi(a|s) / d color of each observation [N, colors]."""
        seen = self.observations
        places, back = np.unique(self._position, return_inverse=True)
        found: Real = self._scores(full, places, shift).numpy()[back, seen.action]
        return found

    def _scores(
        self, full: Float[Tensor, " P"], position: npt.NDArray[np.int64], shift: Float[Tensor, "S A"] | None = None
    ) -> Float[Tensor, "D A C"]:
        """Return d log pi(.|s) / d color at some places of a time-major table of the states; the last ones are kept."""
        key, device = full.detach().numpy().tobytes(), self.expansion.problem.device
        time, state = (torch.from_numpy(code).to(device) for code in np.divmod(position, max(self._num_states, 1)))
        latest = self._latest_scores
        if latest is None or latest[0] != key or not np.array_equal(latest[1], position):
            latest = (key, position, self._derivatives(full).scores(time, state).cpu())
            self._latest_scores = latest
        if shift is None:
            return latest[2]
        return torch.cat([latest[2], self._along(full, shift).scores(time, state).cpu()], dim=-1)

    @property
    def _num_states(self) -> int:
        return len(self.expansion.state)

    def expected_information(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return the Fisher information [P, P]: sum over visits of E[score score'] under the model."""
        visits = self.counts.sum(dim=-1)
        by_row = self._derivatives(full).information(visits, self.expansion.row.to(visits.device))
        return ArrowMatrix.of_rows(self.directions.layout, by_row.cpu().numpy())

    @cached_property
    def counts(self) -> Float[Tensor, "T M A"]:
        """How often each action was seen in each state (and time)."""
        seen, num_actions = self.observations, len(self.model.task.actions)
        times, size = self.model.task.horizon or 1, len(self.expansion.state)
        place = self._position * num_actions + seen.action
        counts = np.bincount(place, weights=seen.weight, minlength=times * size * num_actions)
        table = torch.from_numpy(counts.astype(np.float64).reshape(times, size, num_actions))
        return table.to(self.expansion.problem.device)

    def _adjoint(self, full: Float[Tensor, " P"]) -> Adjoint:
        """Return the solution as its derivatives see it; that of the last one is kept."""
        solution = self.solve(full)
        if self._seen_by_derivatives is not None and self._seen_by_derivatives.solution is solution:
            return self._seen_by_derivatives
        assert solution.status is SolveStatus.CONVERGED, "derivatives are asked for at feasible parameters only"
        limit = LOG_TEMPERATURE_LIMIT
        temperature = self._log_temperature(full).clamp(-limit, limit).exp()
        problem, plan_hard = self.expansion.problem, self.model.planner == "boltzmann"
        self._seen_by_derivatives = Adjoint(problem, solution, temperature.to(problem.device), plan_hard)
        return self._seen_by_derivatives

    def _log_temperature(self, full: Float[Tensor, " P"]) -> Float[Tensor, " M"]:
        own = full[self.model.table.temperatures].detach()
        return own[self.model.temperature_row()][self.expansion.row]

    def _inside(self, full: Float[Tensor, " P"]) -> Float[Tensor, " M"]:
        """1 where a log temperature is within its limits, and moves with its parameter; else 0."""
        return (self._log_temperature(full).abs() < LOG_TEMPERATURE_LIMIT).to(DTYPE)

    @torch.no_grad()
    def _derivatives(self, full: Float[Tensor, " P"]) -> Derivatives:
        """Return the derivatives at a feasible parameter vector; those of the last one are kept."""
        key = full.detach().numpy().tobytes()
        if self._latest is None or self._latest[0] != key:
            directions = self.directions
            reward = self.expansion.columns_laid_out(directions.reward(full))
            moved = torch.from_numpy(directions.is_temperature.astype(np.float64))
            log_temperature = self._inside(full)[:, None] * moved
            self._latest = (key, Derivatives(self._adjoint(full), reward, log_temperature.to(reward.device)))
        return self._latest[1]

    @torch.no_grad()
    def _along(self, full: Float[Tensor, " P"], shift: Float[Tensor, "S A"]) -> Derivatives:
        """Return the derivatives along a change of reward alone."""
        adjoint = self._adjoint(full)
        changed = shift[self.expansion.state][..., None].to(self.expansion.problem.device)
        return Derivatives(adjoint, changed, changed.new_zeros((self._num_states, 1)))

    def require_solvable(self, full: Float[Tensor, " P"]) -> None:
        """Raise the solver's sentence when there is no solution at a parameter vector."""
        self.model.at(full.detach()).require_solvable(self.expansion)

    def counting(self, observations: Observations) -> Self:
        """Return the likelihood of the same decisions counted by other units; what was solved and derived is kept."""
        other = super().counting(observations)
        other._latest, other._latest_scores = self._latest, self._latest_scores
        return other

    def _kept(self, observations: Observations) -> Self:
        other = type(self)(self.model, observations, self._warm, self._solved, self._seen_by_derivatives)
        other.expansion = self.expansion
        return other

    def weighing(self, weight: Real) -> Self:
        """Return the likelihood of the same decisions with other weights [N]; what was solved is kept."""
        other = self.counting(replace(self.observations, weight=weight))
        other._position = self._position
        return other

    def _of(self, observations: Observations) -> "ExactLikelihood":
        return ExactLikelihood(self.model, observations)
