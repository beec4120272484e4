"""What every solver returns, and the sentences it may have to say."""

import enum
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from humansoft.solvers.linear_system import LinearSystem


class SolveStatus(enum.Enum):
    """How a solver ended; the value is the sentence a user reads."""

    CONVERGED = "The soft Bellman equation is solved."
    LEARNED = "The policy was learned from samples: it is near the solution, and nearer the more samples are drawn."
    UNSETTLED = (
        "The policy was learned from samples and is not near the solution yet: one exact step towards it changes what "
        "is done in some state by more than a quarter. Give the solver more num_steps or num_walkers, or use an exact "
        "one."
    )
    MAX_STEPS = (
        "The solver stopped at its step limit before the soft Bellman equation was solved; raise max_steps, "
        "or lower the discount."
    )
    INFEASIBLE = (
        "The soft Bellman equation has no finite solution: going on forever is worth more than ending. Make every "
        "step cost something, or use a discount below 1; under planner='entropy', where each step earns up to "
        "temperature * log(actions), also a lower temperature or planner='kl' helps."
    )
    OUT_OF_RANGE = (
        "Some trips through the network cost so many temperatures that their desirability is no number any more; "
        "raise the temperature, or lower the costs."
    )

    @property
    def is_usable(self) -> bool:
        """Whether there is a policy, solved for or learned."""
        return self in (SolveStatus.CONVERGED, SolveStatus.LEARNED, SolveStatus.UNSETTLED)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a value solver found.

    Attributes:
        value: [M] V.
        status: how the solver ended.
        num_steps: Newton steps or sweeps taken.
        residual: largest correction or residual at the end, relative to what the solver stops on.
        system: the linear system of its last policy, where it made one.
        q: [M, A] action values, where they were learned themselves and are not the backup of ``value``.
    """

    value: Float[Tensor, " M"]
    status: SolveStatus
    num_steps: int
    residual: float
    system: LinearSystem | None = None
    q: Float[Tensor, "M A"] | None = None


@dataclass(frozen=True, eq=False)
class SoftSolution:
    """Solution of the soft Bellman equation.

    Attributes:
        value: [M] V(s), or [T, M] with a horizon.
        q: [M, A] or [T, M, A]; Q(s, a), meaningless where the action cannot be chosen.
        log_policy: same shape; log pi(a|s), -inf where the action cannot be chosen.
        status: how the solver ended.
        num_steps: Newton steps or sweeps taken.
        residual: largest |T(V) - V| relative to the temperature and size of V at the end.
        system: the factorised I - discount * P_pi of the solution's plan, where a solver made one.
    """

    value: Float[Tensor, "*T M"]
    q: Float[Tensor, "*T M A"]
    log_policy: Float[Tensor, "*T M A"]
    status: SolveStatus
    num_steps: int
    residual: float
    system: LinearSystem | None = None

    def on(self, device: torch.device) -> "SoftSolution":
        """Return the tables on a device, without the system that gave them."""
        value, q, log_policy = self.value.to(device), self.q.to(device), self.log_policy.to(device)
        return replace(self, value=value, q=q, log_policy=log_policy, system=None)

    def log_policy_at(self, position: npt.NDArray[np.int64]) -> Float[Tensor, "N A"]:
        """Return log pi(.|s) at places in the solved table (time-major with a horizon), on the CPU."""
        table = self.log_policy.reshape(-1, self.log_policy.shape[-1])
        return table[torch.from_numpy(position).to(table.device)].cpu()
