"""Group A: soft Q-learning has the log-sum-exp, or the log-integral, where Q-learning has the maximum."""

import math
from collections.abc import Iterator
from decimal import Decimal, localcontext

import numpy as np
import torch
from torch import Tensor

import humansoft as hs
from analysis.lecture.claims import Args, Claim, at_most, zero
from analysis.lecture.worlds import Array, action_values, log_sum, random_world, soft_fixed_point
from analysis.rows import Row
from humansoft._types import DTYPE
from humansoft.solvers.bellman import soft_backup, soft_integral, soft_value
from humansoft.solvers.quadrature import ActionNodes

HEIGHT, CENTRE, CURVATURE, TEMPERATURE = 0.7, -0.4, 2.8, 0.6
"""Q(a) = height - curvature * (a - centre)^2 / 2, whose log-integral is known in closed form."""


def claims(args: Args) -> Iterator[Claim]:
    """Test what exact mathematics shows of group A."""
    yield stable_sum()
    yield log_integral(args.quick)
    yield volumes_matter()
    yield soft_regulator()
    yield fixed_point(4 if args.quick else 20)
    yield variational(2_000 if args.quick else 20_000)


def stable_sum() -> Claim:
    """A2: the target is a log-sum-exp."""
    alpha, values, prior = 1e-4, [0.0, 10.0, 9.99995, 3.0, 12.0], [0.1, 0.2, 0.3, 0.4, 0.0]
    q, log_prior = torch.tensor(values, dtype=DTYPE), torch.tensor(prior, dtype=DTYPE).log()
    value, logs = soft_backup(q, log_prior, torch.tensor(alpha, dtype=DTYPE))
    with np.errstate(over="ignore"):
        naive = alpha * np.log(np.exp(np.array(values) / alpha).sum())
    with localcontext(prec=60):
        parts = [Decimal(p) * (Decimal(v) / Decimal(alpha)).exp() for v, p in zip(values, prior, strict=True)]
        total = sum(parts, Decimal(0))
        exact = float(Decimal(alpha) * total.ln())
        shares = np.array([float(part / total) for part in parts])
    rows = (
        zero("value/against_60_digits", float(value) - exact, 1e-14),
        zero("policy/against_60_digits", float(np.abs(logs.exp().numpy() - shares).max()), 1e-14),
        zero("probabilities_minus_1", float(logs.exp().sum()) - 1, 1e-15),
        zero("naive_formula_is_finite", float(np.isfinite(naive)), 0.0),
    )
    return Claim("A2", "The target of soft Q-learning is a log-sum-exp over actions.", rows)


def quadratic(actions: Tensor, curvature: Tensor | float = CURVATURE) -> Tensor:
    """Return a quadratic Q of actions [..., J, D]."""
    found: Tensor = HEIGHT - curvature * ((actions - CENTRE) ** 2).sum(dim=-1) / 2
    return found


def closed_form(dimensions: int) -> float:
    """Return the log-integral of the quadratic: c + alpha / 2 * log(2 pi alpha / k) in one dimension."""
    return HEIGHT + dimensions * TEMPERATURE / 2 * math.log(2 * math.pi * TEMPERATURE / CURVATURE)


def error_of(nodes: ActionNodes) -> float:
    """Return the log-integral of the quadratic over some nodes, minus the closed form."""
    found = soft_integral(quadratic(nodes.actions), nodes, torch.tensor(TEMPERATURE, dtype=DTYPE))
    return float(found) - closed_form(nodes.actions.shape[-1])


