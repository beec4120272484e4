"""The log evidence of each person for each model: what random-effects model selection starts from."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.data.log import BehaviorLog
from humansoft.errors import UsageError, shortlist
from humansoft.evaluate.fitted_decisions import require_same_decisions, units_of
from humansoft.fit.result import Fit

Real = npt.NDArray[np.float64]


def log_evidence(fits: Mapping[str, Fit], log: BehaviorLog | None = None) -> pd.DataFrame:
    """Return the log evidence of each person for each model.

    Hierarchical fits know it: the marginal log-likelihood over the population. For maximum-likelihood fits it is
    approximated by Schwarz's criterion, person by person,

        log-likelihood - (own parameters / 2) log(own decisions) - share of what is common,

    where the penalty of parameters that people share, (number / 2) log(all decisions), is split by decisions.
    (Laplace's approximation would need priors: under flat ones its value depends on units of parameters.) Shared
    parameters are learned from everybody, so that people's evidences are independent only as far as these are well
    known. ``attrs["kind"]`` of the result says which was used: "marginal_likelihood" or "schwarz".

    Args:
        fits: name -> fit, all of the same decisions.
        log: the log that was fitted; needed only in tasks with a horizon.

    Returns:
        One row a person, one column a model, natural logarithms; for :func:`humansoft.model_frequencies`.

    Raises:
        UsageError: fits of different decisions, or some of which are hierarchical and others not.

    Example:
        >>> import humansoft as hs
        >>> log, task = hs.load_dataset("overcooked_cramped_room")
        >>> reward = hs.LinearReward(shared=False)
        >>> names = ["kl", "boltzmann"]
        >>> fits = {p: hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(), hs.Fixed(1.0), p), log) for p in names}
        >>> hs.log_evidence(fits).shape
        (16, 2)
    """
    require_same_decisions(fits)
    marginal = {name: marginal_log_likelihood(fit) for name, fit in fits.items()}
    plain = [name for name, found in marginal.items() if found is None]
    if plain and len(plain) < len(fits):
        raise UsageError(
            f"{shortlist(plain)} have no population, the others do: a marginal likelihood and Schwarz's criterion are "
            "not on one scale. Fit all of them with method='hierarchical', or none"
        )
    kind = "schwarz" if plain else "marginal_likelihood"
    table = pd.DataFrame({name: schwarz(fit, log) if plain else marginal[name] for name, fit in fits.items()})
    if table.isna().any(axis=None):  # pragma: no cover - the same decisions are of the same people
        raise UsageError("the models know different people")
    table.attrs["kind"] = kind
    return table.rename_axis("subject")


def marginal_log_likelihood(fit: Fit) -> "pd.Series[float] | None":
    """Return the marginal log-likelihood of each person over a fitted population, where there is one."""
    evidence = getattr(getattr(fit, "population", None), "evidence", None)
    return evidence if isinstance(evidence, pd.Series) else None


def schwarz(fit: Fit, log: BehaviorLog | None = None) -> "pd.Series[float]":
    """Return each person's log-likelihood minus the penalty of Schwarz's criterion; -bic / 2 of a person alone."""
    units = units_of(fit, "subject", log)
    decisions = np.maximum(units.num_decisions(), 1.0)
    rows = fit.params[~fit.params["fixed"].to_numpy(dtype=bool)]  # those at a boundary were learned, too
    own = np.zeros(len(units.index))
    labels = rows.index.get_level_values("label")
    levels = dict(zip(fit.params.index, (row.level for row in fit.model.table.rows), strict=True))
    for place, label in enumerate(units.index):
        own[place] = sum(levels[key] == "subject" for key in rows.index[labels == label])
    common = fit.rank - own.sum()
    split = common / 2 * np.log(decisions.sum()) * decisions / decisions.sum()
    return pd.Series(units.log_likelihood() - own / 2 * np.log(decisions) - split, index=units.index)
