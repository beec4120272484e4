"""Entropy-regularised policy gradient: an ordinary one, whose reward is r - temperature * log(pi / prior)."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from humansoft.errors import ModelError, Problems
from humansoft.solvers.advantages import Rollout, advantages
from humansoft.solvers.baseline import BaselineNetwork, BaselineTable
from humansoft.solvers.box_scores import NormalNetwork
from humansoft.solvers.convergence import learned_status
from humansoft.solvers.distributions import AbstractDistribution
from humansoft.solvers.gymnasium_world import GymnasiumWorld
from humansoft.solvers.learning import AbstractLearner, Minimise, Temperature, train
from humansoft.solvers.option_checks import is_number, require_above_0, require_layers, require_share, require_whole
from humansoft.solvers.problem import Problem
from humansoft.solvers.q_functions import AbstractScores, QNetwork, QTable, RobbinsMonro
from humansoft.solvers.solution import Outcome
from humansoft.solvers.temperature_range import RangeWorld
from humansoft.solvers.world import AbstractWorld, SampledProblem, Step

_LARGEST_GRADIENT = 0.5
_MOST_LOG_RATIO = 20.0  # of probabilities of what was done: beyond, exp would overflow and gradients with it
_MOST_LOG_FACTOR = 20.0  # of a temperature that follows the entropy


@dataclass(frozen=True)
class PolicyGradient:
    r"""Options of the policy gradient.

    In a table the gradient is the natural one, which moves the score of each action by its mean advantage; taken
    in full and exactly, that is soft policy iteration. It is taken once a rollout: those advantages are of the policy
    that acted, and a second step would overshoot. For networks it is the ordinary one, with clipped ratios when it
    goes through a rollout more than once.

    Attributes:
        num_steps: rollouts, each followed by learning from it.
        num_walkers: walkers side by side.
        rollout: decisions of each walker in a rollout.
        trace: 0 to 1, how far rewards are followed before the baseline stands for what comes (lambda of
            generalised advantages; at 1, to the end of the rollout).
        num_passes: how often each rollout is gone through; the natural gradient of a table has no use for more than
            once, and goes through it once whatever is said here.
        batch_size: decisions of a minibatch of a network.
        clip: largest change of the ratio of new to old probability that is rewarded.
        anneal: share of training over which the temperature falls to 0 in a straight line; 0 keeps it.
        target_entropy: mean entropy of acting, in nats, that the temperature is moved toward; ``None`` lets it be.
        temperature_rate: how far its logarithm then moves after each rollout, for each nat that is missing.
        natural: whether tables follow the natural gradient (else the ordinary one, by plain steps).
        hidden: sizes of a network's hidden layers.
        learning_rate: of networks, at first: it falls to 0 in a straight line while training; and of plain steps
            in tables.
        seed: same seed, same policy; a model has to mean the same whenever it is asked.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.9)
        >>> policy = hs.plan(task, {"step": -1.0}, solver=PolicyGradient(num_steps=20))
        >>> policy.action_distribution((0, 0)).idxmax()
        'right'
    """

    num_steps: int = 200
    num_walkers: int = 2048
    rollout: int = 20
    trace: float = 0.5
    num_passes: int = 1
    batch_size: int = 256
    clip: float = 0.2
    anneal: float = 0.0
    target_entropy: float | None = None
    temperature_rate: float = 0.1
    natural: bool = True
    hidden: tuple[int, ...] = (64, 64)
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be done, all of it at once."""
        with Problems("PolicyGradient", ModelError) as problems:
            require_whole(self, ("num_steps", "num_walkers", "rollout", "num_passes", "batch_size"), 1, problems)
            require_whole(self, ("seed",), 0, problems)
            require_share(self, ("trace", "anneal"), problems)
            require_above_0(self, ("clip", "learning_rate", "temperature_rate"), problems)
            require_layers(self.hidden, problems)
            if self.target_entropy is not None and not is_number(self.target_entropy):
                problems.add(f"target_entropy={self.target_entropy!r}; it must be a finite number, or None")
            if self.target_entropy is not None and self.anneal:
                problems.add("anneal and target_entropy both say how the temperature moves; give one of them")

    @classmethod
    def for_environment(cls, **changes: Any) -> Self:  # noqa: ANN401 - the attributes
        """Return options for environments, where decisions are dear and scores are a network, with some ``changes``."""
        given = {
            "num_steps": 50,
            "num_walkers": 16,
            "rollout": 64,
            "trace": 0.97,
            "num_passes": 10,
            "learning_rate": 3e-3,
        }
        return cls(**{**given, **changes})

    def learner_in(self, world: GymnasiumWorld | RangeWorld) -> "PolicyGradientLearner":
        """Return a learner for an environment: tables where its observations are codes, networks else."""
        example = world.reset(self.seed)[0]
        if world.num_states is not None:
            scores, baseline = _tables(world.num_states, world.num_actions)
            return PolicyGradientLearner(self, world, scores, baseline, example)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            sizes = (self.hidden, self.learning_rate)
            actor: AbstractScores
            if world.box is not None:
                actor = NormalNetwork(len(example), world.box.low, world.box.high, self.hidden)
            else:
                actor = QNetwork(len(example), world.num_actions, *sizes)
            critic = BaselineNetwork(len(example), *sizes)
        return PolicyGradientLearner(self, world, actor, critic, example)

    def value(self, problem: Problem, reward: Tensor, temperature: Tensor, start: Tensor | None) -> Outcome:
        """Learn a policy of a decision process from samples of it; never raises."""
        world = SampledProblem(problem, reward, temperature, self.num_walkers)
        state = world.reset(self.seed)
        actor, critic = _tables(*problem.log_prior.shape)
        learner = PolicyGradientLearner(self, world, actor.to(problem.device), critic.to(problem.device), state[0])
        train(learner, self.num_steps, self.seed)
        with torch.no_grad():
            every = torch.arange(len(reward), device=problem.device)
            value = torch.where(problem.playable.any(dim=-1), critic(every)[:, 0], 0.0)
            given = (problem.log_prior, learner.score_unit(temperature), learner.generator)
            gain = temperature[:, None] * (actor.distribution(every, *given).log_policy - problem.log_prior)
        q = torch.where(problem.playable, value[:, None] + gain, 0.0)
        status, residual = learned_status(problem, reward, value, q, temperature, temperature)
        return Outcome(value, status, self.num_steps, residual, q=q)


