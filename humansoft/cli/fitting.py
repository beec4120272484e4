"""identify and fit: what the data can tell, and what they tell."""

from pathlib import Path

import numpy as np
import pandas as pd
import typer

from humansoft.checking import require_valid
from humansoft.cli.files import require_free_folder
from humansoft.cli.inputs import build_model, estimation_of, read_log_and_task
from humansoft.cli.options import EstimationOptions, LogOptions, ModelOptions
from humansoft.cli.outcome import NOT_CONVERGED, NOT_IDENTIFIED, as_options
from humansoft.cli.populations import describe_population, print_population
from humansoft.cli.tables import counted, interval, labels, numbers, print_table, records
from humansoft.cli.terminal import print_json, relative, say, working
from humansoft.fit.fitting import fit
from humansoft.fit.identification import identify
from humansoft.fit.result import Fit
from humansoft.fit.storage import save
from humansoft.temperature import AVERAGE_PERSON


def run_identify(
    source: LogOptions, task_file: Path | None, hypothesis: ModelOptions, seed: int | None, as_json: bool
) -> None:
    """Print what these data can and cannot tell; exit 3 if something is not identified."""
    with working("reading") as show:
        log, task = read_log_and_task(source, task_file)
        model = build_model(hypothesis, task)
        show("checking")
        require_valid(log, task)
        show("looking for flat directions")
        report = identify(model, log, seed=seed or 0)
    if as_json:
        print_json(
            {
                "identified": report.identified,
                "num_parameters": report.num_parameters,
                "rank": report.rank,
                "directions": records(report.to_dataframe()),
                "notes": list(report.notes),
                "singular_values": report.singular_values.tolist(),
            }
        )
    else:
        say(str(report))
    if not report.identified:
        if not as_json:
            say(as_options(str(report)))
        raise typer.Exit(NOT_IDENTIFIED)


def run_fit(
    source: LogOptions,
    task_file: Path | None,
    hypothesis: ModelOptions,
    estimation: EstimationOptions,
    seed: int | None,
    max_steps: int,
    allow_unidentified: bool,
    folder: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Fit, print and save; exit 4 without an optimum, or if chains have not mixed (the run is saved all the same)."""
    require_free_folder(folder, force)
    options = estimation_of(estimation)
    verb = "sampling: draw" if estimation.method == "posterior" else "fitting: step"
    with working("reading") as show:
        log, task = read_log_and_task(source, task_file)
        model = build_model(hypothesis, task)
        show("checking what the data can tell")

        def on_step(step: int, log_likelihood: float) -> None:
            show(f"{verb} {step:,}, log-likelihood {log_likelihood:,.2f}")

        options |= {"seed": seed, "max_steps": max_steps, "allow_unidentified": allow_unidentified}
        fitted = fit(model, log, **options, progress=False, on_step=on_step)
        if folder is not None:
            show("saving")
            save(fitted, folder, overwrite=force)
    if as_json:
        print_json({"run": folder, **describe_fit(fitted)})
    else:
        print_fit(fitted)
        say(f"Saved: {relative(folder)}" if folder else "Not saved: name a folder with -o to use the fit later.")
    if not fitted.converged:
        raise typer.Exit(NOT_CONVERGED)


def describe_fit(fitted: Fit) -> dict[str, object]:
    """Return a fit as a record: how it ended, its likelihood, its table of estimates."""
    return {
        "status": fitted.status.name.lower(),
        "message": fitted.status.value,
        "notes": list(fitted.notes),
        "log_likelihood": fitted.log_likelihood,
        "num_decisions": fitted.num_decisions,
        "num_subjects": len(fitted.subjects),
        "num_identified_parameters": fitted.rank,
        "aic": fitted.aic,
        "bic": fitted.bic,
        "seed": fitted.seed,
        "versions": fitted.versions,
        "population": None if fitted.population is None else describe_population(fitted.population),
        "summary": records(fitted.summary().assign(fixed=fitted.params["fixed"].to_numpy())),
    }


def print_fit(fitted: Fit, temperatures: bool = True) -> None:
    """Print the estimates, how the fit ended, and what belongs beside the numbers."""
    people = counted(fitted.num_people, "person", "people")
    if fitted.num_people < len(fitted.subjects):
        people += f" in {len(fitted.subjects):,} conditions"
    say(
        f"{people}, {fitted.num_decisions:,.0f} decisions with a choice, log-likelihood "
        f"{fitted.log_likelihood:,.2f}, {counted(fitted.rank, 'parameter')}"
    )
    table = fitted.summary().assign(fixed=fitted.params["fixed"].to_numpy()).reset_index()
    is_temperature = table["name"] == "temperature"
    is_choice = np.isin(table.index, np.arange(len(table))[fitted.model.table.choices])
    _print_weights("Reward", "weight", table[~is_temperature & ~is_choice])
    if fitted.population is not None:
        print_population(fitted.population)
    if temperatures:
        _print_temperatures(table[is_temperature])
    _print_weights("Choice (not planned with)", "term", table[is_choice])
    say(fitted.status.value)
    for note in fitted.notes:
        say(f"note: {note}")
    if as_options(fitted.status.value):
        say(as_options(fitted.status.value))


def _print_weights(title: str, what: str, table: pd.DataFrame) -> None:
    if table.empty:
        return
    own, estimates = (table["label"] != "all").any(), numbers(table["estimate"])
    cells = {
        what: labels(table["name"]),
        **({"who": labels(table["label"])} if own else {}),
        "estimate": ["near 0" if edge else text for edge, text in zip(table["boundary"], estimates, strict=True)],
        "std. error": numbers(table["std_error"]),
        "95 % interval": _intervals(table),
        "unit": table["unit"].tolist(),
    }
    print_table(title, cells, text=(what, "who", "unit"))


def _print_temperatures(table: pd.DataFrame) -> None:
    numbers_of = table.rename(columns={"estimate": "temperature"})
    cells = {"who": labels(table["label"]), **temperature_cells(numbers_of, _intervals(table))}
    print_table(f"Temperature (larger = noisier), {unit_of(str(table['unit'].iloc[0]))}", cells, text=("who",))


def temperature_cells(table: pd.DataFrame, intervals: list[str]) -> dict[str, list[str]]:
    """Write temperatures with intervals; at a boundary the estimate is a limit, which is no number."""
    at = table["boundary"].tolist()
    limits = {"lower": ("near 0", "very large"), "upper": ("very large", "near 0"), "both": ("?", "?")}
    written = [numbers(table[name]) for name in ("temperature", "inverse_temperature")]
    temperature, inverse = (
        [limits[edge][side] if edge else text for edge, text in zip(at, texts, strict=True)]
        for side, texts in enumerate(written)
    )
    return {"temperature": temperature, "95 % interval": intervals, "inverse": inverse}


def _intervals(table: pd.DataFrame) -> list[str]:
    rows = zip(table["ci_low"], table["ci_high"], table["fixed"], strict=True)
    return ["fixed" if fixed else interval(float(low), float(high)) for low, high, fixed in rows]


def unit_of(unit: str) -> str:
    """Say in which unit temperatures are."""
    return f"relative: {unit}" if unit == AVERAGE_PERSON else f"in {unit}"
