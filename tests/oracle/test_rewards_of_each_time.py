"""Rewards that change with time in tasks with a horizon: against enumeration of all paths and finite differences."""

import numpy as np
import pytest
import torch

import humansoft as hs
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.parameters import Parameter
from humansoft.planners import Planner
from humansoft.rewards.base import AbstractReward
from humansoft.solvers.finite_horizon import solve_finite_horizon
from tests.oracle import reference
from tests.oracle.worlds import problem_of, random_world, temperatures

HORIZON = 4


@pytest.mark.parametrize("planner", ["kl", "entropy"])
def test_paths_are_exponential_in_the_rewards_of_their_times(planner: reference.Planner) -> None:
    generator = np.random.default_rng(2)
    world = random_world(generator, 4, 2, successors=1, masked=True)
    reward, alpha = generator.normal(size=(HORIZON, 4, 2)), 0.7
    measure = reference.weights(world, planner)
    problem = problem_of(world, measure, 1.0, HORIZON)
    found = solve_finite_horizon(problem, torch.from_numpy(reward), temperatures(world, alpha))
    log_policy = found.log_policy.numpy()
    for state in range(4):
        paths, mass = reference.path_distribution(world, reward, alpha, measure, state, HORIZON)
        own = np.array([sum(log_policy[t, s, a] for t, (s, a) in enumerate(path)) for path in paths])
        np.testing.assert_allclose(np.exp(own), mass / mass.sum(), rtol=1e-12)
        np.testing.assert_allclose(found.value[0, state], alpha * np.log(mass.sum()), rtol=1e-12)


def test_the_value_is_what_the_policy_gains_over_all_paths() -> None:
    generator = np.random.default_rng(3)
    world = random_world(generator, 3, 2)
    reward, alpha, discount = generator.normal(size=(3, 3, 2)), 0.5, 0.8
    measure = reference.weights(world, "kl")
    found = solve_finite_horizon(
        problem_of(world, measure, discount, 3), torch.from_numpy(reward), temperatures(world, alpha)
    )
    policy = found.log_policy.exp().numpy()
    gained = reference.objective_by_enumeration(world, reward, alpha, measure, policy, 0, discount)
    assert float(found.value[0, 0]) == pytest.approx(gained, abs=1e-12)


@pytest.mark.parametrize("plan_hard", [False, True])
def test_rewards_that_do_not_change_are_the_plain_case(plan_hard: bool) -> None:
    generator = np.random.default_rng(4)
    world = random_world(generator, 5, 3, masked=True)
    problem = problem_of(world, reference.weights(world, "kl"), 0.9, HORIZON)
    reward, alphas = torch.from_numpy(generator.normal(size=(5, 3))), temperatures(world, 0.4)
    plain = solve_finite_horizon(problem, reward, alphas, plan_hard=plan_hard)
    timed = solve_finite_horizon(problem, reward.expand(HORIZON, 5, 3), alphas, plan_hard=plan_hard)
    assert torch.equal(plain.value, timed.value)
    assert torch.equal(plain.log_policy, timed.log_policy)


class Deadline(AbstractReward):
    """Every step has its cost, which grows towards the end: -exp(urgency * t) if ``bent``, else linearly."""

    def __init__(self, bent: bool = True, times: int = HORIZON) -> None:
        super().__init__()
        self.bent, self.times = bent, times
        self.is_linear = not bent  # type: ignore[misc]

    def build(self, task: hs.Task, subjects: object) -> None:
        self.weights = torch.nn.Parameter(torch.tensor([-0.4, -0.3], dtype=torch.float64))

    def forward(self, task: hs.Task) -> torch.Tensor:
        time = torch.arange(self.times, dtype=torch.float64)
        base, urgency = self.weights
        cost = base * torch.exp(-urgency * time) if self.bent else base + urgency * time
        return torch.where(task.available, cost[:, None, None], 0.0)[None]

    def parameters_of(self, task: hs.Task, subjects: object) -> list[Parameter]:
        return [Parameter(name, "reward") for name in ("base", "urgency")]


def task(horizon: int | None = HORIZON) -> hs.Task:
    return hs.Task.grid("S..G\n.#..", discount=0.9, slip=0.2, horizon=horizon)


def test_plans_know_the_deadline() -> None:
    reward = Deadline()
    policy = hs.plan(task(), reward, temperature=0.3)
    start = task().states.encode([(0, 2)])[0]
    # One step before the goal the last decision has no future; those before have a growing cost to flee from.
    toward = policy.log_policy[:, start, task().actions.encode(["right"])[0]].exp()
    assert toward[-1] == pytest.approx(0.25)
    assert bool((toward[:-1] > 0.4).all())


@pytest.mark.parametrize("bent", [False, True])
@pytest.mark.parametrize("planner", ["kl", "boltzmann"])
def test_derivatives_are_those_of_the_likelihood(bent: bool, planner: Planner) -> None:
    log = hs.simulate(hs.plan(task(), Deadline(), {"ann": 0.5, "bob": 1.5}), episodes=20, seed=1)
    model = hs.SoftOptimalModel(task(), Deadline(bent), hs.PerSubject(), planner=planner).bind(log)
    likelihood = ExactLikelihood(model, model.observe(log))
    point, width = torch.tensor([-0.5, -0.2, -0.3, 0.2], dtype=torch.float64), 1e-5
    gradient, hessian = likelihood.gradient(point), likelihood.hessian(point).toarray()
    assert np.abs(gradient[:2]).min() > 1e-2
    for p in range(len(point)):
        step = width * torch.eye(len(point), dtype=torch.float64)[p]
        slope = (likelihood.value(point + step) - likelihood.value(point - step)) / (2 * width)
        column = (likelihood.gradient(point + step) - likelihood.gradient(point - step)) / (2 * width)
        assert gradient[p] == pytest.approx(slope, abs=1e-6)
        np.testing.assert_allclose(hessian[p], column, atol=1e-6)


@pytest.mark.slow
def test_a_fit_finds_the_deadline() -> None:
    near = hs.Task.grid("S.G\n...", discount=0.9, horizon=HORIZON)  # the costs of two times can be got around
    log = hs.simulate(hs.plan(near, Deadline(bent=False), 0.5), episodes=4000, seed=2)
    found = hs.fit(hs.SoftOptimalModel(near, Deadline(bent=False), hs.Fixed(0.5)), log)
    assert found.weight("base") == pytest.approx(-0.4, abs=0.15)
    assert found.weight("urgency") == pytest.approx(-0.3, abs=0.15)


@pytest.mark.parametrize(("horizon", "says"), [(None, "the task has no horizon"), (3, "the horizon of the task is 3")])
def test_rewards_of_other_times_are_refused(horizon: int | None, says: str) -> None:
    with pytest.raises(hs.errors.ModelError, match=f"has 4 times, but {says}"):
        hs.plan(task(horizon), Deadline())
