"""What every ``prepare.py`` does alike: find the publisher's files, verify them, write tables."""

import argparse
import gzip
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from humansoft.catalogue.cards import read_card
from humansoft.errors import DatasetError, Problems


def read_sources(card_file: Path, raw: Path, flat_names: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """Return the verified content of every source file of a card, keyed by its path there.

    The files may lie under their paths in the publisher's repository or side by side, and be gzipped.

    Args:
        card_file: the card that names the files.
        raw: folder with the files.
        flat_names: path -> name in a flat folder, where that is not the last part of the path.

    Raises:
        DatasetError: naming every missing file, or every file that is not the publisher's.
    """
    card = read_card(card_file)
    found: dict[str, Path] = {}
    with Problems(f"{card.name}: files from {card.repository} at {card.version}", DatasetError) as problems:
        for entry in card.sources:
            flat = (flat_names or {}).get(entry.path, Path(entry.path).name)
            names = [entry.path, flat, f"{entry.path}.gz", f"{flat}.gz"]
            file = next((raw / name for name in names if (raw / name).is_file()), None)
            if file is None:
                problems.add(f"{entry.path} is not in {raw} (looked for {', '.join(names)})")
            else:
                found[entry.path] = file
    contents = {path: _content(file, path) for path, file in found.items()}
    with Problems(card.name, DatasetError) as problems:
        for entry in card.sources:
            try:
                verify(str(found[entry.path]), contents[entry.path], entry.sha256)
            except DatasetError as error:
                problems.add(str(error))
    return contents


def verify(name: str, content: bytes, sha256: str) -> None:
    """Refuse a file that is not byte for byte the publisher's.

    Raises:
        DatasetError: with both checksums.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DatasetError(f"{name} is not the publisher's: its sha256 is {found}, expected {sha256}")


def write_csv(table: pd.DataFrame, file: Path) -> None:
    """Write a table as CSV, gzipped when the name says so, the same bytes on every run."""
    content = table.to_csv(index=False, lineterminator="\n").encode()
    file.write_bytes(gzip.compress(content, mtime=0) if file.suffix == ".gz" else content)


def run_as_script(prepare: Callable[[Path, Path], None], description: str | None) -> None:
    """Call ``prepare`` with the two arguments of the command line, RAW and OUT."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("raw", type=Path, help="the publisher's files")
    parser.add_argument("out", type=Path, help="folder for the canonical tables")
    arguments = parser.parse_args()
    prepare(arguments.raw, arguments.out)


def _content(file: Path, path: str) -> bytes:
    """Return the content as the publisher has it, whether or not the copy here is gzipped."""
    content = file.read_bytes()
    if file.suffix != ".gz" or path.endswith(".gz"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError) as error:
        raise DatasetError(f"{file} cannot be unpacked ({error}); copy it again") from error
