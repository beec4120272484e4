"""From draws to a Fit: means and quantiles of everybody's parameters, and whether the chains have mixed."""

from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from humansoft.errors import SolveError
from humansoft.fit.abstract_profiles import Profiles
from humansoft.fit.arrow import BlockCovariance
from humansoft.fit.assemble import num_decisions, versions
from humansoft.fit.bayes_extra import arviz, nutpie
from humansoft.fit.diagnosis import Diagnosis
from humansoft.fit.hierarchical import is_affordable, own_rows
from humansoft.fit.marginal import LaplaceLikelihood, PopulationObjective
from humansoft.fit.mixed import Mixed
from humansoft.fit.nuts import Chains, Sampling
from humansoft.fit.people import People
from humansoft.fit.people_vector import own_places, people_covariance, people_vectors
from humansoft.fit.person_evidence import person_evidence
from humansoft.fit.population import Population
from humansoft.fit.population_density import PopulationDensity, PopulationDraws
from humansoft.fit.population_fit import PopulationProblem
from humansoft.fit.population_maximum import integrated
from humansoft.fit.posterior_data import inference_data
from humansoft.fit.profiles import PersonProfiles
from humansoft.fit.result import Fit, FitStatus
from humansoft.fit.uncertainty import Covariances
from humansoft.model import SoftOptimalModel
from humansoft.parameters import Parameters

Real = npt.NDArray[np.float64]

_TAILS = (0.025, 0.975)
_PRIOR_DRAWS = 1000


def assemble_posterior(
    problem: PopulationProblem,
    density: PopulationDensity,
    chains: Chains,
    history: list[float],
    sampling: Sampling,
    seed: int,
) -> Fit:
    """Turn draws into a :class:`Fit`, with estimates at posterior means and intervals between quantiles."""
    people, likelihood, mixed = problem.people, problem.people.likelihood, problem.mixed
    profiles, own, decisions = people.profiles(), own_rows(likelihood.model), people.decisions()
    draws = density.draws(chains.points.reshape(-1, density.size))
    middle = _middle(mixed, draws)
    objective = _marginal(profiles, mixed, float(decisions.sum()), middle)
    by_person = _log_likelihood(profiles, mixed, draws, objective, middle)
    before = density.draws(density.prior_points(_PRIOR_DRAWS, np.random.default_rng(seed)))
    shown, assumed = (
        PopulationDraws(found.full @ mixed.to_terms.T, _by_subject(people, found.own)) for found in (draws, before)
    )
    subjects = likelihood.model.subjects.values
    data = inference_data(mixed, own, subjects, people.labels, chains, shown, assumed, by_person, decisions)
    diagnosis, evidence = Diagnosis.of(data), objective.by_person(middle)
    shared = draws.full[:, : len(mixed.shared)]
    vectors = people_vectors(likelihood.model, likelihood.start().numpy(), shared, shown.own)
    index, kinds = likelihood.model.table.index(), tuple(["posterior"] * len(likelihood.model.table))
    spread = _spread(likelihood.model, vectors, draws.full)
    return Fit(
        model=likelihood.model.at(torch.from_numpy(vectors.mean(axis=0))),
        params=_person_params(likelihood.model.table, vectors),
        covariances=Covariances({"posterior": spread}, kinds, index),
        log_likelihood=float(evidence.sum()),
        num_decisions=num_decisions(likelihood),
        rank=mixed.table.num_free,
        status=FitStatus.MIXED if diagnosis.has_mixed else FitStatus.NOT_MIXED,
        notes=(*diagnosis.notes(), *_notes(profiles, mixed), *sampling.prior.notes(mixed), *problem.people.notes),
        history=pd.DataFrame({"step": np.arange(1, len(history) + 1), "log_likelihood": history}),
        training=problem.people.training(),
        seed=seed,
        versions={**versions(), "nutpie": nutpie().__version__, "arviz": arviz().__version__},
        population=_population(problem, shown, evidence),
        posterior=data,
    )


def _by_subject(people: People, own: Real) -> Real:
    """Lay out draws of people's own parameters [T, B, K] by subjects [T, S, k]."""
    return np.moveaxis(people.by_subject(np.moveaxis(own, 0, -1)), -1, 0)


