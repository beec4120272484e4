"""What was solved of a network, as tensors: for whom, for which goals, and from what; reading it solves it again."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from humansoft.solvers.goal_expansion import GoalExpansion
from humansoft.solvers.goals import GoalSolution, solve_scaled
from humansoft.solvers.solution import SoftSolution
from humansoft.solvers.stored_expansion import solution_of, solution_record, solution_tensors
from humansoft.tasks.lookup import network_of
from humansoft.tasks.task import Task


def goal_tensors(expansion: GoalExpansion, solution: SoftSolution) -> dict[str, Tensor]:
    """Return the (row, goal) pairs, and what they were solved from: far fewer numbers than the solution has."""
    pairs = torch.from_numpy(expansion.pair_row * len(expansion.goals.target) + expansion.pair_goal)
    if not isinstance(solution, GoalSolution):  # solved as one problem
        return {"goals.pairs": pairs, **solution_tensors(solution)}
    asked = {"goals.rho": solution.rho, "goals.temperature": solution.temperature}
    return {"goals.pairs": pairs, **{name: table.detach() for name, table in asked.items()}}


def goal_record(expansion: GoalExpansion, solution: SoftSolution) -> dict[str, Any]:
    """Return what is not a tensor."""
    return {**solution_record(solution), "is_counted": expansion.is_counted, "num_rows": len(expansion.block)}


def goals_of(
    record: Mapping[str, Any], tensors: Mapping[str, Tensor], task: Task
) -> tuple[GoalExpansion, SoftSolution]:
    """Read both back."""
    network = network_of(task)
    pairs = tensors["goals.pairs"].numpy()
    expansion = GoalExpansion(task, network, record["is_counted"], pairs, record["num_rows"])
    if "goals.rho" not in tensors:
        return expansion, solution_of(record, tensors)
    return expansion, solve_scaled(expansion, tensors["goals.rho"], tensors["goals.temperature"])
