"""How far interpolated behavior can be from the solution: a bound from the soft Bellman residual, not from theory.

Interpolated values W that are nearly a fixed point are nearly the solution V. With the residual rho = max |T(W) - W|
of the soft Bellman operator T (a contraction in the maximum norm),

    |V - W| <= rho / (1 - discount),

with a horizon the sum of the residuals of the later times, and without a discount, where T(W) - W is passed on until
the episode ends, rho times the largest expected number of steps (to first order). At temperature alpha an error e of
all values moves log pi(a|s) by at most 2 e / alpha.
"""

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.fit.interpolated_likelihood import InterpolatedLikelihood
from humansoft.solvers.bellman import action_value, log_soft_policy, plan_backup
from humansoft.solvers.expansion import Expansion
from humansoft.solvers.linear_system import linear_system

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def error_bound(likelihood: InterpolatedLikelihood, full: Float[Tensor, " P"], people: Index) -> Real:
    """Return the largest error of log pi(a|s) of some people [D], over all actions in all states of their contexts.

    Args:
        likelihood: the likelihood by interpolation.
        full: [P] feasible parameters.
        people: [D] places of people among the model's subjects.
    """
    model, seen = likelihood.model, likelihood.observations
    found = np.zeros(len(people))
    for place, person in enumerate(people):
        mine = np.flatnonzero(seen.person == person)
        if not len(mine):
            continue
        states = np.flatnonzero(np.isin(model.task.context.numpy(), model.task.context.numpy()[seen.state[mine]]))
        row = np.repeat(seen.row[mine[:1]], len(states))
        expansion = model.expand(row, states).on(torch.device("cpu"))
        where = torch.from_numpy(expansion.place(model.task, row, states))
        values, logs = likelihood.tables(full, int(person), states)
        ordered = torch.empty_like(values).index_copy_(1, where, values)
        found[place] = _of_person(likelihood, full, expansion, ordered, logs[:, torch.argsort(where)])
    return found


def _of_person(
    likelihood: InterpolatedLikelihood,
    full: Tensor,
    expansion: Expansion,
    values: Float[Tensor, "T M"],
    logs: Float[Tensor, "T M A"],
) -> float:
    """Return the bound of one person, whose states are laid out."""
    problem = expansion.problem
    rewards = likelihood.directions.reward_at(full[likelihood.model.table.rewards])
    reward = expansion.laid_out(rewards).expand(len(values), *problem.log_prior.shape)  # of each time
    alpha = float(full[likelihood.model.table.temperatures][int(expansion.row[0])].exp())
    temperature = torch.full((len(expansion.state),), alpha, dtype=DTYPE)
    hard = likelihood.model.planner == "boltzmann"
    planning = torch.zeros_like(temperature) if hard else temperature
    worst, error = 0.0, 0.0
    for time in reversed(range(len(values))):
        following = values[time] if problem.horizon is None else _later(values, time)
        target, policy = plan_backup(problem, reward[time], planning, following)
        residual = float((target - values[time]).abs().max())
        if problem.horizon is not None:
            error = residual + problem.discount * error
        elif problem.discount < 1:
            error = residual / (1 - problem.discount)
        else:
            acting = problem.playable.any(dim=-1).to(DTYPE)
            error = residual * float(linear_system(problem, policy).apply_inverse(acting).max())
        q = action_value(problem, reward[time], following)
        exact = log_soft_policy(q, problem.log_prior, temperature)
        apart = float((exact - logs[time])[problem.playable].abs().max())
        worst = max(worst, apart + 2 * error / alpha)
    return worst


def _later(values: Tensor, time: int) -> Tensor:
    return values[time + 1] if time + 1 < len(values) else torch.zeros_like(values[0])
