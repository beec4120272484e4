"""Mean log temperatures of groups: of a population where the fit has one, else of the people it was fitted to.

In a population model groups differ by its coefficients, not by people's estimates: these are drawn towards the mean
that the model gives them, so that groups it does not know look more alike than they are, and groups it knows differ
by less noise than they do. A t-test on them is biased either way (SCIENCE 4.5).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from humansoft.codebook import Labels
from humansoft.errors import IdentificationError, NotAvailableError, UsageError, shortlist
from humansoft.evaluate.groups import group_of_people
from humansoft.evaluate.spread import usual_covariance
from humansoft.fit.covariates import design_at
from humansoft.fit.population import Population
from humansoft.fit.result import Fit
from humansoft.temperature import PerGroup

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GroupMeans:
    """Mean log temperatures of groups.

    Attributes:
        groups: the G groups.
        estimate: [G].
        covariance: [G, G].
        errors: [V, G, G] independent standard errors of the covariance, where it depends on how much people differ.
        kind: what kind of covariance it is.
    """

    groups: Labels
    estimate: Real
    covariance: Real
    errors: Real
    kind: str


def group_means(fit: Fit, by: str) -> GroupMeans:
    """Return the mean log temperature of each group of a participants' column.

    Raises:
        IdentificationError: the population does not know the groups, or a group is at a boundary.
        UsageError: no such column, or only one group.
    """
    if fit.population is not None:
        return _of_population(fit, fit.population, by)
    return _of_people(fit, by)


def _of_population(fit: Fit, population: Population, by: str) -> GroupMeans:
    """Return the population's means, everything else in its formula averaged over all people."""
    groups = _groups(fit, by)[0]
    known = population.temperature
    if by not in population.covariates.columns:
        raise IdentificationError(
            f"the population of this fit does not know {by!r}: people were drawn towards one mean, and a contrast of "
            f"their estimates would be too small. Fit with temperature=PerGroup({by!r}) or a formula with {by} in it"
        )
    terms = population.params[population.params.index.get_level_values("name") == "log_temperature"]
    endless = terms.index.get_level_values("label")[terms["std_error"].isna() & ~terms["fixed"]]
    if len(endless):
        raise IdentificationError(
            f"{shortlist(list(endless))} of the population run away (everybody concerned looks perfectly rational, or "
            "perfectly random): no contrast with them has an interval; their one-sided intervals are in "
            "fit.population.params"
        )
    people = fit.training.participants.reindex(list(fit.subjects.values))
    place = np.flatnonzero(population.params.index.get_level_values("name") == "log_temperature")
    names = [str(label) for label in terms.index.get_level_values("label")]
    means = [design_at(known, population.covariates, people, by, g).mean()[names] for g in groups.values]
    rows = np.stack([mean.to_numpy() for mean in means])
    covariance = rows @ population.covariance[np.ix_(place, place)] @ rows.T
    errors = rows @ population.covariance_errors[:, place[:, None], place] @ rows.T
    estimate = population.params["estimate"].to_numpy(dtype=float)[place]
    return GroupMeans(groups, rows @ estimate, covariance, errors, "population")


def _of_people(fit: Fit, by: str) -> GroupMeans:
    """Return geometric means over the people of each group, those at a boundary left out."""
    params = fit.params.loc[["log_temperature"]]
    edge = params["boundary"].to_numpy() != ""
    groups, members = _membership(fit, by)
    if isinstance(fit.model.temperature, PerGroup) and edge.any():
        at = [label for _, label in params.index[edge]]
        raise IdentificationError(
            f"the temperature of group {shortlist(at)} is at a boundary: it has no standard error, so no contrast "
            "with it has an interval; its one-sided bound is in fit.summary()"
        )
    combine = np.where(edge, 0.0, members)
    empty = [groups.values[g] for g in np.flatnonzero(combine.sum(axis=1) == 0)]
    if empty:
        raise IdentificationError(f"nobody in {shortlist(empty)} has an inner estimate: no group mean can be formed")
    combine = combine / combine.sum(axis=1, keepdims=True)
    usual = usual_covariance(fit)
    if usual is None:
        raise NotAvailableError("the fit has no covariance of its temperatures, so that no contrast has an interval")
    covariance, kind = usual
    whole = np.zeros((len(fit.model.table), len(combine)))
    whole[fit.model.table.is_temperature] = combine.T
    logs = params["estimate"].to_numpy(dtype=float)
    known = np.zeros((0, len(groups), len(groups)))
    return GroupMeans(groups, combine @ logs, whole.T @ covariance.times(whole), known, kind)


def _membership(fit: Fit, by: str) -> tuple[Labels, Real]:
    """Return the groups and [G, temperatures] how many people of each group have each temperature."""
    if isinstance(fit.model.temperature, PerGroup) and fit.model.temperature.column == by:
        return fit.model.groups, np.eye(len(fit.model.groups))
    groups, codes = _groups(fit, by)
    members = np.zeros((len(groups), len(fit.model.groups)))
    np.add.at(members, (codes, fit.model.group_of_subject), 1.0)
    if ((members > 0).sum(axis=0) > 1).any():
        raise UsageError(
            f"the groups of {by!r} cut across those of {fit.model.temperature!r}; fit with temperature=PerGroup({by!r})"
        )
    return groups, members


def _groups(fit: Fit, by: str) -> tuple[Labels, npt.NDArray[np.int64]]:
    groups, codes = group_of_people(fit, by)
    if len(groups) < 2:
        raise UsageError(f"column {by!r} has only the value {groups.values[0]!r}: there is nothing to compare")
    return groups, codes
