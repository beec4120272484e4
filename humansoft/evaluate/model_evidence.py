"""The log evidence of each person for each model: what random-effects model selection starts from."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.data.log import BehaviorLog
from humansoft.data.parts import persons_of
from humansoft.errors import UsageError, shortlist
from humansoft.evaluate.fitted_decisions import require_same_decisions, units_of
from humansoft.evaluate.leave_one_out import leave_one_out
from humansoft.fit.result import Fit

Real = npt.NDArray[np.float64]


def log_evidence(fits: Mapping[str, Fit], log: BehaviorLog | None = None) -> pd.DataFrame:
    """Return the log evidence of each person for each model.

    Of fits with a population, it is the log marginal likelihood of the person under the population of all others,
    log p(y_i | theta_-i), or of draws from a posterior, averaged over those given all others: the predictive densities
    of Geisser and Eddy (1979, JASA 74), which stand for the evidence there. At the population that has seen the person,
    a model with more parameters of the population (covariates that explain nothing, spreads) would be the better one
    for nearly everybody. For maximum-likelihood fits, in which each person has parameters that nobody else tells, the
    evidence is approximated by Schwarz's criterion, person by person,

        log-likelihood - (own parameters / 2) log(own decisions) - share of what is common,

    where the penalty of parameters that people share, (number / 2) log(all decisions), is split by decisions.
    (Laplace's approximation would need priors: under flat ones its value depends on units of parameters.) Shared
    parameters are learned from everybody, so that people's evidences are independent only as far as these are well
    known. ``attrs["kind"]`` of the result says which was used: "leave_one_out" or "schwarz".

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
    if have_populations(fits):
        return predicted_evidence({name: leave_one_out(fit, "subject", log) for name, fit in fits.items()})
    return schwarz_evidence(fits, log)


def have_populations(fits: Mapping[str, Fit]) -> bool:
    """Say whether people of all fits come from a population.

    Raises:
        UsageError: of some, but not of all.
    """
    plain = [name for name, fit in fits.items() if fit.population is None]
    if plain and len(plain) < len(fits):
        raise UsageError(
            f"{shortlist(plain)} have no population, the others do: a marginal likelihood and Schwarz's criterion are "
            "not on one scale. Fit all of them with method='hierarchical', or none"
        )
    return not plain


def predicted_evidence(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return how well each person [rows] is predicted from the others, by model, from tables of leave-one-out."""
    return _by_person({name: table["log_predictive"] for name, table in found.items()}, "leave_one_out")


def schwarz_evidence(fits: Mapping[str, Fit], log: BehaviorLog | None) -> pd.DataFrame:
    """Return each person's [rows] Schwarz criterion for each model."""
    return _by_person({name: schwarz(fit, log) for name, fit in fits.items()}, "schwarz")


def _by_person(values: "Mapping[str, pd.Series[float]]", kind: str) -> pd.DataFrame:
    table = pd.DataFrame(values).rename_axis("subject")
    table.attrs["kind"] = kind
    return table


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
    found = pd.Series(units.log_likelihood() - own / 2 * np.log(decisions) - split, index=units.index)
    who = persons_of(fit.training, fit.subjects.values)  # in several conditions: their sum
    return found.groupby([who[subject] for subject in found.index], sort=False).sum()
