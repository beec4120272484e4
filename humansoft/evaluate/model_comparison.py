"""compare_models: which hypothesis about people explains and predicts what they did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from humansoft.data.log import BehaviorLog
from humansoft.errors import UsageError, did_you_mean, shortlist
from humansoft.evaluate.comparison_table import Comparison
from humansoft.evaluate.cross_validation import HeldOutMethod, require_held_out_method
from humansoft.evaluate.fitted_decisions import UnitName, require_same_decisions, require_unit
from humansoft.fit.fitting import fit as fit_model
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel

CRITERIA = ("aic", "bic", "loo", "cross_validation", "frequencies")


def compare_models(
    models: Mapping[str, Fit | SoftOptimalModel],
    log: BehaviorLog | None = None,
    *,
    unit: str = "subject",
    criteria: str | Sequence[str] | None = None,
    folds: int = 5,
    method: HeldOutMethod = "maximum_likelihood",
    seed: int | None = None,
) -> pd.DataFrame:
    """Compare models of the same decisions, best first.

    Args:
        models: name -> fit, or name -> model to be fitted to ``log`` first.
        log: the decisions. Fits need it only for unit="episode", cross-validation and tasks with a horizon.
        unit: "subject" or "episode": what is left out or held out, and over what differences are paired.
        criteria: among "aic", "bic" (with the number of identified parameters), "loo" (each unit
            predicted from the others; people from a population by their marginal likelihood), "cross_validation"
            (needs models, not fits, and a seed) and "frequencies" (how many people use each model; needs a seed).
            By default aic, bic, loo where it is defined, and cross_validation of models.
        folds: of cross-validation.
        method: how models (not fits) are fitted, here and in cross-validation: "maximum_likelihood" or "hierarchical".
        seed: of the folds and the posterior of frequencies.

    Returns:
        One row a model: log_likelihood, num_parameters, num_decisions; of each criterion its value
        and ``..._difference`` to the best. Log predictive probabilities (loo, held_out: larger is better) have the
        standard error of that difference, ``..._difference_se``, over units, and num_refit counts the units that
        cannot be trusted without a refit. Frequencies have intervals and exceedance probabilities.
        ``one_likelihood_with`` names models that no data of this kind tell apart: neither wins.
        ``table.attrs["notes"]`` holds sentences, ``table.attrs["units"]`` what each unit adds, by criterion.

    Raises:
        UsageError: fewer than two models, fits of different decisions, unknown criteria, or a criterion that is not
            defined for these models, with the way out.
        NotConvergedError: a fit that stopped early.

    Example:
        >>> import humansoft as hs
        >>> log, task = hs.load_dataset("overcooked_cramped_room")
        >>> planners = ["kl", "boltzmann"]
        >>> models = {p: hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), planner=p) for p in planners}
        >>> fits = {name: hs.fit(model, log) for name, model in models.items()}
        >>> hs.compare_models(fits, criteria=["aic", "bic"]).index[0]
        'kl'
    """
    chosen = _chosen(models, criteria, require_unit(unit))
    require_held_out_method(method)
    fits = _fitted(models, log, method, seed)
    require_same_decisions(fits)
    for one in fits.values():
        one.require_converged()
    if "aic" in chosen.names or "bic" in chosen.names:
        _require_one_scale(fits)
    table = pd.DataFrame({name: _basics(one) for name, one in fits.items()}).T.rename_axis("model")
    found = Comparison(table, fits, log, chosen.unit)
    for name in chosen.names:
        if name in ("aic", "bic"):
            found.add_criterion(name)
        elif name == "loo":
            found.add_leave_one_out(required=chosen.explicit)
        elif name == "cross_validation":
            found.add_cross_validation(models, folds, seed, method)
        else:
            found.add_frequencies(seed)
    return found.ordered()


@dataclass(frozen=True)
class _Chosen:
    """What was asked for."""

    names: tuple[str, ...]
    explicit: bool
    unit: UnitName


def _chosen(
    models: Mapping[str, Fit | SoftOptimalModel], criteria: str | Sequence[str] | None, unit: UnitName
) -> _Chosen:
    if len(models) < 2:
        raise UsageError(f"compare_models needs at least two models, not {list(models)}")
    unfitted = [name for name, model in models.items() if not isinstance(model, Fit)]
    if criteria is None:
        names = ["aic", "bic", "loo", *(["cross_validation"] if len(unfitted) == len(models) else [])]
    else:
        names = [criteria] if isinstance(criteria, str) else list(criteria)
    for name in names:
        if name not in CRITERIA:
            raise UsageError(f"there is no criterion {name!r}.{did_you_mean(name, CRITERIA)}")
    if "cross_validation" in names and len(unfitted) < len(models):
        raise UsageError(
            "cross-validation fits every model anew: give models instead of fits, "
            "compare_models({name: model}, log, ...)"
        )
    return _Chosen(tuple(dict.fromkeys(names)), criteria is not None, unit)


def _fitted(
    models: Mapping[str, Fit | SoftOptimalModel], log: BehaviorLog | None, method: HeldOutMethod, seed: int | None
) -> dict[str, Fit]:
    fits = {}
    for name, model in models.items():
        if isinstance(model, Fit):
            fits[name] = model
        elif log is None:
            raise UsageError(
                f"model {name!r} is not fitted: pass the log to fit it to, compare_models(models, log, ...)"
            )
        else:
            fits[name] = fit_model(model, log, method=method, seed=seed)
    return fits


def _require_one_scale(fits: Mapping[str, Fit]) -> None:
    """Refuse criteria of likelihoods in which people are integrated out beside others in which they are estimated."""
    integrated = [fit.population is not None and fit.population.integration != "none" for fit in fits.values()]
    plain = [name for name, marginal in zip(fits, integrated, strict=True) if not marginal]
    if plain and any(integrated):
        raise UsageError(
            f"aic and bic: {shortlist(plain)} have no population, the others do: a likelihood at people's own "
            "estimates and one over all they may be are not on one scale. Fit all of them with method='hierarchical', "
            "or none, or compare held-out predictions with score()"
        )


def _basics(fit: Fit) -> dict[str, float]:
    return {
        "log_likelihood": fit.log_likelihood,
        "num_parameters": fit.rank,
        "num_decisions": fit.num_decisions,
    }
