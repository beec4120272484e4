"""The table of a comparison of models, which grows by one criterion after the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd

from humansoft.data.log import BehaviorLog
from humansoft.errors import UsageError, shortlist
from humansoft.evaluate.cross_validation import HeldOutMethod, cross_validate
from humansoft.evaluate.fitted_decisions import UnitName
from humansoft.evaluate.leave_one_out import leave_one_out
from humansoft.evaluate.left_out import REFIT
from humansoft.evaluate.model_evidence import have_populations, predicted_evidence, schwarz_evidence
from humansoft.evaluate.model_frequencies import model_frequencies
from humansoft.evaluate.one_likelihood import predict_alike, twins_of
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel

_LEADING = ("cross_validation", "loo", "bic", "aic", "frequencies")  # the first one asked for orders the table
_KINDS = {
    "schwarz": "Schwarz's criterion, person by person, in place of the evidence",
    "leave_one_out": "each person's marginal likelihood under the population of all others, in place of the evidence",
}


@dataclass
class Comparison:
    """A table that grows by one criterion after the other."""

    table: pd.DataFrame
    fits: Mapping[str, Fit]
    log: BehaviorLog | None
    unit: UnitName
    notes: list[str] = field(default_factory=list)
    units: dict[str, pd.DataFrame] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    _found: dict[tuple[str, UnitName], pd.DataFrame] = field(default_factory=dict)

    def add_criterion(self, name: str) -> None:
        """Add aic or bic: smaller is better."""
        values = pd.Series({model: float(getattr(fit, name)) for model, fit in self.fits.items()})
        self.table[name] = values
        self.table[f"{name}_difference"] = values - values.min()
        self.done.append(name)

    def add_leave_one_out(self, required: bool) -> None:
        """Add how well each unit is predicted from the others; skip it with the reason where that is not defined."""
        try:
            found = {name: self._left_out(name, self.unit) for name in self.fits}
        except UsageError as error:
            if required:
                raise
            self.notes.append(f"no leave-one-out: {error}")
            return
        self._add_units("loo", "loo", {name: one["log_predictive"] for name, one in found.items()})
        self.table["num_refit"] = [int((one["mark"] == REFIT).sum()) for one in found.values()]
        self._note_refits(found)

    def _left_out(self, name: str, unit: UnitName) -> pd.DataFrame:
        """Leave each unit out of a fit, once."""
        if (name, unit) not in self._found:
            self._found[name, unit] = leave_one_out(self.fits[name], unit, self.log)
        return self._found[name, unit]

    def _note_refits(self, found: Mapping[str, pd.DataFrame]) -> None:
        for name, one in found.items():
            marked = one.index[one["mark"] == REFIT].tolist()
            if marked:
                self.notes.append(
                    f"{name}: the prediction of {shortlist(marked, 3)} from the others cannot be trusted: refit "
                    "without them, or compare by cross_validation"
                )

    def add_cross_validation(
        self, models: Mapping[str, Fit | SoftOptimalModel], folds: int, seed: int | None, method: HeldOutMethod
    ) -> None:
        """Add how well held-out folds are predicted."""
        assert self.log is not None, "models were fitted to it"
        found, decisions = {}, 0.0
        for name, model in models.items():
            assert isinstance(model, SoftOptimalModel), "fits were refused"
            held_out = cross_validate(model, self.log, self.unit, folds, method=method, seed=seed)
            rows = held_out.attrs["units"]["log_likelihood"]
            found[name] = rows.groupby(level="subject", sort=False).sum() if self.unit == "subject" else rows
            decisions = float(held_out.loc["all", "num_decisions"])  # type: ignore[arg-type]
        self._add_units("cross_validation", "held_out", found)
        self.table["held_out_nats_per_decision"] = -self.table["held_out"] / decisions

    def _add_units(self, criterion: str, column: str, values: "Mapping[str, pd.Series[float]]") -> None:
        """Add sums over units and paired differences to the best: larger is better."""
        by_unit = pd.DataFrame(values)
        if by_unit.isna().to_numpy().any():
            raise UsageError(
                f"{shortlist(list(values))} are not judged by the same units: some take a person's conditions together "
                "(a population of temperatures), others one by one; compare by criteria of the whole data (aic, bic)"
            )
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
        if have_populations(self.fits):
            predicted = {name: self._left_out(name, "subject") for name in self.fits}
            self._note_refits(predicted)
            evidence = predicted_evidence(predicted)
        else:
            evidence = schwarz_evidence(self.fits, self.log)
        found = model_frequencies(evidence, seed=seed)
        self.table = self.table.join(found.rename(columns={"ci_low": "frequency_low", "ci_high": "frequency_high"}))
        self.units["frequencies"] = evidence
        self.notes.append(f"frequencies are from {_KINDS[evidence.attrs['kind']]}")
        self.done.append("frequencies")

    @property
    def _has_frequencies(self) -> bool:
        return "frequencies" in self.done

    def ordered(self) -> pd.DataFrame:
        """Return the table, best first by the leading criterion, with what cannot be told apart."""
        twins = twins_of(self.fits)
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
            elif predict_alike(self.fits[one], self.fits[other]):
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
