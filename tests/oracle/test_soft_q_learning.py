"""Soft Q-learning against plain numpy: one update, the whole algorithm, and models that plan with it."""

import numpy as np
import pytest
import torch

import humansoft as hs
from humansoft.solvers.learning import minimiser
from humansoft.solvers.problem import Problem
from humansoft.solvers.q_functions import QTable
from humansoft.solvers.soft_q_learning import SoftQLearner
from humansoft.solvers.solution import SolveStatus
from humansoft.solvers.world import SampledProblem, Step
from tests.oracle import reference
from tests.oracle.reference import Array, World
from tests.oracle.worlds import problem_of, random_world, task_of, temperatures

DISCOUNT, ALPHA = 0.9, 0.5


def drawn(seed: int, size: int = 6, *, masked: bool = False) -> tuple[World, Array, Problem]:
    """Draw the random world of the lecture's claims: Dirichlet(0.5) rows, N(0, 1) rewards."""
    generator = np.random.default_rng(seed)
    world = random_world(generator, size, 3, masked=masked)
    reward = np.where(world.available, generator.normal(size=(size, 3)), 0.0)
    return world, reward, problem_of(world, reference.weights(world, "kl"), DISCOUNT)


def total_variation(log_policy: Array, exact: Array) -> float:
    """Return the largest distance of two policies over states."""
    return float(0.5 * np.abs(np.exp(log_policy) - np.exp(exact)).sum(axis=-1).max())


def learner_of(
    options: hs.SoftQLearning, problem: Problem, reward: Array, alpha: Array
) -> tuple[SoftQLearner, SampledProblem]:
    """Return a tabular learner that has begun."""
    world = SampledProblem(problem, torch.from_numpy(reward), torch.from_numpy(alpha), options.num_walkers)
    learner = SoftQLearner(options, world, QTable(*reward.shape), torch.tensor(0))
    learner.begin(options.seed)
    return learner, world


def one_update(target: str, q: Array, alpha: float, batch: Step, problem: Problem, reward: Array) -> Array:
    """Return Q after one update on a batch, from a table of action values."""
    options = hs.SoftQLearning(target=target, num_walkers=4)
    learner, _ = learner_of(options, problem, reward, np.full(len(reward), alpha))
    for table in (learner.q, learner.target_q):
        table.table.data.copy_(torch.from_numpy(q.reshape(-1, 1)))
    minimiser(learner.q.optimizer())(learner.loss(batch.state, batch.action, learner.target(batch)))
    found: Array = learner.q.table.detach().numpy().reshape(reward.shape)
    return found


def test_only_the_target_tells_soft_from_hard_q_learning() -> None:
    world, reward, problem = drawn(1, masked=True)
    generator = np.random.default_rng(2)
    q = generator.normal(size=reward.shape)
    options = hs.SoftQLearning(num_walkers=64)
    learner, sampled = learner_of(options, problem, reward, np.full(6, ALPHA))
    batch, _ = sampled.step(learner.act(learner.state))
    batch.terminated[:5] = True
    hard = one_update("hard", q, ALPHA, batch, problem, reward)
    np.testing.assert_allclose(one_update("soft", q, 1e-8, batch, problem, reward), hard, atol=1e-6)
    soft = one_update("soft", q, 0.3, batch, problem, reward)
    assert np.abs(soft - hard).max() > 1e-2
    # by hand: each pair moves by its mean error, after k of its samples at the rate (1 + k / 100)^-0.75
    measure = reference.weights(world, "kl")
    value = reference.log_sum(q, measure, 0.3)
    expected = q.copy()
    pairs = np.stack([batch.state.numpy(), batch.action.numpy()], axis=1)
    ended, following = batch.terminated.numpy(), batch.next_state.numpy()
    targets = reward[pairs[:, 0], pairs[:, 1]] + DISCOUNT * np.where(ended, 0.0, value[following])
    for s, a in np.unique(pairs, axis=0):
        mine = (pairs == (s, a)).all(axis=1)
        rate = 1 - (1 - (1 + mine.sum() / 100) ** -0.75) ** mine.sum()
        expected[s, a] += rate * (targets[mine].mean() - q[s, a])
    np.testing.assert_allclose(soft, expected, atol=1e-12)


def test_a_cut_walk_is_still_worth_something_and_an_ended_one_is_not() -> None:
    _, reward, problem = drawn(3)
    learner, sampled = learner_of(hs.SoftQLearning(num_walkers=500), problem, reward, np.full(6, ALPHA))
    learner.target_q.table.data.fill_(7.0)
    step, _ = sampled.step(learner.act(learner.state))
    assert step.truncated.any()
    torch.testing.assert_close(learner.target(step), step.reward + DISCOUNT * 7.0)  # kl: equal values average
    step.terminated.fill_(True)
    torch.testing.assert_close(learner.target(step), step.reward)


def empirical(learner: SoftQLearner, size: int) -> World:
    """Return the world as the replayed decisions show it."""
    count = len(learner.replay)
    pairs = (learner.replay.state[:count], learner.replay.action[:count], learner.replay.next_state[:count])
    transition = np.zeros((size, 3, size))
    np.add.at(transition, tuple(p.numpy() for p in pairs), 1.0)
    total = transition.sum(axis=-1, keepdims=True)
    return World(transition / np.maximum(total, 1), total[..., 0] > 0)


