"""Group C: the policy gradient and soft Q-learning are one thing seen from two sides."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from analysis.lecture.claims import Args, Claim, at_least, zero
from analysis.lecture.worlds import Array, World, random_world
from analysis.rows import Row
from humansoft._types import DTYPE
from humansoft.solvers.bellman import (
    action_value,
    log_soft_policy,
    newton_step,
    policy_value,
    soft_backup,
    soft_value,
)

TEMPERATURE = 0.4


def claims(args: Args) -> Iterator[Claim]:
    """Test group C."""
    yield substitution()
    yield baseline()
    yield one_term()
    yield softmax_target()
    yield newton()


def drawn_q(seed: int, world: World) -> Tensor:
    """Return action values [S, A] that are not those of the world."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=world.reward.shape))


def soft(q: Tensor) -> tuple[Tensor, Tensor]:
    """Return V [S] and log pi [S, A] of action values, as the package has them."""
    return soft_backup(q, torch.zeros_like(q), torch.full_like(q[:, 0], TEMPERATURE))


def objective_gradient(world: World, q: Tensor) -> Array:
    """Return the gradient of the regularised objective by the table Q [S, A]: autograd through the package."""
    q = q.clone().requires_grad_()
    policy = world.over_time(soft(q)[1].exp())
    temperature = torch.full((len(policy),), TEMPERATURE, dtype=DTYPE)
    value = policy_value(world.in_time(), world.over_time(world.rewards), temperature, policy)
    (slope,) = torch.autograd.grad(value[: len(world.reward)].mean(), q)
    return np.asarray(slope.numpy())


def visits_and_values(world: World, log_policy: Array) -> tuple[Array, Array]:
    """Return discounted visits [T, S] from uniform starts and soft values [T + 1, S] of a policy, in numpy."""
    policy, size, horizon = np.exp(log_policy), len(world.reward), world.horizon or 0
    visits = np.full((horizon, size), 1.0 / size)
    for t in range(1, horizon):
        visits[t] = world.discount * np.einsum("s,sa,san->n", visits[t - 1], policy, world.transition)
    values = np.zeros((horizon + 1, size))
    for t in reversed(range(horizon)):
        ahead = world.reward - TEMPERATURE * log_policy + world.discount * world.transition @ values[t + 1]
        values[t] = (policy * ahead).sum(axis=-1)
    return visits, values


def bridged_gradient(world: World, q: Tensor, *, with_value: bool) -> Array:
    """Return sum over visits of E[(dQ - dV) (r + V' - Q + V)] / alpha by the table Q, in numpy."""
    value, log_policy = (t.numpy() for t in soft(q))
    visits, values = visits_and_values(world, log_policy)
    policy = np.exp(log_policy)
    target = world.reward + world.discount * (world.transition @ values[1:, None, :, None])[..., 0] - q.numpy()
    if with_value:
        target = target + value[:, None]
    weight = visits[..., None] * policy * target / TEMPERATURE  # [T, S, A] of each decision
    # dQ(s, a) is 1 at (s, a); dV(s) is pi(.|s).
    return np.asarray((weight - policy * weight.sum(axis=-1, keepdims=True)).sum(axis=0))


def substitution() -> Claim:
    """C1: log pi = (Q - V) / alpha, put into the policy gradient."""
    world = random_world(12, 4, 3, horizon=5)
    q = drawn_q(13, world)
    slope = objective_gradient(world, q)
    rows = (
        Row("size_of_gradient", float(np.linalg.norm(slope))),
        zero(
            "autograd_minus_substituted",
            float(np.abs(slope - bridged_gradient(world, q, with_value=True)).max()),
            1e-14,
        ),
    )
    care = "V' is the value of the current policy, E[Q - alpha log pi], of the next state: not a Q value."
    return Claim(
        "C1", "With log pi = (Q - V) / alpha the policy gradient is (dQ - dV) (r + V' - Q + V), over alpha.", rows, care
    )


def baseline() -> Claim:
    """C2: V of the current state is a baseline."""
    world = random_world(12, 4, 3, horizon=5)
    q = drawn_q(13, world)
    both = [bridged_gradient(world, q, with_value=with_value) for with_value in (True, False)]
    rows = (zero("change_without_value", float(np.abs(both[0] - both[1]).max()), 1e-14),)
    return Claim("C2", "The value of the current state may be dropped from the bracket.", rows)


def regression_gradient(q: Tensor, target: Tensor, visits: Tensor) -> Tensor:
    """Return what soft Q-learning ascends: -(Q - target)^2 / 2, on the states and actions of the policy."""
    free = q.clone().requires_grad_()
    loss = (visits[:, None] * soft(q)[1].exp() * (target - free) ** 2).sum() / 2
    return -torch.autograd.grad(loss, free)[0]


def improvement_gradient(q: Tensor, target: Tensor, visits: Tensor) -> Tensor:
    """Return what the policy gradient ascends, times alpha: E[target - alpha log pi]."""
    free = q.clone().requires_grad_()
    log_policy = soft(free)[1]
    worth = (visits[:, None] * log_policy.exp() * (target - TEMPERATURE * log_policy)).sum()
    return TEMPERATURE * torch.autograd.grad(worth, free)[0]


