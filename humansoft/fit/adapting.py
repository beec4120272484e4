"""adapt: people that a fit does not know, seen through the population that it learned."""

import copy

from humansoft.checking import require_valid
from humansoft.data.log import BehaviorLog
from humansoft.data.parts import persons_of
from humansoft.errors import UsageError, shortlist
from humansoft.fit.assemble_population import Cohort, assemble_population
from humansoft.fit.covariates import covariates_of, design_like
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.known_population import as_known, measures_like
from humansoft.fit.marginal import LaplaceLikelihood
from humansoft.fit.repeated import RepeatedMeasures
from humansoft.fit.result import Fit
from humansoft.threads import one_thread


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
    known = set(persons_of(fit.training, fit.subjects.values).values())
    old = [person for person in dict.fromkeys(persons_of(log, log.subjects).values()) if person in known]
    if old:
        raise UsageError(f"the fit knows {shortlist(old)} already: adapt() is for people it has not seen")
    bound = copy.deepcopy(fit.model).bind(log)
    covariates = covariates_of(population.temperature, log, bound.subjects.values)
    terms = design_like(population.temperature, population.covariates, covariates)
    likelihood = likelihood_of(bound, bound.observe(log))
    measures = measures_like(population, log, bound.subjects.values)
    notes: tuple[str, ...] = ()
    if measures is None and RepeatedMeasures.of(log, bound.subjects.values).num_conditions > 1:
        notes = ("one person in two conditions counts as two people: the population tells no conditions apart",)
    people = Cohort(likelihood, terms, measures, log, population.temperature, covariates, notes)
    best = as_known(people, population)
    integration = "laplace" if isinstance(best.objective, LaplaceLikelihood) else population.integration
    return assemble_population(people, best, integration, None, population)
