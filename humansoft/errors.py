"""One small error tree, numbered lists of problems, and "did you mean".

Every error says what is wrong, where, and what to do. The classes also inherit the built-in
exception that fits, so that ``except ValueError`` keeps working.
"""

import difflib
from collections.abc import Hashable, Iterable, Sequence
from types import TracebackType
from typing import Self


class HumansoftError(Exception):
    """Root of all errors that a user can act on."""


class UsageError(HumansoftError, ValueError):
    """A verb was called with options that do not exist or do not go together."""


class LogError(HumansoftError, ValueError):
    """The behavior log is not valid, or does not belong to the task."""


class TaskError(HumansoftError, ValueError):
    """The description of the task is not a valid decision process."""


class ModelError(HumansoftError, ValueError):
    """The model's parts do not go together (unknown feature, subject or group)."""


class IdentificationError(HumansoftError, ValueError):
    """The data cannot tell the parameters apart, or a comparison is not lawful."""


class SolveError(HumansoftError, RuntimeError):
    """The soft Bellman equation has no finite solution, or none was reached."""


class SolveWarning(UserWarning):
    """A policy was learned, but it is not near the solution of the soft Bellman equation."""


class NewcomerWarning(UserWarning):
    """People whom a fit does not know count as the average person, though it knows what explains temperatures."""


class WorldError(HumansoftError, RuntimeError):
    """An environment that was acted in failed, or gave something that nobody can learn from."""


class NotConvergedError(HumansoftError, RuntimeError):
    """A fit stopped before its optimum and the caller asked for a converged one."""


class NotAvailableError(HumansoftError, LookupError):
    """Something was asked of a result that it does not hold; the message says why."""


class DatasetError(HumansoftError, LookupError):
    """A data set is unknown, absent from this machine, or fails its checksum."""


class RunError(HumansoftError, OSError):
    """A saved run cannot be read (file missing, edited or of another version)."""


class Problems:
    """Collects every problem of one input and raises them together, numbered.

    Example:
        >>> with Problems("2 columns were asked for", LogError) as problems:
        ...     problems.add("no column 'subject'")
        Traceback (most recent call last):
            ...
        humansoft.errors.LogError: 2 columns were asked for: no column 'subject'
    """

    def __init__(self, subject: str, error: type[HumansoftError]) -> None:
        """Start an empty list; ``subject`` opens the message ("the log log.csv")."""
        self.subject = subject
        self.error = error
        self.messages: list[str] = []

    def add(self, message: str) -> None:
        """Note one problem."""
        self.messages.append(message)

    def raise_if_any(self) -> None:
        """Raise ``error`` with all problems noted so far; do nothing when there are none."""
        if self.messages:
            raise self.error(f"{self.subject}: {numbered(self.messages)}")

    def __enter__(self) -> Self:
        """Collect within a ``with`` block; the end of the block raises."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise what was collected, unless another error is already on its way."""
        if kind is None:
            self.raise_if_any()


def numbered(messages: Sequence[str]) -> str:
    """Join messages: one stays a plain sentence, several become a numbered list."""
    if len(messages) == 1:
        return messages[0]
    lines = "".join(f"\n  {i}. {message}" for i, message in enumerate(messages, 1))
    return f"{len(messages)} problems{lines}"


def did_you_mean(name: Hashable, known: Iterable[Hashable]) -> str:
    """Return " Did you mean 'x'?" for a near miss among ``known``, else the known names.

    Example:
        >>> did_you_mean("actoin", ["action", "state"])
        " Did you mean 'action'?"
    """
    known = list(known)
    return near_miss(name, known) or f" Known: {shortlist(known)}."


def near_miss(name: Hashable, known: Iterable[Hashable]) -> str:
    """Return " Did you mean 'x'?" for a near miss among ``known``, else nothing.

    Example:
        >>> near_miss("actoin", ["action", "state"]), near_miss("reward", ["action", "state"])
        (" Did you mean 'action'?", '')
    """
    known = list(known)
    twins = [k for k in known if str(k) == str(name)]
    if twins:
        return (
            f" {twins[0]!r} ({type(twins[0]).__name__}) is known, this is {name!r} "
            f"({type(name).__name__}): make the types agree (for example column.astype({type(twins[0]).__name__!r}))."
        )
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f" Did you mean {next(k for k in known if str(k) == near[0])!r}?" if near else ""


def refuse_text(name: str, given: object, error: type[HumansoftError]) -> None:
    """Refuse text where a list is meant, whose letters would be taken for its items.

    Example:
        >>> refuse_text("features", "minutes", UsageError)
        Traceback (most recent call last):
            ...
        humansoft.errors.UsageError: features='minutes' is one text where a list is meant: features=['minutes']
    """
    if isinstance(given, str):
        raise error(f"{name}={given!r} is one text where a list is meant: {name}=[{given!r}]")


def shortlist(items: Iterable[object], most: int = 8) -> str:
    """Show the first few items and how many more there are.

    Example:
        >>> shortlist(range(12), most=3)
        '0, 1, 2 (and 9 more)'
    """
    items = list(items)
    shown = ", ".join(repr(item) for item in items[:most])
    return shown + (f" (and {len(items) - most} more)" if len(items) > most else "")
