"""Population: what a fit says about the people behind its people."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.errors import UsageError, did_you_mean
from humansoft.fit.satterthwaite import degrees_of_freedom, reach_95
from humansoft.packing import same_table
from humansoft.temperature import ByFormula, PerGroup, Temperature, temperature_record

Real = npt.NDArray[np.float64]
Integration = Literal["none", "laplace", "quadrature", "nuts"]


@dataclass(frozen=True, eq=False)
class Population:
    """The distribution that people's own parameters come from: own = design @ coefficients + deviation.

    Attributes:
        params: one row a parameter, indexed by (name, label): ("log_temperature", term) are coefficients, ("sd",
            name) standard deviations of the deviations; estimate, std_error, ci_low, ci_high, df (degrees of freedom
            of the interval, infinite where it is normal), unit, fixed. Where subjects are people in several conditions,
            ("sd", "log_temperature") is that between people, and ("sd", "log_temperature_within") that of a person's
            conditions about the person's own level.
        covariance: [P, P] of these, in the same order; standard deviations as logarithms. Of a maximum of likelihood:
            that of all but the standard deviations is taken at those of the restricted likelihood.
        covariance_errors: [V, P, P] independent standard errors of the covariance, by which it depends on how much
            people differ: where degrees of freedom come from.
        design: [S, p] what multiplies the coefficients of the log temperature, one row a subject.
        covariates: one row for each subject from whom the population was learned, with the columns that explain: how
            they are centred, and which categories there are, holds for new people, too.
        evidence: log marginal likelihood of each person, the person's own parameters integrated out; of draws ("nuts"),
            at the posterior mean of the population's parameters.
        integration: how: "quadrature" (adaptive), "laplace", "nuts", or "none" (no deviations).
        temperature: what explains people's mean log temperatures: one mean, one a group, or a formula.
        integration_error: how much the log marginal likelihood changes with more nodes, in nats; nan where it
            is not known.
    """

    params: pd.DataFrame
    covariance: Real
    covariance_errors: Real
    design: pd.DataFrame
    covariates: pd.DataFrame
    evidence: "pd.Series[float]"
    integration: Integration
    temperature: Temperature
    integration_error: float

    def __eq__(self, other: object) -> bool:
        """Two populations are equal when all their numbers and labels are."""
        if not isinstance(other, Population):
            return NotImplemented
        return (
            (self.integration, self.temperature) == (other.integration, other.temperature)
            and np.array_equal(self.integration_error, other.integration_error, equal_nan=True)
            and np.array_equal(self.covariance, other.covariance)
            and np.array_equal(self.covariance_errors, other.covariance_errors)
            and all(
                same_table(getattr(self, name), getattr(other, name))
                for name in ("params", "design", "covariates", "evidence")
            )
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def formula(self) -> str:
        """What explains the mean log temperature, as a formula."""
        if isinstance(self.temperature, PerGroup):
            return f"~ 0 + {self.temperature.column}"
        return self.temperature.formula if isinstance(self.temperature, ByFormula) else "~ 1"

    @property
    def sd(self) -> "pd.Series[float]":
        """Standard deviations between people, by parameter (and within people who were met in several conditions)."""
        rows = self.params[self.params.index.get_level_values("name") == "sd"]
        return rows["estimate"].droplevel("name")

    def contrast(self, weights: "dict[str, float]") -> dict[str, float]:
        """Return a weighted sum of coefficients of the log temperature: estimate, std_error, ci_low, ci_high, df.

        The interval is that of Student's t with ``df`` degrees of freedom (Satterthwaite 1946); of draws, normal.

        Raises:
            UsageError: a term that the formula does not have.

        Args:
            weights: term -> weight.
        """
        terms = [label for name, label in self.params.index if name == "log_temperature"]
        vector = np.zeros(len(self.params))
        for term, weight in weights.items():
            if term not in terms:
                raise UsageError(f"the population has no term {term!r}.{did_you_mean(term, terms)}")
            vector[self.params.index.get_loc(("log_temperature", term))] = weight
        estimate = float(vector @ self.params["estimate"].to_numpy(dtype=float))
        error = float(np.sqrt(vector @ self.covariance @ vector))
        freedom = degrees_of_freedom(vector[None], self.covariance, self.covariance_errors)
        reach = float(reach_95(freedom)[0]) * error
        ends = {"ci_low": estimate - reach, "ci_high": estimate + reach}
        return {"estimate": estimate, "std_error": error, **ends, "df": float(freedom[0])}

    def record(self) -> dict[str, Any]:
        """Return what is not a table, for a file."""
        return {
            "integration": self.integration,
            "temperature": temperature_record(self.temperature),
            "integration_error": None if np.isnan(self.integration_error) else self.integration_error,
        }