def _tables(num_states: int, num_actions: int) -> tuple[QTable, BaselineTable]:
    """Return tables of scores and of the baseline."""
    return QTable(num_states, num_actions), BaselineTable(num_states)


class PolicyGradientLearner(AbstractLearner):
    """The algorithm itself, for tables and networks, in any world.

    The policy is prior * exp(score / unit): in tables, scores are measured in rewards (the unit is the
    temperature); the scores of a network are logarithms (the unit is 1). Continuous actions have a density instead.

    Args:
        options: how to learn.
        world: where to act.
        actor: scores of actions, or their density.
        critic: value of states, the baseline.
        example: a state of the world, for its shape and type.
    """

    num_rollouts: Tensor
    log_factor: Tensor

    def __init__(
        self,
        options: PolicyGradient,
        world: AbstractWorld,
        actor: AbstractScores,
        critic: BaselineTable | BaselineNetwork,
        example: Tensor,
    ) -> None:
        """Start from the prior, or near it."""
        super().__init__(world, example)
        self.options, self.actor, self.critic = options, actor, critic
        self.natural = options.natural and isinstance(actor, QTable)
        self.register_buffer("num_rollouts", torch.zeros((), dtype=torch.int64))
        self.register_buffer("log_factor", torch.zeros(()))  # of the world's temperature

    @property
    def scores(self) -> AbstractScores:
        """Scores of actions."""
        return self.actor

    def optimizer(self) -> torch.optim.Optimizer:
        """Return one for scores and baseline together."""
        if self.natural and isinstance(self.actor, QTable):
            return RobbinsMonro(self.parameters(), self.actor.patience, self.actor.decay)
        if isinstance(self.actor, QTable):
            return torch.optim.SGD(self.parameters(), lr=self.options.learning_rate)
        return torch.optim.Adam(self.parameters(), lr=self.options.learning_rate, fused=True)

    def temperature(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, " N"]:
        """Return the temperature now: it may fall while training, or follow the entropy."""
        factor = float(self.log_factor.exp())
        if self.options.anneal:
            factor = max(0.0, 1.0 - int(self.num_rollouts) / (self.options.anneal * self.options.num_steps))
        return factor * super().temperature(state)

    def step(self, minimise: Minimise) -> Sequence[Step]:
        """Roll out, judge what was done, and make what was better than expected more probable."""
        steps = self._rolled_out()
        rollout = self._judged(steps)
        self.critic.expect(rollout.target)
        for _ in range(1 if self.natural else self.options.num_passes):
            for batch in self._batches(rollout):
                minimise(self.loss(batch))
        self._move_temperature(rollout)
        self.num_rollouts.add_(1)
        return steps

    def distribution(self, state: Shaped[Tensor, "N *O"]) -> AbstractDistribution:
        """Return pi(.|s)."""
        unit = self.score_unit(self.world.temperature(state))
        return self.actor.distribution(state, self.world.log_prior(state), unit, self.generator)

    def loss(self, batch: Rollout) -> Float[Tensor, ""]:
        """Return what falls when better actions become likelier and the baseline becomes right."""
        only = torch.zeros(len(batch.action), dtype=torch.int64, device=batch.action.device)
        error = (self.critic.chosen(batch.state, only) - batch.target) / self.critic.unit
        if self.natural and isinstance(self.actor, QTable):  # sums: the optimizer takes the mean of each entry
            chosen = self.actor.chosen(batch.state, batch.action)
            return 0.5 * error.square().sum() - (chosen * batch.advantage).sum()
        logs = self.distribution(batch.state).log_prob(batch.action)
        ratio = (logs - batch.log_prob).clamp(max=_MOST_LOG_RATIO).exp()
        clipped = ratio.clamp(1 - self.options.clip, 1 + self.options.clip)
        gain = torch.minimum(ratio * batch.advantage, clipped * batch.advantage)
        return 0.5 * error.square().mean() - gain.mean()

    @property
    def largest_gradient(self) -> float | None:
        """Norm to which longer gradients of networks are shortened: ratios have no upper bound."""
        return None if isinstance(self.actor, QTable) else _LARGEST_GRADIENT

    def score_unit(self, temperature: Temperature) -> Temperature:
        """Return the temperature for natural scores; the others are logarithms already."""
        return temperature if self.natural else temperature**0

    def rate_left(self) -> float:
        """Return the share of the learning rate that is left, which falls in a straight line for networks."""
        if isinstance(self.actor, QTable):
            return 1.0
        return max(0.0, 1.0 - int(self.num_rollouts) / self.options.num_steps)

    @torch.no_grad()
    def _rolled_out(self) -> list[Step]:
        steps = []
        for _ in range(self.options.rollout):
            action = self.distribution(self.state).sample(self.generator)
            happened, state = self.world.step(action)
            self.state = state.to(self.device)
            steps.append(happened.on(self.state.device))
        seen = torch.cat([step.state[step.valid] for step in steps])
        for net in (self.actor, self.critic):
            net.show(seen)
        return steps

    @torch.no_grad()
    def _judged(self, steps: list[Step]) -> Rollout:
        """Return the decisions with their advantages and the targets of the baseline."""
        state = torch.stack([step.state for step in steps])
        following = torch.stack([step.next_state for step in steps])
        action = torch.stack([step.action for step in steps])
        shape = state.shape[:2]
        flat, done = state.flatten(0, 1), action.flatten(0, 1)
        logs = self.distribution(flat).log_prob(done)
        value = self.critic(flat)[:, 0].view(shape)
        cost = self.temperature(flat) * (logs - self.world.log_prior_of(flat, done))
        cost = cost.to(value.dtype).view(shape)
        after = self.critic(following.flatten(0, 1))[:, 0].view(shape)
        found = advantages(steps, cost, value, after, self.world.discount, self.options.trace)
        valid = torch.stack([step.valid for step in steps]).flatten()
        parts = (flat, done, logs, found.flatten(), (found + value).flatten())
        return Rollout(*(part[valid] for part in parts))

    def _move_temperature(self, rollout: Rollout) -> None:
        """Step down the dual loss log(temperature) * (entropy - target) (Haarnoja et al. 2018b)."""
        if self.options.target_entropy is not None:
            missing = self.options.target_entropy + rollout.log_prob.mean()
            self.log_factor.add_(self.options.temperature_rate * missing).clamp_(-_MOST_LOG_FACTOR, _MOST_LOG_FACTOR)

    def _batches(self, rollout: Rollout) -> list[Rollout]:
        """Return the whole rollout for tables, shuffled minibatches with advantages of unit size for networks."""
        if isinstance(self.actor, QTable):
            return [rollout]
        spread = rollout.advantage.std().clamp_min(torch.finfo(rollout.advantage.dtype).tiny)
        level = rollout.advantage.mean()
        order = torch.randperm(len(rollout.action), generator=self.generator, device=rollout.action.device)
        batches = []
        for place in torch.split(order, self.options.batch_size):
            parts = {field.name: getattr(rollout, field.name)[place] for field in fields(rollout)}
            batches.append(Rollout(**{**parts, "advantage": (parts["advantage"] - level) / spread}))
        return batches
