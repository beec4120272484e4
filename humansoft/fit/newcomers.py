"""Newcomers: people whom a fit does not know, at the mean log temperature of people like them.

The mean of a person in condition c is x_c' beta. Of somebody whom a fit with repeated measures has met in n other
conditions, the own level u is known in part, and added to it:

    E[u | decisions] = s_u^2 / (s_v^2 + n s_u^2) * (sum of the posterior means of u + v over these conditions),

which follows from (u, u + v_1, ..., u + v_n) being normal, and decisions depending on the u + v alone.
"""

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from humansoft.codebook import Labels
from humansoft.data.log import BehaviorLog
from humansoft.data.parts import persons_of
from humansoft.errors import NewcomerWarning, shortlist
from humansoft.fit.covariates import columns_of, covariates_of, design_like
from humansoft.fit.hierarchical import WITHIN
from humansoft.fit.population import Population
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel
from humansoft.temperature import PerGroup, Temperature

Real = npt.NDArray[np.float64]


def with_newcomers(fit: Fit, log: BehaviorLog) -> SoftOptimalModel:
    r"""Return the model of a fit, bound to the people of a log whom it does not know, too.

    Each has the mean log temperature of the person's group (``PerGroup``) or covariates (a population's formula);
    somebody whom a population with repeated measures knows from other conditions has the own level besides. This plugs
    in one temperature a person: nothing is averaged over how people differ. Where nothing is known of newcomers
    but that they are people, they stay unknown to the model, which takes them for the average person.

    Args:
        fit: a fit in which people share their reward.
        log: decisions, checked against the task.

    Raises:
        LogError: newcomers with a group or a category that nobody of the fit had, or with an empty value.

    Warns:
        NewcomerWarning: the log lacks columns that would tell what newcomers are like.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S..\n..G", discount=0.9)
        >>> people = hs.plan(task, {"step": -1.0}, temperature={"ann": 0.5, "bob": 1.0})
        >>> model = hs.SoftOptimalModel(task, hs.LinearReward(["step"], fixed={"step": -1.0}), "~ 1")
        >>> fit = hs.fit(model, hs.simulate(people, 20, seed=1))
        >>> newcomer = hs.simulate(hs.plan(task, {"step": -1.0}, temperature={"eve": 1.0}), 2, seed=2)
        >>> list(with_newcomers(fit, newcomer).subjects.values)
        ['ann', 'bob', 'eve']
    """
    known, expected = fit.model, _Expected.of(fit)
    strangers = [label for label in log.subjects if label not in known.subjects]
    if expected is None or not strangers:
        return known
    lacking = [name for name in columns_of(expected.temperature) if not _has(log, name)]
    if lacking:
        warnings.warn(
            f"the log has no column {shortlist(lacking)}, which tells temperatures of people who are not in the fit: "
            f"{shortlist(strangers)} count as the average person; give the column (participants=), or refuse people "
            "whom the fit does not know (on_unknown='raise')",
            NewcomerWarning,
            stacklevel=2,
        )
        return known
    theirs = log.select(np.isin(log.subject, log.codebook.subjects.encode(strangers)))
    means = expected.log_temperatures(covariates_of(expected.temperature, theirs, strangers))
    if fit.population is not None:
        people = list(persons_of(log, strangers).values())
        means = means + _own_levels(fit, fit.population, expected, people)
    return _extended(known, strangers, means)


def _has(log: BehaviorLog, column: str) -> bool:
    return column in log.participants.columns or column in log.frame.columns


@dataclass(frozen=True, eq=False)
class _Expected:
    """What a fit expects of people by what explains their temperatures.

    Attributes:
        temperature: what explains them.
        covariates: the columns of those whom it was learned from.
        coefficients: [p] of the terms.
    """

    temperature: Temperature
    covariates: pd.DataFrame
    coefficients: Real

    @classmethod
    def of(cls, fit: Fit) -> "_Expected | None":
        """Return it; ``None`` where nothing that is known of newcomers tells their temperature."""
        model, population = fit.model, fit.population
        if model.rows_are_people:
            return None
        if population is not None:
            rows = population.params.index.get_level_values("name") == "log_temperature"
            found = population.params["estimate"].to_numpy(dtype=float)[rows]
            return cls(population.temperature, population.covariates, found)
        if isinstance(model.temperature, PerGroup):
            groups = pd.DataFrame({model.temperature.column: list(model.groups.values)})
            return cls(model.temperature, groups, model.log_temperature.detach().numpy())
        return None

    def log_temperatures(self, covariates: pd.DataFrame) -> Real:
        """Return the mean log temperatures [B] of people with some covariates."""
        terms = design_like(self.temperature, self.covariates, covariates)
        found: Real = terms.to_numpy() @ self.coefficients
        return found


def _own_levels(fit: Fit, population: Population, expected: _Expected, people: list[Hashable]) -> Real:
    """Return by how much people are expected to deviate in a condition that they were not met in [B]."""
    sd = population.sd
    if WITHIN not in sd.index:  # the population does not tell people from their conditions
        return np.zeros(len(people))
    between, within = float(sd["log_temperature"]) ** 2, float(sd[WITHIN]) ** 2
    deviation = fit.temperatures()["log_temperature"] - population.design.to_numpy() @ expected.coefficients
    met = deviation.groupby(persons_of(fit.training, fit.subjects.values)).agg(["sum", "count"])
    level: pd.Series[float] = met["sum"] * between / np.maximum(within + met["count"] * between, np.finfo(float).tiny)
    return np.asarray(level.reindex(people, fill_value=0.0), dtype=np.float64)


def _extended(model: SoftOptimalModel, labels: Sequence[Hashable], log_temperatures: Real) -> SoftOptimalModel:
    """Return a bound model with B more people at these log temperatures; who are alike are solved together."""
    different, place = np.unique(log_temperatures, return_inverse=True)
    subjects = Labels("subject", (*model.subjects.values, *labels))
    groups = Labels(model.groups.kind, (*model.groups.values, *(("newcomers", n) for n in range(len(different)))))
    bound = model.bound_to(subjects, groups, np.r_[model.group_of_subject, len(model.groups) + place])
    theirs = torch.from_numpy(different)
    values = (*model.reward.parameters(), model.log_temperature, theirs, *model.choice.parameters())
    return bound.at(torch.cat([value.detach().flatten() for value in values]))
