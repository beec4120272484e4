"""simulate: new behavior from a fit or a policy, as a log like any other."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft._types import NONE
from humansoft.codebook import Codebook, Labels
from humansoft.data.log import BehaviorLog, Columns
from humansoft.data.parts import PERSON, by_conditions
from humansoft.data.readers import build_log
from humansoft.errors import ModelError, Problems, UsageError, shortlist
from humansoft.evaluate.environment_episodes import environment_log, walk_in_task
from humansoft.fit.result import Fit
from humansoft.solvers.environment_policy import EnvironmentPolicy
from humansoft.solvers.option_checks import is_whole
from humansoft.solvers.policy import Policy, drawn
from humansoft.solvers.temperature_policy import TemperaturePolicy
from humansoft.tasks.lookup import action_labels, is_terminal, possible_starts, probabilities_of, successors_of
from humansoft.tasks.task import Task
from humansoft.threads import one_thread

Index = npt.NDArray[np.int64]


@one_thread()
def simulate(
    source: Fit | Policy | EnvironmentPolicy,
    episodes: int = 50,
    *,
    seed: int,
    max_steps: int | None = None,
    env_id: str | None = None,
    **options: Any,  # noqa: ANN401 - of the environment
) -> BehaviorLog:
    r"""Simulate episodes of every person.

    People of a fit start where they started in the training data (drawn again with replacement);
    people of a policy start from the task's start distribution, or anywhere if it has none: in a network on any link,
    bound for any goal that the policy knows. So do people of a fit to a counted log, which has no starts, but only
    where the task has a start distribution.
    In a Gymnasium environment it is the environment that says where episodes start and when they end.

    Args:
        source: a fitted model, or a policy from :func:`humansoft.plan` or :func:`humansoft.plan_in`.
        episodes: number of episodes a person.
        seed: same seed, same behavior; at least 0.
        max_steps: decisions after which an episode is cut off (truncated); by default the length of
            the training episode that was drawn, or 1,000 (the horizon where there is one); 10,000 in an
            environment that does not end episodes itself.
        env_id: a Gymnasium environment to act in instead of the task's own transitions; a policy that was learned
            in an environment acts there, unless another is named.
        **options: passed to that environment.

    Returns:
        A log with the columns subject, episode, step, the state's columns, action, next state,
        terminated and truncated (and the reward, where the policy was learned in an environment).

    Raises:
        UsageError: fewer than one episode or step, a seed below 0, or numbers that are not whole; a policy of no
            temperature (:class:`humansoft.TemperaturePolicy`: simulate ``policy.at(temperature)``); a fit to a counted
            log in a task without start distribution; options without an environment.
        ModelError: the environment has other states or actions than the task; a policy that knows no start of somebody.
        WorldError: the environment failed with an error of its own (its cause), or gave what is not in its space.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95)
        >>> policy = hs.plan(task, {"step": -1.0}, temperature={"ann": 0.2, "bob": 2.0})
        >>> len(hs.simulate(policy, episodes=3, seed=1).subjects)
        2
    """
    _refuse_impossible(source, episodes, seed, max_steps)
    if isinstance(source, EnvironmentPolicy):
        same = env_id is None
        given = dict(source.options) | options if same else options
        return environment_log(source, env_id or source.env_id, given, episodes, seed, max_steps)
    if env_id is not None:
        policy = source.policy if isinstance(source, Fit) else source
        table = walk_in_task(policy, env_id, options, episodes, seed, max_steps)
        columns = source.training.columns if isinstance(source, Fit) else _columns_for(policy.task)
        return _as_log(table, policy, columns, _conditions_of(source))
    if options:
        raise UsageError(f"simulate has no options {sorted(options)}; those of an environment need env_id=")
    generator = np.random.default_rng(seed)
    if isinstance(source, Fit) and source.training.starts.empty:
        if source.model.task.initial is None:
            raise UsageError(
                f"the run was fitted to {source.training.source}, counted while reading, which keeps no episodes: "
                "nobody knows where they start. Give the task a start distribution, or fit a log that is not counted"
            )
        policy = source.policy
        subject, state, limit = _task_starts(policy, episodes, generator)
        columns = source.training.columns
    elif isinstance(source, Fit):
        policy = _policy_of(source)
        subject, state, limit = _training_starts(source, episodes, generator)
        columns = source.training.columns
    else:
        policy = source
        subject, state, limit = _task_starts(policy, episodes, generator)
        columns = _columns_for(policy.task)
    if max_steps is not None:
        limit = np.full_like(limit, max_steps)
    if policy.task.horizon is not None:
        limit = np.minimum(limit, policy.task.horizon)
    return _as_log(_rolled(policy, subject, state, limit, generator), policy, columns, _conditions_of(source))


def _conditions_of(source: Policy | Fit) -> pd.DataFrame | None:
    """Return who is who among subjects that are conditions of people; ``None`` where they are people."""
    return source.training.participants if isinstance(source, Fit) and source.training.columns.conditions else None


def _refuse_impossible(source: Any, episodes: Any, seed: Any, max_steps: Any) -> None:  # noqa: ANN401
    """Refuse what cannot be simulated, all of it at once."""
    with Problems("simulate", UsageError) as problems:
        for name, value, least in (("episodes", episodes, 1), ("max_steps", max_steps, 1), ("seed", seed, 0)):
            if not (is_whole(value, least) or (value is None and name == "max_steps")):
                problems.add(f"{name}={value!r}; it must be a whole number of at least {least}")
        if isinstance(source, TemperaturePolicy):
            problems.add(
                f"the policy is one for each temperature from {source.low} to {source.high}; choose one: "
                f"simulate(policy.at({source.low}), ...)"
            )
        elif not isinstance(source, Fit | Policy | EnvironmentPolicy):
            problems.add(f"a {type(source).__name__} has no behavior; give a fit, or a policy of plan or plan_in")


def _policy_of(fit: Fit) -> Policy:
    """Return the policy of the fitted people in the contexts they were seen in."""
    starts = fit.training.starts
    person, state = starts["subject"].to_numpy(), starts["state"].to_numpy()
    model = fit.model
    row = np.arange(len(model.subjects)) if model.rows_are_people else model.group_of_subject
    return model.policy_on(model.subjects, row, model.expand(row[person], state))


def _training_starts(fit: Fit, episodes: int, generator: np.random.Generator) -> tuple[Index, Index, Index]:
    starts = fit.training.starts
    drawn = []
    for person in range(len(fit.subjects)):
        own = np.flatnonzero(starts["subject"].to_numpy() == person)
        drawn.append(generator.choice(own, size=episodes))
    place = np.concatenate(drawn)
    return (
        np.repeat(np.arange(len(fit.subjects)), episodes),
        starts["state"].to_numpy()[place],
        starts["length"].to_numpy()[place],
    )


def _task_starts(policy: Policy, episodes: int, generator: np.random.Generator) -> tuple[Index, Index, Index]:
    """Draw starts among those of which the policy says what people do there."""
    task, people = policy.task, np.arange(len(policy.subjects))
    weights = possible_starts(task).astype(np.float64) if task.initial is None else task.initial.numpy()
    starts = np.empty((len(people), episodes), dtype=np.int64)
    # Nearly always everybody knows the same contexts: one draw for all.
    _, first, kind = np.unique(policy.expansion.block[policy.row] >= 0, axis=0, return_index=True, return_inverse=True)
    for number, example in enumerate(first):
        alike = np.flatnonzero(kind.ravel() == number)
        known = weights * policy.expansion.holds(task, int(policy.row[example]))
        if not known.any():
            who = shortlist(policy.subjects.decode(alike))
            raise ModelError(f"the policy does not say what {who} do in any state that episodes start in")
        starts[alike] = generator.choice(len(known), size=(len(alike), episodes), p=known / known.sum())
    return np.repeat(people, episodes), starts.ravel(), np.full(starts.size, 1000)


def _rolled(policy: Policy, subject: Index, state: Index, limit: Index, generator: np.random.Generator) -> pd.DataFrame:
    """Step all episodes at once, or one of each person after the other where habits last longer than an episode."""
    made = np.full(len(subject), NONE)
    if policy.choice is None or policy.choice.sticks_within != "subject":
        return _roll(policy, subject, state, limit, made, generator)
    number = pd.Series(subject).groupby(subject).cumcount().to_numpy()
    last, tables = np.full(len(policy.subjects), NONE), []
    for place in range(int(number.max(initial=-1)) + 1):
        own = np.flatnonzero(number == place)
        made = last[subject[own]]
        table = _roll(policy, subject[own], state[own], limit[own], made, generator)
        tables.append(table.assign(episode=own[table["episode"]]))
        last[subject[own]] = made
    return pd.concat(tables, ignore_index=True)


def _roll(
    policy: Policy, subject: Index, state: Index, limit: Index, made: Index, generator: np.random.Generator
) -> pd.DataFrame:
    """Step all episodes at once until each has ended or reached its limit; ``made`` before is replaced by the last."""
    task = policy.task
    alive = np.flatnonzero(~is_terminal(task, state))
    current = state.copy()
    rows = []
    step = 0
    while len(alive):
        time = np.full(len(alive), step)
        before = current[alive]
        action = policy.sample(subject[alive], before, time, generator, made[alive])
        way = drawn(probabilities_of(task, before, action), generator)
        after = successors_of(task, before, action)[np.arange(len(alive)), way]
        ended = is_terminal(task, after)
        cut = ~ended & (step + 1 >= limit[alive])
        rows.append(np.column_stack([subject[alive], alive, time, before, action, after, ended, cut]))
        current[alive], made[alive] = after, action
        alive = alive[~ended & ~cut]
        step += 1
    names = ["subject", "episode", "step", "state", "action", "next_state", "terminated", "truncated"]
    return pd.DataFrame(np.concatenate(rows) if rows else np.zeros((0, 8), dtype=np.int64), columns=names)


def _columns_for(task: Task) -> Columns:
    label = task.states.values[0]
    inner = label[1] if task.has_contexts else label  # type: ignore[index]
    names = tuple(f"state_{i}" for i in range(len(inner))) if isinstance(inner, tuple) else ("state",)
    return Columns(state=names, context="context" if task.has_contexts else None)


def _as_log(
    table: pd.DataFrame, policy: Policy, columns: Columns, participants: pd.DataFrame | None = None
) -> BehaviorLog:
    """Write the codes as labels in the user's columns and read them back as a log.

    Args:
        table: codes.
        policy: whose subjects and task they are of.
        columns: the user's.
        participants: who is who, where subjects are conditions of people.
    """
    task = policy.task
    following = tuple(f"next_{name}" for name in columns.state)
    frame = pd.DataFrame({columns.subject or "subject": _decoded(policy.subjects, table["subject"])[0]})
    frame[columns.episode or "episode"] = table["episode"] + 1
    frame[columns.step or "step"] = table["step"]
    for names, codes in ((columns.state, table["state"]), (following, table["next_state"])):
        parts = _decoded(task.states, codes, task.has_contexts, len(names))
        if task.has_contexts:
            frame[columns.context or "context"] = parts.pop(0)
        for name, part in zip(names, parts, strict=True):
            frame[name] = part
    taken = action_labels(task, table["state"].to_numpy(), table["action"].to_numpy())
    frame[columns.action] = pd.Series(taken, dtype=None if taken else object)
    frame["terminated"], frame["truncated"] = table["terminated"] == 1, table["truncated"] == 1
    roles = Columns(
        subject=columns.subject or "subject",
        episode=columns.episode or "episode",
        step=columns.step or "step",
        state=columns.state,
        action=columns.action,
        next_state=following,
        context=(columns.context or "context") if task.has_contexts else None,
        terminated="terminated",
        truncated="truncated",
    )
    people = policy.subjects
    if participants is not None:
        subject = frame[roles.subject].tolist()
        for name in columns.conditions:
            frame[name] = participants.loc[subject, name].tolist()
        frame[roles.subject] = participants.loc[subject, PERSON].tolist()
        people = Labels.of("subject", frame[roles.subject].tolist())
    known = Codebook(people, task.states, task.actions) if task.goals is None else None
    return by_conditions(build_log(frame, roles, "simulation", codebook=known), columns.conditions)


def _decoded(
    labels: Labels, codes: "pd.Series[Any]", in_contexts: bool = False, width: int = 1
) -> "list[pd.Series[Any]]":
    """Return the columns of the labels of some codes, the context's first; each label is looked at once."""
    present, place = np.unique(codes.to_numpy(), return_inverse=True)
    rows: list[Any] = [(label,) for label in labels.decode(present)]
    if in_contexts:
        rows = [(context, label) for ((context, label),) in rows]
    if width > 1:
        rows = [(*outer, *label) for *outer, label in rows]
    columns = zip(*rows, strict=True) if rows else [()] * (width + in_contexts)
    return [
        pd.Series(list(column), dtype=None if rows else object).take(place).reset_index(drop=True) for column in columns
    ]
