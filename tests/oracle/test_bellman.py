"""The soft Bellman equation against naive formulas, enumeration and value iteration in plain numpy."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

import humansoft as hs
from humansoft.solvers.bellman import (
    action_value,
    log_soft_policy,
    newton_step,
    policy_of,
    policy_value,
    soft_backup,
    soft_value,
)
from humansoft.solvers.exact import solve_stationary
from humansoft.solvers.finite_horizon import solve_finite_horizon
from humansoft.solvers.linear_system import FactorisedSystem
from humansoft.solvers.solution import SolveStatus
from tests.oracle import reference
from tests.oracle.reference import PLANNERS, Array, Planner, World
from tests.oracle.worlds import problem_of, random_world, state_labels, task_of, temperatures

SOFT: tuple[Planner, ...] = ("kl", "entropy")


def tensor(values: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def as_policy_table(policy: hs.Policy) -> Array:
    """Return log pi of the only person: [S, A], or [T, S, A]."""
    table: Array = policy.log_policy.numpy()
    return table


# one state: soft value and policy


@pytest.mark.parametrize("alpha", [0.05, 0.7, 20.0])
def test_soft_value_and_policy_are_the_naive_formulas(alpha: float) -> None:
    generator = np.random.default_rng(1)
    q = generator.normal(size=(50, 4))
    measure = generator.random((50, 4)) * (generator.random((50, 4)) < 0.8)
    measure[:, 0] = 0.5
    value = alpha * np.log((measure * np.exp(q / alpha)).sum(axis=1))
    policy = measure * np.exp((q - value[:, None]) / alpha)
    with np.errstate(divide="ignore"):
        log_prior = tensor(np.log(measure))
    alphas = torch.full((50,), alpha, dtype=torch.float64)
    np.testing.assert_allclose(soft_value(tensor(q), log_prior, alphas), value, rtol=1e-13, atol=1e-13)
    found = log_soft_policy(tensor(q), log_prior, alphas).exp().numpy()
    # A reference measure that does not sum to 1 leaves the policy a distribution.
    np.testing.assert_allclose(found, policy, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-14)


@pytest.mark.parametrize("worth", [-1e9, 0.0, 1e9])
def test_an_action_that_nobody_can_choose_changes_nothing(worth: float) -> None:
    generator = np.random.default_rng(3)
    q, prior, alphas = generator.normal(size=(20, 3)), generator.normal(size=(20, 3)), np.exp(generator.normal(size=20))

    def answers(q: Array, prior: Array) -> tuple[Array, ...]:
        points = tensor(q).requires_grad_(), tensor(alphas).requires_grad_()
        value, log_policy = soft_backup(points[0], tensor(prior), points[1])
        by_q, by_alpha = torch.autograd.grad(value.sum() + (log_policy[:, :3] ** 2).sum(), points)
        return value.detach().numpy(), log_policy.detach().numpy()[:, :3], by_q.numpy()[:, :3], by_alpha.numpy()

    wide = np.c_[q, np.full(20, worth)], np.c_[prior, np.full(20, -np.inf)]
    for masked, plain in zip(answers(*wide), answers(q, prior), strict=True):
        np.testing.assert_allclose(masked, plain, rtol=1e-13, atol=1e-14)


def test_temperature_zero_is_the_maximum() -> None:
    q = torch.tensor([[1.0, 3.0, 9.0], [2.0, 2.0, -1.0], [5.0, 5.0, 5.0]], dtype=torch.float64)
    nothing = -torch.inf
    log_prior = torch.tensor([[0.0, 0.0, nothing], [0.0, 0.0, 0.0], [nothing] * 3], dtype=torch.float64)
    zero = torch.zeros(3, dtype=torch.float64)
    assert soft_value(q, log_prior, zero).tolist() == [3.0, 2.0, 0.0]
    # Ties are uniform: the first best action alone could go round in circles.
    assert policy_of(q, log_prior, zero).tolist() == [[0, 1, 0], [0.5, 0.5, 0], [0, 0, 0]]


@pytest.mark.parametrize("planner", SOFT)
def test_policy_solves_the_variational_problem(planner: Planner) -> None:
    """For every p: E_p Q - alpha KL(p || p0) = V - alpha KL(p || pi), so that no p exceeds V (A6, B4)."""
    generator, alpha = np.random.default_rng(2), 0.7
    world = random_world(generator, 6, 3)
    measure = reference.weights(world, planner)
    q, log_prior = generator.normal(size=(6, 3)), tensor(np.log(measure))
    alphas = temperatures(world, alpha)
    value = soft_value(tensor(q), log_prior, alphas).numpy()[:, None]
    log_pi = log_soft_policy(tensor(q), log_prior, alphas).numpy()[:, None]
    p = generator.dirichlet(np.full(3, 0.3), size=(6, 20_000)).clip(1e-300)
    gained = (p * (q[:, None] - alpha * (np.log(p) - np.log(measure)[:, None]))).sum(axis=-1)
    lost = alpha * (p * (np.log(p) - log_pi)).sum(axis=-1)
    np.testing.assert_allclose(gained, value - lost, atol=5e-14)
    assert (gained <= value + 1e-13).all()


# many states: three planners, three ways to solve


def costly_world(seed: int, discount: float) -> tuple[World, Array]:
    """A world whose every step costs enough for all planners (with an end where undiscounted)."""
    generator = np.random.default_rng(seed)
    world = random_world(generator, 7, 3, successors=3, ends=discount == 1, masked=True)
    return world, generator.uniform(-3, -1.2, size=(7, 3))


SWEEPS = {0.9: 400, 0.99: 4000, 1.0: 400}  # of the reference, until nothing changes


@pytest.mark.parametrize("planner", PLANNERS)
@pytest.mark.parametrize(
    ("solver", "discount"),
    [(solver, discount) for solver in (None, hs.Newton(), hs.ValueIteration()) for discount in (0.9, 1.0)]
    + [(hs.Newton(), 0.99), pytest.param(hs.ValueIteration(), 0.99, marks=pytest.mark.slow)],
    ids=str,
)
def test_every_solver_gives_the_reference(
    solver: hs.Newton | hs.ValueIteration | None, planner: Planner, discount: float
) -> None:
    world, reward = costly_world(3, discount)
    task = task_of(world, {"reward": reward}, discount)
    expected = reference.solve(world, reward, 0.6, planner, discount, sweeps=SWEEPS[discount])
    policy = hs.plan(task, {"reward": 1.0}, 0.6, planner, solver)
    np.testing.assert_allclose(policy.value, expected.value, rtol=1e-9)
    np.testing.assert_allclose(
        as_policy_table(policy)[world.available], expected.log_policy[world.available], rtol=1e-7, atol=1e-9
    )
    assert (as_policy_table(policy)[~world.available] == -np.inf).all()


def test_newton_needs_few_steps_at_any_discount() -> None:
    for discount in (0.9, 0.999, 0.99999):
        world, reward = costly_world(4, discount)
        problem = problem_of(world, reference.weights(world, "kl"), discount)
        solution = solve_stationary(problem, tensor(reward), temperatures(world, 0.3), differentiable=False)
        assert solution.status is SolveStatus.CONVERGED
        assert solution.num_steps <= 12
        backup = soft_value(solution.q, problem.log_prior, temperatures(world, 0.3))
        assert float((backup - solution.value).abs().max()) < 1e-9


def test_value_iteration_says_when_it_stopped_early() -> None:
    world, reward = costly_world(5, 0.99)
    problem = problem_of(world, reference.weights(world, "kl"), 0.99)
    solution = solve_stationary(
        problem, tensor(reward), temperatures(world, 0.3), solver=hs.ValueIteration(max_steps=20)
    )
    assert solution.status is SolveStatus.MAX_STEPS
    task = task_of(world, {"reward": reward}, 0.99)
    with pytest.raises(hs.errors.SolveError, match="raise max_steps"):
        hs.plan(task, {"reward": 1.0}, 0.3, solver=hs.ValueIteration(max_steps=20))


@pytest.mark.parametrize("discount", [0.9, 1.0])
@pytest.mark.parametrize("horizon", [None, 4])
def test_a_given_prior_is_the_reference_measure(discount: float, horizon: int | None) -> None:
    world, reward = costly_world(6, discount)
    generator = np.random.default_rng(7)
    prior = generator.uniform(0.1, 1.0, size=world.available.shape) * world.available
    prior /= np.where(world.acting, prior.sum(axis=1), 1.0)[:, None]
    task = task_of(world, {"reward": reward}, discount, horizon)
    model = hs.SoftOptimalModel(task, hs.LinearReward(fixed={"reward": 1.0}), hs.Fixed(0.6), prior=prior)
    policy = policy_everywhere(model)
    if horizon is None:
        expected = reference.solve(world, reward, 0.6, "kl", discount, sweeps=500, measure=prior)
    else:
        expected = reference.solve_horizon(world, reward, 0.6, "kl", discount, horizon, measure=prior)
    np.testing.assert_allclose(policy.value, expected.value, rtol=1e-9)
    np.testing.assert_allclose(np.exp(as_policy_table(policy)), expected.policy, rtol=1e-8, atol=1e-12)


def policy_everywhere(model: hs.SoftOptimalModel) -> hs.Policy:
    """Return the policy of one person over the whole task."""
    states = np.arange(len(model.task.states))
    who = hs.plan(model.task, model.reward).subjects
    bound = model.bound_to(who, who, np.zeros(1, dtype=np.int64))
    return bound.policy_on(who, np.zeros(1, dtype=np.int64), bound.expand(np.zeros_like(states), states))


def test_the_uniform_prior_is_the_default() -> None:
    world, reward = costly_world(8, 0.9)
    task = task_of(world, {"reward": reward}, 0.9)
    weight = hs.LinearReward(fixed={"reward": 1.0})
    given = hs.SoftOptimalModel(task, weight, prior=reference.weights(world, "kl"))
    np.testing.assert_allclose(
        policy_everywhere(given).value, policy_everywhere(hs.SoftOptimalModel(task, weight)).value, rtol=1e-14
    )


@pytest.mark.parametrize("planner", SOFT)
def test_a_newton_step_is_soft_policy_iteration(planner: Planner) -> None:
    """From any V the step lands on the soft value of the soft policy of V (C5)."""
    generator, alpha = np.random.default_rng(9), 0.8
    world = random_world(generator, 6, 3, masked=True)
    measure, reward = reference.weights(world, planner), generator.normal(size=(6, 3))
    problem, alphas = problem_of(world, measure, 0.95), temperatures(world, alpha)
    value = generator.normal(size=6) * 5
    stepped = newton_step(problem, tensor(reward), alphas, tensor(value)).numpy()
    policy = np.exp(reference.log_policy(reference.action_values(world, reward, value, 0.95), measure, alpha))
    expected = reference.soft_policy_value(world, reward, alpha, measure, policy, 0.95)
    np.testing.assert_allclose(stepped, expected, atol=2e-13)
    np.testing.assert_allclose(policy_value(problem, tensor(reward), alphas, tensor(policy)), expected, atol=2e-13)


def test_a_hard_newton_step_is_policy_iteration() -> None:
    generator = np.random.default_rng(10)
    world = random_world(generator, 6, 3)
    measure, reward = reference.weights(world, "boltzmann"), generator.normal(size=(6, 3))
    problem, value = problem_of(world, measure, 0.9), generator.normal(size=6)
    stepped = newton_step(problem, tensor(reward), temperatures(world, 0.0), tensor(value)).numpy()
    greedy = np.eye(3)[reference.action_values(world, reward, value, 0.9).argmax(axis=1)]
    np.testing.assert_allclose(
        stepped, reference.soft_policy_value(world, reward, 0.0, measure, greedy, 0.9), atol=1e-12
    )


# enumeration


@pytest.mark.parametrize("planner", SOFT)
@pytest.mark.parametrize("ends", [False, True])
def test_deterministic_policies_are_the_path_distribution(planner: Planner, ends: bool) -> None:
    """p(path) proportional to exp(reward / temperature): its conditionals are the policy, its sum is exp(V) (E1)."""
    generator, alpha, horizon = np.random.default_rng(11), 0.9, 4
    world = random_world(generator, 3, 3, successors=1, ends=ends, masked=True)
    reward, measure = generator.normal(size=(3, 3)), reference.weights(world, planner)
    policy = hs.plan(task_of(world, {"r": reward}, 1.0, horizon), {"r": 1.0}, alpha, planner)
    table = np.exp(as_policy_table(policy))
    for state in np.flatnonzero(world.acting):
        for t in range(horizon):
            paths, mass = reference.path_distribution(world, reward, alpha, measure, int(state), horizon - t)
            np.testing.assert_allclose(policy.value[t, state], alpha * np.log(mass.sum()), atol=1e-13)
            first = np.bincount([path[0][1] for path in paths], weights=mass, minlength=3) / mass.sum()
            np.testing.assert_allclose(table[t, state], first, atol=1e-14)
        paths, mass = reference.path_distribution(world, reward, alpha, measure, int(state), horizon)
        whole = [np.prod([table[t, s, a] for t, (s, a) in enumerate(path)]) for path in paths]
        np.testing.assert_allclose(whole, mass / mass.sum(), atol=1e-14)


@pytest.mark.parametrize("discount", [0.8, 1.0])
@pytest.mark.parametrize("planner", SOFT)
def test_stochastic_values_are_the_objective_summed_over_all_paths(planner: Planner, discount: float) -> None:
    """The soft-optimal policy's E sum of r - alpha log(pi / p0) is V; any other policy has less (B1)."""
    generator, alpha, horizon = np.random.default_rng(12), 0.6, 3
    world = random_world(generator, 3, 2, ends=True)
    reward, measure = generator.normal(size=(3, 2)), reference.weights(world, planner)
    policy = hs.plan(task_of(world, {"r": reward}, discount, horizon), {"r": 1.0}, alpha, planner)
    table = np.exp(as_policy_table(policy))

    def objective(timed: Array, state: int) -> float:
        return reference.objective_by_enumeration(world, reward, alpha, measure, timed, state, discount)

    for state in np.flatnonzero(world.acting):
        best = objective(table, int(state))
        np.testing.assert_allclose(best, policy.value[0, state], atol=1e-13)
        for _ in range(5):
            other = np.where(world.acting[:, None], generator.dirichlet([1, 1], size=table.shape[:2]), 0.0)
            assert objective(other, int(state)) < best


