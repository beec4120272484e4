"""Exact first and second derivatives of soft-optimal behavior, in closed form.

Along directions j of the parameters, with dr_j the change of reward and c_j = d log(temperature) / dj, the
solution Q, V, pi at temperature alpha of prior p0 changes as (implicit function theorem, SCIENCE 4.1)

    dV_j          = M^-1 (E_pi[dr_j] + c_j (V - E_pi[Q])),     M = I - discount * P_pi
    dQ_j          = dr_j + discount * E[dV_j(s')]
    d log pi_j    = (A_j - E_pi[A_j]) / alpha,                 A_j = dQ_j - c_j Q
    d2V_jk        = M^-1 (c_j c_k (V - E_pi[Q]) + alpha * Cov_pi(d log pi_j, d log pi_k))

for rewards that are linear in the parameters; others add their own second derivative. The log-likelihood of
counts n(s, a), with g = (n - n(s) pi) / alpha and u = M^-T (discount * P' g), then has the second derivative

    sum g (c_j c_k Q - c_j dQ_k - c_k dQ_j) + sum_s u c_j c_k (V - E_pi[Q]) + sum_s (alpha u - n) Cov_pi(.,.)

A plan made with the hard maximum does not curve: there only n Cov_pi and the terms in g are left. With a
horizon, M^-1 is backward recursion and M^-T forward recursion over time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from humansoft.solvers.adjoint import Adjoint
from humansoft.solvers.problem import Problem


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Derivatives of a solution along C directions; tables have a time axis [T] in front (T = 1 without horizon).

    Attributes:
        adjoint: the solution (of M states).
        reward: [M, A, C] change of the reward along each direction, or [T, M, A, C] that at each time.
        log_temperature: [M, C] change of the log temperature along each direction.
    """

    adjoint: Adjoint
    reward: Float[Tensor, "*T M A C"]
    log_temperature: Float[Tensor, "M C"]

    def scores(self, time: Int[Tensor, " N"], state: Int[Tensor, " N"]) -> Float[Tensor, "N A C"]:
        """Return the change of log pi(a|s) along each direction, where asked; 0 for actions that cannot be chosen."""
        here = self.adjoint
        change = self._q_change[time, state]
        if self._heats:
            change -= self.log_temperature[state][:, None, :] * here.q[time, state][..., None]
        change -= _mean(here.policy[time, state], change)[:, None, :]
        playable = here.problem.playable[state][..., None]
        return change.masked_fill_(~playable, 0.0).div_(here.temperature[state][:, None, None])

    def hessian(self, counts: Float[Tensor, "T M A"], rows: Int[Tensor, " M"]) -> Float[Tensor, "R C C"]:
        """Return the second derivative of sum(counts * log pi), the part of each row (blocks of equal number).

        Args:
            counts: how often each action was seen in each state (and time).
            rows: [M] number of the row each state belongs to, in ascending order.
        """
        here = self.adjoint
        on_q, on_value = here.pull(counts)
        if here.plan_hard:
            on_value = torch.zeros_like(on_value)  # a hard plan is linear in the reward while nobody changes it
        found = self._spread(here.temperature * on_value - counts.sum(dim=-1), rows)
        if self._heats:
            bend = (on_q * here.q).sum(dim=-1) + on_value * here.uncertainty
            for row, block in enumerate(_stretches(rows)):
                c = self.log_temperature[block]
                slope = torch.einsum("tma,mj,tmak->jk", on_q[:, block], c, self._q_change[:, block])
                found[row] += torch.einsum("tm,mj,mk->jk", bend[:, block], c, c) - slope - slope.T
        return found

    def information(self, visits: Float[Tensor, "T M"], rows: Int[Tensor, " M"]) -> Float[Tensor, "R C C"]:
        """Return sum over visits of E_pi[score score'], the part of each row; see :meth:`hessian`."""
        return self._spread(visits, rows)

    def _spread(self, weight: Float[Tensor, "T M"], rows: Int[Tensor, " M"]) -> Float[Tensor, "R C C"]:
        """Return the sum of weight * Cov_pi(score, score'), the part of each row."""
        # State by state, for a row is a stretch of states; what has no weight costs nothing.
        state, time = (weight.T != 0).nonzero(as_tuple=True)
        scores = self.scores(time, state)
        weighted = scores * (weight[time, state][:, None] * self.adjoint.policy[time, state])[..., None]
        stretches = _stretches(rows[state], int(rows[-1]) + 1 if len(rows) else 0)
        return torch.stack([weighted[b].flatten(0, 1).T @ scores[b].flatten(0, 1) for b in stretches])

    @cached_property
    def _heats(self) -> bool:
        """Whether a temperature moves along some direction."""
        return bool(self.log_temperature.any())

    @cached_property
    def value_change(self) -> Float[Tensor, "M C"]:
        """Change of V along each direction, without a horizon."""
        return self.adjoint.system.apply_inverse(self._gain[0])

    @cached_property
    def _gain(self) -> Tensor:
        """[T, M, C] what a step along each direction adds to V at once, later states held."""
        here = self.adjoint
        gain = torch.einsum("tma,mac->tmc" if self.reward.ndim == 3 else "tma,tmac->tmc", here.plan, self.reward)
        return gain + self.log_temperature * here.uncertainty[..., None] if self._heats else gain

    @cached_property
    def _q_change(self) -> Tensor:
        """[T, M, A, C] dQ along each direction."""
        problem = self.adjoint.problem
        if problem.horizon is None:
            ahead = (problem.discount * problem.expected_next(self.value_change))[None]
        else:
            ahead = carried_back(problem, self.adjoint.plan, self._gain)
        return ahead.add_(self.reward)


def carried_back(
    problem: Problem, plan: Float[Tensor, "T M A"], gain: Float[Tensor, "T M C"]
) -> Float[Tensor, "T M A C"]:
    """Return discount * E[V'] of C columns of values, each the sum of what a plan gains from then on, at each time."""
    ahead = gain.new_empty((*plan.shape, gain.shape[-1]))
    following = torch.zeros_like(gain[0])
    for time in reversed(range(len(gain))):
        torch.mul(problem.expected_next(following), problem.discount, out=ahead[time])
        following = gain[time] + _mean(plan[time], ahead[time])
    return ahead


def _mean(policy: Float[Tensor, "N A"], table: Float[Tensor, "N A C"]) -> Float[Tensor, "N C"]:
    """Return the mean of a table over actions: one action at a time, for that needs no room for products."""
    mean = torch.zeros_like(table[:, 0])
    for a in range(policy.shape[1]):
        mean.addcmul_(policy[:, a, None], table[:, a])
    return mean


def _stretches(rows: Tensor, count: int = 0) -> Iterator[slice]:
    """Return the stretch of each row's states, rows without states included as empty stretches."""
    ends = torch.cumsum(torch.bincount(rows, minlength=count), 0).cpu().tolist()
    return (slice(low, high) for low, high in zip([0, *ends[:-1]], ends, strict=True))
