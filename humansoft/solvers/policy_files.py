"""Policies as folders of JSON and safetensors, which appear complete or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file
from torch import Tensor

from humansoft.errors import Problems, RunError
from humansoft.packing import checksum_of, checksum_of_file
from humansoft.placing import placed

FORMAT = 4
_TENSORS, _RECORD = "tensors.safetensors", "policy.json"


def write_policy(folder: Path, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Path:
    """Write a policy as a new folder, which appears complete or not at all.

    Args:
        folder: the folder to make.
        record: what JSON can hold of it.
        tensors: its numbers, by name.

    Raises:
        RunError: the folder exists and is not empty, or the record holds something that JSON does not know.
    """
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise RunError(f"{folder} exists already; choose another name")
    whole = {"format": FORMAT, **{name: plain(value, name) for name, value in record.items()}}
    with placed(folder) as beside:
        beside.mkdir()
        # Tensors may share their memory, files may not.
        save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, beside / _TENSORS)
        whole["sha256"] = checksum_of_file(beside / _TENSORS)
        text = json.dumps({**whole, "checksum": checksum_of(whole)}, indent=1)
        (beside / _RECORD).write_text(text, encoding="utf-8")
    return folder


def read_policy(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what :func:`write_policy` wrote: the record and the tensors.

    Raises:
        RunError: a file is missing, damaged or edited, or of another format.
    """
    with Problems(f"the policy {folder}", RunError) as problems:
        for name in (_RECORD, _TENSORS):
            if not (folder / name).is_file():
                problems.add(f"{name} is missing")
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{folder / _RECORD} is damaged ({error})") from error
    if not isinstance(record, dict):
        raise RunError(f"{folder / _RECORD} is damaged: it holds no JSON object")
    if record.get("format") != FORMAT:
        raise RunError(f"the policy {folder} is of format {record.get('format')!r}, this version reads {FORMAT}")
    with Problems(f"the policy {folder}", RunError) as problems:
        if record.get("checksum") != checksum_of(record):
            problems.add(f"{_RECORD} was edited after the policy was saved")
        elif checksum_of_file(folder / _TENSORS) != record["sha256"]:
            problems.add(f"{_TENSORS} was edited after the policy was saved")
    return record, load_file(folder / _TENSORS)


def plain(value: Any, name: str) -> Any:  # noqa: ANN401 - numbers, texts, lists and mappings of them
    """Return a value as JSON has it: NumPy's numbers and arrays as plain ones, tuples as lists.

    Raises:
        RunError: it holds something else; the message names where.

    Example:
        >>> plain({"is_slippery": np.bool_(True), "size": (np.int64(3), 4)}, "options")
        {'is_slippery': True, 'size': [3, 4]}
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(inner, f"{name}[{key!r}]") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, f"{name}[{place}]") for place, inner in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise RunError(
        f"{name} is a {type(value).__name__}, which cannot be written down: only numbers, texts, true and false, None, "
        "and lists and dictionaries of them can; register the environment with it under an id of your own"
    )
