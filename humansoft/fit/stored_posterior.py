"""Draws of a posterior on disk, as netCDF, which ArviZ and others read."""

from pathlib import Path
from typing import Any

from humansoft.fit.bayes_extra import arviz

POSTERIOR = "posterior.nc"
_ENGINE = "h5netcdf"


def write_posterior(posterior: Any, folder: Path) -> None:  # noqa: ANN401 - arviz.InferenceData
    """Write the draws of a fit, if it has any."""
    if posterior is not None:
        posterior.to_netcdf(str(folder / POSTERIOR), engine=_ENGINE)


def read_posterior(folder: Path) -> Any:  # noqa: ANN401
    """Read the draws of a fit back; ``None`` where there are none.

    Raises:
        NotAvailableError: there are, and ArviZ is not installed.
    """
    if not (folder / POSTERIOR).is_file():
        return None
    found = arviz().from_netcdf(str(folder / POSTERIOR), engine=_ENGINE)
    found.load()  # the file is not to stay open
    found.close()
    return found
