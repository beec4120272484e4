"""Whether parts of fits are the same: tables, covariances, bound models, draws."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from humansoft.fit.arrow import BlockCovariance
from humansoft.model import SoftOptimalModel
from humansoft.packing import same_table
from humansoft.tasks.comparison import same_task


def same_part(one: object, other: object) -> bool:
    """Whether two tables, covariances or plain values are the same."""
    if isinstance(one, pd.DataFrame) and isinstance(other, pd.DataFrame):
        return same_table(one, other)
    if isinstance(one, BlockCovariance) and isinstance(other, BlockCovariance):
        pairs = ((getattr(one, name), getattr(other, name)) for name in ("blocks", "factor", "core", "unknown"))
        return all(np.array_equal(a, b) for a, b in pairs)
    return bool(one == other)


def same_model(one: SoftOptimalModel, other: SoftOptimalModel) -> bool:
    """Whether two bound models have the same task, people, hypothesis and parameters."""
    ours, theirs = one.state_dict(), other.state_dict()
    return (
        (one.planner, one.temperature, one.subjects, one.groups, one.table.rows)
        == (other.planner, other.temperature, other.subjects, other.groups, other.table.rows)
        and one.choice.terms == other.choice.terms
        and same_task(one.task, other.task)
        and ours.keys() == theirs.keys()
        and all(torch.equal(ours[name], theirs[name]) for name in ours)
    )


def same_draws(one: Any, other: Any) -> bool:  # noqa: ANN401 - arviz.InferenceData, an optional library
    """Whether two posteriors hold the same draws; ``None`` is the same as ``None`` alone."""
    if one is None or other is None:
        return one is other
    return bool(one.groups() == other.groups() and all(one[group].equals(other[group]) for group in one.groups()))
