"""The path that a problem takes off the CPU: the same answers, no transfer behind one's back, nothing of scipy."""

import numpy as np
import pytest
import torch

import humansoft as hs
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.planners import Planner
from humansoft.solvers.exact import Solver, solve_stationary
from humansoft.solvers.linear_system import DenseSystem, IteratedSystem, linear_system
from tests.oracle import reference
from tests.oracle.pretend_device import NAME, pretend_device
from tests.oracle.test_solvers import Saturating
from tests.oracle.worlds import problem_of, random_world, temperatures

CASES: list[tuple[float, int | None, Planner]] = [
    (0.9, None, "kl"),
    (0.9, None, "boltzmann"),
    (1.0, None, "kl"),
    (0.9, 5, "entropy"),
]
SOLVERS: list[Solver | None] = [
    None,
    hs.Newton(system="iterated"),
    hs.Newton(system="dense"),
    hs.Anderson(),
    hs.ValueIteration(),
]


def task(discount: float, horizon: int | None = None) -> hs.Task:
    slip = 0.1 if discount < 1 else 0.0
    return hs.Task.grid("S.L.\n..#G", discount=discount, legend={"L": "lava"}, slip=slip, horizon=horizon)


@pytest.mark.parametrize(("discount", "horizon", "planner"), CASES)
@pytest.mark.slow
def test_likelihoods_are_the_same_and_nothing_leaves_the_device_unasked(
    discount: float, horizon: int | None, planner: Planner
) -> None:
    people = {"ann": 0.5, "bob": 1.5}
    log = hs.simulate(hs.plan(task(discount, horizon), {"step": -1.0, "lava": -1.0}, people), episodes=5, seed=1)
    point = torch.tensor([-0.6, 0.3, -0.9, 0.2, -0.3], dtype=torch.float64)

    def answers(device: str, reward: hs.AbstractReward) -> list[np.ndarray]:  # type: ignore[type-arg]
        model = hs.SoftOptimalModel(task(discount, horizon), reward, hs.PerSubject(), planner, device=device)
        model = model.bind(log)
        likelihood = ExactLikelihood(model, model.observe(log))
        found = [
            likelihood.by_person(point),
            likelihood.gradient(point),
            likelihood.hessian(point).toarray(),
            likelihood.expected_information(point).toarray(),
            likelihood.jacobian(point, torch.ones(len(model.task.states), 4, dtype=torch.float64)),
            likelihood.by_person(point + 0.01),  # from a guess carried along the derivative
            model.at(point).log_policy_of(likelihood.observations, differentiable=False).numpy(),
        ]
        assert likelihood.expansion.problem.device == torch.device(device)
        return found

    for kind in (hs.LinearReward, Saturating):
        here = answers("cpu", kind())
        with pretend_device():
            there = answers(NAME, kind())
        for ours, theirs in zip(here, there, strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
@pytest.mark.parametrize("discount", [0.9, 1.0])
@pytest.mark.slow
def test_solvers_run_where_the_problem_is(solver: Solver | None, discount: float) -> None:
    world = random_world(np.random.default_rng(3), 7, 3, ends=discount == 1, masked=True)
    reward = torch.from_numpy(np.where(world.available, -1.5, 0.0))
    problem, alphas = problem_of(world, reference.weights(world, "kl"), discount), temperatures(world, 0.6)
    here = solve_stationary(problem, reward, alphas)
    with pretend_device() as device:
        there = solve_stationary(problem.on(device), reward.to(device), alphas.to(device), solver=solver)
        assert there.value.device == device
        np.testing.assert_allclose(there.value.cpu(), here.value, atol=1e-7)


@pytest.mark.parametrize("states", [20, 200])
@pytest.mark.slow
def test_systems_of_the_device_are_dense_or_iterated(monkeypatch: pytest.MonkeyPatch, states: int) -> None:
    monkeypatch.setattr("humansoft.solvers.linear_system._MOST_DENSE_ENTRIES", 100**2)
    world = random_world(np.random.default_rng(1), states, 2, successors=4)
    problem = problem_of(world, reference.weights(world, "kl"), 0.9)
    policy = torch.full((states, 2), 0.5, dtype=torch.float64)
    right = torch.from_numpy(np.random.default_rng(2).normal(size=(states, 3)))
    with pretend_device() as device:
        system = linear_system(problem.on(device), policy.to(device))
        assert type(system) is (DenseSystem if states == 20 else IteratedSystem)
        for transposed in (False, True):
            found = system.apply_inverse(right.to(device), transposed).cpu()
            matrix = np.eye(states) - 0.9 * np.einsum("sa,san->sn", policy.numpy(), world.transition)
            expected = np.linalg.solve(matrix.T if transposed else matrix, right)
            np.testing.assert_allclose(found, expected, atol=1e-10)


def test_the_pretended_device_refuses_what_a_gpu_refuses() -> None:
    with pretend_device() as device:
        there = torch.ones(3, dtype=torch.float64).to(device)
        with pytest.raises((TypeError, RuntimeError), match="numpy"):
            there.numpy()
        with pytest.raises(RuntimeError, match="on the CPU"):
            there + torch.ones(3, dtype=torch.float64)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(hs.errors.ModelError, match=r"device 'ipu' cannot be used here .*use device='cpu'"):
        hs.plan(task(0.9), {"step": -1.0}, device="ipu")
    with pytest.raises(hs.errors.ModelError, match="device 'gpu' cannot be used here"):
        hs.SoftOptimalModel(task(0.9), device="gpu")


def both(discount: float, horizon: int | None, planner: Planner, device: str) -> None:
    """Hold plans and fits made with a device against those of the CPU."""
    people = {"ann": 0.5, "bob": 1.5}
    plans = [
        hs.plan(task(discount, horizon), {"step": -1.0, "lava": -1.0}, people, planner, device=where)
        for where in ("cpu", device)
    ]
    np.testing.assert_allclose(plans[1].value, plans[0].value, atol=1e-10)
    assert not hs.occupancy(plans[1], discounted=True).empty  # a policy is at home on the CPU
    log = hs.simulate(plans[0], episodes=30, seed=1)
    reward = hs.LinearReward(["step", "lava"], fixed={"step": -1.0})
    fits = [
        hs.fit(hs.SoftOptimalModel(task(discount, horizon), reward, hs.PerSubject(), planner, device=where), log)
        for where in ("cpu", device)
    ]
    assert fits[1].log_likelihood == pytest.approx(fits[0].log_likelihood, abs=1e-8)
    assert fits[1].weight("lava") == pytest.approx(fits[0].weight("lava"), abs=1e-6)
    predictions = [hs.predict(fit, log)["probability"] for fit in fits]
    np.testing.assert_allclose(predictions[1], predictions[0], atol=1e-6)


@pytest.mark.slow
def test_plans_and_fits_may_be_solved_elsewhere() -> None:
    with pretend_device():
        both(0.9, None, "kl", NAME)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use (CUDA)")
@pytest.mark.parametrize(("discount", "horizon", "planner"), CASES)
def test_plans_and_fits_on_a_gpu_are_those_of_the_cpu(discount: float, horizon: int | None, planner: Planner) -> None:
    both(discount, horizon, planner, "cuda")
