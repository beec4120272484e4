"""The measures of all people of a fit with their intervals, as tables of people and of groups."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.codebook import Labels
from humansoft.errors import IdentificationError, shortlist
from humansoft.evaluate.anchor import anchors_of, people_without_anchor, unit_of_reward
from humansoft.evaluate.flatness import training_likelihood
from humansoft.evaluate.measured_rows import along_temperatures, at_boundaries, measured
from humansoft.evaluate.measures import Measured, completed
from humansoft.evaluate.solved_rows import MEASURES
from humansoft.evaluate.spread import (
    MOST_RANKED,
    SCALES,
    bounded,
    bounded_along,
    columns_of,
    rank_intervals,
    row_covariances,
    usual_covariance,
    variances,
)
from humansoft.evaluate.yardstick import Yardstick
from humansoft.fit.arrow import BlockCovariance
from humansoft.fit.flat_space import spectrum
from humansoft.fit.intervals import NORMAL_95
from humansoft.fit.result import Fit, FitStatus

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_NO_CHANGE = 1e-6  # of a measure, by a step along a flat direction that moves a reward by its usual size
_WITH_UNIT = MEASURES.index("regret_per_decision")

_WITHOUT_BOUND = ("signal_to_noise",)
"""Endless for somebody at a boundary, so that group means leave these people out."""


@dataclass(frozen=True, eq=False)
class MeasuredPeople:
    """The measures of all people, before they become a table.

    Attributes:
        yardstick: who is measured, and how.
        edge: [R] "", "lower", "upper" or "both": at which boundary the temperature of a row is.
        found: measures of all rows.
        ends: [2, R, 7] smallest and largest values that rows at a boundary may have; nan for others.
        along: the measures at the ends of the interval of each row's temperature, and at the estimate, with their
            slopes; empty where intervals are by the delta method alone.
        covariance: of the parameters; ``None`` where the fit has none.
        kind: name of that covariance.
        notes: sentences that belong beside the table.
    """

    yardstick: Yardstick
    edge: "npt.NDArray[np.object_]"
    found: Measured
    ends: Real
    along: tuple[Measured, ...]
    covariance: BlockCovariance | None
    kind: str
    notes: tuple[str, ...]

    @classmethod
    def of(cls, yardstick: Yardstick) -> "MeasuredPeople":
        """Measure everybody.

        Raises:
            IdentificationError: the measures change along a direction that the data leave flat.
        """
        yardstick, fit = completed(yardstick), yardstick.fit
        edge = fit.params.loc[["log_temperature"], "boundary"].to_numpy(dtype=object)
        edge = edge[fit.model.temperature_row().numpy()]
        found, notes = measured(yardstick, edge), []
        usual = None
        if fit.status is FitStatus.NOT_IDENTIFIED:
            _require_told(yardstick, found)
            notes.append(
                "the fit is not identified, but none of these measures depends on its flat directions; it has no "
                "covariance, and so no intervals: fit with temperature=Fixed(1) to get them"
            )
        else:
            usual = usual_covariance(fit)
        covariance, kind = usual if usual is not None else (None, "")
        notes += _choice_notes(fit)
        if (edge == "both").any():
            notes.append("somebody made no decision that depends on the temperature: nothing is said about them")
        along = along_temperatures(yardstick, edge, found) if covariance is not None else ()
        return cls(yardstick, edge, found, at_boundaries(yardstick, edge), along, covariance, kind, tuple(notes))

    @property
    def row(self) -> Index:
        """[B] row of each person."""
        return self.yardstick.row_of_person

    def table(self, seed: int) -> pd.DataFrame:
        """Return one row a person, best first."""
        low, high = self._intervals()
        lowest, highest = self._rank_intervals(seed)
        ranks = pd.Series(-self.found.values[self.row, 0]).rank()
        columns: dict[str, object] = {"rank": ranks.to_numpy(), "rank_low": lowest, "rank_high": highest}
        for name, place in self._shown().items():
            columns |= _wide(name, self.found.values[self.row, place], low[self.row, place], high[self.row, place])
            columns[f"{name}_own"] = self.found.own[:, place]
        columns["boundary"] = self.edge[self.row]
        columns["std_error_kind"] = np.where(self.edge[self.row] == "", self.kind, "")
        table = pd.DataFrame(columns, index=pd.Index(list(self.yardstick.fit.subjects.values), name="subject"))
        regrets = [name for name in columns if name.startswith("regret_per_decision")]
        if regrets:
            table.loc[self._without_unit(), regrets] = np.nan
        return with_regret(table).sort_values("rank", kind="stable")

    def of_groups(self, groups: Labels, code: Index) -> pd.DataFrame:
        """Return one row a group with the mean of its people, and one a pair of groups with the difference.

        Args:
            groups: the groups.
            code: [B] group of each person.
        """
        told = ~np.isnan(self.found.values[self.row, 0])
        members = (code == np.arange(len(groups))[:, None]) & told
        empty = [groups.values[g] for g in np.flatnonzero(~members.any(axis=1))]
        if empty:
            raise IdentificationError(f"nothing can be said about anybody in group {shortlist(empty)}")
        pairs = list(combinations(range(len(groups)), 2))
        labels = [("group", label) for label in groups.values]
        labels += [("difference", f"{groups.values[b]} - {groups.values[a]}") for a, b in pairs]
        number, at_edge = members.sum(axis=1), (members & (self.edge[self.row] != "")).sum(axis=1)
        blank = [np.nan] * len(pairs)
        columns: dict[str, object] = {
            "num_people": [*number, *blank],
            "num_people_at_boundary": [*at_edge, *blank],
            "std_error_kind": self.kind,
        }
        for name, place in self._shown().items():
            values, own = (
                np.where(told, v, 0.0) for v in (self.found.values[self.row, place], self.found.own[:, place])
            )
            inner = self.edge[self.row] == ""
            weights = _means_and_differences(members & inner if name in _WITHOUT_BOUND else members, pairs)
            mean, errors = weights @ values, self._errors(place, weights)
            low, high = (np.where(np.isnan(errors), np.nan, mean + way * NORMAL_95 * errors) for way in (-1.0, 1.0))
            own_count = len(groups)
            low[:own_count], high[:own_count] = bounded(SCALES[name], mean[:own_count], errors[:own_count])
            columns |= _wide(name, mean, low, high)
            columns[f"{name}_own"] = weights @ own
        index = pd.MultiIndex.from_tuples(labels, names=["kind", "label"])
        return with_regret(pd.DataFrame(columns, index=index))

    def _shown(self) -> dict[str, int]:
        """Return the measures that there are units for, and their places."""
        unit = unit_of_reward(self.yardstick.fit)
        return {name: place for place, name in enumerate(MEASURES) if unit or place != _WITH_UNIT}

    def _without_unit(self) -> list[object]:
        """Return the people whose choices do not depend on the anchor."""
        fit = self.yardstick.fit
        return list(people_without_anchor(fit)) if anchors_of(fit) else []

    def _intervals(self) -> tuple[Real, Real]:
        """Return the interval of each measure of each row [R, 7]."""
        low, high = self.ends.copy()
        inner = self.edge == ""
        if self.covariance is not None:
            each = row_covariances(self.covariance, self.yardstick.directions.owner)
            errors = np.sqrt(variances(self.found.slopes, each))
            own = self._along(each) if self.along else None
            for place, name in enumerate(MEASURES):
                if own is None:
                    ends = bounded(SCALES[name], self.found.values[:, place], errors[:, place])
                else:
                    values, others = (part[:, :, place] for part in own)
                    ends = bounded_along(SCALES[name], self.found.values[:, place], values, others)
                low[inner, place], high[inner, place] = ends[0][inner], ends[1][inner]
        return low, high

    def _along(self, each: Real) -> tuple[Real, Real]:
        """Return the measures along the temperature's interval, and what all else leaves uncertain there [3, R, 7]."""
        hot = self.yardstick.directions.is_temperature
        values, errors = [], []
        for there in self.along:
            rest = variances(there.slopes, each) - variances(there.slopes * hot, each)
            values.append(there.values)
            errors.append(np.sqrt(np.maximum(rest, 0.0)))
        return np.stack(values), np.stack(errors)

    def _errors(self, place: int, weights: Real) -> Real:
        """Return the standard error of weighted sums [G, B] over people of one measure."""
        if self.covariance is None:
            return np.full(len(weights), np.nan)
        by_row = np.zeros((len(self.edge), len(weights)))
        np.add.at(by_row, self.row, weights.T)
        owner = self.yardstick.directions.owner
        columns = columns_of(self.found.slopes[:, place], owner, len(self.yardstick.fit.model.table)) @ by_row
        variances: Real = (columns * self.covariance.times(columns)).sum(axis=0)
        return np.sqrt(np.maximum(variances, 0.0))

    def _rank_intervals(self, seed: int) -> tuple[Real, Real]:
        """Return the interval of the rank of each person by normalised value [B]; nan for people at a boundary."""
        unknown = np.full((2, len(self.row)), np.nan)
        values, owner = self.found.values[:, 0], self.yardstick.directions.owner
        people = np.flatnonzero(~np.isnan(values[self.row]))
        if self.covariance is None or len(people) > MOST_RANKED or not len(people):
            return unknown[0], unknown[1]
        regret = np.maximum(1.0 - values, np.finfo(float).tiny)
        # The logarithm keeps draws below 1; people at a boundary stay where they are.
        moving = np.where(self.edge == "", 1.0, 0.0)[:, None] * self.found.slopes[:, 0] / -regret[:, None]
        columns = columns_of(moving, owner, len(self.yardstick.fit.model.table))[:, self.row[people]]
        low, high = rank_intervals(np.log(regret)[self.row[people]], columns.T @ self.covariance.times(columns), seed)
        inner = self.edge[self.row[people]] == ""
        unknown[:, people[inner]] = low[inner], high[inner]
        return unknown[0], unknown[1]


