"""Policies that are not soft-optimal, as controls, and where a policy leads."""

import dataclasses
from collections.abc import Hashable

import numpy as np
import torch
from torch import Tensor

import humansoft as hs


def acting(policy: hs.Policy, log_policy: Tensor) -> hs.Policy:
    """Return a policy that acts otherwise, by log pi(a|s) of the same shape; its values stay as they were."""
    return dataclasses.replace(policy, solution=dataclasses.replace(policy.solution, log_policy=log_policy))


def first_best(policy: hs.Policy) -> hs.Policy:
    """Return the classical policy: always the first of the best actions."""
    logs = policy.log_policy
    best = torch.isclose(logs, logs.amax(dim=-1, keepdim=True), atol=1e-6)
    first = torch.zeros_like(logs).scatter_(-1, best.double().argmax(dim=-1, keepdim=True), 1.0)
    return acting(policy, torch.where(torch.isfinite(logs), first, 0.0).log())


def hard_plan(task: hs.Task) -> hs.Policy:
    """Return the policy that plans without error and acts on it: uniform over the best actions."""
    return hs.plan(task, {"step": -1.0}, temperature=1e-6, planner="boltzmann")


def arrival(policy: hs.Policy, start: Hashable, goal: Hashable, *, steps: int = 1000) -> float:
    """Return the probability of being at a goal after some steps, walked in numpy."""
    task = policy.task
    state, action, following, probability = task.transitions.to_triples()
    logs = policy.log_policy.numpy()
    codes = task.states.encode([start, goal])
    mass = np.zeros(len(task.states))
    mass[codes[0]] = 1.0
    for t in range(steps):
        chosen = np.exp(logs if task.horizon is None else logs[t])[state, action]
        staying = np.where(task.terminal.numpy(), mass, 0.0)
        mass = staying + np.bincount(following, mass[state] * chosen * probability, minlength=len(mass))
    return float(mass[codes[1]])


def share_of(policy: hs.Policy, start: Hashable, goal: Hashable) -> float:
    """Return how probable it is to get from a start to a goal before any other end."""
    table = hs.expected_steps(policy, goal=goal)
    return float(table.loc[table["state"] == start, "probability"].iloc[0])
