"""adapt: people that a fit does not know, seen through the population that it learned."""

import copy

import numpy as np
import numpy.typing as npt

from humansoft.checking import require_valid
from humansoft.data.log import BehaviorLog
from humansoft.errors import UsageError, shortlist
from humansoft.fit.assemble_population import People, assemble_population
from humansoft.fit.covariates import covariates_of, design_like
from humansoft.fit.hierarchical import NODES, SMALLEST_SD, WITHIN, mixed_of, most_dimensions, repeated
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.marginal import LaplaceLikelihood
from humansoft.fit.mixed import Mixed
from humansoft.fit.population import Population
from humansoft.fit.population_maximum import PopulationMaximum, at_known
from humansoft.fit.repeated import RepeatedMeasures
from humansoft.fit.result import Fit
from humansoft.threads import one_thread

Real = npt.NDArray[np.float64]


@one_thread()
def adapt(fit: Fit, log: BehaviorLog) -> Fit:
    r"""Estimate new people under a fitted population, which stays as it is.

    A person with a handful of decisions gets what they say, drawn towards what the population says of such a person;
    the interval covers both, and what is not known of the population.

    Args:
        fit: a fit with a population (``method="hierarchical"``).
        log: decisions of new people in the same task, with the covariates that the population's formula asks for.

    Returns:
        A fit of these people alone: ``predict``, ``score``, ``compare`` and ``simulate`` take it like any other.

    Raises:
        UsageError: a fit without a population, or people that it already knows.
        LogError: the log does not fit the task, covariates are missing, or categories are new.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S..\n..G", discount=0.9)
        >>> people = hs.plan(task, {"step": -1.0}, temperature={"ann": 0.5, "bob": 1.0, "cy": 2.0, "di": 0.7})
        >>> model = hs.SoftOptimalModel(task, hs.LinearReward(["step"], fixed={"step": -1.0}), hs.PerSubject())
        >>> known = hs.fit(model, hs.simulate(people, 20, seed=1), method="hierarchical")
        >>> newcomer = hs.simulate(hs.plan(task, {"step": -1.0}, temperature={"eve": 1.0}), 2, seed=2)
        >>> list(hs.adapt(known, newcomer).subjects.values)
        ['eve']
    """
    population = fit.population
    if population is None:
        raise UsageError(
            "this fit takes people one by one and knows no population to see a new person through; fit with "
            "method='hierarchical' (or, for new people alone, fit them)"
        )
    require_valid(log, fit.model.task)
    old = [subject for subject in log.subjects if subject in fit.subjects]
    if old:
        raise UsageError(f"the fit knows {shortlist(old)} already: adapt() is for people it has not seen")
    bound = copy.deepcopy(fit.model).bind(log)
    covariates = covariates_of(population.temperature, log, bound.subjects.values)
    terms = design_like(population.temperature, population.covariates, covariates)
    likelihood = likelihood_of(bound, bound.observe(log))
    learned = design_like(population.temperature, population.covariates, population.covariates)
    mixed, measures = mixed_of(bound, terms, population.integration != "none", learned), None
    if WITHIN in population.sd.index:
        measures = RepeatedMeasures.of(log, bound.subjects.values)
        mixed = repeated(mixed, measures)
    people = People(likelihood, log, population.temperature, covariates, terms, measures)
    best = _as_known(people, mixed, population)
    return assemble_population(people, best, population.integration, None, population)


def _known(mixed: Mixed, population: Population) -> Real:
    """Return the population's parameters [P] as they are learned: standard deviations as logarithms."""
    estimate = population.params["estimate"].to_numpy(dtype=float)
    spread = population.params.index.get_level_values("name") == "sd"
    found: Real = mixed.from_terms @ np.where(spread, np.log(np.maximum(estimate, SMALLEST_SD / 2)), estimate)
    return found


def _as_known(people: People, mixed: Mixed, population: Population) -> PopulationMaximum:
    """Return the likelihood of new people at the parameters of their population."""
    profiles, decisions = people.profiles(), float(people.decisions().sum())
    full = _known(mixed, population)
    if population.integration == "laplace" or mixed.num_deviations > most_dimensions(mixed):
        return PopulationMaximum(LaplaceLikelihood(profiles, mixed, decisions), full, [], settled=True)
    return at_known(profiles, mixed, decisions, full, NODES[mixed.num_deviations])
