"""From the maximum of a population's likelihood to a Fit: people as they are seen through the population."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from humansoft.data.log import BehaviorLog
from humansoft.fit.arrow import BlockCovariance
from humansoft.fit.assemble import is_optimum, lapse_note, num_decisions, training_data, versions
from humansoft.fit.deviations import Posterior
from humansoft.fit.hierarchical import WITHIN, collapsed, is_affordable
from humansoft.fit.intervals import NORMAL_95
from humansoft.fit.marginal import PopulationObjective
from humansoft.fit.mixed import Mixed
from humansoft.fit.movement import movement
from humansoft.fit.people import People
from humansoft.fit.people_posterior import PeoplePosterior
from humansoft.fit.people_vector import own_places, people_covariance, people_vectors
from humansoft.fit.population import Integration, Population
from humansoft.fit.population_maximum import IMPRECISE, PopulationMaximum
from humansoft.fit.population_table import Uncertainty, population_params, uncertainty
from humansoft.fit.result import Fit, FitStatus, TrainingData
from humansoft.fit.uncertainty import Covariances
from humansoft.model import SoftOptimalModel
from humansoft.parameters import Parameter
from humansoft.temperature import Temperature

Real = npt.NDArray[np.float64]

_PAIR = 2  # conditions of which there is only one way to be alike


@dataclass(frozen=True, eq=False)
class Cohort(People):
    """The people of a log, and what is known of them beforehand.

    Attributes:
        log: the decisions themselves.
        temperature: the hypothesis as it was given: what explains their mean log temperatures.
        covariates: [S, ...] columns that explain.
        notes: sentences that belong beside the result.
    """

    log: BehaviorLog
    temperature: Temperature
    covariates: pd.DataFrame
    notes: tuple[str, ...] = ()

    def training(self) -> TrainingData:
        """Return what a fit keeps of the log, what explains people's temperatures beside what is known of them."""
        training, covariates = training_data(self.likelihood, self.log), self.covariates
        known = training.participants.reindex(list(covariates.index))
        known.index.name = training.participants.index.name
        fresh = covariates[[name for name in covariates.columns if name not in known.columns]]
        return replace(training, participants=known.join(fresh))


def assemble_population(
    people: Cohort, best: PopulationMaximum, integration: Integration, seed: int | None, known: Population | None = None
) -> Fit:
    """Turn the maximum of a population's likelihood into a :class:`Fit`.

    People's estimates are posterior means. Their covariance adds to the posterior's own what is not known of the
    population (first-order, Kass and Steffey 1989).

    Args:
        people: whose it is.
        best: the maximum.
        integration: how people's own parameters are integrated out.
        seed: recorded in the result.
        known: the population, where other people told it.
    """
    likelihood, objective, full = people.likelihood, best.objective, best.full
    mixed = objective.mixed
    found = uncertainty(objective, full) if known is None else Uncertainty.of(known, mixed)
    uncertain = found.covariance
    table = population_params(objective, full, found) if known is None else known.params
    posterior = PeoplePosterior.of(objective, full, table)
    shared, own = mixed.split(full)[0], people.by_subject(mixed.own(full, posterior.moments.mean[:, None])[:, 0])
    person = people_vectors(likelihood.model, likelihood.start().numpy(), shared, own[None])[0]
    covariance = _people_covariance(people, objective, full, posterior.moments, uncertain)
    params = _params(likelihood.model, objective, person, covariance, posterior, table)
    settled = best.settled if integration == "laplace" or known is not None else is_optimum(objective, full)
    population = Population(
        params=table,
        covariance=mixed.to_terms @ uncertain @ mixed.to_terms.T if known is None else known.covariance,
        covariance_errors=mixed.to_terms @ found.errors @ mixed.to_terms.T,
        design=people.terms,
        covariates=people.covariates if known is None else known.covariates,
        evidence=pd.Series(objective.by_person(full), index=list(people.labels), name="evidence"),
        integration=integration,
        temperature=people.temperature,
        integration_error=best.integration_error,
    )
    return Fit(
        model=likelihood.model.at(torch.from_numpy(person)),
        params=params,
        covariances=Covariances({"posterior": covariance}, ("posterior",) * len(params), params.index),
        log_likelihood=float(population.evidence.sum()),
        num_decisions=num_decisions(likelihood),
        rank=mixed.table.num_free,
        status=_status(settled, found),
        notes=(*_notes(population, mixed, found), *people.notes),
        history=pd.DataFrame({"step": np.arange(1, len(best.history) + 1), "log_likelihood": best.history}),
        training=people.training(),
        seed=seed,
        versions=dict(versions()),
        population=population,
    )


def _status(settled: bool, found: Uncertainty) -> FitStatus:
    if not settled:
        return FitStatus.MAX_STEPS
    return FitStatus.BOUNDARY if found.has_boundary else FitStatus.CONVERGED


def _small_sample_notes(population: Population, found: Uncertainty) -> list[str]:
    """Say what the intervals of coefficients allow for, and how much people differ by the restricted likelihood."""
    if not len(found.errors):
        return []
    pairs = zip(population.sd.items(), np.exp(found.spread), strict=True)
    named = ((" within people" if label == WITHIN else f" of {label}", shown, size) for (label, shown), size in pairs)
    sizes = ", ".join(f"{size:.2g} for {shown:.2g}{name}" for name, shown, size in named)
    return [
        "intervals of the population's coefficients are of Student's t (degrees of freedom by Satterthwaite 1946), "
        "their standard errors those at the standard deviations of the restricted likelihood (Patterson and Thompson "
        f"1971), which are not too small with few people as those of maximum likelihood, shown, are: {sizes}"
    ]


