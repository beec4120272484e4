"""Covariances on disk: the few numbers they are kept in, not tables of all parameters by all parameters."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch

from humansoft.fit.arrow import BlockCovariance, Layout
from humansoft.fit.uncertainty import COVARIANCE_KINDS, Covariances

_PARTS = ("blocks", "factor", "core")


def covariance_tensors(covariances: Covariances) -> dict[str, torch.Tensor]:
    """Return the covariances that there are as tensors by name."""
    tensors = {}
    for kind, matrix in covariances.matrices.items():
        if not isinstance(matrix, str):
            tensors["covariance.owner"] = torch.from_numpy(matrix.layout.owner).clone()
            for name in _PARTS:
                tensors[f"covariance.{kind}.{name}"] = torch.from_numpy(getattr(matrix, name)).contiguous().clone()
            if matrix.unknown is not None:
                tensors[f"covariance.{kind}.unknown"] = torch.from_numpy(matrix.unknown).clone()
    return tensors


def read_covariances(
    record: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], params: pd.DataFrame
) -> Covariances:
    """Read them back; ``record`` holds the default kinds and the reasons of those that are missing."""
    matrices: dict[str, BlockCovariance | str] = {}
    for kind in COVARIANCE_KINDS:
        if kind in record["missing"]:
            matrices[kind] = record["missing"][kind]
        elif f"covariance.{kind}.core" in tensors:
            layout = Layout(tensors["covariance.owner"].numpy(), len(params))
            unknown = tensors.get(f"covariance.{kind}.unknown")
            blocks, factor, core = (tensors[f"covariance.{kind}.{name}"].numpy() for name in _PARTS)
            matrices[kind] = BlockCovariance(layout, blocks, factor, core, None if unknown is None else unknown.numpy())
    return Covariances(matrices, tuple(record["kinds"]), params.index)
