"""Populations on disk: their tables as Parquet, their covariance as a tensor."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from humansoft.fit.population import Population
from humansoft.packing import deep, flat
from humansoft.temperature import temperature_of


def population_tables(population: Population | None) -> dict[str, pd.DataFrame]:
    """Return the tables of a population by name, if there is one; subjects stand in the order of the fit."""
    if population is None:
        return {}
    return {
        "population": flat(population.params),
        "design": population.design.reset_index(drop=True),
        "covariates": flat(population.covariates),
        "evidence": flat(population.evidence.to_frame()),
    }


def population_tensors(population: Population | None) -> dict[str, torch.Tensor]:
    """Return the covariance of a population as a tensor, if there is one."""
    return {} if population is None else {"population.covariance": torch.from_numpy(population.covariance.copy())}


def read_population(
    record: Mapping[str, Any] | None,
    tables: Mapping[str, pd.DataFrame],
    tensors: Mapping[str, torch.Tensor],
    subjects: Sequence[Hashable],
) -> Population | None:
    """Read a population back; ``None`` where there was none."""
    if record is None:
        return None
    error = record["integration_error"]
    return Population(
        params=deep(tables["population"], ["name", "label"]),
        covariance=tensors["population.covariance"].numpy(),
        design=tables["design"].set_axis(list(subjects)),
        covariates=deep(tables["covariates"], ["subject"]).rename_axis(None),
        evidence=deep(tables["evidence"], ["person"])["evidence"].rename_axis(None),
        integration=record["integration"],
        temperature=temperature_of(record["temperature"]),
        integration_error=float("nan") if error is None else error,
    )
