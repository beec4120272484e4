"""What reaches the terminal: results on stdout, errors and progress on stderr, JSON that is valid."""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text


def say(text: str) -> None:
    """Print a sentence to stdout, wrapped only for a terminal; brackets in it are not markup."""
    console = Console()
    console.print(Text(text), soft_wrap=not console.is_terminal)


def print_error(message: str, heading: str = "Error: ") -> None:
    """Print an error to stderr, unwrapped, so that it can be searched and copied."""
    Console(stderr=True).print(Text.assemble((heading, "bold red"), message), soft_wrap=True)


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document to stdout."""
    sys.stdout.write(json.dumps(to_plain(document), allow_nan=False, ensure_ascii=False, indent=1) + "\n")


def to_plain(value: Any) -> Any:  # noqa: ANN401 - anything that a table or a record holds
    """Turn a value into what JSON knows: missing is null, infinite is text, tuples are lists."""
    if isinstance(value, Mapping):
        return {str(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(entry) for entry in value]
    if hasattr(value, "item") and not isinstance(value, str):  # a number of numpy
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    # The missing values of pandas are not equal to themselves, or cannot say; nothing else is like that.
    return None if str(value) in ("<NA>", "NaT") else str(value)


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner and the time on stderr while something takes long.

    Nothing is shown where nobody looks: when stderr is not a terminal.

    Yields:
        A function that changes the words beside the spinner.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # 0.1 s: only when shown

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)

        def change(text: str) -> None:
            progress.update(task, description=text)

        yield change


def relative(path: Path) -> str:
    """Show a path as short as it is understood from here."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
