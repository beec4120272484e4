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

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from humansoft.solvers.adjoint import Adjoint
from humansoft.solvers.problem import Problem

_AT_ONCE = 2**17  # numbers of a table of several times: a megabyte stays in the cache
_KEPT = 2**22  # numbers of a table of all times that is kept for the next question: 32 megabytes


class Moments(NamedTuple):
    """Some times, one after the other."""

    first: int
    stop: int

    @property
    def slice(self) -> slice:
        """The same, to take them out of a table."""
        return slice(self.first, self.stop)

    def asked(self, time: Int[Tensor, " N"]) -> Int[Tensor, " K"]:
        """Return which of N times are among these."""
        return ((time >= self.first) & (time < self.stop)).nonzero()[:, 0]


class Change(NamedTuple):
    """What Q changes by along C directions, at some times.

    Attributes:
        moments: these times.
        q: dQ.
        mean: its mean over what is planned to be done.
    """

    moments: Moments
    q: Float[Tensor, "K M A C"]
    mean: Float[Tensor, "K M C"]


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
        found = self.reward.new_empty((len(state), *self.reward.shape[-2:]))
        playable, alpha = self.adjoint.problem.playable, self.adjoint.temperature
        for change in self._changes():
            asked = change.moments.asked(time)
            there = state[asked]
            gain = self._above_mean(change, time[asked] - change.moments.first, there)
            found[asked] = gain.masked_fill_(~playable[there][..., None], 0.0).div_(alpha[there][:, None, None])
        return found

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
        weight = here.temperature * on_value - counts.sum(dim=-1)
        found = self._nothing(rows)
        for change in self._changes():
            if self._heats:
                pulled = (on_q[change.moments.slice][..., None] * change.q).sum(dim=(0, 2))
                slope = by_row(self.log_temperature, pulled, rows)
                found -= slope + slope.mT
            found += self._spread(change, weight[change.moments.slice], rows)
        if self._heats:
            bend = ((on_q * here.q).sum(dim=-1) + on_value * here.uncertainty).sum(dim=0)
            found += by_row(bend[:, None] * self.log_temperature, self.log_temperature, rows)
        return found

    def information(self, visits: Float[Tensor, "T M"], rows: Int[Tensor, " M"]) -> Float[Tensor, "R C C"]:
        """Return sum over visits of E_pi[score score'], the part of each row; see :meth:`hessian`."""
        found = self._nothing(rows)
        for change in self._changes():
            found += self._spread(change, visits[change.moments.slice], rows)
        return found

    def _spread(self, change: Change, weight: Float[Tensor, "K M"], rows: Int[Tensor, " M"]) -> Float[Tensor, "R C C"]:
        """Return the sum of weight * Cov_pi(score, score') at some times, the part of each row."""
        policy, share = self.adjoint.policy[change.moments.slice], weight / self.adjoint.temperature.square()
        if _count(rows) == 1:  # nothing to sort: no need to take anything out of the tables
            gain = self._above_mean(change, slice(None), slice(None))
            return ((gain * (share[..., None] * policy)[..., None]).flatten(0, 2).T @ gain.flatten(0, 2))[None]
        # State by state, for a row is a stretch of states; what has no weight costs nothing.
        state, place = (weight.T != 0).nonzero(as_tuple=True)
        gain = self._above_mean(change, place, state)
        weighed = gain * (share[place, state][:, None] * policy[place, state])[..., None]
        return by_row(weighed, gain, rows[state], _count(rows))

    def _above_mean(
        self, change: Change, place: Int[Tensor, " N"] | slice, state: Int[Tensor, " N"] | slice
    ) -> Float[Tensor, "*N A C"]:
        """Return A_j - E_pi[A_j] at the asked places among some times; finite where an action cannot be chosen."""
        here, moments = self.adjoint, change.moments.slice
        policy, found = here.policy[moments][place, state], change.q[place, state]
        found = found - (mean(policy, found) if here.plan_hard else change.mean[place, state]).unsqueeze(-2)
        if self._heats:
            q = here.q[moments][place, state]
            above = q - (policy * q).sum(dim=-1, keepdim=True)
            found -= self.log_temperature[state][:, None, :] * above[..., None]
        return found

    def _nothing(self, rows: Int[Tensor, " M"]) -> Float[Tensor, "R C C"]:
        num_directions = self.reward.shape[-1]
        return self.reward.new_zeros((_count(rows), num_directions, num_directions))

    @cached_property
    def _heats(self) -> bool:
        """Whether a temperature moves along some direction."""
        return bool(self.log_temperature.any())

    @cached_property
    def value_change(self) -> Float[Tensor, "M C"]:
        """Change of V along each direction, without a horizon."""
        gain = mean(self.adjoint.plan[0], self.reward)
        return self.adjoint.system.apply_inverse(gain + self._heat(0) if self._heats else gain)

    @cached_property
    def _lasting_change(self) -> Change:
        """What changes along each direction, without a horizon."""
        problem = self.adjoint.problem
        q = problem.expected_next(self.value_change).mul_(problem.discount).add_(self.reward)[None]
        return Change(Moments(0, 1), q, mean(self.adjoint.plan, q))

    def _changes(self) -> Iterator[Change]:
        """Return what changes along each direction, some times after the others."""
        here = self.adjoint
        if here.problem.horizon is None:
            return iter([self._lasting_change])
        size = here.plan.numel() * self.reward.shape[-1]
        return iter(self._small_changes) if size <= _KEPT else self._carried_back()

    @cached_property
    def _small_changes(self) -> list[Change]:
        """The same, kept: second derivatives, information and scores all begin with them."""
        return list(self._carried_back())

    def _carried_back(self) -> Iterator[Change]:
        here = self.adjoint
        return carried_back(here.problem, here.plan, self.reward, self._heat if self._heats else None)

    def _heat(self, time: int) -> Float[Tensor, "M C"]:
        """Return what a warmer temperature adds to V while Q stays the same: c (V - E_pi[Q])."""
        return self.log_temperature * self.adjoint.uncertainty[time][:, None]


