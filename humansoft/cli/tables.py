"""Tables for people (80 columns, few digits, the first rows) and for programs (records)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

MOST_ROWS = 20
"""So many rows of a long table are printed."""


def print_table(
    title: str,
    columns: Mapping[str, Sequence[str]],
    *,
    text: Sequence[str] = (),
    most: int = MOST_ROWS,
    total: int | None = None,
) -> None:
    """Print the first rows of a table to stdout.

    Args:
        title: what it shows, with its unit.
        columns: header -> cells.
        text: headers of the columns that hold words; the others hold numbers and are aligned right.
        most: number of rows to print; the rest is only counted.
        total: number of rows there are, where the cells are not all of them.
    """
    # Cells are Text, lest labels like "[1]" be taken for markup.
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in columns:
        table.add_column(Text(header), justify="left" if header in text else "right", overflow="fold")
    cells = list(zip(*columns.values(), strict=True))
    for row in cells[:most]:
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    console.print(Text(title, "bold"))  # not the table's own title, which is wrapped to the table's width
    console.print(table)
    rest = (total or len(cells)) - len(cells[:most])
    if rest > 0:
        console.print(Text(f"... {rest:,} more (use -o or --json)", "dim"))


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one record a row; a named index becomes ordinary columns."""
    named = [name for name in table.index.names if name is not None]
    flat = table.reset_index() if named else table
    return [dict(zip(map(str, flat.columns), row, strict=True)) for row in flat.itertuples(index=False, name=None)]


def number(value: float, digits: int = 3) -> str:
    """Write a number with few significant digits, and large ones in full.

    Example:
        >>> [number(v) for v in (0.07123, 5.0, 1234.5, float("nan"), float("inf"))]
        ['0.0712', '5.00', '1,234', '', 'inf']
    """
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    if 1000 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def numbers(values: Iterable[float], digits: int = 3) -> list[str]:
    """Write a column of numbers."""
    return [number(float(value), digits) for value in values]


def percent(share: float) -> str:
    """Write a share as a percentage."""
    return "" if math.isnan(share) else f"{100 * share:.1f} %"


def interval(low: float, high: float) -> str:
    """Write a 95 % interval; one that is open to one side as a bound.

    Example:
        >>> interval(0.5, 2.0), interval(0.0, 0.31), interval(-math.inf, 0.31), interval(1.5, math.inf)
        ('0.500 to 2.00', '< 0.310', '< 0.310', '> 1.50')
    """
    if math.isnan(low) or math.isnan(high):
        return ""
    # The exponential of an interval that is open below begins at 0, which no estimate of a temperature does.
    if low in (-math.inf, 0.0):
        return "any" if high == math.inf else f"< {number(high)}"
    return f"> {number(low)}" if high == math.inf else f"{number(low)} to {number(high)}"


def label(value: object) -> str:
    """Write a label: text as it is, several parts with commas between them."""
    if isinstance(value, tuple):
        return ", ".join(label(part) for part in value)
    return "" if value is None else str(value)


def labels(values: Iterable[object]) -> list[str]:
    """Write a column of labels."""
    return [label(value) for value in values]


def counted(count: int, thing: str, things: str | None = None) -> str:
    """Say how many of something there are.

    Example:
        >>> counted(1, "person", "people"), counted(1200, "decision")
        ('1 person', '1,200 decisions')
    """
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"
