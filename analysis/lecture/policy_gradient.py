"""Group B: the entropy-regularised policy gradient, exactly."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from analysis.lecture.claims import Args, Claim, at_least, at_most, zero
from analysis.lecture.worlds import Array, Paths, World, all_paths, random_world
from analysis.rows import Row
from humansoft._types import DTYPE
from humansoft.solvers.bellman import action_value, policy_of, policy_value, soft_backup
from humansoft.solvers.exact import solve_stationary
from humansoft.solvers.finite_horizon import solve_finite_horizon

TEMPERATURE = 0.4


def claims(args: Args) -> Iterator[Claim]:
    """Test what exact mathematics shows of group B."""
    yield objective()
    yield standard_gradient()
    yield constants_vanish(20_000 if args.quick else 200_000)
    yield only_states_are_free()
    yield least_divergence()
    yield convergence(300 if args.quick else 1_000)


def small_world() -> World:
    """Return three states, two actions, four decisions: few enough paths to write all of them down."""
    return random_world(11, 3, 2, horizon=4)


def drawn_policy(seed: int) -> Array:
    """Return the log of a policy [3, 2] that is the same at any time, and not optimal."""
    logits = torch.from_numpy(np.random.default_rng(seed).normal(size=(3, 2)))
    return torch.log_softmax(logits, dim=-1).numpy()


def discounts(world: World) -> Array:
    """Return the weight of each decision [T]."""
    return np.asarray(world.discount ** np.arange(world.horizon or 0))


def returns(paths: Paths, world: World, log_policy: Array, *, constant: bool = False) -> Array:
    """Return the rest of each path after each decision [N, T], of rewards r - alpha log pi.

    With ``constant`` also the -alpha of the decision itself, which the lecture finds by differentiating log pi.
    """
    gains = discounts(world) * (paths.reward - TEMPERATURE * paths.decided(log_policy))
    rest = gains[:, ::-1].cumsum(axis=1)[:, ::-1]
    return np.asarray(rest - TEMPERATURE * discounts(world) if constant else rest)


def scores(paths: Paths, log_policy: Array) -> Array:
    """Return the gradient of log pi(a|s) by the logits, at each decision of each path: [N, T, S, A]."""
    size, num_actions = log_policy.shape
    here = np.eye(size)[paths.state[:, :-1]]
    chosen = np.eye(num_actions)[paths.action][:, :, None, :] - np.exp(log_policy)
    return np.asarray(here[..., None] * chosen)


def samples(paths: Paths, log_policy: Array, rest: Array) -> Array:
    """Return what one sampled path says the gradient is: [N, S * A]."""
    return np.asarray(np.einsum("nt,ntsa->nsa", rest, scores(paths, log_policy)).reshape(len(rest), -1))


def mean_and_variance(paths: Paths, log_policy: Array, rest: Array) -> tuple[Array, Array]:
    """Return mean and variance [S * A] of the sampled gradient, exactly."""
    weight, drawn = paths.weights(log_policy), samples(paths, log_policy, rest)
    mean = weight @ drawn
    return mean, weight @ (drawn - mean) ** 2


def objective() -> Claim:
    """B1: what is maximised."""
    world = small_world()
    paths = all_paths(world)
    solution = solve_finite_horizon(world.problem(), world.rewards, world.temperatures(TEMPERATURE))
    best = float(solution.value[0].mean())

    def worth(log_policy: Array) -> float:
        """Return J = sum over all paths of probability * (reward - alpha log pi)."""
        return float(paths.weights(log_policy) @ returns(paths, world, log_policy)[:, 0])

    optimal = solution.log_policy.numpy()
    moved = np.random.default_rng(4).normal(0, 0.3, size=(200, *optimal.shape))
    others = [torch.log_softmax(torch.from_numpy(optimal + m), dim=-1).numpy() for m in moved]
    entropy = -(np.exp(optimal) * optimal).sum(axis=-1)[0].mean()
    first = paths.weights(optimal) @ -paths.decided(optimal)[:, 0]
    rows = (
        zero("all_paths_minus_value", worth(optimal) - best, 1e-13),
        zero("entropy_minus_mean_of_minus_log", float(first - entropy), 1e-13),
        at_most("best_of_200_others_minus_value", max(worth(other) for other in others) - best, -1e-6),
    )
    return Claim("B1", "The objective is expected reward plus alpha times entropy, E[-log pi], of each step.", rows)


def exact_gradient(world: World, log_policy: Array) -> Array:
    """Return the gradient of J by the logits [S * A]: autograd through the package's value of a policy."""
    logits = torch.from_numpy(log_policy).requires_grad_()
    problem = world.in_time()
    policy = world.over_time(torch.softmax(logits, dim=-1))
    temperature = torch.full((len(policy),), TEMPERATURE, dtype=DTYPE)
    value = policy_value(problem, world.over_time(world.rewards), temperature, policy)
    (slope,) = torch.autograd.grad(value[: len(world.reward)].mean(), logits)
    return np.asarray(slope.numpy().ravel())


