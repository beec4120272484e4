"""Group E: reinforcement learning as inference, and where exact inference is too optimistic."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

import humansoft as hs
from analysis.lecture.claims import Args, Claim, at_least, at_most, zero
from analysis.lecture.worlds import Array, Paths, World, all_paths, random_world
from analysis.rows import Row
from humansoft._types import DTYPE
from humansoft.solvers.bellman import log_soft_policy, soft_value
from humansoft.solvers.finite_horizon import solve_finite_horizon
from humansoft.solvers.solution import SoftSolution

TEMPERATURE = 0.6
SAFE, RISKY = 1.0, ((10.0, 0.01), (-1.0, 0.99))
"""Two options: a payoff for sure, and payoffs with their probabilities."""


def claims(args: Args) -> Iterator[Claim]:
    """Test group E."""
    yield backward_messages()
    yield optimism()
    yield lottery()
    yield lower_bound()


def world_of(*, deterministic: bool) -> World:
    """Return three states, two actions, four decisions."""
    return random_world(21, 3, 2, discount=1.0, horizon=4, deterministic=deterministic)


def variational(world: World) -> SoftSolution:
    """Return what the package plans: E[V(s')], actions measured against uniform ones."""
    return solve_finite_horizon(world.problem(uniform_prior=True), world.rewards, world.temperatures(TEMPERATURE))


def exact_inference(world: World) -> tuple[Array, Array]:
    """Return V [T, S] and log pi [T, S, A] of exact inference: log E exp V over what the world does, too."""
    problem, temperature = world.problem(uniform_prior=True), world.temperatures(TEMPERATURE)
    chances = torch.from_numpy(world.transition).log()
    hot = torch.full(chances.shape[:2], TEMPERATURE, dtype=DTYPE)
    value, values, policies = torch.zeros_like(temperature), [], []
    for _ in range(world.horizon or 0):
        q = world.rewards + soft_value(value.expand_as(chances), chances, hot)
        value = soft_value(q, problem.log_prior, temperature)
        values.append(value.numpy())
        policies.append(log_soft_policy(q, problem.log_prior, temperature).numpy())
    return np.stack(values[::-1]), np.stack(policies[::-1])


def weights(world: World, paths: Paths) -> Array:
    """Return p(path, all optimal) [N]: chance * p0(actions) * exp(sum of rewards / alpha), by enumeration."""
    prior = world.reward.shape[1] ** -float(world.horizon or 0)
    return np.asarray(paths.chance * prior * np.exp(paths.reward.sum(axis=1) / TEMPERATURE))


def posterior(world: World, paths: Paths) -> Array:
    """Return p(a | s, t, all optimal) [T, S, A] by enumeration; NaN where nobody can be."""
    weight, table = weights(world, paths), np.zeros((world.horizon or 0, *world.reward.shape))
    for t, found in enumerate(table):
        np.add.at(found, (paths.state[:, t], paths.action[:, t]), weight)
    with np.errstate(invalid="ignore"):
        return np.asarray(table / table.sum(axis=-1, keepdims=True))


def log_evidence(world: World, paths: Paths) -> Array:
    """Return alpha log p(all optimal | first state) [S] by enumeration."""
    total = np.bincount(paths.state[:, 0], weights(world, paths)) * len(world.reward)
    return np.asarray(TEMPERATURE * np.log(total))


def backward_messages() -> Claim:
    """E1: the posterior over actions, and the value as a log message."""
    certain, chancy = world_of(deterministic=True), world_of(deterministic=False)
    rows = []
    planned = variational(certain)
    answers = {
        "deterministic/plan": (certain, planned.value.numpy(), planned.log_policy.numpy()),
        "stochastic/exact_inference": (chancy, *exact_inference(chancy)),
    }
    for name, (world, value, log_policy) in answers.items():
        paths = all_paths(world)
        difference = np.abs(np.exp(log_policy) - posterior(world, paths))
        rows.append(zero(f"{name}/policy_minus_posterior", float(np.nanmax(difference)), 1e-13))
        rows.append(
            zero(f"{name}/value_minus_log_message", float(np.abs(value[0] - log_evidence(world, paths)).max()), 1e-13)
        )
    care = (
        "Where the world is stochastic the posterior bends its chances, too: exact inference believes in its luck "
        "(E2), so the package plans with E[V(s')]."
    )
    return Claim("E1", "Control is inference: backward messages give the posterior over actions.", tuple(rows), care)


def optimism() -> Claim:
    """E2: exact inference believes in its luck."""
    gaps = {}
    for name, deterministic in (("deterministic", True), ("stochastic", False)):
        world = world_of(deterministic=deterministic)
        gaps[name] = exact_inference(world)[0] - variational(world).value.numpy()
    rows = (
        zero("deterministic/largest_gap", float(np.abs(gaps["deterministic"]).max()), 1e-13),
        at_least("stochastic/smallest_gap", float(gaps["stochastic"].min()), -1e-13),
        at_least("stochastic/largest_gap", float(gaps["stochastic"].max()), 1e-2),
    )
    care = "With certain transitions there is no difference, whatever the temperature."
    return Claim("E2", "Exact inference is optimistic: it takes log E[exp V] where planning takes E[V].", rows, care)


def lottery() -> Claim:
    """E3: ... and that matters."""
    expected = sum(chance * payoff for payoff, chance in RISKY)
    rows = (
        Row("exact_inference/value_of_risk", lucky_value(1.0), "5.40", 0.005),
        Row("exact_inference/probability_of_risk", risk(lucky_value(1.0), 1.0), "0.988", 0.0005),
        Row("plan/probability_of_risk", planned_risk(1.0), "0.131", 0.0005),
        zero("plan/against_expected_payoff", planned_risk(1.0) - risk(expected, 1.0), 1e-14),
    )
    return Claim("E3", "A lottery that wins 10 once in a hundred times is taken for its luck.", rows)


def lucky_value(alpha: float) -> float:
    """Return what exact inference thinks that the lottery is worth: alpha log E[exp(payoff / alpha)]."""
    payoffs, chances = torch.tensor(RISKY, dtype=DTYPE).T
    return float(soft_value(payoffs, chances.log(), torch.tensor(alpha, dtype=DTYPE)))


def risk(value: float, alpha: float) -> float:
    """Return the probability of a risky option of some value beside the safe one."""
    return 1 / (1 + math.exp((SAFE - value) / alpha))


def planned_risk(alpha: float) -> float:
    """Return how probably people of the package take the lottery."""
    table = pd.DataFrame(
        {
            "state": "choice",
            "action": ["safe", "risky", "risky"],
            "next_state": ["done", "won", "lost"],
            "probability": [1.0, *(chance for _, chance in RISKY)],
            "payoff": [SAFE, *(payoff for payoff, _ in RISKY)],
        }
    )
    task = hs.Task.table(table, probability="probability", features=["payoff"], discount=1.0)
    policy = hs.plan(task, {"payoff": 1.0}, temperature=alpha, planner="entropy")
    return float(policy.action_distribution("choice")["risky"])


def lower_bound() -> Claim:
    """E4: the objective bounds the evidence."""
    rows = []
    for name, deterministic in (("deterministic", True), ("stochastic", False)):
        world = world_of(deterministic=deterministic)
        paths = all_paths(world)
        evidence = log_evidence(world, paths)
        optimal = variational(world).log_policy.numpy()
        slack = evidence - worth(world, paths, optimal)
        moved = np.random.default_rng(22).normal(0, 0.5, size=(100, *optimal.shape))
        others = (torch.log_softmax(torch.from_numpy(optimal + m), dim=-1).numpy() for m in moved)
        best = max(float((worth(world, paths, other) - evidence).max()) for other in others)
        if deterministic:
            rows.append(zero(f"{name}/slack_at_optimum", float(np.abs(slack).max()), 1e-13))
        else:
            rows.append(at_least(f"{name}/slack_at_optimum", float(slack.max()), 1e-2))
        rows.append(at_most(f"{name}/best_of_100_others_minus_evidence", best, 0.0))
    care = "It is an equality only where the world is deterministic; then the optimal policy is the posterior."
    return Claim("E4", "The objective is a lower bound of the log evidence that all was optimal.", tuple(rows), care)


def worth(world: World, paths: Paths, log_policy: Array) -> Array:
    """Return E[sum of r - alpha log(pi / p0)] of each first state [S], by enumeration."""
    cost = TEMPERATURE * (paths.decided(log_policy) + math.log(world.reward.shape[1]))
    gain = paths.weights(log_policy) * (paths.reward - cost).sum(axis=1)
    return np.asarray(np.bincount(paths.state[:, 0], gain) * len(world.reward))
