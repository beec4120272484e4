"""Three planners are three hypotheses about people; they differ in what the plan is measured against."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.errors import ModelError, Problems
from humansoft.tasks.task import Task

Planner = Literal["kl", "entropy", "boltzmann"]
PLANNERS: tuple[Planner, ...] = ("kl", "entropy", "boltzmann")


def log_prior(task: Task, planner: Planner, prior: Float[Tensor, "S A"] | None) -> Float[Tensor, "S A"]:
    """Return the log reference policy of a planner; -inf where the action cannot be chosen.

    "kl": uniform over available actions, or the given one. "entropy" and "boltzmann": 0, the counting
    measure.
    """
    reference = torch.zeros(task.available.shape, dtype=DTYPE)
    if planner == "kl" and prior is None:
        # integers would be rounded to float32 by the logarithm
        reference = reference - task.available.sum(dim=-1, keepdim=True).clamp_min(1).to(DTYPE).log()
    elif planner == "kl" and prior is not None:
        reference = prior.log()
    return torch.where(task.playable, reference, -torch.inf)


def refuse_for_networks(planner: Planner, prior: object, solver: object, device: torch.device) -> None:
    """Refuse what a network, solved for all its goals at once, does not offer.

    Raises:
        ModelError: all of it at once.
    """
    with Problems("the model of a network", ModelError) as problems:
        if planner == "boltzmann":
            problems.add("planner 'boltzmann' is not offered for networks; use 'entropy' or 'kl'")
        if prior is not None:
            problems.add("a network has no table of states and actions for prior=; planner='kl' weighs all turns alike")
        if solver is not None:
            problems.add("a network has its own solver; leave out solver=")
        if device.type != "cpu":
            problems.add("a network is solved on the CPU; leave out device=")


def checked_prior(prior: npt.ArrayLike, task: Task, planner: Planner) -> Float[Tensor, "S A"]:
    """Return a user's reference policy [S, A] as a tensor.

    Raises:
        ModelError: wrong shape, zero or negative entries, rows that do not sum to 1, another planner.
    """
    table = torch.as_tensor(np.asarray(prior, dtype=np.float64))
    with Problems("the prior policy", ModelError) as problems:
        if planner != "kl":
            problems.add(f"planner {planner!r} has no reference policy; use planner='kl'")
        if table.shape != task.available.shape:
            problems.add(f"it has shape {tuple(table.shape)}, the task needs {tuple(task.available.shape)}")
        elif not bool((table[task.available] > 0).all()):
            problems.add("every available action needs a probability above 0")
        else:
            table = torch.where(task.available, table, 0.0)
            total = table.sum(dim=-1)[~task.terminal]
            if not torch.allclose(total, torch.ones_like(total), atol=1e-6):
                problems.add("the probabilities of the available actions must sum to 1 in every state")
    return table