def standard_gradient() -> Claim:
    """B2: the gradient is the standard one with another reward."""
    world, log_policy = random_world(11, 3, 2, horizon=5), drawn_policy(5)
    paths = all_paths(world)
    slope = exact_gradient(world, log_policy)
    mean, _ = mean_and_variance(paths, log_policy, returns(paths, world, log_policy))
    rows = (
        Row("size_of_gradient", float(np.linalg.norm(slope))),
        zero("autograd_minus_score_form", float(np.abs(slope - mean).max()), 1e-14),
    )
    return Claim("B2", "Its gradient is the policy gradient with r - alpha log pi in the place of r.", rows)


def constants_vanish(count: int) -> Claim:
    """B3: the term from differentiating log pi has no effect."""
    world, log_policy = small_world(), drawn_policy(5)
    paths = all_paths(world)
    rests = {
        "plain": returns(paths, world, log_policy),
        "with_minus_alpha": returns(paths, world, log_policy, constant=True),
        "minus_value": returns(paths, world, log_policy) - values_on(paths, world, log_policy),
    }
    moments = {name: mean_and_variance(paths, log_policy, rest) for name, rest in rests.items()}
    (plain, noise), (shifted, spread), (centred, calm) = moments.values()
    chance = paths.weights(log_policy)
    drawn = np.random.default_rng(6).multinomial(count, chance / chance.sum())
    sampled = drawn @ samples(paths, log_policy, rests["with_minus_alpha"]) / count
    distance = np.abs((sampled - plain) * (count / spread) ** 0.5).max()
    rows = (
        zero("exact_term", float(np.abs(shifted - plain).max()), 1e-14),
        zero("effect_of_value_baseline", float(np.abs(centred - plain).max()), 1e-14),
        at_most(f"mean_of_{count}_samples/standard_errors", float(distance), 4.0),
        *(Row(f"variance/{name}", float(variance.sum())) for name, (_, variance) in moments.items()),
        at_most("variance/minus_value_over_plain", float(calm.sum() / noise.sum()), 1.0),
    )
    care = (
        "The term is -alpha, not -1, and it vanishes in expectation because it is constant; in a sample it is not 0: "
        "it changes the variance."
    )
    return Claim("B3", "Differentiating log pi itself adds a constant -1, which has no effect.", rows, care)


def values_on(paths: Paths, world: World, log_policy: Array) -> Array:
    """Return the discounted value of a policy at each decision of each path [N, T]: the usual baseline."""
    policy = world.over_time(torch.from_numpy(np.exp(log_policy)))
    temperature = torch.full((len(policy),), TEMPERATURE, dtype=DTYPE)
    values = policy_value(world.in_time(), world.over_time(world.rewards), temperature, policy)
    table = values.view(-1, len(world.reward)).numpy()
    weight = discounts(world)
    return np.asarray(weight * table[np.arange(len(weight)), paths.state[:, :-1]])


def only_states_are_free() -> Claim:
    """B3b: what may be added."""
    world, log_policy = small_world(), drawn_policy(5)
    paths = all_paths(world)
    plain = returns(paths, world, log_policy)
    added = np.random.default_rng(8).normal(size=(4, 3, 2))
    moved = []
    for table in (np.broadcast_to(added[..., :1], added.shape), added):
        mean, _ = mean_and_variance(paths, log_policy, plain + paths.decided(table))
        moved.append(float(np.abs(mean - exact_gradient(world, log_policy)).max()))
    rows = (
        zero("by_state_and_time/change_of_gradient", moved[0], 1e-14),
        at_least("by_action/change_of_gradient", moved[1], 1e-2),
    )
    care = "Not any quantity may be added, only one that depends on state and time alone."
    return Claim("B3b", "One may add any quantity to the return without changing the gradient.", rows, care)


