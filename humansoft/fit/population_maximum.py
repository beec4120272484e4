"""The maximum of a population's likelihood: by quadrature, whose nodes move with the posteriors, or by Laplace-EM."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from humansoft.errors import SolveError
from humansoft.fit.abstract_profiles import Profiles
from humansoft.fit.boundary import NEVER
from humansoft.fit.gridded import GridLikelihood
from humansoft.fit.hierarchical import SMALLEST_SD, collapsed
from humansoft.fit.marginal import ExpectedLikelihood, LaplaceLikelihood, MarginalLikelihood, PopulationObjective
from humansoft.fit.mixed import Mixed
from humansoft.fit.nested import NestedLikelihood
from humansoft.fit.population_lapse import missed_lapse, needless_lapse, noticeable_lapse

Real = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
OnStep = Callable[[int, float], None]

IMPRECISE = 0.1
"""Nats by which finer quadrature may change a log-likelihood before it is worth the time."""

_NODES = {0: 1, 1: 15, 2: 9}  # a dimension of the deviations
_NESTED = 13  # of levels, and of changes at each
# Nodes a dimension by which others are judged, and which then take over.
_FINER = {15: 97, 97: 193, 9: 18, 18: 27, _NESTED: 33, 33: 65}
_UNSETTLING = 1e-3  # nats by which nodes are off that keep parameters from settling
_FIRST_ROUNDS, _ROUNDS, _EM_ROUNDS, _STEPS_A_ROUND = 10, 30, 100, 8
_LARGEST_LEAP = 3.0  # of a log standard deviation, by extrapolation
_SAME = 1e-7  # change of a parameter that matters, between two rounds
_SAME_EM = 1e-6  # the same, in one step of EM
_STEPS_OF_EM = 2  # of Newton towards what people share, in one step of EM


@dataclass(frozen=True, eq=False)
class PopulationMaximum:
    """Where a population's likelihood is largest.

    Attributes:
        objective: the likelihood, with the nodes or modes of the maximum.
        full: [P] the parameters.
        history: log-likelihood after each step.
        settled: whether the last round changed nothing.
    """

    objective: PopulationObjective
    full: Real
    history: list[float]
    settled: bool

    @cached_property
    def integration_error(self) -> float:
        """What more nodes change in the log marginal likelihood, in nats; nan where there are none."""
        objective = self.objective
        if not isinstance(objective, MarginalLikelihood) or not objective.mixed.num_deviations:
            return float("nan")
        more = _FINER.get(objective.num_nodes, 2 * objective.num_nodes)
        try:
            finer = integrated(objective.profiles, objective.mixed, objective.decisions, self.full, more)
        except SolveError:
            return float("nan")
        return float(abs(finer.by_person(self.full).sum() - objective.by_person(self.full).sum()))


def by_quadrature(
    profiles: Profiles, mixed: Mixed, decisions: float, start: Real, on_step: OnStep | None
) -> PopulationMaximum:
    """Maximise the marginal likelihood; where so many nodes prove too few, with more of them.

    Somebody who never erred is as likely at any low temperature: such a posterior has a plateau and an edge, on which
    Gauss-Hermite nodes are off by whole nats, and differently so from one round to the next.

    Raises:
        SolveError: no solution at the start.
    """
    search, num_nodes = _Search(profiles, decisions, on_step, []), _num_nodes(mixed)
    best = search.run(mixed, start, num_nodes, _FIRST_ROUNDS)
    coarse = num_nodes in _FINER and best.integration_error > (IMPRECISE if best.settled else _UNSETTLING)
    if best.settled and not coarse:
        return best
    return search.run(mixed, noticeable_lapse(mixed, best.full), _FINER[num_nodes] if coarse else num_nodes, _ROUNDS)


def at_known(profiles: Profiles, mixed: Mixed, decisions: float, full: Real) -> PopulationMaximum:
    """Return the marginal likelihood at parameters that are known; where so many nodes prove too few, with more.

    Raises:
        SolveError: no solution there.
    """

    def by(nodes: int) -> PopulationMaximum:
        return PopulationMaximum(integrated(profiles, mixed, decisions, full, nodes), full, [], settled=True)

    num_nodes = _num_nodes(mixed)
    found = by(num_nodes)
    return by(_FINER[num_nodes]) if num_nodes in _FINER and found.integration_error > _UNSETTLING else found


def integrated(
    profiles: Profiles, mixed: Mixed, decisions: float, full: Real, num_nodes: int | None = None
) -> MarginalLikelihood:
    """Return the marginal likelihood with nodes where the posteriors are at some parameters.

    Args:
        profiles: what each person did.
        mixed: the population.
        decisions: weighted decisions of all people.
        full: [P] its parameters.
        num_nodes: how many nodes in each dimension; by default as many as do for most.

    Raises:
        SolveError: no solution there.
    """
    kind = NestedLikelihood if mixed.is_nested else GridLikelihood
    found = kind.placed(profiles, mixed, decisions, full, num_nodes or _num_nodes(mixed))
    if found is None:
        raise SolveError("the soft Bellman equation has no solution at the temperatures of this population")
    return found


def _num_nodes(mixed: Mixed) -> int:
    return _NESTED if mixed.is_nested else _NODES[mixed.num_deviations]


@dataclass(frozen=True, eq=False)
class _Search:
    """Rounds of learning: at nodes that stay, then at nodes where the posteriors have moved to.

    Attributes:
        profiles: what each person did.
        decisions: weighted decisions of all people.
        on_step: told the log-likelihood after each step.
        history: the log-likelihood after each step so far.
    """

    profiles: Profiles
    decisions: float
    on_step: OnStep | None
    history: list[float]

    def run(self, free: Mixed, start: Real, num_nodes: int, rounds: int) -> PopulationMaximum:
        """Return where a start leads within some rounds; what comes to a boundary is held there."""
        full, mixed = start, free
        for _ in range(rounds):
            objective = integrated(self.profiles, mixed, self.decisions, full, num_nodes)
            moved = _learned(objective, full, _STEPS_A_ROUND, self.history, self.on_step)
            settled = _distance(mixed, moved, full) <= _SAME
            full = moved
            fresh, needless = collapsed(mixed, full) & mixed.table.free, needless_lapse(objective, full)
            if fresh.any() or needless.any():  # the way to 0 is endless in the logarithm: the others settle without
                full = np.where(needless, NEVER, np.where(fresh, np.log(SMALLEST_SD / 2), full))
                mixed = mixed.holding(fresh | needless, full)
            elif settled and (missed := missed_lapse(objective, free, full)).any():
                full, mixed = np.where(missed, noticeable_lapse(free, full), full), mixed.releasing(missed)
            elif settled:
                return PopulationMaximum(objective, full, self.history, settled)
        # Whether this is a maximum is for nodes to tell that are where the posteriors are now.
        return PopulationMaximum(
            integrated(self.profiles, mixed, self.decisions, full, num_nodes), full, self.history, settled=False
        )


def by_laplace(
    profiles: Profiles, mixed: Mixed, decisions: float, start: Real, on_step: OnStep | None
) -> PopulationMaximum:
    """Laplace-EM, extrapolated as in SQUAREM (Varadhan and Roland 2008), which keeps the fixed point.

    Raises:
        SolveError: no solution at the start.
    """
    history: list[float] = []
    objective = LaplaceLikelihood(profiles, mixed, decisions)

    def improved(full: Real) -> Real:
        return _em_step(objective, full, history, on_step)

    full, settled = start, False
    for _ in range(_EM_ROUNDS):
        needless = needless_lapse(objective, full)
        if needless.any():
            full = np.where(needless, NEVER, full)
            mixed = mixed.holding(needless, full)
            objective = LaplaceLikelihood(profiles, mixed, decisions)
        first = improved(full)
        second = improved(first)
        change, bend = first - full, second - 2 * first + full
        settled = _distance(mixed, first, full) <= _SAME_EM
        fresh = (collapsed(mixed, second) & mixed.table.free) | _better_at_0(objective, full, second)
        if fresh.any() and not settled:  # the way to 0 is endless in the logarithm: the others settle without
            full = np.where(fresh, np.log(SMALLEST_SD / 2), second)
            mixed = mixed.holding(fresh, full)
            objective = LaplaceLikelihood(profiles, mixed, decisions)
            continue
        if settled:
            full = second
            break
        length = np.linalg.norm(change) / max(float(np.linalg.norm(bend)), 1e-300)
        far = full + 2 * length * change + length**2 * bend
        near = (
            length <= 1 or np.abs(far - second).max() > _LARGEST_LEAP or not np.isfinite(objective.by_person(far)).all()
        )
        full = second if near else far
    return PopulationMaximum(objective, full, history, settled)


def _better_at_0(objective: LaplaceLikelihood, full: Real, improved: Real) -> Flags:
    """[P] standard deviations that EM makes smaller and that had better be 0: it would take for ever to get there."""
    table = objective.mixed.table
    found = np.zeros(len(full), dtype=bool)
    falling = [row.kind == "log_sd" for row in table.rows] & table.free & (improved < full)
    height = float(objective.by_person(improved).sum()) if falling.any() else 0.0
    for place in np.flatnonzero(falling):
        without = np.where(np.arange(len(full)) == place, np.log(SMALLEST_SD / 2), improved)
        found[place] = float(objective.by_person(without).sum()) >= height
    return found


def _em_step(objective: LaplaceLikelihood, full: Real, history: list[float], on_step: OnStep | None) -> Real:
    """Return what the posteriors at some parameters, taken for Gaussian, say the parameters are."""
    mixed = objective.mixed
    found = objective.posterior(full)
    if found is None:
        raise SolveError("the soft Bellman equation has no solution at the temperatures of this population")
    history.append(float(objective.by_person(full).sum()))
    if on_step is not None:
        on_step(len(history), history[-1])
    points, chance = found.sigma_points()
    own = mixed.own(full, found.mean[:, None])[:, 0]
    coefficients = mixed.coefficients_of(own, full)
    apart = (own - mixed.design @ coefficients)[:, list(mixed.deviating)]
    moments = (apart[:, :, None] * apart[:, None] + found.covariance).mean(axis=0)
    shared = mixed.split(full)[0]
    if mixed.free_shared.any():
        expected = ExpectedLikelihood(objective.profiles, mixed, objective.decisions, mixed.own(full, points), chance)
        shared = mixed.split(_learned(expected, full, _STEPS_OF_EM, [], None))[0]
    improved: Real = np.r_[shared, coefficients, mixed.varies.of_moments(moments)]
    still = np.zeros(len(full), dtype=bool) if mixed.held is None else ~np.isnan(mixed.held)
    spread = np.arange(len(full)) >= len(full) - len(mixed.spread)
    return np.where(still & spread, full, improved)


def _learned(
    objective: PopulationObjective, start: Real, steps: int, history: list[float], on_step: OnStep | None
) -> Real:
    """Maximise from a start by the learner of all fits; note the log-likelihood after each step."""
    # Lightning takes five seconds to import: only when something is learned.
    from humansoft.fit.learner import OneStep, SoftOptimalLearner, run_trainer

    before = len(history)
    told = None if on_step is None else lambda step, value: on_step(before + step, value)
    learner = SoftOptimalLearner(objective, steps, told, near=True)
    learner.start_at(start)
    run_trainer(learner, OneStep())
    history.extend(learner.history)
    found: Real = learner.full.detach().numpy().copy()
    return found


def _distance(mixed: Mixed, moved: Real, full: Real) -> float:
    """Return the largest change of a parameter, in units in which it matters."""
    return float(np.max(np.abs(moved - full) * mixed.table.scales / np.maximum(1.0, np.abs(full)), initial=0.0))
