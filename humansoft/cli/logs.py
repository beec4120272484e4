"""check, split, datasets: looking at logs and cutting them in two."""

import typing
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import typer

from humansoft.catalogue.load import describe, list_datasets
from humansoft.checking import check
from humansoft.cli.files import require_free_files, write_tables
from humansoft.cli.inputs import one_of, read_log, read_log_and_task
from humansoft.cli.options import LogOptions
from humansoft.cli.outcome import INVALID_DATA
from humansoft.cli.tables import counted, print_table, records
from humansoft.cli.terminal import print_json, relative, say, working
from humansoft.data.log import BehaviorLog
from humansoft.data.splits import SplitBy, split


def run_check(source: LogOptions, task_file: Path | None, as_json: bool) -> None:
    """Print every problem of a log under a task; exit 5 if one of them is an error."""
    with working("reading and checking"):
        log, task = read_log_and_task(source, task_file)
        found = check(log, task)
    invalid = bool((found["severity"] == "error").any())
    if as_json:
        print_json({"log": sizes(log), "valid": not invalid, "findings": records(found)})
    else:
        print_findings(log, found)
    if invalid:
        raise typer.Exit(INVALID_DATA)


def print_findings(log: BehaviorLog, found: pd.DataFrame) -> None:
    """Print how large a log is, and what :func:`humansoft.check` found in it."""
    say(f"{log.source}: {describe_sizes(log)}")
    if found.empty:
        say("Nothing is wrong or odd.")
        return
    cells = {
        "severity": found["severity"].tolist(),
        "rows": [f"{count:,}" for count in found["count"]],
        "finding": found["message"].tolist(),
    }
    print_table("What was found", cells, text=("severity", "finding"))
    kinds = found["severity"].value_counts()
    order = (name for name in ("error", "warning", "note") if name in kinds.index)
    say(", ".join(counted(int(kinds[name]), name) for name in order) + ".")


def run_split(
    source: LogOptions, by: str, fraction: float, seed: int | None, files: Sequence[Path], force: bool, as_json: bool
) -> None:
    """Write the part to learn from and the part to be judged on."""
    require_free_files(files, force)
    way = one_of("--by", by, typing.get_args(SplitBy))
    with working("reading and splitting"):
        parts = split(read_log(source), by=way, fraction=fraction, seed=seed)
        write_tables([part.to_dataframe() for part in parts], files)
    if as_json:
        named = zip(("train", "held_out"), files, parts, strict=True)
        print_json({"by": by, "seed": seed, **{name: {"file": file, **sizes(part)} for name, file, part in named}})
        return
    for name, file, part in zip(("to learn from", "held out"), files, parts, strict=True):
        say(f"{relative(file)} ({name}): {describe_sizes(part)}")


def run_datasets(name: str | None, as_json: bool) -> None:
    """List the data sets, or show the card of one."""
    known = list_datasets()
    if name is None:
        if as_json:
            print_json({"datasets": records(known)})
        else:
            _print_datasets(known)
        return
    card = describe(name)
    if as_json:
        (row,) = records(known[known["name"] == name])
        print_json({**row, "card": card})
    else:
        typer.echo(card)  # wrapped already


def _print_datasets(known: pd.DataFrame) -> None:
    here = known["available"].map(lambda folder: "yes" if folder else "no").mask(known["bundled"], "bundled")
    cells = {
        "name": known["name"].tolist(),
        "people": ["" if pd.isna(count) else f"{count:,}" for count in known["people"]],
        "decisions": [f"{count:,}" for count in known["decisions"]],
        "licence": known["licence"].tolist(),
        "here": here.tolist(),
    }
    print_table("Data sets", cells, text=("name", "licence", "here"), most=len(known))
    say("here: bundled with the package, on this machine (yes), or to be downloaded on first use (no).")
    say("`humansoft datasets NAME` shows the card of one: columns, licence, citation, caveats.")


def sizes(log: BehaviorLog) -> dict[str, int | None]:
    """Return how large a log is; a counted one has no episodes."""
    episodes = None if log.counted else log.num_episodes
    return {"num_decisions": log.num_decisions, "num_subjects": len(log.subjects), "num_episodes": episodes}


def describe_sizes(log: BehaviorLog) -> str:
    """Say how large a log is."""
    people = counted(len(log.subjects), "person", "people")
    kept = f"{len(log):,} of them distinct" if log.counted else counted(log.num_episodes, "episode")
    decisions = counted(log.num_decisions, "decision")
    return ", ".join([people, decisions, kept] if log.counted else [people, kept, decisions])
