"""The policy gradient against plain numpy: advantages and the limit.

What its entropy bonus is good for is a claim of the lecture (`analysis/lecture/samples.py`, B5), and tested there.
"""

import numpy as np
import pytest
import torch

import humansoft as hs
from humansoft.solvers.advantages import advantages
from humansoft.solvers.solution import SolveStatus
from humansoft.solvers.world import Step
from tests.oracle import reference
from tests.oracle.worlds import problem_of, random_world, task_of, temperatures

DISCOUNT, ALPHA = 0.9, 0.5


def test_advantages_are_discounted_sums_of_surprises() -> None:
    generator = np.random.default_rng(1)
    length, walkers, discount, trace = 7, 3, 0.9, 0.6
    reward, cost, value, after = generator.normal(size=(4, length, walkers))
    ended, cut = generator.random((2, length, walkers)) < 0.25
    cut &= ~ended
    none, always = torch.zeros(walkers, dtype=torch.int64), torch.ones(walkers, dtype=torch.bool)
    gains, ends, cuts = (torch.from_numpy(array) for array in (reward, ended, cut))
    steps = [Step(none, none, gains[t], none, ends[t], cuts[t], always) for t in range(length)]
    judged = (torch.from_numpy(cost), torch.from_numpy(value), torch.from_numpy(after))
    found = advantages(steps, judged[0], judged[1], judged[2], discount, trace).numpy()
    for w in range(walkers):
        for t in range(length):
            total, weight = 0.0, 1.0
            for k in range(t, length):
                following = 0.0 if ended[k, w] else after[k, w]
                total += weight * (reward[k, w] - cost[k, w] + discount * following - value[k, w])
                weight *= discount * trace
                if ended[k, w] or cut[k, w]:
                    break
            assert found[t, w] == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("planner", ["kl", "entropy"])
@pytest.mark.slow
def test_its_limit_is_the_soft_optimal_policy(planner: reference.Planner) -> None:
    generator = np.random.default_rng(3)
    world = random_world(generator, 6, 3, masked=True)
    reward = np.where(world.available, generator.normal(size=(6, 3)), 0.0)
    measure = reference.weights(world, planner)
    exact = reference.solve(world, reward, ALPHA, planner, DISCOUNT, sweeps=600)
    options = hs.PolicyGradient(num_steps=100, num_walkers=512)
    found = options.value(
        problem_of(world, measure, DISCOUNT), torch.from_numpy(reward), temperatures(world, ALPHA), None
    )
    assert found.status is SolveStatus.LEARNED
    assert found.q is not None
    policy = np.exp(reference.log_policy(found.q.numpy(), measure, ALPHA))
    assert 0.5 * np.abs(policy - exact.policy).sum(axis=-1).max() < 0.05
    assert np.abs(found.value.numpy() - exact.value).max() < 0.1


@pytest.mark.parametrize("num_passes", [1, 5])
def test_a_table_takes_its_natural_gradient_once_however_often_rollouts_are_gone_through(num_passes: int) -> None:
    task = hs.Task.grid("S....\n.###.\n..#..\n#...G", discount=0.95)
    options = hs.PolicyGradient(num_steps=30, num_walkers=512, num_passes=num_passes)
    given = (task, {"step": -1.0, "goal": 2.0}, 0.5)
    exact, found = hs.plan(*given), hs.plan(*given, solver=options)
    going = ~task.terminal
    off = 0.5 * (found.log_policy.exp() - exact.log_policy.exp()).abs().sum(dim=-1)[going]
    assert off.max() < 0.01


@pytest.mark.parametrize(("temperature", "most"), [(0.5, 0.03), (2.0, 0.01)])
@pytest.mark.slow
def test_default_options_find_the_exact_policy_where_observations_are_codes(temperature: float, most: float) -> None:
    task = hs.Task.from_gymnasium("FrozenLake-v1", discount=0.95)
    exact = hs.plan(task, {"reward": 1.0}, temperature=temperature)
    found = hs.plan_in("FrozenLake-v1", temperature=temperature, seed=1, discount=0.95, solver="policy_gradient")
    visits = hs.occupancy(exact, discounted=True).set_index("state").visits
    going = np.flatnonzero(~task.terminal.numpy())
    chances = np.exp(exact.log_prob(np.zeros(len(going), dtype=np.int64), going))
    off = 0.5 * np.abs(chances - np.exp(found.log_prob(going))).sum(axis=1)
    assert np.average(off, weights=visits[going]) < most


@pytest.mark.slow
def test_a_model_that_learns_by_it_scores_and_simulates() -> None:
    chosen = hs.PolicyGradient(num_steps=150, num_walkers=512)
    generator = np.random.default_rng(11)
    world = random_world(generator, 12, 3, masked=True, ends=True)
    features = {"gain": np.where(world.available, generator.normal(size=(12, 3)), 0.0)}
    task = task_of(world, features, DISCOUNT)
    log = hs.simulate(hs.plan(task, {"gain": 1.5}, 0.7), episodes=300, seed=1, max_steps=20)
    model = hs.SoftOptimalModel(task, hs.LinearReward(fixed={"gain": 1.5}), hs.Shared(), solver=chosen)
    fitted = hs.fit(model, log)
    nats = hs.score(fitted, log, baselines="none").loc["model", "nats_per_decision"]
    exact = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(fixed={"gain": 1.5}), hs.Shared()), log)
    assert nats == pytest.approx(hs.score(exact, log, baselines="none").loc["model", "nats_per_decision"], abs=0.01)
    assert hs.simulate(fitted, 5, seed=3) == hs.simulate(fitted, 5, seed=3)


def test_a_policy_that_is_not_near_the_solution_says_so() -> None:
    task = hs.Task.grid("S....\n.###.\n..#..\n#...G", discount=0.95)
    few = hs.PolicyGradient(num_steps=2, num_walkers=64)
    with pytest.warns(hs.errors.SolveWarning, match="not near the solution yet: .* more num_steps"):
        policy = hs.plan(task, {"step": -1.0, "goal": 2.0}, temperature=0.01, solver=few)
    assert policy.solution.status is SolveStatus.UNSETTLED


def test_hard_planners_and_horizons_are_refused() -> None:
    task = hs.Task.grid("S.G\n...", discount=0.9, horizon=5)
    with pytest.raises(hs.errors.ModelError, match="without a horizon"):
        hs.SoftOptimalModel(task, solver="policy_gradient")
    with pytest.raises(hs.errors.ModelError, match="planner='boltzmann'"):
        hs.SoftOptimalModel(hs.Task.grid("S.G\n...", discount=0.9), planner="boltzmann", solver="policy_gradient")
    with pytest.raises(hs.errors.ModelError, match="3 problems"):
        hs.PolicyGradient(num_steps=0, trace=2.0, clip=0.0)
    with pytest.raises(hs.errors.ModelError, match="Did you mean 'policy_gradient'"):
        hs.SoftOptimalModel(task, solver="policy_gradients")
