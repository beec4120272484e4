"""Leave-one-out predictions of fits that hold posterior draws (Pareto-smoothed importance sampling, by ArviZ)."""

import warnings
from typing import Any

import pandas as pd

from humansoft.errors import UsageError
from humansoft.evaluate.fitted_decisions import UnitName
from humansoft.evaluate.left_out import REFIT
from humansoft.fit.result import Fit

_LARGEST_K = 0.7
"""Beyond this shape of the tail, importance sampling does not tell (Vehtari, Gelman and Gabry 2017)."""


def posterior_of(fit: Fit) -> Any:  # noqa: ANN401 - ArviZ comes without types
    """Return the ArviZ ``InferenceData`` of a fit, ``None`` where it holds no draws."""
    posterior = getattr(fit, "posterior", None)
    return posterior if hasattr(posterior, "log_likelihood") else None


def leave_one_out_of_posterior(inference: Any, unit: UnitName) -> pd.DataFrame:  # noqa: ANN401
    """Return the log predictive density of each unit given the others.

    Args:
        inference: ArviZ ``InferenceData`` with a group ``log_likelihood`` of dimensions (chain, draw, ``unit``); people
            who were met in several conditions have the dimension "person".
        unit: "subject" or "episode".

    Returns:
        One row a unit: log_predictive, pareto_k, and mark: "refit" where k exceeds .7, else "".

    Raises:
        UsageError: there is no log-likelihood by this unit.
    """
    group = inference.log_likelihood
    dimension = "person" if unit == "subject" and "person" in group.dims else unit
    names = [name for name, found in group.data_vars.items() if found.dims == ("chain", "draw", dimension)]
    if len(names) != 1:
        known = {name: found.dims for name, found in group.data_vars.items()}
        raise UsageError(f"the posterior keeps no log-likelihood by {unit}, but {known}: compare by another unit")
    with warnings.catch_warnings():
        # ArviZ announces its next version on import, and warns of each k that the table marks.
        warnings.simplefilter("ignore")
        import arviz

        found: Any = arviz.loo(inference, pointwise=True, var_name=names[0])  # type: ignore[no-untyped-call]
    shape = found.pareto_k.to_numpy()
    index = pd.Index(group[names[0]][dimension].to_numpy().tolist(), name=unit, tupleize_cols=False)
    table = pd.DataFrame({"log_predictive": found.loo_i.to_numpy(), "pareto_k": shape}, index=index)
    return table.assign(mark=[REFIT if k > _LARGEST_K else "" for k in shape])
