"""Extreme temperatures, masks, threads, and people who would rather not arrive."""

import functools
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

import humansoft as hs
from humansoft.solvers.bellman import log_soft_policy, soft_value
from humansoft.solvers.exact import solve_stationary
from humansoft.solvers.problem import Problem
from humansoft.solvers.solution import SolveStatus
from tests.oracle import reference
from tests.oracle.worlds import problem_of, random_world, task_of, temperatures

EXTREMES = [1e-8, 1e-4, 1.0, 1e4, 1e8]


@pytest.mark.parametrize("alpha", EXTREMES)
@pytest.mark.parametrize("spread", [1.0, 1e6])
@pytest.mark.parametrize("planner", reference.PLANNERS)
def test_values_and_policies_stay_finite(planner: reference.Planner, alpha: float, spread: float) -> None:
    world = random_world(np.random.default_rng(1), 8, 3, masked=True)
    problem = problem_of(world, reference.weights(world, planner), 0.95)
    reward = torch.from_numpy(np.random.default_rng(2).normal(size=(8, 3)) * spread).requires_grad_()
    alphas = temperatures(world, alpha).requires_grad_()
    solution = solve_stationary(problem, reward, alphas, plan_hard=planner == "boltzmann", differentiable=True)
    assert solution.status is SolveStatus.CONVERGED
    policy = solution.log_policy.exp()
    assert torch.allclose(policy.sum(dim=-1), torch.ones(8, dtype=torch.float64), atol=1e-12)
    assert bool((policy[~torch.from_numpy(world.available)] == 0).all())
    kept = torch.isfinite(solution.log_policy)
    gradients = torch.autograd.grad(solution.log_policy[kept].clamp_min(-50).sum(), (reward, alphas))
    assert all(bool(torch.isfinite(g).all()) for g in gradients)


def test_extreme_temperatures_have_the_right_limits() -> None:
    world = random_world(np.random.default_rng(3), 6, 3, masked=True)
    task = task_of(world, {"r": np.random.default_rng(4).normal(size=(6, 3))}, 0.9)
    reward = task.features[:, :, 0].numpy()
    best = reference.solve(world, reward, 1.0, "boltzmann", 0.9, sweeps=400)
    greedy = np.where(world.available, best.q, -np.inf).argmax(axis=1)
    for planner in reference.PLANNERS:
        cold = hs.plan(task, {"r": 1.0}, 1e-8, planner)
        assert (cold.log_policy.numpy().argmax(axis=1) == greedy).all()
        np.testing.assert_allclose(cold.value, best.value, atol=1e-6)
        hot = np.exp(hs.plan(task, {"r": 1.0}, 1e8, planner).log_policy.numpy())
        if planner != "entropy":  # that one still plans for states with more options
            np.testing.assert_allclose(hot, reference.weights(world, "kl"), atol=1e-6)


def test_the_naive_formula_fails_where_ours_does_not() -> None:
    q, alpha = torch.tensor([[1.0, 5.0, 11.0]], dtype=torch.float64), torch.tensor([1e-4], dtype=torch.float64)
    naive = alpha * torch.log(torch.exp(q / alpha[:, None]).sum(dim=-1))
    assert not bool(torch.isfinite(naive).all())
    zero = torch.zeros_like(q)
    assert soft_value(q, zero, alpha).item() == pytest.approx(11.0)
    assert log_soft_policy(q, zero, alpha).exp().sum().item() == pytest.approx(1.0, abs=1e-15)


@pytest.mark.slow
def test_two_people_of_two_hundred_states_and_two_threads_do_not_hang() -> None:
    """torch's batched dense solver raises or hangs here on the CPU (SCIENCE 5.4)."""
    program = """
import numpy as np, torch
torch.set_num_threads(2)
import humansoft as hs
maze = "\\n".join("." * 20 for _ in range(9)) + "\\n" + "." * 19 + "G"
task = hs.Task.grid(maze, discount=0.95)
assert len(task.states) == 200
policy = hs.plan(task, {"step": -1.0}, temperature={"ann": 0.3, "bob": 1.0})
assert bool(torch.isfinite(policy.value).all())
log = hs.simulate(policy, 5, seed=1, max_steps=30)
reward = hs.LinearReward(["step"], {"step": -1.0})
hs.fit(hs.SoftOptimalModel(task, reward, hs.PerSubject()), log)
assert torch.get_num_threads() == 2
print("done")
"""
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)
    assert done.stdout.strip().endswith("done"), done.stderr
    assert time.monotonic() - start < 240


MAZE = "S......\n.#####.\n......G"


