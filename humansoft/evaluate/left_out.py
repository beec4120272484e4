"""A unit that was left out of a fit: how well it is predicted, and how far that can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Real = npt.NDArray[np.float64]

REFITTED = "refitted"
"""How a unit is marked that was predicted by fitting the others alone."""

REFIT = "refit"
"""How a unit is marked whose score cannot be trusted without fitting the others alone."""

MOST_LEVERAGE = 0.3
"""Share of what is known of some direction, from which what one unit adds cannot be taken off by one step."""


@dataclass(frozen=True)
class Left:
    """A unit that was left out.

    Attributes:
        log_predictive: its log probability under the estimates without it.
        leverage: largest share of what is known of any direction that it alone knows.
        mark: "", "refitted" or "refit".
    """

    log_predictive: float
    leverage: float
    mark: str


def table_of(index: "pd.Index[Any]", num_decisions: Real, before: Real, found: Sequence[Left] | None) -> pd.DataFrame:
    """Return one row a unit: num_decisions, log_likelihood, log_predictive, leverage and mark.

    Args:
        index: labels of the units.
        num_decisions: [U] of each.
        before: [U] their log-likelihood, with them.
        found: what leaving each of them out gave; ``None``: nothing is learned of them.
    """
    left = [Left(float(value), 0.0, "") for value in before] if found is None else found
    return pd.DataFrame(
        {
            "num_decisions": num_decisions,
            "log_likelihood": before,
            "log_predictive": [one.log_predictive for one in left],
            "leverage": [one.leverage for one in left],
            "mark": [one.mark for one in left],
        },
        index=index,
    )
