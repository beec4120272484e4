"""Where to start: a round or two of nested pseudo-likelihood (Aguirregabiria and Mira 2002).

When people are taken to follow a known policy pi from the next step on, their values are linear in the reward
weights, one linear system gives all of them, and what remains is a concave logit:

    Q(s, a) / alpha = x(s, a)' w / alpha + e(s, a),     x = f + discount P M^-1 E_pi[f],
                                                        e = discount P M^-1 (log-prior - log pi under pi)

The first policy is what was seen, smoothed by the reference policy; the next one is that of the weights found.
With a horizon, a second round would cost more than it saves.
"""

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.solvers.bellman import action_value, policy_of, prior_policy
from humansoft.solvers.derivatives import carried_back, mean
from humansoft.solvers.linear_system import linear_system
from humansoft.solvers.problem import Problem

Real = npt.NDArray[np.float64]

_ROUNDS = 2
_MOST_WEIGHTS = 64  # a table for each of them has to be kept
_PSEUDO_VISITS = 1.0  # of the reference policy, to each state
_CAUTIOUS = 5.0  # change of Q / temperature: beyond, a logit is far from its quadratic approximation
_LOGIT_STEPS, _HALVINGS, _GAIN = 25, 20, 1e-2
_RIDGE = 1e-9  # of the curvature, relative to its size: directions that the data leave flat stay where they are


def pseudo_start(likelihood: ExactLikelihood) -> Real | None:
    """Return parameters [P] near the maximum, or ``None`` where there are none to be found so.

    The model has to have one temperature for everybody, planned with softly, and a reward that is linear and shared.
    Choice terms are taken to be at their usual start, and what people did to be all planned.
    """
    model, table = likelihood.model, likelihood.model.table
    several = len(likelihood.directions.owner) > 1 or likelihood.directions.num_colors > _MOST_WEIGHTS
    if several or model.planner == "boltzmann" or not model.reward.is_linear:
        return None
    full = table.start.copy()
    heats = bool(table.free[table.is_temperature].any())
    alpha = float(np.exp(full[table.temperatures][0]))
    moving = likelihood.expansion.columns_laid_out(likelihood.directions.reward(torch.from_numpy(full)))
    known = likelihood.expansion.laid_out(likelihood.directions.reward_at(torch.from_numpy(full[table.rewards])))
    moving = moving[..., torch.from_numpy(likelihood.directions.is_reward).to(moving.device)]
    if heats:  # in units of the temperature, what is known has an unknown size
        moving, known = torch.cat([moving, known[..., None]], -1), torch.zeros_like(known)
    if moving.shape[-1] == 0 or (heats and not bool(moving[..., -1].any())):
        return None
    columns = torch.cat([moving, known[..., None] / alpha], dim=-1)
    time, state = (likelihood.counts.sum(dim=-1) > 0).nonzero(as_tuple=True)
    problem, policy = likelihood.expansion.problem, _seen(likelihood)
    weights = columns.new_zeros(columns.shape[-1] - 1)
    for _ in range(_ROUNDS if problem.horizon is None else 1):
        try:
            q, value = _when_followed(problem, policy, columns, time, state)
        except RuntimeError:  # following that policy never ends
            return None
        weights = _logit(q, problem.log_prior[state], likelihood.counts[time, state], weights)
        if value is not None:
            q = action_value(problem, columns @ _with_one(weights), value @ _with_one(weights))
            policy = policy_of(q, problem.log_prior, torch.ones_like(q[:, 0]))
    if heats and not (float(weights[-1]) > 0 and np.isfinite(1.0 / float(weights[-1]))):
        return None
    scale = 1.0 / float(weights[-1]) if heats else alpha
    free = np.flatnonzero(table.free[table.rewards])
    full[free] = scale * weights[: len(free)].cpu().numpy()
    full[table.temperatures] = np.log(scale)
    if value is not None:
        likelihood.begin_with(scale * value @ _with_one(weights))
    better = likelihood.value(torch.from_numpy(full)) > _by_reference(likelihood)
    return full if better else None


def _with_one(weights: Float[Tensor, " K"]) -> Float[Tensor, " K1"]:
    """Return weights of all columns: what is paid whatever the weights are counts once."""
    return torch.cat([weights, torch.ones_like(weights[:1])])


def _by_reference(likelihood: ExactLikelihood) -> float:
    """Return the log-likelihood of people who follow the reference policy."""
    logs = prior_policy(likelihood.expansion.problem).log()
    return float(torch.where(likelihood.counts > 0, likelihood.counts * logs, 0.0).sum())


