"""Task files: one small TOML schema that says what :class:`Task`'s builders are told in Python.

A file has a section ``[task]`` with ``kind`` and ``discount`` (and ``horizon``, if an episode has a
fixed number of decisions) and one section named after the kind. Paths are relative to the file::

    [task]
    kind = "grid"               # grid | table | network | gymnasium | counts | union
    discount = 0.95

    [grid]
    maze = '''                  # or: file = "maze.txt"
    S.L
    ..G
    '''
    legend = {L = "lava"}       # slip = 0.1, coordinates = "x_y" and stay = true are optional

    [table]
    file = "transitions.csv"    # .csv, .tsv, .parquet
    state = ["x", "y"]          # one column or several; likewise next_state
    action = "action"
    probability = "p"           # optional: context, features, units, terminal, states, actions, initial
    units = {length = "m"}
    initial = [{state = [0, 0], probability = 1.0}]

    [network]                   # discount = 1; trips to many goals share it
    file = "edges.csv"          # one turn a row
    source = "from"             # link left; likewise target, "to"
    goals = ["home", "work"]    # default: every link that no turn leaves
    features = ["minutes"]      # optional: units

    [gymnasium]
    id = "FrozenLake-v1"
    options = {is_slippery = false}

    [counts]                    # estimated from the log's own transitions
    prior = 1.0                 # optional: actions (some may never occur in the log)

    [contexts.left]             # kind "union": one section a maze, layout or goal, with its kind
    kind = "grid"               # (grid, table or gymnasium) and the keys of that kind
    file = "left.txt"
    label = 1                   # the context's label in the log, where it is not the name "left"

A list stands for a label of several columns.
"""

import tomllib
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from humansoft.errors import Problems, TaskError, did_you_mean
from humansoft.tasks.estimate import estimated_parts
from humansoft.tasks.grid import grid_parts
from humansoft.tasks.gymnasium import gymnasium_parts
from humansoft.tasks.network import network_parts
from humansoft.tasks.parts import TaskParts
from humansoft.tasks.table import table_parts
from humansoft.tasks.toml_schema import Section, check_content
from humansoft.tasks.union import union_parts


@dataclass(frozen=True)
class TaskDescription:
    """What a task file says.

    Attributes:
        parts: the decision process.
        discount: weight of the next step's value.
        horizon: number of decisions in an episode, or ``None``.
    """

    parts: TaskParts
    discount: float
    horizon: int | None


def read_toml(path: Path, counts: pd.DataFrame | None = None) -> TaskDescription:
    """Read a task file; see :meth:`Task.from_toml`.

    Raises:
        TaskError: no such file, bad TOML, and all unknown, missing or mistyped keys at once.
    """
    content = _parse(path)
    with Problems(path.name, TaskError) as problems:
        check_content(content, problems)
    task = content["task"]
    try:
        if task["kind"] == "union":
            members = {_label(s.get("label", name)): s for name, s in content["contexts"].items()}
            parts = union_parts({name: _build(s["kind"], s, path.parent, None) for name, s in members.items()})
        else:
            parts = _build(task["kind"], content.get(task["kind"], {}), path.parent, counts)
    except TaskError as error:
        raise TaskError(f"{path.name}: {error}") from error
    return TaskDescription(replace(parts, source=path.name), task["discount"], task.get("horizon"))


def _parse(path: Path) -> Section:
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.toml")]
        raise TaskError(f"there is no task file {path}.{did_you_mean(path.name, near) if near else ''}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise TaskError(f"{path.name} is not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise TaskError(
            f"{path.name} is not UTF-8 text (byte {error.start}: {error.reason}); save it as UTF-8"
        ) from error


def _build(kind: str, section: Section, folder: Path, counts: pd.DataFrame | None) -> TaskParts:
    """Call the builder of a checked section."""
    options = {key: value for key, value in section.items() if key not in ("kind", "label", "file", "maze", "id")}
    for key in ("terminal", "states", "actions", "goals"):
        if key in options:
            options[key] = [_label(v) for v in options[key]]
    if kind == "grid":
        # A maze of one line is told from the name of a file by its line break.
        return grid_parts(section["maze"] + "\n" if "maze" in section else folder / section["file"], **options)
    if kind == "table":
        if "initial" in options:
            options["initial"] = {_label(row["state"]): row["probability"] for row in options["initial"]}
        return table_parts(folder / section["file"], **options)
    if kind == "network":
        return network_parts(folder / section["file"], **options)
    if kind == "gymnasium":
        return gymnasium_parts(section["id"], options.get("options", {}))
    if counts is None:
        raise TaskError(
            "kind 'counts' is estimated from a log: give the log too, Task.from_toml(path, log.transition_counts()); "
            "a counted log needs the column of the next state"
        )
    return estimated_parts(counts, **options)


def _label(value: Any) -> Hashable:  # noqa: ANN401
    """Turn a TOML list into the tuple that labels several columns."""
    return tuple(_label(v) for v in value) if isinstance(value, list) else value
