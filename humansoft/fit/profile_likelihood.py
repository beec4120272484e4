"""Profile likelihood intervals: how far one parameter can go while all others make the best of it.

The interval holds the values whose profile log-likelihood lies at most chi-square(1) / 2 below the maximum, 1.92 for
95 %. It needs no symmetry, so that it is right where those of +- 1.96 standard errors are not: with few decisions,
near a boundary, for weights that the data hardly tell.
"""

import copy
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.optimize import brentq
from scipy.stats import chi2

from humansoft.codebook import label_index
from humansoft.data.log import BehaviorLog
from humansoft.errors import SolveError, UsageError, did_you_mean
from humansoft.fit.boundary import limit_temperatures
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.point import maximise
from humansoft.fit.result import Fit
from humansoft.parameters import Parameters
from humansoft.threads import one_thread

Real = npt.NDArray[np.float64]

_FAR = 1e4  # times the size of a weight that matters: beyond, more of it changes nothing
_PRECISION = 1e-7  # of a bound, in units of a log temperature or of a weight that matters
_LIKELY = 5.0  # nats below the maximum
_MOST_ROUNDS, _BETTER = 3, 1e-8  # nats: towards a limit, a better point than the fit's may be found on the way
_OUTSIDE = 10.0  # roots of the deviance: far enough to be outside of any interval


@one_thread()
def profile(
    fit: Fit, log: BehaviorLog, parameter: str, label: Hashable = None, *, level: float = 0.95, max_steps: int = 200
) -> pd.DataFrame:
    r"""Return profile likelihood intervals of a parameter: all others are fitted again at every value that is tried.

    A temperature at a boundary gets a one-sided interval, as in the fit. A bound is infinite (0 for "temperature")
    where the likelihood never falls far enough on that side. People whom the fit holds at a boundary stay there while
    others are profiled.

    Args:
        fit: a fit by maximum likelihood.
        log: the log that it was fitted to.
        parameter: name of a reward weight, "log_temperature", or "temperature" for its exponential.
        label: the person or group whose parameter it is; by default all that there are, one after the other.
        level: share of intervals that cover the truth.
        max_steps: largest number of optimiser iterations at each value.

    Returns:
        One row a parameter, indexed by (name, label): estimate, ci_low, ci_high, level, boundary.

    Raises:
        UsageError: a parameter that there is not or that is fixed, another log, a level outside [0.5, 1), a fit of a
            population.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S..\n...\n..G", discount=0.95)
        >>> log = hs.simulate(hs.plan(task, {"step": -1.0}, 0.5), 20, seed=1)
        >>> model = hs.SoftOptimalModel(task, hs.LinearReward(["step"], {"step": -1.0}), hs.Shared())
        >>> found = hs.profile(hs.fit(model, log), log, "temperature").loc[("temperature", "all")]
        >>> bool(found["ci_low"] < 0.5 < found["ci_high"])
        True
    """
    if not 0.5 <= level < 1:
        raise UsageError(f"profile(level={level}): the share of intervals that cover the truth lies between 0.5 and 1")
    name = "log_temperature" if parameter == "temperature" else parameter
    places = _places(fit, name, label)
    likelihood = fitted_likelihood(fit, log)
    rows = []
    for place in places:
        found = _Profile(fit, log, likelihood, place, max_steps).interval(level)
        edge = str(fit.params["boundary"].iloc[place])
        rows.append([float(fit.params["estimate"].iloc[place]), *found, level, edge])
    columns = ["estimate", "ci_low", "ci_high", "level", "boundary"]
    labels = fit.params.index.get_level_values("label")[places]
    index = label_index([[parameter] * len(rows), labels.tolist()], ["name", "label"])
    table = pd.DataFrame(rows, columns=columns, index=index)
    if parameter == "temperature":
        table[columns[:3]] = np.exp(table[columns[:3]])
    return table


def fitted_likelihood(fit: Fit, log: BehaviorLog) -> AbstractLikelihood:
    """Return the likelihood that a fit has maximised, for its own log.

    Raises:
        UsageError: another log, or a fit of a population.
    """
    if fit.population is not None:
        raise UsageError("this is a fit of a population; fit people one by one, method='maximum_likelihood'")
    model = copy.copy(fit.model)  # its table will change
    strangers = set(log.subjects) ^ set(model.subjects.values)
    likelihood = None if strangers else likelihood_of(model, model.observe(log))
    value = likelihood.value(likelihood.start()) if likelihood is not None else np.nan
    if likelihood is None or not np.isclose(value, fit.log_likelihood, rtol=1e-6, atol=1e-6):
        raise UsageError("this is not the log that was fitted: its log-likelihood at the estimates is another one")
    return likelihood


def _places(fit: Fit, name: str, label: Hashable) -> list[int]:
    """Return where the free parameters of a name stand, those at a boundary included."""
    names, labels = (fit.params.index.get_level_values(level).tolist() for level in ("name", "label"))
    if name not in names:
        raise UsageError(f"there is no parameter {name!r}.{did_you_mean(name, dict.fromkeys(names))}")
    mine = [place for place, found in enumerate(names) if found == name]
    if label is not None:
        known = [labels[place] for place in mine]
        mine = [place for place in mine if labels[place] == label]
        if not mine:
            raise UsageError(f"there is no {name!r} of {label!r}.{did_you_mean(label, known)}")
    fixed = fit.params["fixed"].to_numpy(dtype=bool)
    places = [place for place in mine if not fixed[place]]
    if not places:
        raise UsageError(f"{name!r} is fixed: it has no interval")
    return places


