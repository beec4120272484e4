"""Best-first search over whole paths: the most probable ones, in their order."""

import heapq
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

from humansoft.errors import SolveError
from humansoft.solvers.chain import ended
from humansoft.solvers.policy import Policy
from humansoft.tasks.lookup import action_labels

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Step:
    """The last step of a path that is being searched; the steps before it hang on it."""

    place: int
    time: int
    log_prob: float
    before: "_Step | None" = None
    action: int = -1


class PathSearch:
    """Best-first search over paths, by probability so far times that of the best way on."""

    def __init__(self, policy: Policy, limit: int | None) -> None:
        """Find out what is best about the rest of every path, up to a limit of decisions, where there is one."""
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
        task, state = self.policy.task, self.policy.expansion.task_state
        steps = [step]
        while steps[-1].before is not None:
            steps.append(steps[-1].before)
        steps.reverse()
        code = state[[one.place for one in steps]]
        if task.goals is not None:
            return tuple(task.goals.links.decode(task.goals.split(code)[1]))
        done = action_labels(task, code[:-1], np.array([one.action for one in steps[1:]], dtype=np.int64))
        labels = [*zip(task.states.decode(code), done, strict=False)]
        return (*(label for pair in labels for label in pair), *task.states.decode(code[-1:]))