def carried_back(
    problem: Problem,
    plan: Float[Tensor, "T M A"],
    reward: Float[Tensor, "*T M A C"],
    more: Callable[[int], Float[Tensor, "M C"]] | None,
) -> Iterator[Change]:
    """Return what C columns of rewards add up to when a plan is followed: Q at some times, the last ones first.

    Nobody needs a table of all times at once; a table that stays in the cache is faster, too.

    Args:
        problem: the decision process, with a horizon.
        plan: what is done at each time.
        reward: what is paid, the same at every time or that of each time.
        more: what V has on top of the mean of Q at a time.
    """
    following = reward.new_zeros((reward.shape[-3], reward.shape[-1]))
    at_once = max(_AT_ONCE // max(reward.shape[-3:].numel(), 1), 1)
    for stop in range(len(plan), 0, -at_once):
        moments = Moments(max(stop - at_once, 0), stop)
        table = reward.new_empty((stop - moments.first, *reward.shape[-3:]))
        means = torch.empty_like(table[:, :, 0])
        for time in reversed(range(moments.first, stop)):
            q, paid = table[time - moments.first], reward if reward.ndim == 3 else reward[time]
            torch.add(paid, problem.expected_next(following), alpha=problem.discount, out=q)
            following = mean(plan[time], q)
            means[time - moments.first] = following
            if more is not None:
                following += more(time)
        yield Change(moments, table, means)


def mean(policy: Float[Tensor, "*N A"], table: Float[Tensor, "*N A C"]) -> Float[Tensor, "*N C"]:
    """Return the mean of a table over actions."""
    return (policy[..., None] * table).sum(dim=-2)


def by_row(
    left: Float[Tensor, "N *A C"], right: Float[Tensor, "N *A C"], rows: Int[Tensor, " N"], count: int = 0
) -> Float[Tensor, "R C C"]:
    """Return the sum of left' right over the states (and actions) of each row, a stretch of states.

    Rows without states have their place too, up to ``count`` of them.
    """
    ends = torch.cumsum(torch.bincount(rows, minlength=count), 0).cpu().tolist()
    stretches = (slice(low, high) for low, high in zip([0, *ends[:-1]], ends, strict=True))
    return torch.stack([left[some].flatten(0, -2).T @ right[some].flatten(0, -2) for some in stretches])


def _count(rows: Int[Tensor, " M"]) -> int:
    """Return the number of rows R."""
    return int(rows[-1]) + 1 if len(rows) else 0
