"""Groups A, B and D from samples: soft Q-learning and the policy gradient themselves, on worlds with known answers."""

import dataclasses
from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor

import humansoft as hs
from analysis.lecture.claims import Args, Claim, at_least, at_most, zero
from analysis.lecture.collapse import END, ENOUGH, QUIT, chain, corridor
from analysis.lecture.fine_tuning import SUCCESS, pretrained, towards_target
from analysis.lecture.worlds import Array, World, action_values, log_sum, random_world, soft_fixed_point
from analysis.rows import Row
from humansoft._types import DTYPE
from humansoft.solvers.baseline import BaselineTable
from humansoft.solvers.bellman import policy_value
from humansoft.solvers.learning import minimiser
from humansoft.solvers.policy_gradient import PolicyGradientLearner
from humansoft.solvers.problem import Problem
from humansoft.solvers.q_functions import QTable
from humansoft.solvers.soft_q_learning import SoftQLearner
from humansoft.solvers.world import SampledProblem

ALPHA = 0.5
BATCH = 16
"""Episodes from which each step of a policy gradient learns."""


def claims(args: Args) -> Iterator[Claim]:
    """Test what the lecture claims of the algorithms."""
    yield only_the_target()
    yield whole_algorithm(args.quick)
    yield off_policy(args.quick)
    yield collapse(args.quick)
    yield control(args.quick)
    yield limit(args.quick)
    yield specialisation(args.quick)


def soft_q_learner(world: World, options: hs.SoftQLearning, alpha: float) -> SoftQLearner:
    """Return a tabular learner that has begun."""
    problem, walkers = world.problem(), options.num_walkers
    sampled = SampledProblem(problem, world.rewards, world.temperatures(alpha), walkers)
    learner = SoftQLearner(options, sampled, QTable(*world.reward.shape), torch.tensor(0))
    learner.begin(options.seed)
    return learner


def table_of(learner: SoftQLearner, world: World) -> Array:
    """Return what was learned as Q [S, A]."""
    return np.asarray(next(learner.q.parameters()).detach().numpy().reshape(world.reward.shape))


def only_the_target() -> Claim:
    """A1: one update on one batch, from one table."""
    world, start = random_world(1), np.random.default_rng(2).normal(size=(18, 1))

    def updated(target: str, alpha: float) -> Array:
        learner = soft_q_learner(world, hs.SoftQLearning(target=target, num_walkers=64), alpha)  # type: ignore[arg-type]
        for scores in (learner.q, learner.target_q):
            next(scores.parameters()).data.copy_(torch.from_numpy(start))
        batch, _ = learner.world.step(learner.act(learner.state))
        minimiser(learner.q.optimizer())(learner.loss(batch.state, batch.action, learner.target(batch)))
        return table_of(learner, world)

    hard = updated("hard", 1e-8)
    rows = (
        zero("soft_at_temperature_1e-8_minus_hard", float(np.abs(updated("soft", 1e-8) - hard).max()), 1e-6),
        at_least("soft_at_temperature_0.3_minus_hard", float(np.abs(updated("soft", 0.3) - hard).max()), 1e-2),
        at_least(
            "fixed_points_differ_by", float(np.abs(soft_fixed_point(world, ALPHA) - hard_value(world)).max()), 1.0
        ),
    )
    return Claim("A1", "Soft Q-learning is Q-learning with another target, and nothing else.", rows)


def hard_value(world: World) -> Array:
    """Return the value without entropy, by sweeps in numpy."""
    return soft_fixed_point(world, 0.0)