def _seen(likelihood: ExactLikelihood) -> Float[Tensor, "M A"]:
    """Return what was done in each state, at whatever time, smoothed by the reference policy."""
    prior = prior_policy(likelihood.expansion.problem)
    counts = likelihood.counts.sum(dim=0)
    return (counts + _PSEUDO_VISITS * prior) / (counts.sum(dim=-1, keepdim=True) + _PSEUDO_VISITS)


def _when_followed(
    problem: Problem,
    policy: Float[Tensor, "M A"],
    columns: Float[Tensor, "*T M A K1"],
    time: Int[Tensor, " N"],
    state: Int[Tensor, " N"],
) -> tuple[Float[Tensor, "N A K1"], Float[Tensor, "M K1"] | None]:
    """Return how Q and V at temperature 1 depend on weights of some rewards, when a policy is followed later on.

    Args:
        problem: the decision process.
        policy: what is followed.
        columns: what each weight pays; the last column is paid whatever they are, and V has its surprise too.
        time: times at which Q is asked.
        state: states in which it is asked.

    Returns:
        Q where it is asked, and V in every state, without a horizon only.
    """
    prior = torch.where(problem.playable, problem.log_prior, 0.0)
    surprise = torch.where(policy > 0, prior - policy.clamp_min(torch.finfo(policy.dtype).tiny).log(), 0.0)
    surprised = torch.zeros_like(columns[..., 0, :] if columns.ndim == 3 else columns[0, :, 0])
    surprised[:, -1] = (policy * surprise).sum(dim=-1)
    if problem.horizon is None:
        value = linear_system(problem, policy).apply_inverse(mean(policy, columns) + surprised)
        q = problem.expected_next(value).mul_(problem.discount).add_(columns)
        return q[state], value
    found = columns.new_empty((len(state), *columns.shape[-2:]))
    plan = policy.expand(problem.horizon, *policy.shape)
    for change in carried_back(problem, plan, columns, lambda _: surprised):
        asked = change.moments.asked(time)
        found[asked] = change.q[time[asked] - change.moments.first, state[asked]]
    return found, None


def _logit(
    q: Float[Tensor, "N A K1"],
    log_prior: Float[Tensor, "N A"],
    number: Float[Tensor, "N A"],
    weights: Float[Tensor, " K"],
) -> Float[Tensor, " K"]:
    """Maximise the concave log-likelihood of a logit, by Newton's method with backtracking."""
    playable = torch.isfinite(log_prior)
    slope, level = torch.where(playable[..., None], q[..., :-1], 0.0), q[..., -1] + log_prior
    middle = slope.sum(dim=1) / playable.sum(dim=1, keepdim=True)
    slope = slope - middle[:, None]  # only differences count, and small numbers keep their digits
    visits = number.sum(dim=-1, keepdim=True)

    def log_policy(point: Tensor) -> tuple[float, Tensor]:
        logs = (slope @ point + level).log_softmax(dim=-1)
        return float(torch.where(playable, number * logs, 0.0).sum()), logs

    value, logs = log_policy(weights)
    for _ in range(_LOGIT_STEPS):
        expected = visits * logs.exp()
        gradient = slope.flatten(0, 1).T @ (number - expected).flatten()
        weighted = slope * expected[..., None]
        together = weighted.sum(dim=1)
        curvature = weighted.flatten(0, 1).T @ slope.flatten(0, 1) - together.T @ (together / visits)
        size = curvature.diagonal().clamp_min(torch.finfo(DTYPE).tiny).sqrt()
        scaled = curvature / torch.outer(size, size) + _RIDGE * torch.eye(len(size), dtype=DTYPE, device=size.device)
        step = torch.linalg.solve(scaled, gradient / size) / size
        for length in _lengths(float((slope @ step).abs().max())):
            better, following = log_policy(weights + length * step)
            if better >= value:
                break
        else:
            return weights
        weights, logs, gained, value = weights + length * step, following, better - value, better
        if gained < _GAIN:
            break
    return weights


def _lengths(change: float) -> list[float]:
    """Return what shares of a step to try that changes Q / temperature by so much: at first boldly, then with care."""
    careful = min(1.0, _CAUTIOUS / max(change, _CAUTIOUS))
    return [1.0, 0.5, 0.25, *(careful / 2**k for k in range(_HALVINGS))]
