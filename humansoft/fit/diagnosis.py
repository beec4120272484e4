"""Whether chains agree: R-hat, effective sample sizes and divergences, as ArviZ computes them."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from humansoft.fit.bayes_extra import arviz

MIXED = 1.01
"""R-hat from which chains are not taken for draws of one distribution (Vehtari et al. 2021)."""

_ENOUGH = 100  # effective draws a chain, for the diagnostics themselves to be trusted (ibid.)


@dataclass(frozen=True)
class Diagnosis:
    """How well chains have mixed, over all quantities.

    Attributes:
        chains: how many.
        draws: of each.
        r_hat: largest (rank-normalised, split).
        bulk: smallest effective sample size of means.
        tail: smallest of the 5 % and 95 % quantiles.
        divergences: draws at which the trajectory could not be followed.
    """

    chains: int
    draws: int
    r_hat: float
    bulk: float
    tail: float
    divergences: int

    @classmethod
    def of(cls, data: Any) -> "Diagnosis":  # noqa: ANN401 - arviz.InferenceData
        """Look at draws."""
        az, posterior = arviz(), data.posterior
        chains, draws = int(posterior.sizes["chain"]), int(posterior.sizes["draw"])
        if chains == 1:  # its halves are compared
            halves = [posterior.isel(draw=slice(low, low + draws // 2)) for low in (0, draws // 2)]
            posterior = az.convert_to_dataset({name: _joined(halves, name) for name in posterior.data_vars})
        with np.errstate(invalid="ignore", divide="ignore"):  # of what is held at a value, R-hat is 0 / 0
            r_hat = _extreme(az.rhat(posterior), largest=True)
        return cls(
            chains=chains,
            draws=draws,
            r_hat=r_hat,
            bulk=_extreme(az.ess(posterior, method="bulk"), largest=False),
            tail=_extreme(az.ess(posterior, method="tail"), largest=False),
            divergences=int(data.sample_stats["diverging"].sum()),
        )

    @property
    def has_mixed(self) -> bool:
        """Whether the draws may be used."""
        return self.r_hat < MIXED and self.divergences == 0

    def notes(self) -> list[str]:
        """Say it in sentences."""
        chains = f"{self.chains} chain{'s' if self.chains > 1 else ''} of {self.draws:,} draws"
        found = [
            f"{chains}: largest R-hat {self.r_hat:.3f}, smallest effective sample size {self.bulk:,.0f} (bulk) and "
            f"{self.tail:,.0f} (tail), {self.divergences:,} divergences"
        ]
        if self.chains == 1:
            found.append("one chain cannot be compared with others: use chains=4")
        if min(self.bulk, self.tail) < _ENOUGH * self.chains:
            found.append(
                f"fewer than {_ENOUGH} effective draws a chain for some quantity: means and intervals of it are rough; "
                "raise draws"
            )
        return found


def _joined(parts: list[Any], name: Hashable) -> npt.NDArray[np.float64]:
    """Return draws of a quantity as one chain a part."""
    return np.concatenate([np.asarray(part[name].values, dtype=np.float64) for part in parts])


def _extreme(table: Any, largest: bool) -> float:  # noqa: ANN401 - xarray.Dataset
    """Return the largest or smallest number of a table; nan (of what does not vary) is left out."""
    values = np.concatenate([np.ravel(table[name].values) for name in table.data_vars]).astype(np.float64)
    return float(np.nanmax(values) if largest else np.nanmin(values))
