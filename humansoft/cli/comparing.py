"""compare: temperatures side by side, measures that need no unit, and tests of what is taken for granted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from humansoft.cli.files import require_free_files
from humansoft.cli.fitting import temperature_cells, unit_of
from humansoft.cli.runs import say_written, write_table
from humansoft.cli.tables import counted, interval, labels, number, numbers, percent, print_table, records
from humansoft.cli.terminal import print_json, say, working
from humansoft.errors import UsageError
from humansoft.evaluate.assumptions import assumptions
from humansoft.evaluate.compare import compare
from humansoft.evaluate.rationality import rationality
from humansoft.fit.result import Fit
from humansoft.fit.storage import load


@dataclass(frozen=True)
class Comparison:
    """What is to be compared.

    Attributes:
        by: column of the groups.
        scale_free: measures without a unit, and not temperatures.
        reference: the states in which they are taken.
        threshold: from where a mistake is costly.
        assumptions: also test what is taken for granted.
    """

    by: str | None
    scale_free: bool
    reference: str
    threshold: float
    assumptions: bool


def run_compare(runs: Sequence[Path], asked: Comparison, output: Path | None, force: bool, as_json: bool) -> None:
    """Compare people, groups or runs."""
    require_free_files([output], force)
    if len(runs) > 1 and (asked.scale_free or asked.assumptions):
        raise UsageError("--scale-free and --assumptions take one run; several runs are compared by temperature only")
    with working("comparing") as show:
        fits = [load(run) for run in runs]
        table = _compared(fits, asked)
        tests = None
        if asked.assumptions:
            show("testing assumptions")
            tests = assumptions(fits[0], by=asked.by)
        write_table(table.reset_index(), output)
    if as_json:
        document = {"runs": list(runs), "by": asked.by, "output": output, "comparison": records(table)}
        document |= {"notes": table.attrs["notes"], "methods": table.attrs["methods"]}
        print_json(document | ({"assumptions": records(tests)} if tests is not None else {}))
        return
    if asked.scale_free:
        print_rationality(table)
    else:
        print_comparison(table)
    if tests is not None:
        print_assumptions(tests)
    for note in table.attrs["notes"]:
        say(f"note: {note}")
    say_written(output)


def _compared(fits: Sequence[Fit], asked: Comparison) -> pd.DataFrame:
    first, *others = fits
    if asked.scale_free:
        return rationality(first, asked.by, reference=asked.reference, threshold=asked.threshold)
    return compare(first, *others, by=asked.by)


def print_rationality(table: pd.DataFrame) -> None:
    """Print measures without a unit: of people, of groups and of differences between groups."""
    if table.index.nlevels == 1:
        _print_measures(table, "subject", "How well people choose (value: 1 = the best policy, 0 = chance)")
        say(f"Everybody is judged in the same states: {table.attrs['reference']}.")
        return
    for kind, title in (
        ("subject", "How well people choose (value: 1 = the best policy, 0 = chance)"),
        ("group", "Means of groups"),
        ("difference", "Differences between groups"),
    ):
        _print_measures(table.loc[[kind]].droplevel("kind"), kind, title)
    say(f"Everybody is judged in the same states: {table.attrs['reference']}.")


def _print_measures(table: pd.DataFrame, kind: str, title: str) -> None:
    value = "normalised_value"
    between = zip(table[f"{value}_low"], table[f"{value}_high"], strict=True)
    cells = {
        kind: labels(table.index),
        "value": numbers(table[value]),
        "95 % interval": ["" if np.isnan(low) else f"{number(low)} to {number(high)}" for low, high in between],
        "rank": _ranks(table) if kind == "subject" else [""] * len(table),
        "errors": [percent(share) for share in table["choice_error"]],
        "costly": [percent(share) for share in table["costly_error"]],
        "bits": numbers(table["information_bits"]),
    }
    if kind != "subject":
        del cells["rank"]
    print_table(title, cells, text=(kind,))


def _ranks(table: pd.DataFrame) -> list[str]:
    """Write ranks with their intervals: "2 (1-3)"."""
    rows = zip(table["rank"], table["rank_low"], table["rank_high"], strict=True)
    return [
        f"{rank:g}" if np.isnan(low) else f"{rank:g} ({low:g}-{high:g})" if not np.isnan(rank) else ""
        for rank, low, high in rows
    ]


def print_assumptions(table: pd.DataFrame) -> None:
    """Print what a comparison of temperatures takes for granted, and whether the data speak against it."""
    cells = {
        "assumption": labels(table["test"]),
        "of": labels(table["group"]),
        "statistic": numbers(table["statistic"]),
        "df": numbers(table["df"], digits=2),
        "p": numbers(table["p"], digits=2),
    }
    print_table("What a comparison of temperatures takes for granted", cells, text=("assumption", "of"))
    for test, group, verdict in zip(table["test"], table["group"], table["verdict"], strict=True):
        say(f"{test} ({group}): {verdict}")


def print_comparison(table: pd.DataFrame) -> None:
    """Print temperatures side by side, or groups and the ratios between them."""
    if "rank" in table.columns:
        _print_people(table)
        return
    groups = table.loc[["group"]]
    for kind, title in (
        ("group", f"Temperature of groups (larger = noisier), {unit_of(str(groups['unit'].iloc[0]))}"),
        ("ratio", "Ratios of temperatures (1 = alike)"),
    ):
        rows = table.loc[[kind]]
        cells = {
            "group" if kind == "group" else "ratio": labels(rows.index.get_level_values("label")),
            "temperature" if kind == "group" else "estimate": numbers(rows["temperature"]),
            "95 % interval": _intervals(rows),
        }
        if kind == "group":
            cells["inverse"] = numbers(rows["inverse_temperature"])
        print_table(title, cells, text=("group", "ratio"))
    left_out = int(table["num_people_at_boundary"].iloc[0])
    if left_out:
        say(f"{counted(left_out, 'person', 'people')} at a boundary left out of the means.")


def _print_people(table: pd.DataFrame) -> None:
    who = str(table.index.name)
    others = [name for name in table.columns if name.startswith("inverse_temperature_")]
    cells = {
        **({"run": labels(table["fit"])} if "fit" in table.columns else {}),
        who: labels(table.index),
        **temperature_cells(table, _intervals(table)),
        **{f"inverse ({name.rpartition('_')[2]})": numbers(table[name]) for name in others},
    }
    print_table(f"Temperature (larger = noisier), {unit_of(str(table['unit'].iloc[0]))}", cells, text=(who,))


def _intervals(table: pd.DataFrame) -> list[str]:
    return [interval(float(low), float(high)) for low, high in zip(table["ci_low"], table["ci_high"], strict=True)]
