"""Whole paths: how probable one is, and which are the most probable.

A path is a tuple of labels (state, action, state, action, ..., state): p(path) is the product of
pi(a|s) and, if they count, P(s'|s, a).
"""

import heapq
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from jaxtyping import Float

from humansoft._types import NONE
from humansoft.errors import ModelError, Problems, SolveError, UsageError
from humansoft.solvers.chain import ended, person_of
from humansoft.solvers.policy import HasPolicy, Policy, policy_of
from humansoft.tasks.lookup import require_tables

Array = npt.NDArray[np.float64]


def path_log_prob(
    policy: Policy | HasPolicy, path: Sequence[Hashable], subject: Hashable = None, *, transitions: bool = True
) -> float:
    r"""Return the log probability that an episode begins with a path, given where it starts.

    Args:
        policy: what people do: a policy of a task, or a fit.
        path: labels (state, action, state, ..., state); the last state may be left out.
        subject: person, needed when there are several.
        transitions: true counts what people do and where it leads them; false only what they do.

    Returns:
        The log probability, minus infinity for what cannot happen.

    Raises:
        ModelError: unknown labels or person, or more decisions than the horizon allows; all at once.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95)
        >>> policy = hs.plan(task, {"step": -1.0}, temperature=1.0)
        >>> straight = ((0, 0), "right", (0, 1), "right", (0, 2))
        >>> round(hs.path_log_prob(policy, straight), 3)
        -0.479
    """
    policy = policy_of(policy, "path_log_prob()")
    require_tables(policy.task, "path_log_prob()")
    task, person = policy.task, person_of(policy, subject)
    states, actions = list(path[::2]), list(path[1::2])
    with Problems("the path", ModelError) as problems:
        for labels, given, first in ((task.states, states, 0), (task.actions, actions, 1)):
            for place, label in enumerate(given):
                if label not in labels:
                    problems.add(
                        f"unknown {labels.kind} {label!r} at place {2 * place + first}.{labels.suggest(label)}"
                    )
        if task.horizon is not None and len(actions) > task.horizon:
            problems.add(f"it has {len(actions)} decisions, but the task's horizon is {task.horizon}")
    if not actions:
        return 0.0
    state, action = task.states.encode(states), task.actions.encode(actions)
    before = np.r_[NONE, action[:-1]]
    logs = policy.log_prob(np.full(len(action), person), state[: len(action)], np.arange(len(action)), before)
    total = float(logs[np.arange(len(action)), action].sum())
    if transitions:
        steps = min(len(action), len(state) - 1)
        share = transition_probability(policy, state[:steps], action[:steps], state[1 : steps + 1])
        with np.errstate(divide="ignore"):
            total += float(np.log(share).sum())
    return total


def transition_probability(
    policy: Policy, state: npt.NDArray[np.int64], action: npt.NDArray[np.int64], following: npt.NDArray[np.int64]
) -> Float[Array, " N"]:
    """Return P(s'|s, a) of codes [N]."""
    transitions = policy.task.transitions
    successors = transitions.successors.numpy()[state, action]
    share: Array = np.where(
        successors == following[:, None], transitions.probabilities.numpy()[state, action], 0.0
    ).sum(axis=1)
    return share


def likely_paths(
    policy: Policy | HasPolicy,
    start: Hashable,
    subject: Hashable = None,
    *,
    most: int = 10,
    max_steps: int | None = None,
) -> pd.DataFrame:
    r"""Return the most probable paths from a state to an end, most probable first.

    The search is exact: what is best about the rest of a path (the most probable way to an end from
    each state) is known beforehand, so that paths come out in their order.

    Args:
        policy: what people do: a policy of a task, or a fit.
        start: label of the state to start in.
        subject: person, needed when there are several.
        most: how many paths.
        max_steps: cut paths off after so many decisions (they then count as they are, ``ended`` false);
            by default the horizon, or where there is none, only paths that end.

    Returns:
        One row a path: ``probability``, ``cumulative`` (of this and all rows above), ``num_decisions``,
        ``ended`` and ``path``, the labels (state, action, ..., state) as :func:`path_log_prob` takes them.

    Raises:
        ModelError: unknown state or person.
        UsageError: ``most`` or ``max_steps`` below 1.
        SolveError: no end can be reached from there, and neither a horizon nor ``max_steps`` cuts paths off.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95)
        >>> paths = hs.likely_paths(hs.plan(task, {"step": -1.0}, temperature=0.2), (0, 0), most=2)
        >>> paths["path"].iloc[0]
        ((0, 0), 'right', (0, 1), 'right', (0, 2))
    """
    policy = policy_of(policy, "likely_paths()")
    require_tables(policy.task, "likely_paths()")
    policy.require_memoryless("likely_paths()")
    if most < 1 or (max_steps is not None and max_steps < 1):
        raise UsageError(f"likely_paths(most={most}, max_steps={max_steps}): both must be at least 1")
    task, person = policy.task, person_of(policy, subject)
    if start not in task.states:
        raise ModelError(f"unknown state {start!r}.{task.states.suggest(start)}")
    limits = [limit for limit in (task.horizon, max_steps) if limit is not None]
    search = _Search(policy, min(limits) if limits else None)
    place = int(policy.expansion.place(task, policy.row[[person]], task.states.encode([start]))[0])
    rows: list[tuple[float, float, int, bool, tuple[Hashable, ...]]] = []
    for log_prob, steps, over, path in search.paths(place):
        probability = float(np.exp(log_prob))
        rows.append((probability, probability + (rows[-1][1] if rows else 0.0), steps, over, path))
        if len(rows) == most:
            break
    return pd.DataFrame(rows, columns=["probability", "cumulative", "num_decisions", "ended", "path"])