@pytest.mark.parametrize("planner", PLANNERS)
@pytest.mark.parametrize("discount", [0.9, 1.0])
def test_finite_horizon_is_the_backward_recursion(planner: Planner, discount: float) -> None:
    generator = np.random.default_rng(13)
    world = random_world(generator, 5, 3, ends=True, masked=True)
    reward = generator.normal(size=(5, 3))
    policy = hs.plan(task_of(world, {"r": reward}, discount, horizon=9), {"r": 1.0}, 0.4, planner)
    expected = reference.solve_horizon(world, reward, 0.4, planner, discount, 9)
    np.testing.assert_allclose(policy.value, expected.value, atol=1e-12)
    np.testing.assert_allclose(np.exp(as_policy_table(policy)), expected.policy, atol=1e-12)
    assert not np.allclose(expected.policy[0], expected.policy[-1], atol=1e-3)  # time matters, or nothing is tested


def test_a_long_horizon_is_the_stationary_solution() -> None:
    generator = np.random.default_rng(14)
    world = random_world(generator, 5, 3)
    reward = generator.normal(size=(5, 3))
    long = hs.plan(task_of(world, {"r": reward}, 0.8, horizon=150), {"r": 1.0}, 0.4)
    stationary = hs.plan(task_of(world, {"r": reward}, 0.8), {"r": 1.0}, 0.4)
    np.testing.assert_allclose(long.value[0], stationary.value, rtol=1e-12)


