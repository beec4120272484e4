"""Task: a Markov decision process without its reward."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.codebook import Labels
from humansoft.errors import TaskError
from humansoft.tasks.estimate import estimated_parts
from humansoft.tasks.goals import Goals
from humansoft.tasks.grid import Coordinates, grid_parts
from humansoft.tasks.gymnasium import gymnasium_parts
from humansoft.tasks.network import network_parts
from humansoft.tasks.parts import TaskParts
from humansoft.tasks.table import table_parts
from humansoft.tasks.tensors import tables_of
from humansoft.tasks.toml import read_toml
from humansoft.tasks.transitions import Transitions, ending_actions
from humansoft.tasks.union import union_parts
from humansoft.tasks.validation import check_parts, checked_features


@dataclass(frozen=True, eq=False)
class Task:
    """What people could do and what it led to: states, actions, transitions, named features.

    Built by its class methods. What people *want* is not part of it: that is what a fit learns.

    Attributes:
        states: labels of the states; ``(context, state)`` pairs when the task has contexts.
        actions: labels of the actions.
        transitions: P(s' | s, a) as successor lists.
        available: [S, A] true where the action may be chosen; no action in a terminal state.
        terminal: [S] true where the episode has ended (no more reward).
        features: [S, A, F] what a reward may be made of, per state and action.
        feature_units: unit of each feature by name, in the order of F.
        discount: weight of the next step's value, in [0, 1].
        horizon: number of decisions in an episode, or ``None`` when it has no fixed end.
        initial: [S] start distribution, or ``None`` when unknown.
        context: [S] code of the context (maze, layout) of each state.
        contexts: labels of the contexts; a task without contexts has the single label ``None``.
        exact: false when the transitions were estimated: then unseen is not impossible.
        goals: the goals that share a network; tables are then by link, and ``tasks/lookup.py`` reads them.
    """

    states: Labels
    actions: Labels
    transitions: Transitions
    available: Bool[Tensor, "S A"]
    terminal: Bool[Tensor, " S"]
    features: Float[Tensor, "S A F"]
    feature_units: dict[str, str]
    discount: float
    horizon: int | None = None
    initial: Float[Tensor, " S"] | None = None
    context: Int[Tensor, " S"] = dataclasses.field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    contexts: Labels = Labels("context", (None,))  # noqa: RUF009 - immutable
    exact: bool = True
    goals: Goals | None = None

    @classmethod
    def grid(
        cls,
        maze: str | Path,
        *,
        discount: float,
        legend: Mapping[str, str] | None = None,
        slip: float = 0.0,
        coordinates: Coordinates = "row_column",
        stay: bool = False,
        horizon: int | None = None,
    ) -> Self:
        r"""Build a task from a text maze.

        ``#`` is a wall, ``.`` or blank a free cell, ``S`` a start, ``G`` a goal (terminal); other
        characters need a name in ``legend``. Actions are up, down, left, right (and stay); a move
        into a wall or off the map leaves the person where they are. Features: ``step`` (1 for every
        decision), ``goal`` (1 on entering a goal), and one for each legend name (1 on entering).

        Args:
            maze: lines of text, or the path of a text file.
            discount: weight of the next step's value.
            legend: character -> feature name.
            slip: probability that a move is drawn at random from all moves.
            coordinates: state labels: "row_column" counts rows from the top, "x_y" has x to the
                right and y up from the bottom line.
            stay: add the action "stay".
            horizon: number of decisions in an episode, if it is fixed.

        Raises:
            TaskError: unknown characters (each with its place), bad slip or discount.

        Example:
            >>> task = Task.grid("S.L\n..G", discount=0.95, legend={"L": "lava"})
            >>> task.feature_names, len(task.states)
            (('step', 'goal', 'lava'), 6)
        """
        return cls.of_parts(grid_parts(maze, legend, slip, coordinates, stay), discount, horizon)

    @classmethod
    def table(
        cls,
        table: pd.DataFrame | str | Path,
        *,
        discount: float,
        horizon: int | None = None,
        **columns: Any,  # noqa: ANN401 - the keywords of table_parts
    ) -> Self:
        """Build a task from a long table: one row a possible (state, action, next state).

        Args:
            table: DataFrame, CSV, TSV or Parquet path.
            discount: weight of the next step's value.
            horizon: number of decisions in an episode, if it is fixed.
            **columns: ``state``, ``next_state`` (one column or several), ``action``, ``probability`` (default: every
                row is certain), ``context`` (labels become (context, state) pairs), ``features`` (names of numeric
                columns), ``units`` (name -> unit), ``terminal`` (labels; default: states without outgoing rows),
                ``initial`` (label -> probability), ``states`` and ``actions`` (label lists, to fix their order).

        Raises:
            TaskError: columns that are missing or not numbers, probabilities that do not sum to 1, and the like.
        """
        return cls.of_parts(table_parts(table, **columns), discount, horizon)

    @classmethod
    def network(cls, edges: pd.DataFrame | str | Path, **columns: Any) -> Self:  # noqa: ANN401 - of network_parts
        """Build a task from a network that trips to many goals share (route choice).

        States are (goal, link) pairs, the action is the link entered next; a trip ends, at value 0, on the link
        that is its goal. Nothing is discounted. A goal that no turn leaves is entered on trips to it only.

        Args:
            edges: one turn a row: DataFrame, CSV, TSV or Parquet path.
            **columns: ``source``, ``target`` (links left and entered; "from" and "to"), ``goals`` (links; default: all
                that no turn leaves), ``features`` (names of numeric columns), ``units`` (name -> unit).

        Raises:
            TaskError: missing or non-numeric columns, turns that stand twice, unknown goals.
        """
        return cls.of_parts(network_parts(edges, **columns), discount=1.0)

    @classmethod
    def from_gymnasium(cls, env: Any, *, discount: float, horizon: int | None = None, **options: Any) -> Self:  # noqa: ANN401
        """Build a task from a tabular Gymnasium environment (FrozenLake-v1, CliffWalking-v1, Taxi-v4).

        ``done`` in ``env.unwrapped.P`` decides what is terminal; rows of terminal states are replaced and duplicate
        successors summed. The one feature is ``reward``, the expected one. States and actions keep their numbers; where
        a state is an end and an ordinary state (or a start), too, its end is a state of its own, "end of 3".

        Args:
            env: an environment or its id.
            discount: weight of the next step's value.
            horizon: number of decisions in an episode, if it is fixed.
            **options: passed to ``gymnasium.make`` when ``env`` is an id (``is_slippery=False``).

        Raises:
            TaskError: unknown id, an environment without a transition table, or a table about other states or actions
                than those of the environment's spaces.
        """
        return cls.of_parts(gymnasium_parts(env, options), discount, horizon)

    @classmethod
    def from_counts(
        cls,
        counts: pd.DataFrame,
        *,
        discount: float,
        prior: float = 1.0,
        actions: Sequence[Hashable] | None = None,
        horizon: int | None = None,
    ) -> Self:
        """Estimate a task from counted transitions (``log.transition_counts()``).

        P(s' | s, a) is the posterior mean under a Dirichlet prior of total mass ``prior``, spread as the successors of
        s over all actions. Such a task is not exact: a transition it has never seen is a counted warning, not an
        error. It has no features yet: add them with :meth:`with_features`, or learn a ``TableReward``.

        Args:
            counts: columns state, action, next_state, count, ended, starts.
            discount: weight of the next step's value.
            prior: pseudo-count of each (state, action).
            actions: all action labels, where some never occur in the counts.
            horizon: number of decisions in an episode, if it is fixed.
        """
        return cls.of_parts(estimated_parts(counts, prior, actions), discount, horizon)

    @classmethod
    def union(cls, tasks: Mapping[Any, "Task"]) -> Self:
        """Join mazes, layouts or goals that share actions and features into one task.

        The states become ``(context, state)`` pairs; the log names the context in a column of its own.

        Args:
            tasks: context label -> task.

        Raises:
            TaskError: the tasks differ in actions, features, discount or horizon.
        """
        times = {name: (task.discount, task.horizon) for name, task in tasks.items()}
        if len(set(times.values())) > 1:
            raise TaskError(f"the contexts differ in (discount, horizon): {times}; give all of them the same")
        parts = union_parts({name: task.parts for name, task in tasks.items()})
        return cls.of_parts(parts, *next(iter(times.values())))

    @classmethod
    def from_toml(cls, path: str | Path, counts: pd.DataFrame | None = None) -> Self:
        """Build a task from a task file, as the command line does; ``tasks/toml.py`` lists its keys.

        Args:
            path: the file; paths inside it are relative to its folder.
            counts: ``log.transition_counts()``, for a task of kind "counts".

        Raises:
            TaskError: no such file, bad TOML, and all unknown, missing or mistyped keys at once.
        """
        description = read_toml(Path(path), counts)
        return cls.of_parts(description.parts, description.discount, description.horizon)

    @classmethod
    def of_parts(cls, parts: TaskParts, discount: float, horizon: int | None = None) -> Self:
        """Check the parts that a builder made and turn them into tensors."""
        check_parts(parts, discount, horizon)
        return cls(**tables_of(parts), discount=float(discount), horizon=horizon)

    @property
    def parts(self) -> TaskParts:
        """The task as flat lists again: what :meth:`of_parts` was given (not of a network)."""
        if self.goals is not None:
            raise TaskError("a network cannot be joined with others: one network has all goals, goals=...")
        state, action, next_state, probability = self.transitions.to_triples()
        return TaskParts(
            states=self.states,
            actions=self.actions,
            state=state,
            action=action,
            next_state=next_state,
            probability=probability,
            features=self.features.numpy(),
            terminal=self.terminal.numpy(),
            feature_units=self.feature_units,
            initial=None if self.initial is None else self.initial.numpy(),
            exact=self.exact,
            contextual=self.has_contexts,
        )

    def with_features(self, units: Mapping[str, str] | None = None, **features: Any) -> Self:  # noqa: ANN401
        """Return the task with more named features, each [S, A] (or [S], the same for every action).

        Args:
            units: unit of each new feature, for the tables.
            **features: name -> values in the order of ``states`` and ``actions``.

        Raises:
            TaskError: wrong shape, NaN or infinite values, or a name that exists; a network.
        """
        if self.goals is not None:
            raise TaskError("with_features is not for networks: give features as columns of the edges")
        more = checked_features(features, units or {}, self.feature_units, self.states, self.actions)
        return dataclasses.replace(
            self,
            features=torch.cat([self.features, torch.from_numpy(more).to(DTYPE)], dim=-1),
            feature_units=self.feature_units | {name: (units or {}).get(name, "") for name in features},
        )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order of F."""
        return tuple(self.feature_units)

    @property
    def has_contexts(self) -> bool:
        """True when states are (context, state) pairs."""
        return self.contexts.values != (None,)

    @cached_property
    def playable(self) -> Bool[Tensor, "S A"]:
        """[S, A] available actions with a finite value: undiscounted, those that can still lead to an end."""
        if self.discount < 1 or self.horizon is not None:
            return self.available
        if self.goals is not None:  # on trips to some goal
            return self.available & torch.from_numpy(self.goals.reach.any(axis=0))[self.transitions.successors[..., 0]]
        return ending_actions(self.transitions, self.available, self.terminal)

    def __repr__(self) -> str:
        """Show sizes, not contents."""
        contexts = f"{len(self.contexts)} contexts, " if self.has_contexts else ""
        end = "" if self.horizon is None else f", horizon {self.horizon}"
        kind, names = "" if self.exact else ", estimated transitions", ", ".join(self.feature_names) or "none"
        sizes = f"{contexts}{len(self.states):,} states, {len(self.actions)} actions"
        return f"Task({sizes}, features {names}, discount {self.discount:g}{end}{kind})"
