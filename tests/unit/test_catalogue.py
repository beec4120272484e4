"""The catalogue: cards, where files are found, and every data set as a log and a task.

Most data are not part of the project: tests that need them look in ``$HUMANSOFT_DATA``, by default in
``../shared/data``, and skip without them.
"""

import functools
import hashlib
import http.server
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from humansoft.catalogue import rust_bus, sources, tartarus_maze, tower_of_london
from humansoft.catalogue.cards import read_card
from humansoft.catalogue.load import describe, list_datasets, load_dataset, load_log, load_table
from humansoft.catalogue.registry import DATASETS
from humansoft.checking import check
from humansoft.errors import DatasetError, LogError

ROOT = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("HUMANSOFT_DATA", ROOT.parent / "shared" / "data"))
CARDS = sorted((ROOT / "datasets").glob("*/card.toml"))
KITCHEN = "overcooked_cramped_room"


@pytest.fixture(autouse=True)
def nothing_but_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Look nowhere but in the package and in an empty cache."""
    monkeypatch.delenv("HUMANSOFT_DATA", raising=False)
    monkeypatch.setenv("HUMANSOFT_CACHE", str(tmp_path / "cache"))


def real(folder: str) -> Path:
    if not (REAL / folder).is_dir():
        pytest.skip(f"real data absent: there is no {REAL / folder} (set $HUMANSOFT_DATA)")
    return REAL / folder


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


def bus_months() -> pd.DataFrame:
    """Return a made-up table of two buses of group 4, one of which gets a new engine."""
    bins = [0, 1, 1, 3, 0, 1]
    bus = pd.DataFrame({"group": 4, "t": range(6), "x5000": bins, "dx5000_rust": [1, 0, 2, 0, 1, np.nan]})
    both = pd.concat([bus.assign(bus_id=7), bus.assign(bus_id=8)], ignore_index=True)
    return both.assign(replaced=1 * ((both["bus_id"] == 8) & (both["t"] == 3)), done=1 * (both["t"] == 5))


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


@pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if dataset.build_task])
def test_log_fits_its_task(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = DATASETS[name]
    if dataset.folder != "overcooked_2019":
        monkeypatch.setenv("HUMANSOFT_DATA", str(real(dataset.folder).parent))
    log, task = load_dataset(name)
    assert (log.dataset, log.source) == (name, name)
    assert len(log) == dataset.decisions
    if dataset.folder != "rust_bus":  # one person, whose buses are the subjects
        assert len(log.subjects) == dataset.people
    findings = check(log, task)
    assert not (findings["severity"] == "error").any()
    assert all(unit for unit in task.feature_units.values())


def test_sizes_of_borlange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUMANSOFT_DATA", str(real("borlange_routes").parent))
    log = load_log("borlange_routes")
    assert (len(log), log.num_episodes) == (37_167, 1_832)
    network = load_table("borlange_routes", "network")
    assert {"from_link", "to_link", "travel_time_min"} <= set(network.columns)


def test_labels_of_mazes_and_their_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUMANSOFT_DATA", str(real("vgc_gridnav").parent))
    log, task = load_dataset("vgc_gridnav")
    assert ("grid-0-0-base", (0, 0)) in task.states
    assert task.actions.values == ("<", ">", "^", "v")
    groups, codes = log.group("experiment")
    assert groups.values == (1, 2)
    assert np.bincount(codes).tolist() == [161, 162]
    assert "exp2-0" in log.subjects


def test_buses_keep_their_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUMANSOFT_DATA", str(real("rust_bus").parent))
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


def test_one_list_of_everything() -> None:
    listed = list_datasets().set_index("name")
    assert list(listed.index) == list(DATASETS)
    row = listed.loc[[KITCHEN]].to_dict("records")[0]
    assert (row["people"], row["decisions"], row["licence"], row["bundled"]) == (16, 19_128, "MIT", True)
    assert listed["people"].isna().sum() == 1
    assert listed.index[~listed["has_task"]].tolist() == ["borlange_routes"]
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
    with pytest.raises(
        DatasetError, match=r"has no task yet; load_log\('borlange_routes'\).* network, trips$"
    ):
        load_dataset("borlange_routes")


def test_a_table_as_it_is() -> None:
    steps = load_table(KITCHEN, "steps_train.parquet")
    assert list(steps.columns) == list(sources.card_of(DATASETS[KITCHEN]).tables[0].columns)


# --- other games of the kitchens -------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parquet", "csv", "csv.gz"])
def test_games_from_a_file(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"games.{kind}"
    games = pd.concat([game("random0", p0_x=3), game(), game(pair=91)], ignore_index=True)
    games.to_parquet(file) if kind == "parquet" else games.to_csv(file, index=False)
    log, task = load_dataset(KITCHEN, path=file)
    own_log, own_task = load_dataset(KITCHEN)
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
    with pytest.raises(
        LogError, match=r"games.csv, layout 'cramped_room': p0_x, p0_y: not .*: row 6 has 0, 1"
    ):
        load_log(KITCHEN, path=file)


def test_no_games(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"path='.*absent' does not exist; give a file or folder of games"):
        load_log(KITCHEN, path=tmp_path / "absent")
    with pytest.raises(DatasetError, match=r"there is no table \(\*.parquet, .*\) in the folder"):
        load_log(KITCHEN, path=tmp_path)


# --- where files are found -------------------------------------------------------------------


def test_path_is_a_folder_or_a_file(tmp_path: Path) -> None:
    bus_months().to_csv(tmp_path / rust_bus.MONTHS, index=False)
    bus_months().to_parquet(tmp_path / "mine.parquet")
    from_folder, task = load_dataset("rust_bus", path=tmp_path)
    assert from_folder == load_log("rust_bus", path=str(tmp_path / "mine.parquet"))
    assert (len(from_folder), len(from_folder.subjects)) == (10, 2)
    assert not (check(from_folder, task)["severity"] == "error").any()


def test_path_without_the_files(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no 'bus_months.csv.gz' in path="):
        load_dataset("rust_bus", path=tmp_path)
    with pytest.raises(DatasetError, match=r"does not exist; give a folder with 'bus_months.csv.gz'"):
        load_dataset("rust_bus", path=tmp_path / "absent.csv")


def test_path_with_wrong_columns(tmp_path: Path) -> None:
    months = bus_months().rename(columns={"x5000": "x500"}).drop(columns="done")
    months.to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(DatasetError, match=r"mine.csv: 2 problems(?s:.*)Did you mean 'x500'(?s:.*) 'done'"):
        load_dataset("rust_bus", path=tmp_path / "mine.csv")


def test_path_without_the_group(tmp_path: Path) -> None:
    bus_months().to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(DatasetError, match=r"groups \[1, 2, 3\]: the table of bus months has groups \[4\]"):
        load_dataset("rust_bus_groups1to3", path=tmp_path / "mine.csv")


def test_variable_comes_before_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, months in (("data", bus_months()), ("cache", bus_months().query("bus_id == 7"))):
        (tmp_path / place / "rust_bus").mkdir(parents=True)
        months.to_csv(tmp_path / place / "rust_bus" / rust_bus.MONTHS, index=False)
    assert len(load_log("rust_bus").subjects) == 1
    monkeypatch.setenv("HUMANSOFT_DATA", str(tmp_path / "data"))
    assert len(load_log("rust_bus").subjects) == 2
    available = list_datasets().set_index("name")["available"]
    assert available["rust_bus"] == str(tmp_path / "data" / "rust_bus")


def test_bundled_files_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "overcooked_2019").mkdir()
    game().to_parquet(tmp_path / "overcooked_2019" / "steps_train.parquet")
    monkeypatch.setenv("HUMANSOFT_DATA", str(tmp_path))
    assert len(load_log(KITCHEN)) == 19_128


# --- downloads -------------------------------------------------------------------------------


def test_without_a_script_there_is_no_download() -> None:
    with pytest.raises(DatasetError, match=r"is not on this machine .* cannot be downloaded: no script"):
        load_dataset("tower_of_london")


def test_without_pooch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DatasetError, match=r"needs pooch: pip install 'humansoft\[remote\]'"):
        load_dataset("rust_bus")
    monkeypatch.delenv("HUMANSOFT_CACHE")
    with pytest.raises(DatasetError, match=r"or in \$HUMANSOFT_CACHE/rust_bus"):
        load_dataset("rust_bus")


def test_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "_RAW_GITHUB", "http://127.0.0.1:9/")  # nobody listens there
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(DatasetError) as caught:
        load_dataset("vgc_gridnav_exp1")
    message, card = str(caught.value), sources.card_of(DATASETS["vgc_gridnav_exp1"])
    assert "'vgc_gridnav_exp1' is not on this machine" in message
    assert "could not be downloaded" in message
    assert f"{card.repository} at {card.version}" in message
    assert "path=FOLDER with 'exp1_steps.csv.gz', 'exp1_grids.json'" in message
    assert "$HUMANSOFT_DATA/vgc_gridnav" in message
    assert str(tmp_path / "cache" / "vgc_gridnav") in message
    assert not (tmp_path / "cache").exists()  # nothing half done is left


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a folder as if it were the publisher's repository of the buses; return that folder."""
    card = sources.card_of(DATASETS["rust_bus"])
    folder = tmp_path / "www" / card.repository.removeprefix("https://github.com/") / card.version
    for source in card.sources:
        file = folder / source.path
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(real("rust_bus") / "original_asc" / file.name, file)
    handler = functools.partial(_Quiet, directory=str(tmp_path / "www"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(sources, "_RAW_GITHUB", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_is_verified_prepared_and_kept(publisher: Path, tmp_path: Path) -> None:
    downloaded = load_log("rust_bus")
    assert downloaded == load_log("rust_bus", path=real("rust_bus"))
    shutil.rmtree(publisher)
    assert load_log("rust_bus") == downloaded  # now from the cache
    assert [folder.name for folder in (tmp_path / "cache").iterdir()] == ["rust_bus"]


def test_download_of_another_file_is_refused(publisher: Path, tmp_path: Path) -> None:
    (publisher / "data/original_data/rt50.asc").write_text("1 2 3")
    with pytest.raises(DatasetError, match=hashlib.sha256(b"1 2 3").hexdigest()):
        load_log("rust_bus")
    assert not (tmp_path / "cache").exists()
