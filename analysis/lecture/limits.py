"""Group D, the limits: soft optimality becomes classical optimality as temperatures fall or rewards grow."""

import math
from collections.abc import Iterator

import numpy as np
import torch

import humansoft as hs
from analysis.lecture.claims import Args, Claim, at_least, at_most, zero
from analysis.lecture.worlds import Array, Index, World, action_values, log_sum, random_world
from analysis.rows import Row
from humansoft.solvers.exact import solve_stationary
from humansoft.solvers.solution import SoftSolution

ALPHAS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)


def claims(args: Args) -> Iterator[Claim]:
    """Test both limits."""
    yield without_ties()
    yield with_ties()
    yield large_rewards()


def solved(world: World, alpha: float) -> SoftSolution:
    """Return the package's solution at a temperature."""
    return solve_stationary(world.problem(), world.rewards, world.temperatures(alpha))


def hard_values(world: World) -> Array:
    """Return V* [S] by plain value iteration in numpy."""
    value = np.zeros(len(world.reward))
    for _ in range(2000):
        value = log_sum(action_values(world, value), 0.0)
    return value


def hard_gap(world: World, alpha: float) -> float:
    """Return the largest V - V*."""
    return float((solved(world, alpha).value.numpy() - hard_values(world)).max())


def tied_world() -> World:
    """Return a world whose first action has a twin."""
    world = random_world(51)
    twins = [0, 1, 2, 0]
    return World(world.transition[:, twins], world.reward[:, twins], world.discount)


def without_ties() -> Claim:
    """D5: the temperature goes to 0."""
    world = random_world(51)
    gaps = [hard_gap(world, alpha) for alpha in ALPHAS]
    unit = math.log(world.reward.shape[1]) / (1 - world.discount)
    rest = -float((solved(world, ALPHAS[-1]).value.numpy() - hard_values(world)).min())
    hard = hs.Newton().value(world.problem(), world.rewards, world.temperatures(0.0), None).value.numpy()
    rows = (
        *(Row(f"gap/alpha_{alpha}", gap) for alpha, gap in zip(ALPHAS, gaps, strict=True)),
        at_most("gap_over_bound", max(g / (a * unit) for g, a in zip(gaps, ALPHAS, strict=True)), 1.0),
        zero("below_the_hard_value", max(rest, 0.0), 1e-12),
        at_most("growth_of_gap_with_falling_temperature", float(np.diff(gaps).max()), 0.0),
        zero("gap_over_first_order_minus_1/alpha_0.01", gaps[4] / first_order(world, 0.01) - 1, 1e-3),
        zero("gap/last", gaps[-1], 1e-9),
        zero("plan_at_temperature_0_minus_numpy", float(np.abs(hard - hard_values(world)).max()), 1e-12),
    )
    care = (
        "0 <= V - V* <= alpha * log(actions) / (1 - discount), and without ties the gap is exponentially small in "
        "1 / alpha."
    )
    return Claim("D5", "With the temperature going to 0, classical optimality comes back.", rows, care)


def first_order(world: World, alpha: float) -> float:
    """Return the largest gap expected near temperature 0: the sum of alpha * exp(-advantage / alpha), in numpy."""
    q = action_values(world, hard_values(world))
    best = q.argmax(axis=-1)
    others = np.exp((q - q.max(axis=-1, keepdims=True)) / alpha).sum(axis=-1) - 1
    return float(np.linalg.solve(system(world, best), alpha * others).max())


def system(world: World, best: Index) -> Array:
    """Return I - discount * P of one action a state."""
    matrix = world.transition[np.arange(len(best)), best]
    return np.asarray(np.eye(len(best)) - world.discount * matrix)


def with_ties() -> Claim:
    """D5b: with ties the gap is proportional to the temperature."""
    world = tied_world()
    best = action_values(world, hard_values(world)).argmax(axis=-1)
    # Each decision between twins is worth alpha * log(2), in the long run.
    limit = np.linalg.solve(system(world, best), math.log(2) * (best == 0)).max()
    gaps = {alpha: hard_gap(world, alpha) for alpha in (0.1, 0.01, 0.001)}
    rows = (
        *(Row(f"gap/alpha_{alpha}", gap) for alpha, gap in gaps.items()),
        at_least("limit_of_gap_over_alpha", float(limit), 0.1),
        zero("gap_over_alpha_minus_limit/alpha_0.001", gaps[0.001] / 0.001 - float(limit), 1e-9),
    )
    care = "The limit of the policy is uniform over best actions only up to path counts (D3)."
    return Claim("D5b", "... where actions tie, in proportion to the temperature.", rows, care)


def large_rewards() -> Claim:
    """D6: the reward grows."""
    world = random_world(51)
    best = torch.from_numpy(action_values(world, hard_values(world)).argmax(axis=-1))
    rows = []
    for scale in (10.0, 1000.0):
        large = solved(World(world.transition, scale * world.reward, world.discount), 1.0)
        cold = solved(world, 1 / scale)
        rows.append(zero(f"times_{scale:g}/value", float((large.value / scale - cold.value).abs().max()), 1e-12))
        difference = (large.log_policy.exp() - cold.log_policy.exp()).abs().max()
        rows.append(zero(f"times_{scale:g}/policy", float(difference), 1e-11))
        mistakes = 1 - large.log_policy.exp().gather(-1, best[:, None]).min()
        rows.append(Row(f"times_{scale:g}/probability_of_mistakes", float(mistakes)))
    rows.append(zero("probability_of_mistakes/last", float(mistakes), 1e-9))
    care = "Only reward / temperature leaves a trace in behavior: neither of them is identified without the other."
    return Claim("D6", "With the magnitude of rewards going to infinity, likewise.", tuple(rows), care)