def with_regret(table: pd.DataFrame) -> pd.DataFrame:
    """Put normalised regret, which is 1 - normalised value, behind it; of differences between groups, the negative."""
    whole = np.ones(len(table))
    if table.index.nlevels > 1:
        whole[table.index.get_level_values("kind") == "difference"] = 0.0
    after = list(table.columns).index("normalised_value_own") + 1
    for place, (name, of) in enumerate((("", ""), ("_low", "_high"), ("_high", "_low"), ("_own", "_own"))):
        table.insert(after + place, f"normalised_regret{name}", whole - table[f"normalised_value{of}"].to_numpy())
    return table


def _means_and_differences(members: npt.NDArray[np.bool_], pairs: list[tuple[int, int]]) -> Real:
    """Return the weights [G + pairs, B] of the mean of each group of people [G, B], and of differences; nan without."""
    count = members.sum(axis=1, keepdims=True)
    share = np.where(count > 0, members / np.maximum(count, 1), np.nan)
    return np.vstack([share, *(share[b] - share[a] for a, b in pairs)])


def _wide(name: str, values: Real, low: Real, high: Real) -> dict[str, Real]:
    return {name: values, f"{name}_low": low, f"{name}_high": high}


def _choice_notes(fit: Fit) -> list[str]:
    """Say what of people's choice terms the measures or their intervals leave out."""
    notes, choice = [], fit.params.iloc[fit.model.table.choices]
    if fit.model.choice.is_sticky:
        notes.append(
            "these people are sticky, and are measured where nothing was done before: what their habit adds to their "
            "mistakes, or saves them, is in none of these measures (predict and simulate have it)"
        )
    if (choice["boundary"] != "").any():
        notes.append("intervals hold the lapse, which is at a boundary, where it is")
    return notes


