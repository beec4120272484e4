"""Exact invariances of soft-optimal behavior, on random worlds (STYLE 6)."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import humansoft as hs
from humansoft.solvers.exact import solve_stationary
from humansoft.solvers.solution import SoftSolution
from tests.oracle.reference import World
from tests.oracle.worlds import problem_of, random_world, task_of, temperatures

seeds = st.integers(0, 10**6)
sizes = st.integers(3, 8)
alphas = st.floats(0.05, 20.0)
planners = st.sampled_from(["kl", "entropy"])
DISCOUNT = 0.9


def draw(seed: int, size: int, **options: bool) -> tuple[World, Tensor]:
    generator = np.random.default_rng(seed)
    world = random_world(generator, size, 3, **options)  # type: ignore[arg-type]
    return world, torch.from_numpy(generator.normal(size=(size, 3)))


def solve(world: World, reward: Tensor, alpha: float, planner: str = "kl") -> SoftSolution:
    measure = world.available.astype(float)
    if planner == "kl":
        measure = measure / measure.sum(axis=1, keepdims=True)
    return solve_stationary(problem_of(world, measure, DISCOUNT), reward, temperatures(world, alpha))


def same(one: Tensor, other: Tensor, tolerance: float = 1e-8) -> None:
    assert torch.equal(torch.isfinite(one), torch.isfinite(other))
    kept = torch.isfinite(one)
    np.testing.assert_allclose(one[kept].numpy(), other[kept].numpy(), atol=tolerance)


@given(seeds, sizes, alphas, planners)
def test_policies_are_distributions_over_available_actions(seed: int, size: int, alpha: float, planner: str) -> None:
    world, reward = draw(seed, size, masked=True)
    policy = solve(world, reward, alpha, planner).log_policy.exp().numpy()
    np.testing.assert_allclose(policy.sum(axis=1), 1.0, atol=1e-12)
    assert (policy[~world.available] == 0).all()


@given(seeds, sizes, alphas, st.floats(-5, 5), planners)
def test_a_constant_moves_values_only(seed: int, size: int, alpha: float, constant: float, planner: str) -> None:
    world, reward = draw(seed, size)
    one, other = solve(world, reward, alpha, planner), solve(world, reward + constant, alpha, planner)
    same(one.log_policy, other.log_policy, 1e-7 / min(alpha, 1.0))
    same(one.value + constant / (1 - DISCOUNT), other.value)


@given(seeds, sizes, alphas, st.floats(0.01, 100), planners)
def test_only_reward_over_temperature_matters(seed: int, size: int, alpha: float, factor: float, planner: str) -> None:
    world, reward = draw(seed, size, masked=True)
    one, other = solve(world, reward, alpha, planner), solve(world, reward * factor, alpha * factor, planner)
    same(one.log_policy, other.log_policy)


@given(seeds, sizes, alphas, planners)
def test_potentials_change_no_behavior(seed: int, size: int, alpha: float, planner: str) -> None:
    world, reward = draw(seed, size, masked=True)
    potential = np.random.default_rng(seed + 1).normal(size=size)
    shaped = reward + torch.from_numpy(DISCOUNT * world.transition @ potential - potential[:, None])
    same(solve(world, reward, alpha, planner).log_policy, solve(world, shaped, alpha, planner).log_policy)


@given(seeds, sizes, alphas, planners)
def test_renumbering_renumbers(seed: int, size: int, alpha: float, planner: str) -> None:
    world, reward = draw(seed, size, masked=True)
    generator = np.random.default_rng(seed + 2)
    states, actions = generator.permutation(size), generator.permutation(3)
    renumbered = World(world.transition[states][:, actions][:, :, states], world.available[states][:, actions])
    other = solve(renumbered, reward[states][:, actions], alpha, planner).log_policy
    same(solve(world, reward, alpha, planner).log_policy[states][:, actions], other)


@given(seeds, sizes, planners)
def test_temperature_limits(seed: int, size: int, planner: str) -> None:
    world, reward = draw(seed, size, masked=True)
    cold, hot = solve(world, reward, 1e-7, planner), solve(world, reward, 1e9, planner)
    value = np.zeros(size)
    for _ in range(2000):
        q = np.where(world.available, reward.numpy() + DISCOUNT * world.transition @ value, -np.inf)
        value = q.max(axis=1)
    np.testing.assert_allclose(cold.value.numpy(), value, atol=1e-5)
    # the entropy planner still plans for states with more options; the kl planner's limit is uniform
    if planner == "kl":
        uniform = world.available / world.available.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(hot.log_policy.exp().numpy(), uniform, atol=1e-6)


@given(seeds, sizes, alphas)
def test_soft_values_lie_between_hard_ones_and_the_wage_of_entropy(seed: int, size: int, alpha: float) -> None:
    world, reward = draw(seed, size)
    hard = solve(world, reward, 1e-9, "entropy").value
    soft = solve(world, reward, alpha, "entropy").value
    slack = 1e-6
    assert bool((soft >= hard - slack).all())
    assert bool((soft <= hard + alpha * np.log(3) / (1 - DISCOUNT) + slack).all())


@given(seeds, sizes, alphas)
def test_kl_values_lie_between_the_prior_and_hard_ones(seed: int, size: int, alpha: float) -> None:
    """KL to the prior is a cost: V <= V*, and V >= the value of following the prior, which costs nothing."""
    world, reward = draw(seed, size, masked=True)
    soft, hard = solve(world, reward, alpha).value, solve(world, reward, 1e-9).value
    uniform = world.available / world.available.sum(axis=1, keepdims=True)
    kernel = np.einsum("sa,san->sn", uniform, world.transition)
    prior = np.linalg.solve(np.eye(size) - DISCOUNT * kernel, (uniform * reward.numpy()).sum(axis=1))
    assert bool((soft <= hard + 1e-6).all())
    assert (soft.numpy() >= prior - 1e-9).all()
    assert (soft.numpy() >= hard.numpy() - alpha * np.log(3) / (1 - DISCOUNT) - 1e-6).all()


@given(seeds, sizes, alphas, planners)
def test_occupancy_is_a_flow_of_one_over_one_minus_discount(seed: int, size: int, alpha: float, planner: str) -> None:
    """d E[V(s0)] / d r(s, a) = expected discounted visits: their sum, and what flows in flows out."""
    world, reward = draw(seed, size, masked=True)
    reward.requires_grad_()
    start = np.random.default_rng(seed).dirichlet(np.ones(size))
    value = solve(world, reward, alpha, planner).value
    (visits,) = torch.autograd.grad(value @ torch.from_numpy(start), reward)
    occupancy = visits.numpy()
    assert occupancy.min() >= -1e-12
    assert (occupancy[~world.available] == 0).all()
    np.testing.assert_allclose(occupancy.sum(), 1 / (1 - DISCOUNT), rtol=1e-9)
    inflow = start + DISCOUNT * np.einsum("sa,san->n", occupancy, world.transition)
    np.testing.assert_allclose(occupancy.sum(axis=1), inflow, atol=1e-9)


@given(seeds, sizes, alphas, planners)
def test_rewards_of_actions_that_do_not_exist_do_not_matter(seed: int, size: int, alpha: float, planner: str) -> None:
    world, reward = draw(seed, size, masked=True)
    other = torch.where(torch.from_numpy(world.available), reward, 1e300)
    one, two = solve(world, reward, alpha, planner), solve(world, other, alpha, planner)
    assert torch.equal(one.log_policy, two.log_policy)
    assert torch.equal(one.value, two.value)


@given(seeds, sizes, alphas, st.floats(-5, 5))
def test_hard_plans_share_the_invariances(seed: int, size: int, alpha: float, constant: float) -> None:
    """Constants, potentials and scaling leave the "boltzmann" planner's behavior alone, too."""
    world, reward = draw(seed, size, masked=True)
    potential = np.random.default_rng(seed + 1).normal(size=size)
    shaping = torch.from_numpy(DISCOUNT * world.transition @ potential - potential[:, None])
    problem = problem_of(world, world.available.astype(float), DISCOUNT)

    def policy(reward: Tensor, alpha: float) -> Tensor:
        return solve_stationary(problem, reward, temperatures(world, alpha), plan_hard=True).log_policy

    for other in (policy(reward + constant, alpha), policy(reward + shaping, alpha), policy(7 * reward, 7 * alpha)):
        same(policy(reward, alpha), other, 1e-8 / min(alpha, 1.0))


