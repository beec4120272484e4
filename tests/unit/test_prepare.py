"""Every prepare.py: from the publisher's files to exactly the canonical tables, or a clear error.

The data are not part of the project: tests that need the publisher's files look in
``$HUMANSOFT_RAW``, by default in ``../shared/raw``, and skip without them.
"""

import gzip
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from humansoft.errors import DatasetError

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("rust_bus", "vgc_gridnav", "borlange_routes")

Folder = Callable[[str], Path]


def load(name: str) -> ModuleType:
    """Import a data set's prepare.py, which belongs to no package."""
    file = ROOT / "datasets" / name / "prepare.py"
    spec = importlib.util.spec_from_file_location(f"prepare_{name}", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def card(name: str) -> dict[str, Any]:
    """Read a data set's card."""
    return tomllib.loads((ROOT / "datasets" / name / "card.toml").read_text(encoding="utf-8"))


def content(table: Path) -> bytes:
    """Return a table's bytes; compressed ones are opened, for compressors differ."""
    return gzip.decompress(table.read_bytes()) if table.suffix == ".gz" else table.read_bytes()


@pytest.fixture(scope="module")
def raw(real_data: Folder) -> Folder:
    """Where the publisher's files of a data set lie."""
    base = Path(os.environ.get("HUMANSOFT_RAW", ROOT.parent / "shared" / "raw"))

    def find(name: str) -> Path:
        if name == "rust_bus":
            return real_data(name) / "original_asc"
        if not (base / name).is_dir():
            pytest.skip(f"publisher's files absent: there is no {base / name} (set $HUMANSOFT_RAW)")
        return base / name

    return find


@pytest.fixture(scope="module")
def prepared(raw: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Run a data set's prepare.py once and return its output folder."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            source, out = raw(name), tmp_path_factory.mktemp(name) / "out"
            load(name).prepare(source, out)
            made[name] = out
        return made[name]

    return make


def each_table() -> list[Any]:
    """One test parameter a table of a card."""
    return [pytest.param(name, table, id=table["file"]) for name in NAMES for table in card(name)["tables"]]


@pytest.mark.parametrize(("name", "table"), each_table())
@pytest.mark.slow
def test_table_equals_the_canonical_one(name: str, table: dict[str, Any], prepared: Folder, real_data: Folder) -> None:
    """Values, columns, order and text of the table are those of the reference copy."""
    made, reference = prepared(name) / table["file"], real_data(name) / table["file"]
    if table["file"].endswith("_participants.csv"):
        # Only the condition is in the source files; the reference also has a questionnaire.
        known = pd.read_csv(reference)[["subject", "condition"]]
        pd.testing.assert_frame_equal(pd.read_csv(made), known)
        return
    if not table["file"].endswith(".json"):
        pd.testing.assert_frame_equal(pd.read_csv(made), pd.read_csv(reference))
    assert content(made) == content(reference)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "table"), each_table())
def test_card_describes_the_table(name: str, table: dict[str, Any], prepared: Folder) -> None:
    """The card names every column, in the file's order, and the sha256 where it gives one."""
    made = prepared(name) / table["file"]
    if made.suffix == ".json":
        columns = list(next(iter(json.loads(made.read_text(encoding="utf-8")).values())))
    else:
        columns = list(pd.read_csv(made, nrows=1).columns)
    assert list(table["columns"]) == columns
    if "sha256" in table:
        assert hashlib.sha256(made.read_bytes()).hexdigest() == table["sha256"]


@pytest.mark.slow
def test_card_counts_people_and_presses(prepared: Folder) -> None:
    """The card of the mazes counts the people and presses of both experiments."""
    folder = prepared("vgc_gridnav")
    steps = pd.concat(pd.read_csv(folder / f"exp{n}_steps.csv.gz") for n in (1, 2))
    described = card("vgc_gridnav")
    assert described["decisions"] == len(steps)
    assert described["people"] == len(steps[["exp", "subject"]].drop_duplicates())


def test_publishers_layout_and_command_line(raw: Folder, prepared: Folder, tmp_path: Path) -> None:
    """Files under the repository's own paths do as well, and the same bytes come out."""
    source, flat, out = tmp_path / "repository", raw("rust_bus"), tmp_path / "out"
    for entry in card("rust_bus")["source"]["files"]:
        file = source / entry["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((flat / file.name).read_bytes())
    script = ROOT / "datasets" / "rust_bus" / "prepare.py"
    subprocess.run([sys.executable, script, source, out], check=True)
    for file in out.iterdir():
        assert file.read_bytes() == (prepared("rust_bus") / file.name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_missing_files_are_all_named(name: str, tmp_path: Path) -> None:
    """An empty folder: the message lists every file, where it was looked for, and the source."""
    with pytest.raises(DatasetError) as error:
        load(name).prepare(tmp_path, tmp_path / "out")
    described = card(name)
    for entry in described["source"]["files"]:
        assert entry["path"] in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert described["source"]["repository"] in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", NAMES)
def test_edited_files_are_all_named(name: str, tmp_path: Path) -> None:
    """Files with another content: the message gives each file with both checksums."""
    files = card(name)["source"]["files"]
    for entry in files:
        (tmp_path / entry["path"]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / entry["path"]).write_bytes(b"edited")
    with pytest.raises(DatasetError, match="is not the publisher's") as error:
        load(name).prepare(tmp_path, tmp_path / "out")
    for entry in files:
        assert str(tmp_path / entry["path"]) in str(error.value)
        assert entry["sha256"] in str(error.value)
    assert hashlib.sha256(b"edited").hexdigest() in str(error.value)
    assert not (tmp_path / "out").exists()


def test_one_missing_file_is_the_only_one_named(raw: Folder, tmp_path: Path) -> None:
    """Files that are there are not reported."""
    for file in raw("rust_bus").iterdir():
        if file.name != "rt50.asc":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(DatasetError, match="is not in") as error:
        load("rust_bus").prepare(tmp_path, tmp_path / "out")
    assert "rt50.asc" in str(error.value)
    assert "g870.asc" not in str(error.value)