def goal_share(task: hs.Task, planner: reference.Planner, temperature: float) -> float:
    """Return the probability of reaching the goal within 60 decisions, by pushing the start distribution forward."""
    assert task.initial is not None
    policy = hs.plan(task, {"step": -1.0}, temperature, planner)
    state, action, following, probability = task.transitions.to_triples()
    table = np.exp(policy.log_policy.numpy())
    mass, terminal, arrived = task.initial.numpy().copy(), task.terminal.numpy(), 0.0
    for t in range(60):
        chance = table[t] if task.horizon else table
        moved = mass[state] * chance[state, action] * probability
        mass = np.bincount(following, weights=moved, minlength=len(mass))
        arrived += mass[terminal].sum()
        mass[terminal] = 0.0
    return float(arrived)


def test_entropy_pays_for_not_arriving_and_kl_does_not() -> None:
    """Near the feasible limit an entropy planner arrives less often than a random walk."""
    task = hs.Task.grid(MAZE, discount=1.0)
    walk = goal_share(task, "kl", 1e8)
    assert goal_share(task, "entropy", 0.995 * _limit()) < walk
    assert goal_share(task, "kl", 1.5) > max(0.95, walk + 0.2)


@functools.cache
def _limit() -> float:
    """Return the largest temperature of an entropy planner in the maze, as the refusal states it."""
    task = hs.Task.grid(MAZE, discount=1.0)
    with pytest.raises(hs.errors.SolveError, match="must stay below") as caught:
        hs.plan(task, {"step": -1.0}, temperature=5.0, planner="entropy")
    return float(str(caught.value).split("must stay below ")[1].split()[0])


def test_the_stated_bound_is_the_bound() -> None:
    """Spectral radius 1 of exp(-c/alpha) * adjacency: c / log(largest eigenvalue of the moves)."""
    task = hs.Task.grid(MAZE, discount=1.0)
    limit = _limit()
    moves = np.zeros((len(task.states), len(task.states)))
    s, _, n, p = task.transitions.to_triples()
    np.add.at(moves, (s, n), p)
    alive = ~task.terminal.numpy()
    radius = np.abs(np.linalg.eigvals(moves[np.ix_(alive, alive)])).max()
    assert limit == pytest.approx(1 / np.log(radius), rel=2e-4)
    hs.plan(task, {"step": -1.0}, temperature=0.999 * limit, planner="entropy")
    with pytest.raises(hs.errors.SolveError, match="inverse temperature above"):
        hs.plan(task, {"step": -1.0}, temperature=1.001 * limit, planner="entropy")


@pytest.mark.parametrize(("discount", "horizon"), [(0.95, None), (1.0, 60)])
def test_beyond_the_step_cost_entropy_stops_wanting_to_arrive(discount: float, horizon: int | None) -> None:
    """21 cells, step cost 1: from temperature 1 / ln 4 = .72 on, an entropy planner loiters; KL does not (S14)."""
    task = hs.Task.grid("S....\n.#.#.\n.....\n.#.#.\n....G", discount=discount, horizon=horizon)
    assert len(task.states) == 21

    walk = goal_share(task, "kl", 1e9)
    assert walk == pytest.approx(0.31, abs=0.005)
    assert goal_share(task, "entropy", 0.7) > walk
    assert goal_share(task, "entropy", 0.8) < 0.1
    assert goal_share(task, "entropy", 1.0) < 0.03
    assert goal_share(task, "kl", 1.5) > 0.99
    assert goal_share(task, "kl", 3.0) > 0.97


def test_whether_there_is_a_solution_is_told_right_up_to_the_bound() -> None:
    """Random costs and moves: solvable exactly while the spectral radius of exp(-cost / alpha) * moves is below 1."""
    generator = np.random.default_rng(5)
    tried = 0
    for _ in range(15):
        size, num_actions = int(generator.integers(3, 12)), int(generator.integers(2, 5))
        world = random_world(generator, size, num_actions, successors=1, ends=True, masked=True)
        cost = generator.uniform(0.5, 2.0, size=(size, num_actions))
        bound = bound_by_bisection(world, cost)
        if bound is None:
            continue
        problem = problem_of(world, reference.weights(world, "entropy"), 1.0)
        for factor in (0.3, 0.9999, 1.0001, 30.0):
            found = solve_stationary(problem, torch.from_numpy(-cost), temperatures(world, bound * factor))
            expected = SolveStatus.CONVERGED if factor < 1 else SolveStatus.INFEASIBLE
            assert found.status is expected, (bound, factor)
            if factor < 1:
                answer = reference.desirability(world, -cost, bound * factor, reference.weights(world, "entropy"))
                np.testing.assert_allclose(found.value, answer, rtol=1e-7)
            tried += 1
    assert tried > 30


def bound_by_bisection(world: reference.World, cost: reference.Array) -> float | None:
    """Return the temperature where the spectral radius passes 1, ``None`` when every temperature will do."""
    acting = np.ix_(world.acting, world.acting)

    def radius(alpha: float) -> float:
        moves = np.einsum("sa,san->sn", world.available * np.exp(-cost / alpha), world.transition)
        return float(np.abs(np.linalg.eigvals(moves[acting])).max())

    low, high = 1e-3, 1e6
    if radius(high) < 1:
        return None
    while high / low > 1 + 1e-7:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if radius(middle) < 1 else (low, middle)
    return low


