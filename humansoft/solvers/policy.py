"""Policy: an action distribution you can ask and sample."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from humansoft.codebook import Labels
from humansoft.errors import ModelError, RunError, UsageError
from humansoft.packing import pack, unpack
from humansoft.solvers.choosing import ChoiceRule
from humansoft.solvers.expansion import Expansion
from humansoft.solvers.goal_expansion import GoalExpansion
from humansoft.solvers.policy_files import read_policy, write_policy
from humansoft.solvers.solution import SoftSolution
from humansoft.solvers.stored_expansion import (
    choice_of,
    choice_record,
    expansion_of,
    expansion_tensors,
    solution_of,
    solution_record,
    solution_tensors,
)
from humansoft.solvers.stored_goals import goal_record, goal_tensors, goals_of
from humansoft.tasks.lookup import action_labels
from humansoft.tasks.storage import task_of, task_record, task_tensors
from humansoft.tasks.task import Task

Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Policy:
    """What each person does in each state, as log probabilities.

    Attributes:
        task: the task acted in.
        subjects: labels of the people.
        row: [B] row of each person (people alike share one).
        expansion: which states are laid out where.
        solution: what was found there.
        choice: what people do at the moment of choice that is no part of their plan; ``None``: nothing.
    """

    task: Task
    subjects: Labels
    row: Index
    expansion: Expansion
    solution: SoftSolution
    choice: ChoiceRule | None = None

    def __repr__(self) -> str:
        """Show whose policy it is, and how it was found, not the tables."""
        people = "1 subject" if len(self.subjects) == 1 else f"{len(self.subjects):,} subjects"
        return f"Policy({people}, {self.solution.status.name.lower()}, {self.task!r})"

    @property
    def value(self) -> Float[Tensor, "*T M"]:
        """Soft value, as planned: nobody foresees her own slips and habits."""
        return self.solution.value

    @property
    def log_policy(self) -> Float[Tensor, "*T M A"]:
        """Log pi(a|s) everywhere, where nothing was done before."""
        planned = self.solution.log_policy
        return planned if self.choice is None else self.choice.log_prob(planned)

    def require_memoryless(self, purpose: str) -> None:
        """Refuse people who are sticky where what they do has to depend on the state alone.

        Raises:
            ModelError: saying what it is needed for.
        """
        if self.choice is not None and self.choice.is_sticky:
            raise ModelError(
                f"{purpose} needs people whose choices depend on the state alone; these are sticky: what they do "
                "depends on what they did before. Simulate them and count, or leave Stickiness() out"
            )

    def log_prob(
        self, subject: Index, state: Index, time: Index | None = None, previous: Index | None = None
    ) -> npt.NDArray[np.float64]:
        """Return log pi(.|s) [N, A] of people (codes) in states (codes).

        Args:
            subject: codes of people.
            state: codes of states.
            time: decisions made before, where there is a horizon; 0 by default.
            previous: codes of the actions made before, -1 for none; none by default.
        """
        place = self.expansion.place(self.task, self.row[subject], state)
        if self.task.horizon is not None and time is not None:
            place = time * len(self.expansion.state) + place
        planned = self.solution.log_policy_at(place).detach()
        found: npt.NDArray[np.float64] = (
            planned if self.choice is None else self.choice.log_prob(planned, previous)
        ).numpy()
        return found

    def action_distribution(
        self, state: Hashable, subject: Hashable = None, time: int = 0, previous: Hashable = None
    ) -> "pd.Series[float]":
        r"""Return the probability of every action in one state.

        Args:
            state: state label.
            subject: person, needed when there are several.
            time: decisions made before in the episode (matters with a horizon only).
            previous: the action made before (matters to sticky people only); none by default.

        Raises:
            ModelError: unknown state, person or action.

        Example:
            >>> import humansoft as hs
            >>> task = hs.Task.grid("S.G\n...", discount=0.95)
            >>> policy = hs.plan(task, {"step": -1.0, "goal": 0.0}, temperature=0.5)
            >>> policy.action_distribution((0, 1)).idxmax()
            'right'
        """
        if subject is None and len(self.subjects) == 1:
            subject = self.subjects.values[0]
        for labels, label in ((self.task.states, state), (self.subjects, subject)):
            if label not in labels:
                raise ModelError(f"unknown {labels.kind} {label!r}.{labels.suggest(label)}")
        if previous is not None and previous not in self.task.actions:
            raise ModelError(f"unknown action {previous!r}.{self.task.actions.suggest(previous)}")
        code, before = self.task.states.encode([state]), self.task.actions.encode([previous])
        logs = self.log_prob(self.subjects.encode([subject]), code, np.array([time]), before)[0]
        # Links of a network have fewer turns than the slots that are provided for.
        shown = np.arange(len(logs)) if self.task.goals is None else np.flatnonzero(np.isfinite(logs))
        index = action_labels(self.task, np.repeat(code, len(shown)), shown)
        return pd.Series(np.exp(logs[shown]), index=index, name="probability")

    def sample(
        self,
        subject: Index,
        state: Index,
        time: Index,
        generator: np.random.Generator,
        previous: Index | None = None,
    ) -> Index:
        """Draw one action code for each person (code) in each state (code); see :meth:`log_prob`."""
        return drawn(np.exp(self.log_prob(subject, state, time, previous)), generator)

    def save(self, folder: str | Path) -> Path:
        r"""Save as a new folder of JSON and safetensors; :meth:`load` gives the same policy back.

        Raises:
            RunError: the folder exists and is not empty.

        Example:
            >>> import tempfile
            >>> import humansoft as hs
            >>> policy = hs.plan(hs.Task.grid("S.G\n...", discount=0.95), {"step": -1.0}, temperature=0.5)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     again = Policy.load(policy.save(f"{folder}/policy"))
            >>> bool((again.log_policy == policy.log_policy).all())
            True
        """
        record = {
            "task": task_record(self.task),
            "subjects": pack(self.subjects.values),
            "row": self.row,
            "choice": choice_record(self.choice),
        }
        if isinstance(self.expansion, GoalExpansion):
            record["solution"] = goal_record(self.expansion, self.solution)
            tensors = goal_tensors(self.expansion, self.solution)
        else:
            record["solution"] = solution_record(self.solution)
            tensors = expansion_tensors(self.expansion) | solution_tensors(self.solution)
        return write_policy(Path(folder), record, task_tensors(self.task) | tensors)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load what :meth:`save` wrote.

        Raises:
            RunError: a file is missing, damaged or edited, or of another format; a policy learned in an environment.
        """
        record, tensors = read_policy(Path(folder))
        if "task" not in record:
            raise RunError(f"{folder} holds a policy learned in an environment; load it with EnvironmentPolicy.load")
        task = task_of(record["task"], tensors)
        expansion, solution = _solved(record["solution"], tensors, task)
        return cls(
            task=task,
            subjects=Labels("subject", unpack(record["subjects"])),
            row=np.array(record["row"], dtype=np.int64),
            expansion=expansion,
            solution=solution,
            choice=choice_of(record["choice"]),
        )


