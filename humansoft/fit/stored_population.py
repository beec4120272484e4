"""Populations on disk: their tables as Parquet, their covariance as a tensor."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from humansoft.fit.population import Population
from humansoft.packing import deep, flat
from humansoft.temperature import temperature_of

_COVARIANCE, _ERRORS = "population.covariance", "population.covariance_errors"


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
    """Return the covariance of a population and its standard errors as tensors, if there is one."""
    if population is None:
        return {}
    tables = {_COVARIANCE: population.covariance, _ERRORS: population.covariance_errors}
    return {name: torch.from_numpy(table.copy()) for name, table in tables.items()}


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
        covariance=tensors[_COVARIANCE].numpy(),
        covariance_errors=tensors[_ERRORS].numpy(),
        design=tables["design"].set_axis(list(subjects)),
        covariates=deep(tables["covariates"], ["subject"]).rename_axis(None),
        evidence=deep(tables["evidence"], ["person"])["evidence"].rename_axis(None),
        integration=record["integration"],
        temperature=temperature_of(record["temperature"]),
        integration_error=float("nan") if error is None else error,
    )