def whole_algorithm(quick: bool) -> Claim:
    """A5: 100,000 decisions at random are remembered, then learned from in 40,000 minibatches of 64."""
    world = random_world(5)
    updates, size = (1_000, 1024) if quick else (40_000, 64)
    options = hs.SoftQLearning(num_walkers=100, warm_up=1000, buffer_size=100_000, batch_size=size, target_every=10)
    learner = soft_q_learner(world, options, ALPHA)
    minimise = minimiser(learner.q.optimizer())
    for _ in range(options.warm_up):
        learner.step(minimise)
    for _ in range(updates):
        batch = learner.replay.sample(size, learner.generator)
        minimise(learner.loss(batch.state, batch.action, learner.target(batch)))
        learner.renew_target()
    q = table_of(learner, world)
    seen = dataclasses.replace(world, transition=empirical(learner, world))
    of_seen = action_values(seen, soft_fixed_point(seen, ALPHA))
    exact = action_values(world, soft_fixed_point(world, ALPHA))
    rows = (
        at_most("distance_to_fixed_point_of_what_it_saw", float(np.abs(q - of_seen).max()), 0.15),
        at_most("policy/total_variation", total_variation(q, exact), 0.08),
    )
    care = (
        "The limit is the fixed point of the decisions that are remembered, not of the world; rates that do not fall "
        "stall on the way."
    )
    return Claim(
        "A5", "Act, remember, draw minibatches, regress on soft targets, renew them lazily: it works.", rows, care
    )


def empirical(learner: SoftQLearner, world: World) -> Array:
    """Return the transitions [S, A, S] as remembered decisions show them."""
    remembered = learner.replay
    pairs = (remembered.state, remembered.action, remembered.next_state)
    counts = np.zeros(world.transition.shape)
    np.add.at(counts, tuple(codes[: len(remembered)].numpy() for codes in pairs), 1.0)
    return np.asarray(counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1.0))


def total_variation(q: Array, exact: Array) -> float:
    """Return the largest distance of the policies of two tables over states."""
    first, second = (np.exp((table - log_sum(table, ALPHA)[:, None]) / ALPHA) for table in (q, exact))
    return float(0.5 * np.abs(first - second).sum(axis=-1).max())


def off_policy(quick: bool) -> Claim:
    """A5b: what was done by another policy serves as well."""
    world, rows = random_world(5), []
    exact = action_values(world, soft_fixed_point(world, ALPHA))
    for behaviour, exploration in {"uniform": 1.0, "own_policy": 0.0}.items():
        steps = 300 if quick else 600
        options = hs.SoftQLearning(num_steps=steps, num_walkers=100, batch_size=1024, exploration=exploration)
        learner = soft_q_learner(world, options, ALPHA)
        minimise = minimiser(learner.q.optimizer())
        for _ in range(options.num_steps):
            learner.step(minimise)
        q = table_of(learner, world)
        rows.append(at_most(f"{behaviour}/policy/total_variation", total_variation(q, exact), 0.14))
        rows.append(Row(f"{behaviour}/largest_error_of_q", float(np.abs(q - exact).max())))
    care = "Pairs that the own policy hardly ever chooses stay wrong; they hardly matter for what it does."
    return Claim("A5b", "It is off-policy: whoever decided, the limit is the same.", tuple(rows), care)


class SideBySide(SampledProblem):
    """Copies of a problem that are learned at once; each has its own walkers, who begin at its start.

    Who has come to an end waits there, with nothing to choose: every walker goes through one episode in a rollout.

    Attributes:
        joint: the copies, one after the other, with their ends.
        starts: [copies] start of each.
    """

    def __init__(self, problem: Problem, reward: Tensor, start: int, alpha: float, count: int) -> None:
        """Put the copies one after the other."""
        size = len(reward)
        first = torch.arange(count) * size
        self.joint = Problem(
            problem.successors.repeat(count, 1, 1) + first.repeat_interleave(size)[:, None, None],
            problem.probabilities.repeat(count, 1, 1),
            problem.log_prior.repeat(count, 1),
            problem.discount,
        )
        heat = torch.full((count * size,), alpha, dtype=DTYPE)
        paid = torch.where(self.joint.playable, reward.repeat(count, 1), 0.0)
        super().__init__(_waiting(self.joint), paid, heat, count * BATCH, restart=0.0)
        self.starts = first + start

    def somewhere(self) -> Tensor:
        """Return the start of every walker's own copy."""
        return self.starts.repeat_interleave(BATCH)


