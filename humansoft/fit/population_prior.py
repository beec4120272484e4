"""Priors of a population: weakly informative, on scales that do not depend on the units of reward and covariates."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import null_space

from humansoft.errors import ModelError
from humansoft.fit.choice_likelihood import as_planned
from humansoft.fit.mixed import Mixed
from humansoft.model import SoftOptimalModel
from humansoft.parameters import LAPSE_START, Parameter
from humansoft.planners import log_prior
from humansoft.rewards.linear import LinearReward
from humansoft.solvers.expansion import Observations
from humansoft.tasks.lookup import playable_in
from humansoft.temperature import Fixed

Real = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PopulationPrior:
    """What is assumed of a population before its decisions are seen (SCIENCE 4.5).

    All of it is standardised. A reward weight is multiplied by the standard deviation of its feature over the options
    that people had, and divided by the unit of reward: the temperature where it is held at 1 or at another number, else
    the largest fixed weight with its feature. A temperature is divided by the standard deviation of the advantage
    Q - V of these options.

    Attributes:
        level: log(temperature / sd of the advantage), averaged over people, ~ N(0, level^2). Where temperatures are
            relative ("average person = 1") that average is 0 by definition, and there is no prior.
        effect: effects of covariates on log temperature ~ N(0, effect^2) for one standard deviation of a column;
            columns that are correlated share it as in Zellner's g-prior, so that it does not matter how groups are
            coded: what they explain together has this size.
        sd: standard deviations of people about what covariates say ~ half-normal(sd): of log temperatures as they are,
            of reward weights standardised.
        weight: reward weights, standardised, ~ N(0, weight^2).
        tilt: stickiness and action biases, in log odds, ~ N(0, tilt^2).
        lapse: logit of a lapse ~ N(-3, lapse^2): about 5 %, by default between .1 and 70 %.

    Example:
        >>> PopulationPrior(sd=0.5).level
        1.5
    """

    level: float = 1.5
    effect: float = 1.0
    sd: float = 1.0
    weight: float = 5.0
    tilt: float = 2.5
    lapse: float = 2.0

    def __post_init__(self) -> None:
        """Refuse standard deviations that are not positive numbers."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not (value > 0 and math.isfinite(value)):
                raise ModelError(
                    f"PopulationPrior({entry.name}={value}): it is a standard deviation, a finite number above 0"
                )

    def size_of(self, row: Parameter, units: Mapping[str, float]) -> float:
        """Return the standard deviation of a parameter that people share; ``units`` are those of reward weights."""
        if row.kind == "reward":
            return self.weight * units[row.name]
        return self.lapse if row.kind == "logit_lapse" else self.tilt

    def notes(self, mixed: Mixed) -> list[str]:
        """Say in a sentence what was assumed of a population."""
        logs = any(row.kind == "log_temperature" for row in mixed.coefficients)
        learned = {row.kind for row in (*mixed.learned_shared, *mixed.coefficients)}
        parts = []
        if logs and mixed.mean_zero is None:
            parts.append(f"mean log(temperature / sd of the advantage) ~ N(0, {self.level:g}^2)")
        if len([row for row in mixed.coefficients if row.kind == "log_temperature"]) > 1:
            parts.append(f"standardised effects on log temperature ~ N(0, {self.effect:g}^2)")
        parts.append(f"sd of people ~ half-normal({self.sd:g})")
        if "reward" in learned:
            parts.append(f"standardised reward weights ~ N(0, {self.weight:g}^2)")
        if "tilt" in learned:
            parts.append(f"log odds of stickiness and action biases ~ N(0, {self.tilt:g}^2)")
        if "logit_lapse" in learned:
            parts.append(f"logit of the lapse ~ N({LAPSE_START:g}, {self.lapse:g}^2)")
        return [f"priors: {'; '.join(parts)}"]


@dataclass(frozen=True, eq=False)
class PriorScales:
    """The prior of one population in the units of its parameters.

    Coefficients are ``middle + root @ g`` with g ~ N(0, I), which obeys the sum that is held at 0.

    Attributes:
        shared_middle: [k] where the free parameters that people share are before anything is seen.
        shared: [k] their standard deviations.
        middle: [p] where coefficients are before anything is seen.
        root: [p, q] how they vary.
        sd: [r] scales of the half-normal priors of standard deviations.
    """

    shared_middle: Real
    shared: Real
    middle: Real
    root: Real
    sd: Real


