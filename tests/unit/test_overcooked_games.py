"""Games of the kitchens that are not in the package, read against the bundled task."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from humansoft.catalogue.load import load_dataset, load_log
from humansoft.checking import check
from humansoft.data.log import BehaviorLog
from humansoft.errors import DatasetError, LogError
from humansoft.tasks.task import Task

KITCHEN = "overcooked_cramped_room"


def game(layout: str = "cramped_room", pair: int = 90, **changes: object) -> pd.DataFrame:
    """Return a made-up game of three steps: cook 0 fetches an onion, cook 1 a dish."""
    columns = {
        "run": "run-9",
        "pair": pair,
        "layout": layout,
        "t": [0, 1, 2],
        "p0_x": 1,
        "p0_y": 1,
        "p0_orient": ["S", "W", "W"],
        "p0_held": ["", "", "onion"],
        "p1_x": 1,
        "p1_y": 2,
        "p1_orient": "S",
        "p1_held": ["", "dish", "dish"],
        "objects": "[]",
        "a0": [4, 5, 0],
        "a1": [5, 0, 0],
    }
    return pd.DataFrame(columns | changes)


@pytest.mark.parametrize("kind", ["parquet", "csv", "csv.gz"])
def test_games_from_a_file(kind: str, tmp_path: Path, cramped_room: tuple[BehaviorLog, Task]) -> None:
    file = tmp_path / f"games.{kind}"
    games = pd.concat([game("random0", p0_x=3), game(), game(pair=91)], ignore_index=True)
    games.to_parquet(file) if kind == "parquet" else games.to_csv(file, index=False)
    log, task = load_dataset(KITCHEN, path=file)
    own_log, own_task = cramped_room
    assert log.source == f"games.{kind} (3 rows of other layouts left out)"
    assert log.dataset == KITCHEN
    assert log.subjects == ("pair90-p0", "pair90-p1", "pair91-p0", "pair91-p1")
    assert len(log) == 12
    assert task.states == own_task.states
    assert np.array_equal(task.transitions.probabilities, own_task.transitions.probabilities)
    assert not (check(log, task)["severity"] == "error").any()
    assert set(log.codebook.actions.values) <= set(own_log.codebook.actions.values)


def test_games_from_a_folder(tmp_path: Path) -> None:
    game().to_parquet(tmp_path / "first.parquet")
    game(pair=91).to_csv(tmp_path / "second.csv", index=False)
    pd.DataFrame({"pair": [90, 91], "age": [30, 40]}).to_csv(tmp_path / "people.csv", index=False)
    log = load_log(KITCHEN, path=tmp_path)
    assert (len(log), len(log.subjects), log.num_episodes) == (12, 4, 4)


def test_games_of_other_layouts_only(tmp_path: Path) -> None:
    pd.concat([game("random0"), game("random3")]).to_parquet(tmp_path / "games.parquet")
    found = r"'random0' \(3 rows\), 'random3' \(3 rows\)"
    with pytest.raises(DatasetError, match=rf"no row has layout 'cramped_room'; layouts there: {found}"):
        load_log(KITCHEN, path=tmp_path / "games.parquet")


def test_games_with_wrong_columns(tmp_path: Path) -> None:
    file = tmp_path / "games.csv"
    game().rename(columns={"layout": "kitchen"}).drop(columns="a0").to_csv(file, index=False)
    with pytest.raises(LogError, match=r"games.csv: 2 problems(?s:.*)no column 'layout'(?s:.*) 'a0'"):
        load_log(KITCHEN, path=file)


def test_wrong_games_name_the_row_of_their_file(tmp_path: Path) -> None:
    file = tmp_path / "games.csv"
    pd.concat([game("random0"), game(p0_x=[1, 1, 0])]).to_csv(file, index=False)
    with pytest.raises(LogError, match=r"games.csv, layout 'cramped_room': p0_x, p0_y: not .*: row 6 has 0, 1"):
        load_log(KITCHEN, path=file)


def test_no_games(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"path='.*absent' does not exist; give a file or folder of games"):
        load_log(KITCHEN, path=tmp_path / "absent")
    with pytest.raises(DatasetError, match=r"there is no table \(\*.parquet, .*\) in the folder"):
        load_log(KITCHEN, path=tmp_path)
