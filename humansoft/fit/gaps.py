"""Decisions with a large gap: only there is a lapse anything else than noise (SCIENCE 4.3)."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from humansoft.codebook import Labels
from humansoft.fit.boundary import reward_scale
from humansoft.fit.choice_likelihood import as_planned
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.fit.likelihood import AbstractLikelihood, in_every_action
from humansoft.fit.pseudo_likelihood import pseudo_start
from humansoft.model import SoftOptimalModel
from humansoft.temperature import Fixed, Shared

Real = npt.NDArray[np.float64]

_LARGE = 100.0  # odds of the best against the worst available action
_STEPS = (-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0)  # log temperatures to try, from that of the largest reward
_FEW = 20.0  # decisions: in fewer, a lapse of 5 % is not expected to show up once


def gap_notes(whole: AbstractLikelihood) -> list[str]:
    """Say so when hardly a decision has a large gap and a lapse is to be learned.

    Gaps are those of a quick estimate for all people together, as if they never lapsed. Nothing is said where
    everybody has rewards of their own.
    """
    bound, table = whole.model, whole.model.table
    if not (table.is_lapse & table.free).any() or bound.rows_are_people:
        return []
    alone = _pooled(bound)
    seen = replace(whole.observations, row=np.zeros_like(whole.observations.row), previous=None)
    likelihood = ExactLikelihood(alone, seen)
    full = _quick_estimate(likelihood)
    # One row for each action that could be chosen, weighted by visits.
    every = ExactLikelihood(alone, in_every_action(seen, alone, np.zeros_like(seen.row)))
    log_prob = every.log_prob(torch.from_numpy(full))
    if log_prob is None:
        return []
    decision = every.observations.time * len(alone.task.states) + every.observations.state
    places, back = np.unique(decision, return_inverse=True)
    best, worst, visits = np.full(len(places), -np.inf), np.full(len(places), np.inf), np.zeros(len(places))
    np.maximum.at(best, back, log_prob.numpy())
    np.minimum.at(worst, back, log_prob.numpy())
    visits[back] = every.observations.weight
    large = float(visits[best - worst > math.log(_LARGE)].sum())
    if large >= _FEW:
        return []
    return [
        f"{large:,.0f} of {visits.sum():,.0f} decisions have a large gap (an available action that is {_LARGE:g} times "
        "less probable than the best one): a lapse and a higher temperature can hardly be told apart by these data. "
        "Expect a wide interval of both; decisions with an obvious answer would tell"
    ]


def _quick_estimate(likelihood: ExactLikelihood) -> Real:
    """Return parameters [P] near the maximum; at the worst, the best of some temperatures with no free reward."""
    table = likelihood.model.table
    found = pseudo_start(likelihood) if table.num_free else None
    if found is not None:
        return found
    middle = reward_scale(likelihood.model.at(torch.from_numpy(table.start)))
    free = table.is_temperature & table.free
    guesses = [np.where(free, middle + step, table.start) for step in (_STEPS if free.any() else (0.0,))]
    return max(guesses, key=lambda full: likelihood.value(torch.from_numpy(full)))


def _pooled(bound: SoftOptimalModel) -> SoftOptimalModel:
    """Return the same model with one temperature for everybody and without choice terms."""
    simpler = as_planned(bound)
    if not isinstance(bound.temperature, Fixed):
        simpler.temperature = Fixed(1.0) if bound.is_relative else Shared()
    everybody = np.zeros(len(bound.subjects), dtype=np.int64)
    return simpler.bound_to(bound.subjects, Labels("group", ("all",)), everybody)