@dataclass(eq=False)
class _Profile:
    """The log-likelihood of a fit as a function of one parameter, with all others at their best.

    Attributes:
        fit: the fit.
        log: the decisions.
        likelihood: theirs; the table of its model is changed.
        place: where the parameter stands.
        max_steps: largest number of optimiser iterations at each value.
    """

    fit: Fit
    log: BehaviorLog
    likelihood: AbstractLikelihood
    place: int
    max_steps: int
    _best: float = field(init=False)
    _size: float = field(init=False)
    _seen: dict[float, tuple[float, Real]] = field(init=False)

    def __post_init__(self) -> None:
        """Begin at the estimates."""
        self._best = self.fit.log_likelihood
        full = self.fit.params["estimate"].to_numpy(dtype=float)
        self._seen = {float(full[self.place]): (self._best, full)}
        row = self.fit.model.table.rows[self.place]
        self._size = 1.0 if row.kind == "log_temperature" else 1 / row.scale

    def interval(self, level: float) -> tuple[float, float]:
        """Return the ends of the interval, infinite where there is none."""
        row = self.fit.params.iloc[self.place]
        estimate, edge = float(row["estimate"]), str(row["boundary"])
        if edge == "both":
            return -np.inf, np.inf
        if edge:  # one-sided, from the limit itself
            self._value(self._limits()[0 if edge == "lower" else 1])
        drop = float(chi2.ppf(2 * level - 1 if edge else level, 1)) / 2
        ends = -np.inf, np.inf
        for _ in range(_MOST_ROUNDS):
            goal = self._best - drop
            low = -np.inf if edge == "lower" else self._bound(estimate, -1, goal)
            high = np.inf if edge == "upper" else self._bound(estimate, 1, goal)
            ends = low, high
            if self._best - drop - goal <= _BETTER:
                break
        return ends

    def _bound(self, estimate: float, away: int, goal: float) -> float:
        """Return where the profile falls to a goal on one side, infinite if it does nowhere."""
        end = self._limits()[(away + 1) // 2]
        usual = max(abs(estimate), self._size)
        spread = float(self.fit.params["std_error"].iloc[self.place])
        step = spread if 0 < spread < usual else usual  # not the one of a direction that is all but flat
        near, far = estimate, estimate
        while self._value(far) >= goal:
            if far == end:
                return away * np.inf
            near = far
            far = min(far + step, end) if away > 0 else max(far - step, end)
            step *= 2

        def above(value: float) -> float:
            # nearly linear in the value, where the log-likelihood itself is nearly quadratic
            return float(np.sqrt(max(2 * (best - self._value(value)), 0.0))) - root

        best = self._best
        root = float(np.sqrt(2 * (best - goal)))
        return float(brentq(above, near, far, xtol=_PRECISION * self._size)) if near != far else estimate

    def _limits(self) -> tuple[float, float]:
        """Return how far a parameter can go: until behavior is at its limits."""
        row = self.likelihood.model.table.rows[self.place]
        if row.kind == "log_temperature":
            limits = limit_temperatures(self.fit.model)
            return limits["lower"], limits["upper"]
        far = _FAR * max(abs(float(self.fit.params["estimate"].iloc[self.place])), self._size)
        return -far, far

    def _value(self, value: float) -> float:
        """Return the profile log-likelihood at a value; far down where the problem has no solution."""
        if value not in self._seen:
            self._seen[value] = self._maximised(value)
            self._best = max(self._best, self._seen[value][0])
        return max(self._seen[value][0], self.fit.log_likelihood - _OUTSIDE**2 / 2)

    def _maximised(self, value: float) -> tuple[float, Real]:
        """Return the log-likelihood with the parameter held at a value, and the parameters that reach it."""
        bound = self.likelihood.model
        bound.table, factor = self._held(value)
        # From the nearest value that was likely: in unlikely ones, others may be at limits that they do not leave.
        likely = [v for v in self._seen if self._seen[v][0] > self.fit.log_likelihood - _LIKELY]
        start = self._seen[min(likely, key=lambda v: abs(v - value))][1].copy()
        start[self.place] = value * factor
        try:
            self.likelihood, full, _ = maximise(bound, self.log, self.max_steps, None, start, before=self.likelihood)
        except SolveError:
            return -np.inf, start
        return self.likelihood.value(torch.from_numpy(full)), full

    def _held(self, value: float) -> tuple[Parameters, float]:
        """Return the fit's parameters with one held at a value, and what that value is multiplied by.

        Where the average person is the unit, one person is held relative to the others: with the person's share w
        of the average, a log temperature of v among all is v / (1 - w) where the others alone average 0.
        """
        table = self.fit.model.table
        weights, factor = table.mean_zero, 1.0
        if weights is not None and weights[self.place] > 0:
            factor = 1 / (1 - float(weights[self.place]))
            weights = np.where(np.arange(len(table)) == self.place, 0.0, weights) * factor
        rows = list(table.rows)
        rows[self.place] = replace(rows[self.place], fixed=value * factor)
        return Parameters.of(rows, weights), factor
