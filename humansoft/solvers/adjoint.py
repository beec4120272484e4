"""The gradient of a log-likelihood by reward and temperature: one transposed solve, whatever the number of parameters.

With counts n(s, a) of decisions made at temperature alpha, and M = I - discount * P_pi (SCIENCE 4.1),

    g = (n - n(s) pi) / alpha                     derivative by Q, later states held
    u = M^-T (discount * P' g)                    derivative by V, through all later steps

    d / d reward(s, a)        = g + u(s) pi(a|s)
    d / d log temperature(s)  = u(s) (V - E_pi[Q]) - sum_a g Q

A plan made with the hard maximum has no uncertainty V - E_pi[Q]. With a horizon, M^-T is forward recursion over time.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from humansoft.solvers.bellman import policy_of
from humansoft.solvers.linear_system import LinearSystem, linear_system
from humansoft.solvers.problem import Problem
from humansoft.solvers.solution import SoftSolution


class Pull(NamedTuple):
    """What counts ask of a solution.

    Attributes:
        on_q: [T, M, A] derivative by Q, later states held (g).
        on_value: [T, M] derivative by V, through all later steps (u).
    """

    on_q: Float[Tensor, "T M A"]
    on_value: Float[Tensor, "T M"]


@dataclass(frozen=True, eq=False)
class Adjoint:
    """A solution as its derivatives see it; tables have a time axis [T] in front (T = 1 without horizon).

    Attributes:
        problem: the decision process (M states).
        solution: its solution.
        temperature: [M] temperature of each state.
        plan_hard: whether the plan was made with the hard maximum (the "boltzmann" planner).
    """

    problem: Problem
    solution: SoftSolution
    temperature: Float[Tensor, " M"]
    plan_hard: bool
    _pulled: list[tuple[Tensor, Pull]] = field(default_factory=list, repr=False)  # of the last counts

    def pull(self, counts: Float[Tensor, "T M A"]) -> Pull:
        """Return the derivatives of sum(counts * log pi) by Q and by V; those of the last counts are kept."""
        if not self._pulled or self._pulled[0][0] is not counts:
            self._pulled[:] = [(counts, self._pull(counts))]
        return self._pulled[0][1]

    def _pull(self, counts: Float[Tensor, "T M A"]) -> Pull:
        visits = counts.sum(dim=-1, keepdim=True)
        on_q = (counts - visits * self.policy) / self.temperature[:, None]
        discount, problem = self.problem.discount, self.problem
        if problem.horizon is None:
            return Pull(on_q, self.system.apply_inverse(discount * problem.flow(on_q[0]), transposed=True)[None])
        on_value = [torch.zeros_like(on_q[0, :, 0])]
        for own, plan in zip(on_q[:-1], self.plan[:-1], strict=True):
            on_value.append(discount * problem.flow(torch.addcmul(own, on_value[-1][:, None], plan)))
        return Pull(on_q, torch.stack(on_value))

    def by_reward(self, pull: Pull) -> Float[Tensor, "T M A"]:
        """Return the derivative by the reward of every state and action at each time."""
        return pull.on_q + pull.on_value[..., None] * self.plan

    def by_log_temperature(self, pull: Pull) -> Float[Tensor, " M"]:
        """Return the derivative by the log temperature of every state."""
        return (pull.on_value * self.uncertainty - (pull.on_q * self.q).sum(dim=-1)).sum(dim=0)

    @cached_property
    def policy(self) -> Float[Tensor, "T M A"]:
        """What people do."""
        return self._timed(self.solution.log_policy.exp())

    @cached_property
    def q(self) -> Float[Tensor, "T M A"]:
        """Q, 0 where the action cannot be chosen."""
        return self._timed(torch.where(self.problem.playable, self.solution.q, 0.0))

    @cached_property
    def plan(self) -> Float[Tensor, "T M A"]:
        """The policy that the plan counts on."""
        if not self.plan_hard:
            return self.policy
        return policy_of(self._timed(self.solution.q), self.problem.log_prior, torch.zeros_like(self.temperature))

    @cached_property
    def uncertainty(self) -> Float[Tensor, "T M"]:
        """V - E_pi[Q]: temperature times the entropy (or minus the divergence); 0 for hard plans."""
        if self.plan_hard:
            return torch.zeros_like(self._timed(self.solution.value))
        return self._timed(self.solution.value) - (self.plan * self.q).sum(dim=-1)

    @cached_property
    def system(self) -> LinearSystem:
        """The system I - discount * P_pi of the plan, without a horizon."""
        return self.solution.system or linear_system(self.problem, self.plan[0])

    def _timed(self, table: Tensor) -> Tensor:
        return table[None] if self.problem.horizon is None else table
