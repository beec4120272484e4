"""Maximum likelihood for every tabular model, through one Lightning module."""

import copy
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from humansoft.data.log import BehaviorLog
from humansoft.fit.assemble import assemble
from humansoft.fit.boundary import Boundary, find_boundary, reward_scale, settle
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.fit.identification import identified
from humansoft.fit.interpolated_likelihood import TOLERANCE, InterpolatedLikelihood, likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.pseudo_likelihood import pseudo_start
from humansoft.fit.result import Fit
from humansoft.model import SoftOptimalModel
from humansoft.temperature import Fixed, Shared

Real = npt.NDArray[np.float64]
OnStep = Callable[[int, float], None]

_FIRST_LOOK = 40  # steps before asking who is on the way to a boundary
_FARTHEST_START = 4.0  # log units from the size of the reward
_MOST_ROUNDS = 5  # of finding who is at a boundary and letting the others settle


def maximum_likelihood(
    model: SoftOptimalModel,
    log: BehaviorLog,
    *,
    seed: int | None,
    max_steps: int,
    allow_unidentified: bool,
    on_step: OnStep | None,
    start: Real | None = None,
) -> Fit:
    """Fit every parameter of a model to a checked log, from a start that may be known; see :func:`humansoft.fit`."""
    bound = model.bind(log)
    likelihood = likelihood_of(bound, bound.observe(log))
    report = identified(likelihood, seed or 0)
    if not allow_unidentified:
        report.require()
    likelihood, full, history, boundary = _learn(likelihood, log, max_steps, on_step, start)
    fitted = assemble(likelihood, full, boundary, report, log, history, seed)
    return _learned_again(fitted, model) if model.learns_from_samples else fitted


def _learned_again(fitted: Fit, model: SoftOptimalModel) -> Fit:
    """Let a fit predict with the model's own solver, and say so."""
    note = (
        "The parameters maximise the exact likelihood; predictions and simulations use the policy that "
        f"{type(model.solver).__name__} learns from samples."
    )
    return dataclasses.replace(fitted, model=fitted.model.solved_by(model.solver), notes=(*fitted.notes, note))


def _learn(
    likelihood: AbstractLikelihood, log: BehaviorLog, max_steps: int, on_step: OnStep | None, start: Real | None
) -> tuple[AbstractLikelihood, Real, list[float], Boundary]:
    """Maximise; hold whoever runs to a boundary, and let the others settle without them."""
    bound = likelihood.model
    first_look = min(max_steps, _FIRST_LOOK)  # somebody on the way to infinity slows everybody down
    likelihood, full, history = maximise(bound, log, first_look, on_step, start, before=likelihood)
    unfinished = first_look < max_steps and len(history) >= first_look
    boundary = find_boundary(likelihood, full)
    held = np.zeros(len(full), dtype=bool)
    for _ in range(_MOST_ROUNDS):
        at_edge = boundary.at_limit
        if (at_edge == held).all() and not unfinished:
            if _is_precise(likelihood, full):
                break
            likelihood = ExactLikelihood(bound, likelihood.observations)
        else:
            full, bound.table = settle(bound, full, boundary)
        likelihood, full, history = maximise(bound, log, max_steps, on_step, full, history, likelihood)
        boundary, held, unfinished = find_boundary(likelihood, full, at_edge), at_edge, False
    return likelihood, full, history, boundary


def _is_precise(likelihood: AbstractLikelihood, full: Real) -> bool:
    """Whether interpolation, if there was any, is good enough for what is reported."""
    if not isinstance(likelihood, InterpolatedLikelihood):
        return True
    return likelihood.largest_error(torch.from_numpy(full)) <= TOLERANCE


def maximise(
    bound: SoftOptimalModel,
    log: BehaviorLog,
    max_steps: int,
    on_step: OnStep | None,
    start: Real | None = None,
    history: Sequence[float] = (),
    before: AbstractLikelihood | None = None,
) -> tuple[AbstractLikelihood, Real, list[float]]:
    """Return the likelihood, its maximum [P] and the log-likelihood after each step."""
    # Lightning takes five seconds to import: only when something is learned.
    from humansoft.fit.learner import (
        DecisionDataModule,
        SoftOptimalLearner,
        find_feasible_start,
        network_start,
        run_trainer,
    )

    pooled = _pooled(bound) if start is None else None
    if pooled is not None:
        # What everybody shares is found first, where one solution serves all people.
        simpler, together, history = maximise(pooled.bind(log), log, max_steps, on_step)
        start, theirs = np.zeros(len(bound.table)), simpler.model.table
        start[bound.table.rewards] = together[theirs.rewards]
        start[bound.table.temperatures] = _inner(bound, float(together[theirs.temperatures][0]))
        start[bound.table.choices] = together[theirs.choices]
    data = DecisionDataModule(bound, log, before)
    near = start is None and data.likelihood.pilot is not None
    if start is None and bound.task.goals is not None:
        start = network_start(data, max_steps)
    if start is None and isinstance(data.likelihood, ExactLikelihood):
        start = pseudo_start(data.likelihood)
        near = start is not None
    learner = SoftOptimalLearner(data.likelihood, max_steps, on_step, near=near)
    learner.history.extend(history)
    if start is not None:
        learner.start_at(start)
    if not learner.is_feasible() and not find_feasible_start(learner):
        data.likelihood.require_solvable(learner.full)
    run_trainer(learner, data)
    return data.likelihood, learner.full.detach().numpy().copy(), learner.history


def _inner(bound: SoftOptimalModel, log_temperature: float) -> float:
    """Return a log temperature from which one gets anywhere: people together may run to a boundary, and each not."""
    middle = reward_scale(bound)
    return float(np.clip(log_temperature, middle - _FARTHEST_START, middle + _FARTHEST_START))


def _pooled(bound: SoftOptimalModel) -> SoftOptimalModel | None:
    """Return the same model with one temperature for everybody, where that is a simpler one."""
    if len(bound.groups) < 2 or bound.rows_are_people:
        return None
    temperature = Fixed(1.0) if bound.is_relative else Shared()
    simpler = copy.deepcopy(bound)
    simpler.temperature = temperature
    return simpler