def prior_scales(
    prior: PopulationPrior,
    mixed: Mixed,
    design: Real,
    own: Sequence[Parameter],
    alike: SoftOptimalModel,
    seen: Observations,
) -> PriorScales:
    """Return a prior in the units of a population's parameters.

    Args:
        prior: in standard units.
        mixed: the population.
        design: [S, k, p] what multiplies the coefficients of each subject's own parameters.
        own: [k] what each subject has alone.
        alike: the fitted model in which people do not differ: its advantages give temperatures their scale.
        seen: what was decided, as that model sees it, and so which options there were.
    """
    size = {row.name: _spread(row, alike, seen) for row in (*mixed.shared, *own) if row.kind == "reward"}
    unit = _unit(mixed, own, alike, size)
    units = {name: unit / value for name, value in size.items()}
    learned, sizes = (
        [row for row in mixed.shared if row.fixed is None],
        {"tilt": prior.tilt, "logit_lapse": prior.lapse},
    )
    pull = np.zeros(design.shape[2])
    precision = np.zeros((len(pull), len(pull)))
    for place, row in enumerate(own):
        block = design[:, place]
        is_log = row.kind == "log_temperature"
        level = prior.level if is_log else prior.weight * units[row.name]
        centre = np.log(advantage_size(alike, seen)) if is_log and mixed.mean_zero is None else 0.0
        mean, apart = block.mean(axis=0), block - block.mean(axis=0)
        precision += np.outer(mean, mean) / level**2 + apart.T @ apart / len(block) / prior.effect**2
        pull += mean * centre / level**2
    allowed = np.eye(len(pull)) if mixed.mean_zero is None else null_space(mixed.mean_zero[None, :])
    inner = np.linalg.cholesky(allowed.T @ precision @ allowed)
    middle = allowed @ np.linalg.solve(inner @ inner.T, allowed.T @ pull)
    return PriorScales(
        shared_middle=np.array([LAPSE_START if row.kind == "logit_lapse" else 0.0 for row in learned]),
        shared=np.array(
            [prior.weight * units[row.name] if row.kind == "reward" else sizes[row.kind] for row in learned]
        ),
        middle=middle,
        root=allowed @ np.linalg.inv(inner).T,
        sd=np.array([prior.sd * units.get(str(row.label), 1.0) for row in mixed.spread]),
    )


def advantage_size(alike: SoftOptimalModel, seen: Observations) -> float:
    """Return the standard deviation of the advantage Q - V over the options that people had, in units of reward.

    log pi - log prior is the advantage in units of the temperature.
    """
    with torch.no_grad():
        logs = as_planned(alike).log_policy_of(seen, differentiable=False).cpu().numpy()
    reference = log_prior(alike.task, alike.planner, alike.prior).cpu().numpy()[seen.state]
    open_to = playable_in(alike.task, seen.state) & np.isfinite(logs)
    advantage = np.where(open_to, logs - np.where(open_to, reference, 0.0), 0.0)
    size = float(np.sqrt(_variance(advantage, open_to, seen.weight))) * float(alike.log_temperature.detach().exp()[0])
    return size if size > 0 and np.isfinite(size) else 1.0


def _spread(row: Parameter, alike: SoftOptimalModel, seen: Observations) -> float:
    """Return the standard deviation of a feature over the options that people had.

    Of a feature that is the same wherever they were, and of an entry of a table, it is the largest size.
    """
    if not isinstance(alike.reward, LinearReward):
        return row.scale
    values = alike.task.features[:, :, alike.task.feature_names.index(row.name)].numpy()[seen.state]
    open_to = playable_in(alike.task, seen.state)
    weight = seen.weight[:, None] * open_to
    mean = float((weight * values).sum() / weight.sum())
    size = float(np.sqrt((weight * (values - mean) ** 2).sum() / weight.sum()))
    return size if size > 1e-12 * row.scale else row.scale


def _variance(values: Real, open_to: npt.NDArray[np.bool_], weight: Real) -> float:
    """Return the mean variance within states, over open options, weighted by how often people were there."""
    count = open_to.sum(axis=1)
    several = count > 1
    mean = values.sum(axis=1) / np.maximum(count, 1)
    inside = (np.where(open_to, values - mean[:, None], 0.0) ** 2).sum(axis=1) / np.maximum(count, 1)
    return float((weight * inside)[several].sum() / max(float(weight[several].sum()), 1e-300))


def _unit(mixed: Mixed, own: Sequence[Parameter], alike: SoftOptimalModel, size: dict[str, float]) -> float:
    """Return the size of reward to which weights are compared."""
    known = [(row, row.fixed) for row in mixed.shared if row.kind == "reward" and row.fixed]
    anchors = [abs(weight) * size[row.name] for row, weight in known]
    is_free = any(row.kind == "log_temperature" for row in own) and mixed.mean_zero is None
    if is_free and anchors:
        return max(anchors)
    return alike.temperature.value if isinstance(alike.temperature, Fixed) else 1.0
