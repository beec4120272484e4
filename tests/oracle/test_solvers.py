"""Every solver against every other and against dense linear algebra; what they say where there is no solution."""

import subprocess
import sys

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
from humansoft.solvers.linear_system import (
    DenseSystem,
    FactorisedSystem,
    IteratedSystem,
    LinearSystem,
    linear_system,
)
from humansoft.solvers.problem import Problem
from humansoft.solvers.solution import SolveStatus
from tests.oracle import reference
from tests.oracle.reference import World
from tests.oracle.worlds import problem_of, random_world, temperatures

SOLVERS: dict[str, Solver] = {
    "newton": hs.Newton(system="factorised"),
    "dense newton": hs.Newton(system="dense"),
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
@pytest.mark.slow
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
@pytest.mark.parametrize("discount", [0.9, pytest.param(0.99, marks=pytest.mark.slow)])
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


@pytest.mark.slow
def test_anderson_needs_far_fewer_sweeps_than_value_iteration() -> None:
    maze = "\n".join(["S" + "." * 11] + ["." * 12] * 10 + ["." * 11 + "G"])
    sweeps = {}
    for solver in (hs.Anderson(), hs.ValueIteration()):
        task = hs.Task.grid(maze, discount=0.99)
        problem = hs.plan(task, {"step": -1.0}, planner="entropy").expansion.problem
        ones = torch.ones(len(task.states), dtype=torch.float64)
        sweeps[type(solver).__name__] = solver.value(problem, -task.available.double(), ones, None).num_steps
    assert sweeps["Anderson"] < sweeps["ValueIteration"] / 4


@pytest.mark.parametrize("kind", [FactorisedSystem, DenseSystem, IteratedSystem])
@pytest.mark.parametrize("transposed", [False, True])
def test_systems_are_dense_linear_algebra(kind: type[LinearSystem], transposed: bool) -> None:
    world, reward, problem = drawn(3, 0.99)
    policy = policy_of(reward, problem.log_prior, temperatures(world, 0.7))
    matrix = np.eye(7) - 0.99 * np.einsum("sa,san->sn", policy.numpy(), world.transition)
    right = np.random.default_rng(0).normal(size=(7, 3))
    expected = np.linalg.solve(matrix.T if transposed else matrix, right)
    for _ in range(2):  # the first elimination finds the order in which the others are done
        system = kind(problem, policy)  # type: ignore[call-arg]
        np.testing.assert_allclose(system.apply_inverse(torch.from_numpy(right), transposed), expected, atol=1e-10)
        column = system.apply_inverse(torch.from_numpy(right[:, 0].copy()), transposed)
        np.testing.assert_allclose(column, expected[:, 0], atol=1e-10)


@pytest.mark.parametrize("sizes", [(5, 40, 1, 17, 5, 23), (12, 12, 12), (30,)])
@pytest.mark.parametrize("transposed", [False, True])
def test_dense_systems_keep_blocks_of_any_size_apart(sizes: tuple[int, ...], transposed: bool) -> None:
    generator = np.random.default_rng(8)
    blocks = [random_world(generator, size, 2).transition for size in sizes]
    total, starts = sum(sizes), np.cumsum((0, *sizes))
    successors, probabilities = np.zeros((total, 2, max(sizes)), dtype=np.int64), np.zeros((total, 2, max(sizes)))
    matrix = np.eye(total)
    policy = generator.dirichlet(np.ones(2), size=total)
    for size, start, kernel in zip(sizes, starts, blocks, strict=False):
        own = slice(start, start + size)
        successors[own] = start
        successors[own, :, :size] += np.arange(size)
        probabilities[own, :, :size] = kernel
        matrix[own, own] -= 0.99 * np.einsum("sa,san->sn", policy[own], kernel)
    problem = Problem(
        torch.from_numpy(successors),
        torch.from_numpy(probabilities),
        torch.zeros(total, 2, dtype=torch.float64),
        discount=0.99,
        block_sizes=sizes,
    )
    right = generator.normal(size=(total, 2))
    found = DenseSystem(problem, torch.from_numpy(policy)).apply_inverse(torch.from_numpy(right), transposed)
    np.testing.assert_allclose(found, np.linalg.solve(matrix.T if transposed else matrix, right), atol=1e-10)


@pytest.mark.slow
def test_dense_batches_survive_two_threads() -> None:
    """Torch's batches of more than about 96 states hang or are wrong with two threads on the CPU (SCIENCE 5.4)."""
    program = """
import torch
from humansoft.solvers.linear_system import DenseSystem, FactorisedSystem
from humansoft.solvers.problem import Problem
torch.set_num_threads(2)
blocks, size = 2, 200
generator = torch.Generator().manual_seed(0)
within = torch.randint(size, (blocks, size, 2, 9), generator=generator)
successors = (within + size * torch.arange(blocks)[:, None, None, None]).flatten(0, 1)
probabilities = torch.rand(successors.shape, generator=generator, dtype=torch.float64)
probabilities /= probabilities.sum(dim=-1, keepdim=True)
policy = torch.full((blocks * size, 2), 0.5, dtype=torch.float64)
problem = Problem(successors, probabilities, torch.zeros_like(policy), 0.99, block_sizes=(size,) * blocks)
right = torch.rand(blocks * size, 3, generator=generator, dtype=torch.float64)
for transposed in (False, True):
    dense, sparse = (kind(problem, policy).apply_inverse(right, transposed) for kind in (DenseSystem, FactorisedSystem))
    torch.testing.assert_close(dense, sparse, rtol=1e-10, atol=1e-10)
assert torch.get_num_threads() == 2
print("done")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "done", done.stderr


def test_a_suitable_system_is_chosen_by_what_elimination_fills() -> None:
    world = random_world(np.random.default_rng(1), 100, 2)
    full = problem_of(world, reference.weights(world, "kl"), 0.9)
    grid = hs.plan(hs.Task.grid("\n".join(["." * 10] * 10), discount=0.9), {"step": -1.0}).expansion.problem
    for problem, later in ((full, DenseSystem), (grid, FactorisedSystem)):
        policy = torch.full(problem.log_prior.shape, 1 / problem.log_prior.shape[1], dtype=torch.float64)
        linear_system(problem, policy)  # only now it is known what is filled
        assert type(linear_system(problem, policy)) is later


def test_iteration_takes_columns_together_and_stops_each_where_it_has_arrived() -> None:
    world, reward, problem = drawn(4, 0.9)
    policy = policy_of(reward, problem.log_prior, temperatures(world, 0.7))
    system = IteratedSystem(problem, policy)
    matrix = np.eye(7) - 0.9 * np.einsum("sa,san->sn", policy.numpy(), world.transition)
    scale = np.array([1.0, 1e-12, 0.0])
    right = np.random.default_rng(0).normal(size=(7, 3))
    found = system.apply_inverse(torch.from_numpy(right * scale)).numpy()
    np.testing.assert_allclose(found[:, :2] / scale[:2], np.linalg.solve(matrix, right[:, :2]), atol=1e-11)
    assert not found[:, 2].any()


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
@pytest.mark.slow
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
