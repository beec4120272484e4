"""Harold Zurcher's bus engines (Rust 1987): monthly table -> decisions and Rust's decision process.

State: mileage since the last replacement in bins of 5,000 miles; every month the engine is kept or
replaced, then the mileage grows by 0, 1 or 2 bins. A replacement starts from bin 0.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.catalogue.dataset import Tables
from humansoft.data.log import BehaviorLog, Columns
from humansoft.data.readers import build_log
from humansoft.errors import DatasetError, LogError, TaskError
from humansoft.tasks.task import Task

MONTHS = "bus_months.csv.gz"
RAW_COLUMNS = ("group", "bus_id", "t", "replaced", "x5000", "dx5000_rust", "done")

KEEP, REPLACE = "keep", "replace"

BINS = 90
"""Rust's grid: 90 bins of 5,000 miles."""

DISCOUNT = 0.9999

UNITS = {"replacement_cost": "per replacement", "maintenance_cost": "per 1,000 bins of mileage and month"}
"""The features and the units of their weights, which at temperature 1 are Rust's RC and theta11."""


def load_log(tables: Tables, groups: Sequence[int]) -> BehaviorLog:
    """Return Rust's estimation sample of some groups of buses; every bus is one subject."""
    sample = decisions(tables.frame(MONTHS, RAW_COLUMNS), groups)
    people = sample[["subject", "group"]].drop_duplicates()
    return build_log(sample, Columns(truncated="truncated"), tables.source, participants=people)


def load_task(tables: Tables, groups: Sequence[int]) -> Task:
    """Return Rust's decision process with the increments of the same buses (his first stage).

    Increments are estimated, so that larger ones than these buses had are unseen, not impossible.
    """
    table = tables.frame(MONTHS, RAW_COLUMNS)
    starts = decisions(table, groups).drop_duplicates("subject")["state"].value_counts(normalize=True)
    task = Task.table(
        transitions(increment_probabilities(table, groups)),
        discount=DISCOUNT,
        probability="probability",
        features=list(UNITS),
        units=UNITS,
        initial={int(str(state)): float(share) for state, share in starts.items()},
    )
    return dataclasses.replace(task, exact=False)


def decisions(table: pd.DataFrame, groups: Sequence[int]) -> pd.DataFrame:
    """Return Rust's estimation sample of some groups of buses, one row a decision.

    Every bus is one subject with one episode. The first month of a bus is dropped, as Rust does;
    the last one counts as a decision, after which only the recording stops.

    Args:
        table: ``bus_months``, one row a bus and month.
        groups: which of the groups 1-9; Rust's Table IX has 4, 1-3 and 1-4.

    Returns:
        Columns subject ("g4-5297"), episode (0), step (month), state (bin), action ("keep" or
        "replace"), group, dx5000_rust (increment as Rust counts it, missing in the last month)
        and truncated (true in the last month).

    Raises:
        DatasetError: when a group does not occur in the table.
    """
    months = _months(table, groups)
    sample = months[months["t"] >= 1].reset_index(drop=True)
    bus = "g" + sample["group"].astype(str) + "-" + sample["bus_id"].astype(str)
    return pd.DataFrame(
        {
            "subject": bus,
            "episode": 0,
            "step": sample["t"],
            "state": sample["x5000"],
            "action": np.where(sample["replaced"] == 1, REPLACE, KEEP),
            "group": sample["group"],
            "dx5000_rust": sample["dx5000_rust"],
            "truncated": sample["done"] == 1,
        }
    )


def increment_probabilities(table: pd.DataFrame, groups: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return the shares [3] of months in which the mileage grew by 0, 1 and 2 bins.

    Rust's first-stage estimate: relative frequencies of the increments that led to the months of
    :func:`decisions` (so the first one leaves the dropped month), with the first mileage of a new
    engine rounded up. Group 4: .3919, .5953, .0128.

    Raises:
        DatasetError: when a group does not occur.
        LogError: when an increment is none of 0, 1, 2.
    """
    increments = _months(table, groups)["dx5000_rust"].dropna().astype(np.int64).to_numpy()
    if increments.min() < 0 or increments.max() > 2:
        found = np.unique(increments).tolist()
        raise LogError(f"column 'dx5000_rust' has increments {found}, expected only 0, 1 and 2")
    return np.bincount(increments, minlength=3) / len(increments)


def transitions(probabilities: Sequence[float] | npt.NDArray[np.float64], n_bins: int = BINS) -> pd.DataFrame:
    """Return the decision process as a long table, one row a state, action and next state.

    What would leave the grid stays in its last bin. The reward is
    ``RC * replacement_cost + theta11 * maintenance_cost`` with Rust's positive RC and theta11.

    Args:
        probabilities: chance that the mileage grows by 0, 1, 2, ... bins in a month.
        n_bins: number of mileage bins.

    Returns:
        Columns state, action, next_state, probability, replacement_cost (-1 for a replacement)
        and maintenance_cost (-0.001 a bin for a kept engine).

    Raises:
        TaskError: when the probabilities are negative or do not sum to 1.

    Example:
        >>> table = transitions([0.5, 0.5], n_bins=2)
        >>> table[["state", "action", "next_state", "probability"]].values.tolist()[:3]
        [[0, 'keep', 0, 0.5], [0, 'keep', 1, 0.5], [0, 'replace', 0, 0.5]]
        >>> float(table["maintenance_cost"].min())
        -0.001
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    if chances.ndim != 1 or (chances < 0).any() or not np.isclose(chances.sum(), 1):
        raise TaskError(f"increment probabilities {chances.tolist()} must be >= 0 and sum to 1")
    bins, increments = np.arange(n_bins), np.arange(len(chances))
    moves = [
        pd.DataFrame(
            {
                "state": np.repeat(bins, len(chances)),
                "action": action,
                "next_state": np.minimum(origin[:, None] + increments, n_bins - 1).ravel(),
                "probability": np.tile(chances, n_bins),
            }
        )
        for action, origin in ((KEEP, bins), (REPLACE, np.zeros_like(bins)))
    ]
    keys = ["state", "action", "next_state"]
    # Several increments may end in the last bin: one row each pair of states.
    table = pd.concat(moves).groupby(keys, as_index=False).agg({"probability": "sum"})
    replaced = table["action"] == REPLACE
    table["replacement_cost"] = np.where(replaced, -1.0, 0.0)
    table["maintenance_cost"] = np.where(replaced, 0.0, -0.001 * table["state"])
    return table


def _months(table: pd.DataFrame, groups: Sequence[int]) -> pd.DataFrame:
    known = sorted(int(group) for group in table["group"].unique())
    unknown = [group for group in groups if group not in known]
    if unknown or not groups:
        raise DatasetError(f"groups {list(groups)}: the table of bus months has groups {known}")
    return table[table["group"].isin(list(groups))]
