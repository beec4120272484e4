"""The commands about uncertainty, on the maze's people."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Humansoft = Callable[..., Any]


@pytest.mark.slow
def test_profile_prints_and_writes_intervals(humansoft: Humansoft, maze: Path, run1: Path, tmp_path: Path) -> None:
    ended = humansoft("profile", run1, maze / "choices.csv", "--label", "ann", "-o", tmp_path / "ann.csv")
    assert ended.code == 0, ended.stderr
    assert "Profile likelihood intervals of temperature" in ended.stdout
    row = pd.read_csv(tmp_path / "ann.csv").iloc[0]
    assert row["ci_low"] < row["estimate"] < row["ci_high"]
    words = ("--parameter", "lava", "--level", "0.9", "--json")
    (lava,) = humansoft("profile", run1, maze / "choices.csv", *words).document["intervals"]
    assert (lava["name"], lava["label"], lava["level"]) == ("lava", "all", 0.9)
    wrong = humansoft("profile", run1, maze / "choices.csv", "--parameter", "lav")
    assert wrong.code == 2
    assert "Did you mean 'lava'?" in wrong.stderr


def test_bootstrap_prints_a_summary_and_writes_the_draws(
    humansoft: Humansoft, maze: Path, run1: Path, tmp_path: Path
) -> None:
    words = ("bootstrap", run1, maze / "choices.csv", "--seed", 1, "--draws", 5)
    ended = humansoft(*words, "-o", tmp_path / "draws.csv")
    assert ended.code == 0, ended.stderr
    assert "5 draws by episode" in ended.stdout
    draws = pd.read_csv(tmp_path / "draws.csv")
    assert len(draws) == 5
    assert {"lava", "log_temperature[ann]"} <= set(draws.columns)
    document = humansoft(*words, "--json").document
    assert document["converged"]
    assert [row["lava"] for row in document["draws"]] == pytest.approx(draws["lava"].tolist())
    assert {row["parameter"] for row in document["summary"]} == {"lava", *(f"log_temperature[{p}]" for p in PEOPLE)}


PEOPLE = ("ann", "bob", "cai", "dov")


@pytest.mark.slow
def test_profile_discount_says_what_the_data_tell(
    humansoft: Humansoft, log_words: list[object], model_words: list[str]
) -> None:
    words = ("profile-discount", *log_words, *model_words, "--discounts", "0.5,0.9")
    ended = humansoft(*words)
    assert ended.code == 0, ended.stderr
    assert "The discount's profile" in ended.stdout
    document = humansoft(*words, "--json").document
    assert [row["discount"] for row in document["profile"]] == [0.5, 0.9, 0.95]
    wrong = humansoft(*words[:-1], "0.5,high")
    assert wrong.code == 2
    assert "'high' is not a number" in wrong.stderr
