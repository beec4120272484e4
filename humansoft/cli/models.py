"""compare-models: saved runs of the same decisions, as hypotheses about people."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from humansoft.cli.files import require_free_files, write_tables
from humansoft.cli.inputs import read_log_of_run, split_names
from humansoft.cli.tables import labels, number, numbers, percent, print_table, records
from humansoft.cli.terminal import print_json, relative, say, working
from humansoft.errors import UsageError
from humansoft.evaluate.model_comparison import compare_models
from humansoft.fit.result import Fit
from humansoft.fit.storage import load

_COLUMNS = {"aic": "AIC", "bic": "BIC", "loo": "left out"}


def run_compare_models(
    runs: Sequence[Path],
    file: Path | None,
    unit: str,
    criteria: Sequence[str],
    seed: int | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Compare the models of several runs."""
    require_free_files([output], force)
    with working("reading") as show:
        fits = {name: load(run) for name, run in _named(runs).items()}
        log = None
        if file is not None or (unit == "episode" and _is_catalogued(fits)):
            log = read_log_of_run(next(iter(fits.values())), file, None)
        show("comparing")
        table = compare_models(fits, log, unit=unit, criteria=split_names(criteria) or None, seed=seed)
        if output is not None:
            write_tables([table.reset_index()], [output])
    if as_json:
        document = {"runs": list(runs), "unit": unit, "ordered_by": table.attrs["ordered_by"], "output": output}
        print_json(document | {"models": records(table), "notes": table.attrs["notes"]})
        return
    print_models(table, unit)
    for note in table.attrs["notes"]:
        say(f"note: {note}")
    if output is not None:
        say(f"Written: {relative(output)}")


def print_models(table: pd.DataFrame, unit: str) -> None:
    """Print models side by side, the best first: differences to the best of each criterion."""
    cells = {
        "model": labels(table.index),
        "log-lik.": numbers(table["log_likelihood"], digits=5),
        "par.": [f"{count:.0f}" for count in table["num_parameters"]],
        **{title: numbers(table[f"{name}_difference"]) for name, title in _COLUMNS.items() if name in table.columns},
    }
    if "loo" in table.columns:
        cells["(se)"] = [f"({number(float(error))})" for error in table["loo_difference_se"]]
    count = float(table["num_decisions"].iloc[0])
    print_table(
        f"Models of {count:,.0f} decisions: differences to the best (left out: by {unit})", cells, text=("model",)
    )
    if "frequency" in table.columns:
        limits = zip(table["frequency_low"], table["frequency_high"], strict=True)
        shares = {
            "model": labels(table.index),
            "frequency": [percent(share) for share in table["frequency"]],
            "95 % interval": [f"{percent(low)} to {percent(high)}" for low, high in limits],
            "exceedance": numbers(table["exceedance"]),
            "protected": numbers(table["protected_exceedance"]),
        }
        print_table("How many people use each model", shares, text=("model",))


def _named(runs: Sequence[Path]) -> dict[str, Path]:
    """Call runs by their folders' names, or by their paths where these are alike."""
    if len({run.resolve() for run in runs}) < len(runs):
        raise UsageError("a run is named twice: it cannot be compared with itself")
    names = [run.resolve().name for run in runs]
    return {name if names.count(name) == 1 else str(run): run for name, run in zip(names, runs, strict=True)}


def _is_catalogued(fits: dict[str, Fit]) -> bool:
    return all(fit.training.dataset is not None for fit in fits.values())
