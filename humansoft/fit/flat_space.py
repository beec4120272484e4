"""Directions in which the likelihood is flat, by elimination: first what each row has alone, then what rows share.

J = d log pi(a|s) / d parameters at the visited states, weighted by visits (SCIENCE 4.3). A row's own parameters
meet no other row, so its part of J is reduced by itself; what is left says how much the data tell about the
shared parameters. The cost grows with the number of people, not its cube.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import null_space

from humansoft.fit.arrow import Layout
from humansoft.fit.likelihood import AbstractLikelihood

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_MOST_KEPT = 100  # directions of what rows have alone, when all of a thousand people have flat ones
STRUCTURAL, WEAK = 1e-8, 1e-3
"""Singular values of J relative to the largest: no data of this kind can tell, or they tell little."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """How much the data say about the free directions at one parameter value.

    Attributes:
        full: [P] the parameter value.
        relative: size of each direction's effect over the largest, in descending order.
        flat: [P, K] directions that are structurally flat: a basis of them, or the first of very many.
        weak: [P, W] directions of which the data say little; the first of very many.
        num_flat: how many directions are flat.
    """

    full: Real
    relative: Real
    flat: Real
    weak: Real
    num_flat: int

    @property
    def rank(self) -> int:
        """Number of directions that the data identify."""
        return len(self.relative) - self.num_flat


def spectrum(likelihood: AbstractLikelihood, full: Real) -> Spectrum:
    """Find the flat and the weak directions of a likelihood of all playable actions (``every_action_by_row``).

    Rows are weighted by visits * pi(a|s), so that the product of J with itself is the expected
    information; columns by the typical size of what they multiply.
    """
    point = torch.from_numpy(full)
    log_prob = likelihood.log_prob(point)
    assert log_prob is not None, "flat directions are looked for where there is a solution"
    seen, table = likelihood.observations, likelihood.model.table
    weight = np.sqrt(seen.weight * np.exp(log_prob.numpy()))
    units = np.r_[1.0 / table.scales, 0.0]
    reduced = ReducedJacobian.of(likelihood, weight[:, None] * likelihood.jacobian(point), units)
    own, (shared, steps) = reduced.own_sizes, reduced.shared
    top = max(float(own.max(initial=0.0)), float(shared.max(initial=0.0)), 1e-300)
    relative = np.sort(np.r_[own[own >= 0], shared])[::-1] / top

    def between(low: float, high: float) -> Real:
        """Return the directions whose relative size lies in (low, high], not too many of them."""
        some = (own > low * top) & (own <= high * top) & (own >= 0)
        some &= np.cumsum(some).reshape(some.shape) <= _MOST_KEPT
        return np.hstack([reduced.own_steps(some), steps[:, (shared > low * top) & (shared <= high * top)]])

    flat, num_flat = between(-1.0, STRUCTURAL), int((relative <= STRUCTURAL).sum())
    if table.mean_zero is not None:
        # One direction less: along the constraint's own, the data can say nothing that it does not.
        along = table.mean_zero @ flat
        if np.abs(along).max(initial=0.0) > STRUCTURAL * float(np.linalg.norm(table.mean_zero)):
            flat, num_flat = flat @ null_space(along[None]), num_flat - 1
        relative = relative[:-1]
    return Spectrum(full, relative, flat, between(STRUCTURAL, WEAK), num_flat)


@dataclass(frozen=True, eq=False)
class ReducedJacobian:
    """J reduced row by row of people.

    Attributes:
        layout: which parameters a row has alone.
        units: [P + 1] what a parameter is multiplied by for its effect to be of usual size.
        own_sizes: [R, c] singular values of each row's own columns; -1 where there is no parameter.
        turned: [R, c, c] their right singular vectors, one a row of the table.
        carried: [R, c, k] how own parameters move to make up for a step of each shared one.
        rest: [.., k] what is then left of the shared columns, of all rows.
        further: [.., X] the same of further columns.
    """

    layout: Layout
    units: Real
    own_sizes: Real
    turned: Real
    carried: Real
    rest: Real
    further: Real

    @classmethod
    def of(cls, likelihood: AbstractLikelihood, weighted: Real, units: Real) -> "ReducedJacobian":
        """Reduce rows of weighted derivatives [N, C, and further columns] of a likelihood."""
        layout = likelihood.directions.layout
        row = likelihood.directions.row_of_person[likelihood.observations.person]
        ends = np.cumsum(np.bincount(row, minlength=len(layout.owner)))[:-1]
        triangles = _triangles(np.split(weighted[np.argsort(row, kind="stable")], ends), layout.own.shape[1])
        num_colors, own, num_shared = layout.owner.shape[1], layout.is_own, len(layout.border)
        triangles[:, :, :num_colors] *= units[layout.owner][:, None, :]
        mine, shared = triangles[:, :, :num_colors][:, :, own], triangles[:, :, :num_colors][:, :, ~own]
        top = max(float(np.sqrt((triangles[:, :, :num_colors] ** 2).sum(axis=(0, 1))).max(initial=0.0)), 1e-300)
        missing = layout.own < 0
        spare = mine.shape[1] - mine.shape[2]
        mine[:, spare:] += top * np.eye(mine.shape[2]) * missing[:, :, None]  # what is not there is not flat
        left, sizes, turned = np.linalg.svd(mine, full_matrices=False)
        told = sizes > STRUCTURAL * top
        left = left * told[:, None, :]
        others = np.concatenate([shared, triangles[:, :, num_colors:]], axis=2)
        on_own = left.swapaxes(1, 2) @ others
        others = others - left @ on_own
        solved = turned.swapaxes(1, 2) @ (on_own[:, :, : shared.shape[2]] / np.where(told, sizes, 1.0)[:, :, None])
        absent = (turned**2 * missing[:, None, :]).sum(axis=2) > 0.5
        return cls(
            layout,
            units,
            np.where(absent, -1.0, sizes),
            turned,
            -_placed(solved, layout.place, num_shared),
            np.vstack([*_placed(others[:, :, : shared.shape[2]], layout.place, num_shared)]),
            np.vstack([*others[:, :, shared.shape[2] :]]),
        )

    def own_steps(self, some: npt.NDArray[np.bool_]) -> Real:
        """Return some directions [R, c] of what rows have alone, as steps of parameters [P, D]."""
        rows, places = np.nonzero(some)
        steps = np.zeros((self.layout.size + 1, len(rows)))
        steps[self.layout.own[rows], np.arange(len(rows))[:, None]] = self.turned[rows, places]
        return steps[:-1] * self.units[:-1, None]

    @cached_property
    def shared(self) -> tuple[Real, Real]:
        """Sizes [k] and directions [P, k] of what rows share.

        The size is that of the effect which is left when own parameters make up for as much of it as they can.
        """
        triangle: Real = np.linalg.qr(self.rest, mode="r")  # type: ignore[assignment]
        _, effect, steps = np.linalg.svd(triangle, full_matrices=True)
        effect = np.r_[effect, np.zeros(len(steps) - len(effect))]
        moved = np.zeros((self.layout.size + 1, len(steps)))
        moved[self.layout.own] = self.carried @ steps.T
        moved[self.layout.border] = steps.T
        length = np.linalg.norm(moved[:-1], axis=0)
        return effect / length, moved[:-1] / length * self.units[:-1, None]

    def explains(self, tolerance: float) -> bool:
        """Whether the parameters can do all that the further column does."""
        wanted = self.further[:, 0]
        if self.rest.shape[1] == 0:
            return bool(np.linalg.norm(wanted) <= tolerance)
        solution = np.linalg.lstsq(self.rest, wanted, rcond=STRUCTURAL)[0]
        return bool(np.linalg.norm(wanted - self.rest @ solution) <= tolerance)


def _triangles(rows: list[Real], spare: int) -> Real:
    """Return the triangular factor of each row's derivatives, which keeps all products; with spare lines below."""
    width = rows[0].shape[1]
    found = np.zeros((len(rows), width + spare, width))
    for place, mine in enumerate(rows):
        triangle: Real = np.linalg.qr(mine, mode="r")  # type: ignore[assignment]
        found[place, : len(triangle)] = triangle
    return found


def _placed(columns: Real, place: Index, num_shared: int) -> Real:
    """Put the shared columns [R, c, C - c] of each row at their places [R, c, k]."""
    wide = np.zeros((*columns.shape[:2], num_shared + 1))
    rows, inner = np.arange(len(columns))[:, None, None], np.arange(columns.shape[1])[None, :, None]
    np.add.at(wide, (rows, inner, place[:, None, :]), columns)
    return wide[:, :, :num_shared]
