"""Parameters at a boundary: perfectly rational and perfectly random people, and people who never lapse.

A person who never erred has a likelihood that keeps rising as the temperature goes to 0; one who
followed no preference, as it goes to infinity; that of people whose mistakes their temperature explains,
as their lapse goes to 0. All are results, not failures: they get a one-sided 95 % bound, where the
log-likelihood lies 1.353 (half the chi-square 90 % point) below its limit.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import brentq
from scipy.special import ndtri

from humansoft.errors import ModelError
from humansoft.fit.arrow import inverse
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.model import SoftOptimalModel
from humansoft.parameters import Parameter, Parameters

Real = npt.NDArray[np.float64]

ONE_SIDED_DROP, TWO_SIDED_DROP = (float(ndtri(chance)) ** 2 / 2 for chance in (0.95, 0.975))
"""How far a log-likelihood falls within 95 %, of one side or two: half a quantile of chi-squared(1)."""

FLAT = 1e-6
"""Nats: closer to its limit than this, a likelihood tells no inner optimum."""

NEVER = -30.0
"""Logit of a lapse that nobody will ever see."""

_BISECTIONS = 50
_FIRST_LOGIT, _LOGIT_DIGITS = -4.0, 1e-4  # where the bound of a lapse is looked for, and how closely
_SINGULAR = 1e-11  # share of the largest eigenvalue: flatter directions stay where they are
_COLD, _HOT = -14.0, 20.0  # log of the limits' temperature over the largest reward


@dataclass(frozen=True, eq=False)
class Boundary:
    """Which free temperatures (and lapses) are at a boundary, and their one-sided bounds.

    Attributes:
        kind: [P] "" (inner optimum), "lower" (looks perfectly rational; no lapses), "upper" (perfectly random)
            or "both" (no information at all).
        bound: [P] log temperature (or logit of the lapse) that the interval ends at; nan for inner optima.
        at_limit: [P] true where the likelihood is best in the limit itself. A person who never erred
            can have an inner optimum all the same: among equally good actions, a small temperature
            splits choices a little differently than the limit does.
    """

    kind: npt.NDArray[np.object_]
    bound: Real
    at_limit: npt.NDArray[np.bool_]

    @property
    def any(self) -> bool:
        """True when some temperature is at a boundary."""
        return bool((self.kind != "").any())


def find_boundary(likelihood: AbstractLikelihood, full: Real, held: npt.NDArray[np.bool_] | None = None) -> Boundary:
    """Ask of every free temperature and lapse whether its likelihood is as good in the limit as at the estimate.

    Args:
        likelihood: the likelihood that was maximised.
        full: [P] where.
        held: [P] parameters that were found at a boundary before and are held there.
    """
    table = likelihood.model.table
    free = table.free if held is None else table.free | held
    inner = np.full(len(table), "", dtype=object)
    found = Boundary(inner, np.full(len(table), np.nan), np.zeros(len(table), dtype=bool))
    if (free & table.is_temperature).any():
        found = _of_temperatures(likelihood, full, free & table.is_temperature, found)
    if (free & table.is_lapse).any():
        found = _of_lapses(likelihood, full, free & table.is_lapse, found)
    return found


def _of_lapses(likelihood: AbstractLikelihood, full: Real, free: npt.NDArray[np.bool_], found: Boundary) -> Boundary:
    """Add the lapse that the data can do without, if they can."""
    here = likelihood.value(torch.from_numpy(full))
    never = likelihood.value(torch.from_numpy(np.where(free, NEVER, full)))
    if never < here - ONE_SIDED_DROP:
        return found
    bound = _highest_lapse(likelihood, full, free, max(never, here) - ONE_SIDED_DROP)
    at_limit = found.at_limit | (free & (never >= here - FLAT))
    return Boundary(np.where(free, "lower", found.kind), np.where(free, bound, found.bound), at_limit)


def _highest_lapse(likelihood: AbstractLikelihood, full: Real, lapse: npt.NDArray[np.bool_], goal: float) -> float:
    """Find the logit of the lapse above which the profile of the log-likelihood is below ``goal``.

    A lapse and a temperature explain the same mistakes: what is lost by more of one is made up for by less of the
    other. So all other parameters follow, by two steps of Newton's method from where they are.
    """
    others = likelihood.model.table.free & ~lapse

    def profile(logit: float) -> float:
        point = np.where(lapse, logit, full)
        step, gain = _newton_step(likelihood, point, others)
        if likelihood.value(torch.from_numpy(point + step)) > likelihood.value(torch.from_numpy(point)):
            point = point + step
            gain = _newton_step(likelihood, point, others)[1]
        return likelihood.value(torch.from_numpy(point)) + gain

    return highest_lapse(profile, goal)


def highest_lapse(profile: Callable[[float], float], goal: float) -> float:
    """Return the logit of a lapse above which a profile of the log-likelihood is below ``goal`` (infinite: none is)."""
    low = _FIRST_LOGIT
    while low > NEVER and profile(low) < goal:
        low -= 2.0
    high = low + 2.0
    while high < -NEVER and profile(high) >= goal:
        low, high = high, high + 2.0
    if high >= -NEVER or low <= NEVER:
        return np.inf if high >= -NEVER else low
    return float(brentq(lambda logit: profile(logit) - goal, low, high, xtol=_LOGIT_DIGITS))


def _newton_step(likelihood: AbstractLikelihood, full: Real, moving: npt.NDArray[np.bool_]) -> tuple[Real, float]:
    """Return Newton's step [P] of some parameters, the others held, and what it promises to gain."""
    point, mean_zero = torch.from_numpy(full), likelihood.model.table.mean_zero
    gradient = np.where(moving, likelihood.gradient(point), 0.0)
    curvature = inverse(likelihood.hessian(point).scaled(-1.0), moving, mean_zero, cutoff=_SINGULAR)
    if curvature.smallest <= 0:
        curvature = inverse(likelihood.expected_information(point), moving, mean_zero, cutoff=_SINGULAR)
    step: Real = curvature.covariance.times(gradient[:, None])[:, 0]
    return step, 0.5 * float(gradient @ step)


