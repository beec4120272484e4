"""compare_models: which hypothesis about people explains and predicts what they did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.data.log import BehaviorLog
from humansoft.errors import UsageError, did_you_mean, shortlist
from humansoft.evaluate.cross_validation import cross_validate
from humansoft.evaluate.fitted_decisions import UnitName, require_same_decisions, require_unit
from humansoft.evaluate.leave_one_out import REFIT, leave_one_out
from humansoft.evaluate.model_evidence import log_evidence, marginal_log_likelihood
from humansoft.evaluate.model_frequencies import model_frequencies
from humansoft.evaluate.posterior_leave_one_out import leave_one_out_of_posterior, posterior_of
from humansoft.fit.fitting import fit as fit_model
from humansoft.fit.identification import ONE_LIKELIHOOD
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel
from humansoft.tasks.comparison import same_task

Real = npt.NDArray[np.float64]

CRITERIA = ("aic", "bic", "loo", "cross_validation", "frequencies")
_LEADING = ("cross_validation", "loo", "bic", "aic", "frequencies")  # the first one asked for orders the table
_ONE_LIKELIHOOD_NATS = 1e-4


def compare_models(
    models: Mapping[str, Fit | SoftOptimalModel],
    log: BehaviorLog | None = None,
    *,
    unit: str = "subject",
    criteria: str | Sequence[str] | None = None,
    folds: int = 5,
    seed: int | None = None,
) -> pd.DataFrame:
    """Compare models of the same decisions, best first.

    Args:
        models: name -> fit, or name -> model to be fitted to ``log`` first.
        log: the decisions. Fits need it only for unit="episode", cross-validation and tasks with a horizon.
        unit: "subject" or "episode": what is left out or held out, and over what differences are paired.
        criteria: among "aic", "bic" (with the number of identified parameters), "loo" (each unit
            predicted from the others), "cross_validation" (needs models, not fits, and a seed) and
            "frequencies" (how many people use each model; needs a seed). By default aic, bic, loo where
            it is defined, and cross_validation of models.
        folds: of cross-validation.
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
    fits = _fitted(models, log, seed)
    require_same_decisions(fits)
    for one in fits.values():
        one.require_converged()
    if "aic" in chosen.names or "bic" in chosen.names:
        _require_one_scale(fits)
    table = pd.DataFrame({name: _basics(one) for name, one in fits.items()}).T.rename_axis("model")
    found = _Comparison(table, fits, log, chosen.unit)
    for name in chosen.names:
        if name in ("aic", "bic"):
            found.add_criterion(name)
        elif name == "loo":
            found.add_leave_one_out(required=chosen.explicit)
        elif name == "cross_validation":
            found.add_cross_validation(models, folds, seed)
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


def _fitted(models: Mapping[str, Fit | SoftOptimalModel], log: BehaviorLog | None, seed: int | None) -> dict[str, Fit]:
    fits = {}
    for name, model in models.items():
        if isinstance(model, Fit):
            fits[name] = model
        elif log is None:
            raise UsageError(
                f"model {name!r} is not fitted: pass the log to fit it to, compare_models(models, log, ...)"
            )
        else:
            fits[name] = fit_model(model, log, seed=seed)
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


