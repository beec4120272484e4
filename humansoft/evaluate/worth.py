"""What people do in each state and what it costs them, measured against the best that can be done and against chance.

Values are those of the plain reward, without any bonus for variety: with V* the value of the best policy and Q* of
its actions, the gap V*(s) - Q*(s, a) is what choosing a costs somebody who makes no other mistake. What people do is
what they plan, with their biases and lapses, which move them as well. Everything is differentiable in the reward, the
temperature and the numbers of the choice terms.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from humansoft.errors import SolveError
from humansoft.solvers.chain import solve_chain, transition_matrix
from humansoft.solvers.choosing import ChoiceRule
from humansoft.solvers.exact import solve_stationary
from humansoft.solvers.finite_horizon import solve_finite_horizon
from humansoft.solvers.linear_system import linear_system
from humansoft.solvers.problem import Problem
from humansoft.solvers.solution import SoftSolution, SolveStatus

Real = npt.NDArray[np.float64]

_TIE = 1e-9  # of the largest gap: what costs less than this is as good as the best


@dataclass(frozen=True, eq=False)
class Worth:
    """What is done and what it is worth, at each time and state (N of them, time-major with a horizon).

    Attributes:
        policy: [N, A] pi(a|s) with choice terms, 0 where nothing can be done.
        playable: [N, A] what can be done.
        gap: [N, A] V*(s) - Q*(s, a), 0 where the action cannot be chosen.
        values: [N, 3] value of the policy, of the best policy, and of choosing at random.
    """

    policy: Float[Tensor, "N A"]
    playable: Tensor
    gap: Float[Tensor, "N A"]
    values: Float[Tensor, "N 3"]

    @property
    def log_policy(self) -> Tensor:
        """[N, A] log pi(a|s), 0 where an action is never chosen (its share of any sum is 0)."""
        return torch.where(self.policy > 0, self.policy.clamp_min(torch.finfo(self.policy.dtype).tiny), 1.0).log()

    @property
    def is_best(self) -> Tensor:
        """[N, A] actions that cost nothing."""
        return self.playable & (self.gap <= _TIE * self.gap.detach().max())

    @property
    def num_options(self) -> Tensor:
        """[N] how many actions there are to choose from, at least 1."""
        return self.playable.sum(dim=-1).clamp_min(1).to(self.policy.dtype)


def worth_of(
    problem: Problem,
    reward: Float[Tensor, "*T M A"],
    temperature: Float[Tensor, " M"],
    plan_hard: bool,
    choice: ChoiceRule,
) -> Worth:
    """Solve for what people do, for the best they could do, and for chance.

    Args:
        problem: the decision process.
        reward: what they want; sizes near 1 keep ties apart from small differences.
        temperature: of each state.
        plan_hard: they plan with the hard maximum (the "boltzmann" planner).
        choice: what they do that they did not plan, at each of N times and states; nothing was done before.

    Raises:
        SolveError: one of the three has no finite value.
    """
    soft = _solved(problem, reward, temperature, plan_hard, "what these people do")
    hard = soft if plan_hard else _solved(problem, reward, temperature, True, "the best that could be done")
    playable = problem.playable
    q = hard.q.reshape(-1, playable.shape[1])
    everywhere = playable.repeat(len(q) // len(playable), 1)
    best = torch.where(everywhere, q, -torch.inf).amax(dim=-1, keepdim=True)
    gap = torch.where(everywhere, (best - q).clamp_min(0.0), 0.0)
    policy = choice.log_prob(soft.log_policy).exp()
    values = [
        value_of(problem, reward, policy),
        hard.value,
        value_of(problem, reward, chance(problem).expand_as(policy)),
    ]
    stacked = torch.stack([value.reshape(-1) for value in values], dim=-1)
    return Worth(policy.reshape(gap.shape), everywhere, gap, stacked)


def chance(problem: Problem) -> Float[Tensor, "M A"]:
    """Return the policy that chooses among all actions alike."""
    options = problem.playable.to(problem.log_prior.dtype)
    return options / options.sum(dim=-1, keepdim=True).clamp_min(1.0)


def value_of(
    problem: Problem, reward: Float[Tensor, "*R M A"], policy: Float[Tensor, "*T M A"]
) -> Float[Tensor, "*T M"]:
    """Return the expected discounted reward of a policy from each state, without any bonus."""
    gain = torch.where(problem.playable, policy * reward, 0.0).sum(dim=-1)
    if problem.horizon is None:
        try:
            return linear_system(problem, policy.detach()).solve(policy, gain)
        except RuntimeError as error:  # exactly singular
            raise SolveError("a policy that never ends has no finite value: use a discount below 1") from error
    value, found = torch.zeros_like(gain[0]), []
    for time in reversed(range(problem.horizon)):
        after = problem.expected_next(value)
        value = gain[time] + problem.discount * torch.where(problem.playable, policy[time] * after, 0.0).sum(dim=-1)
        found.append(value)
    return torch.stack(found[::-1])


def visits_of(problem: Problem, policy: Real, starts: Real) -> Float[Real, "T M K"]:
    """Return discounted visits of a policy [*T, M, A] from K start distributions [M, K]; T is 1 without a horizon."""
    if problem.horizon is None:
        found = [
            solve_chain(problem, policy, np.ascontiguousarray(start), problem.discount, transposed=True)
            for start in starts.T
        ]
        return np.maximum(np.stack(found, axis=-1), 0.0)[None]
    visits = [starts]
    for time in range(problem.horizon - 1):
        visits.append(problem.discount * (transition_matrix(problem, policy[time]).T @ visits[-1]))
    return np.stack(visits)


def _solved(problem: Problem, reward: Tensor, temperature: Tensor, plan_hard: bool, what: str) -> SoftSolution:
    if problem.horizon is not None:
        return solve_finite_horizon(problem, reward, temperature, plan_hard=plan_hard)
    solution = solve_stationary(problem, reward, temperature, plan_hard=plan_hard)
    if solution.status is not SolveStatus.CONVERGED:
        raise SolveError(f"{what} has no finite value. {solution.status.value}")
    return solution
