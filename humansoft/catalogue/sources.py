"""Where the files of a data set are: bundled, path=, $HUMANSOFT_DATA, cache, or a pinned download.

A download takes the publisher's raw files at the pinned version, refuses them when a checksum
differs, and lets the data set's ``prepare.py`` turn them into the canonical tables in the cache.
"""

import os
import runpy
import tempfile
from collections.abc import Sequence
from pathlib import Path

from humansoft.catalogue.cards import Card, read_card
from humansoft.catalogue.dataset import Dataset, Tables
from humansoft.errors import DatasetError, shortlist

DATA_VARIABLE = "HUMANSOFT_DATA"
CACHE_VARIABLE = "HUMANSOFT_CACHE"

_GITHUB = "https://github.com/"
_RAW_GITHUB = "https://raw.githubusercontent.com/"
_GAME_FILES = ("*.parquet", "*.pq", "*.csv", "*.csv.gz", "*.tsv", "*.tsv.gz")


def home() -> Path:
    """Return the folder of cards and bundled data: in the installed package, else in the source tree."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_datasets"
    return installed if installed.is_dir() else package.parent / "datasets"


def card_of(dataset: Dataset) -> Card:
    """Read the card of a data set."""
    return read_card(home() / dataset.folder / "card.toml")


def cache_folder() -> Path | None:
    """Return where prepared data sets are kept: $HUMANSOFT_CACHE, else the user's cache folder.

    ``None`` without the variable and without pooch, which knows each system's cache folder.
    """
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given)
    try:
        import pooch  # an optional extra
    except ImportError:
        return None
    return Path(pooch.os_cache("humansoft"))


def places(dataset: Dataset) -> dict[str, Path]:
    """Return the folders in which a data set is looked for, in this order."""
    data, cache = os.environ.get(DATA_VARIABLE), cache_folder()
    found = {"bundled": home() / dataset.folder}
    if data:
        found[f"${DATA_VARIABLE}"] = Path(data) / dataset.folder
    if cache:
        found["cache"] = cache / dataset.folder
    return found


def place_of(dataset: Dataset, files: Sequence[str] | None = None) -> tuple[str, Path] | None:
    """Return the first place that has all files of a data set, and the folder there."""
    needed = dataset.files if files is None else files
    return next((place for place in places(dataset).items() if not _absent(place[1], needed)), None)


def locate(dataset: Dataset, path: str | Path | None = None, files: Sequence[str] | None = None) -> Tables:
    """Find the files of a data set on this machine, or download them.

    Args:
        dataset: the data set.
        path: a folder with the canonical tables, or one file that stands for the main one.
        files: canonical file names, by default all that the data set needs.

    Raises:
        DatasetError: the files are nowhere and cannot be downloaded, or ``path`` lacks them.
    """
    needed = dataset.files if files is None else tuple(files)
    if path is not None:
        return _given(dataset, Path(path), needed)
    found = place_of(dataset, needed)
    folder = found[1] if found else _download(dataset)
    return Tables({file: (folder / file,) for file in needed}, dataset.name)


def games(dataset: Dataset, path: str | Path) -> Tables:
    """Find games that were recorded elsewhere: one file, or all tables of a folder.

    Raises:
        DatasetError: there is no such file, or no table in the folder.
    """
    path = Path(path)
    if not path.exists():
        raise DatasetError(f"{dataset.name}: path={str(path)!r} does not exist; give a file or folder of games")
    files = sorted({file for kind in _GAME_FILES for file in path.glob(kind)}) if path.is_dir() else [path]
    if not files:
        kinds = ", ".join(_GAME_FILES)
        raise DatasetError(f"{dataset.name}: there is no table ({kinds}) in the folder {path}")
    own = locate(dataset, files=dataset.others)
    return Tables({**own.files, dataset.table[0]: tuple(files)}, path.name)


def _absent(folder: Path, files: Sequence[str]) -> list[str]:
    return [file for file in files if not (folder / file).is_file()]


def _given(dataset: Dataset, path: Path, needed: Sequence[str]) -> Tables:
    if path.is_dir():
        absent = _absent(path, needed)
        if absent:
            raise DatasetError(f"{dataset.name}: there is no {shortlist(absent)} in path={str(path)!r}")
        return Tables({file: (path / file,) for file in needed}, path.name)
    if not path.is_file():
        raise DatasetError(
            f"{dataset.name}: path={str(path)!r} does not exist; give a folder with {shortlist(needed)}, "
            f"or a file in place of {shortlist(dataset.table)}"
        )
    replaced = {file: (path,) for file in needed if file in dataset.table}
    rest = [file for file in needed if file not in dataset.table]
    beside = {file: (path.parent / file,) for file in rest if (path.parent / file).is_file()}
    own = locate(dataset, files=[file for file in rest if file not in beside])
    return Tables({**own.files, **beside, **replaced}, path.name)


def _download(dataset: Dataset) -> Path:
    """Fetch the publisher's files, prepare the tables in the cache, and return their folder."""
    card, script = card_of(dataset), home() / dataset.folder / "prepare.py"
    if not (card.sources and card.repository.startswith(_GITHUB)):
        reason = "no script prepares it from the publisher's files"
        raise _nowhere(dataset, card, f"cannot be downloaded: {reason}")
    with tempfile.TemporaryDirectory() as raw:
        _fetch(dataset, card, Path(raw))
        cache = cache_folder() or Path()  # there is one where pooch is
        cache.mkdir(parents=True, exist_ok=True)
        # Made beside their place, tables can be moved there in one step: complete or not at all.
        with tempfile.TemporaryDirectory(dir=cache, prefix=f".{dataset.folder}-") as made:
            runpy.run_path(str(script))["prepare"](Path(raw), Path(made))  # no module of the package
            return _settle(Path(made), cache / dataset.folder)