FREE_STEPS = "S...\n.#.L\n...G"


@pytest.mark.parametrize("weights", [{"goal": 1.0}, {"lava": -1.0}, {"step": 0.0}])
@pytest.mark.slow
def test_entropy_without_step_costs_has_no_temperature_at_all(weights: dict[str, float]) -> None:
    """Not even a tiny one: values that grow for ever must not pass for a solution where rounding hides the growth."""
    task = hs.Task.grid(FREE_STEPS, discount=1.0, legend={"L": "lava"})
    with pytest.raises(hs.errors.SolveError, match="no temperature is low enough"):
        hs.plan(task, weights, 0.5, "entropy")


@pytest.mark.parametrize("solver", [hs.Newton(), hs.ValueIteration()])
def test_hard_plans_do_not_go_round_in_circles_where_that_is_free(solver: hs.Newton | hs.ValueIteration) -> None:
    """Undiscounted, walking in circles at no cost ties with walking on; values are finite all the same."""
    task = hs.Task.grid(FREE_STEPS, discount=1.0, legend={"L": "lava"})
    for weights, value in (({"goal": 1.0}, 1.0), ({"lava": -1.0}, 0.0), ({"step": 0.0}, 0.0)):
        policy = hs.plan(task, weights, 0.5, "boltzmann", solver)
        np.testing.assert_allclose(policy.value[~task.terminal], value, atol=1e-12)
        assert bool(torch.isfinite(policy.log_policy[task.available]).all())


@pytest.mark.parametrize(
    ("planner", "solver"),
    [(planner, hs.Newton()) for planner in reference.PLANNERS]
    + [pytest.param(planner, hs.ValueIteration(), marks=pytest.mark.slow) for planner in reference.PLANNERS],
)
def test_both_solvers_refuse_what_pays_for_ever(
    planner: reference.Planner, solver: hs.Newton | hs.ValueIteration
) -> None:
    world = random_world(np.random.default_rng(6), 5, 3, successors=1, ends=True)
    problem = problem_of(world, reference.weights(world, planner), 1.0)
    reward = torch.full((5, 3), 1.0, dtype=torch.float64)
    hard = planner == "boltzmann"
    found = solve_stationary(problem, reward, temperatures(world, 0.5), plan_hard=hard, solver=solver)
    assert found.status is SolveStatus.INFEASIBLE
    assert "going on forever is worth more than ending" in found.status.value


@pytest.mark.slow
@pytest.mark.parametrize("gain", [-1.0, 1.0])
def test_sweeps_have_patience_with_long_ways(gain: float) -> None:
    """Along 2,100 cells, values change by as much with every sweep; that is no growth for ever."""
    size = 2100
    successors = torch.arange(1, size + 1).clamp_max(size - 1)[:, None, None]
    log_prior = torch.zeros(size, 1, dtype=torch.float64)
    log_prior[-1] = -torch.inf
    problem = Problem(successors, torch.ones(size, 1, 1, dtype=torch.float64), log_prior, 1.0)
    reward = torch.full((size, 1), gain, dtype=torch.float64)
    ones = torch.ones(size, dtype=torch.float64)
    found = solve_stationary(problem, reward, ones, plan_hard=True, solver=hs.ValueIteration(), differentiable=False)
    assert found.status is SolveStatus.CONVERGED
    assert found.value[0] == gain * (size - 1)


def test_walls_and_closed_rooms_are_harmless_undiscounted() -> None:
    task = hs.Task.grid("S.#.\n..##\n.G#.", discount=1.0)
    policy = hs.plan(task, {"step": -1.0}, temperature=0.5)
    assert bool(torch.isfinite(policy.value).all())
    log = hs.simulate(policy, 20, seed=1)
    assert (hs.check(log, task)["severity"] != "error").all()


def test_an_action_into_a_trap_has_probability_zero_undiscounted() -> None:
    rows = [("a", "go", "end"), ("a", "jump", "pit"), ("pit", "go", "pit"), ("pit", "jump", "pit")]

    table = pd.DataFrame(rows, columns=["state", "action", "next_state"]).assign(step=1.0)
    task = hs.Task.table(table, discount=1.0, features=["step"])
    policy = hs.plan(task, {"step": -1.0}, temperature=10.0)
    assert policy.action_distribution("a")["jump"] == 0.0


def test_threads_come_back_after_a_call() -> None:
    before = torch.get_num_threads()
    hs.plan(hs.Task.grid("S.G\n...", discount=0.9), {"step": -1.0})
    assert torch.get_num_threads() == before
