"""What every study does alike: read its options, show a table of numbers, write it as JSON."""

import argparse
import ast
import dataclasses
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, Protocol, TypeVar

from rich.console import Console
from rich.table import Table

from humansoft.errors import HumansoftError


class Options(Protocol):
    """Options that every study has."""

    @property
    def quick(self) -> bool:
        """Whether only the first, fastest part is wanted."""

    @property
    def json(self) -> Path | None:
        """File to write the rows to."""


Some = TypeVar("Some", bound=Options)
Sense = Literal["equal", "at_most", "at_least"]


@dataclass(frozen=True)
class Row:
    """One number, beside its reference where there is one.

    Attributes:
        name: what it is, as "part/quantity".
        value: ours.
        reference: the published or reference number as it is printed, or ``None``.
        tolerance: largest difference that counts as the same; by default one unit of the last
            digit that the reference prints.
        sense: whether the value shall be the reference, or the reference is a bound.
    """

    name: str
    value: float
    reference: str | None = None
    tolerance: float | None = None
    sense: Sense = "equal"

    @property
    def difference(self) -> float | None:
        """Ours minus the reference."""
        return None if self.reference is None else float(self.value) - float(self.reference)

    @property
    def allowed(self) -> float | None:
        """The largest difference that counts as the same; beyond a bound there is none."""
        if self.sense != "equal":
            return None
        if self.reference is None or self.tolerance is not None:
            return self.tolerance
        return 10.0 ** -len(self.reference.partition(".")[2])

    @property
    def ok(self) -> bool | None:
        """Whether it is the same; ``None`` without a reference."""
        if self.difference is None:
            return None
        if self.sense != "equal":
            return self.difference <= 0 if self.sense == "at_most" else self.difference >= 0
        return self.allowed is not None and abs(self.difference) <= self.allowed

    def as_dict(self) -> dict[str, object]:
        """Return the row for a JSON file."""
        return {
            "name": self.name,
            "reference": None if self.reference is None else float(self.reference),
            "value": float(self.value),
            "difference": self.difference,
            "tolerance": self.allowed,
            "sense": self.sense,
            "ok": self.ok,
        }


DATA_BESIDE = Path(__file__).parents[2] / "shared" / "data"
"""Real data that may lie beside the checkout; $HUMANSOFT_DATA goes first."""


def run(study: Callable[[Some], Iterator[Row]], options: type[Some]) -> None:
    """Run a study as a program.

    Exit codes: 0 when every number with a reference agrees, 1 when one does not, 2 when the study
    could not be done (data not on this machine).
    """
    if DATA_BESIDE.is_dir():
        os.environ.setdefault("HUMANSOFT_DATA", str(DATA_BESIDE))
    module = inspect.getmodule(study)
    args = parsed(options, module.__doc__ if module else None)
    rows = []
    try:
        with Console(stderr=True).status("fitting ...") as status:
            for row in study(args):
                rows.append(row)
                status.update(f"{row.name} done, fitting on ...")
    except HumansoftError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    # Where there is no terminal, rich assumes 80 columns and would cut the names.
    Console(width=max(Console().width, 110)).print(_table(rows))
    finish([row.as_dict() for row in rows], args.json)


def finish(rows: list[dict[str, object]], file: Path | None) -> NoReturn:
    """Write rows to a JSON file, and exit: 0 when every number with a reference agrees, 1 when one does not."""
    if file:
        file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    raise SystemExit(1 if any(row["ok"] is False for row in rows) else 0)


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("name", overflow="fold")  # where it is tight, names are broken, and no number is cut
    for title in ("reference", "value", "difference", "tolerance", ""):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        difference = "" if row.difference is None else f"{row.difference:+.1e}"
        allowed = "" if row.allowed is None else f"{row.allowed:.0e}"
        verdict = {None: "", True: "ok", False: "DIFFERS"}[row.ok]
        sign = {"equal": "", "at_most": "<= ", "at_least": ">= "}[row.sense]
        table.add_row(row.name, sign + (row.reference or ""), f"{row.value:.7g}", difference, allowed, verdict)
    return table


def parsed(options: type[Some], description: str | None) -> Some:
    """Make a command line of a dataclass; the text under each field is its help."""
    parser = argparse.ArgumentParser(description=description)
    helps = _help_of(options)
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        flag, text = f"--{field.name.replace('_', '-')}", helps[field.name]
        if field.type is bool:
            parser.add_argument(flag, action="store_true", help=text)
        else:
            parser.add_argument(flag, type=Path, default=field.default, help=text)
    return options(**vars(parser.parse_args()))


def _help_of(options: type) -> dict[str, str]:
    """Return the text under each field."""
    (definition,) = ast.parse(inspect.getsource(options)).body
    assert isinstance(definition, ast.ClassDef)
    texts: dict[str, str] = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            assert isinstance(field.target, ast.Name)
            texts[field.target.id] = inspect.cleandoc(ast.literal_eval(below.value))
    return texts
