"""Cards: what a data set is, where it comes from, what its columns mean, and who may share it.

Every folder of ``datasets/`` has a ``card.toml`` of one schema, the fields below. Reading a card
checks it, so that a new data set cannot forget its licence or the meaning of a column.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humansoft.errors import DatasetError, Problems, did_you_mean

Schema = dict[str, tuple[type, bool]]

_CARD: Schema = {
    "name": (str, True),
    "title": (str, True),
    "description": (str, True),
    "people": (int, True),
    "decisions": (int, True),
    "licence": (str, True),
    "redistributable": (bool, True),
    "citation": (str, True),
    "caveats": (list, True),
    "source": (dict, True),
    "tables": (list, True),
}
_SOURCE: Schema = {
    "repository": (str, True),
    "version": (str, True),
    "archive": (dict, False),
    "files": (list, True),
}
_FILE: Schema = {"path": (str, True), "sha256": (str, True)}
_TABLE: Schema = {"file": (str, True), "sha256": (str, False), "columns": (dict, True)}
_COLUMN: Schema = {"meaning": (str, True), "unit": (str, True)}


@dataclass(frozen=True)
class SourceFile:
    """One file of the publisher.

    Attributes:
        path: its place in the publisher's repository or archive.
        sha256: checksum of its content.
    """

    path: str
    sha256: str


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        meaning: what it holds, in words.
        unit: its unit, "" where it has none.
    """

    meaning: str
    unit: str


@dataclass(frozen=True)
class TableCard:
    """One canonical table.

    Attributes:
        file: name of the file.
        columns: what the columns mean, in the order of the file (keys, for a JSON file).
        sha256: checksum, where the file is the same on every machine (compressed ones are not).
    """

    file: str
    columns: Mapping[str, Column]
    sha256: str | None


@dataclass(frozen=True)
class Card:
    """A data set in words.

    Attributes:
        name: name of its folder.
        title: one line.
        description: what people did, and how many.
        people: number of people, 0 when who they were is not recorded.
        decisions: number of recorded decisions.
        licence: SPDX name, or "unstated".
        redistributable: true when the licence allows passing the data on.
        citation: what to cite.
        caveats: what to know before believing a result.
        repository: where the publisher has it.
        version: commit or release of the publisher that is pinned.
        archive: archive that holds the files, if they come in one.
        sources: files of the publisher that the tables are made from; none when there is no script.
        tables: the canonical tables.
    """

    name: str
    title: str
    description: str
    people: int
    decisions: int
    licence: str
    redistributable: bool
    citation: str
    caveats: tuple[str, ...]
    repository: str
    version: str
    archive: SourceFile | None
    sources: tuple[SourceFile, ...]
    tables: tuple[TableCard, ...]


def read_card(file: Path) -> Card:
    """Read and check one card.

    Raises:
        DatasetError: everything that is missing, unknown or of the wrong type.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"there is no card {file}") from error
    except tomllib.TOMLDecodeError as error:
        raise DatasetError(f"{file} is not valid TOML: {error}") from error
    _check_card(content, file)
    source = content.pop("source")
    tables = content.pop("tables")
    return Card(
        **content | {"caveats": tuple(content["caveats"])},
        repository=source["repository"],
        version=source["version"],
        archive=SourceFile(**source["archive"]) if "archive" in source else None,
        sources=tuple(SourceFile(**entry) for entry in source["files"]),
        tables=tuple(
            TableCard(
                table["file"],
                {name: Column(**column) for name, column in table["columns"].items()},
                table.get("sha256"),
            )
            for table in tables
        ),
    )


def _check_card(content: dict[str, Any], file: Path) -> None:
    with Problems(str(file), DatasetError) as problems:
        _check(content, _CARD, "", problems)
    if content["name"] != file.parent.name:
        folder = file.parent.name
        raise DatasetError(f"{file}: name is {content['name']!r}, the folder is {folder!r}; make them agree")
    source = content["source"]
    with Problems(str(file), DatasetError) as problems:
        _check(source, _SOURCE, "source.", problems)
        if "archive" in source:
            _check(source["archive"], _FILE, "source.archive.", problems)
        for place, entry in enumerate(source.get("files", [])):
            _check(entry, _FILE, f"source.files[{place}].", problems)
        for place, table in enumerate(content["tables"]):
            _check(table, _TABLE, f"tables[{place}].", problems)
            for name, column in table.get("columns", {}).items():
                _check(column, _COLUMN, f"tables[{place}].columns.{name}.", problems)


def _check(content: dict[str, Any], schema: Schema, where: str, problems: Problems) -> None:
    for key, (kind, needed) in schema.items():
        if key not in content:
            if needed:
                problems.add(f"there is no {where}{key}")
        elif type(content[key]) is not kind:
            problems.add(f"{where}{key} is {content[key]!r}, not a {kind.__name__}")
    for key in content.keys() - schema.keys():
        problems.add(f"{where}{key} is not a field of a card.{did_you_mean(key, schema)}")
