"""Names, units and constraints of a model's parameters, and the map from free to full ones.

Fixed weights, fixed temperatures and "the average person has temperature 1" are all linear
constraints, so there is one mechanism for them: full = basis @ free + offset.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Level = Literal["shared", "group", "subject"]
Kind = Literal["reward", "log_temperature"]


@dataclass(frozen=True)
class Parameter:
    """One number of a model.

    Attributes:
        name: the feature, table entry or "log_temperature".
        kind: whether it is a reward weight or a log temperature.
        level: whom it belongs to: everybody, a group, or one person.
        label: the group or person it belongs to; ``None`` when shared.
        unit: unit of the estimate.
        fixed: the value it is held at, or ``None`` when it is learned.
        scale: largest size of what it multiplies (the feature), so that 1 / scale is a weight that matters.
    """

    name: str
    kind: Kind
    level: Level = "shared"
    label: Hashable = None
    unit: str = ""
    fixed: float | None = None
    scale: float = 1.0

    def __str__(self) -> str:
        """Name it as tables and messages do: ``step`` or ``log_temperature[p07]``."""
        return self.name if self.level == "shared" else f"{self.name}[{self.label}]"


@dataclass(frozen=True, eq=False)
class Parameters:
    """All parameters of a model in the order of its tensors, with their linear constraints.

    Attributes:
        rows: the parameters, fixed ones included (P of them).
        basis: [P, P_free] how the full vector moves with the free one.
        offset: [P] full vector at free = 0.
        colors: [P] parameters of equal color never meet in one person's likelihood, so that one
            derivative can serve all of them.
    """

    rows: tuple[Parameter, ...]
    basis: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]
    colors: npt.NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Parameter], mean_zero: npt.NDArray[np.float64] | None = None) -> "Parameters":
        """Build the map; ``mean_zero`` [P] holds weights whose sum over the full vector stays 0."""
        size = len(rows)
        offset = np.array([0.0 if row.fixed is None else row.fixed for row in rows])
        basis = np.eye(size)[:, [i for i, row in enumerate(rows) if row.fixed is None]]
        if mean_zero is not None:
            last = int(np.flatnonzero(mean_zero)[-1])
            column = int(np.flatnonzero(basis[last])[0])
            basis[last] -= mean_zero @ basis / mean_zero[last]
            basis = np.delete(basis, column, axis=1)
        keys = [(row.name, row.level, row.label if row.level == "shared" else None) for row in rows]
        distinct = {key: color for color, key in enumerate(dict.fromkeys(keys))}
        return cls(tuple(rows), basis, offset, np.array([distinct[key] for key in keys], dtype=np.int64))

    def __len__(self) -> int:
        """Return P, fixed parameters included."""
        return len(self.rows)

    @property
    def num_free(self) -> int:
        """Return the number of free directions."""
        return int(self.basis.shape[1])

    @property
    def scales(self) -> npt.NDArray[np.float64]:
        """[P] largest size of what each parameter multiplies."""
        return np.array([row.scale for row in self.rows])

    def index(self) -> pd.MultiIndex:
        """Return the (name, label) index of every table of parameters."""
        labels = ["all" if row.level == "shared" else row.label for row in self.rows]
        return pd.MultiIndex.from_arrays([[row.name for row in self.rows], labels], names=["name", "label"])
