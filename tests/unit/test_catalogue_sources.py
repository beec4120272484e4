"""Where the files of a data set are found: path=, $HUMANSOFT_DATA, cache, download."""

import functools
import hashlib
import http.server
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from humansoft.catalogue import rust_bus, sources
from humansoft.catalogue.load import list_datasets, load_dataset, load_log
from humansoft.catalogue.registry import DATASETS
from humansoft.checking import check
from humansoft.data.log import BehaviorLog
from humansoft.errors import DatasetError
from humansoft.tasks.task import Task

Find = Callable[[str], Path]

pytestmark = pytest.mark.usefixtures("cache")


def bus_months() -> pd.DataFrame:
    """Return a made-up table of two buses of group 4, one of which gets a new engine."""
    bins = [0, 1, 1, 3, 0, 1]
    bus = pd.DataFrame({"group": 4, "t": range(6), "x5000": bins, "dx5000_rust": [1, 0, 2, 0, 1, np.nan]})
    both = pd.concat([bus.assign(bus_id=7), bus.assign(bus_id=8)], ignore_index=True)
    return both.assign(replaced=1 * ((both["bus_id"] == 8) & (both["t"] == 3)), done=1 * (both["t"] == 5))


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


def test_bundled_files_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cramped_room: tuple[BehaviorLog, Task]
) -> None:
    (tmp_path / "overcooked_2019").mkdir()
    shutil.copy(sources.home() / "overcooked_2019" / "layouts.json", tmp_path / "overcooked_2019")
    (tmp_path / "overcooked_2019" / "steps_train.parquet").write_bytes(b"never read")
    monkeypatch.setenv("HUMANSOFT_DATA", str(tmp_path))
    assert load_log("overcooked_cramped_room") == cramped_room[0]


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


def test_without_a_network(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
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
    assert str(cache / "vgc_gridnav") in message
    assert not cache.exists()  # nothing half done is left


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_data: Find) -> Iterator[Path]:
    """Serve a folder as if it were the publisher's repository of the buses; return that folder."""
    card = sources.card_of(DATASETS["rust_bus"])
    folder = tmp_path / "www" / card.repository.removeprefix("https://github.com/") / card.version
    for source in card.sources:
        file = folder / source.path
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(real_data("rust_bus") / "original_asc" / file.name, file)
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


def test_download_is_verified_prepared_and_kept(publisher: Path, cache: Path, real_data: Find) -> None:
    downloaded = load_log("rust_bus")
    assert downloaded == load_log("rust_bus", path=real_data("rust_bus"))
    shutil.rmtree(publisher)
    assert load_log("rust_bus") == downloaded  # now from the cache
    assert [folder.name for folder in cache.iterdir()] == ["rust_bus"]


def test_download_of_another_file_is_refused(publisher: Path, cache: Path) -> None:
    (publisher / "data/original_data/rt50.asc").write_text("1 2 3")
    with pytest.raises(DatasetError, match=hashlib.sha256(b"1 2 3").hexdigest()):
        load_log("rust_bus")
    assert not cache.exists()
