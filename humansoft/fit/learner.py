"""The Lightning side: every point estimate is learned by this module through ``Trainer.fit``."""

import copy
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from humansoft._types import DTYPE
from humansoft.data.log import BehaviorLog
from humansoft.fit.arrow import ArrowMatrix
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.fit.objective import Objective
from humansoft.fit.optimizer import Curvature, FisherScoring, LimitedMemory
from humansoft.model import SoftOptimalModel
from humansoft.solvers.learner import new_trainer, quiet

Real = npt.NDArray[np.float64]

_MOST_COLORS = 64  # beyond this many Hessian-vector products, gradients alone are cheaper
_PILOT_STEPS, _PILOT_NATS = 12, 1.0
_LARGEST_LOG_STEP = 2.0  # a log temperature, or log odds, may change by this much in one step


class OneStep(pl.LightningDataModule):
    """Feeds the learner one batch: an objective holds its data itself."""

    def train_dataloader(self) -> "DataLoader[Any]":
        """Return a loader of one batch, the number of the epoch's only step."""
        return DataLoader([0], batch_size=1)  # type: ignore[arg-type]


class DecisionDataModule(OneStep):
    """Feeds a log to the learner as one batch: its sufficient counts.

    Args:
        model: a bound model.
        log: the decisions to learn from.
        before: their likelihood, when it was learned from before: what was solved then is not solved again.
    """

    def __init__(self, model: SoftOptimalModel, log: BehaviorLog, before: AbstractLikelihood | None = None) -> None:
        """Count the decisions once."""
        super().__init__()
        self.likelihood = before.again() if before is not None else likelihood_of(model, model.observe(log))


class SoftOptimalLearner(pl.LightningModule):
    """Learns reward and temperature by maximum likelihood.

    Its one parameter is the vector of what is not fixed; the sum that gives temperatures a unit is held by the map
    to the full vector (see :class:`humansoft.parameters.Parameters`).

    Args:
        objective: the likelihood to maximise.
        max_steps: largest number of optimiser iterations.
        on_step: called after every iteration with (iteration, log-likelihood).
        tolerance: stop when a step would gain less than this, in nats.
        near: whether it starts near the optimum.
    """

    def __init__(
        self,
        objective: Objective,
        max_steps: int = 200,
        on_step: Callable[[int, float], None] | None = None,
        tolerance: float = 1e-10,
        near: bool = False,
    ) -> None:
        """Prepare the affine map and the start."""
        super().__init__()
        self.objective, self.max_steps, self.on_step = objective, max_steps, on_step
        self.tolerance, self.near = tolerance, near
        table = objective.table
        self.free = nn.Parameter(torch.zeros(int(table.free.sum()), dtype=DTYPE))
        self.place = torch.from_numpy(np.flatnonzero(table.free))
        self.offset = torch.from_numpy(table.project(np.zeros(len(table))))
        self.normal = None if table.mean_zero is None else torch.from_numpy(table.mean_zero[table.free])
        self.history: list[float] = []
        self.start_at(table.start)

    @property
    def full(self) -> Tensor:
        """[P] all parameters at the current free vector."""
        free: Tensor = self.free
        if self.normal is not None:  # what would leave the constraint has no effect
            free = free - self.normal * (self.normal @ free) / (self.normal @ self.normal)
        return self.offset.index_add(0, self.place, free)

    def start_at(self, full: Real) -> None:
        """Move to the free vector closest to a full one."""
        table = self.objective.table
        with torch.no_grad():
            self.free.copy_(torch.from_numpy(table.project(full)[table.free]))

    def is_feasible(self) -> bool:
        """Whether the problem has a solution at the current free vector."""
        return math.isfinite(self.objective.value(self.full))

    def training_step(self, batch: Any, batch_index: int) -> Tensor:  # noqa: ANN401
        """Return the mean negative log-likelihood of a decision, infinity where it has no solution."""
        loss = -self.objective.differentiable(self.full) / self.objective.num_decisions
        return loss if torch.isfinite(loss) else self.free.sum() * 0.0 + torch.inf

    def configure_optimizers(self) -> FisherScoring | LimitedMemory:
        """Fisher scoring, or L-BFGS when there are very many parameters."""
        table = self.objective.table
        if int(table.colors.max(initial=0)) + 1 > _MOST_COLORS:
            return LimitedMemory(self.free, table.scales[table.free], self.max_steps * 10, self._note)
        return FisherScoring(
            self.free,
            information=lambda: self._curvature(self.objective.expected_information(self.full.detach())),
            hessian=lambda: self._curvature(self.objective.hessian(self.full.detach()).scaled(-1.0)),
            weight=self.objective.num_decisions,
            limits=np.where(table.is_reward, np.inf, _LARGEST_LOG_STEP)[table.free],
            max_steps=self.max_steps,
            on_step=self._note,
            tolerance=self.tolerance,
            near=self.near,
        )

    def _curvature(self, matrix: ArrowMatrix) -> Curvature:
        """Express a curvature of the log-likelihood as one of the mean loss of a decision."""
        table = self.objective.table
        return Curvature(matrix.scaled(1.0 / self.objective.num_decisions), table.free, table.mean_zero)

    def _note(self, loss: float) -> None:
        self.history.append(-loss * self.objective.num_decisions)
        if self.on_step is not None:
            self.on_step(len(self.history), self.history[-1])


def find_feasible_start(learner: SoftOptimalLearner) -> bool:
    """Move the free vector to where the problem has a solution; false when none was found.

    Tried in turn: the model's own start, lower temperatures, and every free feature a cost (with the
    entropy planner and no discount, only costly steps make episodes end).
    """
    table = learner.objective.table
    for weight in (0.0, -1.0, -4.0):
        for log_temperature in (0.0, -1.0, -2.0, -4.0, -8.0):
            wanted = np.where(table.is_temperature, log_temperature, table.start)
            wanted = np.where(table.is_reward, weight / table.scales, wanted)
            learner.start_at(wanted)
            if learner.is_feasible():
                return True
    return False


def network_start(data: DecisionDataModule, max_steps: int) -> Real | None:
    """Return parameters [P] near the maximum of a network's likelihood, or ``None`` where no solution was found.

    They are the best of the likelihood's pilot, where it has one.
    """
    likelihood, table = data.likelihood.pilot or data.likelihood, data.likelihood.model.table
    # What few people do may lead to infinity, and a nat more or less of theirs is no better start.
    learner = SoftOptimalLearner(likelihood, min(max_steps, _PILOT_STEPS), tolerance=_PILOT_NATS)
    found = learner.full.detach() if find_feasible_start(learner) else None
    learner.start_at(np.where(table.is_temperature, 0.0, -1.0 / table.scales))
    # Without costs people would wander about for ever; far from how they do, each step must be tiny.
    if found is not None and likelihood.value(found) > likelihood.value(learner.full):
        learner.start_at(found.numpy())
    if found is not None and likelihood is not data.likelihood:
        run_trainer(learner, data)
    return None if found is None else learner.full.detach().numpy().copy()


def run_trainer(learner: SoftOptimalLearner, data: OneStep, trainer: pl.Trainer | None = None) -> None:
    """Run ``Trainer.fit`` quietly on the CPU in float64 (or the user's own trainer)."""
    with quiet():
        (trainer or copy.deepcopy(_unused_trainer())).fit(learner, data)


@cache
def _unused_trainer() -> pl.Trainer:
    """Return a trainer to copy: to make one, Lightning asks every installed package for callbacks (8 ms each time)."""
    return new_trainer(max_epochs=1)
