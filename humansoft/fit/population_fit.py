"""Fit a population model: what it is, where to start, its maximum, its result."""

import copy
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from humansoft.data.log import BehaviorLog
from humansoft.fit.assemble_population import People, assemble_population
from humansoft.fit.covariates import covariates_of, design_of
from humansoft.fit.hierarchical import (
    NODES,
    Integrate,
    by_laplace,
    by_quadrature,
    integration_of,
    mixed_of,
    personal,
    require_population,
    start_of,
)
from humansoft.fit.identification import identified
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.point import maximise
from humansoft.fit.profiles import profiles_of
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel
from humansoft.rewards.linear import LinearReward
from humansoft.temperature import Fixed, Shared

Real = npt.NDArray[np.float64]
OnStep = Callable[[int, float], None]


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
    bound = personal(model).bind(log)
    require_population(bound)
    covariates = covariates_of(model.temperature, log, bound.subjects.values)
    terms = design_of(model.temperature, covariates)
    mixed = mixed_of(bound, terms, deviate)
    alike = _alike(bound).bind(log)
    report = identified(likelihood_of(alike, alike.observe(log)), seed or 0)
    if not allow_unidentified:
        report.require()
    _, together, _ = maximise(alike, log, max_steps, None)
    likelihood = likelihood_of(bound, bound.observe(log))
    seen = likelihood.observations
    decisions = np.bincount(seen.person, seen.weight, len(bound.subjects)).astype(np.float64)
    integration = integration_of(mixed, decisions, integrate)
    start = start_of(mixed, together[: len(mixed.shared)], _typical(bound, alike, together))
    profiles = profiles_of(likelihood)
    if integration == "laplace":
        best = by_laplace(profiles, mixed, float(decisions.sum()), start, on_step)
    else:
        num_nodes = NODES[mixed.num_deviations]
        best = by_quadrature(profiles, mixed, float(decisions.sum()), start, num_nodes, on_step)
    people = People(likelihood, log, model.temperature, covariates, terms, report.notes)
    return assemble_population(people, best, integration, seed)


def _alike(bound: SoftOptimalModel) -> SoftOptimalModel:
    """Return the model in which people do not differ."""
    simpler = copy.deepcopy(bound)
    if isinstance(simpler.reward, LinearReward):
        simpler.reward = LinearReward(simpler.reward.features, simpler.reward.fixed)
    if not isinstance(bound.temperature, Fixed):
        simpler.temperature = Fixed(1.0) if bound.is_relative else Shared()
    return simpler


def _typical(bound: SoftOptimalModel, alike: SoftOptimalModel, together: Real) -> Real:
    """Return the own parameters [K] of a person who is like all others together."""
    values = {row.name: value for row, value in zip(alike.table.rows, together, strict=True)}
    first = bound.subjects.values[0]
    own = [row for row in bound.table.rows if row.level == "subject" and row.fixed is None and row.label == first]
    return np.array([values[row.name] for row in own], dtype=np.float64)
