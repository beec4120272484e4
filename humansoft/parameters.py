"""Names, units and constraints of a model's parameters.

There are two kinds of constraints: parameters that are held at a value, and at most one weighted sum that
stays 0 ("the average person has temperature 1").
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.codebook import label_index
from humansoft.errors import ModelError

Real = npt.NDArray[np.float64]
Level = Literal["shared", "group", "subject"]
Kind = Literal["reward", "log_temperature", "tilt", "logit_lapse", "log_sd", "atanh_correlation"]

LAPSE_START = -3.0
"""Logit of a lapse of 5 %: what is thought of people of whom nothing is known."""


@dataclass(frozen=True)
class Parameter:
    """One number of a model.

    Attributes:
        name: the feature, table entry, choice term, or "log_temperature".
        kind: a reward weight, a log temperature, log odds added at choice, or the logit of a lapse.
        level: whom it belongs to: everybody, a group, or one person.
        label: the group or person it belongs to; ``None`` when shared.
        unit: unit of the estimate.
        fixed: the value it is held at, or ``None`` when it is learned.
        scale: largest size of what it multiplies (the feature), so that 1 / scale is a weight that matters; of a
            logit, what a unit of it changes in the probability.
    """

    name: str
    kind: Kind
    level: Level = "shared"
    label: Hashable = None
    unit: str = ""
    fixed: float | None = None
    scale: float = 1.0

    @property
    def start(self) -> float:
        """Where learning starts, when nothing better is known."""
        if self.fixed is not None:
            return self.fixed
        return LAPSE_START if self.kind == "logit_lapse" else 0.0

    def __str__(self) -> str:
        """Name it as tables and messages do: ``step`` or ``log_temperature[p07]``."""
        return self.name if self.level == "shared" else f"{self.name}[{self.label}]"


@dataclass(frozen=True, eq=False)
class Parameters:
    """All parameters of a model in the order of its tensors, with their linear constraints.

    Attributes:
        rows: the parameters, fixed ones included (P of them).
        mean_zero: [P] weights whose sum over the vector stays 0, 0 for fixed parameters; ``None`` without such a sum.
    """

    rows: tuple[Parameter, ...]
    mean_zero: Real | None = None

    @classmethod
    def of(cls, rows: Sequence[Parameter], mean_zero: Real | None = None) -> "Parameters":
        """Note the parameters; ``mean_zero`` [P] holds the weights of the sum that stays 0."""
        return cls(tuple(rows), mean_zero)

    def __len__(self) -> int:
        """Return P, fixed parameters included."""
        return len(self.rows)

    @cached_property
    def free(self) -> npt.NDArray[np.bool_]:
        """[P] true where a parameter is learned."""
        return np.array([row.fixed is None for row in self.rows], dtype=bool)

    @property
    def num_free(self) -> int:
        """Return the number of free directions."""
        return int(self.free.sum()) - (self.mean_zero is not None)

    @cached_property
    def scales(self) -> Real:
        """[P] largest size of what each parameter multiplies."""
        return np.array([row.scale for row in self.rows], dtype=np.float64)

    @cached_property
    def rewards(self) -> slice:
        """Where the reward's parameters stand in a vector of all of them."""
        return self._stretch("reward")

    @cached_property
    def temperatures(self) -> slice:
        """Where the log temperatures stand."""
        return self._stretch("log_temperature")

    @cached_property
    def choices(self) -> slice:
        """Where the parameters of choice terms stand."""
        return self._stretch("tilt", "logit_lapse")

    @cached_property
    def shared_places(self) -> npt.NDArray[np.int64]:
        """[S] where that stands which people of a population share: parameters of the reward, then of choice terms."""
        kinds = ("reward", "tilt", "logit_lapse")
        found = [p for p, row in enumerate(self.rows) if row.level == "shared" and row.kind in kinds]
        return np.array(found, dtype=np.int64)

    @cached_property
    def planned(self) -> "Parameters":
        """Those that are planned with: all but the parameters of choice terms, which stand behind them."""
        first = len(self) - len(self.rows[self.choices])
        return Parameters(self.rows[:first], None if self.mean_zero is None else self.mean_zero[:first])

    def _stretch(self, *kinds: Kind) -> slice:
        """Return where the parameters of some kinds stand, which are next to each other."""
        places = [p for p, row in enumerate(self.rows) if row.kind in kinds]
        return slice(places[0], places[-1] + 1) if places else slice(0, 0)

    @cached_property
    def is_temperature(self) -> npt.NDArray[np.bool_]:
        """[P] true for log temperatures."""
        return np.array([row.kind == "log_temperature" for row in self.rows], dtype=bool)

    @cached_property
    def is_reward(self) -> npt.NDArray[np.bool_]:
        """[P] true for parameters of the reward."""
        return np.array([row.kind == "reward" for row in self.rows], dtype=bool)

    @cached_property
    def is_lapse(self) -> npt.NDArray[np.bool_]:
        """[P] true for the logit of a lapse."""
        return np.array([row.kind == "logit_lapse" for row in self.rows], dtype=bool)

    @cached_property
    def start(self) -> Real:
        """[P] where learning starts, when nothing better is known."""
        return self.project(np.array([row.start for row in self.rows], dtype=np.float64))

    def followed_by(self, rows: Sequence[Parameter]) -> "Parameters":
        """Return them with more behind them that no constraint binds.

        Raises:
            ModelError: a parameter of these has a name that one of those goes by, in tables or when it is learned.
        """
        taken = {row.name for row in rows} | {row.name.removeprefix("logit_") for row in rows}
        clash = sorted({row.name for row in self.rows} & taken)
        if clash:
            raise ModelError(
                f"{', '.join(clash)}: a parameter of the reward has the name of a choice term, so that results could "
                "not tell the two apart; rename the feature of the task"
            )
        longer = None if self.mean_zero is None else np.r_[self.mean_zero, np.zeros(len(rows))]
        return Parameters((*self.rows, *rows), longer)

    @cached_property
    def colors(self) -> npt.NDArray[np.int64]:
        """[P] free parameters of equal color never meet in one person's likelihood; -1 for fixed ones.

        One derivative can serve all parameters of a color.
        """
        keys = [(row.name, row.level, row.label if row.level == "shared" else None) for row in self.rows]
        moving = dict.fromkeys(key for key, free in zip(keys, self.free, strict=True) if free)
        distinct = {key: color for color, key in enumerate(moving)}
        free = zip(keys, self.free, strict=True)
        return np.array([distinct[key] if moves else -1 for key, moves in free], dtype=np.int64)

    def project(self, full: Real) -> Real:
        """Return the vector [P] closest to a given one that obeys the constraints."""
        fixed = np.array([0.0 if row.fixed is None else row.fixed for row in self.rows])
        projected: Real = np.where(self.free, self.tangent(full), fixed)
        return projected

    def tangent(self, change: Real) -> Real:
        """Return the part of a change [P] that the constraints allow."""
        allowed: Real = np.where(self.free, change, 0.0)
        if self.mean_zero is not None:
            allowed = allowed - self.mean_zero * (self.mean_zero @ allowed) / (self.mean_zero @ self.mean_zero)
        return allowed

    def released(self) -> "Parameters":
        """Return the same parameters with none of them fixed."""
        return Parameters(tuple(replace(row, fixed=None) for row in self.rows), self.mean_zero)

    def index(self) -> pd.MultiIndex:
        """Return the (name, label) index of every table of parameters."""
        labels = ["all" if row.level == "shared" else row.label for row in self.rows]
        return label_index([[row.name for row in self.rows], labels], ["name", "label"])
