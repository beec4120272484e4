"""Many data sets of one model as one likelihood: each has parameters of its own, and a block of the Hessian.

A draw's rows (people or groups) are made people of their own, so that one expansion solves for all of them; what
rows of a draw share is tied by a map from a draw's parameters to those of its people.
"""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from humansoft._types import NONE
from humansoft.codebook import Labels
from humansoft.fit.arrow import ArrowMatrix, Layout
from humansoft.fit.directions import Directions
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.fit.objective import Objective
from humansoft.model import SoftOptimalModel
from humansoft.parameters import Parameters
from humansoft.rewards.linear import LinearReward
from humansoft.solvers.expansion import Observations
from humansoft.temperature import PerSubject

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(eq=False)
class Replicates(Objective):
    """The log-likelihood of D data sets, each with the P parameters of one model.

    Attributes:
        wide: the likelihood in which each row of each data set is a person with a reward and a temperature.
        source: [P of ``wide``] which of the D P parameters each of its parameters is.
        layout: each data set's own parameters.
        informed: [D, P] whether a data set says something about a parameter.
    """

    wide: ExactLikelihood
    source: Index
    layout: Layout
    informed: npt.NDArray[np.bool_]
    _table: Parameters

    @classmethod
    def of(cls, model: SoftOptimalModel, cells: Observations, weight: Any) -> "Replicates":  # noqa: ANN401
        """Line D data sets up.

        Args:
            model: a bound model at its estimates, with a linear reward.
            cells: [N] distinct decisions.
            weight: [D, N] sparse matrix: how often each is in each data set.
        """
        directions, count = Directions(model), weight.shape[0]
        rows, size = len(directions.owner), len(model.table)
        pairs = weight.tocoo()
        row = pairs.row * rows + cells.row[pairs.col]
        occurs = np.bincount(row, minlength=count * rows).reshape(count, rows) > 0
        source = _sources(model, rows)
        informed = _informed(source, occurs, size)
        table = _table_of(model, informed)
        whole = (np.arange(count)[:, None, None] * size + source).reshape(count * rows, -1)
        seen = replace(cells.select(pairs.col), row=row, person=row, unit=row, weight=pairs.data.astype(np.float64))
        wide, places = _wide(model, count * rows, whole, table), np.arange(count * size).reshape(count, size)
        owner = np.where(table.free[places], places, NONE)
        in_order = np.r_[whole[:, :-1].ravel(), whole[:, -1]]  # all weights, then all temperatures
        return cls(ExactLikelihood(wide, seen), in_order, Layout(owner, count * size), informed, table)

    @property
    def table(self) -> Parameters:
        """Names and constraints of the parameters, those of one data set after the other."""
        return self._table

    @property
    def num_decisions(self) -> float:
        """Weighted decisions of all data sets."""
        return self.wide.num_decisions

    def _wide_full(self, full: Float[Tensor, " P"]) -> Tensor:
        return full.detach()[torch.from_numpy(self.source)]

    def value(self, full: Float[Tensor, " P"]) -> float:
        """Return the log-likelihood, minus infinity where the problem has no solution."""
        return self.wide.value(self._wide_full(full))

    def gradient(self, full: Float[Tensor, " P"]) -> Real:
        """Return its derivatives by the parameters [P], 0 for fixed ones."""
        found = np.bincount(self.source, self.wide.gradient(self._wide_full(full)), len(full))
        return np.where(self._table.free, found, 0.0)

    def hessian(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return its Hessian [P, P]: a block for each data set."""
        return self._tied(self.wide.hessian(self._wide_full(full)))

    def expected_information(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return the expected information [P, P]: a block for each data set."""
        return self._tied(self.wide.expected_information(self._wide_full(full)))

    def _tied(self, matrix: ArrowMatrix) -> ArrowMatrix:
        """Add up the blocks of a data set's people in its own block."""
        count, size = self.layout.owner.shape
        own = matrix.layout.own
        data_set, place = np.divmod(np.r_[self.source, NONE][own], size)
        data_set = data_set.max(axis=1, initial=0)  # that of any of its parameters
        blocks = np.zeros((count, size, size))
        where = (data_set[:, None, None], place[:, :, None], place[:, None, :])
        there = (own >= 0)[:, :, None] & (own >= 0)[:, None, :]
        np.add.at(blocks, where, np.where(there, matrix.blocks, 0.0))
        return ArrowMatrix.of_rows(self.layout, blocks)


def _sources(model: SoftOptimalModel, rows: int) -> Index:
    """Return which parameter of a model each weight, and the temperature, of each of its rows is [R, F + 1]."""
    reward = model.reward
    assert isinstance(reward, LinearReward)
    features = len(reward.names(model.task))
    first = np.zeros(rows, dtype=np.int64) if reward.shared else np.arange(rows) * features
    temperatures = len(model.table) - len(model.groups) + model.temperature_row().numpy()
    return np.column_stack([first[:, None] + np.arange(features), temperatures[:, None]])


def _informed(source: Index, occurs: npt.NDArray[np.bool_], size: int) -> npt.NDArray[np.bool_]:
    """Return whether a row that a parameter belongs to occurs in each data set [D, P]."""
    belongs = np.zeros((len(source), size), dtype=bool)
    belongs[np.arange(len(source))[:, None], source] = True
    found: npt.NDArray[np.bool_] = (occurs.astype(np.float64) @ belongs) > 0
    return found


def _table_of(model: SoftOptimalModel, informed: npt.NDArray[np.bool_]) -> Parameters:
    """Return the parameters of all data sets; what one does not tell stays at the estimate.

    Where the average person is the unit, the largest weight is: one sum to be held for each data set is more than
    :class:`Parameters` knows, and the units are one likelihood.
    """
    full = np.concatenate([p.detach().numpy().ravel() for p in (*model.reward.parameters(), model.log_temperature)])
    rows = list(model.table.rows)
    if model.table.mean_zero is not None:
        effect = np.where(model.table.is_temperature, 0.0, np.abs(full) * model.table.scales)
        anchor = int(effect.argmax())
        rows[anchor] = replace(rows[anchor], fixed=float(full[anchor]))
    return Parameters.of(
        [
            replace(row, level="subject", label=(draw, row.label), fixed=row.fixed if told else float(value))
            for draw, tells in enumerate(informed)
            for row, value, told in zip(rows, full, tells, strict=True)
        ]
    )


def _wide(model: SoftOptimalModel, people: int, source: Index, table: Parameters) -> SoftOptimalModel:
    """Return the model in which every row of every data set is a person."""
    reward = model.reward
    assert isinstance(reward, LinearReward)
    other = copy.copy(model)
    other._modules, other._parameters = dict(model._modules), dict(model._parameters)
    other.reward, other.temperature = LinearReward(reward.features, reward.fixed, shared=False), PerSubject()
    labels = Labels("subject", tuple(range(people)))
    wide = other.bound_to(labels, labels, np.arange(people))
    fixed = [table.rows[place].fixed for place in np.r_[source[:, :-1].ravel(), source[:, -1]]]
    rows = [replace(row, fixed=value) for row, value in zip(wide.table.rows, fixed, strict=True)]
    wide.table = Parameters.of(rows)
    return wide