def _fetch(dataset: Dataset, card: Card, raw: Path) -> None:
    """Download every file of the publisher at the pinned version."""
    try:
        import pooch
    except ImportError as error:
        reason = "its download needs pooch: pip install 'humansoft[remote]'"
        raise _nowhere(dataset, card, f"has not been downloaded: {reason}") from error
    url = f"{_RAW_GITHUB}{card.repository.removeprefix(_GITHUB)}/{card.version}/"
    publisher = pooch.create(raw, url, registry={f.path: f"sha256:{f.sha256}" for f in card.sources})
    try:
        for source in card.sources:
            publisher.fetch(source.path)
    except OSError as error:  # its message is about sockets
        reason = f"{url} cannot be reached ({type(error).__name__})"
        raise _nowhere(dataset, card, f"could not be downloaded: {reason}") from error
    except ValueError as error:  # a checksum differs
        raise _nowhere(dataset, card, f"could not be downloaded: {str(error).rstrip('.')}") from error


def _settle(made: Path, folder: Path) -> Path:
    """Move finished tables to their place, one by one, so that nothing else there is touched."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in made.iterdir():
        file.replace(folder / file.name)
    return folder


def _nowhere(dataset: Dataset, card: Card, reason: str) -> DatasetError:
    """Say where a data set would come from and what else helps."""
    looked = ", ".join(f"{name} ({folder})" for name, folder in places(dataset).items())
    cache = cache_folder()
    folder = f"the cache folder {cache / dataset.folder}" if cache else f"${CACHE_VARIABLE}/{dataset.folder}"
    return DatasetError(
        f"data set {dataset.name!r} is not on this machine (looked in: {looked}) and {reason}. "
        f"It comes from {card.repository} at {card.version}. Three other ways: "
        f"path=FOLDER with {shortlist(dataset.files)}; "
        f"the same files in ${DATA_VARIABLE}/{dataset.folder}; or in {folder}."
    )
