"""Dataset: one name of the catalogue; Tables: where its files are on this machine."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from humansoft.data.log import BehaviorLog, Columns
from humansoft.errors import DatasetError, Problems, did_you_mean
from humansoft.table_files import read_table
from humansoft.tasks.task import Task

DECISION_COLUMNS = Columns(
    next_state=("next_state",), context="context", terminated="terminated", truncated="truncated"
)
"""Roles in the tables of decisions that the builders with contexts make."""


@dataclass(frozen=True)
class Tables:
    """The files of one data set, wherever they lie.

    Attributes:
        files: canonical file name -> the file (or several) that stands for it.
        source: what to call them in messages.
    """

    files: Mapping[str, tuple[Path, ...]]
    source: str

    def frame(self, name: str, columns: Sequence[str] = ()) -> pd.DataFrame:
        """Read one table.

        Args:
            name: canonical file name.
            columns: columns that it must have.

        Raises:
            DatasetError: the file is damaged, or lacks columns (all of them are named).
        """
        (file,) = self.files[name]
        table = read_table(file, DatasetError)
        with Problems(file.name, DatasetError) as problems:
            for column in columns:
                if column not in table.columns:
                    problems.add(f"there is no column {column!r}.{did_you_mean(column, table.columns)}")
        return table

    def frames(self, name: str) -> dict[str, pd.DataFrame]:
        """Read every file that stands for one table, by file name."""
        return {file.name: read_table(file, DatasetError) for file in self.files[name]}

    def json(self, name: str) -> Any:  # noqa: ANN401 - whatever the file holds
        """Read one JSON file.

        Raises:
            DatasetError: the file is not JSON.
        """
        (file,) = self.files[name]
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DatasetError(f"{file} is not JSON ({error}); copy it again") from error


@dataclass(frozen=True)
class Dataset:
    """One name that can be loaded; several may share a folder, and so a card.

    Attributes:
        name: what the user asks for.
        folder: folder of the card, of ``prepare.py`` and of the files.
        part: which part of the folder's data this is, in one sentence.
        people: number of people, ``None`` where they are not recorded.
        decisions: number of decisions.
        table: file that a single file given as ``path`` stands for; several for two halves of one.
        others: further files that are needed.
        read_log: makes the log of the files.
        build_task: makes the task of the files.
        path_brings_games: the task is learned from the data set's own games, so that ``path`` brings
            other games of the same task instead of another copy of the data.
    """

    name: str
    folder: str
    part: str
    people: int | None
    decisions: int
    table: tuple[str, ...]
    others: tuple[str, ...]
    read_log: Callable[[Tables], BehaviorLog]
    build_task: Callable[[Tables], Task]
    path_brings_games: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """All files that are needed."""
        return self.table + self.others
