"""Questions that options of several solvers have to stand."""

import math
import numbers
from collections.abc import Iterable
from typing import Any

from humansoft.errors import Problems


def is_whole(value: Any, least: int) -> bool:  # noqa: ANN401 - whatever a user gives
    """Return whether a value is a whole number (True and False are none) and at least so large.

    Example:
        >>> [is_whole(value, least=1) for value in (3, 0, 2.5, True, "3")]
        [True, False, False, False, False]
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least


def is_number(value: Any) -> bool:  # noqa: ANN401
    """Return whether a value is a finite number; True and False are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def require_whole(options: Any, names: Iterable[str], least: int, problems: Problems) -> None:  # noqa: ANN401
    """Note options that are no whole numbers, or too small."""
    for name in names:
        value = getattr(options, name)
        if not is_whole(value, least):
            problems.add(f"{name}={value!r}; it must be a whole number of at least {least}")


def require_layers(hidden: Any, problems: Problems) -> None:  # noqa: ANN401
    """Note sizes of hidden layers that cannot be."""
    if not isinstance(hidden, tuple | list) or not all(is_whole(size, 1) for size in hidden):
        problems.add(f"hidden={hidden!r}; it is a tuple of whole numbers of at least 1, such as (64, 64)")


def require_above_0(options: Any, names: Iterable[str], problems: Problems) -> None:  # noqa: ANN401
    """Note options that are no finite numbers above 0."""
    for name in names:
        value = getattr(options, name)
        if not (is_number(value) and value > 0):
            problems.add(f"{name}={value!r}; it must be above 0, and a finite number")


def require_share(options: Any, names: Iterable[str], problems: Problems) -> None:  # noqa: ANN401
    """Note options that do not lie between 0 and 1."""
    for name in names:
        value = getattr(options, name)
        if not (is_number(value) and 0 <= value <= 1):
            problems.add(f"{name}={value!r}; it lies between 0 and 1")