def test_finite_horizon_needs_a_horizon() -> None:
    world = random_world(np.random.default_rng(1), 3, 2)
    problem = problem_of(world, reference.weights(world, "kl"), 0.9)
    with pytest.raises(ValueError, match="horizon"):
        solve_finite_horizon(problem, torch.zeros(3, 2, dtype=torch.float64), temperatures(world, 1.0))


@pytest.mark.parametrize("planner", SOFT)
def test_deterministic_undiscounted_values_solve_the_linear_equation(planner: Planner) -> None:
    """With z = exp(V / alpha), z = M z: one linear system, no iteration (Todorov)."""
    task = hs.Task.grid("S.#..\n.#..G\n.....", discount=1.0)
    world = world_of(task)
    reward = -1.0 * world.available
    for alpha in (0.1, 0.5):
        expected = reference.desirability(world, reward, alpha, reference.weights(world, planner))
        policy = hs.plan(task, {"step": -1.0}, alpha, planner)
        np.testing.assert_allclose(policy.value, expected, rtol=1e-10, atol=1e-12)


def world_of(task: hs.Task) -> World:
    """Return a task's transitions as a dense world."""
    state, action, following, probability = task.transitions.to_triples()
    transition = np.zeros((*task.available.shape, len(task.states)))
    np.add.at(transition, (state, action, following), probability)
    return World(transition, task.available.numpy())


