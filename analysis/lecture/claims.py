"""A claim of the lecture: its sentence, the numbers that test it, and where the sentence needs care."""

from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from analysis.rows import Row


@dataclass(frozen=True)
class Args:
    """Options."""

    quick: bool = False
    """Smaller samples and fewer iterations."""

    json: Path | None = None
    """File to write the rows to."""

    figures: Path | None = None
    """Folder to draw the figures into (PNG; needs the extra "plots")."""


@dataclass(frozen=True)
class Claim:
    """One sentence of the lecture, tested.

    Attributes:
        number: its number in the list of claims, as "A2".
        sentence: what the lecture says.
        rows: what was measured, beside what should come out.
        care: where the sentence needs care, as a sentence; empty where it does not.
    """

    number: str
    sentence: str
    rows: tuple[Row, ...]
    care: str = ""

    @property
    def holds(self) -> bool:
        """Whether every number with a reference agrees."""
        return all(row.ok is not False for row in self.rows)

    def as_dicts(self) -> list[dict[str, object]]:
        """Return the rows for a JSON file; their names begin with the number of the claim."""
        return [row.as_dict() | {"name": f"{self.number}/{row.name}"} for row in self.rows]


def zero(name: str, value: float, tolerance: float) -> Row:
    """Return a difference that should vanish."""
    return Row(name, value, "0", tolerance)


def at_most(name: str, value: float, bound: float) -> Row:
    """Return a number that has an upper bound."""
    return Row(name, value, repr(float(bound)), sense="at_most")


def at_least(name: str, value: float, bound: float) -> Row:
    """Return a number that has a lower bound."""
    return Row(name, value, repr(float(bound)), sense="at_least")


def table_of(claims: list[Claim]) -> Table:
    """Return all claims as one table: the sentence, its numbers with their verdicts, what needs care."""
    table = Table(box=None, pad_edge=False, show_header=True)
    table.add_column("")
    table.add_column("claim, and what was measured", max_width=100)
    for title in ("value", "reference", "tolerance", "verdict"):
        table.add_column(title, justify="right", no_wrap=True)
    for claim in claims:
        verdict = "[green]holds[/]" if claim.holds else "[red]FAILS[/]"
        table.add_row(f"[bold]{claim.number}[/]", f"[bold]{escape(claim.sentence)}[/]", "", "", "", verdict)
        for row in claim.rows:
            table.add_row("", escape(f"  {row.name}"), f"{row.value:.6g}", *_expected(row))
        if claim.care:
            table.add_row("", Padding(f"[italic]Care: {escape(claim.care)}[/]", (0, 0, 0, 2)))
        table.add_section()
    return table


def _expected(row: Row) -> tuple[str, str, str]:
    """Return reference, tolerance and verdict of a row as texts."""
    sign = {"equal": "", "at_most": "<= ", "at_least": ">= "}[row.sense]
    reference = "" if row.reference is None else f"{sign}{float(row.reference):.6g}"
    tolerance = "" if row.allowed is None else f"{row.allowed:.0e}"
    return reference, tolerance, {None: "", True: "ok", False: "DIFFERS"}[row.ok]
