"""Is this a decision process? What every builder's parts must fulfil before they become a task."""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from humansoft.codebook import Labels
from humansoft.errors import Problems, TaskError, did_you_mean, shortlist
from humansoft.tasks.parts import Real, TaskParts

_ROUNDING = 1e-6  # text tables carry about six digits; sums that close to 1 are made exact


def check_parts(parts: TaskParts, discount: float, horizon: int | None) -> None:
    """Refuse parts that do not make a decision process.

    Raises:
        TaskError: all problems at once.
    """
    with Problems(parts.source, TaskError) as problems:
        _check_time(parts, discount, horizon, problems)
        _check_probabilities(parts, problems)
        for k, name in enumerate(parts.feature_units):
            _check_finite(name, parts.features[:, :, k], parts.states, problems)
        leaving = np.zeros(len(parts.states), dtype=bool)
        leaving[parts.state] = True
        stuck = np.flatnonzero(~leaving & ~parts.terminal)
        if len(stuck):
            problems.add(f"states {shortlist(parts.states.decode(stuck.tolist()))} are not terminal but have no action")
        undead = np.flatnonzero(leaving & parts.terminal)
        if len(undead):
            problems.add(f"states {shortlist(parts.states.decode(undead.tolist()))} are terminal but have actions")


def checked_features(
    given: Mapping[str, npt.ArrayLike],
    units: Mapping[str, str],
    existing: Collection[str],
    states: Labels,
    actions: Labels,
) -> Real:
    """Return features given per state (and action) as one array [S, A, F].

    Raises:
        TaskError: wrong shape, NaN or infinite values, a name that exists, a unit of no feature.
    """
    shape = (len(states), len(actions))
    values = np.zeros((*shape, len(given)))
    with Problems("the features", TaskError) as problems:
        for name in units.keys() - given.keys():
            problems.add(f"there is a unit for {name!r} but no such feature.{did_you_mean(name, given)}")
        for f, (name, column) in enumerate(given.items()):
            column = np.asarray(column, dtype=np.float64)
            column = column[:, None] if column.ndim == 1 else column
            if name in existing:
                problems.add(f"feature {name!r} exists already")
            if column.shape not in (shape, (shape[0], 1)):
                problems.add(f"feature {name!r} has shape {column.shape}, the task needs {shape}")
            else:
                values[:, :, f] = column
                _check_finite(name, column, states, problems)
    return values


def _check_finite(name: str, values: Real, states: Labels, problems: Problems) -> None:
    """Note the states in which a feature [S, A] is NaN or infinite."""
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        where = shortlist(states.decode(np.flatnonzero(bad).tolist()), 3)
        problems.add(f"feature {name!r} is NaN or infinite in {int(bad.sum())} states: {where}")


def _check_time(parts: TaskParts, discount: float, horizon: int | None, problems: Problems) -> None:
    if not 0 <= discount <= 1:
        problems.add(f"discount={discount} must lie in [0, 1]")
    if parts.goals is not None and (discount != 1 or horizon is not None):
        problems.add("on a network nothing is discounted and trips have no fixed length: use discount=1, no horizon")
    if horizon is not None and (horizon < 1 or int(horizon) != horizon):
        problems.add(f"horizon={horizon} must be a whole number of decisions, at least 1")
    if discount == 1 and horizon is None and parts.goals is None and not parts.terminal.any():
        problems.add("discount 1 without terminal states or a horizon: values are infinite; use a discount below 1")


def _check_probabilities(parts: TaskParts, problems: Problems) -> None:
    if parts.initial is not None and not (np.abs(parts.initial.sum() - 1) <= _ROUNDING and (parts.initial >= 0).all()):
        problems.add("the start probabilities must be at least 0 and sum to 1")
    p = parts.probability
    bad = np.flatnonzero(~np.isfinite(p) | (p < 0))
    if len(bad):
        where = (parts.states.values[parts.state[bad[0]]], parts.actions.values[parts.action[bad[0]]])
        problems.add(f"{len(bad)} probabilities are negative or not numbers, first {p[bad[0]]} at {where}")
        return
    key = parts.state * len(parts.actions) + parts.action
    pairs, inverse = np.unique(key, return_inverse=True)
    total = np.bincount(inverse, weights=p, minlength=len(pairs))
    off = np.flatnonzero(np.abs(total - 1) > _ROUNDING)
    if len(off):
        s, a = divmod(int(pairs[off[0]]), len(parts.actions))
        problems.add(
            f"probabilities of {len(off)} (state, action) pairs do not sum to 1, first "
            f"({parts.states.values[s]!r}, {parts.actions.values[a]!r}): {total[off[0]]:.6g}"
        )