@given(seeds, sizes, alphas, planners)
def test_twins_share_equally(seed: int, size: int, alpha: float, planner: str) -> None:
    world, reward = draw(seed, size)
    twice = [0, 1, 2, 2]
    doubled = World(world.transition[:, twice], world.available[:, twice])
    policy = solve(doubled, reward[:, twice], alpha, planner).log_policy.exp()
    assert torch.equal(policy[:, 2], policy[:, 3])


@given(seeds, alphas)
def test_a_clone_doubles_the_odds_of_a_single_decision(seed: int, alpha: float) -> None:
    """Red bus, blue bus: a property of the model, not a bug."""
    world, reward = draw(seed, 4)
    stay = World(np.repeat(np.eye(4)[:, None], 3, axis=1), world.available)
    twice = [0, 1, 2, 2]
    problem = problem_of(stay, np.ones((4, 3)), 0.0)
    doubled = problem_of(World(stay.transition[:, twice], stay.available[:, twice]), np.ones((4, 4)), 0.0)
    single = solve_stationary(problem, reward, temperatures(stay, alpha)).log_policy.exp()
    pair = solve_stationary(doubled, reward[:, twice], temperatures(stay, alpha)).log_policy.exp()
    odds = single[:, 2] / single[:, :2].sum(dim=1)
    np.testing.assert_allclose((pair[:, 2:].sum(dim=1) / pair[:, :2].sum(dim=1)).numpy(), 2 * odds.numpy(), rtol=1e-8)


