"""Fit a population model: what it is, where to start, its maximum, its result."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from humansoft.data.log import BehaviorLog
from humansoft.fit.assemble_population import Cohort, assemble_population
from humansoft.fit.covariates import covariates_of, design_of
from humansoft.fit.hierarchical import (
    Integrate,
    differ_in_temperature_alone,
    integration_of,
    mixed_of,
    own_rows,
    personal,
    require_population,
    start_of,
)
from humansoft.fit.identification import identified
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.mixed import Mixed
from humansoft.fit.point import maximise
from humansoft.fit.population import Integration
from humansoft.fit.population_maximum import PopulationMaximum, by_laplace, by_quadrature
from humansoft.fit.repeated import RepeatedMeasures
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel
from humansoft.rewards.linear import LinearReward
from humansoft.solvers.expansion import Observations
from humansoft.temperature import Fixed, Shared

Real = npt.NDArray[np.float64]
OnStep = Callable[[int, float], None]

_INDEPENDENT = (
    "one person in two conditions (by_condition) counts as two people who deviate independently of each other, because "
    "people have reward weights of their own: the interval of a contrast of conditions is too wide (several times, "
    "where people stay much alike), that of a contrast of groups of people too narrow"
)


def population_fit(
    model: SoftOptimalModel,
    log: BehaviorLog,
    *,
    deviate: bool,
    integrate: Integrate,
    seed: int | None,
    max_steps: int,
    allow_unidentified: bool,
    on_step: OnStep | None,
) -> Fit:
    """Fit the population of a checked log's people; see :func:`humansoft.fit`.

    What everybody shares has to be identified by all people together; of a person's own parameters the population
    tells what the person's decisions do not.
    """
    problem = population_problem(model, log, deviate, seed, max_steps, allow_unidentified)
    best, integration = population_maximum(problem, integrate, on_step)
    return assemble_population(problem.people, best, integration, seed)


@dataclass(frozen=True, eq=False)
class PopulationProblem:
    """A population to be learned of, and where to start.

    Attributes:
        people: who they are, each with parameters of their own.
        mixed: where these come from.
        alike: the model in which people do not differ, at its most likely parameters.
        seen: what was decided, as that model sees it.
        start: [P] the population's parameters if everybody were alike.
    """

    people: Cohort
    mixed: Mixed
    alike: SoftOptimalModel
    seen: Observations
    start: Real


def population_problem(
    model: SoftOptimalModel, log: BehaviorLog, deviate: bool, seed: int | None, max_steps: int, allow_unidentified: bool
) -> PopulationProblem:
    """Say what the population of a checked log's people is, and find where everybody is alike.

    Raises:
        UsageError: nothing differs between people.
        ModelError: a population that would be arbitrary.
        IdentificationError: what people share is not identified by all of them together.
    """
    bound = personal(model).bind(log)
    require_population(bound)
    covariates = covariates_of(model.temperature, log, bound.subjects.values)
    terms = design_of(model.temperature, covariates)
    measures = RepeatedMeasures.of(log, bound.subjects.values)
    met_again = measures.num_conditions > 1 and deviate
    together = measures if met_again and differ_in_temperature_alone(bound) else None
    population = mixed_of(bound, terms, deviate, together)
    alike = _alike(bound).bind(log)
    observed = alike.observe(log)
    report = identified(likelihood_of(alike, observed), seed or 0)
    if not allow_unidentified:
        report.require()
    _, best, _ = maximise(alike, log, max_steps, None)
    values = {row.name: float(value) for row, value in zip(alike.table.rows, best, strict=True)}
    likelihood = likelihood_of(bound, bound.observe(log))
    notes = (*report.notes, *([_INDEPENDENT] if met_again and together is None else []))
    return PopulationProblem(
        people=Cohort(likelihood, terms, together, log, model.temperature, covariates, notes),
        mixed=population,
        alike=alike.at(torch.from_numpy(best)),
        seen=observed,
        start=start_of(population, values, own_rows(bound)),
    )


def population_maximum(
    problem: PopulationProblem, integrate: Integrate, on_step: OnStep | None
) -> tuple[PopulationMaximum, Integration]:
    """Maximise the likelihood of a population, and say how people's deviations were integrated out."""
    mixed, decisions, profiles = problem.mixed, problem.people.decisions(), problem.people.profiles()
    integration, total = integration_of(mixed, decisions, integrate), float(decisions.sum())
    if integration == "laplace":
        return by_laplace(profiles, mixed, total, problem.start, on_step), integration
    return by_quadrature(profiles, mixed, total, problem.start, on_step), integration


def _alike(bound: SoftOptimalModel) -> SoftOptimalModel:
    """Return the model in which people do not differ."""
    simpler = copy.deepcopy(bound)
    if isinstance(simpler.reward, LinearReward):
        simpler.reward = LinearReward(simpler.reward.features, simpler.reward.fixed)
    if not isinstance(bound.temperature, Fixed):
        simpler.temperature = Fixed(1.0) if bound.is_relative else Shared()
    return simpler
