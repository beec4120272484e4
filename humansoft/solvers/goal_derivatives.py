"""Exact first and second derivatives of behavior in a network, for all its goals.

Behavior depends on rho = reward / temperature only. Along directions j of the parameters with d rho_j on every turn,
the desirabilities z and the log-likelihood sum n rho + sum h V of counts n, with h(s) = arrivals - departures,
change as

    dz_j         = A^-1 (m d rho_j z),        u = A^-T (h / z)
    d logL_j     = sum over turns of (n + W) d rho_j,                       W  = m u z'
    d2 logL_jk   = sum over turns of W d rho_j d rho_k + d rho_j Y_k + d rho_k Y_j,   Y_k = m u dz_k'
                   - sum over states of h dV_j dV_k,                        dV = dz / z

(z' at the link that a turn enters; A, m and z are those of :mod:`humansoft.solvers.goal_system`): one number a turn
for each direction, whatever the number of goals. The log temperature moves rho by -rho, and bends it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from scipy.linalg import qr, solve_triangular
from torch import Tensor

from humansoft.solvers.expansion import Observations
from humansoft.solvers.goals import GoalSolution, adjoint, visits

Index = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]

_DEPENDENT = 1e-12  # share of a column that others leave over


@dataclass(frozen=True, eq=False)
class Pull:
    """What decisions ask of the solution of one row of a network.

    Attributes:
        on_value: [G, L] arrivals minus departures of each state, h.
        adjoints: [G, L] u.
        passing: [L, A] W of each turn.
        by_rho: [L, A] n + W.
    """

    on_value: Real
    adjoints: Real
    passing: Real
    by_rho: Real


class GoalGradient(NamedTuple):
    """First derivatives of a log-likelihood.

    Attributes:
        by_reward: [R, L, A] by the reward of every row, link and turn.
        by_log_temperature: [R] by the log temperature of every row.
    """

    by_reward: Float[Tensor, "R L A"]
    by_log_temperature: Float[Tensor, " R"]


@dataclass(frozen=True, eq=False)
class GoalDerivatives:
    """Derivatives along C directions of the solution of a network, and of the log-likelihood of decisions.

    Attributes:
        solution: the solution.
        temperature: [R] temperature of each row.
        change: [R, L, A, C] change of the reward along each direction (or [1, L, A, C], of all rows alike).
        log_temperature: [R, C] change of the log temperature along each direction.
    """

    solution: GoalSolution
    temperature: Float[Tensor, " R"]
    change: Float[Tensor, "#R L A C"]
    log_temperature: Float[Tensor, "R C"]

    def scores(self, position: Index, action: Index) -> Float[Tensor, "N C"]:
        """Return d log pi(a|s) of actions at places in M."""
        expansion = self.solution.expansion
        pair, link = expansion.split(position)
        entered = expansion.split(expansion.entered(position, action))[1]
        found = np.empty((len(position), self.change.shape[-1]))
        for place, own in enumerate(expansion.rows):
            mine = np.flatnonzero((pair >= own.pairs.start) & (pair < own.pairs.stop))
            goal = pair[mine] - own.pairs.start
            ahead = self._value_change(place, goal, entered[mine]) - self._value_change(place, goal, link[mine])
            found[mine] = self._slopes[place][link[mine], action[mine]] + ahead
        return torch.from_numpy(found)

    def pulls(self, seen: Observations) -> tuple[Pull, ...]:
        """Return what decisions ask of each row that occurs: all that their first and second derivatives need."""
        expansion = self.solution.expansion
        position = expansion.position(expansion.task, seen)
        on_value = np.zeros((len(expansion.pair_goal), len(expansion.goals.links)))
        np.add.at(on_value.ravel(), expansion.entered(position, seen.action), seen.weight)
        np.subtract.at(on_value.ravel(), position, seen.weight)
        # The goals themselves are worth 0, whatever happens.
        on_value[np.arange(len(on_value)), expansion.goals.target[expansion.pair_goal]] = 0.0
        link, found = expansion.split(position)[1], []
        for own, system in zip(expansion.rows, self.solution.systems, strict=True):
            mine = seen.row == own.row
            adjoints = adjoint(system, on_value[own.pairs])
            passing = visits(system, adjoints, self._rho.shape[2])
            by_rho = passing.copy()
            np.add.at(by_rho, (link[mine], seen.action[mine]), seen.weight[mine])
            found.append(Pull(on_value[own.pairs], adjoints, passing, by_rho))
        return tuple(found)

    def gradient(self, pulls: tuple[Pull, ...]) -> GoalGradient:
        """Return the derivatives of the log-likelihood by rewards and log temperatures."""
        by_rho = np.zeros(self._rho.shape)
        for own, pull in zip(self.solution.expansion.rows, pulls, strict=True):
            by_rho[own.row] = pull.by_rho
        whole = -np.einsum("rla,rla->r", by_rho, self._rho)
        return GoalGradient(
            torch.from_numpy(by_rho) / self.temperature[:, None, None],
            torch.from_numpy(whole),
        )

    def hessian(self, pulls: tuple[Pull, ...]) -> Float[Tensor, "R C C"]:
        """Return the second derivative of the log-likelihood, the part of each row."""
        found = np.zeros((len(self.temperature), self.change.shape[-1], self.change.shape[-1]))
        for place, (own, pull) in enumerate(zip(self.solution.expansion.rows, pulls, strict=True)):
            found[own.row] = self._bend_of_value(place, pull) + self._bend_of_rho(own.row, pull)
        return torch.from_numpy(found)

    def information(self, seen: Observations) -> Float[Tensor, "R C C"]:
        """Return sum over visits of E_pi[score score'], the part of each row."""
        expansion = self.solution.expansion
        places, where = np.unique(expansion.position(expansion.task, seen), return_inverse=True)
        number = np.bincount(where, weights=seen.weight)
        policy = self.solution.log_policy_at(places).detach().exp().numpy()
        place, action = np.nonzero(policy > 0)
        scores = self.scores(places[place], action).numpy()
        weighted = scores * (number[place] * policy[place, action])[:, None]
        row = expansion.row_at(places[place])
        found = [weighted[row == r].T @ scores[row == r] for r in range(len(self.temperature))]
        return torch.from_numpy(np.stack(found))

    @cached_property
    def _rho(self) -> Real:
        """[R, L, A] reward over temperature."""
        found: Real = self.solution.rho[: len(self.temperature)].detach().numpy()
        return found

    @cached_property
    def _slopes(self) -> list[Real]:
        """Of each row that occurs: d rho [L, A, C]."""
        found = []
        for row in (own.row for own in self.solution.expansion.rows):
            change = self.change[row if len(self.change) > 1 else 0].numpy() / float(self.temperature[row])
            found.append(change - self._rho[row][:, :, None] * self.log_temperature[row].numpy())
        return found

    @cached_property
    def _changes(self) -> list[tuple[list[Real], Real]]:
        """Of each row that occurs: dz [G, L] along independent directions, and all directions in terms of them."""
        found = []
        for system, slopes in zip(self.solution.systems, self._slopes, strict=True):
            chosen, spread = _independent(np.concatenate(slopes))  # as a [L * A, C] table, C may be 0
            on_turns = slopes[system.turns.start, system.turns.slot]
            found.append(([system.change(on_turns[:, j]) for j in chosen], spread))
        return found

    def _value_change(self, place: int, goal: Index, link: Index) -> Real:
        """Return dV [N, C] at states of one row."""
        basis, spread = self._changes[place]
        moved = np.stack([change[goal, link] for change in basis], axis=1) if basis else np.zeros((len(goal), 0))
        found: Real = moved @ spread / self.solution.systems[place].z[goal, link][:, None]
        return found

    def _bend_of_value(self, place: int, pull: Pull) -> Real:
        """Return what the values bend [C, C] in one row."""
        system, slopes, (basis, spread) = self.solution.systems[place], self._slopes[place], self._changes[place]
        on_turns = slopes[system.turns.start, system.turns.slot]
        cross = on_turns.T @ system.paired(pull.adjoints, *basis) @ spread
        goal, link = np.nonzero(pull.on_value)
        moved = self._value_change(place, goal, link)
        bend = np.einsum("la,laj,lak->jk", pull.passing, slopes, slopes)
        found: Real = bend + cross + cross.T - (moved * pull.on_value[goal, link][:, None]).T @ moved
        return found

    def _bend_of_rho(self, row: int, pull: Pull) -> Real:
        """Return what the log temperature bends [C, C] in one row: rho is the reward times its exponential."""
        moved = self.log_temperature[row].numpy()
        change = self.change[row if len(self.change) > 1 else 0].numpy() / float(self.temperature[row])
        pulled = np.einsum("la,lac->c", pull.by_rho, change)
        whole = float((pull.by_rho * self._rho[row]).sum())
        found: Real = whole * np.outer(moved, moved) - np.outer(pulled, moved) - np.outer(moved, pulled)
        return found


def _independent(columns: Real) -> tuple[list[int], Real]:
    """Return a largest set of independent columns, and all columns in terms of them [chosen, C]."""
    size = np.linalg.norm(columns, axis=0)
    kept = np.flatnonzero(size > 0)
    if not len(kept):
        return [], np.zeros((0, columns.shape[1]))
    _, triangle, order = qr(columns[:, kept] / size[kept], mode="economic", pivoting=True)
    rank = int((np.abs(np.diag(triangle)) > _DEPENDENT).sum())
    chosen, spread = kept[order[:rank]], np.zeros((rank, columns.shape[1]))
    shares = solve_triangular(triangle[:rank, :rank], triangle[:rank])
    spread[:, kept[order]] = shares * size[kept[order]] / size[chosen][:, None]
    return chosen.tolist(), spread
