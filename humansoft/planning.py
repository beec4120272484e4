"""plan and plan_in: the policy of people whose reward and temperature are known, in a task or an environment."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from humansoft._types import DTYPE
from humansoft.codebook import Labels
from humansoft.errors import ModelError, Problems, did_you_mean
from humansoft.model import SoftOptimalModel
from humansoft.planners import Planner
from humansoft.rewards.base import AbstractReward
from humansoft.rewards.linear import LinearReward
from humansoft.solvers.environment_policy import EnvironmentPolicy
from humansoft.solvers.exact import SAMPLED_SOLVERS, SampledSolver, Solver
from humansoft.solvers.gymnasium_world import GymnasiumWorld
from humansoft.solvers.policy import Policy
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
) -> Policy:
    r"""Solve the forward problem: the policy of people with a known reward and temperature.

    Args:
        task: what they could do.
        reward: weight of each feature (features left out weigh 0), or a reward module.
        temperature: one number, or one for each person.
        planner: "kl", "entropy" or "boltzmann".
        solver: how to solve, as an object or by name ("soft_q_learning"); chosen by the task when not given.
        device: where to solve, for example "cuda"; the policy comes back to the CPU.

    Returns:
        The policy over the whole task.

    Raises:
        ModelError: unknown feature, a temperature that is not above 0, or no such device here.
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
    model = SoftOptimalModel(task, reward, PerSubject(), planner, solver=solver, device=device)
    who = Labels("subject", tuple(people))
    bound = model.bound_to(who, who, np.arange(len(who)))
    with torch.no_grad():
        bound.log_temperature.copy_(torch.tensor([float(np.log(v)) for v in people.values()], dtype=DTYPE))
    everywhere = np.tile(np.arange(len(task.states)), len(people))
    row = np.arange(len(people))
    return bound.policy_on(bound.subjects, row, bound.expand(np.repeat(row, len(task.states)), everywhere))


@one_thread()
def plan_in(
    env_id: str,
    *,
    temperature: float,
    seed: int,
    discount: float = 0.99,
    planner: Literal["kl", "entropy"] = "kl",
    solver: SampledSolver | str = "soft_q_learning",
    num_epochs: int = 5,
    checkpoint: str | Path | None = None,
    progress: bool = False,
    trainer: Any = None,  # noqa: ANN401 - a Lightning Trainer, which is not imported for its type
    **options: Any,  # noqa: ANN401 - of the environment
) -> EnvironmentPolicy:
    """Learn a policy by acting in a Gymnasium environment, whose reward is the reward.

    Training is divided into epochs. Each begins with new episodes, so that a run that was killed goes on from its
    last checkpoint to the very result it would have had.

    Args:
        env_id: id of the environment; its actions must be finitely many.
        temperature: in units of the environment's reward.
        seed: same seed, same policy.
        discount: weight of the next step's value.
        planner: "kl" or "entropy"; without a horizon and ends they differ by a constant only.
        solver: "soft_q_learning", "policy_gradient", or options of either.
        num_epochs: parts of the training; episodes longer than an epoch are never seen to their end.
        checkpoint: a folder for checkpoints; training goes on from one that is found there.
        progress: show return, entropy and temperature while it learns.
        trainer: your own Lightning ``Trainer`` (devices, precision, loggers), instead of a quiet one on the CPU.
        **options: passed to the environment.

    Returns:
        The policy; :func:`humansoft.simulate` lets it act in the environment.

    Raises:
        TaskError: no such environment, or actions or observations that cannot be handled.
        ModelError: a temperature, discount or number that is not possible; all of them at once.
        WorldError: the environment gave a reward or an observation that is not a finite number.
        RunError: the checkpoint belongs to another training.

    Example:
        >>> few = SAMPLED_SOLVERS["soft_q_learning"].for_environment(num_steps=100, warm_up=10)
        >>> policy = plan_in("FrozenLake-v1", temperature=0.1, seed=1, solver=few, num_epochs=1)
        >>> policy.action_distribution(0).shape
        (4,)
    """
    from humansoft.solvers.learner import PolicyLearner, run_training  # Lightning takes five seconds to import

    with Problems("plan_in", ModelError) as problems:
        if not (temperature > 0 and np.isfinite(temperature)):
            problems.add(f"temperature={temperature}; it must be a finite number above 0")
        if not 0 <= discount <= 1:
            problems.add(f"discount={discount}; it lies between 0 and 1")
        if planner not in ("kl", "entropy"):
            problems.add(f"there is no planner {planner!r} here.{did_you_mean(planner, ['kl', 'entropy'])}")
        if num_epochs < 1:
            problems.add(f"num_epochs={num_epochs}; it must be at least 1")
        if isinstance(solver, str) and solver not in SAMPLED_SOLVERS:
            problems.add(f"there is no solver {solver!r} here.{did_you_mean(solver, SAMPLED_SOLVERS)}")
    chosen = SAMPLED_SOLVERS[solver].for_environment() if isinstance(solver, str) else solver
    chosen = dataclasses.replace(chosen, seed=seed)
    world = GymnasiumWorld(env_id, chosen.num_walkers, discount, temperature, planner, options)
    learner = chosen.learner_in(world)
    given = {"environment": env_id, "options": options, "temperature": temperature, "discount": discount}
    identity = {**given, "planner": planner, "num_epochs": num_epochs, **dataclasses.asdict(chosen)}
    module = PolicyLearner(learner, num_epochs, max(chosen.num_steps // num_epochs, 1), seed, identity)
    run_training(module, None if checkpoint is None else Path(checkpoint), progress, trainer)
    return EnvironmentPolicy(env_id, options, learner.scores.cpu(), learner.score_unit(temperature))
