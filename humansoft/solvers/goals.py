"""The solution of a network for all its goals at once, differentiable in the reward of every turn."""

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from humansoft.solvers.goal_expansion import GoalExpansion
from humansoft.solvers.goal_system import GoalSystem
from humansoft.solvers.solution import SoftSolution, SolveStatus

Index = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]


class GoalSolution(SoftSolution):
    """Solution of the soft Bellman equation of all goals of a network.

    The tables of all states, which are fields of other solutions, are made only when they are asked for; ``value`` is
    -inf where no trip can end.

    Attributes:
        expansion: the (row, goal) pairs solved for.
        rho: [R, L, A] reward over temperature of each row.
        temperature: [R] temperature of each row.
        systems: the factorised network of each row that occurs.
    """

    expansion: GoalExpansion
    rho: Float[Tensor, "R L A"]
    temperature: Float[Tensor, " R"]
    systems: tuple[GoalSystem, ...]

    def __init__(
        self,
        expansion: GoalExpansion,
        rho: Float[Tensor, "R L A"],
        temperature: Float[Tensor, " R"],
        status: SolveStatus,
        systems: tuple[GoalSystem, ...],
    ) -> None:
        """Note what was found."""
        fields = {"expansion": expansion, "rho": rho, "temperature": temperature, "status": status}
        for name, found in (fields | {"systems": systems, "num_steps": 1, "residual": 0.0, "system": None}).items():
            object.__setattr__(self, name, found)

    @cached_property
    def value(self) -> Float[Tensor, " M"]:
        """V everywhere."""
        return self._whole * self.temperature[self.expansion.row]

    @cached_property
    def log_policy(self) -> Float[Tensor, "M A"]:
        """Log pi(a|s) everywhere; :meth:`log_policy_at` asks for less."""
        return self.log_policy_at(np.arange(len(self.expansion)))

    @cached_property
    def q(self) -> Float[Tensor, "M A"]:
        """Q everywhere."""
        return self._gain(np.arange(len(self.expansion))) * self.temperature[self.expansion.row][:, None]

    @cached_property
    def _whole(self) -> Tensor:
        """[M] V over temperature; its derivatives pass by the transposed systems."""
        return _Value.apply(self.rho, self.expansion, self.systems)  # type: ignore[no-any-return,no-untyped-call]

    def on(self, device: torch.device) -> "GoalSolution":
        """Return itself: networks are solved on the CPU."""
        return self

    def log_policy_at(self, position: Index) -> Float[Tensor, "N A"]:
        """Return log pi(.|s) at places in M."""
        prior = torch.from_numpy(self.expansion.log_prior_at(position))
        gain = self._gain(position) - self._value_at(position)[:, None]
        return torch.where(torch.isfinite(prior), gain + prior, -torch.inf)

    def _gain(self, position: Index) -> Tensor:
        """Return Q over temperature [N, A] at places in M."""
        row, link = self.expansion.row_at(position), self.expansion.split(position)[1]
        entered = self.expansion.task.transitions.successors.numpy()[link, :, 0] + (position - link)[:, None]
        return self.rho[torch.from_numpy(row), torch.from_numpy(link)] + self._value_at(entered)

    def _value_at(self, position: Index) -> Tensor:
        """Return V over temperature at places in M; without derivatives, of no others."""
        if self.rho.requires_grad:
            return self._whole[torch.from_numpy(position)]
        pair, link = self.expansion.split(position)
        found = np.empty(position.shape)
        for own, system in zip(self.expansion.rows, self.systems, strict=True):
            mine = (pair >= own.pairs.start) & (pair < own.pairs.stop)
            found[mine] = system.value(pair[mine] - own.pairs.start, link[mine])
        return torch.from_numpy(found)

    def log_prob_at(self, position: Index, action: Index) -> Float[Tensor, " N"]:
        """Return log pi(a|s) of actions at places in M."""
        return self.log_policy_at(position)[torch.arange(len(position)), torch.from_numpy(action)]


def solve_goals(
    expansion: GoalExpansion, reward: Float[Tensor, "#R L A"], temperature: Float[Tensor, " R"]
) -> GoalSolution:
    """Solve a network for all goals that occur; derivatives pass by the transposed systems.

    Args:
        expansion: the (row, goal) pairs.
        reward: [R, L, A] reward of each row (or [1, L, A], of all rows alike); may require a gradient.
        temperature: [R] temperature of each row; may require a gradient.

    Returns:
        The solution; look at its status, nothing is raised.
    """
    return solve_scaled(expansion, reward / temperature[:, None, None], temperature)


def solve_scaled(
    expansion: GoalExpansion, rho: Float[Tensor, "R L A"], temperature: Float[Tensor, " R"]
) -> GoalSolution:
    """Solve a network for all goals that occur, given the reward over temperature of each row; see above."""
    systems: list[GoalSystem] = []
    status, table = SolveStatus.CONVERGED, rho.detach().numpy()
    for own in expansion.rows:
        try:
            systems.append(GoalSystem(own.turns, table[own.row]))
            status = _status(systems[-1])
        except (RuntimeError, np.linalg.LinAlgError):  # exactly singular: going round and round costs nothing
            status = SolveStatus.INFEASIBLE
        except OverflowError:
            status = SolveStatus.OUT_OF_RANGE
        if status is not SolveStatus.CONVERGED:
            break
    return GoalSolution(expansion, rho, temperature, status, tuple(systems))


def _status(system: GoalSystem) -> SolveStatus:
    if not system.is_feasible:
        return SolveStatus.INFEASIBLE
    return SolveStatus.CONVERGED if system.is_in_range else SolveStatus.OUT_OF_RANGE


class _Value(torch.autograd.Function):
    """V of all goals as a function of reward, both over temperature; its backward is one transposed solve."""

    @staticmethod
    def forward(ctx: Any, rho: Tensor, expansion: GoalExpansion, systems: tuple[GoalSystem, ...]) -> Tensor:  # noqa: ANN401
        ctx.expansion, ctx.systems, ctx.shape = expansion, systems, rho.shape
        values = [system.value(...) for system in systems]
        return torch.from_numpy(np.concatenate(values).ravel())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        expansion: GoalExpansion = ctx.expansion
        pull = gradients[0].numpy().reshape(len(expansion.pair_row), -1)
        found = np.zeros(ctx.shape)
        for own, system in zip(expansion.rows, ctx.systems, strict=True):
            found[own.row] = visits(system, adjoint(system, pull[own.pairs]), ctx.shape[-1])
        return torch.from_numpy(found), None, None


def adjoint(system: GoalSystem, pull: Real, goals: Index | slice = slice(None)) -> Real:
    """Return A^-T (pull / z) [G, L] of the derivative by V [G, L], of all goals or of some."""
    share = np.divide(pull, system.z[goals], out=np.zeros_like(pull), where=pull != 0)
    return system.apply_inverse(share, transposed=True, goals=goals)


def visits(system: GoalSystem, adjoints: Real, num_actions: int) -> Real:
    """Return the derivative by the reward of every link and turn [L, A]: how V passes through it."""
    turns = system.turns
    found = np.zeros((turns.reach.shape[1], num_actions))
    found[turns.start, turns.slot] = system.paired(adjoints, system.z)[:, 0]
    return found
