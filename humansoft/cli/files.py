"""What commands write: nothing is overwritten without --force, nothing is left half-written."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from humansoft.cli.terminal import to_plain
from humansoft.errors import Problems, UsageError
from humansoft.placing import placed

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_SUFFIXES = (*_SEPARATORS, ".parquet")


def require_free_files(files: Sequence[Path | None], force: bool) -> None:
    """Refuse, before any work, names of tables that cannot be written or that exist already.

    Args:
        files: where tables will be written; ``None`` where nothing is.
        force: existing files may be replaced.

    Raises:
        UsageError: all problems, each naming its file.
    """
    given = [file for file in files if file is not None]
    with Problems("-o", UsageError) as problems:
        if len({file.absolute() for file in given}) < len(given):
            problems.add(f"{given[0]} is named twice; each table needs a file of its own")
        for file in given:
            if file.suffix.lower() not in _SUFFIXES:
                problems.add(f"{file}: a table is written as {', '.join(_SUFFIXES)}; end the name with one of them")
            elif file.is_dir():
                problems.add(f"{file} is a folder; name a file in it, for example {file / 'table.csv'}")
            elif file.exists() and not force:
                problems.add(f"{file} exists already; choose another name, or replace it with --force")
            _check_parent(file, problems)


def require_free_folder(folder: Path | None, force: bool) -> None:
    """Refuse, before any work, a run folder that cannot be made or that exists already.

    Raises:
        UsageError: the folder exists; with ``force``, only if it holds something else than a run.
    """
    if folder is None:
        return
    with Problems("-o", UsageError) as problems:
        _check_parent(folder, problems)
        if folder.exists() and not _is_replaceable(folder):
            problems.add(f"{folder} exists and is not a run: it is never replaced; choose another name")
        elif folder.exists() and not force:
            problems.add(f"{folder} exists already; choose another name, or replace it with --force")


def write_table(table: pd.DataFrame, file: Path) -> None:
    """Write one table in the format that its name says; labels of several parts become JSON text."""
    columns = {name: _storable(table[name]) for name in table.columns}
    plain = pd.DataFrame(columns, index=table.index)
    if file.suffix.lower() == ".parquet":
        plain.to_parquet(file, index=False)
    else:
        plain.to_csv(file, index=False, sep=_SEPARATORS[file.suffix.lower()])


def write_tables(tables: Sequence[pd.DataFrame], files: Sequence[Path]) -> None:
    """Write tables so that all files appear complete, or none."""
    with staged(files) as places:
        for table, place in zip(tables, places, strict=True):
            write_table(table, place)


@contextmanager
def staged(targets: Sequence[Path]) -> Iterator[list[Path]]:
    """Write beside the targets first, and move everything there when the block has succeeded.

    Args:
        targets: files or folders to be made; what is there is replaced.

    Yields:
        Where to write instead: the same names, in hidden folders beside the targets.

    Raises:
        UsageError: the folder of a target cannot be made.
    """
    with ExitStack() as stack:
        places = []
        for target in targets:
            try:
                places.append(stack.enter_context(placed(target)))
            except OSError as error:
                raise UsageError(f"{target} cannot be written: {error.strerror}; choose another place") from error
        yield places


def _check_parent(path: Path, problems: Problems) -> None:
    above = next((parent for parent in path.absolute().parents if parent.exists()), None)
    if above is not None and not above.is_dir():
        problems.add(f"{path} cannot be made: {above} is a file, not a folder")


def _is_replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / "fit.json").is_file() or not any(folder.iterdir()))


def _storable(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column of one type: labels that are tuples, or of mixed types, become text."""
    kinds = {type(value) for value in column.dropna()} if column.dtype == object else set()
    if kinds <= {str} or (len(kinds) == 1 and tuple not in kinds):
        return column
    text = [_as_text(value) if there else None for value, there in zip(column, column.notna(), strict=True)]
    return pd.Series(text, index=column.index, dtype=object)


def _as_text(value: object) -> str:
    return json.dumps(to_plain(value), ensure_ascii=False) if isinstance(value, tuple) else str(value)