def _require_told(yardstick: Yardstick, found: Measured) -> None:
    """Refuse measures that change along a direction that the data leave flat."""
    fit: Fit = yardstick.fit
    refusal = "what is measured is not identified: "
    if fit.model.task.horizon is not None:
        raise IdentificationError(
            refusal + "this fit is not, and with a horizon it keeps too little to tell whether that matters here. Fix "
            "what `identify` names, or fit with LinearReward(shared=False) and temperature=Fixed(1)"
        )
    likelihood = training_likelihood(fit)
    space = spectrum(likelihood.every_action_by_row, likelihood.start().numpy())
    if space.flat.shape[1] < space.num_flat:
        raise IdentificationError(
            refusal + f"{space.num_flat} directions of this fit are flat, too many to look at. If rewards and "
            "temperatures are both free, fit with temperature=Fixed(1)"
        )
    size = np.max(np.abs(space.flat) * fit.model.table.scales[:, None], axis=0)
    steps = np.vstack([space.flat / size, np.zeros((1, space.flat.shape[1]))])[yardstick.directions.owner]
    shown = [place for place in range(len(MEASURES)) if place != _WITH_UNIT or unit_of_reward(fit)]
    change = np.abs(np.einsum("rmc,rck->rmk", found.slopes[:, shown], steps)).max(axis=(1, 2), initial=0.0)
    moved = np.isin(yardstick.row_of_person, np.flatnonzero(change > _NO_CHANGE))
    if moved.any():
        who = [fit.subjects.values[i] for i in np.flatnonzero(moved)]
        raise IdentificationError(
            refusal + f"rewards of {shortlist(who)} that explain the data equally well give other values. Record more "
            "decisions of them, leave them out, or let people share the reward"
        )