def _of_temperatures(
    likelihood: AbstractLikelihood, full: Real, free: npt.NDArray[np.bool_], found: Boundary
) -> Boundary:
    """Add the temperatures at which people look perfectly rational or perfectly random."""
    kind, bound, limits = found.kind.copy(), found.bound.copy(), {}
    here = _by_parameter(likelihood, full)
    ends = limit_temperatures(likelihood.model.at(torch.from_numpy(full)))
    for name, end in ends.items():
        limits[name] = _by_parameter(likelihood, np.where(free, end, full))
        kind[free & (limits[name] >= here - FLAT)] = name
    kind[free & (limits["lower"] >= here - FLAT) & (limits["upper"] >= here - FLAT)] = "both"
    at_limit = kind != ""
    kind[free & ~at_limit & (limits["lower"] >= here - ONE_SIDED_DROP)] = "lower"
    for name, other in (("lower", "upper"), ("upper", "lower")):
        flagged = kind == name
        if flagged.any():
            goal = np.maximum(limits[name], here) - ONE_SIDED_DROP
            bound[flagged] = _bisect(likelihood, full, flagged, goal, (ends[name], ends[other]))[flagged]
    return Boundary(kind, bound, at_limit)


def _by_parameter(likelihood: AbstractLikelihood, full: Real) -> Real:
    """Return the log-likelihood of the people each parameter belongs to [P]; -inf without a solution."""
    return likelihood.directions.summed(likelihood.by_person(torch.from_numpy(full)))


def limit_temperatures(model: SoftOptimalModel) -> dict[str, float]:
    """Return the log temperatures at which behavior is at its limits in all but rounding.

    Relative to the largest reward. Not further: between equally good actions, a tiny temperature
    magnifies rounding into preferences.
    """
    scale = reward_scale(model)
    return {"lower": scale + _COLD, "upper": scale + _HOT}


def reward_scale(model: SoftOptimalModel) -> float:
    """Return the log of the largest reward of a decision, 0 where there is none."""
    with torch.no_grad():
        reward = model.reward(model.task)[..., model.task.playable].abs()
    size = float(reward.max()) if reward.numel() else 0.0
    return float(np.log(size)) if size > 0 else 0.0


def _bisect(
    likelihood: AbstractLikelihood, full: Real, flagged: npt.NDArray[np.bool_], goal: Real, ends: tuple[float, float]
) -> Real:
    """Find, for all flagged temperatures at once, where the log-likelihood falls to ``goal``."""
    likelihood = likelihood.of_people(likelihood.directions.people_of(flagged))  # the others do not move
    good = np.where(flagged, ends[0], full)  # the limit, where the likelihood is best
    poor = np.where(flagged, ends[1], full)
    for _ in range(_BISECTIONS):
        middle = np.where(flagged, (good + poor) / 2, full)
        better = _by_parameter(likelihood, middle) >= goal
        good = np.where(flagged & better, middle, good)
        poor = np.where(flagged & ~better, middle, poor)
    return (good + poor) / 2


def settle(bound: SoftOptimalModel, full: Real, boundary: Boundary) -> tuple[Real, Parameters]:
    """Hold what is at a boundary at its limit, and take temperatures out of the mean that sets the scale.

    A person who never erred has log temperature -infinity: counted in the mean it would push
    everybody else's temperature up. Rewards are rescaled with it, so that behavior stays the same.
    """
    table = bound.table
    at_edge = boundary.at_limit
    if not at_edge.any():
        return full, table
    limit = limit_temperatures(bound.at(torch.from_numpy(full)))
    kinds = np.where(at_edge & table.is_temperature, boundary.kind, "")
    full = np.array([limit.get(kind, value) for kind, value in zip(kinds, full, strict=True)])
    full = np.where(at_edge & table.is_lapse, NEVER, full)
    if not bound.is_relative:
        return full, Parameters.of(_held(table, at_edge, full))
    temperature = table.is_temperature
    people = _people(bound, temperature) * ~at_edge
    if not people.any():
        raise ModelError("every temperature is at a boundary: fix a reward weight to give them a scale")
    weights = people / people.sum()
    shift = weights @ full
    settled = np.where(temperature, full - shift, np.where(table.is_reward, full * np.exp(-shift), full))
    return settled, Parameters.of(_held(table, at_edge, settled), mean_zero=weights)


def _held(table: Parameters, at_edge: npt.NDArray[np.bool_], full: Real) -> list[Parameter]:
    """Return the parameters with those at a boundary fixed where they are."""
    return [
        replace(row, fixed=float(value)) if edge else row
        for row, edge, value in zip(table.rows, at_edge, full, strict=True)
    ]


def _people(bound: SoftOptimalModel, temperature: npt.NDArray[np.bool_]) -> Real:
    """Return the number of people behind each temperature, 0 for other parameters [P]."""
    people = np.zeros(len(temperature))
    people[temperature] = np.bincount(bound.group_of_subject, minlength=len(bound.groups))
    return people
