"""Soft Q-learning: act, remember, regress Q on soft targets, renew the targets lazily."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from humansoft.errors import ModelError, Problems
from humansoft.solvers.bellman import action_value, policy_of, soft_value
from humansoft.solvers.box_scores import BoxQ
from humansoft.solvers.convergence import diverged, failure, scaled
from humansoft.solvers.distributions import AbstractDistribution
from humansoft.solvers.gymnasium_world import GymnasiumWorld
from humansoft.solvers.learning import AbstractLearner, Minimise, train
from humansoft.solvers.problem import Problem
from humansoft.solvers.q_functions import AbstractQ, QNetwork, QTable
from humansoft.solvers.replay import Replay
from humansoft.solvers.solution import Outcome, SolveStatus
from humansoft.solvers.world import AbstractWorld, SampledProblem, Step


@dataclass(frozen=True)
class SoftQLearning:
    r"""Options of soft Q-learning.

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
        num_nodes: continuous actions at which Q is asked for an integral over them; by default 32 in 1 dimension,
            144 in 2, and 256 beyond, where they are an importance sample.
        hidden: sizes of a network's hidden layers; where states are few, Q is a table.
        learning_rate: of a network; each entry of a table has a rate that falls with its visits.
        seed: same seed, same policy; a model has to mean the same whenever it is asked.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.9)
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
    num_nodes: int | None = None
    hidden: tuple[int, ...] = (64, 64)
    learning_rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be done, all of it at once."""
        with Problems("SoftQLearning", ModelError) as problems:
            if self.target not in ("soft", "hard"):
                problems.add(f"target={self.target!r}; it is 'soft' or 'hard'")
            counts = ("num_steps", "num_walkers", "updates_per_step", "batch_size", "buffer_size", "target_every")
            for name in (*counts, *(["num_nodes"] if self.num_nodes is not None else [])):
                if getattr(self, name) < 1:
                    problems.add(f"{name}={getattr(self, name)}; it must be at least 1")
            if not 0 < self.target_rate <= 1:
                problems.add(f"target_rate={self.target_rate}; it lies above 0 and up to 1")
            if not 0 <= self.exploration <= 1:
                problems.add(f"exploration={self.exploration}; it is a share between 0 and 1")
            if self.warm_up < 0:
                problems.add(f"warm_up={self.warm_up}; it cannot be negative")

    @classmethod
    def for_environment(cls, **changes: Any) -> Self:  # noqa: ANN401 - the attributes
        """Return options for environments, where decisions are dear and Q is a network, with some ``changes``."""
        given = {
            "num_steps": 3000,
            "num_walkers": 8,
            "updates_per_step": 2,
            "batch_size": 256,
            "buffer_size": 25_000,
            "warm_up": 125,
            "target_every": 10,
            "exploration": 0.05,
        }
        return cls(**{**given, **changes})

    def learner_in(self, world: GymnasiumWorld) -> "SoftQLearner":
        """Return a learner for an environment: a table where its observations are codes, a network else."""
        example = world.reset(self.seed)[0]
        if world.num_states is not None:
            return SoftQLearner(self, world, QTable(world.num_states, world.num_actions), example)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            q: AbstractQ
            if world.box is not None:
                edges = (world.box.low, world.box.high)
                q = BoxQ(len(example), *edges, self.num_nodes, self.hidden, self.learning_rate)
            else:
                q = QNetwork(len(example), world.num_actions, self.hidden, self.learning_rate)
        return SoftQLearner(self, world, q, example)

    def value(self, problem: Problem, reward: Tensor, temperature: Tensor, start: Tensor | None) -> Outcome:
        """Learn Q of a decision process from samples of it; never raises."""
        world = SampledProblem(problem, reward, temperature, self.num_walkers)
        state = world.reset(self.seed)
        q = QTable(*problem.log_prior.shape).to(problem.device)
        learner = SoftQLearner(self, world, q, state[0])
        train(learner, self.num_steps, self.seed)
        learned = q.table.detach().view_as(reward)
        value = soft_value(learned, problem.log_prior, learner.planning(temperature))
        backup = soft_value(action_value(problem, reward, value), problem.log_prior, learner.planning(temperature))
        residual = scaled(backup - value, value, temperature)
        status = failure(problem) if diverged(value, temperature) else SolveStatus.LEARNED
        return Outcome(value, status, self.num_steps, residual, q=learned)


class SoftQLearner(AbstractLearner):
    """The algorithm itself, for tables and networks, in any world.

    What it sums over and draws from are the actions that Q says stand for all: every one of finitely many, or nodes.
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
        super().__init__(world, example)
        self.options, self.q, self.target_q = options, q, q.twin()
        num_dimensions = None if world.box is None else world.box.num_dimensions
        self.replay = Replay(options.buffer_size, example, next(q.parameters()).dtype, num_dimensions)
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.int64))

    @property
    def scores(self) -> AbstractQ:
        """Action values."""
        return self.q

    def optimizer(self) -> torch.optim.Optimizer:
        """Return that of Q."""
        return self.q.optimizer()

    def step(self, minimise: Minimise) -> Sequence[Step]:
        """Let everybody act once, remember it, and learn from what is remembered."""
        happened, state = self.world.step(self.act(self.state))
        self.state = state.to(self.device)
        self.replay.add(happened)
        self.num_steps.add_(1)
        if int(self.num_steps) > self.options.warm_up:
            for _ in range(self.options.updates_per_step):
                batch = self.replay.sample(self.options.batch_size, self.generator)
                minimise(self.loss(batch))
                self.renew_target()
        return [happened]

    @torch.no_grad()
    def act(self, state: Tensor) -> Shaped[Tensor, "W *D"]:
        """Draw an action for every walker: from what was learned, or (exploring) from the prior."""
        planning = self.planning(self.world.temperature(state))
        candidates = self.q.candidates(state, planning, self.generator)
        log_prior = self.world.log_prior(state) + candidates.log_volume
        shares = torch.softmax(log_prior, dim=-1)
        explored = self.options.exploration
        if explored < 1:
            shares = explored * shares + (1 - explored) * policy_of(candidates.value, log_prior, planning)
        return candidates.pick(torch.multinomial(shares, 1, generator=self.generator)[:, 0])

    @torch.no_grad()
    def distribution(self, state: Shaped[Tensor, "N *O"]) -> AbstractDistribution:
        """Return the soft policy of Q, also where the target is hard (plan hard, act softly)."""
        judged = (self.world.log_prior(state), self.world.temperature(state))
        return self.q.distribution(state, *judged, self.generator)

    def planning(self, temperature: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """Return the temperature of the target: 0 for hard Q-learning."""
        return temperature if self.options.target == "soft" else torch.zeros_like(temperature)

    @torch.no_grad()
    def target(self, batch: Step) -> Float[Tensor, " N"]:
        """Return r + discount * V(s'); after a true end V is 0, after a mere cut it is not."""
        following = batch.next_state
        temperature = self.planning(self.world.temperature(following))
        choices = self.target_q.choices(following, temperature, self.generator)
        value = soft_value(choices.value, self.world.log_prior(following) + choices.log_volume, temperature)
        return batch.reward + self.world.discount * torch.where(batch.terminated, 0.0, value)

    def loss(self, batch: Step) -> Float[Tensor, ""]:
        """Return half the sum of squared errors: its gradient is the sum of grad Q (Q - target)."""
        error = self.q.chosen(batch.state, batch.action) - self.target(batch)
        return 0.5 * error.square().sum()

    @torch.no_grad()
    def renew_target(self) -> None:
        """Count an update, and move the target toward what was learned when its time has come."""
        self.num_updates.add_(1)
        if int(self.num_updates) % self.options.target_every == 0:
            for old, new in zip(self.target_q.parameters(), self.q.parameters(), strict=True):
                old.lerp_(new, self.options.target_rate)
