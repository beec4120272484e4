"""What moves when a model's parameters move: the directions along which its likelihood is differentiated.

Parameters of one color (the temperatures of different people) never meet in one row's likelihood, so all of
them are moved at once: there is one direction a color, and the derivative in each row belongs to its owner.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from humansoft._types import DTYPE, NONE
from humansoft.model import SoftOptimalModel

Index = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Directions:
    """The directions of a bound model, one a color (C of them).

    Attributes:
        model: a bound model.
    """

    model: SoftOptimalModel

    @cached_property
    def owner(self) -> Index:
        """[R, C] parameter that a color is in each row of the model, -1 where there is none."""
        model = self.model
        row_labels = model.subjects if model.rows_are_people else model.groups
        group = model.group_of_subject if model.rows_are_people else np.arange(len(model.groups))
        owner = np.full((len(row_labels), self.num_colors), NONE, dtype=np.int64)
        for p, (row, color) in enumerate(zip(model.table.rows, model.table.colors, strict=True)):
            if row.level == "shared":
                owner[:, color] = p
            elif row.kind == "log_temperature":  # of a group, or of a person
                owner[group == model.groups.encode([row.label])[0], color] = p
            else:
                owner[row_labels.encode([row.label])[0], color] = p
        return owner

    @property
    def num_colors(self) -> int:
        """Return C."""
        return int(self.model.table.colors.max(initial=-1)) + 1

    @cached_property
    def row_of_person(self) -> Index:
        """[B] row of each person."""
        own: Index = np.arange(len(self.model.subjects))
        return own if self.model.rows_are_people else self.model.group_of_subject

    @cached_property
    def is_temperature(self) -> npt.NDArray[np.bool_]:
        """[C] whether a direction moves temperatures."""
        found = np.zeros(self.num_colors, dtype=bool)
        found[
            [
                c
                for row, c in zip(self.model.table.rows, self.model.table.colors, strict=True)
                if row.kind == "log_temperature"
            ]
        ] = True
        return found

    def reward(self, full: Float[Tensor, " P"]) -> Float[Tensor, "R S A C"]:
        """Return the change of the reward along each direction; R is 1 where everybody shares the reward."""
        return self._of_linear if self.model.reward.is_linear else self._changes(full)

    @cached_property
    def _of_linear(self) -> Tensor:
        return self._changes(torch.zeros(len(self.model.table), dtype=DTYPE))

    def _changes(self, full: Tensor) -> Tensor:
        weights = full[: -len(self.model.groups)].detach()
        colors = self.model.table.colors[: len(weights)]
        columns = []
        for color in range(self.num_colors):
            direction = torch.from_numpy((colors == color).astype(np.float64))
            _, change = torch.autograd.functional.jvp(self.reward_at, weights, direction)  # type: ignore[no-untyped-call]
            columns.append(change)
        return torch.stack(columns, dim=-1)

    def reward_at(self, weights: Float[Tensor, " Q"]) -> Float[Tensor, "R S A"]:
        """Return the reward as a function of its parameters, one after the other."""
        named = list(self.model.reward.named_parameters())
        chunks = torch.split(weights, [p.numel() for _, p in named])
        values = {name: chunk.view_as(p) for (name, p), chunk in zip(named, chunks, strict=True)}
        found: Tensor = functional_call(self.model.reward, values, (self.model.task,))
        return found

    def gathered(self, by_row: Float[Tensor, "R C C"]) -> Real:
        """Add up second derivatives of rows into those of parameters [P, P]."""
        total = np.zeros((len(self.model.table), len(self.model.table)))
        for owner, block in zip(self.owner, by_row.numpy(), strict=False):
            mine = owner >= 0
            total[np.ix_(owner[mine], owner[mine])] += block[np.ix_(mine, mine)]
        return total


def curvature(function: Callable[[Tensor], Tensor], point: Float[Tensor, " Q"]) -> Real:
    """Return the second derivative of a scalar function by automatic differentiation."""
    found: Tensor = torch.autograd.functional.hessian(function, point)  # type: ignore[no-untyped-call]
    return found.numpy()