def test_plans_average_values_and_do_not_choose_their_luck() -> None:
    """Lottery: safe 1, risky +10 with probability .01, else -1. Hoping for luck would put .988 on risky (E2, E3)."""
    transition = np.zeros((3, 2, 3))
    transition[0, 0, 2] = transition[1, :, 2] = 1.0  # state 0 draws, state 1 has won (and collects), 2 is the end
    transition[0, 1] = [0.0, 0.01, 0.99]
    available = np.array([[True, True], [True, False], [False, False]])
    reward = np.array([[1.0, -0.99], [10.0, 0.0], [0.0, 0.0]])
    world = World(transition * available[:, :, None], available)
    policy = hs.plan(task_of(world, {"r": reward}, 1.0), {"r": 1.0}, 1.0, "entropy")
    risky = policy.action_distribution(0)["a1"]
    assert risky == pytest.approx(1 / (1 + np.exp(1 + 0.89)), abs=1e-12)
    assert risky == pytest.approx(0.131, abs=5e-4)


# policy gradient: the values of fixed policies are differentiable


def soft_policies(generator: np.random.Generator) -> tuple[World, Array, torch.Tensor]:
    world = random_world(generator, 5, 3)
    logits = tensor(generator.normal(size=(5, 3))).requires_grad_()
    return world, generator.normal(size=(5, 3)), logits


