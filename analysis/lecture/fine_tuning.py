"""Group D, specialisation: a policy that was trained for all exits learns to take one of them faster."""

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

import humansoft as hs
from analysis.lecture.benefits import ROOM
from analysis.lecture.claims import Args, Claim, at_least, at_most
from analysis.lecture.policies import first_best, hard_plan
from analysis.rows import Row
from humansoft._types import DTYPE
from humansoft.solvers.bellman import policy_value
from humansoft.solvers.problem import Problem

START, TARGET = (4, 4), (8, 4)
SUCCESS, MOST_STEPS = 0.9, 6_000
SLIPS = (0.01, 0.001)
"""How often the near-deterministic policies choose at random; without it they would never learn anything else."""


def claims(args: Args) -> Iterator[Claim]:
    """Test what needs no samples; the gradients are exact."""
    yield specialisation(args.quick)


def pretrained() -> dict[str, Tensor]:
    """Return policies [S, A] that are good at getting to any exit, and a random one."""
    task = hs.Task.grid(ROOM, discount=0.95)
    soft = {f"soft/alpha_{a}": hs.plan(task, {"step": -1.0}, temperature=a) for a in (0.1, 0.2, 0.5)}
    found = {name: policy.log_policy.exp() for name, policy in soft.items()}
    scratch = hs.plan(task, {}, temperature=1.0).log_policy.exp()
    any_best = hard_plan(task)
    one_way = first_best(any_best).log_policy.exp()
    slipping = {f"one_way/slips_{slip}": (1 - slip) * one_way + slip * scratch for slip in SLIPS}
    control = (1 - SLIPS[0]) * any_best.log_policy.exp() + SLIPS[0] * scratch
    return {**found, "scratch": scratch, f"any_best/slips_{SLIPS[0]}": control, **slipping}


def towards_target() -> tuple[Problem, Tensor, int]:
    """Return the room, the reward [S, A] of leaving by the target, and the start."""
    task = hs.Task.grid(ROOM, discount=0.95)
    start, target = task.states.encode([START, TARGET])
    problem = hs.plan(task, {"step": -1.0}, planner="entropy").expansion.problem
    return problem, ((problem.successors[..., 0] == int(target)) & problem.playable).to(DTYPE), int(start)


def successes(policy: Tensor) -> Iterator[float]:
    """Yield the probability of leaving by the target, before each step of the exact gradient towards it."""
    problem, reward, start = towards_target()
    certain, cold = dataclasses.replace(problem, discount=1.0), torch.zeros(len(policy), dtype=DTYPE)
    logits = torch.where(problem.playable, policy.log(), 0.0)
    acting = problem.playable.to(DTYPE)
    while True:
        logits = logits.detach().requires_grad_()
        chosen = torch.softmax(logits, dim=-1) * acting
        yield float(policy_value(certain, reward, cold, chosen.detach())[start])
        value = policy_value(problem, reward, cold, chosen)[start]
        (slope,) = torch.autograd.grad(value, logits)
        logits = logits + slope


def steps_needed(policy: Tensor) -> int:
    """Return after how many steps of the gradient the target is nearly always taken."""
    for step, success in enumerate(successes(policy)):
        if success >= SUCCESS or step == MOST_STEPS:
            return step
    raise AssertionError("steps never end")


def specialisation(quick: bool) -> Claim:
    """D2, without sampling."""
    policies = pretrained()
    if quick:
        del policies["one_way/slips_0.001"]
    steps = {name: steps_needed(policy) for name, policy in policies.items()}
    soft = max(count for name, count in steps.items() if name.startswith("soft"))
    hard = min(count for name, count in steps.items() if name.startswith("one_way"))
    rows = (
        *(Row(f"steps_to_90_percent/{name}", count) for name, count in steps.items()),
        at_least("one_way_over_soft", hard / soft, 3.0),
        at_most("soft_over_scratch", soft / steps["scratch"], 1.0),
    )
    care = (
        "How much faster depends on how nearly deterministic the other training was: with fewer slips it takes longer "
        "without limit. Training for one way is worse than none (scratch), but choosing at random among the best "
        "actions keeps exits that are equally far, too (any_best)."
    )
    return Claim("D2x", "A policy trained for all ways is easily specialised (exact gradients).", rows, care)
