"""What several unit tests need: real data where they are, and a machine without any."""

from collections.abc import Callable
from pathlib import Path

import pytest

from humansoft.catalogue.load import load_dataset
from humansoft.data.log import BehaviorLog
from humansoft.tasks.task import Task


@pytest.fixture(scope="session")
def real_data(data_home: Path) -> Callable[[str], Path]:
    """Find the folder of one data set that is not part of the project, or skip the test."""

    def find(folder: str) -> Path:
        if not (data_home / folder).is_dir():
            pytest.skip(f"real data absent: there is no {data_home / folder} (set $HUMANSOFT_DATA)")
        return data_home / folder

    return find


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Leave no place to look for data but the package and an empty cache; return the cache."""
    monkeypatch.delenv("HUMANSOFT_DATA", raising=False)
    monkeypatch.setenv("HUMANSOFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def cramped_room() -> tuple[BehaviorLog, Task]:
    """Load the bundled kitchen with one pot."""
    return load_dataset("overcooked_cramped_room")