@pytest.mark.slow
@pytest.mark.parametrize("exploration", [1.0, 0.2])
def test_it_finds_the_fixed_point_of_what_it_saw(exploration: float) -> None:
    world, reward, problem = drawn(5)
    options = hs.SoftQLearning(
        num_steps=1500, num_walkers=100, warm_up=1000, updates_per_step=4, batch_size=1024, target_every=10,
        buffer_size=300_000, exploration=exploration,
    )  # fmt: skip
    learner, _ = learner_of(options, problem, reward, np.full(6, ALPHA))
    minimise = minimiser(learner.q.optimizer())
    for _ in range(options.num_steps):
        learner.step(minimise)
    q = learner.q.table.detach().numpy().reshape(reward.shape)
    exact = reference.solve(world, reward, ALPHA, "kl", DISCOUNT, sweeps=600)
    seen = reference.solve(empirical(learner, 6), reward, ALPHA, "kl", DISCOUNT, sweeps=600)
    if exploration == 1:  # on-policy data leave rarely chosen pairs wrong, but right in the policy
        assert np.abs(q - seen.q).max() < 0.15
    log_policy = reference.log_policy(q, reference.weights(world, "kl"), ALPHA)
    assert total_variation(log_policy, exact.log_policy) < 0.08


@pytest.mark.slow
def test_soft_and_hard_learning_have_different_limits() -> None:
    world, reward, problem = drawn(7)
    options = hs.SoftQLearning(target="hard", num_steps=400, num_walkers=256, batch_size=1024)
    found = options.value(problem, torch.from_numpy(reward), temperatures(world, ALPHA), None)
    hard = reference.solve(world, reward, ALPHA, "boltzmann", DISCOUNT, sweeps=600)
    soft = reference.solve(world, reward, ALPHA, "kl", DISCOUNT, sweeps=600)
    assert found.status is SolveStatus.LEARNED
    assert np.abs(found.value.numpy() - hard.value).max() < 0.3
    assert np.abs(found.value.numpy() - soft.value).max() > 1.0


@pytest.mark.slow
@pytest.mark.parametrize("planner", reference.PLANNERS)
def test_a_model_that_learns_from_samples_scores_like_the_exact_one(planner: reference.Planner) -> None:
    generator = np.random.default_rng(11)
    world = random_world(generator, 12, 3, masked=True, ends=True)
    features = {"gain": np.where(world.available, generator.normal(size=(12, 3)), 0.0)}
    task = task_of(world, features, DISCOUNT)
    log = hs.simulate(hs.plan(task, {"gain": 1.5}, 0.7, planner), episodes=300, seed=1, max_steps=20)
    reward, solver = hs.LinearReward(fixed={"gain": 1.5}), hs.SoftQLearning(num_steps=500, num_walkers=512)
    nats = {}
    for name, chosen in {"exact": None, "learned": solver}.items():
        model = hs.SoftOptimalModel(task, reward, hs.Shared(), planner, solver=chosen)
        nats[name] = hs.score(hs.fit(model, log), log, baselines="none").loc["model", "nats_per_decision"]
    assert nats["exact"] != nats["learned"]
    assert nats["learned"] == pytest.approx(nats["exact"], abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("planner", ["kl", "entropy"])
def test_inertia_changes_the_way_and_not_the_policy_it_leads_to(planner: reference.Planner) -> None:
    generator = np.random.default_rng(17)
    world = random_world(generator, 6, 3, masked=True)
    reward = np.where(world.available, generator.normal(size=(6, 3)), 0.0)
    measure = reference.weights(world, planner)
    exact = reference.solve(world, reward, ALPHA, planner, DISCOUNT, sweeps=600)
    options = hs.SoftQLearning(num_steps=1500, num_walkers=512, inertia=0.8, target_every=5)
    found = options.value(
        problem_of(world, measure, DISCOUNT), torch.from_numpy(reward), temperatures(world, ALPHA), None
    )
    assert found.q is not None
    assert total_variation(reference.log_policy(found.q.numpy(), measure, ALPHA), exact.log_policy) < 0.05
    assert np.abs(found.value.numpy() - exact.value).max() < 0.1


def test_inertia_needs_soft_targets() -> None:
    with pytest.raises(hs.errors.ModelError, match="2 problems"):
        hs.SoftQLearning(target="hard", inertia=1.0)
    with pytest.raises(hs.errors.ModelError, match="no log policy to hold to"):
        hs.SoftQLearning(target="hard", inertia=0.5)


@pytest.mark.slow
def test_a_prior_is_planned_against() -> None:
    world, reward, problem = drawn(13)
    prior = np.random.default_rng(1).dirichlet(np.ones(3), size=6)
    problem = problem_of(world, prior, DISCOUNT)
    options = hs.SoftQLearning(num_steps=400, num_walkers=512, batch_size=2048)
    found = options.value(problem, torch.from_numpy(reward), temperatures(world, ALPHA), None)
    exact = reference.solve(world, reward, ALPHA, "kl", DISCOUNT, sweeps=600, measure=prior)
    assert found.q is not None
    assert total_variation(reference.log_policy(found.q.numpy(), prior, ALPHA), exact.log_policy) < 0.08


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["soft_q_learning", "policy_gradient"])
def test_people_in_cramped_room_are_predicted_as_by_the_exact_model(solver: str) -> None:
    log, task = hs.load_dataset("overcooked_cramped_room")
    exact = hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), log)
    learned = hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), solver=solver), log)
    scores = [hs.score(f, log, baselines="none").loc["model", "nats_per_decision"] for f in (exact, learned)]
    assert scores[0] != scores[1]
    assert scores[1] == pytest.approx(scores[0], abs=0.01)
