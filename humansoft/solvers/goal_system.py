"""One factorisation for all goals of a network: desirabilities, and the linear systems of their derivatives.

With z = exp(V / temperature) and m = exp(reward / temperature) of each turn (for the kl planner over the number of
turns from its link), the soft Bellman equation of goal g is linear, z = m z with z = 1 on the goal. Between goals, the
matrix I - m differs on few links only, the *gates* of each goal: the goal itself, if turns leave it, is known; and
under kl, a link from which a turn leads to the goal has one turn more than on other trips, which adds 1 / number to
the diagonal there. With N the inverse of one matrix, and columns E at the gates,

    z_g = N E x_g,     A_g^-1 = N - N E K_g E' N

with small systems for x_g and K_g (Woodbury). Without pivoting, the factors of an M-matrix keep the relative accuracy
of every entry of z, however small: where some z is not positive, there is no finite value.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, csr_array, dia_array
from scipy.sparse.linalg import SuperLU, splu

from humansoft.solvers.goal_turns import GoalTurns

Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Real = npt.NDArray[np.float64]

_COLUMNS = 32  # right sides at once: they stay in the cache, which is three times as fast as all at once
_LOG_SCALE = 600.0  # z is held times e^600: routes may cost twice as much before it underflows
_EVERY = slice(None)
_SMALLEST = 1e-290  # of z: below, numbers lose digits


class GoalSystem:
    """The factorised network of one row, and its desirabilities.

    Attributes:
        turns: its turns and gates.
        weight: [E] m of each turn.
        log_scale: log of what z is held times.
    """

    def __init__(self, turns: GoalTurns, rho: Real) -> None:
        """Factorise, for the reward over temperature [L, A] of the row.

        Raises:
            RuntimeError: the matrix is exactly singular.
            OverflowError: a turn earns so many temperatures that its exponential is no number.
        """
        self.turns = turns
        with np.errstate(over="ignore"):
            self.weight = np.exp(rho[turns.start, turns.slot]) * turns.share[turns.start]
        if not np.isfinite(self.weight).all():
            raise OverflowError
        self._base = np.zeros(turns.reach.shape[1])
        # A uniform choice among turns need not end: gates of some goals are left in, to keep the matrix regular.
        anchored = turns.gate_link[np.isin(turns.gate_goal, turns.anchors)]
        self._base[anchored] = turns.share[anchored]
        self._base[turns.target[turns.anchors]] += turns.is_inner[turns.anchors]
        matrix = dia_array((1.0 + self._base[None], 0), shape=(len(self._base),) * 2) - self._matrix(self.weight)
        self._system = csc_array(matrix)
        self._forward = _factorised(self._system)
        self.log_scale = 0.0 if self._is_coupled else _LOG_SCALE

    @cached_property
    def z(self) -> Real:
        """[G, L] desirabilities, times exp(``log_scale``)."""
        right = np.zeros(self.turns.reach.shape)
        if self._is_coupled:
            return _solved(self._forward, self._put(self._small[:, :, 0], right))
        right[np.arange(len(right)), self.turns.target] = np.exp(self.log_scale)
        return _solved(self._forward, right)

    @cached_property
    def is_feasible(self) -> bool:
        """Whether every trip that can end has a finite value."""
        # A network of which every part ends has positive pivots; gates may end what else would not.
        pivots = self._is_coupled or bool((self._forward.U.diagonal() > 0).all())
        return pivots and not self._smallest < 0

    @cached_property
    def is_in_range(self) -> bool:
        """Whether every desirability is a number with all its digits."""
        return self._smallest > _SMALLEST and bool(np.isfinite(self.z.max()))

    @cached_property
    def _smallest(self) -> float:
        return float(self.z.min(where=self.turns.reach, initial=np.inf))

    @cached_property
    def _backward(self) -> SuperLU:
        return _factorised(csc_array(self._system.T))

    def value(self, *places: Any) -> Real:  # noqa: ANN401 - goal and link, or an ellipsis
        """Return V over temperature at places in [G, L], -inf where no trip can end."""
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(self.z[places]) - self.log_scale
        return np.where(self.turns.reach[places], logs, -np.inf)

    def apply_inverse(self, right: Real, transposed: bool = False, goals: Index | slice = _EVERY) -> Real:
        """Return A_g^-1 right_g (or A_g^-T right_g) of each goal, or of some of them [G, L]; 0 on goals turns leave."""
        factors = self._backward if transposed else self._forward
        found = _solved(factors, right)
        if not self._is_coupled:
            return found
        link, inner = self._gates.link[goals], self._small[goals, :, 1:]
        inner = inner.transpose(0, 2, 1) if transposed else inner
        pulled = np.einsum("gij,gj->gi", inner, np.take_along_axis(found, link, axis=1))
        return _solved(factors, self._put(-pulled, right, goals))

    def change(self, gain: Real) -> Real:
        """Return how z changes [G, L] when every turn adds ``gain`` [E] to its rho."""
        matrix, found = self._matrix(self.weight * gain), np.empty_like(self.z)
        for chunk, place in zip(_chunks(self.z), _chunks(found), strict=True):
            own = matrix @ chunk.T
            place[:] = own.T if self._is_coupled else self._forward.solve(own).T
        return self.apply_inverse(found) if self._is_coupled else found

    def paired(self, left: Real, *rights: Real) -> Real:
        """Return m * sum over goals of left at the start times right at the end of each turn [E, rights]."""
        total = np.zeros((len(rights), len(self.weight)))
        for own, *others in zip(_chunks(left), *(_chunks(right) for right in rights), strict=True):
            here = own.take(self.turns.start, axis=1)
            for k, other in enumerate(others):
                total[k] += np.einsum("ge,ge->e", here, other.take(self.turns.end, axis=1))
        found: Real = (self.weight * total).T
        return found

    def _matrix(self, weight: Real) -> csr_array:
        size = len(self._base)
        return csr_array((weight, (self.turns.start, self.turns.end)), shape=(size, size))

    @cached_property
    def _is_coupled(self) -> bool:
        """Whether goals differ in their matrix."""
        return bool(len(self.turns.gate_goal) or self.turns.is_inner.any())

    def _put(self, entries: Real, right: Real, goals: Index | slice = _EVERY) -> Real:
        """Return right sides [G, L] with entries [G, k] added at the gates."""
        added = right.copy()
        np.add.at(added, (np.arange(len(right))[:, None], self._gates.link[goals]), entries)
        return added

    @cached_property
    def _gates(self) -> "_Gates":
        return _Gates.of(self.turns, self._base)

    @cached_property
    def _small(self) -> Real:
        """[G, k, 1 + k] x_g, and K_g beside it."""
        gates = self._gates
        distinct, unit = np.unique(gates.link, return_inverse=True)
        unit = unit.reshape(gates.link.shape)
        columns = [_solved(self._forward, chunk)[:, distinct] for chunk in _units(distinct, len(self._base))]
        between = np.concatenate(columns)[unit[:, None, :], unit[:, :, None]]  # N among the gates of a goal
        own = np.eye(gates.link.shape[1])
        left = own * ~gates.is_known[:, :, None] + gates.change[:, :, None] * between
        return np.linalg.solve(left, np.concatenate([gates.right[:, :, None], gates.change[:, :, None] * own], axis=2))


@dataclass(frozen=True, eq=False)
class _Gates:
    """The gates of each goal side by side, filled up with gates that change nothing.

    Attributes:
        link: [G, k] link of each.
        change: [G, k] what it adds to the diagonal of the factorised matrix; 1 where z is known.
        is_known: [G, k] true where z is known: on a goal that turns leave.
        right: [G, k] right side there: 1 on the goal.
    """

    link: Index
    change: Real
    is_known: Flags
    right: Real

    @classmethod
    def of(cls, turns: GoalTurns, base: Real) -> "_Gates":
        """Collect goals, gates, and the links where the factorised matrix has gates of other goals."""
        number, size = len(turns.target), len(base)
        others, foreign = np.nonzero(turns.reach & (base != 0))  # from where a goal is out of reach, z is 0 anyhow
        goal = np.r_[np.arange(number), turns.gate_goal, others]
        link = np.r_[turns.target, turns.gate_link, foreign]
        keys, place = np.unique(goal * size + link, return_inverse=True)
        row = keys // size
        column = np.arange(len(keys)) - np.searchsorted(row, row)
        links, change = np.zeros((2, number, int(column.max()) + 1))
        links[row, column], change[row, column] = keys % size, -base[keys % size]
        target = np.arange(number), column[place[:number]]
        gate = turns.gate_goal, column[place[number : number + len(turns.gate_goal)]]
        change[gate] += turns.share[turns.gate_link]
        known, right = np.zeros(change.shape, dtype=bool), np.zeros(change.shape)
        known[target], right[target] = turns.is_inner, 1.0
        return cls(links.astype(np.int64), np.where(known, 1.0, change), known, right)


def _factorised(matrix: csc_array) -> SuperLU:
    """Factorise without pivoting, which an M-matrix does not need."""
    return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def _solved(factors: SuperLU, right: Real) -> Real:
    """Return the solutions [G, L] of right sides [G, L]."""
    found = np.empty_like(right)
    for chunk, place in zip(_chunks(right), _chunks(found), strict=True):
        place[:] = factors.solve(chunk.T).T
    return found


def _chunks(table: Real) -> Iterator[Real]:
    return (table[first : first + _COLUMNS] for first in range(0, len(table), _COLUMNS))


def _units(places: Index, size: int) -> Iterator[Real]:
    """Return unit vectors [.., L], some at a time."""
    for first in range(0, len(places), _COLUMNS):
        chunk = places[first : first + _COLUMNS]
        found = np.zeros((len(chunk), size))
        found[np.arange(len(chunk)), chunk] = 1.0
        yield found
