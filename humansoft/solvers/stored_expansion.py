"""What was solved of a task, as tensors: layout, tables and choice rule of a policy."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from humansoft.solvers.choosing import ChoiceRule
from humansoft.solvers.expansion import Expansion
from humansoft.solvers.problem import Problem
from humansoft.solvers.solution import SoftSolution, SolveStatus

_PROBLEM, _TABLES = ("successors", "probabilities", "log_prior"), ("value", "q", "log_policy")


def expansion_tensors(expansion: Expansion) -> dict[str, Tensor]:
    """Return the layout of what was solved, and its decision process."""
    places = {name: torch.from_numpy(getattr(expansion, name)) for name in ("block", "local")}
    return {
        **{f"problem.{name}": getattr(expansion.problem, name) for name in _PROBLEM},
        "problem.block_sizes": torch.tensor(expansion.problem.block_sizes, dtype=torch.int64),
        "expansion.state": expansion.state,
        "expansion.row": expansion.row,
        **{f"expansion.{name}": place for name, place in places.items()},
    }


def expansion_of(tensors: Mapping[str, Tensor], discount: float, horizon: int | None) -> Expansion:
    """Read it back."""
    problem = Problem(
        **{name: tensors[f"problem.{name}"] for name in _PROBLEM},
        discount=discount,
        horizon=horizon,
        block_sizes=tuple(tensors["problem.block_sizes"].tolist()),
    )
    block, local = (tensors[f"expansion.{name}"].numpy() for name in ("block", "local"))
    return Expansion(problem, tensors["expansion.state"], tensors["expansion.row"], block, local)


def solution_tensors(solution: SoftSolution) -> dict[str, Tensor]:
    """Return the tables of a solution."""
    return {f"solution.{name}": getattr(solution, name) for name in _TABLES}


def solution_record(solution: SoftSolution) -> dict[str, Any]:
    """Return how it was found."""
    return {"status": solution.status.name, "num_steps": solution.num_steps, "residual": solution.residual}


def solution_of(record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> SoftSolution:
    """Read both back."""
    value, q, log_policy = (tensors[f"solution.{name}"] for name in _TABLES)
    status = SolveStatus[record["status"]]
    return SoftSolution(value, q, log_policy, status, record["num_steps"], record["residual"])


def choice_record(rule: ChoiceRule | None) -> dict[str, Any] | None:
    """Return which habits and slips there are, with their numbers."""
    if rule is None:
        return None
    weights = rule.weights.tolist()
    return {"weights": weights, "sticks_within": rule.sticks_within, "biased": list(rule.biased), "lapses": rule.lapses}


def choice_of(record: Mapping[str, Any] | None) -> ChoiceRule | None:
    """Read them back."""
    if record is None:
        return None
    weights = torch.tensor(record["weights"], dtype=torch.float64)
    return ChoiceRule(weights, record["sticks_within"], tuple(record["biased"]), record["lapses"])
