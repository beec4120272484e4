"""How a command ends: exit codes, and errors as a sentence or as JSON."""

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

_SPELLING = (
    # Messages speak Python; whoever types commands needs the same words as options.
    "On the command line: fixed={'step': -1} is --fixed step=-1, temperature=Fixed(1) is --temperature fixed, "
    "LinearReward(shared=True) is the default (leave out --own-rewards), allow_unidentified=True is "
    "--allow-unidentified."
)


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
        if code == NOT_IDENTIFIED:
            print_error(_SPELLING, heading="")
    return code


def print_json_error(kind: str, message: str, code: int) -> None:
    """Print an error as the one JSON document of a command."""
    print_json({"error": {"kind": kind, "message": message, "exit_code": code}})
