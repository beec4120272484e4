"""A population that is known: the likelihood of people at its parameters, whoever they are."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.codebook import Labels
from humansoft.fit.covariates import design_like
from humansoft.fit.hierarchical import NODES, SMALLEST_SD, mixed_of
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.marginal import LaplaceLikelihood
from humansoft.fit.mixed import Mixed
from humansoft.fit.population import Integration, Population
from humansoft.fit.population_maximum import PopulationMaximum, at_known
from humansoft.fit.profiles import profiles_of
from humansoft.model import SoftOptimalModel
from humansoft.solvers.expansion import Observations
from humansoft.temperature import PerSubject

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def as_known(likelihood: AbstractLikelihood, terms: pd.DataFrame, population: Population) -> PopulationMaximum:
    """Return the likelihood of people at the parameters of a population.

    Args:
        likelihood: of what they did, each with parameters of their own.
        terms: [B, p] what the population's formula makes of each of them.
        population: the population, which other people may have told.
    """
    learned = design_like(population.temperature, population.covariates, population.covariates)
    mixed = mixed_of(likelihood.model, terms, population.integration != "none", learned)
    return at_parameters(likelihood, mixed, population_vector(mixed, population), population.integration)


def at_parameters(
    likelihood: AbstractLikelihood, mixed: Mixed, full: Real, integration: Integration
) -> PopulationMaximum:
    """Return the likelihood of people at parameters of a population [P]; integrals as exact as in a fit.

    Raises:
        SolveError: no solution there.
    """
    profiles, decisions = profiles_of(likelihood), float(likelihood.observations.weight.sum())
    if integration == "laplace" or mixed.num_deviations not in NODES:
        return PopulationMaximum(LaplaceLikelihood(profiles, mixed, decisions), full, [], settled=True)
    return at_known(profiles, mixed, decisions, full, NODES[mixed.num_deviations])


def population_vector(mixed: Mixed, population: Population) -> Real:
    """Return the population's parameters [P] as they are learned: standard deviations as logarithms."""
    estimate = population.params["estimate"].to_numpy(dtype=float)
    spread = population.params.index.get_level_values("name") == "sd"
    found: Real = mixed.from_terms @ np.where(spread, np.log(np.maximum(estimate, SMALLEST_SD / 2)), estimate)
    return found


def likelihood_like(model: SoftOptimalModel, like: Index, seen: Observations, person: Index) -> AbstractLikelihood:
    """Return the likelihood of n people, each like one of a bound model's.

    Args:
        model: bound to B people.
        like: [n] whom of these each of the n is like.
        seen: decisions.
        person: [N] who of the n made each of them.
    """
    people = Labels("subject", tuple(range(len(like))))
    if isinstance(model.temperature, PerSubject):
        bound = model.bound_to(people, people, np.arange(len(like)))
    else:
        bound = model.bound_to(people, model.groups, model.group_of_subject[like])
    row = person if bound.rows_are_people else bound.group_of_subject[person]
    return likelihood_of(bound, replace(seen, row=row, person=person, unit=person))