def _population(problem: PopulationProblem, draws: PopulationDraws, evidence: Real) -> Population:
    table = problem.mixed.table
    is_sd = np.array([row.kind == "log_sd" for row in table.rows], dtype=bool)
    params = _params(table.index(), np.where(is_sd, np.exp(draws.full), draws.full), table.free)
    return Population(
        params=params.assign(df=np.nan, unit=[row.unit for row in table.rows], fixed=~table.free),
        covariance=np.cov(draws.full, rowvar=False),
        covariance_errors=np.zeros((0, len(table), len(table))),
        design=problem.people.terms,
        covariates=problem.people.covariates,
        evidence=pd.Series(evidence, index=list(problem.people.labels), name="evidence"),
        integration="nuts",
        temperature=problem.people.temperature,
        integration_error=float("nan"),
    )


def _person_params(table: Parameters, vectors: Real) -> pd.DataFrame:
    """Return the table of the model of people, from draws [T, P]."""
    found = _params(table.index(), vectors, table.free)
    found.insert(2, "std_error_kind", np.where(table.free, "posterior", ""))
    return found.assign(unit=[row.unit for row in table.rows], fixed=~table.free, boundary="")


def _params(index: pd.MultiIndex, draws: Real, free: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Return posterior means, standard deviations and central 95 % intervals of draws [T, P]."""
    low, high = np.quantile(draws, _TAILS, axis=0)
    blank = np.where(free, 1.0, np.nan)
    columns = {"std_error": draws.std(axis=0, ddof=1) * blank, "ci_low": low * blank, "ci_high": high * blank}
    return pd.DataFrame({"estimate": draws.mean(axis=0), **columns}, index=index)


def _spread(model: SoftOptimalModel, vectors: Real, full: Real) -> BlockCovariance:
    """Return the covariance of the draws [T, P] as what the population [T, Q] explains, and blocks of what it does not.

    Given the population, people are independent of each other.
    """
    moved, apart = full - full.mean(axis=0), vectors - vectors.mean(axis=0)
    core = np.cov(full, rowvar=False)
    factor = np.linalg.lstsq(moved, apart, rcond=None)[0].T
    rest = (apart - moved @ factor.T)[:, own_places(model)]
    blocks = np.einsum("tbk,tbl->bkl", rest, rest) / (len(full) - 1)
    return people_covariance(model, blocks, factor, core)


def _middle(mixed: Mixed, draws: PopulationDraws) -> Real:
    """Return posterior means of the population's parameters [P]: of standard deviations, not of their logarithms."""
    found: Real = draws.full.mean(axis=0)
    if mixed.spread:
        found[-len(mixed.spread) :] = np.log(np.exp(draws.full[:, -len(mixed.spread) :]).mean(axis=0))
    return found


def _marginal(profiles: Profiles, mixed: Mixed, decisions: float, full: Real) -> PopulationObjective:
    """Return the likelihood of a population near some parameters, people's own integrated out."""
    if is_affordable(mixed):
        with suppress(SolveError):
            return integrated(profiles, mixed, decisions, full)
    return LaplaceLikelihood(profiles, mixed, decisions)


def _log_likelihood(
    profiles: Profiles, mixed: Mixed, draws: PopulationDraws, objective: PopulationObjective, middle: Real
) -> Real:
    """Return the log-likelihood [T, B] of each person: own temperatures integrated out where they are few."""
    near = objective.posterior(middle)
    if _is_integrated(profiles, mixed) and near is not None:
        return person_evidence(profiles, mixed, draws, near, middle)
    shared = draws.full[:, : len(mixed.shared)]
    found = [profiles.value(weights, own[:, None])[:, 0] for weights, own in zip(shared, draws.own, strict=True)]
    return np.stack(found)


def _is_integrated(profiles: Profiles, mixed: Mixed) -> bool:
    return not isinstance(profiles, PersonProfiles) and is_affordable(mixed)


def _notes(profiles: Profiles, mixed: Mixed) -> list[str]:
    how = "at their own parameters, not integrated"
    if _is_integrated(profiles, mixed):
        how = "their own temperatures integrated out"
    return [
        "estimates are posterior means, intervals lie between the 2.5 % and 97.5 % quantiles; people's are drawn "
        "towards what the population says of them: compare groups by the population's coefficients",
        "log-likelihood and evidence are those at the posterior mean of the population's parameters, people integrated "
        f"out; the log_likelihood group of fit.posterior has one value a person ({how}), for az.loo",
    ]
