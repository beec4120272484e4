"""Loading data sets by name: the log of real people, and the task they were doing."""

import dataclasses
import textwrap
from pathlib import Path

import pandas as pd

from humansoft.catalogue import sources
from humansoft.catalogue.dataset import Dataset
from humansoft.catalogue.registry import DATASETS
from humansoft.data.log import BehaviorLog
from humansoft.errors import DatasetError, did_you_mean
from humansoft.tasks.task import Task


def load_dataset(name: str, path: str | Path | None = None) -> tuple[BehaviorLog, Task]:
    """Load a data set of real people: its log and its task.

    Its files are looked for, in this order, in the package (bundled), at ``path``, in
    ``$HUMANSOFT_DATA/<folder>``, in the cache (``$HUMANSOFT_CACHE``, else the user's cache folder), and
    last downloaded from their publisher at a pinned version, verified by checksum and prepared.

    :func:`list_datasets` shows the names, :func:`describe` the codebook of one:

    ===========================  ==============================================================
    ``overcooked_<layout>``      two cooks in a kitchen; states (x, y, orientation, held, pot)
    ``rust_bus...``              monthly engine replacement; states are bins of mileage
    ``vgc_gridnav...``           arrow keys through mazes; states (maze, (x, y))
    ``tower_of_london``          balls on pegs; states (target, board)
    ``tartarus_maze``            walking to a hidden goal; states (maze, module)
    ``kw97_careers``             school, home and work, year by year; states (age, years in each, last)
    ``borlange_routes``          car routes through a town; states (destination, link)
    ===========================  ==============================================================

    Args:
        name: name of the data set.
        path: for ``overcooked_...``, a file or folder of other games in the same raw columns: they are
            read against the task that was learned from the bundled training games, and rows of other
            layouts are left out (counted in ``log.source``). Equal pair numbers are taken for the
            same people. For all others, the folder of the canonical tables, or a file that stands
            for the main one.

    Raises:
        DatasetError: unknown name, or files that are nowhere to be had.
        LogError: the rows at ``path`` are not valid.

    Example:
        >>> log, task = load_dataset("overcooked_cramped_room")
        >>> len(log), len(log.subjects), task.discount
        (19128, 16, 0.95)
    """
    dataset = _find(name)
    log = load_log(name, path)
    own = None if dataset.path_brings_games else path
    return log, dataset.build_task(sources.locate(dataset, own))


def load_log(name: str, path: str | Path | None = None) -> BehaviorLog:
    """Load only the log of a data set; arguments and errors as for :func:`load_dataset`.

    Example:
        >>> load_log("overcooked_random0")
        BehaviorLog(overcooked_random0: 14,302 decisions, 12 subjects, 12 episodes, 237 states, 6 actions)
    """
    dataset = _find(name)
    if path is not None and dataset.path_brings_games:
        log = dataset.read_log(sources.games(dataset, path))
    else:
        log = dataset.read_log(sources.locate(dataset, path))
    return dataclasses.replace(log, dataset=name, source=name if path is None else log.source)


def load_table(name: str, table: str, path: str | Path | None = None) -> pd.DataFrame:
    """Load one canonical table of a data set as it is, with the columns of its card.

    Args:
        name: name of the data set.
        table: name of the table, with or without the suffix of its file.
        path: folder with the table.

    Raises:
        DatasetError: unknown name or table, or the file is nowhere to be had.

    Example:
        >>> load_table("overcooked_random0", "steps_train").shape
        (46729, 20)
    """
    dataset = _find(name)
    files = _tables_of(dataset)
    file = files.get(_stem(table))
    if file is None:
        raise DatasetError(f"data set {name!r} has no table {table!r}.{did_you_mean(table, files)}")
    return sources.locate(dataset, path, [file]).frame(file)


def list_datasets() -> pd.DataFrame:
    """List every data set: what it is, and whether it is on this machine.

    Returns:
        One row a name: title, people (missing where they are not recorded), decisions, licence,
        bundled (comes with the package), available (folder on this machine, "" where there is none).

    Example:
        >>> list_datasets().query("bundled")["name"].tolist()[:2]
        ['overcooked_cramped_room', 'overcooked_coordination_ring']
    """
    rows = []
    for dataset in DATASETS.values():
        card, place = sources.card_of(dataset), sources.place_of(dataset)
        rows.append(
            {
                "name": dataset.name,
                "title": card.title,
                "people": dataset.people,
                "decisions": dataset.decisions,
                "licence": card.licence,
                "bundled": place is not None and place[0] == "bundled",
                "available": str(place[1]) if place else "",
            }
        )
    return pd.DataFrame(rows).astype({"people": "Int64"})


def describe(name: str) -> str:
    """Return the codebook of a data set as text: what it is, its columns, licence, citation, caveats.

    Example:
        >>> print(describe("rust_bus").splitlines()[0])
        rust_bus: Harold Zurcher's bus engine replacements
    """
    dataset = _find(name)
    card = sources.card_of(dataset)
    people = {None: "people not recorded", 1: "1 person"}.get(dataset.people, f"{dataset.people} people")
    lines = [f"{name}: {card.title}", "", *textwrap.wrap(card.description, 100), ""]
    lines += _wrapped(f"This name: {dataset.part} ({people}, {dataset.decisions:,} decisions).")
    for table in card.tables:
        lines += ["", f"{table.file}:"]
        for column, entry in table.columns.items():
            unit = f" [{entry.unit}]" if entry.unit else ""
            lines += _wrapped(f"{column}{unit}: {entry.meaning}", "  ")
    lines += ["", f"Source: {card.repository}", f"        at {card.version}", f"Licence: {card.licence}"]
    lines += _wrapped(f"Cite: {card.citation}")
    for caveat in card.caveats:
        lines += _wrapped(f"- {caveat}")
    return "\n".join(lines)


def _find(name: str) -> Dataset:
    if name not in DATASETS:
        raise DatasetError(f"there is no data set {name!r}.{did_you_mean(name, DATASETS)}")
    return DATASETS[name]


def _tables_of(dataset: Dataset) -> dict[str, str]:
    """Return the files that are tables, by name without suffix."""
    files = [table.file for table in sources.card_of(dataset).tables]
    return {_stem(file): file for file in files if not file.endswith(".json")}


def _stem(file: str) -> str:
    return file.split(".")[0]


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=indent, subsequent_indent=indent + "  ")
