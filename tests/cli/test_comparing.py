"""compare --scale-free and --assumptions: tables for people, one JSON document for programs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

Humansoft = Callable[..., Any]


def test_scale_free_measures_are_printed_and_written(humansoft: Humansoft, run1: Path, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    ended = humansoft("compare", run1, "--scale-free", "-o", file)
    assert ended.code == 0
    assert "How well people choose" in ended.stdout
    assert "Everybody is judged in the same states: the recorded decisions of all people together." in ended.stdout
    written = pd.read_csv(file)
    assert written["normalised_value"].is_monotonic_decreasing
    assert {"rank", "rank_low", "rank_high", "choice_error_own", "regret_per_decision"} <= set(written.columns)


def test_groups_and_assumptions_as_one_document(humansoft: Humansoft, run1: Path) -> None:
    ended = humansoft("compare", run1, "--by", "group", "--scale-free", "--assumptions", "--json")
    assert ended.code == 0
    document = json.loads(ended.stdout)
    assert {row["kind"] for row in document["comparison"]} == {"subject", "group", "difference"}
    assert next(row["test"] for row in document["assumptions"]) == "shared reward"
    assert "Hess & Rose 2012" in document["methods"]


def test_assumptions_are_printed_beside_temperatures(humansoft: Humansoft, run1: Path) -> None:
    ended = humansoft("compare", run1, "--assumptions")
    assert ended.code == 0
    assert "What a comparison of temperatures takes for granted" in ended.stdout
    assert "anchor (all): step makes a difference to the choices of all" in ended.stdout
    assert "note: nothing in behavior tells apart" in ended.stdout


def test_several_runs_are_compared_by_temperature_only(humansoft: Humansoft, run1: Path) -> None:
    ended = humansoft("compare", run1, run1, "--scale-free")
    assert ended.code == 2
    assert "take one run" in ended.stderr
    ended = humansoft("compare", run1, "--scale-free", "--reference", "poled")
    assert ended.code == 2
    assert "Did you mean 'pooled'?" in ended.stderr