def _waiting(problem: Problem) -> Problem:
    """Return a problem where the only thing to do at an end is to stay."""
    ended = ~problem.playable.any(dim=-1)
    own = torch.arange(len(ended))[:, None, None]
    first = torch.zeros_like(problem.probabilities)
    first[:, :, 0] = 1.0
    stay = torch.full_like(problem.log_prior, -torch.inf)
    stay[:, 0] = 0.0
    return dataclasses.replace(
        problem,
        successors=torch.where(ended[:, None, None], own, problem.successors),
        probabilities=torch.where(ended[:, None, None], first, problem.probabilities),
        log_prior=torch.where(ended[:, None], stay, problem.log_prior),
    )


def trained(
    world: SideBySide, options: hs.PolicyGradient, log_policy: Tensor | None = None, *, baseline: bool = True
) -> Iterator[Tensor]:
    """Yield the policies [copies * M, A] before each rollout of whole episodes.

    The loss is a mean over decisions: to step along the mean over episodes of each copy, rates are larger accordingly.
    """
    count = world.num_walkers // BATCH
    options = dataclasses.replace(options, num_walkers=world.num_walkers)
    num_states = len(world.problem.log_prior)
    actor, critic = QTable(num_states, world.num_actions), BaselineTable(num_states)
    if log_policy is not None:
        actor.table.data.copy_(torch.where(torch.isfinite(log_policy), log_policy, 0.0).repeat(count, 1).view(-1, 1))
    learner = PolicyGradientLearner(options, world, actor, critic, torch.tensor(0))
    rates = {actor: count * options.rollout * options.learning_rate, critic: count * float(baseline)}
    groups = [{"params": table.parameters(), "lr": rate} for table, rate in rates.items()]
    minimise = minimiser(torch.optim.SGD(groups))
    every = torch.arange(num_states)
    for rollout in range(options.num_steps):
        yield (actor(every).detach() + world.joint.log_prior).softmax(dim=-1).nan_to_num(0.0)
        learner.begin(options.seed * options.num_steps + rollout)
        learner.step(minimise)
    yield (actor(every).detach() + world.joint.log_prior).softmax(dim=-1).nan_to_num(0.0)


def plain(rollout: int, steps: int, *, anneal: float = 0.0) -> hs.PolicyGradient:
    """Return options of REINFORCE: whole returns, nothing clipped, no natural gradient."""
    return hs.PolicyGradient(
        num_steps=steps, rollout=rollout, trace=1.0, clip=1e9, natural=False, learning_rate=1.0, anneal=anneal
    )


def returns(world: SideBySide, policy: Tensor) -> Array:
    """Return the expected reward of an episode in each copy."""
    cold = torch.zeros(len(policy), dtype=DTYPE)
    return policy_value(world.joint, world.reward, cold, policy)[world.starts].numpy()


def collapse(quick: bool) -> Claim:
    """B5: REINFORCE without a baseline, on a chain where quitting pays a little at once, the end most."""
    count, rows = 5 if quick else 20, []
    cold: tuple[tuple[int, float], ...] = ((8, 0.0),)
    warm: tuple[tuple[int, float], ...] = ((8, 0.2),)
    if not quick:
        cold, warm = ((6, 0.0), (8, 0.0), (8, 0.05)), ((6, 0.05), (6, 0.1), (6, 0.2), (6, 0.4), (8, 0.1), (8, 0.2))
    for length, alpha in (*cold, *warm):
        walk = chain(length)
        world = SideBySide(walk.problem, walk.reward, walk.start, alpha, count)
        *_, last = trained(world, plain(length, 600, anneal=0.7), baseline=False)
        share = float((returns(world, last) >= ENOUGH * (END - QUIT)).mean())
        name = f"chain_of_{length}/alpha_{alpha}/share_of_seeds_that_reach_the_end"
        rows.append(Row(name, share, "1", 0.0) if (length, alpha) in warm else at_most(name, share, 0.5))
    care = (
        "How much entropy it takes depends on the task: a longer chain needs more. Without, a few seeds are lucky. "
        "This is D1, too: entropy is what explores here."
    )
    return Claim("B5", "Entropy prevents a premature collapse of what is learned from samples.", tuple(rows), care)


