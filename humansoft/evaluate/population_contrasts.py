"""Contrasts between groups inside a population model: differences of its coefficients, not of people's estimates.

People's estimates are drawn towards the mean that the model gives them, so that groups that it does not know look
more alike than they are, and groups that it knows differ by less noise than they do: a t-test on them is biased
either way (SCIENCE 4.5).
"""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from humansoft.codebook import Labels
from humansoft.errors import IdentificationError, UsageError, did_you_mean
from humansoft.fit.covariates import design_at, variables_of
from humansoft.fit.population import Population
from humansoft.fit.result import Fit
from humansoft.temperature import PerGroup

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GroupMeans:
    """Mean log temperatures of groups, everything else in the formula averaged over all people.

    Attributes:
        groups: the G groups.
        estimate: [G].
        covariance: [G, G].
    """

    groups: Labels
    estimate: Real
    covariance: Real


def group_means(fit: Fit, population: Population, by: str) -> GroupMeans:
    """Return the population's mean log temperature of each group.

    Raises:
        IdentificationError: the population does not know the groups.
        UsageError: no such column, or only one group.
    """
    people = fit.training.participants.reindex(list(fit.subjects.values))
    if by not in people.columns:
        raise UsageError(f"the fit knows no participants' column {by!r}.{did_you_mean(by, list(people.columns))}")
    values: list[Hashable] = people[by].tolist()
    groups = Labels.of("group", values)
    if len(groups) < 2:
        raise UsageError(f"column {by!r} has only the value {groups.values[0]!r}: there is nothing to compare")
    _require_known(population, by)
    rows = np.stack([design_at(population.temperature, people, by, g).to_numpy().mean(axis=0) for g in groups.values])
    names = population.params.index.get_level_values("name")
    place = np.flatnonzero(names == "log_temperature")
    covariance = rows @ population.covariance[np.ix_(place, place)] @ rows.T
    return GroupMeans(groups, rows @ population.params["estimate"].to_numpy(dtype=float)[place], covariance)


def _require_known(population: Population, by: str) -> None:
    known = population.temperature
    if isinstance(known, PerGroup) and known.column == by:
        return
    if by in variables_of(known):
        return
    raise IdentificationError(
        f"the population of this fit does not know {by!r}: people were drawn towards one mean, and a contrast of their "
        f"estimates would be too small. Fit with temperature=PerGroup({by!r}) or a formula with {by} in it"
    )
