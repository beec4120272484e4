"""From columns to labels and codes: what the ordinary and the counting reader share."""

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from humansoft.codebook import Codebook, Labels
from humansoft.data.column_checks import LARGEST_STEP
from humansoft.data.columns import Columns
from humansoft.errors import LogError, Problems, UsageError, did_you_mean, shortlist
from humansoft.table_files import read_table


def load_table(source: object) -> tuple[pd.DataFrame, str]:
    """Return a table and its name, from a file or as it is.

    Raises:
        UsageError: neither a path nor a DataFrame.
        LogError: the file cannot be read.
    """
    if isinstance(source, pd.DataFrame):
        return source.reset_index(drop=True), "DataFrame"
    if not isinstance(source, str | Path):
        raise UsageError(f"read() takes a path or a pandas DataFrame, not a {type(source).__name__}")
    path = Path(source)
    return read_table(path, LogError), path.name


def whole_numbers(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Give whole numbers back their type: a column with an empty cell arrives as floats."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.astype(object)
    if pd.api.types.is_float_dtype(values):
        numbers = values.to_numpy(dtype=float, na_value=0.0)
        numbers = np.where(np.isnan(numbers), 0.0, numbers)
        if (numbers == np.round(numbers)).all() and (np.abs(numbers) < LARGEST_STEP).all():
            return values.astype("Int64").astype(object).where(values.notna(), None)
    return values


def make_codebook(labels: Mapping[str, Iterable[Hashable]], old: Codebook | None) -> Codebook:
    """Collect the labels of each kind, after those of an old codebook.

    Args:
        labels: "subject", "state" and "action" -> labels; ``None`` is none.
        old: labels whose codes are kept.
    """
    fresh = {
        kind: Labels.of(kind, (v for v in dict.fromkeys(values) if v is not None)) for kind, values in labels.items()
    }
    if old is not None:
        for kind, known in (("subject", old.subjects), ("state", old.states), ("action", old.actions)):
            extra = tuple(v for v in fresh[kind].values if v not in known)
            fresh[kind] = Labels(kind, known.values + extra)
    return Codebook(fresh["subject"], fresh["state"], fresh["action"])


def participants_table(
    source: str | Path | pd.DataFrame | None, columns: Columns, subjects: Iterable[Hashable], name: str
) -> pd.DataFrame:
    """Return the participants indexed by subject, or a table without columns where there is none.

    Raises:
        LogError: no subject column, two different rows of a person, people of the log without one.
    """
    if source is None:
        return pd.DataFrame(index=pd.Index([], name=columns.subject))
    frame, table = load_table(source)
    key = columns.subject
    if key is None or key not in frame.columns:
        hint = did_you_mean(key, frame.columns)
        raise LogError(f"participants table {table} needs the subject column {key!r} of {name}.{hint}")
    with Problems(f"participants table {table}", LogError) as problems:
        distinct = frame.drop_duplicates()
        twice = distinct[key][distinct[key].duplicated()].unique().tolist()
        if twice:
            problems.add(f"subjects {shortlist(twice)} have rows with different values; keep one row a person")
        known = Labels.of("subject", frame[key].tolist())
        absent = [s for s in dict.fromkeys(subjects) if s not in known]
        if absent:
            hint = known.suggest(absent[0])
            problems.add(f"{len(absent)} subjects of the log are missing: {shortlist(absent)}.{hint}")
    return distinct.set_index(key)
