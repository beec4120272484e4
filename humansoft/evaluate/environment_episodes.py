"""Episodes of a policy in a Gymnasium environment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from humansoft._types import NONE
from humansoft.data.log import BehaviorLog, Columns
from humansoft.data.readers import build_log
from humansoft.errors import ModelError
from humansoft.solvers.box import Box
from humansoft.solvers.environment_policy import EnvironmentPolicy
from humansoft.solvers.gymnasium_world import GymnasiumWorld
from humansoft.solvers.policy import Policy

Index = npt.NDArray[np.int64]
Act = Callable[[Any, Index, Index], npt.NDArray[Any]]
"""From what some walkers see, who they are, and how often each has decided before, to actions [N] or [N, D]."""

_MOST_STEPS = 10_000


@dataclass(frozen=True)
class Walked:
    """What W walkers saw and did in one episode each, one row a decision.

    Attributes:
        table: walker, step, reward, terminated and truncated.
        action: [N] codes, or [N, D], of what was done.
        before: [N] or [N, O] observation in which each decision was made.
        after: the observation that followed.
    """

    table: pd.DataFrame
    action: npt.NDArray[Any]
    before: npt.NDArray[Any]
    after: npt.NDArray[Any]


def walk(world: GymnasiumWorld, act: Act, seed: int, max_steps: int | None) -> Walked:
    """Let each walker go through one episode, cut off after ``max_steps`` decisions."""
    observed = world.reset(seed)
    going = np.ones(world.num_walkers, dtype=bool)
    rows, done, before, after = [], [], [], []
    nothing = np.zeros(world.num_walkers, dtype=np.int64)
    if world.box is not None:
        nothing = np.tile(np.mean([world.box.low, world.box.high], axis=0), (world.num_walkers, 1))
    for time in range(max_steps or _MOST_STEPS):
        walker = np.flatnonzero(going)
        action = nothing.copy()
        action[walker] = act(observed.numpy()[walker], walker, np.full(len(walker), time))
        step, observed = world.step(torch.from_numpy(action))
        last = time + 1 == (max_steps or _MOST_STEPS)
        ended, cut = step.terminated.numpy(), step.truncated.numpy()
        cut = cut | (last & ~ended)
        columns = (np.full(world.num_walkers, time), step.reward.numpy(), ended, cut)
        done.append(action[going])
        rows.append(np.column_stack([walker, *(column[going] for column in columns)]))
        before.append(step.state.numpy()[going])
        after.append(step.next_state.numpy()[going])
        going &= ~(ended | cut)
        if not going.any():
            break
    names = ["walker", "step", "reward", "terminated", "truncated"]
    table = pd.DataFrame(np.concatenate(rows), columns=names)
    whole = table.astype(dict.fromkeys(("walker", "step"), np.int64))
    flags = whole.astype(dict.fromkeys(("terminated", "truncated"), bool))
    return Walked(flags, *(np.concatenate(parts) for parts in (done, before, after)))


def walk_in_task(
    policy: Policy, env_id: str, options: dict[str, Any], episodes: int, seed: int, max_steps: int | None
) -> pd.DataFrame:
    """Let the people of a task's policy act in the environment that the task describes; return codes of the task.

    Raises:
        ModelError: the environment's states or actions are not those of the task; people whose habits last from one
            episode to the next.
    """
    _require_separate_episodes(policy)
    task = policy.task
    subject = np.repeat(np.arange(len(policy.subjects)), episodes)
    world = GymnasiumWorld(env_id, len(subject), options=options)
    states = range(world.first_state, world.first_state + (world.num_states or 0))
    state_of = task.states.encode(states)
    ends = task.states.encode(f"end of {state}" for state in states)
    action_of = task.actions.encode(range(world.first_action, world.first_action + world.num_actions))
    if not len(state_of) or (state_of < 0).any() or (action_of < 0).any() or len(action_of) != len(task.actions):
        raise ModelError(
            f"{env_id} has other states or actions than the policy's task {task!r}; a task that was made by "
            f"Task.from_gymnasium({env_id!r}) has the same"
        )
    generator = np.random.default_rng(seed)
    label_of, made = np.argsort(action_of), np.full(len(subject), NONE)

    def act(observed: Index, walker: Index, time: Index) -> Index:
        made[walker] = policy.sample(subject[walker], state_of[observed], time, generator, made[walker])
        chosen: Index = label_of[made[walker]]
        return chosen

    walked = walk(world, act, seed, max_steps or task.horizon)
    table = walked.table
    after = state_of[walked.after]
    # a state that can be an end and an ordinary state has a twin in the task that is only an end
    after = np.where(table["terminated"] & (ends[walked.after] >= 0), ends[walked.after], after)
    return pd.DataFrame(
        {
            "subject": subject[table["walker"]],
            "episode": table["walker"],
            "step": table["step"],
            "state": state_of[walked.before],
            "action": action_of[walked.action],
            "next_state": after,
            "terminated": table["terminated"],
            "truncated": table["truncated"],
        }
    )


def _require_separate_episodes(policy: Policy) -> None:
    if policy.choice is not None and policy.choice.sticks_within == "subject":
        raise ModelError(
            "in an environment, episodes are played side by side, and Stickiness(within='subject') goes from one to "
            "the next: simulate in the task (without env_id=)"
        )


def environment_log(
    policy: EnvironmentPolicy, env_id: str, options: dict[str, Any], episodes: int, seed: int, max_steps: int | None
) -> BehaviorLog:
    """Let a policy act in its environment; the columns of the log are the numbers of an observation.

    Codes are the environment's own, of which the first need not be 0. A continuous action is a number, or a tuple of
    them, which then stand in columns of their own as well.

    Raises:
        ModelError: the environment has other actions than the policy.
    """
    world = GymnasiumWorld(env_id, episodes, options=options)
    _require_same_actions(policy, world)
    generator = np.random.default_rng(seed)

    def act(observed: npt.NDArray[Any], *_: Index) -> npt.NDArray[Any]:
        return policy.sample(observed + world.first_state, generator) - world.first_action

    walked = walk(world, act, seed, max_steps)
    table, action = walked.table, walked.action + world.first_action
    frame = pd.DataFrame({"subject": "policy", "episode": table["walker"] + 1, "step": table["step"]})
    several = action.ndim == 2 and action.shape[1] > 1
    width = 1 if walked.before.ndim == 1 else walked.before.shape[1]
    names = ("state",) if width == 1 else tuple(f"state_{i}" for i in range(width))
    for prefix, values in (("", walked.before), ("next_", walked.after)):
        for name, column in zip(names, values.reshape(len(values), width).T, strict=True):
            frame[prefix + name] = column + world.first_state
    frame["action"] = list(map(tuple, action.tolist())) if several else action.ravel()
    if several:
        frame = frame.assign(**{f"action_{i}": column for i, column in enumerate(action.T)})
    frame = frame.assign(**{name: table[name] for name in ("reward", "terminated", "truncated")})
    following = tuple(f"next_{name}" for name in names)
    columns = Columns(state=names, next_state=following, terminated="terminated", truncated="truncated")
    return build_log(frame, columns, env_id)


def _require_same_actions(policy: EnvironmentPolicy, world: GymnasiumWorld) -> None:
    there: Box | range = world.box or range(world.first_action, world.first_action + world.num_actions)
    learned: Box | range = policy.scores.box or policy.actions
    if learned != there:
        raise ModelError(
            f"{world.env_id} has other actions ({_named(there)}) than {policy.env_id}, where the policy was learned "
            f"({_named(learned)})"
        )


def _named(actions: Box | range) -> str:
    return f"{actions.start} to {actions.stop - 1}" if isinstance(actions, range) else str(actions)
