"""How well a population predicts decisions that were held out: own parameters are integrated out.

Of people nobody has seen, this is their marginal likelihood. Of people some of whose decisions the fit has seen, it is

    log p(held out | seen, population) = log p(held out and seen | population) - log p(seen | population):

what the seen decisions leave open of the person is weighed by how likely it is, instead of taking its mean.
"""

import copy

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.data.log import BehaviorLog
from humansoft.data.parts import person_codes
from humansoft.data.splits import SplitBy
from humansoft.errors import UsageError
from humansoft.fit.covariates import covariates_of, design_like
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.known_population import as_known, measures_like
from humansoft.fit.people import People
from humansoft.fit.result import Fit
from humansoft.threads import one_thread

Mask = npt.NDArray[np.bool_]


@one_thread()
def held_out_log_likelihood(
    fit: Fit, log: BehaviorLog, learned: Mask, held_out: Mask, by: SplitBy
) -> "pd.Series[float]":
    """Return the log probability of each unit held out, all decisions of a unit together.

    Args:
        fit: a fit with a population, to what was learned from.
        log: all decisions.
        learned: [N] which of them the fit has seen.
        held_out: [N] which of them it has not.
        by: "subject": units are people; "episode" and "time": episodes, or what of them is held out.

    Returns:
        One value a unit: by person (of repeated measures, in all conditions together), or by the episode's code.

    Raises:
        UsageError: the fit knows no population.
        LogError: covariates of people who are held out are missing, or nobody the fit has seen is of their kind.
    """
    population = fit.population
    if population is None:
        raise UsageError("this fit takes people one by one and knows no population: fit with method='hierarchical'")
    who = person_codes(log)
    theirs = np.isin(who, who[held_out])
    met = log.select(theirs & (learned | held_out))
    bound = copy.deepcopy(fit.model).bind(met)
    covariates = covariates_of(population.temperature, met, bound.subjects.values)
    terms = design_like(population.temperature, population.covariates, covariates)
    measures = measures_like(population, met, bound.subjects.values)
    before = bound.observe(log.select(theirs & learned))
    people = People(likelihood_of(bound, before), terms, measures)
    after = bound.observe(log.select(held_out), by="subject" if by == "subject" else "episode")
    number = people.number_of_subject[after.person]
    order = np.argsort(after.unit, kind="stable")
    units, first = np.unique((number if by == "subject" else after.unit)[order], return_index=True)
    owner = number[order][first]
    place = np.searchsorted(units, number if by == "subject" else after.unit)
    everybody = people.some(np.r_[owner, np.arange(len(people.labels))], (after, place))
    best = as_known(everybody, population)
    both, seen = np.split(best.objective.by_person(best.full), [len(owner)])
    index = [people.labels[one] for one in owner] if by == "subject" else units
    return pd.Series(both - seen[owner], index=pd.Index(index, tupleize_cols=False))