@settings(max_examples=8)
@given(seeds, sizes, planners)
def test_many_people_at_once_are_each_alone(seed: int, size: int, planner: str) -> None:
    world, reward = draw(seed, size)
    task = task_of(world, {"reward": reward.numpy()}, DISCOUNT)
    people = {"ann": 0.3, "bob": 1.0, "cleo": 3.0}
    together = hs.plan(task, {"reward": 1.0}, temperature=people, planner=planner)  # type: ignore[arg-type]
    for who, alpha in people.items():
        alone = hs.plan(task, {"reward": 1.0}, temperature=alpha, planner=planner)  # type: ignore[arg-type]
        for state in range(size):
            pd.testing.assert_series_equal(
                together.action_distribution(state, who), alone.action_distribution(state), atol=1e-9
            )


@settings(max_examples=8)
@given(seeds, sizes, alphas, planners)
def test_a_union_of_contexts_is_each_context_alone(seed: int, size: int, alpha: float, planner: str) -> None:
    tasks = {}
    for name, offset in (("left", 0), ("right", 1)):
        world, reward = draw(seed + offset, size)
        tasks[name] = task_of(world, {"reward": reward.numpy()}, DISCOUNT)
    joint = hs.plan(hs.Task.union(tasks), {"reward": 1.0}, alpha, planner)  # type: ignore[arg-type]
    for name, task in tasks.items():
        alone = hs.plan(task, {"reward": 1.0}, alpha, planner)  # type: ignore[arg-type]
        for state in range(size):
            ours = joint.action_distribution((name, state))
            pd.testing.assert_series_equal(ours, alone.action_distribution(state), atol=1e-9)


@settings(max_examples=8)
@given(seeds, sizes, alphas, planners)
@pytest.mark.slow
def test_newton_and_value_iteration_agree(seed: int, size: int, alpha: float, planner: str) -> None:
    world, reward = draw(seed, size, masked=True)
    task = task_of(world, {"reward": np.where(world.available, reward.numpy(), 0.0)}, DISCOUNT)
    newton = hs.plan(task, {"reward": 1.0}, alpha, planner, hs.Newton())  # type: ignore[arg-type]
    sweeps = hs.plan(task, {"reward": 1.0}, alpha, planner, hs.ValueIteration())  # type: ignore[arg-type]
    np.testing.assert_allclose(newton.value.numpy(), sweeps.value.numpy(), atol=1e-7)


def test_a_solver_that_stops_early_says_so() -> None:
    world, reward = draw(1, 5)
    task = task_of(world, {"reward": reward.numpy()}, 0.99)
    with pytest.raises(hs.errors.SolveError, match="step limit"):
        hs.plan(task, {"reward": 1.0}, solver=hs.ValueIteration(max_steps=3))
