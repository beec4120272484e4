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
from typing import Protocol, TypeVar

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


@dataclass(frozen=True)
class Row:
    """One number, beside its reference where there is one.

    Attributes:
        name: what it is, as "part/quantity".
        value: ours.
        reference: the published or reference number as it is printed, or ``None``.
        tolerance: largest difference that counts as the same; by default one unit of the last
            digit that the reference prints.
    """

    name: str
    value: float
    reference: str | None = None
    tolerance: float | None = None

    @property
    def difference(self) -> float | None:
        """Ours minus the reference."""
        return None if self.reference is None else float(self.value) - float(self.reference)

    @property
    def allowed(self) -> float | None:
        """The largest difference that counts as the same."""
        if self.reference is None or self.tolerance is not None:
            return self.tolerance
        return 10.0 ** -len(self.reference.partition(".")[2])

    @property
    def ok(self) -> bool | None:
        """Whether it is the same; ``None`` without a reference."""
        if self.difference is None or self.allowed is None:
            return None
        return abs(self.difference) <= self.allowed

    def as_dict(self) -> dict[str, object]:
        """Return the row for a JSON file."""
        return {
            "name": self.name,
            "reference": None if self.reference is None else float(self.reference),
            "value": float(self.value),
            "difference": self.difference,
            "tolerance": self.allowed,
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
    args = _parse(options, module.__doc__ if module else None)
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
    if args.json:
        text = json.dumps([row.as_dict() for row in rows], indent=1)
        args.json.write_text(text + "\n", encoding="utf-8")
    raise SystemExit(1 if any(row.ok is False for row in rows) else 0)


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    for title in ("reference", "value", "difference", "tolerance", ""):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        difference = "" if row.difference is None else f"{row.difference:+.1e}"
        allowed = "" if row.allowed is None else f"{row.allowed:.0e}"
        verdict = {None: "", True: "ok", False: "DIFFERS"}[row.ok]
        table.add_row(row.name, row.reference or "", f"{row.value:.7g}", difference, allowed, verdict)
    return table


def _parse(options: type[Some], description: str | None) -> Some:
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
