"""A population that is known: the likelihood of people at its parameters, whoever they are."""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from humansoft.data.parts import WhoIsWho
from humansoft.fit.covariates import design_like
from humansoft.fit.hierarchical import SMALLEST_SD, WITHIN, is_affordable, mixed_of
from humansoft.fit.marginal import LaplaceLikelihood
from humansoft.fit.mixed import Mixed
from humansoft.fit.people import People
from humansoft.fit.population import Integration, Population
from humansoft.fit.population_maximum import PopulationMaximum, at_known
from humansoft.fit.repeated import RepeatedMeasures

Real = npt.NDArray[np.float64]


def as_known(people: People, population: Population) -> PopulationMaximum:
    """Return the likelihood of people at the parameters of a population, which others may have told."""
    learned = design_like(population.temperature, population.covariates, population.covariates)
    deviate = population.integration != "none"
    mixed = mixed_of(people.likelihood.model, people.terms, deviate, people.measures, learned)
    return at_parameters(people, mixed, population_vector(mixed, population), population.integration)


def at_parameters(people: People, mixed: Mixed, full: Real, integration: Integration) -> PopulationMaximum:
    """Return the likelihood of people at parameters of a population [P]; integrals as exact as in a fit.

    Raises:
        SolveError: no solution there.
    """
    profiles, decisions = people.profiles(), float(people.decisions().sum())
    if integration == "laplace" or not is_affordable(mixed):
        return PopulationMaximum(LaplaceLikelihood(profiles, mixed, decisions), full, [], settled=True)
    return at_known(profiles, mixed, decisions, full)


def measures_like(population: Population, source: WhoIsWho, subjects: Sequence[Hashable]) -> RepeatedMeasures | None:
    """Return who is who among subjects, where the population tells people from their conditions."""
    return RepeatedMeasures.of(source, subjects) if WITHIN in population.sd.index else None


def population_vector(mixed: Mixed, population: Population) -> Real:
    """Return the population's parameters [P] as they are learned: standard deviations as logarithms."""
    estimate = population.params["estimate"].to_numpy(dtype=float)
    spread = population.params.index.get_level_values("name") == "sd"
    found: Real = mixed.from_terms @ np.where(spread, np.log(np.maximum(estimate, SMALLEST_SD / 2)), estimate)
    return found
