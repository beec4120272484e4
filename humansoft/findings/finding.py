"""Finding: one kind of problem of a log, and the rows that have it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from humansoft.findings.alignment import Mask

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, eq=False)
class Finding:
    """One kind of problem and the rows that have it (maybe none).

    Attributes:
        problem: short stable key.
        severity: "error" (cannot be fitted), "warning" (probably not meant) or "note" (normal, but counted).
        rows: [N] true on the rows concerned.
        what: what these rows do, to follow "3 of 120 rows".
        example: shows the problem in one row, the first.
        advice: what to do about it, or what is done about it.
        shown: [N] true on the rows to name, where these are not the first of ``rows``.
    """

    problem: str
    severity: Severity
    rows: Mask
    what: str
    example: Callable[[int], str] | None = None
    advice: str = ""
    shown: Mask | None = None
