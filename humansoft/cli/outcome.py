"""How a command ends: exit codes, errors as a sentence or as JSON, warnings as sentences."""

from typing import Any

from humansoft.cli.terminal import print_error, print_json
from humansoft.errors import (
    DatasetError,
    HumansoftError,
    IdentificationError,
    LogError,
    NotConvergedError,
    RunError,
    SolveError,
    TaskError,
)

USAGE, NOT_IDENTIFIED, NOT_CONVERGED, INVALID_DATA = 2, 3, 4, 5

_CODES: tuple[tuple[type[HumansoftError], int], ...] = (
    (IdentificationError, NOT_IDENTIFIED),
    (SolveError, NOT_CONVERGED),
    (NotConvergedError, NOT_CONVERGED),
    (LogError, INVALID_DATA),
    (TaskError, INVALID_DATA),
    (DatasetError, INVALID_DATA),
    (RunError, INVALID_DATA),
)

_OPTIONS = {
    "fixed={": "--fixed NAME=VALUE",
    "temperature=Fixed(": "--temperature fixed",
    "temperature=PerSubject(": "--temperature per_subject",
    "temperature=PerGroup(": "--temperature per_group --group COLUMN",
    "Lapse(": "--choice lapse",
    "Stickiness(": "--choice stickiness",
    "ActionBias(": "--choice action_bias",
    "method='hierarchical'": "--method hierarchical",
    "method='posterior'": "--method posterior",
    "integrate='laplace'": "--integrate laplace",
    "integrate='quadrature'": "--integrate quadrature",
    "tune and draws": "--tune and --draws",
    "chains=": "--chains",
    "LinearReward(shared=True)": "leaving out --own-rewards",
    "allow_unidentified=True": "--allow-unidentified",
    "=None": "none, as in --subject none",
    "seed=": "--seed",
    "log=...": "--log FILE",
    "unit='episode'": "--unit episode",
    "max_steps": "--max-steps",
    "participants=": "--participants FILE",
    "on_unknown=": "--on-unknown",
}
"""What messages call by its Python name, and the option that it is here."""


def as_options(message: str) -> str:
    """Say which options stand for the Python words of a message; empty if it has none."""
    found = [f"{words.rstrip('=({')} is {option}" for words, option in _OPTIONS.items() if words in message]
    return f"On the command line: {'; '.join(found)}." if found else ""


def exit_code_of(error: HumansoftError) -> int:
    """Return the exit code of an error: 2 where the user asked for something that does not exist."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), USAGE)


def report_error(error: HumansoftError, as_json: bool) -> int:
    """Show an error that a user can act on, and return its exit code."""
    code = exit_code_of(error)
    if as_json:
        print_json_error(type(error).__name__, str(error), code)
    else:
        print_error(str(error))
        if as_options(str(error)):
            print_error(as_options(str(error)), heading="")
    return code


def show_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:  # noqa: ANN401
    """Show a warning as a sentence on stderr, in the place of :func:`warnings.showwarning`."""
    del place, more
    print_error(str(message), heading=f"{category.__name__}: ")
    if as_options(str(message)):
        print_error(as_options(str(message)), heading="")


def print_json_error(kind: str, message: str, code: int) -> None:
    """Print an error as the one JSON document of a command."""
    print_json({"error": {"kind": kind, "message": message, "exit_code": code}})
