"""The only soft Bellman mathematics of the package: value, policy, backup, Newton step.

With temperature alpha and reference policy p0 (SCIENCE: control as inference)

    Q(s, a) = r(s, a) + discount * E[V(s')]
    V(s)    = alpha * log sum_a p0(a|s) exp(Q(s, a) / alpha)
    pi(a|s) = p0(a|s) exp((Q(s, a) - V(s)) / alpha)

alpha = 0 stands for the hard maximum (used to plan by the "boltzmann" planner). Continuous actions have the same
value with an integral instead of the sum: there p0 is the volume that each of some nodes stands for.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from humansoft.solvers.linear_system import LinearSystem, linear_system
from humansoft.solvers.problem import Problem
from humansoft.solvers.quadrature import ActionNodes

_TIE = 1e-10  # actions this close in Q, relative to its size, are equally good


class _Weights(NamedTuple):
    """Actions as the soft maximum weighs them: exp(scores) = p0 exp((Q - top) / alpha), whose sum is ``total``."""

    top: Tensor
    scores: Tensor
    each: Tensor
    total: Tensor


@dataclass(frozen=True, eq=False)
class SoftMaximum:
    """The soft maximum over actions, at temperatures above 0: what does not depend on Q is worked out once.

    Attributes:
        log_prior: log reference policy, -inf where the action cannot be chosen.
        temperature: alpha > 0 of each state, in reward units.

    Example:
        >>> import torch
        >>> value, log_policy = SoftMaximum(torch.zeros(1, 2), torch.ones(1)).backup(torch.tensor([[3.0, 3.0]]))
        >>> round(value.item(), 4), log_policy.exp().tolist()
        (3.6931, [[0.5, 0.5]])
    """

    log_prior: Float[Tensor, "... A"]
    temperature: Float[Tensor, "..."]

    def backup(self, q: Float[Tensor, "... A"]) -> tuple[Float[Tensor, "..."], Float[Tensor, "... A"]]:
        """Return V and log pi(a|s) of action values, both at the price of one; see :func:`soft_backup`."""
        top, scores, _, total = self.weighed(q)
        log_total = total.log()
        return torch.addcmul(top, self.temperature, log_total), scores - log_total[..., None]

    def weighed(self, q: Float[Tensor, "... A"]) -> _Weights:
        """Return how the actions weigh."""
        # The maximum is subtracted before dividing by a tiny temperature: exp never overflows, and the best action
        # weighs p0 at least. Unplayable actions get gap 0, so that it is finite, and are masked by the prior.
        if self._closed is None:
            top = q.detach().amax(dim=-1)
            gap = q - top[..., None]
        else:
            top = q.detach().masked_fill(self._closed, -torch.inf).amax(dim=-1).masked_fill_(self._ended, 0.0)
            gap = (q - top[..., None]).masked_fill(self._closed, 0.0)
        scores = torch.addcdiv(self.log_prior, gap, self.temperature[..., None])
        each = scores.exp()
        total = each.sum(dim=-1)
        return _Weights(top, scores, each, total if self._closed is None else total + self._ended)

    @cached_property
    def _closed(self) -> Bool[Tensor, "... A"] | None:
        """Where an action cannot be chosen; ``None`` where all can be, for then there is nothing to mask."""
        closed = self.log_prior == -torch.inf
        return closed if closed.any() else None

    @cached_property
    def _ended(self) -> Bool[Tensor, "..."]:
        """Where nothing can be done."""
        return (self.log_prior == -torch.inf).all(dim=-1)


def soft_backup(
    q: Float[Tensor, "... A"], log_prior: Float[Tensor, "... A"], temperature: Float[Tensor, "..."]
) -> tuple[Float[Tensor, "..."], Float[Tensor, "... A"]]:
    """Return V and log pi(a|s) of action values, at temperatures above 0 (both at the price of one).

    Where nothing can be done V is 0; unplayable actions have log probability -inf.
    """
    return SoftMaximum(log_prior, temperature).backup(q)


def soft_value(
    q: Float[Tensor, "... A"], log_prior: Float[Tensor, "... A"], temperature: Float[Tensor, "..."]
) -> Float[Tensor, "..."]:
    """Return V = alpha log sum_a p0 exp(Q/alpha); max_a Q at temperature 0; 0 where nothing can be done.

    Args:
        q: action values; entries of unplayable actions are ignored.
        log_prior: log reference policy, -inf where the action cannot be chosen.
        temperature: alpha >= 0 of each state, in reward units.

    Example:
        >>> import math, torch
        >>> q, uniform = torch.tensor([[1.0, 1.0]]), torch.full((1, 2), -math.log(2))
        >>> soft_value(q, uniform, torch.tensor([0.5])).item()
        1.0
    """
    if temperature.any():
        return soft_backup(q, log_prior, temperature)[0]
    playable = torch.isfinite(log_prior)
    best = torch.where(playable, q, -torch.inf).argmax(dim=-1, keepdim=True)
    return torch.where(playable.any(dim=-1), q.gather(-1, best).squeeze(-1), 0.0)


def soft_integral(
    q: Float[Tensor, "... J"], nodes: ActionNodes, temperature: Float[Tensor, "..."]
) -> Float[Tensor, "..."]:
    """Return V = alpha log integral exp(Q(s, a) / alpha) da of continuous actions, differentiable in Q.

    The density of an action is then exp((Q - V) / alpha); it can exceed 1, and V depends on the unit that
    actions are measured in.

    Args:
        q: action values at the nodes, for a batch of states.
        nodes: the actions at which Q was asked, and the volume that each of them stands for.
        temperature: alpha > 0 of each state, in reward units.

    Example:
        >>> import torch
        >>> nodes = ActionNodes.trapezoid([0.0], [2.0], num_nodes=5)
        >>> flat = torch.ones(1, 5, dtype=torch.float64)  # Q = 1 everywhere: V = 1 + alpha * log(2)
        >>> round(soft_integral(flat, nodes, torch.tensor([0.5], dtype=torch.float64)).item(), 6)
        1.346574
    """
    return soft_backup(q, nodes.log_volume.expand_as(q), temperature)[0]


def log_soft_policy(
    q: Float[Tensor, "... A"], log_prior: Float[Tensor, "... A"], temperature: Float[Tensor, "..."]
) -> Float[Tensor, "... A"]:
    """Return log pi(a|s), -inf for unplayable actions (and everywhere in an ended state)."""
    return soft_backup(q, log_prior, temperature)[1]


def policy_of(
    q: Float[Tensor, "... A"], log_prior: Float[Tensor, "... A"], temperature: Float[Tensor, "..."]
) -> Float[Tensor, "... A"]:
    """Return pi(a|s); uniform over the best actions at temperature 0; all 0 in an ended state."""
    if temperature.any():
        return log_soft_policy(q, log_prior, temperature).exp()
    # All of the best: undiscounted, the first best action alone may go round in circles at no cost.
    best = greedy_mask(q, torch.isfinite(log_prior)).to(q.dtype)
    return best / best.sum(dim=-1, keepdim=True).clamp_min(1.0)


def action_value(problem: Problem, reward: Float[Tensor, "M A"], value: Float[Tensor, " M"]) -> Float[Tensor, "M A"]:
    """Return Q = r + discount * E[V(s')] (the Bellman backup before the maximum)."""
    return torch.add(reward, problem.expected_next(value), alpha=problem.discount)


def plan_backup(
    problem: Problem, reward: Float[Tensor, "M A"], temperature: Float[Tensor, " M"], value: Float[Tensor, " M"]
) -> tuple[Float[Tensor, " M"], Float[Tensor, "M A"]]:
    """Return T(V) and the policy that attains it; at temperature 0, what the policy of all best actions gets."""
    q = action_value(problem, reward, value)
    if temperature.any():
        top, _, each, total = SoftMaximum(problem.log_prior, temperature).weighed(q)
        return top + temperature * total.log(), each / total[:, None]
    # Value and derivative are those of one policy, also where actions tie.
    policy = policy_of(q, problem.log_prior, temperature)
    return torch.where(problem.playable, policy * q, 0.0).sum(dim=-1), policy


def newton_step(
    problem: Problem,
    reward: Float[Tensor, "M A"],
    temperature: Float[Tensor, " M"],
    value: Float[Tensor, " M"],
    system: LinearSystem | None = None,
) -> Float[Tensor, " M"]:
    """Return V + (I - discount P_pi)^-1 (T(V) - V): one Newton step = one soft policy iteration.

    Iterated it solves the soft Bellman equation; taken once more with autograd from the solution
    it carries the exact first derivative (implicit function theorem, STYLE 5.4). Derivatives of
    higher order are in :mod:`humansoft.solvers.derivatives`.

    Args:
        problem: the decision process.
        reward: reward of every state and action.
        temperature: planning temperature of every state.
        value: where the step starts.
        system: the matrix of the policy of ``value``, when it has been made before.
    """
    target, policy = plan_backup(problem, reward, temperature, value)
    system = system or linear_system(problem, policy)
    return value + system.solve(policy, target - value)


def prior_policy(problem: Problem) -> Float[Tensor, "M A"]:
    """Return the reference policy, normalised over the playable actions."""
    weights = torch.where(problem.playable, problem.log_prior.exp(), 0.0)
    return weights / weights.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)


def policy_value(
    problem: Problem,
    reward: Float[Tensor, "M A"],
    temperature: Float[Tensor, " M"],
    policy: Float[Tensor, "M A"],
) -> Float[Tensor, " M"]:
    """Return the soft value of a fixed policy: sum of r - alpha * log(pi / p0), discounted."""
    ratio = torch.where(policy > 0, policy.clamp_min(torch.finfo(policy.dtype).tiny).log() - problem.log_prior, 0.0)
    gain = torch.where(policy > 0, policy * (reward - temperature[:, None] * ratio), 0.0).sum(dim=-1)
    return linear_system(problem, policy).solve(policy, gain)


def greedy_mask(q: Float[Tensor, "... A"], playable: Bool[Tensor, "... A"]) -> Bool[Tensor, "... A"]:
    """Mark the actions of maximal Q (all of them, up to rounding)."""
    masked = torch.where(playable, q, -torch.inf)
    top = masked.amax(dim=-1, keepdim=True)
    return playable & (masked >= top - _TIE * (1 + top.abs()))