def log_integral(quick: bool) -> Claim:
    """A3: ... or a log-integral."""
    grids = {
        "trapezoid/65_nodes": (ActionNodes.trapezoid([-8.0], [8.0], 65), 1e-14),
        "trapezoid/33_nodes": (ActionNodes.trapezoid([-8.0], [8.0], 33), 1e-7),
        "gauss_legendre/64_nodes": (ActionNodes.gauss_legendre([-8.0], [8.0], 64), 1e-8),
        "two_dimensions/65x65_nodes": (ActionNodes.trapezoid([-8.0, -8.0], [8.0, 8.0], 65), 1e-13),
    }
    rows = [zero(f"{name}/error", error_of(nodes), tolerance) for name, (nodes, tolerance) in grids.items()]
    for count in (100, 10_000, *(() if quick else (1_000_000,))):
        nodes = proposal(count)
        rows.append(Row(f"three_dimensions/{count}_samples/error", error_of(nodes)))
        distance = abs(error_of(nodes)) / standard_error(nodes)
        rows.append(at_most(f"three_dimensions/{count}_samples/standard_errors", distance, 4.0))
    curvature = torch.tensor(CURVATURE, dtype=DTYPE, requires_grad=True)
    nodes = ActionNodes.trapezoid([-8.0], [8.0], 65)
    value = soft_integral(quadratic(nodes.actions, curvature), nodes, torch.tensor(TEMPERATURE, dtype=DTYPE))
    (slope,) = torch.autograd.grad(value, curvature)
    rows.append(zero("slope_by_curvature/error", float(slope) + TEMPERATURE / (2 * CURVATURE), 1e-13))
    care = (
        "The value of continuous actions depends on the unit in which they are measured, and a density can exceed 1: "
        "their entropy can be negative."
    )
    return Claim("A3", "... or a log-integral, where actions are continuous.", tuple(rows), care)


def proposal(count: int) -> ActionNodes:
    """Draw actions in three dimensions from a normal that is a little off, and wider than exp(Q / alpha)."""
    mean = torch.zeros(3, dtype=DTYPE)
    return ActionNodes.normal(mean, torch.full_like(mean, 0.75), count, seed=7)


def standard_error(nodes: ActionNodes) -> float:
    """Return the standard error of a sampled log-integral, by the delta method."""
    weights = np.exp(nodes.log_volume.numpy() + quadratic(nodes.actions).numpy() / TEMPERATURE)
    return TEMPERATURE * float(weights.std() / weights.mean()) / math.sqrt(len(weights))


def volumes_matter() -> Claim:
    """A3b: without the volume of the cells it is no integral."""
    without, right = [], []
    for count in (33, 65, 129):
        nodes = ActionNodes.trapezoid([-8.0], [8.0], count)
        q = quadratic(nodes.actions)
        without.append(float(soft_value(q, torch.zeros_like(q), torch.tensor(TEMPERATURE, dtype=DTYPE))))
        right.append(error_of(nodes))
    growth = TEMPERATURE * math.log(2)
    rows = (
        *(Row(f"without_volume/{count}_nodes", value) for count, value in zip((33, 65, 129), without, strict=True)),
        Row("without_volume/growth_by_doubling", without[2] - without[1], repr(growth), 1e-12),
        zero("with_volume/growth_by_doubling", right[2] - right[1], 1e-14),
    )
    return Claim("A3b", "(A trap: a log-sum-exp over a grid is no log-integral without the log of its cells.)", rows)


def soft_regulator() -> Claim:
    """A3, for a whole decision process: the linear-quadratic regulator is soft in closed form."""
    alpha, discount, push, decay, cost = 0.3, 0.9, 0.8, 0.95, 0.5
    curvature = 1.0  # of -V: the scalar Riccati equation, by iteration
    for _ in range(500):
        gained = (discount * decay * push * curvature) ** 2 / (cost + discount * push**2 * curvature)
        curvature = 1.0 + discount * decay**2 * curvature - gained
    stiffness = cost + discount * push**2 * curvature
    level = alpha / 2 * math.log(2 * math.pi * alpha / stiffness) / (1 - discount)
    nodes = ActionNodes.trapezoid([-9.0], [9.0], 129)
    x, u = torch.linspace(-2.0, 2.0, 9, dtype=DTYPE)[:, None], nodes.actions[:, 0]
    ahead = level - curvature * (decay * x + push * u) ** 2 / 2
    q = -(x**2 + cost * u**2) / 2 + discount * ahead
    temperature = torch.full((9,), alpha, dtype=DTYPE)
    value = soft_integral(q, nodes, temperature)
    share = soft_backup(q, nodes.log_volume.expand_as(q), temperature)[1].exp()
    mean = share @ u
    variance = (share * (u - mean[:, None]) ** 2).sum(dim=-1)
    feedback = discount * decay * push * curvature / stiffness
    rows = (
        zero("value", float((value - level + curvature * x[:, 0] ** 2 / 2).abs().max()), 1e-13),
        zero("mean_action", float((mean + feedback * x[:, 0]).abs().max()), 1e-13),
        zero("variance_of_actions", float((variance - alpha / stiffness).abs().max()), 1e-13),
    )
    return Claim("A3c", "The soft linear-quadratic regulator acts with mean -Kx and variance alpha / curvature.", rows)


