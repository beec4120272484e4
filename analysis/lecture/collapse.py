"""Groups B and D, exploration: entropy keeps the policy gradient from settling before it has seen everything."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analysis.lecture.claims import Args, Claim, at_least
from analysis.lecture.worlds import Array
from analysis.rows import Row
from humansoft._types import DTYPE
from humansoft.solvers.bellman import policy_value
from humansoft.solvers.problem import Problem

QUIT, END = 0.3, 1.0
STEPS, ANNEALED, ENOUGH = 600, 0.7, 0.9
"""Steps of exact gradient ascent, the share of them in which the temperature falls to 0, the share that is success."""


def claims(args: Args) -> Iterator[Claim]:
    """Test what needs no samples; the gradients are exact."""
    yield entropy_collapse(args.quick)


@dataclass(frozen=True, eq=False)
class Walk:
    """A deterministic task of two actions whose last state has ended; everybody starts in one state.

    Attributes:
        following: [S, 2] where each action leads.
        reward: [S, 2].
        start: where it starts.
    """

    following: Tensor
    reward: Tensor
    start: int

    @property
    def problem(self) -> Problem:
        """The task as solvers see it, without discount."""
        log_prior = torch.zeros_like(self.reward)
        log_prior[-1] = -torch.inf
        return Problem(self.following[..., None], torch.ones_like(self.reward)[..., None], log_prior, 1.0)


def chain(length: int) -> Walk:
    """Return states in a row: quitting pays a little at once, going on costs as much in all, the end pays most."""
    state = torch.arange(length + 1)
    following = torch.stack([torch.full_like(state, length), (state + 1).clamp(max=length)], dim=-1)
    reward = torch.tensor([QUIT, -QUIT / length], dtype=DTYPE).repeat(length + 1, 1)
    reward[length - 1, 1] += END
    return Walk(following, reward, 0)


def corridor(length: int) -> Walk:
    """Return a corridor with an exit at either end, of which one pays less: the control."""
    state = torch.arange(length + 1)
    left, right = torch.where(state == 0, length, state - 1), (state + 1).clamp(max=length)
    left[-1] = length
    reward = torch.full((length + 1, 2), -QUIT / length, dtype=DTYPE)
    reward[0, 0] += QUIT
    reward[length - 1, 1] += END
    return Walk(torch.stack([left, right], dim=-1), reward, length // 2)


@dataclass(frozen=True, eq=False)
class Ascent:
    """What came of it, step by step.

    Attributes:
        gain: [steps] expected reward of an episode.
        going_on: [steps] probability of the second action in the first state: on towards the better end.
    """

    gain: Array
    going_on: Array


def ascend(walk: Walk, temperature: float, rate: float = 1.0) -> Ascent:
    """Climb the exact gradient from uniform actions, while the temperature falls linearly to 0."""
    problem, cold = walk.problem, torch.zeros(len(walk.reward), dtype=DTYPE)
    logits = torch.zeros_like(walk.reward)
    acting = problem.playable.to(DTYPE)
    gains, going_on = [], []
    for step in range(STEPS):
        logits = logits.detach().requires_grad_()
        policy = torch.softmax(logits, dim=-1) * acting
        alpha = temperature * max(0.0, 1 - step / (ANNEALED * STEPS))
        value = policy_value(problem, walk.reward, cold + alpha, policy)[walk.start]
        (slope,) = torch.autograd.grad(value, logits)
        logits = logits + rate * slope
        chosen = policy.detach()
        gains.append(float(policy_value(problem, walk.reward, cold, chosen)[walk.start]))
        going_on.append(float(chosen[walk.start, 1]))
    return Ascent(np.array(gains), np.array(going_on))


def entropy_collapse(quick: bool) -> Claim:
    """B5, without sampling."""
    rows = []
    for length in (6,) if quick else (6, 8):
        for alpha in (0.0, 0.1) if quick else (0.0, 0.05, 0.1, 0.2, 0.4):
            name, found = f"chain_of_{length}/alpha_{alpha}", ascend(chain(length), alpha)
            rows.append(Row(f"{name}/going_on_after_200_steps", found.going_on[200]))
            last = found.gain[-1]
            stuck = Row(f"{name}/return", last, repr(QUIT), 0.01)
            rows.append(stuck if alpha == 0 else at_least(f"{name}/return", last, ENOUGH * (END - QUIT)))
    for alpha in (0.0, 0.1):
        gain = ascend(corridor(6), alpha).gain[-1]
        rows.append(at_least(f"control/corridor/alpha_{alpha}/return", gain, ENOUGH * (END - QUIT / 2)))
    patient = ascend(chain(6), 0.0, rate=50.0).gain[-1]
    rows.append(at_least("control/chain_of_6/alpha_0.0/steps_of_50/return", patient, ENOUGH * (END - QUIT)))
    care = (
        "Not always: a corridor whose better exit is easily found is solved without entropy as well. And with exact "
        "gradients the plain one gets there in the end; what it lacks is time, or samples of what it hardly tries."
    )
    return Claim("B5x", "Entropy prevents a premature collapse of the policy (exact gradients).", tuple(rows), care)
