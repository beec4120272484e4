"""From the maximum of a population's likelihood to a Fit: people as they are seen through the population."""

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.linalg
import torch

from humansoft.data.log import BehaviorLog
from humansoft.fit.arrow import BlockCovariance
from humansoft.fit.assemble import is_optimum, num_decisions, training_data, versions
from humansoft.fit.deviations import Posterior, adapted, joint
from humansoft.fit.directions import Directions
from humansoft.fit.hierarchical import PopulationMaximum, collapsed
from humansoft.fit.intervals import NORMAL_95
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.marginal import MarginalLikelihood, PopulationObjective, small_steps
from humansoft.fit.mixed import Mixed
from humansoft.fit.population import Integration, Population
from humansoft.fit.population_table import Uncertainty, population_params, uncertainty
from humansoft.fit.result import Fit, FitStatus, TrainingData
from humansoft.fit.uncertainty import Covariances
from humansoft.model import SoftOptimalModel
from humansoft.temperature import Temperature

Real = npt.NDArray[np.float64]

_GRID, _WIDTH = 161, 9.0  # points and half width (in standard deviations) of the grid for a person's interval
_TAIL = 0.025


@dataclass(frozen=True, eq=False)
class People:
    """The people of a population model, and what is known of them beforehand.

    Attributes:
        likelihood: of what they did, each with parameters of their own.
        log: the decisions themselves.
        temperature: the hypothesis as it was given: what explains their mean log temperatures.
        covariates: [B, ...] columns that explain.
        terms: [B, p] the design that these make.
        notes: sentences that belong beside the result.
    """

    likelihood: AbstractLikelihood
    log: BehaviorLog
    temperature: Temperature
    covariates: pd.DataFrame
    terms: pd.DataFrame
    notes: tuple[str, ...] = ()

    def training(self) -> TrainingData:
        """Return what a fit keeps of the log, what explains people's temperatures beside what is known of them."""
        training, covariates = training_data(self.likelihood, self.log), self.covariates
        known = training.participants.reindex(list(covariates.index))
        known.index.name = training.participants.index.name
        fresh = covariates[[name for name in covariates.columns if name not in known.columns]]
        return replace(training, participants=known.join(fresh))


