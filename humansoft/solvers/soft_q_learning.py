"""Soft Q-learning: act, remember, regress Q on soft targets, renew the targets lazily."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from humansoft.errors import ModelError, Problems
from humansoft.solvers.bellman import action_value, policy_of, soft_value
from humansoft.solvers.convergence import diverged, failure, scaled
from humansoft.solvers.problem import Problem
from humansoft.solvers.q_functions import AbstractQ, QTable
from humansoft.solvers.replay import Replay
from humansoft.solvers.solution import Outcome, SolveStatus
from humansoft.solvers.world import AbstractWorld, SampledProblem, Step

Minimise = Callable[[Tensor], None]


@dataclass(frozen=True)
class SoftQLearning:
    """Options of soft Q-learning.

    Attributes:
        target: "soft" regresses on r + discount * V(s') with the log-sum-exp of the actions' values;
            "hard" on their maximum, which is ordinary Q-learning.
        num_steps: steps of all walkers together.
        num_walkers: walkers side by side.
        updates_per_step: minibatches after each such step.
        batch_size: decisions of a minibatch.
        buffer_size: decisions remembered.
        warm_up: steps before the first update.
        target_every: updates between renewals of the target.
        target_rate: how far the target moves then: 1 copies what was learned, less is Polyak averaging.
        exploration: share of decisions that follow the prior policy instead of what was learned.
        seed: same seed, same policy; a model has to mean the same whenever it is asked.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G", discount=0.9)
        >>> policy = hs.plan(task, {"step": -1.0}, solver=SoftQLearning(num_steps=200))
        >>> policy.action_distribution((0, 0)).idxmax()
        'right'
    """

    target: Literal["soft", "hard"] = "soft"
    num_steps: int = 2000
    num_walkers: int = 2048
    updates_per_step: int = 1
    batch_size: int = 8192
    buffer_size: int = 1_000_000
    warm_up: int = 20
    target_every: int = 1
    target_rate: float = 1.0
    exploration: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be done, all of it at once."""
        with Problems("SoftQLearning", ModelError) as problems:
            if self.target not in ("soft", "hard"):
                problems.add(f"target={self.target!r}; it is 'soft' or 'hard'")
            for name in ("num_steps", "num_walkers", "updates_per_step", "batch_size", "buffer_size", "target_every"):
                if getattr(self, name) < 1:
                    problems.add(f"{name}={getattr(self, name)}; it must be at least 1")
            if not 0 < self.target_rate <= 1:
                problems.add(f"target_rate={self.target_rate}; it lies above 0 and up to 1")
            if not 0 <= self.exploration <= 1:
                problems.add(f"exploration={self.exploration}; it is a share between 0 and 1")
            if self.warm_up < 0:
                problems.add(f"warm_up={self.warm_up}; it cannot be negative")

    def value(self, problem: Problem, reward: Tensor, temperature: Tensor, start: Tensor | None) -> Outcome:
        """Learn Q of a decision process from samples of it; never raises."""
        world = SampledProblem(problem, reward, temperature, self.num_walkers)
        state = world.reset(self.seed)
        q = QTable(*problem.log_prior.shape).to(problem.device)
        learner = SoftQLearner(self, world, q, state[0])
        learner.begin(self.seed)
        optimizer = q.optimizer()
        minimise = minimiser(optimizer)
        with torch.enable_grad():
            for _ in range(self.num_steps):
                learner.step(minimise)
        learned = q.table.detach().view_as(reward)
        value = soft_value(learned, problem.log_prior, learner.planning(temperature))
        backup = soft_value(action_value(problem, reward, value), problem.log_prior, learner.planning(temperature))
        residual = scaled(backup - value, value, temperature)
        status = failure(problem) if diverged(value, temperature) else SolveStatus.LEARNED
        return Outcome(value, status, self.num_steps, residual, q=learned)


class SoftQLearner(nn.Module):
    """The algorithm itself, for tables and networks, in any world.

    Whoever drives it says how a loss is minimised (a plain optimizer, or Lightning).

    Args:
        options: how to learn.
        world: where to act.
        q: what is learned.
        example: a state of the world, for its shape and type.
    """

    num_updates: Int[Tensor, ""]
    num_steps: Int[Tensor, ""]

    def __init__(self, options: SoftQLearning, world: AbstractWorld, q: AbstractQ, example: Tensor) -> None:
        """Start with the target at what Q is now."""
        super().__init__()
        self.options, self.world, self.q, self.target_q = options, world, q, q.twin()
        self.replay = Replay(options.buffer_size, example, next(q.parameters()).dtype)
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.int64))
        self.generator = torch.Generator(example.device)
        self.state = example

    def begin(self, seed: int) -> None:
        """Begin new episodes: what follows depends on the seed and on what was learned and remembered."""
        self.state = self.world.reset(seed)
        self.generator.manual_seed(seed + 1)

    def step(self, minimise: Minimise) -> Step:
        """Let everybody act once, remember it, and learn from what is remembered."""
        happened, self.state = self.world.step(self.act(self.state))
        self.replay.add(happened)
        self.num_steps += 1
        if int(self.num_steps) > self.options.warm_up:
            for _ in range(self.options.updates_per_step):
                batch = self.replay.sample(self.options.batch_size, self.generator)
                minimise(self.loss(batch))
                self.renew_target()
        return happened

    @torch.no_grad()
    def act(self, state: Tensor) -> Int[Tensor, " W"]:
        """Draw an action for every walker: from what was learned, or (exploring) from the prior."""
        log_prior = self.world.log_prior(state)
        shares = torch.softmax(log_prior, dim=-1)
        explored = self.options.exploration
        if explored < 1:
            learned = policy_of(self.q(state), log_prior, self.planning(self.world.temperature(state)))
            shares = explored * shares + (1 - explored) * learned
        return torch.multinomial(shares, 1, generator=self.generator)[:, 0]

    def planning(self, temperature: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """Return the temperature of the target: 0 for hard Q-learning."""
        return temperature if self.options.target == "soft" else torch.zeros_like(temperature)

    @torch.no_grad()
    def target(self, batch: Step) -> Float[Tensor, " N"]:
        """Return r + discount * V(s'); after a true end V is 0, after a mere cut it is not."""
        following = batch.next_state
        temperature = self.planning(self.world.temperature(following))
        value = soft_value(self.target_q(following), self.world.log_prior(following), temperature)
        return batch.reward + self.world.discount * torch.where(batch.terminated, 0.0, value)

    def loss(self, batch: Step) -> Float[Tensor, ""]:
        """Return half the sum of squared errors: its gradient is the sum of grad Q (Q - target)."""
        error = self.q.chosen(batch.state, batch.action) - self.target(batch)
        return 0.5 * error.square().sum()

    @torch.no_grad()
    def renew_target(self) -> None:
        """Count an update, and move the target toward what was learned when its time has come."""
        self.num_updates += 1
        if int(self.num_updates) % self.options.target_every == 0:
            for old, new in zip(self.target_q.parameters(), self.q.parameters(), strict=True):
                old.lerp_(new, self.options.target_rate)


def minimiser(optimizer: torch.optim.Optimizer) -> Minimise:
    """Return a function that takes one step of an optimizer down a loss."""

    def minimise(loss: Tensor) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()

    return minimise
