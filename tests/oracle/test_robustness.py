"""Extreme temperatures, masks, threads, and people who would rather not arrive."""

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
from humansoft.solvers.solution import SolveStatus
from tests.oracle.worlds import problem_of, random_world, temperatures

EXTREMES = [1e-8, 1e-4, 1.0, 1e4, 1e8]


@pytest.mark.parametrize("alpha", EXTREMES)
@pytest.mark.parametrize("spread", [1.0, 1e6])
def test_values_and_policies_stay_finite(alpha: float, spread: float) -> None:
    world = random_world(np.random.default_rng(1), 8, 3, masked=True)
    uniform = world.available / world.available.sum(axis=1, keepdims=True)
    problem = problem_of(world, uniform, 0.95)
    reward = torch.from_numpy(np.random.default_rng(2).normal(size=(8, 3)) * spread).requires_grad_()
    alphas = temperatures(world, alpha).requires_grad_()
    solution = solve_stationary(problem, reward, alphas)
    assert solution.status is SolveStatus.CONVERGED
    policy = solution.log_policy.exp()
    assert torch.allclose(policy.sum(dim=-1), torch.ones(8, dtype=torch.float64), atol=1e-12)
    assert bool((policy[~torch.from_numpy(world.available)] == 0).all())
    kept = torch.isfinite(solution.log_policy)
    gradients = torch.autograd.grad(solution.log_policy[kept].clamp_min(-50).sum(), (reward, alphas))
    assert all(bool(torch.isfinite(g).all()) for g in gradients)


def test_the_naive_formula_fails_where_ours_does_not() -> None:
    q, alpha = torch.tensor([[1.0, 5.0, 11.0]], dtype=torch.float64), torch.tensor([1e-4], dtype=torch.float64)
    naive = alpha * torch.log(torch.exp(q / alpha[:, None]).sum(dim=-1))
    assert not bool(torch.isfinite(naive).all())
    zero = torch.zeros_like(q)
    assert soft_value(q, zero, alpha).item() == pytest.approx(11.0)
    assert log_soft_policy(q, zero, alpha).exp().sum().item() == pytest.approx(1.0, abs=1e-15)


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


def goal_share(planner: str, temperature: float, steps: int = 60) -> float:
    task = hs.Task.grid(MAZE, discount=1.0)
    policy = hs.plan(task, {"step": -1.0}, temperature=temperature, planner=planner)  # type: ignore[arg-type]
    log = hs.simulate(policy, 2000, seed=1, max_steps=steps)
    return float(log.terminated.sum() / log.num_episodes)


def test_entropy_pays_for_not_arriving_and_kl_does_not() -> None:
    """Near the feasible limit an entropy planner arrives less often than a random walk."""
    task = hs.Task.grid(MAZE, discount=1.0)
    limit = _limit(task)
    walk = goal_share("kl", 1e8)
    assert goal_share("entropy", 0.995 * limit) < walk
    assert goal_share("kl", 1.5) > 0.95
    assert goal_share("kl", 1.5) > walk + 0.2


def _limit(task: hs.Task) -> float:
    with pytest.raises(hs.errors.SolveError, match="must stay below") as caught:
        hs.plan(task, {"step": -1.0}, temperature=5.0, planner="entropy")
    return float(str(caught.value).split("must stay below ")[1].split()[0])


def test_the_stated_bound_is_the_bound() -> None:
    """Spectral radius 1 of exp(-c/alpha) * adjacency: c / log(largest eigenvalue of the moves)."""
    task = hs.Task.grid(MAZE, discount=1.0)
    limit = _limit(task)
    moves = np.zeros((len(task.states), len(task.states)))
    s, _, n, p = task.transitions.to_triples()
    np.add.at(moves, (s, n), p)
    alive = ~task.terminal.numpy()
    radius = np.abs(np.linalg.eigvals(moves[np.ix_(alive, alive)])).max()
    assert limit == pytest.approx(1 / np.log(radius), rel=2e-4)
    hs.plan(task, {"step": -1.0}, temperature=0.999 * limit, planner="entropy")
    with pytest.raises(hs.errors.SolveError, match="inverse temperature above"):
        hs.plan(task, {"step": -1.0}, temperature=1.001 * limit, planner="entropy")


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
