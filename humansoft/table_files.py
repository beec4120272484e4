"""Tables from files: CSV, TSV or Parquet, where a damaged file becomes a sentence."""

import zlib
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
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        lost = f" The folder {path.parent} does not exist or is empty."
        raise error(f"there is no file {path}.{did_you_mean(path.name, near) if near else lost}")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = next((s for s in reversed(suffixes) if s in (*_TEXT, *_PARQUET)), None)
    if kind is None:
        raise error(f"{path.name}: cannot tell the format from the name; use .csv, .tsv or .parquet")
    frame = _parse(path, kind, error)
    if frame.empty:
        raise error(f"{path.name} has a header but no rows")
    return frame


def _parse(path: Path, kind: str, error: type[HumansoftError]) -> pd.DataFrame:
    try:
        if kind in _PARQUET:
            return pd.read_parquet(path)
        # In one piece, lest a long column gets a type per piece. "n/a", missing in BIDS, is known to pandas.
        return pd.read_csv(path, sep=_TEXT[kind], low_memory=False)
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
