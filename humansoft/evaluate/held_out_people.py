"""How well a population predicts decisions that were held out: own parameters are integrated out.

Of people nobody has seen, this is their marginal likelihood. Of people some of whose decisions the fit has seen, it is

    log p(held out | seen, population) = log p(held out and seen | population) - log p(seen | population):

what the seen decisions leave open of the person is weighed by how likely it is, instead of taking its mean.
"""

import copy
from dataclasses import fields

import numpy as np
import numpy.typing as npt

from humansoft.data.log import BehaviorLog
from humansoft.data.splits import SplitBy
from humansoft.errors import UsageError
from humansoft.fit.covariates import covariates_of, design_like
from humansoft.fit.known_population import as_known, likelihood_like
from humansoft.fit.result import Fit
from humansoft.solvers.expansion import Observations
from humansoft.threads import one_thread

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@one_thread()
def held_out_log_likelihood(fit: Fit, log: BehaviorLog, learned: Mask, held_out: Mask, by: SplitBy) -> Real:
    """Return the log probability of each unit held out [U], all decisions of a unit together.

    Args:
        fit: a fit with a population, to what was learned from.
        log: all decisions.
        learned: [N] which of them the fit has seen.
        held_out: [N] which of them it has not.
        by: "subject": units are people; "episode" and "time": episodes, or what of them is held out.

    Returns:
        One value a unit, in the order of its code in the log.

    Raises:
        UsageError: the fit knows no population.
        LogError: covariates of people who are held out are missing, or nobody the fit has seen is of their kind.
    """
    population = fit.population
    if population is None:
        raise UsageError("this fit takes people one by one and knows no population: fit with method='hierarchical'")
    theirs = np.isin(log.subject, log.subject[held_out])
    met = log.select(theirs & (learned | held_out))
    bound = copy.deepcopy(fit.model).bind(met)
    covariates = covariates_of(population.temperature, met, bound.subjects.values)
    terms = design_like(population.temperature, population.covariates, covariates)
    codes, first = np.unique((log.subject if by == "subject" else log.episode)[held_out], return_index=True)
    owner = bound.subjects.encode(log.codebook.subjects.decode(log.subject[held_out][first]))

    after = bound.observe(log.select(held_out), by="subject" if by == "subject" else "episode")
    before = bound.observe(log.select(theirs & learned))
    unit, again = np.nonzero(owner[:, None] == before.person)
    like = np.r_[owner, np.arange(len(bound.subjects))]
    person = np.r_[np.searchsorted(codes, after.unit), unit, len(owner) + before.person]
    likelihood = likelihood_like(bound, like, _joined(after, before.select(again), before), person)
    best = as_known(likelihood, terms.take(like), population)
    both, seen = np.split(best.objective.by_person(best.full), [len(owner)])
    found: Real = both - seen[owner]
    return found


def _joined(*parts: Observations) -> Observations:
    """Return several parts as one; what none of them knows is left out."""
    columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(Observations)}
    known = {name: values for name, values in columns.items() if values[0] is not None}
    return Observations(**{name: np.concatenate(values) for name, values in known.items()})