def least_divergence() -> Claim:
    """B4: the policy is the closest one to exp(Q / alpha)."""
    q = np.random.default_rng(9).normal(size=(4, 3))
    temperature = torch.full((4,), TEMPERATURE, dtype=DTYPE)
    value, logs = (t.numpy() for t in soft_backup(torch.from_numpy(q), torch.zeros(4, 3, dtype=DTYPE), temperature))

    def divergence(logits: Array) -> float:
        """Return KL(p || exp(Q / alpha) / Z), summed over states."""
        p = np.exp(logits.reshape(4, 3))
        p /= p.sum(axis=-1, keepdims=True)
        weights = np.exp(q / TEMPERATURE)
        return float((p * np.log(p / (weights / weights.sum(axis=-1, keepdims=True)))).sum())

    start = np.random.default_rng(10).normal(size=12)
    found = np.exp(minimize(divergence, start, method="BFGS", options={"gtol": 1e-10}).x.reshape(4, 3))
    found /= found.sum(axis=-1, keepdims=True)
    p = np.random.default_rng(11).dirichlet(np.ones(3), size=4)
    split = (p * (np.log(p) - q / TEMPERATURE)).sum() + (value / TEMPERATURE).sum()
    rows = (
        zero("numerical_minimum_minus_policy", float(np.abs(found - np.exp(logs)).max()), 1e-6),
        zero("divergence_at_policy", divergence(logs.ravel()), 1e-14),
        zero("divergence_minus_reward_and_entropy", divergence(np.log(p).ravel()) - float(split), 1e-13),
    )
    return Claim("B4", "The policy minimises the divergence from exp(Q / alpha) / Z.", rows)


def gradient_distances(world: World, alpha: float, steps: int, rate: float) -> Array:
    """Return the distance to the soft-optimal policy before each step of exact gradient ascent [steps + 1]."""
    problem, temperature = world.problem(), world.temperatures(alpha)
    optimal = solve_stationary(problem, world.rewards, temperature).log_policy.exp()
    logits = torch.zeros_like(world.rewards)
    found = []
    for _ in range(steps + 1):
        logits = logits.detach().requires_grad_()
        policy = torch.softmax(logits, dim=-1)
        found.append(total_variation(policy.detach(), optimal))
        value = policy_value(problem, world.rewards, temperature, policy)
        (slope,) = torch.autograd.grad(value.mean(), logits)
        logits = logits + rate * slope
    return np.array(found)


def natural_distances(world: World, alpha: float, steps: int) -> Array:
    """Return the same of natural gradient ascent with step (1 - discount) / alpha: logits = Q of the policy / alpha."""
    problem, temperature = world.problem(), world.temperatures(alpha)
    optimal = solve_stationary(problem, world.rewards, temperature).log_policy.exp()
    policy = torch.full_like(world.rewards, 1 / world.reward.shape[1])
    found = [total_variation(policy, optimal)]
    for _ in range(steps):
        value = policy_value(problem, world.rewards, temperature, policy)
        policy = policy_of(action_value(problem, world.rewards, value), problem.log_prior, temperature)
        found.append(total_variation(policy, optimal))
    return np.array(found)


def total_variation(policy: Tensor, other: Tensor) -> float:
    """Return the largest total variation between two policies over states."""
    return float((policy - other).abs().sum(dim=-1).max()) / 2


def convergence(steps: int) -> Claim:
    """B6: where the gradient leads."""
    world = random_world(0)
    warm, cold = (gradient_distances(world, alpha, steps, rate=2.0) for alpha in (1.0, 0.5))
    natural = natural_distances(world, 1.0, 6)
    order = np.log(natural[1:]) / np.log(natural[:-1])
    squaring = order[(natural[1:] > 1e-12) & (natural[:-1] < 0.1)]
    counts = [n for n in (10, 100, 300, 1000) if n <= steps]
    rows = (
        *(Row(f"gradient/{n}_steps", float(warm[n])) for n in counts),
        zero("gradient/last_step", float(warm[-1]), 1e-12),
        *(Row(f"gradient/half_the_temperature/{n}_steps", float(cold[n])) for n in counts),
        at_most("gradient/half_the_temperature/last_step", float(cold[-1]), 1e-3),
        *(Row(f"natural/{n}_steps", float(natural[n])) for n in range(1, 6)),
        zero("natural/last_step", float(natural[-1]), 1e-12),
        at_least("natural/order_of_convergence", float(squaring.min()), 1.6),
    )
    care = (
        "How fast depends on the temperature: what is rarely tried is learned slowly, unless the gradient is the "
        "natural one. With steps that are too large the plain gradient goes round the optimum for ever."
    )
    return Claim("B6", "The policy gradient converges to the soft-optimal policy.", rows, care)
