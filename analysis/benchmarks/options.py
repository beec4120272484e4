"""What the benchmarks' command lines have in common."""

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

from analysis.benchmarks.environments import default_folder
from humansoft.errors import did_you_mean


def add_common(parser: argparse.ArgumentParser, timeout: float) -> None:
    """Add where rows and peers go, and how long a process may take."""
    parser.add_argument("--json", type=Path, help="file for the rows")
    parser.add_argument("--markdown", type=Path, help="file for the table")
    parser.add_argument("--environments", type=Path, default=default_folder(), help="folder of the peers' environments")
    text = f"seconds a process may take (default {timeout:g})"
    parser.add_argument("--timeout", type=float, default=timeout, help=text)


def require_known(
    parser: argparse.ArgumentParser, names: Sequence[str], known: Collection[str], what: str = ""
) -> None:
    """End with a sentence where a name is none of those there are."""
    for name in names:
        if name not in known:
            parser.error(f"there is no {what}{name!r}.{did_you_mean(name, known)} There are: {', '.join(known)}")
