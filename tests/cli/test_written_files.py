"""What commands write: complete or not at all, and nothing is overwritten without --force."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import humansoft as hs
from humansoft.cli import files

Humansoft = Callable[..., Any]


def test_a_table_is_replaced_only_with_force(humansoft: Humansoft, maze: Path, run1: Path, tmp_path: Path) -> None:
    target = tmp_path / "pred.csv"
    target.write_text("mine", encoding="utf-8")
    words = ["predict", run1, maze / "choices.csv", "-o", target]
    ended = humansoft(*words)
    assert ended.code == 2
    assert str(target) in ended.stderr
    assert "--force" in ended.stderr
    assert target.read_text(encoding="utf-8") == "mine"
    assert humansoft(*words, "--force").code == 0
    assert "p_up" in target.read_text(encoding="utf-8")


def test_a_run_is_replaced_only_with_force_and_other_folders_never(
    humansoft: Humansoft, log_words: list[object], model_words: list[str], tmp_path: Path
) -> None:
    run, photos = tmp_path / "run", tmp_path / "photos"
    photos.mkdir()
    (photos / "cat.jpg").write_text("cat", encoding="utf-8")
    words = ["fit", *log_words, *model_words]
    assert humansoft(*words, "-o", run, "--seed", 1).code == 0
    refused = humansoft(*words, "-o", run)
    assert refused.code == 2
    assert "--force" in refused.stderr
    assert humansoft(*words, "-o", run, "--force", "--seed", 2).code == 0
    assert hs.load(run).seed == 2
    never = humansoft(*words, "-o", photos, "--force")
    assert never.code == 2
    assert "is not a run" in never.stderr
    assert (photos / "cat.jpg").read_text(encoding="utf-8") == "cat"


def test_outputs_are_looked_at_before_any_work(
    humansoft: Humansoft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.csv").write_text("mine", encoding="utf-8")
    nowhere = tmp_path / "no_run"  # reading it would fail with exit 5
    for name, said in (
        ("there.csv", "exists already"),
        ("table.xlsx", ".csv, .tsv, .parquet"),
        ("there.csv/table.csv", "is a file, not a folder"),
    ):
        ended = humansoft("compare", nowhere, "-o", tmp_path / name)
        assert ended.code == 2, name
        assert said in ended.stderr
    (tmp_path / "folder.csv").mkdir()
    assert "is a folder" in humansoft("compare", nowhere, "-o", tmp_path / "folder.csv").stderr
    fit = ("fit", tmp_path / "no.csv", "--task", tmp_path / "no.toml", "-o")
    assert "is a file, not a folder" in humansoft(*fit, tmp_path / "there.csv" / "run").stderr
    monkeypatch.chdir(tmp_path)
    twice = humansoft("split", "no.csv", "-o", "same.csv", tmp_path / "same.csv")
    assert twice.code == 2
    assert "is named twice" in twice.stderr


@pytest.mark.parametrize("before", ["", "mine"])
def test_an_interrupted_command_leaves_nothing_half_written(
    humansoft: Humansoft,
    maze: Path,
    run1: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: str,
) -> None:
    target = tmp_path / "pred.csv"
    if before:
        target.write_text(before, encoding="utf-8")

    def interrupted(self: pd.DataFrame, file: Path, **options: object) -> None:
        file.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt

    monkeypatch.setattr(pd.DataFrame, "to_csv", interrupted)
    ended = humansoft("predict", run1, maze / "choices.csv", "-o", target, "--force")
    assert ended.code == 130
    left = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    assert left == ({"pred.csv": "mine"} if before else {})


def test_both_tables_of_a_split_appear_or_none(
    humansoft: Humansoft, maze: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files.write_table
    written: list[Path] = []

    def fail_on_the_second(table: pd.DataFrame, file: Path) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(file)
        write(table, file)

    monkeypatch.setattr(files, "write_table", fail_on_the_second)
    two = ("-o", tmp_path / "train.csv", tmp_path / "held_out.csv")
    words = ("split", maze / "choices.csv", "--state", "state_0,state_1", "--by", "time", *two)
    assert humansoft(*words).code == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["table.csv", "table.tsv", "table.parquet"])
def test_tables_come_back_and_are_readable_by_others(tmp_path: Path, name: str) -> None:
    mixed = pd.DataFrame({"state": [(0, "N"), None, (1, "S")], "label": [1, "1", None], "x": [0.5, None, 2.0]})
    files.write_tables([mixed], [tmp_path / name])
    read = {".csv": pd.read_csv, ".tsv": lambda f: pd.read_csv(f, sep="\t"), ".parquet": pd.read_parquet}
    back = read[Path(name).suffix](tmp_path / name)
    assert back["state"].tolist()[0] == '[0, "N"]'
    assert back["state"].isna().tolist() == [False, True, False]
    assert back["x"].isna().tolist() == [False, True, False]
    mode = stat.S_IMODE((tmp_path / name).stat().st_mode)
    (tmp_path / "plain").touch()
    assert mode == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