def score_form(world: World, policy: Array, gain: Array, discount: float) -> Array:
    """Return the policy gradient sum_s d(s) sum_a pi grad log pi * gain, by logits [S, A], start state 0."""
    size = len(policy)
    kernel = np.einsum("sa,san->sn", policy, world.transition)
    visits = np.linalg.solve((np.eye(size) - discount * kernel).T, np.eye(size)[0])
    mean = (policy * gain).sum(axis=1, keepdims=True)
    form: Array = visits[:, None] * policy * (gain - mean)  # d log pi(a) / d logit(b) = [a = b] - pi(b)
    return form


def test_the_gradient_of_a_policys_value_is_the_policy_gradient() -> None:
    """Autograd through the value of a policy = score form with reward r - alpha log pi (B2)."""
    world, reward, logits = soft_policies(np.random.default_rng(15))
    alpha, discount = 0.7, 0.9
    measure = reference.weights(world, "entropy")
    problem = problem_of(world, measure, discount)
    policy = torch.softmax(logits, dim=-1)
    value = policy_value(problem, tensor(reward), temperatures(world, alpha), policy)
    (found,) = torch.autograd.grad(value[0], logits)
    fixed = policy.detach().numpy()
    later = reference.soft_policy_value(world, reward, alpha, measure, fixed, discount)
    gain = reference.action_values(world, reward, later, discount) - alpha * np.log(fixed)
    expected = score_form(world, fixed, gain, discount)
    np.testing.assert_allclose(found, expected, atol=1e-14)
    assert np.abs(expected).max() > 1e-2

    generator = np.random.default_rng(16)
    constant, by_state, by_action = -alpha, generator.normal(size=(5, 1)), generator.normal(size=(5, 3))
    # The "-alpha" of differentiating log pi, and any function of the state, add nothing (B3) ...
    for free in (constant, by_state):
        np.testing.assert_allclose(score_form(world, fixed, gain + free, discount), expected, atol=1e-14)
    # ... a function of the action does.
    assert np.abs(score_form(world, fixed, gain + by_action, discount) - expected).max() > 1e-2