def _runaway_notes(mixed: Mixed, found: Uncertainty) -> list[str]:
    """Say which of the population's parameters have no estimate or a bound only, and what to do."""
    told = [] if np.isnan(found.highest_logit) else [lapse_note(found.highest_logit)]
    runaway = zip(mixed.rows, found.runaway, strict=True)
    names = [str(row) for row, runs in runaway if runs and not (told and row.kind == "logit_lapse")]
    if not names:
        return told
    return [
        *told,
        f"{', '.join(names)} of the population run away: the likelihood rises for ever, because everybody concerned "
        "looks perfectly rational (or perfectly random, or always does the same). Their intervals are one-sided, and "
        "no contrast with them has one; collect decisions that can go wrong, or use method='posterior', whose prior "
        "keeps them finite",
    ]


def _people_covariance(
    people: People, objective: PopulationObjective, full: Real, posterior: Posterior, uncertain: Real
) -> BlockCovariance:
    """Return the covariance of the model of people; given the population, its subjects count as independent."""
    model, mixed, dev = people.likelihood.model, objective.mixed, list(objective.mixed.deviating)
    places = own_places(model)
    own = np.zeros((mixed.num_people, mixed.design.shape[1], mixed.design.shape[1]))
    own[np.ix_(range(len(own)), dev, dev)] = posterior.covariance
    if people.measures is not None:
        own = people.by_subject(np.diagonal(own, axis1=1, axis2=2))[..., None]
    factor = np.zeros((len(model.table), len(full)))
    factor[model.table.shared_places, np.arange(len(mixed.shared))] = 1.0
    factor[places] = people.by_subject(movement(objective, full, mixed.table.free & ~collapsed(mixed, full)))
    return people_covariance(model, own, factor, uncertain)


def _params(
    model: SoftOptimalModel,
    objective: PopulationObjective,
    person: Real,
    covariance: BlockCovariance,
    posterior: PeoplePosterior,
    population: pd.DataFrame,
) -> pd.DataFrame:
    """Return the table of the model of people; what they share is what the population's table says."""
    table = model.table
    fixed = ~table.free
    errors = np.where(fixed, np.nan, np.sqrt(np.maximum(covariance.variances(), 0.0)))
    low, high = person - NORMAL_95 * errors, person + NORMAL_95 * errors
    if posterior.tails is not None:
        place = own_places(model)[:, objective.mixed.deviating[0]]
        # What is not known of the population widens them.
        spread = errors[place] / np.sqrt(posterior.moments.covariance[:, 0, 0])
        low[place], high[place] = person[place] + (spread[:, None] * posterior.tails).T
    shared = population.iloc[: len(table.shared_places)]
    for column, name in ((errors, "std_error"), (low, "ci_low"), (high, "ci_high")):
        column[table.shared_places] = shared[name]
    return pd.DataFrame(
        {
            "estimate": person,
            "std_error": errors,
            "std_error_kind": np.where(np.isnan(errors), "", "posterior"),
            "ci_low": low,
            "ci_high": high,
            "unit": [row.unit for row in table.rows],
            "fixed": fixed,
            "boundary": _boundaries(low, high),
        },
        index=table.index(),
    )


def _boundaries(low: Real, high: Real) -> list[str]:
    """Name the end of its range that each parameter [P] may be at: its interval has no end there."""
    kinds = {(True, True): "both", (True, False): "lower", (False, True): "upper", (False, False): ""}
    return [kinds[pair] for pair in zip(np.isneginf(low).tolist(), np.isposinf(high).tolist(), strict=True)]


def _notes(population: Population, mixed: Mixed, found: Uncertainty) -> list[str]:
    notes = []
    if population.integration == "none":
        notes.append("temperatures are what the formula says of each person; people do not deviate from it")
    elif population.integration == "laplace":
        others = "method='posterior' does not"
        if is_affordable(mixed):
            others = "integrate='quadrature' or method='posterior' do not"
        notes.append(
            "population by Laplace-EM: with few decisions a person it underestimates how much people differ "
            f"(sd .51 for .60 at 15 decisions, .58 at 600); {others}"
        )
    if population.integration_error > IMPRECISE:
        notes.append(
            f"the integrals over people's own parameters are known to {population.integration_error:.1g} nats only, "
            "because what some of them did is as likely in a wide range: compare no models by smaller differences of "
            "log-likelihood; method='posterior' does without these integrals"
        )
    if population.integration != "none":
        notes.append(
            "people's estimates are posterior means, drawn towards what the population says of them: compare groups by "
            "the population's coefficients (compare(fit, by=...)), not by these"
        )
    if WITHIN in population.sd.index and mixed.num_deviations > _PAIR:
        notes.append(
            "a person's conditions are taken to be equally alike, whichever two: where people differ in how they "
            "change (a slope of their own over blocks, sessions that are more alike the closer they are), intervals "
            "of contrasts of conditions are too narrow, by half in an example"
        )
    none = [row for row in mixed.spread if float(population.sd.get(row.label, 1.0)) == 0.0]
    alike = [_alike_note(row) for row in none]
    return [*notes, *alike, *_small_sample_notes(population, found), *_runaway_notes(mixed, found)]


def _alike_note(row: Parameter) -> str:
    """Say what it means that a standard deviation is estimated as 0."""
    if row.label == WITHIN:
        found = (
            "people do not change from one condition to another by anything that can be seen, apart from what the "
            "formula says: the standard deviation of that is estimated as 0"
        )
    else:
        found = (
            f"people do not differ in {row.name if row.label is None else row.label} by anything that can be seen: "
            "their standard deviation is estimated as 0"
        )
    return (
        f"{found}. Each is seen through all that are still likely, up to the end of its interval: estimates and "
        "intervals say how far apart they may be"
    )