def _solved(record: Mapping[str, Any], tensors: Mapping[str, Tensor], task: Task) -> tuple[Expansion, SoftSolution]:
    """Read what was solved."""
    if task.goals is not None:
        return goals_of(record, tensors, task)
    return expansion_of(tensors, task.discount, task.horizon), solution_of(record, tensors)


class HasPolicy(Protocol):
    """Somebody whose policy is known, for example the people of a fit."""

    @property
    def policy(self) -> Policy:
        """What they do in every state."""


def policy_of(people: Policy | HasPolicy, purpose: str) -> Policy:
    """Return the policy of people.

    Raises:
        UsageError: it is none of a task, such as one that was learned in an environment.
    """
    found = people if isinstance(people, Policy) else getattr(people, "policy", None)
    if not isinstance(found, Policy):
        raise UsageError(
            f"{purpose} takes a fit, or a policy in a task (of plan()), not {type(people).__name__}: only a task says "
            "where actions lead. Of a policy learned in an environment, simulate() and count"
        )
    return found


def drawn(probabilities: npt.NDArray[np.float64], generator: np.random.Generator) -> Index:
    """Draw one column for each row [N] of probabilities [N, K], whose sums may be off 1 by rounding."""
    cumulative = probabilities.cumsum(axis=1)
    draws = generator.random(len(cumulative)) * cumulative[:, -1]
    chosen: Index = (draws[:, None] >= cumulative).sum(axis=1)
    return chosen
