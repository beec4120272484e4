"""The catalogue: cards, names, and every data set as a log and a task."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from humansoft.catalogue import kw97_careers, sources, tartarus_maze, tower_of_london
from humansoft.catalogue.cards import read_card
from humansoft.catalogue.load import describe, list_datasets, load_dataset, load_log, load_table
from humansoft.catalogue.registry import DATASETS
from humansoft.checking import check
from humansoft.errors import DatasetError

CARDS = sorted((Path(__file__).resolve().parents[2] / "datasets").glob("*/card.toml"))
KITCHEN = "overcooked_cramped_room"

Find = Callable[[str], Path]

pytestmark = pytest.mark.usefixtures("cache")


# --- cards -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", CARDS, ids=lambda file: file.parent.name)
def test_every_card_has_the_one_schema(file: Path) -> None:
    card = read_card(file)
    assert card.name == file.parent.name
    assert all(len(source.sha256) == 64 for source in card.sources)
    assert all(column.meaning for table in card.tables for column in table.columns.values())
    assert (file.parent / "prepare.py").is_file() == bool(card.sources)


def test_every_folder_is_loaded_by_a_name_and_every_name_has_a_card() -> None:
    assert {dataset.folder for dataset in DATASETS.values()} == {file.parent.name for file in CARDS}
    for dataset in DATASETS.values():
        listed = [table.file for table in sources.card_of(dataset).tables]
        assert set(dataset.files) <= set(listed)


def test_all_problems_of_a_card_come_together(tmp_path: Path) -> None:
    text = CARDS[0].read_text(encoding="utf-8").replace("title = ", "titel = ")
    file = tmp_path / "card.toml"
    file.write_text(text.replace('licence = "', "licence = 3 # "), encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        read_card(file)
    message = str(caught.value)
    assert "3 problems" in message
    assert "there is no title" in message
    assert "licence is 3, not a str" in message
    assert "titel is not a field of a card. Did you mean 'title'?" in message


def test_a_card_belongs_to_its_folder(tmp_path: Path) -> None:
    shutil.copy(CARDS[0], tmp_path / "card.toml")
    with pytest.raises(DatasetError, match=r"name is 'borlange_routes', the folder is '.*'; make them agree"):
        read_card(tmp_path / "card.toml")
    with pytest.raises(DatasetError, match=r"there is no card .*absent"):
        read_card(tmp_path / "absent")


# --- every data set --------------------------------------------------------------------------


def each_dataset() -> list[Any]:
    """One test parameter a data set; with shapes checked, reading most of them takes seconds."""
    quick = (KITCHEN, "rust_bus", "tower_of_london")
    return [pytest.param(name, marks=[] if name in quick else pytest.mark.slow) for name in DATASETS]


@pytest.mark.parametrize("name", each_dataset())
def test_log_fits_its_task(name: str, monkeypatch: pytest.MonkeyPatch, real_data: Find) -> None:
    dataset = DATASETS[name]
    if dataset.folder != "overcooked_2019":
        monkeypatch.setenv("HUMANSOFT_DATA", str(real_data(dataset.folder).parent))
    log, task = load_dataset(name)
    assert (log.dataset, log.source) == (name, name)
    assert len(log) == dataset.decisions
    if dataset.folder not in ("rust_bus", "borlange_routes"):  # one person's buses; drivers unknown
        assert len(log.subjects) == dataset.people
    findings = check(log, task)
    assert not (findings["severity"] == "error").any()
    assert all(unit for unit in task.feature_units.values())


def test_sizes_of_borlange(monkeypatch: pytest.MonkeyPatch, real_data: Find) -> None:
    monkeypatch.setenv("HUMANSOFT_DATA", str(real_data("borlange_routes").parent))
    log = load_log("borlange_routes")
    assert (len(log), log.num_episodes) == (37_167, 1_832)
    network = load_table("borlange_routes", "network")
    assert {"from_link", "to_link", "travel_time_min"} <= set(network.columns)
    _, task = load_dataset("borlange_routes")
    assert (len(task.contexts), len(task.states)) == (466, 466 * (7288 + 466))


@pytest.mark.slow
def test_labels_of_mazes_and_their_experiments(monkeypatch: pytest.MonkeyPatch, real_data: Find) -> None:
    monkeypatch.setenv("HUMANSOFT_DATA", str(real_data("vgc_gridnav").parent))
    log, task = load_dataset("vgc_gridnav")
    assert ("grid-0-0-base", (0, 0)) in task.states
    assert task.actions.values == ("<", ">", "^", "v")
    groups, codes = log.group("experiment")
    assert groups.values == (1, 2)
    assert np.bincount(codes).tolist() == [161, 162]
    assert "exp2-0" in log.subjects


def test_buses_keep_their_group(monkeypatch: pytest.MonkeyPatch, real_data: Find) -> None:
    monkeypatch.setenv("HUMANSOFT_DATA", str(real_data("rust_bus").parent))
    log, task = load_dataset("rust_bus_groups1to4")
    groups, codes = log.group("group")
    assert dict(zip(groups.values, np.bincount(codes).tolist(), strict=True)) == {1: 15, 2: 4, 3: 48, 4: 37}
    assert not task.exact


def test_moves_of_tartarus_lead_to_free_neighbours() -> None:
    maze = np.zeros((10, 10), dtype=int)
    maze[3, 4] = -1
    table = tartarus_maze.transitions([maze.tolist()])
    moves = table.set_index(["state", "action"])["next_state"]
    assert moves[1, "E"] == 2
    assert moves[1, "S"] == 11
    assert (1, "N") not in moves.index
    assert moves[24, "S"] == 34  # into the goal
    assert (25, "S") not in moves.index  # the module was removed
    assert not {34, 35} & set(table["state"])


def test_boards_of_the_tower() -> None:
    table = tower_of_london.transitions(["1/2/3", "12/3/-"])
    assert table.groupby("context")["state"].nunique().tolist() == [35, 35]


def test_careers_branch_into_every_activity_until_the_last_age() -> None:
    start = pd.DataFrame([(25, 19, 2, 0, 1, "home")], columns=kw97_careers.STATE)
    table = kw97_careers.transitions(start)
    assert table.groupby("age").size().to_dict() == {25: 5, 26: 5 * 5 - 1}  # 20 years of school are enough
    first = table[table["age"] == 25].set_index("action")
    after = first[list(kw97_careers.NEXT)].apply(tuple, axis=1)
    assert after["school"] == (26, 20, 2, 0, 1, "school")
    assert after["home"] == (26, 19, 2, 0, 1, "home")
    assert after["military"] == (26, 19, 2, 0, 2, "military")
    last = table[table["age"] == 26]
    assert set(last[list(kw97_careers.NEXT)].apply(tuple, axis=1)) == {kw97_careers.END}
    assert len(last.drop_duplicates(list(kw97_careers.STATE))) == 5


def test_careers_pay_in_schooling_and_experience() -> None:
    start = pd.DataFrame([(26, 14, 3, 0, 2, "home")], columns=kw97_careers.STATE)
    table = kw97_careers.transitions(start).set_index("action")
    paid = {action: {k: v for k, v in row.items() if v} for action, row in table[list(kw97_careers.UNITS)].iterrows()}
    kept = {"later_school": 14.0, "later_white_collar": 3.0, "later_military": 2.0}
    assert paid["home"] == {"home_again": 1.0} | kept
    school = {"school": 1.0, "college": 1.0, "back_to_school": 1.0, "back_to_college": 1.0}
    assert paid["school"] == school | kept | {"later_school": 15.0}
    work = {"white_collar": 1.0, "white_collar_start": 1.0, "white_collar_schooling": 2.0}
    assert paid["white_collar"] == work | {"white_collar_experience": 3.0} | kept | {"later_white_collar": 4.0}
    blue = {"blue_collar": 1.0, "blue_collar_start": 1.0, "blue_collar_schooling": 2.0}
    assert paid["blue_collar"] == blue | {"blue_collar_other_experience": 3.0} | kept | {"later_blue_collar": 1.0}


def test_completing_school_and_working_young_stand_out() -> None:
    start = pd.DataFrame([(17, 11, 0, 0, 0, "school")], columns=kw97_careers.STATE)
    table = kw97_careers.transitions(start)
    first = table[table["age"] == 17].set_index("action")
    assert first["high_school_diploma"].to_dict() == dict.fromkeys(first.index, 0.0) | {"school": 1.0}
    working = set(first.index[first["minor_work"] == 1.0])
    assert working == set(kw97_careers.OCCUPATIONS)
    assert table.loc[table["minor_work"] == 1.0, "age"].max() == 17


def test_one_list_of_everything() -> None:
    listed = list_datasets().set_index("name")
    assert list(listed.index) == list(DATASETS)
    row = listed.loc[[KITCHEN]].to_dict("records")[0]
    assert (row["people"], row["decisions"], row["licence"], row["bundled"]) == (16, 19_128, "MIT", True)
    assert listed["people"].isna().sum() == 1
    assert listed.loc["rust_bus", "available"] == ""


@pytest.mark.parametrize("name", DATASETS)
def test_codebook_names_every_column_with_its_unit(name: str) -> None:
    text, card = describe(name), sources.card_of(DATASETS[name])
    assert text.startswith(f"{name}: {card.title}")
    for table in card.tables:
        for column, entry in table.columns.items():
            assert f"  {column}{f' [{entry.unit}]' if entry.unit else ''}: " in text
    assert all(word in text for word in (card.licence, card.version, card.repository))


# --- names -----------------------------------------------------------------------------------


def test_unknown_names_meet_the_near_ones() -> None:
    with pytest.raises(DatasetError, match=r"no data set 'rust_buss'. Did you mean 'rust_bus'\?"):
        load_dataset("rust_buss")
    with pytest.raises(DatasetError, match=r"has no table 'trip'. Did you mean 'trips'\?"):
        load_table("borlange_routes", "trip")


def test_a_table_as_it_is() -> None:
    steps = load_table(KITCHEN, "steps_train.parquet")
    assert list(steps.columns) == list(sources.card_of(DATASETS[KITCHEN]).tables[0].columns)
