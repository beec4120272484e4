"""Data sets by name on the command line, and the demo."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import humansoft as hs
from humansoft.catalogue.sources import home

Humansoft = Callable[..., Any]
KITCHEN = "overcooked_cramped_room"


@pytest.fixture(scope="module")
def kitchen_run(humansoft: Humansoft, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("kitchen") / "run1"
    ended = humansoft("fit", "--dataset", KITCHEN, "--temperature", "fixed", "-o", run)
    assert ended.code == 0, ended.stderr
    return run


@pytest.fixture
def other_games(tmp_path: Path) -> Path:
    """Games the run has never seen: those of two pairs, under other names, half of each."""
    steps = pd.read_parquet(home() / "overcooked_2019" / "steps_train.parquet")
    mine = steps[(steps["layout"] == "cramped_room") & steps["pair"].isin([1, 3]) & (steps["t"] < 600)]
    mine = mine.assign(pair=mine["pair"] + 90)
    mine.to_parquet(tmp_path / "other.parquet", index=False)
    return tmp_path / "other.parquet"


def test_datasets_are_listed_and_described(humansoft: Humansoft) -> None:
    listed = humansoft("datasets")
    assert listed.code == 0
    assert all(len(line) <= 80 for line in listed.stdout.splitlines() if " MIT " in line)
    for name in hs.list_datasets()["name"]:
        assert name in listed.stdout
    document = humansoft("datasets", "--json").document
    assert [row["name"] for row in document["datasets"]] == hs.list_datasets()["name"].tolist()
    card = humansoft("datasets", KITCHEN)
    assert "Licence: MIT" in card.stdout
    assert "Cite: Carroll" in card.stdout
    assert humansoft("datasets", KITCHEN, "--json").document["licence"] == "MIT"


@pytest.mark.slow
def test_a_run_scores_and_predicts_a_file_it_has_never_seen(
    humansoft: Humansoft, kitchen_run: Path, other_games: Path, tmp_path: Path
) -> None:
    ended = humansoft("score", kitchen_run, other_games)
    assert ended.code == 0, ended.stderr
    assert "4 people are not in the run" in ended.stdout
    rows = humansoft("score", kitchen_run, other_games, "--json").document["scores"]
    assert rows[0]["num_decisions"] == 2 * 2 * 600
    assert rows[0]["num_unknown_subjects"] == 4
    assert rows[0]["nats_per_decision"] < rows[2]["nats_per_decision"]
    assert humansoft("predict", kitchen_run, other_games, "-o", tmp_path / "p.parquet").code == 0
    assert len(pd.read_parquet(tmp_path / "p.parquet")) == 2400
    known = humansoft("score", kitchen_run, "--baselines", "none", "--json").document
    assert known["scores"][0]["num_unknown_subjects"] == 0
    refused = humansoft("score", kitchen_run, other_games, "--participants", "people.csv")
    assert refused.code == 2


@pytest.mark.slow
def test_columns_that_are_missing_in_another_file_are_named(
    humansoft: Humansoft, kitchen_run: Path, other_games: Path, tmp_path: Path
) -> None:
    pd.read_parquet(other_games).drop(columns=["a1"]).to_csv(tmp_path / "less.csv", index=False)
    ended = humansoft("score", kitchen_run, tmp_path / "less.csv")
    assert ended.code == 5
    assert "no column 'a1'" in ended.stderr


@pytest.mark.slow
def test_a_data_set_can_be_split_fitted_and_scored(humansoft: Humansoft, tmp_path: Path) -> None:
    train, held_out = tmp_path / "train.csv", tmp_path / "held_out.csv"
    assert humansoft("split", "--dataset", KITCHEN, "--by", "time", "-o", train, held_out).code == 0
    fixed = ("--temperature", "fixed", "-o", tmp_path / "run")
    assert humansoft("fit", train, "--dataset", KITCHEN, *fixed).code == 0
    (row,) = humansoft("score", tmp_path / "run", held_out, "--baselines", "none", "--json").document["scores"]
    assert row["num_decisions"] == len(pd.read_csv(held_out))
    assert row["nats_per_decision"] < 0.85


@pytest.mark.slow
def test_demo_shows_the_whole_path_and_replaces_only_itself(
    humansoft: Humansoft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = humansoft("demo")
    assert first.code == 0
    for words in ("16 people", "What was found", "Reward", "Predictions", "multinomial_logit", "Temperature"):
        assert words in first.stdout
    assert "Saved: runs/demo" in first.stdout
    assert len(hs.load("runs/demo").subjects) == 16
    again = humansoft("demo", "--json")
    assert again.code == 0
    assert len(again.document["comparison"]) == 16
    assert [file.name for file in Path("runs").iterdir()] == ["demo"]


def test_demo_does_not_replace_what_it_did_not_make(humansoft: Humansoft, run1: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path / "mine", run1):
        ended = humansoft("demo", "-o", folder)
        assert ended.code == 2
        assert "was not made by" in ended.stderr
