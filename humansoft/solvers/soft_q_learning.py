"""Soft Q-learning: act, remember, regress Q on soft targets, renew the targets lazily."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from humansoft.errors import ModelError, Problems
from humansoft.solvers.bellman import policy_of, soft_value
from humansoft.solvers.box_scores import BoxQ
from humansoft.solvers.convergence import learned_status
from humansoft.solvers.distributions import AbstractDistribution
from humansoft.solvers.gymnasium_world import GymnasiumWorld
from humansoft.solvers.learning import AbstractLearner, Minimise, Temperature, train
from humansoft.solvers.option_checks import is_number, require_above_0, require_layers, require_share, require_whole
from humansoft.solvers.problem import Problem
from humansoft.solvers.q_functions import AbstractQ, QNetwork, QTable
from humansoft.solvers.replay import Replay
from humansoft.solvers.solution import Outcome
from humansoft.solvers.temperature_range import RangeWorld
from humansoft.solvers.world import AbstractWorld, SampledProblem, Step


@dataclass(frozen=True)
class SoftQLearning:
    r"""Options of soft Q-learning.

    Attributes:
        target: "soft" regresses on r + discount * V(s') with the log-sum-exp of the actions' values;
            "hard" on their maximum, which is ordinary Q-learning.
        num_steps: rollouts, each followed by learning from what is remembered.
        num_walkers: walkers side by side.
        rollout: decisions of each walker in a rollout.
        updates_per_step: minibatches after each rollout.
        batch_size: decisions of a minibatch.
        buffer_size: decisions remembered.
        warm_up: rollouts before the first update.
        target_every: updates between renewals of the target.
        target_rate: how far the target moves then: 1 copies what was learned, less is Polyak averaging.
        inertia: how strongly each policy holds to the one before, 0 to below 1: the share m of the log policy that
            is added to the reward (Munchausen, Vieillard et al. 2020). Errors average out, and the gaps between
            actions become 1 / (1 - m) times as large; what is found in the end stays the same policy.
        exploration: share of decisions that follow the prior policy instead of what was learned.
        num_nodes: continuous actions at which Q is asked for an integral over them; by default 32 in 1 dimension,
            144 in 2, and 256 beyond, where they are an importance sample.
        hidden: sizes of a network's hidden layers; where states are few, Q is a table.
        learning_rate: of a network, at first: it falls to 0 in a straight line while training; each entry of a
            table has a rate that falls with its visits.
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
    rollout: int = 1
    updates_per_step: int = 1
    batch_size: int = 8192
    buffer_size: int = 1_000_000
    warm_up: int = 20
    target_every: int = 1
    target_rate: float = 1.0
    inertia: float = 0.0
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
            counts = ("num_steps", "num_walkers", "rollout", "updates_per_step", "batch_size", "buffer_size")
            nodes = () if self.num_nodes is None else ("num_nodes",)
            require_whole(self, (*counts, "target_every", *nodes), 1, problems)
            require_whole(self, ("warm_up", "seed"), 0, problems)
            if not (is_number(self.target_rate) and 0 < self.target_rate <= 1):
                problems.add(f"target_rate={self.target_rate!r}; it lies above 0 and up to 1")
            if not (is_number(self.inertia) and 0 <= self.inertia < 1):
                problems.add(f"inertia={self.inertia!r}; it is a share from 0 to below 1")
            if self.inertia and self.target == "hard":
                problems.add("inertia needs target='soft': the hard maximum has no log policy to hold to")
            require_share(self, ("exploration",), problems)
            require_layers(self.hidden, problems)
            require_above_0(self, ("learning_rate",), problems)

    @classmethod
    def for_environment(cls, **changes: Any) -> Self:  # noqa: ANN401 - the attributes
        """Return options for environments, where decisions are dear and Q is a network, with some ``changes``."""
        given = {
            "num_steps": 800,
            "num_walkers": 8,
            "rollout": 4,
            "updates_per_step": 8,
            "batch_size": 128,
            "buffer_size": 50_000,
            "warm_up": 30,
            "target_every": 8,
            "target_rate": 0.1,
            "inertia": 0.9,
            "exploration": 0.0,
            "hidden": (128, 128),
            "learning_rate": 1e-3,
        }
        return cls(**{**given, **changes})

    def learner_in(self, world: GymnasiumWorld | RangeWorld) -> "SoftQLearner":
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
        planning = learner.planning(temperature)
        value = soft_value(learned, problem.log_prior, planning)
        learned = learned - self.inertia * (learned - value[:, None])
        plain = (1 - self.inertia) * planning
        status, residual = learned_status(problem, reward, value, learned, plain, temperature)
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

    def rate_left(self) -> float:
        """Return the share of the learning rate that is left."""
        return max(0.0, 1.0 - int(self.num_steps) / self.options.num_steps)

    def step(self, minimise: Minimise) -> Sequence[Step]:
        """Let everybody act, remember it, and learn from what is remembered."""
        steps = [self._decided() for _ in range(self.options.rollout)]
        self.num_steps.add_(1)
        if int(self.num_steps) > self.options.warm_up:
            left = self.options.updates_per_step
            while left > 0:
                left -= self._learned(left, minimise)
        return steps

    def _decided(self) -> Step:
        """Let everybody act once, and remember it."""
        happened, state = self.world.step(self.act(self.state))
        self.state = state.to(self.device)
        self.replay.add(happened)
        self.q.show(happened.state[happened.valid].to(self.device))
        return happened

    def _learned(self, most: int, minimise: Minimise) -> int:
        """Update Q until the target is renewed, or as often as is left; return how often.

        As long as the target stands still, what all minibatches are regressed on is looked up at once.
        """
        every, size = self.options.target_every, self.options.batch_size
        count = min(most, every - int(self.num_updates) % every)
        drawn = self.world.varied(self.replay.sample(count * size, self.generator), self.generator)
        targets = self.target(drawn)
        for part in torch.arange(count * size, device=targets.device).view(count, size):
            minimise(self.loss(drawn.state[part], drawn.action[part], targets[part]))
        self.num_updates.add_(count)
        if int(self.num_updates) % every == 0:
            self.renew_target()
        return count

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
        unit = self.score_unit(self.world.temperature(state))
        return self.q.distribution(state, self.world.log_prior(state), unit, self.generator)

    def score_unit(self, temperature: Temperature) -> Temperature:
        """Return the temperature in the units of Q, whose gaps between actions are as large as inertia makes them."""
        return temperature / (1 - self.options.inertia)

    def planning(self, temperature: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """Return the temperature of the target in the units of Q: 0 for hard Q-learning."""
        return self.score_unit(temperature) if self.options.target == "soft" else torch.zeros_like(temperature)

    @torch.no_grad()
    def target(self, batch: Step) -> Float[Tensor, " N"]:
        """Return r + discount * V(s'); after a true end V is 0, after a mere cut it is not.

        With inertia m, m * (Q - V)(s, a) is added, where V = t log sum prior exp(Q / t) at t = temperature / (1 - m).
        At the fixed point V + (1 - m) (Q - V) = r + discount * E V' is the action value at the temperature itself.
        """
        value = torch.where(batch.terminated, 0.0, self._value(batch.next_state))
        target = batch.reward + self.world.discount * value
        if self.options.inertia:
            chosen = self.target_q.chosen(batch.state, batch.action)
            target += self.options.inertia * (chosen - self._value(batch.state))
        return target

    def _value(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, " N"]:
        """Return V of the target network."""
        temperature = self.planning(self.world.temperature(state))
        choices = self.target_q.choices(state, temperature, self.generator)
        return soft_value(choices.value, self.world.log_prior(state) + choices.log_volume, temperature)

    def loss(
        self, state: Shaped[Tensor, "N *O"], action: Shaped[Tensor, "N *D"], target: Float[Tensor, " N"]
    ) -> Float[Tensor, ""]:
        """Return half the sum of squared errors: its gradient is the sum of grad Q (Q - target).

        Where people of many temperatures share a network, those who notice small differences weigh more.
        """
        squares = (self.q.chosen(state, action) - target).square()
        return 0.5 * (squares.sum() if isinstance(self.q, QTable) else (squares / self.world.temperature(state)).sum())

    @torch.no_grad()
    def renew_target(self) -> None:
        """Move the target toward what was learned."""
        for old, new in zip(self.target_q.parameters(), self.q.parameters(), strict=True):
            old.lerp_(new, self.options.target_rate)
