"""A fit and the states in which its people are to be measured: what all measures are taken with."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from humansoft._types import NONE
from humansoft.evaluate.reference_states import Reference
from humansoft.fit.directions import Directions
from humansoft.fit.result import Fit
from humansoft.solvers.expansion import Expansion

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_MOST_ENTRIES = 4_000_000  # states times actions times derivatives that are held at a time


@dataclass(frozen=True, eq=False)
class Yardstick:
    """A fit, the states of reference, and what counts as costly.

    Attributes:
        fit: the fit.
        reference: the states in which everybody is measured.
        threshold: a mistake is costly if it costs more than this many times what one choice at random costs on average.
    """

    fit: Fit
    reference: Reference
    threshold: float

    @cached_property
    def rewards(self) -> Tensor:
        """What each row of the model wants [R, *T, S, A]; R is 1 where all want the same."""
        with torch.no_grad():
            found: Tensor = self.fit.model.reward(self.fit.model.task).detach()
        return found

    @cached_property
    def directions(self) -> Directions:
        """What moves with the parameters."""
        return Directions(self.fit.model)

    @property
    def row_of_person(self) -> Index:
        """[B] row of each person."""
        return self.directions.row_of_person

    @cached_property
    def log_temperature(self) -> Real:
        """[R] of each row, at the estimates."""
        model = self.fit.model
        own: Real = model.log_temperature.detach()[model.temperature_row()].numpy()
        return own

    @cached_property
    def choice_colors(self) -> Index:
        """[K] color of each number of the choice terms, -1 where it is known or held at a boundary."""
        table = self.fit.model.table
        moving = self.fit.params["boundary"].to_numpy()[table.choices] == ""
        found: Index = np.where(moving, table.colors[table.choices], NONE)
        return found

    def parts(self, count: int) -> Iterator[Index]:
        """Divide rows into parts that fit into memory."""
        task = self.fit.model.task
        size = self.states_of_a_row * len(task.actions) * (task.horizon or 1) * max(self.directions.num_colors, 4)
        each = max(1, _MOST_ENTRIES // size)
        for first in range(0, count, each):
            yield np.arange(first, min(first + each, count))

    @cached_property
    def contexts(self) -> Index:
        """Contexts that the reference or anybody's decisions are in."""
        task = self.fit.model.task
        met = task.context.numpy()[self.fit.training.counts["state"].to_numpy()]
        return np.union1d(self.reference.contexts(task), met).astype(np.int64)

    @property
    def states_of_a_row(self) -> int:
        """How many states each row is solved in."""
        return int(np.isin(self.fit.model.task.context.numpy(), self.contexts).sum())

    def laid_out(self, rows: Index) -> Expansion:
        """Lay out some rows in all those contexts, on the CPU."""
        _, first = np.unique(self.fit.model.task.context.numpy(), return_index=True)
        state = first[self.contexts]
        found = self.fit.model.expand(np.repeat(rows, len(state)), np.tile(state, len(rows)))
        assert isinstance(found, Expansion), "networks are refused before"
        return found.on(torch.device("cpu"))
