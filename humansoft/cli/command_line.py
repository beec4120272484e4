"""The command line itself: how errors become sentences and exit codes."""

import sys
import warnings
from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup

from humansoft.cli.outcome import print_json_error, report_error, show_warning
from humansoft.errors import HumansoftError


class CommandLine(TyperGroup):
    """The group of all commands; turns errors that a user can act on into a sentence and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,  # noqa: ANN401 - as in Typer
    ) -> Any:  # noqa: ANN401
        """Run the program; with ``--json``, usage errors become JSON too."""
        as_json = "--json" in (sys.argv[1:] if args is None else args)
        try:
            with warnings.catch_warnings():
                warnings.showwarning = show_warning
                code = super().main(
                    args, prog_name, complete_var, standalone_mode and not as_json, windows_expand_args, **extra
                )
        except HumansoftError as error:
            code = report_error(error, as_json)
        except Exception as error:
            # Typer's own errors, which have no public root in all its versions, carry a message and an exit code.
            if not (as_json and hasattr(error, "format_message") and hasattr(error, "exit_code")):
                raise
            code = error.exit_code
            print_json_error("UsageError", error.format_message(), code)
        if standalone_mode:
            sys.exit(code or 0)
        return code
