"""predict, score, simulate: what a saved run is used for."""

import typing
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from humansoft.cli.files import require_free_files, write_tables
from humansoft.cli.inputs import one_of, read_log_of_run, split_names
from humansoft.cli.logs import describe_sizes, sizes
from humansoft.cli.tables import (
    MOST_ROWS,
    counted,
    labels,
    number,
    numbers,
    percent,
    print_table,
    records,
)
from humansoft.cli.terminal import print_json, relative, say, working
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
        write_table(table, output)
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
    say_written(output)


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


def run_simulate(
    run: Path, episodes: int, seed: int, max_steps: int | None, output: Path | None, force: bool, as_json: bool
) -> None:
    """Simulate new behavior of the people of a run."""
    require_free_files([output], force)
    with working("simulating"):
        log = simulate(load(run), episodes, seed=seed, max_steps=max_steps)
        table = log.to_dataframe()
        write_table(table, output)
    if as_json:
        rows = {} if output else {"decisions": records(table)}
        print_json({"run": run, "seed": seed, "log": sizes(log), "output": output, **rows})
        return
    if output is None:
        cells = {str(name): labels(table[name].head(MOST_ROWS)) for name in table.columns}
        print_table("Simulated decisions", cells, text=list(cells), total=len(table))
    say(f"Simulated: {describe_sizes(log)}")
    say_written(output)


def _say_strangers(count: int) -> None:
    if count:
        people = counted(count, "person is", "people are")
        say(f"note: {people} not in the run: predicted at the mean of their group or covariates, or of everybody.")


def _say_seen(file: Path | None) -> None:
    if file is None:
        say("note: the run was fitted to decisions of this very data set; held-out ones judge it better.")


def write_table(table: pd.DataFrame, output: Path | None) -> None:
    """Write a table to a file, where one is named."""
    if output is not None:
        write_tables([table], [output])


def say_written(output: Path | None) -> None:
    """Say where a table was written."""
    if output is not None:
        say(f"Written: {relative(output)}")
