"""Every solver against every other and against dense linear algebra; what they say where there is no solution."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import humansoft as hs
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.parameters import Parameter
from humansoft.rewards.base import AbstractReward
from humansoft.solvers.bellman import action_value, policy_of, soft_value
from humansoft.solvers.exact import Solver, solve_stationary
from humansoft.solvers.linear_system import FactorisedSystem, IteratedSystem, LinearSystem
from humansoft.solvers.problem import Problem
from humansoft.solvers.solution import SolveStatus
from tests.oracle import reference
from tests.oracle.reference import World
from tests.oracle.worlds import problem_of, random_world, temperatures

SOLVERS: dict[str, Solver] = {
    "newton": hs.Newton(system="factorised"),
    "inexact newton": hs.Newton(system="iterated"),
    "linear": hs.Desirability(),
    "anderson": hs.Anderson(),
    "value iteration": hs.ValueIteration(),
}


def drawn(seed: int, discount: float, *, successors: int | None = None) -> tuple[World, torch.Tensor, Problem]:
    """Draw a world with masks, with an end where there is no discount; every step costs something."""
    generator = np.random.default_rng(seed)
    world = random_world(generator, 7, 3, successors=successors, ends=discount == 1, masked=True)
    reward = torch.from_numpy(np.where(world.available, -generator.uniform(0.5, 2, (7, 3)), 0.0))
    return world, reward, problem_of(world, reference.weights(world, "kl"), discount)


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.floats(0.05, 20.0), st.sampled_from([0.0, 0.9, 0.99, 1.0]), st.booleans())
def test_all_solvers_agree(seed: int, alpha: float, discount: float, deterministic: bool) -> None:
    world, reward, problem = drawn(seed, discount, successors=1 if deterministic else None)
    one = {
        name: solve_stationary(problem, reward, temperatures(world, alpha), solver=solver)
        for name, solver in SOLVERS.items()
    }
    assert {solution.status for solution in one.values()} == {SolveStatus.CONVERGED}
    for name, solution in one.items():
        np.testing.assert_allclose(solution.value, one["newton"].value, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("discount", [0.9, 0.99])
def test_a_certificate_bounds_the_error(name: str, discount: float) -> None:
    world, reward, problem = drawn(11, discount)
    alphas = temperatures(world, 0.3)
    exact = solve_stationary(problem, reward, alphas, solver=hs.Newton(tolerance=1e-13)).value
    found = SOLVERS[name].value(problem, reward, alphas, None)
    backup = soft_value(action_value(problem, reward, found.value), problem.log_prior, alphas)
    # 8 units below which a solver cannot tell a residual from 0, and 2 of working it out once more here
    rounding = 10 * np.finfo(float).eps * (float(exact.abs().max()) + 0.3)
    bound = 1e-10 * 0.3 + rounding / (1 - discount)
    assert found.status is SolveStatus.CONVERGED
    assert float((backup - found.value).abs().max()) / (1 - discount) <= bound
    assert float((found.value - exact).abs().max()) <= bound


def test_anderson_needs_far_fewer_sweeps_than_value_iteration() -> None:
    maze = "\n".join(["S" + "." * 11] + ["." * 12] * 10 + ["." * 11 + "G"])
    sweeps = {}
    for solver in (hs.Anderson(), hs.ValueIteration()):
        task = hs.Task.grid(maze, discount=0.99)
        problem = hs.plan(task, {"step": -1.0}, planner="entropy").expansion.problem
        ones = torch.ones(len(task.states), dtype=torch.float64)
        sweeps[type(solver).__name__] = solver.value(problem, -task.available.double(), ones, None).num_steps
    assert sweeps["Anderson"] < sweeps["ValueIteration"] / 4


@pytest.mark.parametrize("kind", [FactorisedSystem, IteratedSystem])
@pytest.mark.parametrize("transposed", [False, True])
def test_systems_are_dense_linear_algebra(kind: type[FactorisedSystem | IteratedSystem], transposed: bool) -> None:
    world, reward, problem = drawn(3, 0.99)
    policy = policy_of(reward, problem.log_prior, temperatures(world, 0.7))
    matrix = np.eye(7) - 0.99 * np.einsum("sa,san->sn", policy.numpy(), world.transition)
    right = np.random.default_rng(0).normal(size=(7, 3))
    expected = np.linalg.solve(matrix.T if transposed else matrix, right)
    system: LinearSystem = kind(problem, policy)
    np.testing.assert_allclose(system.apply_inverse(torch.from_numpy(right), transposed), expected, atol=1e-10)
    column = system.apply_inverse(torch.from_numpy(right[:, 0].copy()), transposed)
    np.testing.assert_allclose(column, expected[:, 0], atol=1e-10)


def test_iteration_gets_help_where_it_stalls() -> None:
    size = 3000  # a long walk in a circle, nearly undiscounted: plain iteration needs more steps than it has
    following = torch.tensor([[(s + 1) % size, (s - 1) % size] for s in range(size)])[:, None, :]
    ahead = torch.tensor([0.9, 0.1], dtype=torch.float64).expand(size, 1, 2)
    problem = Problem(following, ahead, torch.zeros(size, 1, dtype=torch.float64), 0.99999)
    policy, right = torch.ones(size, 1, dtype=torch.float64), torch.sin(torch.arange(size).double())
    exact = FactorisedSystem(problem, policy).apply_inverse(right)
    np.testing.assert_allclose(IteratedSystem(problem, policy).apply_inverse(right), exact, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("planner", ["kl", "entropy"])
@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_the_linear_solve_is_the_linear_equation(planner: reference.Planner, alpha: float) -> None:
    world, _, _ = drawn(5, 1.0, successors=1)
    reward = np.where(world.available, -1.5, 0.0)
    measure = reference.weights(world, planner)
    alphas = temperatures(world, alpha)
    problem = problem_of(world, measure, 1.0)
    found = hs.Desirability().value(problem, torch.from_numpy(reward), alphas, None)
    np.testing.assert_allclose(found.value, reference.desirability(world, reward, alpha, measure), atol=1e-11)
    assert found.system is not None
    q = action_value(problem, torch.from_numpy(reward), found.value)
    plain = FactorisedSystem(problem, policy_of(q, problem.log_prior, alphas))
    right = torch.from_numpy(np.random.default_rng(1).normal(size=(7, 2)))
    for transposed in (False, True):  # the same factors, rescaled, serve the derivatives
        np.testing.assert_allclose(
            found.system.apply_inverse(right, transposed), plain.apply_inverse(right, transposed), atol=1e-10
        )


def test_the_linear_solve_survives_temperatures_near_zero() -> None:
    task = hs.Task.grid("S.....\n.####.\n.....G", discount=1.0)
    cold = hs.plan(task, {"step": -1.0}, temperature=1e-6, solver=hs.Desirability())
    np.testing.assert_allclose(cold.value[task.states.encode([(0, 0)])[0]], -7.0, atol=1e-4)


@pytest.mark.parametrize("name", SOLVERS)
def test_no_solver_finds_what_does_not_exist(name: str) -> None:
    task = hs.Task.grid("S..\n..G", discount=1.0)
    with pytest.raises(hs.errors.SolveError, match="no finite solution"):
        hs.plan(task, {"step": -1.0}, temperature=3.0, planner="entropy", solver=SOLVERS[name])


class Saturating(AbstractReward):
    """A reward that is not linear in its parameters: tanh of a weighted feature."""

    def build(self, task: hs.Task, subjects: object) -> None:
        self.weights = torch.nn.Parameter(torch.zeros(len(task.feature_names), dtype=torch.float64))

    def forward(self, task: hs.Task) -> torch.Tensor:
        return torch.tanh(task.features * self.weights).sum(dim=-1)[None]

    def parameters_of(self, task: hs.Task, subjects: object) -> list[Parameter]:
        return [Parameter(name, "reward") for name in task.feature_names]


@pytest.mark.parametrize("horizon", [None, 4])
def test_rewards_that_are_not_linear_have_their_exact_hessian(horizon: int | None) -> None:
    task = hs.Task.grid("S.L.\n..#G", discount=0.9, legend={"L": "lava"}, slip=0.1, horizon=horizon)
    log = hs.simulate(hs.plan(task, {"step": -1.0, "lava": -1.0}, {"ann": 0.5, "bob": 1.5}), episodes=5, seed=1)
    model = hs.SoftOptimalModel(task, Saturating(), hs.PerSubject()).bind(log)
    likelihood = ExactLikelihood(model, model.observe(log))
    point = torch.tensor([-0.6, 0.3, -0.9, 0.2, -0.3], dtype=torch.float64)
    hessian = likelihood.hessian(point).toarray()
    width = 1e-5
    for p in range(len(point)):
        step = width * torch.eye(len(point), dtype=torch.float64)[p]
        column = (likelihood.gradient(point + step) - likelihood.gradient(point - step)) / (2 * width)
        np.testing.assert_allclose(hessian[p], column, atol=1e-6)


def test_a_likelihood_is_the_sum_of_its_people() -> None:
    maze = hs.Task.grid("S.L.\n..#G", discount=0.9, legend={"L": "lava"})
    log = hs.simulate(hs.plan(maze, {"step": -1.0}, {"ann": 0.5, "bob": 1.5, "cai": 1.0}), episodes=5, seed=1)
    model = hs.SoftOptimalModel(maze, temperature=hs.PerSubject()).bind(log)
    whole = ExactLikelihood(model, model.observe(log))
    point = torch.tensor([-0.6, 0.3, -0.9, 0.2, -0.3, 0.1], dtype=torch.float64)
    parts = [whole.of_people(np.arange(3) == b) for b in range(3)]
    assert sum(float(part.value(point)) for part in parts) == pytest.approx(float(whole.value(point)), rel=1e-12)
    assert all(isinstance(p, ExactLikelihood) and len(p.expansion.state) == len(maze.states) for p in parts)
