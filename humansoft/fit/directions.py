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
from torch.autograd.functional import hessian, jvp
from torch.func import functional_call

from humansoft._types import DTYPE, NONE
from humansoft.fit.arrow import Layout
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
    def layout(self) -> Layout:
        """Which parameter a color is in each row of the model."""
        model, table = self.model, self.model.table
        by_person = model.rows_are_people
        row_of = {label: r for r, label in enumerate((model.subjects if by_person else model.groups).values)}
        of_group = model.group_of_subject if by_person else np.arange(len(model.groups))
        members = np.split(np.argsort(of_group, kind="stable"), np.cumsum(np.bincount(of_group))[:-1])
        group_of = dict(zip(model.groups.values, members, strict=False))
        owner = np.full((len(row_of), self.num_colors), NONE, dtype=np.int64)
        for p in np.flatnonzero(table.free):
            row, color = table.rows[p], table.colors[p]
            if row.level == "shared":
                owner[:, color] = p
            elif row.kind == "log_temperature" and by_person:  # of a group, or of a person
                owner[group_of[row.label], color] = p
            else:
                owner[row_of[row.label], color] = p
        return Layout(owner, len(table))

    @property
    def owner(self) -> Index:
        """[R, C] parameter that a color is in each row of the model, -1 where there is none."""
        return self.layout.owner

    @property
    def num_colors(self) -> int:
        """Return C."""
        return int(self.model.table.colors.max(initial=-1)) + 1

    def summed(self, by_person: Real) -> Real:
        """Add up a number of each person [B] over those whose likelihood a parameter enters [P]."""
        by_group = np.bincount(self.model.group_of_subject, weights=by_person, minlength=len(self.model.groups))
        everything = np.r_[by_person.sum(), by_person, by_group]
        total: Real = everything[self._whom]
        return total

    def people_of(self, parameters: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return whose likelihood any of some parameters [P] enters [B]."""
        people = len(self.model.subjects)
        whom = self._whom[parameters]
        found = np.isin(np.arange(people), whom - 1) | np.isin(self.model.group_of_subject, whom - 1 - people)
        return found | bool((whom == 0).any())

    @cached_property
    def _whom(self) -> Index:
        """[P] whose a parameter is: 0 everybody's, then one number for each person, then one for each group."""
        model, table = self.model, self.model.table
        groups = iter(range(len(model.groups)))
        place = {label: i for i, label in enumerate(model.subjects.values)}
        people = len(model.subjects)
        return np.array(
            [
                1 + people + next(groups)
                if row.kind == "log_temperature"
                else (0 if row.level == "shared" else 1 + place[row.label])
                for row in table.rows
            ],
            dtype=np.int64,
        )

    @cached_property
    def row_of_person(self) -> Index:
        """[B] row of each person."""
        own: Index = np.arange(len(self.model.subjects))
        return own if self.model.rows_are_people else self.model.group_of_subject

    @cached_property
    def is_temperature(self) -> npt.NDArray[np.bool_]:
        """[C] whether a direction moves temperatures."""
        return self._is_any_of(self.model.table.temperatures)

    @cached_property
    def is_reward(self) -> npt.NDArray[np.bool_]:
        """[C] whether a direction moves rewards."""
        return self._is_any_of(self.model.table.rewards)

    def _is_any_of(self, parameters: slice) -> npt.NDArray[np.bool_]:
        colors = self.model.table.colors[parameters]
        found = np.zeros(self.num_colors, dtype=bool)
        found[colors[colors >= 0]] = True
        return found

    def reward(self, full: Float[Tensor, " P"]) -> Float[Tensor, "R *T S A C"]:
        """Return the change of the reward along each direction; R is 1 where everybody shares the reward."""
        if self.model.reward.is_linear:
            return self._of_linear
        weights = full[self.model.table.rewards].detach()
        return self._columns(lambda direction: jvp(self.reward_at, weights, direction)[1])  # type: ignore[no-untyped-call]

    @cached_property
    def _of_linear(self) -> Tensor:
        nothing = self.reward_at(torch.zeros(int(self.model.table.is_reward.sum()), dtype=DTYPE))
        return self._columns(lambda direction: self.reward_at(direction) - nothing)

    def _columns(self, change: Callable[[Tensor], Tensor]) -> Float[Tensor, "R *T S A C"]:
        """Return the change along each direction, which is given as a step of the reward's parameters [Q]."""
        colors = self.model.table.colors[self.model.table.rewards]
        steps = torch.from_numpy((colors == np.arange(self.num_colors)[:, None]).astype(np.float64))
        if not len(steps):
            return self.reward_at(torch.zeros(len(colors), dtype=DTYPE))[..., None][..., :0]
        return torch.stack([change(step) for step in steps], dim=-1).detach()

    def reward_at(self, weights: Float[Tensor, " Q"]) -> Float[Tensor, "R *T S A"]:
        """Return the reward as a function of its parameters, one after the other."""
        named = list(self.model.reward.named_parameters())
        chunks = torch.split(weights, [p.numel() for _, p in named])
        values = {name: chunk.view_as(p) for (name, p), chunk in zip(named, chunks, strict=True)}
        found: Tensor = functional_call(self.model.reward, values, (self.model.task,))
        return found


def curvature(function: Callable[[Tensor], Tensor], point: Float[Tensor, " Q"]) -> Real:
    """Return the second derivative of a scalar function by automatic differentiation."""
    if not len(point):
        return np.zeros((0, 0))
    found: Tensor = hessian(function, point)  # type: ignore[no-untyped-call]
    return found.numpy()
