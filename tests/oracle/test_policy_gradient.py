"""The policy gradient against plain numpy: advantages, the limit, and what the entropy bonus is good for."""

import numpy as np
import pytest
import torch

import humansoft as hs
from humansoft.solvers.advantages import advantages
from humansoft.solvers.baseline import BaselineTable
from humansoft.solvers.learning import minimiser
from humansoft.solvers.policy_gradient import PolicyGradientLearner
from humansoft.solvers.problem import Problem
from humansoft.solvers.q_functions import QTable
from humansoft.solvers.solution import SolveStatus
from humansoft.solvers.world import SampledProblem, Step
from tests.oracle import reference
from tests.oracle.reference import Array, World
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


def learner_of(
    options: hs.PolicyGradient, problem: Problem, reward: Array, alpha: float, starts: Array | None = None
) -> PolicyGradientLearner:
    """Return a tabular learner that has begun; with ``starts``, walks start there only and are never cut."""
    size, num_actions = reward.shape
    given = {} if starts is None else {"starts": torch.from_numpy(starts), "restart": 0.0}
    temperature = torch.full((size,), alpha, dtype=torch.float64)
    world = SampledProblem(problem, torch.from_numpy(reward), temperature, options.num_walkers, **given)
    learner = PolicyGradientLearner(options, world, QTable(size, num_actions), BaselineTable(size), torch.tensor(0))
    learner.begin(options.seed)
    return learner


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


def chain(length: int) -> tuple[World, Array]:
    """Return the quit-or-continue chain: quitting pays 0.3, each step on costs 0.3 / length, the end pays 1."""
    transition = np.zeros((length + 1, 2, length + 1))
    transition[:length, 0, length] = 1.0
    transition[np.arange(length), 1, np.arange(length) + 1] = 1.0
    available = np.ones((length + 1, 2), dtype=bool)
    available[length] = False
    reward = np.zeros((length + 1, 2))
    reward[:length, 0], reward[:length, 1] = 0.3, -0.3 / length
    reward[length - 1, 1] += 1.0
    return World(transition * available[:, :, None], available), reward


def chance_to_get_through(alpha: float, seed: int, world: World, reward: Array) -> float:
    """Train by plain policy gradient with an annealed bonus; return the probability to go on to the end."""
    length = len(reward) - 1
    problem = problem_of(world, reference.weights(world, "entropy"), 1.0)
    options = hs.PolicyGradient(
        num_steps=600, num_walkers=16, rollout=length, trace=1.0, anneal=0.7, natural=False,
        learning_rate=1.0, clip=1e9, seed=seed,
    )  # fmt: skip
    learner = learner_of(options, problem, reward, alpha, starts=np.zeros(1, dtype=np.int64))
    minimise = minimiser(learner.optimizer())
    for rollout in range(options.num_steps):
        learner.begin(seed * options.num_steps + rollout)  # whole episodes from the start
        learner.step(minimise)
    going_on = torch.ones(length, dtype=torch.int64)
    return float(learner.distribution(torch.arange(length)).log_prob(going_on).detach().sum().exp())


@pytest.mark.slow
def test_the_entropy_bonus_prevents_premature_collapse() -> None:
    world, reward = chain(6)
    through = {alpha: [chance_to_get_through(alpha, seed, world, reward) for seed in range(2)] for alpha in (0.0, 0.2)}
    assert sum(chance > 0.5 for chance in through[0.0]) == 0
    assert sum(chance > 0.5 for chance in through[0.2]) == 2


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
