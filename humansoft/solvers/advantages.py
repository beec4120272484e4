"""How much better than expected what was done turned out to be (generalised advantages, Schulman et al. 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from humansoft.solvers.world import Step


@dataclass(frozen=True, eq=False)
class Rollout:
    """N decisions to learn from.

    Attributes:
        state: in which they were made.
        action: what was done.
        log_prob: its log probability then.
        advantage: how much better than the baseline it turned out to be.
        target: what the baseline should have been.
    """

    state: Shaped[Tensor, "N *O"]
    action: Shaped[Tensor, "N *D"]
    log_prob: Float[Tensor, " N"]
    advantage: Float[Tensor, " N"]
    target: Float[Tensor, " N"]


def advantages(
    steps: Sequence[Step],
    cost: Float[Tensor, "T W"],
    value: Float[Tensor, "T W"],
    after: Float[Tensor, "T W"],
    discount: float,
    trace: float,
) -> Float[Tensor, "T W"]:
    """Return sums of (discount * trace)^k times the surprises r - cost + discount * V(s') - V(s) from each step on.

    Args:
        steps: T steps of W walkers.
        cost: temperature * log(pi / prior) of what was done, which is taken from the reward.
        value: baseline V(s).
        after: baseline V(s') of what followed; it counts for nothing after a true end, but does after a mere cut.
        discount: weight of the next step's value.
        trace: weight of the next surprise; with 1 the baseline only stands for what lies beyond the rollout.
    """
    found = torch.empty_like(value)
    carried = torch.zeros_like(value[0])
    for t in reversed(range(len(steps))):
        step = steps[t]
        following = torch.where(step.terminated, 0.0, after[t])
        surprise = step.reward - cost[t] + discount * following - value[t]
        over = step.terminated | step.truncated
        carried = surprise + discount * trace * torch.where(over, 0.0, carried)
        found[t] = carried
    return found
