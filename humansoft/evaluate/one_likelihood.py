"""Models that are one likelihood in other words: no data of their kind tell them apart."""

from collections.abc import Mapping
from itertools import combinations

from humansoft.fit.identification import ONE_LIKELIHOOD
from humansoft.fit.result import Fit
from humansoft.tasks.comparison import same_task

_NATS = 1e-4


def twins_of(fits: Mapping[str, Fit]) -> dict[str, list[str]]:
    """Return which models are one likelihood: kl and entropy planners that differ in nothing else."""
    twins: dict[str, list[str]] = {name: [] for name in fits}
    for one, other in combinations(fits, 2):
        if _are_twins(fits[one], fits[other]):
            twins[one].append(other)
            twins[other].append(one)
    return twins


def _are_twins(one: Fit, other: Fit) -> bool:
    ours, theirs = one.model, other.model
    # What is at a boundary is held fixed in one of them, perhaps, and not in the other.
    rows = [[(r.name, r.kind, r.level, r.label, r.unit) for r in model.table.rows] for model in (ours, theirs)]
    return (
        {ours.planner, theirs.planner} == {"kl", "entropy"}
        and all(any(ONE_LIKELIHOOD in note for note in fit.notes) for fit in (one, other))
        and ours.temperature == theirs.temperature
        and rows[0] == rows[1]
        and repr(ours.reward) == repr(theirs.reward)
        and same_task(ours.task, theirs.task)
        and predict_alike(one, other)
    )


def predict_alike(one: Fit, other: Fit) -> bool:
    """Say whether two fits have one log-likelihood, with as many parameters."""
    return one.rank == other.rank and abs(one.log_likelihood - other.log_likelihood) < _NATS