def fixed_point(num_starts: int) -> Claim:
    """A4: soft Q-learning is soft value iteration, learned from samples; here the exact one."""
    world, alpha = random_world(0), 0.5
    solver, problem = hs.ValueIteration(tolerance=1e-12), world.problem()
    generator = np.random.default_rng(1)
    starts = [None, *(torch.from_numpy(generator.normal(0, 10, size=6)) for _ in range(num_starts))]
    found = [solver.value(problem, world.rewards, world.temperatures(alpha), start) for start in starts]
    values = np.stack([outcome.value.numpy() for outcome in found])
    residual = log_sum(action_values(world, values[0]), alpha) - values[0]
    newton = hs.Newton().value(problem, world.rewards, world.temperatures(alpha), None)
    rows = (
        Row("sweeps", found[0].num_steps),
        zero("residual", float(np.abs(residual).max()), 1e-12),
        zero(f"spread_over_{num_starts}_starts", float(np.ptp(values, axis=0).max()), 1e-12),
        zero("against_numpy", float(np.abs(values[0] - soft_fixed_point(world, alpha)).max()), 1e-12),
        zero("newton_against_sweeps", float(np.abs(newton.value.numpy() - values[0]).max()), 1e-12),
    )
    return Claim("A4", "Soft value iteration has one fixed point, Q = r + discount * P V(Q).", rows)


def variational(num_policies: int) -> Claim:
    """A6: the policy is an exponentiated advantage, and the best trade of reward and entropy."""
    alpha = 0.4
    q = np.random.default_rng(2).normal(size=(6, 3))
    temperature = torch.full((6,), alpha, dtype=DTYPE)
    value, logs = (t.numpy() for t in soft_backup(torch.from_numpy(q), torch.zeros(6, 3, dtype=DTYPE), temperature))
    others = np.random.default_rng(3).dirichlet(np.ones(3), size=(num_policies, 6))
    traded = gain(others, q, alpha)
    weights = np.exp(q / alpha) / np.exp(q / alpha).sum(axis=-1, keepdims=True)
    divergence = (others * np.log(others / weights)).sum(axis=-1)
    rows = (
        zero(
            "policy_minus_exp_advantage",
            float(np.abs(np.exp(logs) - np.exp((q - value[:, None]) / alpha)).max()),
            1e-14,
        ),
        zero("identity/largest_error", float(np.abs(traded - (value - alpha * divergence)).max()), 1e-13),
        at_most("best_of_others_minus_value", float((traded - value).max()), 0.0),
        zero("own_gain_minus_value", float(np.abs(gain(np.exp(logs), q, alpha) - value).max()), 1e-14),
    )
    care = (
        "The advantage is exact where V is the normaliser of the same Q: with an approximate Q, V has to be worked out "
        "from Q anew."
    )
    return Claim("A6", "The policy is exp(advantage / alpha), and maximises E[Q] + alpha * entropy.", rows, care)


def gain(policy: Array, q: Array, alpha: float) -> Array:
    """Return E[Q] + alpha * entropy in numpy."""
    found: Array = (policy * (q - alpha * np.log(policy))).sum(axis=-1)
    return found
