"""What files of fits and policies hold: labels of any type (numbers, text, and tuples of them), and checksums."""

import hashlib
import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from humansoft.codebook import label_index


def pack(label: Any) -> Any:  # noqa: ANN401 - labels are numbers, text, or tuples of them
    """Write a label as JSON: tuples become lists, numpy numbers plain ones."""
    if isinstance(label, tuple):
        return [pack(part) for part in label]
    return label.item() if isinstance(label, np.generic) else label


def unpack(label: Any) -> Any:  # noqa: ANN401
    """Read a label back: lists become tuples."""
    return tuple(unpack(part) for part in label) if isinstance(label, list) else label


def flat(table: pd.DataFrame) -> pd.DataFrame:
    """Turn an index of labels of any type into JSON text columns, which Parquet can hold."""
    levels: list[list[Hashable]] = [table.index.get_level_values(i).tolist() for i in range(table.index.nlevels)]
    text = {f"index_{i}": [json.dumps(pack(v)) for v in level] for i, level in enumerate(levels)}
    return pd.concat([pd.DataFrame(text), table.reset_index(drop=True)], axis=1)


def deep(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Turn the JSON text columns of :func:`flat` back into the index."""
    keys = [c for c in table.columns if c.startswith("index_")]
    levels = [[unpack(json.loads(text)) for text in table[key]] for key in keys]
    index = label_index(levels, names) if len(levels) > 1 else pd.Index(levels[0], name=names[0])
    return table.drop(columns=keys).set_axis(index)


def same_table(one: "pd.DataFrame | pd.Series[Any]", other: "pd.DataFrame | pd.Series[Any]") -> bool:
    """Whether two tables hold the same, however their text is stored: Parquet does not keep which way it was."""
    return bool(_as_objects(one).equals(_as_objects(other)))


def _as_objects(table: "pd.DataFrame | pd.Series[Any]") -> pd.DataFrame:
    whole = table.to_frame() if isinstance(table, pd.Series) else table
    return whole.astype({name: object for name in whole.columns if isinstance(whole[name].dtype, pd.StringDtype)})


def checksum_of_file(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def checksum_of(record: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON object, apart from the checksum in it."""
    content = {key: value for key, value in record.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