def value_gradient(q: Tensor, target: Tensor, visits: Tensor) -> Tensor:
    """Return the extra term dV (V_target - V), with V_target = E[target - alpha log pi]."""
    free = q.clone().requires_grad_()
    value, log_policy = soft(free)
    error = (log_policy.exp() * (target - TEMPERATURE * log_policy)).sum(dim=-1) - value
    return torch.autograd.grad((visits * error.detach() * value).sum(), free)[0]


def one_term() -> Claim:
    """C3: what soft Q-learning does beside the policy gradient."""
    world = random_world(12, 4, 3)
    q, target = drawn_q(13, world), drawn_q(14, world)
    visits = torch.from_numpy(np.random.default_rng(15).dirichlet(np.ones(4)))
    regression, improvement = regression_gradient(q, target, visits), improvement_gradient(q, target, visits)
    rest = regression - improvement
    rows = (
        zero("identity", float((rest - value_gradient(q, target, visits)).abs().max()), 1e-14),
        at_least("q_learning_minus_policy_gradient", float(rest.norm()), 1e-2),
    )
    care = (
        "The policy gradient is times alpha here, and both are taken on the states and actions of the current policy. "
        "V_target is E[target - alpha log pi]: the extra term vanishes where V is right."
    )
    return Claim("C3", "Soft Q-learning is the policy gradient plus one term, dV (V_target - V).", rows, care)


def softmax_target() -> Claim:
    """C4: the softmax is the same number as a sample, while the sample is from the policy that Q implies."""
    q = drawn_q(16, random_world(12))
    value, log_policy = soft(q)
    pointwise = q - TEMPERATURE * log_policy - value[:, None]
    behaviour = torch.full_like(q, 1 / q.shape[1])
    sampled = (behaviour * (q - TEMPERATURE * behaviour.log())).sum(dim=-1)
    divergence = (behaviour * (behaviour.log() - log_policy)).sum(dim=-1)
    rows = (
        zero("every_action_gives_the_value", float(pointwise.abs().max()), 1e-14),
        at_least("other_behavior_falls_short_by", float((value - sampled).max()), 1e-2),
        zero("short_by_alpha_times_divergence", float((value - sampled - TEMPERATURE * divergence).abs().max()), 1e-14),
    )
    care = (
        "It is a correction only for a target made of what another policy did, with that policy's log probabilities: "
        "with log pi of the current Q, every action gives the same target."
    )
    return Claim("C4", "The softmax in the target of Q-learning is an off-policy correction.", rows, care)


def natural_step(world: World, logits: Tensor) -> Tensor:
    """Return the policy after a natural gradient step of (1 - discount) / alpha, by the Fisher matrix itself."""
    problem, temperature = world.problem(), world.temperatures(TEMPERATURE)
    free = logits.clone().requires_grad_()
    value = policy_value(problem, world.rewards, temperature, torch.softmax(free, dim=-1))
    slope = torch.autograd.grad(value.mean(), free)[0].numpy()
    policy = torch.softmax(logits, dim=-1).numpy()
    matrix = np.einsum("sa,san->sn", policy, world.transition)
    start = np.full(len(policy), 1 / len(policy))
    visits = (1 - world.discount) * np.linalg.solve(np.eye(len(policy)) - world.discount * matrix.T, start)
    moved = np.empty_like(policy)
    for s, p in enumerate(policy):  # the Fisher matrix has one block a state: visits * Cov(scores)
        moved[s] = np.linalg.pinv(visits[s] * (np.diag(p) - np.outer(p, p)), rcond=1e-10) @ slope[s]
    return torch.softmax(logits + (1 - world.discount) / TEMPERATURE * torch.from_numpy(moved), dim=-1)


def newton_from(world: World, value: Tensor) -> Tensor:
    """Return the value after the package's Newton step."""
    return newton_step(world.problem(), world.rewards, world.temperatures(TEMPERATURE), value)


def value_step(world: World, value: Tensor) -> Tensor:
    """Return the value after one sweep of soft value iteration."""
    problem, temperature = world.problem(), world.temperatures(TEMPERATURE)
    return soft_value(action_value(problem, world.rewards, value), problem.log_prior, temperature)


def newton() -> Claim:
    """C5: three algorithms take the same step."""
    world = random_world(12)
    problem, temperature = world.problem(), world.temperatures(TEMPERATURE)
    logits = torch.log_softmax(drawn_q(17, world), dim=-1)
    value = policy_value(problem, world.rewards, temperature, logits.exp())
    q = world.rewards + world.discount * torch.from_numpy(world.transition @ value.numpy())
    improved = log_soft_policy(q, problem.log_prior, temperature).exp()
    stepped = newton_from(world, value)
    matrix = np.einsum("sa,san->sn", improved.numpy(), world.transition)
    gain = (improved * (world.rewards - TEMPERATURE * improved.log())).sum(dim=-1).numpy()
    iterated = np.linalg.solve(np.eye(len(matrix)) - world.discount * matrix, gain)
    other = natural_step(world, logits) - improved
    rows = (
        zero("newton_minus_policy_iteration", float(np.abs(stepped.numpy() - iterated).max()), 1e-13),
        zero("natural_gradient_minus_policy_iteration", float(other.abs().max()), 1e-12),
        at_least("newton_minus_value_iteration", float((stepped - value_step(world, value)).abs().max()), 1e-2),
    )
    care = "(Stronger than the lecture, whose two algorithms are first-order cousins of this step.)"
    return Claim(
        "C5", "Newton's method, soft policy iteration and the natural policy gradient take the same step.", rows, care
    )
