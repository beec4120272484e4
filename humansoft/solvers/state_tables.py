"""Numbers of a policy's states as tidy tables."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.solvers.policy import Policy

Array = npt.NDArray[np.float64]


def table_of(policy: Policy, values: Array, by_time: bool) -> pd.DataFrame:
    """Write [T, M] or [T, M, A] values of every row as one tidy table of every person."""
    task = policy.task
    row, state = policy.expansion.row.numpy(), policy.expansion.state.numpy()
    parts = []
    for label, own in zip(policy.subjects.values, policy.row, strict=True):
        place = np.flatnonzero(row == own)
        shape = values[:, place].shape
        if values.ndim == 3:  # only what can be done
            kept = np.broadcast_to(task.playable.numpy()[state[place]], shape)
        else:
            kept = np.ones(shape, dtype=bool)
        where = np.nonzero(kept)
        table = pd.DataFrame({"subject": pd.Series([label], dtype=object).repeat(len(where[0])).to_numpy()})
        if by_time:
            table["time"] = where[0]
        table["state"] = pd.Series(task.states.decode(state[place][where[1]].tolist()))
        if values.ndim == 3:
            table["action"] = pd.Series(task.actions.decode(where[2].tolist()))
        parts.append(table.assign(visits=values[:, place][kept]))
    return pd.concat(parts, ignore_index=True)
