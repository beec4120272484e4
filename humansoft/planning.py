"""plan and plan_in: the policy of people whose reward and temperature are known, in a task or an environment."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch

from humansoft._types import DTYPE
from humansoft.choice import ChoiceTerm
from humansoft.codebook import Labels
from humansoft.errors import ModelError, Problems, did_you_mean
from humansoft.model import SoftOptimalModel
from humansoft.planners import Planner
from humansoft.rewards.base import AbstractReward
from humansoft.rewards.linear import LinearReward
from humansoft.solvers.environment_policy import EnvironmentPolicy
from humansoft.solvers.exact import SAMPLED_SOLVERS, SampledSolver, Solver
from humansoft.solvers.gymnasium_world import GymnasiumWorld
from humansoft.solvers.option_checks import is_number, is_whole
from humansoft.solvers.policy import Policy
from humansoft.solvers.temperature_policy import TemperaturePolicy
from humansoft.solvers.temperature_range import RangeWorld
from humansoft.tasks.task import Task
from humansoft.temperature import PerSubject
from humansoft.threads import one_thread


@one_thread()
def plan(
    task: Task,
    reward: Mapping[str, float] | AbstractReward,
    temperature: float | Mapping[Any, float] = 1.0,
    planner: Planner = "kl",
    solver: Solver | str | None = None,
    device: str | torch.device = "cpu",
    choice: Sequence[ChoiceTerm] | ChoiceTerm = (),
) -> Policy:
    r"""Solve the forward problem: the policy of people with a known reward and temperature.

    Args:
        task: what they could do.
        reward: weight of each feature (features left out weigh 0), or a reward module.
        temperature: one number, or one for each person.
        planner: "kl", "entropy" or "boltzmann".
        solver: how to solve, as an object or by name ("soft_q_learning"); chosen by the task when not given.
        device: where to solve, for example "cuda"; the policy comes back to the CPU.
        choice: choice terms with known numbers, for example ``Stickiness(fixed=0.8)``.

    Returns:
        The policy over the whole task.

    Raises:
        ModelError: unknown feature, a temperature that is not above 0, a choice term without its number, or no such
            device here.
        SolveError: no finite solution (with the feasible bound).

    Example:
        >>> task = Task.grid("S.G\n...", discount=0.95)
        >>> plan(task, {"step": -1.0}, temperature={"ann": 0.2, "bob": 2.0}).subjects.values
        ('ann', 'bob')
    """
    people = temperature if isinstance(temperature, Mapping) else {"all": temperature}
    for name, value in people.items():
        if not (value > 0 and np.isfinite(value)):
            raise ModelError(f"the temperature of {name!r} is {value}; it must be a finite number above 0")
    if isinstance(reward, Mapping):
        reward = LinearReward(fixed={**dict.fromkeys(task.feature_names, 0.0), **reward})
    model = SoftOptimalModel(task, reward, PerSubject(), planner, solver=solver, device=device, choice=choice)
    lacking = [row.name for row in model.choice.parameters_of() if row.fixed is None]
    if lacking:
        raise ModelError(f"plan() learns nothing: give the numbers of {', '.join(lacking)} by fixed=")
    who = Labels("subject", tuple(people))
    bound = model.bound_to(who, who, np.arange(len(who)))
    with torch.no_grad():
        bound.log_temperature.copy_(torch.tensor([float(np.log(v)) for v in people.values()], dtype=DTYPE))
    everywhere = np.tile(np.arange(len(task.states)), len(people))
    row = np.arange(len(people))
    return bound.policy_on(bound.subjects, row, bound.expand(np.repeat(row, len(task.states)), everywhere))


@overload
def plan_in(env_id: str, *, temperature: float, seed: int, **others: Any) -> EnvironmentPolicy: ...  # noqa: ANN401


@overload
def plan_in(env_id: str, *, temperature: tuple[float, float], seed: int, **others: Any) -> TemperaturePolicy: ...  # noqa: ANN401


@one_thread()
def plan_in(
    env_id: str,
    *,
    temperature: float | tuple[float, float],
    seed: int,
    discount: float = 0.99,
    planner: Literal["kl", "entropy"] = "kl",
    solver: SampledSolver | str = "soft_q_learning",
    num_epochs: int = 5,
    checkpoint: str | Path | None = None,
    progress: bool = False,
    trainer: Any = None,  # a Lightning Trainer, which is not imported for its type
    **options: Any,  # of the environment
) -> EnvironmentPolicy | TemperaturePolicy:
    """Learn a policy by acting in a Gymnasium environment, whose reward is the reward.

    Training is divided into epochs. Each begins with new episodes, so that a run that was killed goes on from its
    last checkpoint to the very result it would have had.

    Args:
        env_id: id of the environment; its actions are finitely many (Discrete) or continuous (a bounded Box).
        temperature: in units of the environment's reward; with the smallest and the largest of a range, one network
            learns the policies of all temperatures between them.
        seed: same seed, same policy; at least 0.
        discount: weight of the next step's value.
        planner: "kl" or "entropy"; without a horizon and ends they differ by a constant only. Continuous actions
            are measured against the uniform density over their box ("kl"), or by volume in their own units.
        solver: "soft_q_learning", "policy_gradient", or options of either.
        num_epochs: parts of the training, as equal as they can be; episodes longer than an epoch are never seen to
            their end.
        checkpoint: a folder for checkpoints; training goes on from one that is found there.
        progress: show return, entropy and temperature while it learns.
        trainer: your own Lightning ``Trainer`` (devices, precision, loggers), instead of a quiet one on the CPU. Its
            ``max_epochs`` has to be ``num_epochs``; with ``checkpoint``, it saves checkpoints there, too.
        **options: passed to the environment.

    Returns:
        The policy; :func:`humansoft.simulate` lets it act in the environment. Of a range of temperatures, the policy
        at each is ``policy.at(temperature)``.

    Raises:
        TaskError: no such environment, or actions or observations that cannot be handled.
        ModelError: a temperature, seed, discount, solver or number that is not possible; all of them at once; a trainer
            that would train another number of epochs.
        WorldError: the environment failed with an error of its own (its cause), or gave a reward or an observation
            that is not a finite number, or an observation that is not in its space.
        SolveError: learning diverged.
        RunError: the checkpoint is damaged or belongs to another training; options of the environment that cannot be
            written into one.

    Example:
        >>> few = SAMPLED_SOLVERS["soft_q_learning"].for_environment(num_steps=100, warm_up=10)
        >>> policy = plan_in("FrozenLake-v1", temperature=0.1, seed=1, solver=few, num_epochs=1)
        >>> policy.action_distribution(0).shape
        (4,)
    """
    from humansoft.solvers.learner import PolicyLearner, run_training  # Lightning takes five seconds to import

    _refuse_impossible(temperature, seed, discount, planner, num_epochs, solver)
    asked = (temperature[0], temperature[1]) if isinstance(temperature, tuple | list) else temperature
    chosen = dataclasses.replace(_options_of(solver), seed=seed)
    world = GymnasiumWorld(
        env_id, chosen.num_walkers, discount, 1.0 if isinstance(asked, tuple) else asked, planner, options
    )
    learner = chosen.learner_in(RangeWorld(world, *asked) if isinstance(asked, tuple) else world)
    given = {"environment": env_id, "options": options, "temperature": asked, "discount": discount}
    identity = {**given, "planner": planner, "num_epochs": num_epochs, **dataclasses.asdict(chosen)}
    module = PolicyLearner(learner, num_epochs, chosen.num_steps, seed, identity)
    run_training(module, None if checkpoint is None else Path(checkpoint), progress, trainer)
    scores, last = learner.scores.cpu(), (seed, world.first_state, world.first_action)
    if not isinstance(asked, tuple):
        return EnvironmentPolicy(env_id, options, scores, asked, learner.score_unit(asked), *last)
    unit = learner.score_unit(1.0) if learner.score_unit(2.0) != learner.score_unit(1.0) else None
    return TemperaturePolicy(env_id, options, scores, world.num_states, *asked, unit, *last)


def _refuse_impossible(
    temperature: Any,  # noqa: ANN401 - whatever a user gives
    seed: Any,  # noqa: ANN401
    discount: Any,  # noqa: ANN401
    planner: str,
    num_epochs: Any,  # noqa: ANN401
    solver: Any,  # noqa: ANN401
) -> None:
    """Refuse what cannot be learned, all of it at once."""
    with Problems("plan_in", ModelError) as problems:
        ends = list(temperature) if isinstance(temperature, tuple | list) else [temperature]
        if len(ends) != 1 + isinstance(temperature, tuple | list) or not all(is_number(e) and e > 0 for e in ends):
            problems.add(f"temperature={temperature!r}; it must be a finite number above 0, or the two ends of a range")
        elif ends != sorted(set(ends)):
            problems.add(f"temperature={temperature}; a range goes from its smallest to its largest temperature")
        if not is_whole(seed, 0):
            problems.add(f"seed={seed!r}; it must be a whole number of at least 0")
        if not (is_number(discount) and 0 <= discount <= 1):
            problems.add(f"discount={discount!r}; it lies between 0 and 1")
        if planner not in ("kl", "entropy"):
            problems.add(f"there is no planner {planner!r} here.{did_you_mean(planner, ['kl', 'entropy'])}")
        if not is_whole(num_epochs, 1):
            problems.add(f"num_epochs={num_epochs!r}; it must be a whole number of at least 1")
        if isinstance(solver, str) and solver not in SAMPLED_SOLVERS:
            problems.add(f"there is no solver {solver!r} here.{did_you_mean(solver, SAMPLED_SOLVERS)}")
        elif isinstance(solver, type) and issubclass(solver, SampledSolver):
            problems.add(f"solver={solver.__name__} is a class; give options, {solver.__name__}.for_environment()")
        elif not isinstance(solver, str | SampledSolver):
            problems.add(
                f"solver={solver!r} does not learn from acting, and nothing else is possible in an environment; use "
                "'soft_q_learning', 'policy_gradient', or options of either"
            )
        elif is_whole(num_epochs, 1) and num_epochs > (most := _options_of(solver).num_steps):
            problems.add(f"num_epochs={num_epochs}; the solver's num_steps={most} cannot be divided among so many")


def _options_of(solver: SampledSolver | str) -> SampledSolver:
    return SAMPLED_SOLVERS[solver].for_environment() if isinstance(solver, str) else solver
