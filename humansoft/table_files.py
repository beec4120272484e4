"""Tables from files: CSV, TSV or Parquet, where a damaged file becomes a sentence."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from humansoft.errors import HumansoftError, did_you_mean

_TEXT = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_PARQUET = (".parquet", ".pq")


def read_table(path: Path, error: type[HumansoftError]) -> pd.DataFrame:
    """Read one CSV, TSV or Parquet file (.gz and the like are unpacked).

    Args:
        path: the file; its name tells the format.
        error: what to raise.

    Raises:
        HumansoftError: as ``error``: no such file, unknown suffix, empty, damaged or wrongly encoded.
    """
    separator = separator_of(path, error)
    with damage_as(path, error):
        # In one piece, lest a long column gets a type per piece. "n/a", missing in BIDS, is known to pandas.
        frame = pd.read_parquet(path) if separator is None else pd.read_csv(path, sep=separator, low_memory=False)
    if frame.empty:
        raise error(f"{path.name} has a header but no rows")
    return frame


def separator_of(path: Path, error: type[HumansoftError]) -> str | None:
    """Return what separates the cells of a text file, ``None`` for Parquet.

    Raises:
        HumansoftError: as ``error``: no such file or unknown suffix.
    """
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        lost = f" The folder {path.parent} does not exist or is empty."
        raise error(f"there is no file {path}.{did_you_mean(path.name, near) if near else lost}")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = next((s for s in reversed(suffixes) if s in (*_TEXT, *_PARQUET)), None)
    if kind is None:
        raise error(f"{path.name}: cannot tell the format from the name; use .csv, .tsv or .parquet")
    return _TEXT.get(kind)


@contextmanager
def damage_as(path: Path, error: type[HumansoftError]) -> Iterator[None]:
    """Turn what parsers raise on a damaged file into a sentence.

    Raises:
        HumansoftError: as ``error``.
    """
    try:
        yield
    except UnicodeDecodeError as cause:
        raise error(
            f"{path.name} is not UTF-8 text (byte {cause.start}: {cause.reason}); save it as UTF-8, "
            "or read it yourself with pandas.read_csv(encoding=...) and pass the DataFrame"
        ) from cause
    except pd.errors.EmptyDataError as cause:
        raise error(f"{path.name} is empty: not even a header line") from cause
    except (OSError, EOFError, ValueError, zlib.error) as cause:
        # What the parsers of text and Parquet raise are ValueErrors.
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise error(
            f"{path.name} cannot be read ({reason}); the file is damaged or cut short: copy or export it again"
        ) from cause