@pytest.mark.parametrize("transposed", [False, True])
def test_the_linear_solve_is_differentiable_twice(transposed: bool) -> None:
    generator = np.random.default_rng(17)
    world, _, logits = soft_policies(generator)
    problem = problem_of(world, reference.weights(world, "kl"), 0.9)
    right = tensor(generator.normal(size=5)).requires_grad_()

    def solve(logits: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        policy = torch.softmax(logits, dim=-1)
        return FactorisedSystem(problem, policy).solve(policy, right, transposed=transposed)

    check: Callable[..., bool] = torch.autograd.gradcheck
    assert check(solve, (logits, right), atol=1e-7)
    check = torch.autograd.gradgradcheck
    assert check(solve, (logits, right), atol=1e-6)
    kernel = np.einsum("sa,san->sn", torch.softmax(logits, -1).detach().numpy(), world.transition)
    matrix = np.eye(5) - 0.9 * kernel
    expected = np.linalg.solve(matrix.T if transposed else matrix, right.detach().numpy())
    np.testing.assert_allclose(solve(logits, right).detach(), expected, rtol=1e-12)


# limits


def test_the_hard_limit_is_monotone_and_bounded() -> None:
    """0 <= V_alpha - V* <= alpha log|A| / (1 - discount), shrinking exponentially fast without ties (D5)."""
    generator, discount = np.random.default_rng(0), 0.9
    world = random_world(generator, 6, 3)
    reward = generator.normal(size=(6, 3))
    task = task_of(world, {"r": reward}, discount)
    hard = reference.solve(world, reward, 1.0, "boltzmann", discount, sweeps=600).value
    largest = []
    for alpha in (1.0, 0.3, 0.1, 0.03, 0.01, 0.003):
        gap = hs.plan(task, {"r": 1.0}, alpha, "entropy").value.numpy() - hard
        assert (gap >= -1e-11).all()
        assert gap.max() <= alpha * np.log(3) / (1 - discount)
        largest.append(gap.max())
        kl_gap = hs.plan(task, {"r": 1.0}, alpha, "kl").value.numpy() - hard
        # KL to uniform = entropy minus log|A| a step: below V*, by at most the same bound.
        np.testing.assert_allclose(kl_gap, gap - alpha * np.log(3) / (1 - discount), atol=1e-10)
    assert all(later < earlier for earlier, later in itertools.pairwise(largest))
    assert largest[0] > 1
    assert largest[-1] < 1e-6


def test_with_ties_the_hard_limit_is_linear_and_twins_are_bit_identical() -> None:
    """A duplicated action leaves a gap of order alpha (D5b); its probabilities are equal to the bit (D3)."""
    generator, discount = np.random.default_rng(18), 0.9
    world = random_world(generator, 6, 3)
    reward = generator.normal(size=(6, 3))
    twin = World(world.transition[:, [0, 1, 2, 0]], np.ones((6, 4), dtype=bool))
    task = task_of(twin, {"r": reward[:, [0, 1, 2, 0]]}, discount)
    hard = reference.solve(world, reward, 1.0, "boltzmann", discount, sweeps=600).value
    gaps = []
    for alpha in (0.01, 0.001, 0.0001):
        policy = hs.plan(task, {"r": 1.0}, alpha, "entropy")
        gaps.append(float((policy.value.numpy() - hard).max()))
        assert (as_policy_table(policy)[:, 0] == as_policy_table(policy)[:, 3]).all()
    np.testing.assert_allclose(np.diff(np.log10(gaps)), -1.0, atol=0.01)


@pytest.mark.parametrize("planner", PLANNERS)
def test_large_rewards_are_low_temperatures(planner: Planner) -> None:
    """V(c r, 1) / c = V(r, 1 / c), and the policies are equal (D6)."""
    generator = np.random.default_rng(19)
    world = random_world(generator, 6, 3)
    task = task_of(world, {"r": generator.normal(size=(6, 3))}, 0.9)
    for scale in (0.01, 3.0, 1000.0):
        large = hs.plan(task, {"r": scale}, 1.0, planner)
        cold = hs.plan(task, {"r": 1.0}, 1 / scale, planner)
        np.testing.assert_allclose(large.value.numpy() / scale, cold.value.numpy(), rtol=1e-9)
        np.testing.assert_allclose(np.exp(as_policy_table(large)), np.exp(as_policy_table(cold)), atol=1e-9)


@pytest.mark.parametrize("planner", PLANNERS)
def test_mistakes_are_exponentially_unlikely(planner: Planner) -> None:
    """log pi(a) / pi(a*) falls with the loss in (soft) Q at slope -1 / temperature, exactly (D7)."""
    generator, alpha = np.random.default_rng(20), 0.7
    world = random_world(generator, 12, 4)
    reward = generator.normal(size=(12, 4))
    policy = hs.plan(task_of(world, {"r": reward}, 0.9), {"r": 1.0}, alpha, planner)
    measure = reference.weights(world, planner)
    q = action_value(problem_of(world, measure, 0.9), tensor(reward), policy.value).numpy()
    logs = as_policy_table(policy)
    gap, odds = q.max(axis=1, keepdims=True) - q, logs - logs.max(axis=1, keepdims=True)
    slope = np.polyfit(gap.ravel(), odds.ravel(), 1)
    np.testing.assert_allclose(slope, [-1 / alpha, 0.0], atol=1e-9)


def test_plan_serves_several_people_at_once() -> None:
    world, reward = costly_world(21, 1.0)
    task = task_of(world, {"r": reward}, 1.0)
    people = {"ann": 0.1, "bob": 0.5, "cleo": 2.0}
    together = hs.plan(task, {"r": 1.0}, people)
    for name, temperature in people.items():
        alone = hs.plan(task, {"r": 1.0}, temperature)
        for state in state_labels(world)[:-1]:
            np.testing.assert_allclose(
                together.action_distribution(state, name), alone.action_distribution(state), atol=1e-12
            )