@dataclass
class _Comparison:
    """A table that grows by one criterion after the other."""

    table: pd.DataFrame
    fits: Mapping[str, Fit]
    log: BehaviorLog | None
    unit: UnitName
    notes: list[str] = field(default_factory=list)
    units: dict[str, pd.DataFrame] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def add_criterion(self, name: str) -> None:
        """Add aic or bic: smaller is better."""
        values = pd.Series({model: float(getattr(fit, name)) for model, fit in self.fits.items()})
        self.table[name] = values
        self.table[f"{name}_difference"] = values - values.min()
        self.done.append(name)

    def add_leave_one_out(self, required: bool) -> None:
        """Add how well each unit is predicted from the others; skip it with the reason where that is not defined."""
        try:
            found = {name: self._left_out(fit) for name, fit in self.fits.items()}
        except UsageError as error:
            if required:
                raise
            self.notes.append(f"no leave-one-out: {error}")
            return
        self._add_units("loo", "loo", {name: one["log_predictive"] for name, one in found.items()})
        self.table["num_refit"] = [int((one["mark"] == REFIT).sum()) for one in found.values()]
        for name, one in found.items():
            marked = one.index[one["mark"] == REFIT].tolist()
            if marked:
                self.notes.append(
                    f"{name}: the prediction of {shortlist(marked, 3)} from the others cannot be trusted: refit "
                    "without them, or compare by cross_validation"
                )

    def _left_out(self, fit: Fit) -> pd.DataFrame:
        posterior, marginal = posterior_of(fit), marginal_log_likelihood(fit)
        if posterior is not None:
            return leave_one_out_of_posterior(posterior, self.unit)
        if marginal is not None and self.unit == "subject":
            self.notes.append(
                "leave-one-out of a hierarchical fit: people's marginal log-likelihoods, less Akaike's penalty for the "
                "population's parameters in equal shares"
            )
            return pd.DataFrame({"log_predictive": marginal - fit.rank / len(marginal), "mark": ""})
        return leave_one_out(fit, self.unit, self.log)

    def add_cross_validation(self, models: Mapping[str, Fit | SoftOptimalModel], folds: int, seed: int | None) -> None:
        """Add how well held-out folds are predicted."""
        assert self.log is not None, "models were fitted to it"
        found, decisions = {}, 0.0
        for name, model in models.items():
            assert isinstance(model, SoftOptimalModel), "fits were refused"
            held_out = cross_validate(model, self.log, self.unit, folds, seed=seed)
            rows = held_out.attrs["units"]["log_likelihood"]
            found[name] = rows.groupby(level="subject", sort=False).sum() if self.unit == "subject" else rows
            decisions = float(held_out.loc["all", "num_decisions"])  # type: ignore[arg-type]
        self._add_units("cross_validation", "held_out", found)
        self.table["held_out_nats_per_decision"] = -self.table["held_out"] / decisions

    def _add_units(self, criterion: str, column: str, values: "Mapping[str, pd.Series[float]]") -> None:
        """Add sums over units and paired differences to the best: larger is better."""
        by_unit = pd.DataFrame(values)
        totals = by_unit.sum()
        best = totals.idxmax()
        differences = by_unit.sub(by_unit[best], axis=0)
        self.table[column] = totals
        self.table[f"{column}_difference"] = differences.sum()
        self.table[f"{column}_difference_se"] = np.sqrt(len(by_unit)) * differences.std(ddof=1)
        self.units[criterion] = by_unit
        self.done.append(criterion)

    def add_frequencies(self, seed: int | None) -> None:
        """Add how many people use each model."""
        if seed is None:
            raise UsageError("frequencies are drawn from their posterior: pass seed= so that they can be repeated")
        evidence = log_evidence(self.fits, self.log)
        found = model_frequencies(evidence, seed=seed)
        self.table = self.table.join(found.rename(columns={"ci_low": "frequency_low", "ci_high": "frequency_high"}))
        self.units["frequencies"] = evidence
        if evidence.attrs["kind"] == "schwarz":
            self.notes.append("frequencies are from Schwarz's criterion, person by person, in place of the evidence")
        self.done.append("frequencies")

    @property
    def _has_frequencies(self) -> bool:
        return "frequencies" in self.done

    def ordered(self) -> pd.DataFrame:
        """Return the table, best first by the leading criterion, with what cannot be told apart."""
        twins = _twins(self.fits)
        self.table["one_likelihood_with"] = [", ".join(twins[name]) for name in self.fits]
        for one, other in combinations(self.fits, 2):
            if other in twins[one]:
                self.notes.append(
                    f"{one!r} and {other!r} are one likelihood on these data, on two scales of temperature: no data of "
                    "this kind tell them apart, and neither wins"
                    + (
                        "; they share their people, so leave one of them out to read frequencies"
                        * self._has_frequencies
                    )
                )
            elif _predict_alike(self.fits[one], self.fits[other]):
                self.notes.append(
                    f"{one!r} and {other!r} have the same log-likelihood and number of parameters: they may be one "
                    "likelihood in other words"
                )
        leading: str = next((name for name in _LEADING if name in self.done), "")
        column = {"cross_validation": "held_out", "frequencies": "frequency"}.get(leading, leading)
        table = self.table
        if column:
            table = table.sort_values(column, ascending=column in ("aic", "bic"), kind="stable")
        table = table.infer_objects()
        table.attrs = {"notes": list(dict.fromkeys(self.notes)), "units": self.units, "ordered_by": leading}
        return table


def _twins(fits: Mapping[str, Fit]) -> dict[str, list[str]]:
    """Return which models are one likelihood: kl and entropy planners that differ in nothing else."""
    twins: dict[str, list[str]] = {name: [] for name in fits}
    for one, other in combinations(fits, 2):
        if _are_twins(fits[one], fits[other]):
            twins[one].append(other)
            twins[other].append(one)
    return twins


def _are_twins(one: Fit, other: Fit) -> bool:
    ours, theirs = one.model, other.model
    # What is at a boundary is held fixed in one of them, perhaps, and not in the other.
    rows = [[(r.name, r.kind, r.level, r.label, r.unit) for r in model.table.rows] for model in (ours, theirs)]
    return (
        {ours.planner, theirs.planner} == {"kl", "entropy"}
        and all(any(ONE_LIKELIHOOD in note for note in fit.notes) for fit in (one, other))
        and ours.temperature == theirs.temperature
        and rows[0] == rows[1]
        and repr(ours.reward) == repr(theirs.reward)
        and same_task(ours.task, theirs.task)
        and _predict_alike(one, other)
    )


def _predict_alike(one: Fit, other: Fit) -> bool:
    return one.rank == other.rank and abs(one.log_likelihood - other.log_likelihood) < _ONE_LIKELIHOOD_NATS
