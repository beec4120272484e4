"""Networks on the command line: from edges and trips to predictions of the next turn."""

from pathlib import Path

import pandas as pd

import humansoft as hs
from tests.cli.conftest import Humansoft

TOWN = """
[task]
kind = "network"
discount = 1

[network]
file = "edges.csv"
features = ["minutes"]
units = {minutes = "per minute"}
"""


def test_from_edges_to_the_next_turn(humansoft: Humansoft, tmp_path: Path) -> None:
    turns = [("in", "mid", 1.0), ("mid", "in", 2.0), ("mid", "out", 1.5), ("in", "out", 4.0), ("out", "home", 0.5)]
    turns.append(("mid", "work", 1.0))
    pd.DataFrame(turns, columns=["from", "to", "minutes"]).to_csv(tmp_path / "edges.csv", index=False)
    (tmp_path / "town.toml").write_text(TOWN, encoding="utf-8")
    task = hs.Task.from_toml(tmp_path / "town.toml")
    trips = hs.simulate(hs.plan(task, {"minutes": -1.0}, planner="entropy"), episodes=200, seed=1)
    trips.to_dataframe().to_csv(tmp_path / "trips.csv", index=False)
    words = [tmp_path / "trips.csv", "--task", tmp_path / "town.toml", "--context", "context"]
    assert humansoft("check", *words).code == 0
    run = tmp_path / "run"
    fitted = humansoft("fit", *words, "--planner", "entropy", "--temperature", "fixed", "-o", run)
    assert fitted.code == 0
    assert "per minute" in fitted.stdout
    first = humansoft("predict", run, tmp_path / "trips.csv").stdout
    assert "likeliest" in first
    assert "turn_" not in first  # links have names, slots of turns have none
    assert {
        row["predictor"] for row in humansoft("score", run, tmp_path / "trips.csv", "--json").document["scores"]
    } == {
        "model",
        "uniform",
    }
    plan = humansoft("plan", tmp_path / "town.toml", "--reward", "minutes=-1")
    assert plan.code != 0
    assert "the table of a plan is not offered for networks" in plan.stderr
