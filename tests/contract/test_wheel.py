"""The wheel: built, installed in a clean environment, and used offline from another directory."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow

OFFLINE = """
import sys

def refuse(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise OSError("there is no network here")

sys.addaudithook(refuse)
"""

USE = """
import humansoft
from humansoft.catalogue.load import list_datasets, load_dataset
from humansoft.errors import DatasetError

print(humansoft.__path__[0])
log, task = load_dataset("overcooked_cramped_room")
print(len(log), len(log.subjects), len(task.states), task.discount)
listed = list_datasets()
print(*listed["name"][listed["bundled"]])
print(*listed["available"][listed["bundled"]].unique())
try:
    load_dataset("rust_bus")
except DatasetError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the build tools of this environment."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    subprocess.run([*build, "--outdir", str(out), str(ROOT)], check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in a new environment that borrows all other packages from this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    interpreter = Path(paths["scripts"]) / "python"
    # Directories named in a .pth file are searched last, and their own .pth files (an editable
    # installation of this package) are not read.
    own = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(paths["purelib"]) / "borrowed.pth").write_text("\n".join(sorted(own)), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--no-index", "--no-deps"]
    # The borrowed packages may hold another installation of this one: look at none of them.
    subprocess.run([*pip, "--ignore-installed", str(wheel)], check=True, capture_output=True)
    return interpreter


def test_wheel_carries_cards_and_bundled_data_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [Path(name) for name in archive.namelist()]
    assert not [name for name in names if name.suffix == ".pyc"]
    carried = {name.relative_to("humansoft/_datasets") for name in names if "_datasets" in name.parts}
    folders = {file.parent.name for file in (ROOT / "datasets").glob("*/card.toml")}
    data = {name for name in carried if name.name not in ("card.toml", "prepare.py")}
    assert {name.parent.name for name in carried if name.name == "card.toml"} == folders
    assert data == {Path("overcooked_2019", name) for name in ("steps_train.parquet", "layouts.json", "LICENSE")}


def test_wheel_works_offline_from_another_directory(python: Path, tmp_path: Path) -> None:
    hidden = ("PYTHONPATH", "HUMANSOFT_DATA", "HUMANSOFT_CACHE")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [str(python), "-c", OFFLINE + USE],
        cwd=tmp_path,
        env=environment | {"HUMANSOFT_CACHE": str(tmp_path / "cache")},
        check=True,
        capture_output=True,
        text=True,
    )
    package, sizes, bundled, available, refusal = done.stdout.splitlines()
    assert Path(package).is_relative_to(python.parents[1])
    assert sizes == "19128 16 480 0.95"
    assert bundled.split()[0] == "overcooked_cramped_room"
    assert len(bundled.split()) == 5
    assert Path(available) == Path(package) / "_datasets" / "overcooked_2019"
    assert "data set 'rust_bus' is not on this machine" in refusal
    assert "cannot be reached" in refusal