def control(quick: bool) -> Claim:
    """B5b: a corridor that the plain policy gradient solves as well."""
    count, rows, walk = 5 if quick else 20, [], corridor(6)
    for alpha in (0.0, 0.1):
        world = SideBySide(walk.problem, walk.reward, walk.start, alpha, count)
        *_, last = trained(world, plain(20, 150 if quick else 300, anneal=0.7))
        reached = int((returns(world, last) >= ENOUGH * (END - QUIT / 2)).sum())
        rows.append(Row(f"corridor/alpha_{alpha}/seeds_that_take_the_better_exit", reached, str(count), 0.0))
    return Claim("B5b", "(A control: where the better end is easily found, entropy is not needed.)", tuple(rows))


def limit(quick: bool) -> Claim:
    """B6, from samples."""
    world = random_world(3)
    exact = action_values(world, soft_fixed_point(world, ALPHA))
    options = hs.PolicyGradient(num_steps=100 if quick else 200, num_walkers=512)
    found = options.value(world.problem(), world.rewards, world.temperatures(ALPHA), None)
    assert found.q is not None
    rows = (at_most("policy/total_variation", total_variation(found.q.numpy(), exact), 0.05),)
    return Claim("B6s", "The policy gradient from samples converges to the soft-optimal policy.", rows)


def specialisation(quick: bool) -> Claim:
    """D2: policies that were trained for any of four exits learn to take one of them, by REINFORCE."""
    count, most = (3, 120) if quick else (20, 600)
    policies = pretrained()
    wanted = ["soft/alpha_0.2", "scratch", "one_way/slips_0.01"]
    named = {name: policies[name] for name in (wanted if quick else policies)}
    episodes = {name: float(np.median(episodes_needed(policy, count, most))) for name, policy in named.items()}
    soft = max(needed for name, needed in episodes.items() if name.startswith("soft"))
    hard = min(needed for name, needed in episodes.items() if name.startswith("one_way"))
    rows = (
        *(Row(f"episodes_to_90_percent/{name}", needed) for name, needed in episodes.items()),
        at_least("one_way_over_soft", hard / soft, 3.0),
        at_most("soft_over_scratch", soft / episodes["scratch"], 1.0),
    )
    care = f"Medians of {count} seeds; {BATCH * most} where it takes more than {BATCH * most} episodes. See D2x."
    return Claim("D2", "A policy trained for all ways is easily specialised, from samples.", rows, care)


def episodes_needed(policy: Tensor, count: int, most: int) -> Array:
    """Return after how many episodes the target is taken with 90 % probability, for each of some seeds."""
    problem, reward, start = towards_target()
    world = SideBySide(problem, reward, start, 0.0, count)
    certain = dataclasses.replace(world.joint, discount=1.0)
    cold = torch.zeros(count * len(policy), dtype=DTYPE)
    needed = np.full(count, float(BATCH * most))
    every = 5
    for step, now in enumerate(islice(trained(world, plain(60, most), policy.log()), 0, None, every)):
        success = policy_value(certain, world.reward, cold, now)[world.starts].numpy()
        needed = np.where((success >= SUCCESS) & (needed == BATCH * most), BATCH * every * step, needed)
        if (needed < BATCH * most).all():
            break
    return needed
