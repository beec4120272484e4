"""Observations and actions as an environment speaks of them, checked, as what scores see."""

import numbers
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from humansoft.errors import Problems

_MOST_ROWS = 5


def as_codes(values: npt.NDArray[Any], legal: range, what: str, problems: Problems) -> Int[Tensor, " N"]:
    """Return places in a range of numbers: nothing is rounded, wrapped around or guessed.

    Args:
        values: [N] numbers of an environment.
        legal: those that it has.
        what: what they are ("actions"), for the message.
        problems: where to note values that are none of them.

    Example:
        >>> from humansoft.errors import ModelError
        >>> with Problems("of CartPole-v1", ModelError) as problems:
        ...     as_codes(np.array([1, 2]), range(1, 4), "actions", problems)
        tensor([0, 1])
    """
    given = _real(values)
    fits = np.asarray((given >= legal.start) & (given < legal.stop) & (given == np.floor(given)), dtype=np.bool_)
    if values.ndim != 1:
        problems.add(f"{what} have the shape [N] here, not {list(values.shape)}")
    elif not fits.all():
        problems.add(
            f"{int((~fits).sum()):,} of {len(fits):,} {what} are no whole number from {legal[0]} to {legal[-1]}: "
            f"{_shown(values, ~fits)}"
        )
    return torch.from_numpy(np.where(fits, given - legal.start, 0.0).astype(np.int64).ravel())


def as_vectors(values: npt.NDArray[Any], size: int, what: str, problems: Problems) -> Float[Tensor, "N D"]:
    """Return rows of finite numbers in float64.

    Args:
        values: [N, ...], whose rows have ``size`` numbers.
        size: D.
        what: what they are ("actions"), for the message.
        problems: where to note rows of another length, and rows that hold something else.
    """
    flat = _real(values).reshape(len(values) if values.ndim else 1, -1)
    if flat.shape[1] != size:
        problems.add(
            f"one of the {what} has {size} numbers, not {flat.shape[1]}: give an array of the shape [N, {size}]"
        )
    unknown = np.asarray(~np.isfinite(flat).all(axis=1), dtype=np.bool_)
    if unknown.any():
        problems.add(
            f"{int(unknown.sum()):,} of {len(flat):,} {what} hold something that is no finite number: "
            f"{_shown(np.asarray(values).reshape(flat.shape), unknown)}"
        )
    return torch.from_numpy(flat)


def _real(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return an array in float64, not a number where it holds something else."""
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    only = [float(value) if isinstance(value, numbers.Real) else np.nan for value in values.ravel().tolist()]
    return np.array(only, dtype=np.float64).reshape(values.shape)


def _shown(values: npt.NDArray[Any], wrong: npt.NDArray[np.bool_]) -> str:
    """Show the first rows that are wrong."""
    places = np.flatnonzero(wrong)
    shown = ", ".join(f"row {place} is {values[place : place + 1].tolist()[0]!r}" for place in places[:_MOST_ROWS])
    return shown + (", ..." if len(places) > _MOST_ROWS else "")