@dataclass(frozen=True, eq=False)
class _Step:
    """The last step of a path that is being searched; the steps before it hang on it."""

    place: int
    time: int
    log_prob: float
    before: "_Step | None" = None
    action: int = -1


class _Search:
    """Best-first search over paths, by probability so far times that of the best way on."""

    def __init__(self, policy: Policy, limit: int | None) -> None:
        self.policy, self.limit, self.over = policy, limit, ended(policy)
        problem = policy.expansion.problem
        self.successors = problem.successors.numpy()
        with np.errstate(divide="ignore"):
            self.log_transition = np.log(problem.probabilities.numpy())
        self.log_policy = policy.log_policy.detach().numpy()
        self.rest = self._best_rest()

    def step_logs(self, time: int) -> Float[Array, "M A K"]:
        """Return log pi(a|s) + log P(s'|s, a) at a time."""
        table = self.log_policy if self.policy.task.horizon is None else self.log_policy[time]
        logs: Array = table[:, :, None] + self.log_transition
        return logs

    def _best_rest(self) -> list[Array]:
        """Return the log probability of the best way on from each state: a table, or one for each time to the limit."""
        best = np.where(self.over, 0.0, -np.inf)
        if self.limit is None:
            logs = self.step_logs(0)
            while True:  # the best way passes no state twice: at most M rounds
                better = np.maximum(best, (logs + best[self.successors]).max(axis=(1, 2)))
                if np.array_equal(better, best):
                    return [best]
                best = better
        tables = [np.zeros(len(best))]  # cut off: wherever that is
        for time in reversed(range(self.limit)):
            logs = self.step_logs(time) + tables[0][self.successors]
            tables.insert(0, np.where(self.over, 0.0, logs.max(axis=(1, 2))))
        return tables

    def best_rest(self, place: int, time: int) -> float:
        """Return the log probability of the best way on from a state at a time."""
        return float(self.rest[0 if self.limit is None else time][place])

    def paths(self, start: int) -> Iterator[tuple[float, int, bool, tuple[Hashable, ...]]]:
        """Yield (log probability, decisions, whether it ended, labels) of whole paths, most probable first."""
        if self.best_rest(start, 0) == -np.inf:
            raise SolveError("no end can be reached from there: say where to cut paths off, max_steps=...")
        count = 0  # decides between equals, first come first served
        queue = [(-self.best_rest(start, 0), count, _Step(start, 0, 0.0))]
        while queue:
            _, _, step = heapq.heappop(queue)
            if self.over[step.place] or step.time == self.limit:
                yield step.log_prob, step.time, bool(self.over[step.place]), self._labels(step)
                continue
            logs = self._logs_at(step)
            for action, k in zip(*np.nonzero(np.isfinite(logs)), strict=True):
                place = int(self.successors[step.place, action, k])
                whole = step.log_prob + float(logs[action, k])
                rest = self.best_rest(place, step.time + 1)
                if rest > -np.inf:
                    count += 1
                    following = _Step(place, step.time + 1, whole, step, int(action))
                    heapq.heappush(queue, (-(whole + rest), count, following))

    def _logs_at(self, step: _Step) -> Float[Array, "A K"]:
        table = self.log_policy if self.policy.task.horizon is None else self.log_policy[step.time]
        logs: Array = table[step.place][:, None] + self.log_transition[step.place]
        return logs

    def _labels(self, step: _Step) -> tuple[Hashable, ...]:
        task, state = self.policy.task, self.policy.expansion.state
        labels: list[Hashable] = []
        here: _Step | None = step
        while here is not None:
            labels.append(task.states.values[int(state[here.place])])
            if here.before is not None:
                labels.append(task.actions.values[here.action])
            here = here.before
        return tuple(reversed(labels))
