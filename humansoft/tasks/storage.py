"""Tasks as JSON and tensors, for the files of fits and policies."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from humansoft.codebook import Labels
from humansoft.packing import pack, unpack
from humansoft.tasks.goals import Goals
from humansoft.tasks.task import Task
from humansoft.tasks.transitions import Transitions

_PLACES = ("target", "start", "end", "slot")


def task_record(task: Task) -> dict[str, Any]:
    """Return the labels and numbers of a task, for JSON."""
    return {
        "states": pack((task.states if task.goals is None else task.goals.links).values),
        "actions": pack(task.actions.values),
        "contexts": pack(task.contexts.values),
        "feature_units": task.feature_units,
        "discount": task.discount,
        "horizon": task.horizon,
        "exact": task.exact,
    }


def task_tensors(task: Task) -> dict[str, Tensor]:
    """Return its tables by name."""
    tensors = {
        "task.successors": task.transitions.successors,
        "task.probabilities": task.transitions.probabilities,
        "task.available": task.available,
        "task.terminal": task.terminal,
        "task.features": task.features,
        "task.context": task.context,
    }
    if task.goals is not None:
        tensors |= {f"task.{name}": torch.from_numpy(getattr(task.goals, name)) for name in _PLACES}
    return tensors if task.initial is None else {**tensors, "task.initial": task.initial}


def task_of(record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Task:
    """Read a task back."""
    goals = None
    if "task.target" in tensors:
        links = Labels("link", unpack(record["states"]))
        goals = Goals(links, *(tensors[f"task.{name}"].numpy() for name in _PLACES))
    return Task(
        states=Labels("state", unpack(record["states"])) if goals is None else goals.states,
        actions=Labels("action", unpack(record["actions"])),
        transitions=Transitions(tensors["task.successors"], tensors["task.probabilities"]),
        available=tensors["task.available"],
        terminal=tensors["task.terminal"],
        features=tensors["task.features"],
        feature_units=record["feature_units"],
        discount=record["discount"],
        horizon=record["horizon"],
        initial=tensors.get("task.initial"),
        context=tensors["task.context"],
        contexts=Labels("context", unpack(record["contexts"])),
        exact=record["exact"],
        goals=goals,
    )
