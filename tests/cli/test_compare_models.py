"""compare-models: the runs of one log, side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Humansoft = Callable[..., Any]


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, humansoft: Humansoft, log_words: list[object], model_words: list[str]
) -> list[Path]:
    """The maze's people by three planners, with one temperature."""
    folder = tmp_path_factory.mktemp("planners")
    found = [folder / planner for planner in ("kl", "entropy", "boltzmann")]
    for run in found:
        words = ["--planner", run.name, "--temperature", "shared", "--seed", 1, "-o", run]
        assert humansoft("fit", *log_words, *model_words, *words).code == 0
    return found


@pytest.mark.slow
def test_models_are_compared_with_what_cannot_be_told_apart(humansoft: Humansoft, runs: list[Path]) -> None:
    ended = humansoft("compare-models", *runs)
    assert ended.code == 0
    assert "differences to the best" in ended.stdout
    document = humansoft("compare-models", *runs, "--json").document
    assert {row["model"] for row in document["models"]} == {"kl", "entropy", "boltzmann"}
    assert document["ordered_by"] == "loo"
    best, *_ = document["models"]
    assert best["loo_difference"] == 0


def test_frequencies_and_a_file_are_asked_for(humansoft: Humansoft, runs: list[Path], tmp_path: Path) -> None:
    words = ["--criterion", "bic,frequencies", "--seed", 1, "-o", tmp_path / "models.csv"]
    ended = humansoft("compare-models", *runs, *words)
    assert ended.code == 0
    assert "How many people use each model" in ended.stdout
    assert pd.read_csv(tmp_path / "models.csv")["frequency"].sum() == pytest.approx(1.0)


@pytest.mark.slow
def test_episodes_are_left_out_with_their_log(humansoft: Humansoft, runs: list[Path], maze: Path) -> None:
    by_episode = humansoft("compare-models", *runs[:2], "--unit", "episode", "--log", maze / "choices.csv", "--json")
    assert by_episode.document["unit"] == "episode"


def test_what_is_missing_is_said(humansoft: Humansoft, runs: list[Path], run1: Path) -> None:
    ended = humansoft("compare-models", *runs[:2], "--criterion", "frequencies")
    assert ended.code == 2
    assert "pass seed=" in ended.stderr
    assert humansoft("compare-models", runs[0]).code == 2
    assert "named twice" in humansoft("compare-models", runs[0], runs[0]).stderr
    ended = humansoft("compare-models", *runs[:2], "--unit", "episode", "--criterion", "loo")
    assert ended.code == 2
    assert "pass the log" in ended.stderr
