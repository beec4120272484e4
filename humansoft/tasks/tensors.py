"""From the flat lists of a decision process to the tables of a task."""

from typing import Any

import numpy as np
import torch

from humansoft._types import DTYPE
from humansoft.codebook import Labels
from humansoft.tasks.parts import TaskParts
from humansoft.tasks.transitions import Transitions


def tables_of(parts: TaskParts) -> dict[str, Any]:
    """Return the fields of a task (but its times) by name; the parts must have been checked."""
    size, num_actions = len(parts.states), len(parts.actions)
    pair = parts.state * num_actions + parts.action
    total = np.bincount(pair, weights=parts.probability, minlength=size * num_actions)
    share = parts.probability / total[pair]  # text tables carry about six digits
    names = [label[0] for label in parts.states.values] if parts.contextual else [None] * size  # type: ignore[index]
    contexts = Labels("context", tuple(dict.fromkeys(names)))
    return {
        "states": parts.states if parts.goals is None else parts.goals.states,
        "actions": parts.actions,
        "transitions": Transitions.of_triples(parts.state, parts.action, parts.next_state, share, size, num_actions),
        "available": torch.from_numpy((total > 0).reshape(size, num_actions)),
        "terminal": torch.from_numpy(parts.terminal),
        "features": torch.from_numpy(parts.features).to(DTYPE),
        "feature_units": dict(parts.feature_units),
        "initial": None if parts.initial is None else torch.from_numpy(parts.initial).to(DTYPE),
        "context": torch.from_numpy(contexts.encode(names)),
        "contexts": contexts if parts.goals is None else parts.goals.labels,
        "exact": parts.exact,
        "goals": parts.goals,
    }