def assemble_population(
    people: People, best: PopulationMaximum, integration: Integration, seed: int | None, known: Population | None = None
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
    found = uncertainty(objective, full) if known is None else Uncertainty.of(known.covariance)
    uncertain = found.covariance
    posterior = objective.posterior(full)
    assert posterior is not None, "the maximum is feasible"
    person = _person_vector(likelihood, mixed, full, posterior)
    covariance = _people_covariance(likelihood, objective, full, posterior, uncertain)
    params = _params(likelihood.model, objective, full, person, covariance, posterior)
    settled = best.settled if integration == "laplace" or known is not None else is_optimum(objective, full)
    error = _integration_error(objective, full)
    population = Population(
        params=population_params(objective, full, found) if known is None else known.params,
        covariance=uncertain,
        design=people.terms,
        evidence=pd.Series(objective.by_person(full), index=list(likelihood.model.subjects.values), name="evidence"),
        integration=integration,
        temperature=people.temperature,
        integration_error=error,
    )
    return Fit(
        model=likelihood.model.at(torch.from_numpy(person)),
        params=params,
        covariances=Covariances({"posterior": covariance}, ("posterior",) * len(params), params.index),
        log_likelihood=float(population.evidence.sum()),
        num_decisions=num_decisions(likelihood),
        rank=mixed.table.num_free,
        status=_status(settled, found),
        notes=(*_notes(population, mixed), *_runaway_notes(mixed, found), *people.notes),
        history=pd.DataFrame({"step": np.arange(1, len(best.history) + 1), "log_likelihood": best.history}),
        training=people.training(),
        seed=seed,
        versions=dict(versions()),
        population=population,
    )


def _status(settled: bool, found: Uncertainty) -> FitStatus:
    if not settled:
        return FitStatus.MAX_STEPS
    return FitStatus.BOUNDARY if found.runaway.any() else FitStatus.CONVERGED


def _runaway_notes(mixed: Mixed, found: Uncertainty) -> list[str]:
    """Say which of the population's parameters have no estimate, and what to do."""
    names = [f"{row.name}[{row.label}]" for row, runs in zip(mixed.table.rows, found.runaway, strict=True) if runs]
    if not names:
        return []
    return [
        f"{', '.join(names)} of the population run away: the likelihood rises for ever, because everybody concerned "
        "looks perfectly rational (or perfectly random). Their intervals are one-sided, and no contrast with them has "
        "one; collect decisions that can go wrong, or use method='posterior', whose prior keeps them finite"
    ]


def _person_vector(likelihood: AbstractLikelihood, mixed: Mixed, full: Real, posterior: Posterior) -> Real:
    """Return the parameters of the model of people, each at the posterior mean."""
    person = likelihood.start().numpy().copy()
    shared = mixed.split(full)[0]
    person[: len(shared)] = shared
    person[own_places(likelihood.model)] = mixed.own(full, posterior.mean[:, None])[:, 0]
    return person


def _people_covariance(
    likelihood: AbstractLikelihood, objective: PopulationObjective, full: Real, posterior: Posterior, uncertain: Real
) -> BlockCovariance:
    mixed, layout = objective.mixed, Directions(likelihood.model).layout
    places, dev = own_places(likelihood.model), list(mixed.deviating)
    own = np.zeros((*places.shape, places.shape[1]))
    own[np.ix_(range(len(own)), dev, dev)] = posterior.covariance
    factor = np.zeros((layout.size, len(full)))
    shared = len(mixed.shared)
    factor[np.arange(shared), np.arange(shared)] = 1.0
    factor[places] = _movement(objective, full)
    if layout.own.shape[1]:
        return BlockCovariance(layout, own, factor, uncertain)
    # A person alone shares everything with everybody: what is the person's own goes into the other part.
    mine = np.zeros((layout.size, places.shape[1]))
    mine[places[0]] = np.eye(places.shape[1])
    core = scipy.linalg.block_diag(uncertain, own[0])
    return BlockCovariance(layout, np.zeros((1, 0, 0)), np.hstack([factor, mine]), core)


def own_places(model: SoftOptimalModel) -> npt.NDArray[np.int64]:
    """Return where each person's own free parameters stand among those of a bound model [B, K]."""
    by_person: dict[Hashable, list[int]] = {label: [] for label in model.subjects.values}
    for place, row in enumerate(model.table.rows):
        if row.level == "subject" and row.fixed is None:
            by_person[row.label].append(place)
    return np.array(list(by_person.values()), dtype=np.int64)


def _movement(objective: PopulationObjective, full: Real) -> Real:
    """Return how people's posterior means move with the population's parameters [B, K, P]."""
    mixed, table = objective.mixed, objective.table
    moved = np.zeros((mixed.num_people, mixed.design.shape[1], len(full)))
    for place, step in small_steps(table, table.free & ~collapsed(mixed, full)):
        ends = []
        for there in (full + step, full - step):
            found = objective.posterior(there)
            assert found is not None, "a small step from the maximum is feasible"
            ends.append(mixed.own(there, found.mean[:, None])[:, 0])
        moved[:, :, place] = (ends[0] - ends[1]) / (2 * step[place])
    return moved


def _params(
    model: SoftOptimalModel,
    objective: PopulationObjective,
    full: Real,
    person: Real,
    covariance: BlockCovariance,
    posterior: Posterior,
) -> pd.DataFrame:
    table = model.table
    fixed = ~table.free
    errors = np.where(fixed, np.nan, np.sqrt(np.maximum(covariance.variances(), 0.0)))
    low, high = person - NORMAL_95 * errors, person + NORMAL_95 * errors
    if objective.mixed.num_deviations == 1 and isinstance(objective, MarginalLikelihood):
        place = own_places(model)[:, objective.mixed.deviating[0]]
        spread = errors[place] / np.sqrt(posterior.covariance[:, 0, 0])  # what is not known of the population widens it
        below, above = _tails(objective, full, posterior)
        low[place], high[place] = person[place] + spread * below, person[place] + spread * above
    return pd.DataFrame(
        {
            "estimate": person,
            "std_error": errors,
            "std_error_kind": np.where(fixed, "", "posterior"),
            "ci_low": low,
            "ci_high": high,
            "unit": [row.unit for row in table.rows],
            "fixed": fixed,
            "boundary": "",
        },
        index=table.index(),
    )


def _tails(objective: MarginalLikelihood, full: Real, posterior: Posterior) -> tuple[Real, Real]:
    """Return where the central 95 % of each posterior deviation end, from its mean [B].

    Few decisions make it lopsided: somebody who never erred may be much colder than the mean, but hardly hotter.
    """
    steps = np.linspace(-_WIDTH, _WIDTH, _GRID)
    apart = np.sqrt(posterior.covariance[:, 0, 0])[:, None] * steps
    height = joint(objective.profiles, objective.mixed, full, (posterior.mean + apart)[:, :, None])
    mass = np.exp(height - height.max(axis=1, keepdims=True))
    below = np.cumsum((mass[:, 1:] + mass[:, :-1]) / 2, axis=1)
    below = np.hstack([np.zeros((len(below), 1)), below]) / below[:, -1:]
    ends = [[np.interp(tail, b, a) for b, a in zip(below, apart, strict=True)] for tail in (_TAIL, 1 - _TAIL)]
    return np.array(ends[0]), np.array(ends[1])


def _integration_error(objective: PopulationObjective, full: Real) -> float:
    """Return what twice the nodes change in the log marginal likelihood; nan where there are none."""
    if not isinstance(objective, MarginalLikelihood) or not objective.mixed.num_deviations:
        return float("nan")
    more = 2 * objective.num_nodes
    finer = adapted(objective.profiles, objective.mixed, full, more)
    if finer is None:
        return float("nan")
    again = MarginalLikelihood(objective.profiles, objective.mixed, objective.decisions, finer, more)
    return float(abs(again.by_person(full).sum() - objective.by_person(full).sum()))


def _notes(population: Population, mixed: Mixed) -> list[str]:
    notes = []
    if population.integration == "none":
        notes.append("temperatures are what the formula says of each person; people do not deviate from it")
    elif population.integration == "laplace":
        notes.append(
            "population by Laplace-EM: with few decisions a person it underestimates how much people differ "
            "(sd .51 for .60 at 15 decisions, .58 at 600); integrate='quadrature' or method='posterior' do not"
        )
    if population.integration != "none":
        notes.append(
            "people's estimates are posterior means, drawn towards what the population says of them: compare groups by "
            "the population's coefficients (compare(fit, by=...)), not by these"
        )
    notes += [
        f"people do not differ in {row.name if row.label is None else row.label} by anything that can be seen: their "
        "standard deviation is estimated as 0"
        for row in mixed.spread
        if float(population.sd.get(row.label, 1.0)) == 0.0
    ]
    return notes
