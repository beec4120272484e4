"""predict, score, compare, simulate: what a saved run is used for."""

import typing
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from humansoft.cli.files import require_free_files, write_tables
from humansoft.cli.fitting import temperature_cells, unit_of
from humansoft.cli.inputs import one_of, read_log_of_run, split_names
from humansoft.cli.logs import describe_sizes, sizes
from humansoft.cli.tables import (
    MOST_ROWS,
    counted,
    interval,
    labels,
    number,
    numbers,
    percent,
    print_table,
    records,
)
from humansoft.cli.terminal import print_json, relative, say, working
from humansoft.evaluate.compare import compare
from humansoft.evaluate.predict import OnUnknown, predict
from humansoft.evaluate.scores import score
from humansoft.evaluate.simulate import simulate
from humansoft.fit.storage import load


def run_predict(
    run: Path,
    file: Path | None,
    participants: Path | None,
    on_unknown: str,
    counting: bool,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Predict every decision of a log."""
    require_free_files([output], force)
    choice = one_of("--on-unknown", on_unknown, typing.get_args(OnUnknown))
    with working("reading") as show:
        fitted = load(run)
        log = read_log_of_run(fitted, file, participants, counting)
        show("predicting")
        table = predict(fitted, log, on_unknown=choice)
        _write(table, output)
    if as_json:
        rows = {"num_rows": len(table)} if output else {"predictions": records(table)}
        print_json({"run": run, "log": sizes(log), "output": output, **rows})
        return
    if output is None:
        print_predictions(table)
    number_of = log.table_rows[np.argsort(log.row, kind="stable")]  # in the order of the predictions
    answered = table["log_prob"].notna().to_numpy()
    mean = float(np.exp(np.average(table["log_prob"][answered], weights=number_of[answered])))
    say(f"{log.source}: {describe_sizes(log)}; geometric mean probability of what was done: {number(mean)}")
    _say_strangers(int(table.loc[~table["subject_known"], "subject"].nunique()))
    _say_seen(file)
    _say_written(output)


def print_predictions(everything: pd.DataFrame, most: int = MOST_ROWS) -> None:
    """Print the first predictions: what was done, and what was expected."""
    table = everything.head(most)
    actions = [str(name) for name in table.columns if str(name).startswith("p_")]
    likeliest: list[object] = [
        actions[code].removeprefix("p_") for code in table[actions].to_numpy(dtype=float).argmax(axis=1)
    ]
    if "turn_1" in table.columns:  # of a network: where that turn leads
        likeliest = [table[name].iloc[row] for row, name in enumerate(likeliest)]
    cells = {
        "row": labels(table["row"]),
        "subject": labels(table["subject"]),
        "step": labels(table["step"]),
        "state": labels(table["state"]),
        "done": labels(table["action"]),
        "probability": numbers(table["probability"]),
        "likeliest": labels(likeliest),
    }
    print_table("Predictions", cells, text=("subject", "state", "done", "likeliest"), total=len(everything))


def run_score(
    run: Path,
    file: Path | None,
    participants: Path | None,
    baselines: Sequence[str],
    on_unknown: str,
    counting: bool,
    as_json: bool,
) -> None:
    """Score the predictions of a log, beside simpler predictors."""
    choice = one_of("--on-unknown", on_unknown, typing.get_args(OnUnknown))
    names = split_names(baselines)
    with working("reading") as show:
        fitted = load(run)
        log = read_log_of_run(fitted, file, participants, counting)
        show("scoring")
        table = score(fitted, log, names[0] if names in (["all"], ["none"]) else names, on_unknown=choice)
    if as_json:
        print_json({"run": run, "log": sizes(log), "scores": records(table)})
    else:
        say(f"{log.source}: {describe_sizes(log)}")
        print_scores(table)
        _say_seen(file)


def print_scores(table: pd.DataFrame) -> None:
    """Print scores, the model first."""
    cells = {
        "predictor": labels(table.index),
        "nats/decision": numbers(table["nats_per_decision"], digits=4),
        "bits/decision": numbers(table["bits_per_decision"], digits=4),
        "accuracy": [percent(share) for share in table["accuracy"]],
    }
    count = float(table["num_decisions"].iloc[0])
    print_table(f"Scores of {count:,.0f} decisions (nats and bits: smaller is better)", cells, text=("predictor",))
    _say_strangers(int(table["num_unknown_subjects"].iloc[0]))


def run_compare(runs: Sequence[Path], by: str | None, output: Path | None, force: bool, as_json: bool) -> None:
    """Compare temperatures between people, groups or runs."""
    require_free_files([output], force)
    with working("comparing"):
        first, *others = [load(run) for run in runs]
        table = compare(first, *others, by=by)
        _write(table.reset_index(), output)
    if as_json:
        document = {"runs": list(runs), "by": by, "output": output, "comparison": records(table)}
        print_json(document | {"notes": table.attrs["notes"]})
        return
    print_comparison(table)
    for note in table.attrs["notes"]:
        say(f"note: {note}")
    _say_written(output)


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


def run_simulate(
    run: Path, episodes: int, seed: int, max_steps: int | None, output: Path | None, force: bool, as_json: bool
) -> None:
    """Simulate new behavior of the people of a run."""
    require_free_files([output], force)
    with working("simulating"):
        log = simulate(load(run), episodes, seed=seed, max_steps=max_steps)
        table = log.to_dataframe()
        _write(table, output)
    if as_json:
        rows = {} if output else {"decisions": records(table)}
        print_json({"run": run, "seed": seed, "log": sizes(log), "output": output, **rows})
        return
    if output is None:
        cells = {str(name): labels(table[name].head(MOST_ROWS)) for name in table.columns}
        print_table("Simulated decisions", cells, text=list(cells), total=len(table))
    say(f"Simulated: {describe_sizes(log)}")
    _say_written(output)


def _intervals(table: pd.DataFrame) -> list[str]:
    return [interval(float(low), float(high)) for low, high in zip(table["ci_low"], table["ci_high"], strict=True)]


def _say_strangers(count: int) -> None:
    if count:
        people = counted(count, "person is", "people are")
        say(f"note: {people} not in the run: predicted at the temperature of the average person (or of their group).")


def _say_seen(file: Path | None) -> None:
    if file is None:
        say("note: the run was fitted to decisions of this very data set; held-out ones judge it better.")


def _write(table: pd.DataFrame, output: Path | None) -> None:
    if output is not None:
        write_tables([table], [output])


def _say_written(output: Path | None) -> None:
    if output is not None:
        say(f"Written: {relative(output)}")
