"""Whether two tasks are the same one."""

import torch

from humansoft.tasks.task import Task


def same_task(one: Task, other: Task) -> bool:
    """Return whether two tasks have the same labels, transitions, features and ends."""
    plain = ("states", "actions", "feature_units", "discount", "horizon", "contexts", "exact")
    tensors = ("available", "terminal", "features", "context")
    if (one.goals is None) != (other.goals is None):
        return False
    return (
        all(getattr(one, name) == getattr(other, name) for name in plain)
        and all(torch.equal(getattr(one, name), getattr(other, name)) for name in tensors)
        and torch.equal(one.transitions.successors, other.transitions.successors)
        and torch.equal(one.transitions.probabilities, other.transitions.probabilities)
    )
