"""Some rows of a model, solved together: the measures of their people, and how these move with parameters."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from torch import Tensor, nn

from humansoft._types import DTYPE, NONE
from humansoft.errors import IdentificationError, shortlist
from humansoft.evaluate.reference_states import deciding, own_starts, own_visits
from humansoft.evaluate.worth import visits_of, worth_of
from humansoft.evaluate.yardstick import Yardstick

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

MEASURES = (
    "normalised_value",
    "choice_error",
    "costly_error",
    "information_bits",
    "complexity_bits",
    "signal_to_noise",
    "regret_per_decision",
)
"""What is measured; regret per decision alone is in units of reward, the others have none."""

_NO_STAKES = 1e-10  # of the largest reward: what is to be won by choosing well is rounding
_LN2 = float(np.log(2.0))


class SolvedRows:
    """Some rows, solved together.

    Attributes:
        rows: [R'] the rows of the model, in ascending order.
        laid_out: their states, M in all.
        people: places of the people of these rows.
        worth: what they do, and what it is worth.
    """

    def __init__(self, yardstick: Yardstick, rows: Index, log_temperature: Real) -> None:
        """Solve some rows [R'] of a model at some temperatures [R'] of theirs."""
        self.yardstick, self.rows = yardstick, rows
        self.laid_out = yardstick.laid_out(rows)
        self.state, self.local = self.laid_out.state.numpy(), np.searchsorted(rows, self.laid_out.row.numpy())
        self.people = np.flatnonzero(np.isin(yardstick.row_of_person, rows))
        self.reward = self.laid_out.laid_out(yardstick.rewards).clone().requires_grad_()
        self.log_temperature = torch.from_numpy(log_temperature.copy()).requires_grad_()
        self.size = self._sizes()
        model = yardstick.fit.model
        # Numbers of each row, though all have the same: measures of one row do not move with another's.
        self.choice_weights = _flat(model.choice).repeat(len(rows), 1).requires_grad_()
        local = torch.from_numpy(self.local)
        # In units of the largest reward, for ties are told from small differences by their size.
        self.worth = worth_of(
            self.laid_out.problem,
            self.reward / self.size[local][:, None],
            (self.log_temperature.exp() / self.size)[local],
            model.planner == "boltzmann",
            model.choice.rule_at(self.choice_weights[local.repeat(self._times)]),
        )

    @property
    def policy(self) -> Real:
        """[*T, M, A] what people do."""
        found = self.worth.policy.detach().numpy()
        horizon = self.yardstick.fit.model.task.horizon
        return found if horizon is None else found.reshape(horizon, -1, found.shape[1])

    def _sizes(self) -> Tensor:
        """[R'] the largest reward of each row."""
        playable = self.laid_out.problem.playable
        largest = torch.where(playable, self.reward.detach().abs(), 0.0).amax(dim=-1)
        largest = largest if largest.ndim == 1 else largest.amax(dim=0)
        size = torch.zeros(len(self.rows), dtype=DTYPE)
        size = size.scatter_reduce(0, torch.from_numpy(self.local), largest, reduce="amax")
        self._require_stakes(size > 0)
        return size

    def _require_stakes(self, there: Tensor) -> None:
        lacking = self.rows[~there.numpy()]
        if len(lacking):
            yardstick = self.yardstick
            who = [yardstick.fit.subjects.values[i] for i in np.flatnonzero(np.isin(yardstick.row_of_person, lacking))]
            raise IdentificationError(
                f"nothing is at stake for {shortlist(who)}: in {yardstick.reference.words} the best choices gain "
                "nothing over choices at random, so that no share of it can be measured. Take another reference=, or "
                "leave them out"
            )

    @cached_property
    def values(self) -> Float[Tensor, "R 7"]:
        """The measures in the reference's states."""
        reference = self.yardstick.reference
        assert reference.weights is not None
        times, size = reference.weights.shape[0], len(self.state)
        weights = reference.weights[:, self.state].ravel()
        everyone = np.tile(self.local, times)
        start = _normalised(self.local, np.arange(size), reference.start[self.state], (len(self.rows), times * size))
        with torch.no_grad():
            _, best, random = torch.sparse.mm(start, self.worth.values).unbind(dim=-1)
            self._require_stakes(best - random > _NO_STAKES)
        weighing = _matrix(everyone, np.arange(times * size), weights, start.shape)
        return self._summary(start, weighing, np.arange(len(self.rows)))

    @cached_property
    def _costly(self) -> Tensor:
        """[N] probability of a mistake that is costly by the reference's standard."""
        typical = self._mean_gap()
        limit = self.yardstick.threshold * typical[torch.from_numpy(np.tile(self.local, self._times))]
        return (self.worth.policy * (self.worth.gap > limit[:, None])).sum(dim=-1)

    @property
    def _times(self) -> int:
        return self.yardstick.fit.model.task.horizon or 1

    def _mean_gap(self) -> Tensor:
        """[R'] what one choice at random costs on average, in the reference's states."""
        weights = self.yardstick.reference.weights
        assert weights is not None
        each = self.worth.gap.detach().sum(dim=-1) / self.worth.num_options
        flat = torch.from_numpy(weights[:, self.state].ravel())
        total = torch.zeros(len(self.rows), dtype=DTYPE)
        return total.index_add(0, torch.from_numpy(np.tile(self.local, self._times)), flat * each)

    def _summary(self, start: Tensor, weights: Tensor, of: Index) -> Float[Tensor, "B 7"]:
        """Average over starts and decisions [B, N], each line of a row [B] of this chunk."""
        worth, rows = self.worth, torch.from_numpy(of)
        value, best, random = torch.sparse.mm(start, worth.values).unbind(dim=-1)
        staked = best - random
        gained = torch.where(staked > _NO_STAKES, (value - random) / staked.clamp_min(_NO_STAKES), torch.nan)
        bits = worth.log_policy / _LN2
        per_state = torch.stack(
            [
                (worth.policy * ~worth.is_best).sum(dim=-1),
                self._costly,
                worth.num_options.log() / _LN2 + (worth.policy * bits).sum(dim=-1),
                (worth.policy * bits).sum(dim=-1),
                (worth.policy * worth.gap).sum(dim=-1),
                worth.gap.sum(dim=-1) / worth.num_options,
                worth.gap.square().sum(dim=-1) / worth.num_options,
            ],
            dim=-1,
        )
        error, costly, information, order, loss, gap, square = torch.sparse.mm(weights, per_state).unbind(dim=-1)
        overall = torch.sparse.mm(weights, worth.policy)
        noise = self.log_temperature.exp()[rows] / self.size[rows]
        spread = (square - gap.square()).clamp_min(torch.finfo(DTYPE).tiny).sqrt()
        mixed = (overall * overall.clamp_min(torch.finfo(DTYPE).tiny).log()).sum(dim=-1) / _LN2
        complexity = (order - mixed).clamp_min(0.0)
        return torch.stack(
            [gained, error, costly, information, complexity, spread / noise, loss * self.size[rows]], dim=-1
        )

    def own(self) -> Real:
        """Return the measures [B', 7] of the people of these rows in their own states; nan without a decision."""
        start, weights = self._own_weights()
        there = np.asarray(torch.sparse.sum(weights, dim=1).to_dense()) > 0
        with torch.no_grad():
            of = np.searchsorted(self.rows, self.yardstick.row_of_person[self.people])
            found = self._summary(start, weights, of).numpy().copy()
        found[~there] = np.nan
        return found

    def _own_weights(self) -> tuple[Tensor, Tensor]:
        """Return each person's own distributions of starts and of decisions [B', N]."""
        fit, task = self.yardstick.fit, self.yardstick.fit.model.task
        shape = (len(self.people), self._times * len(self.state))
        row = self.yardstick.row_of_person[self.people]
        if task.horizon is None:
            person, state, count = _entries(own_visits(fit)[self.people])
            kept = deciding(task)[state]
            place = self.laid_out.place(task, row[person[kept]], state[kept])
            alike = _normalised(person[kept], place, count[kept], shape)
            return alike, alike
        person, state, count = _entries(own_starts(fit)[self.people])
        place = self.laid_out.place(task, row[person], state)
        slot = _slots(row)  # people of one row are followed side by side
        begun = np.zeros((len(self.state), int(slot.max(initial=0)) + 1))
        np.add.at(begun, (place, slot[person]), count)
        expected = visits_of(self.laid_out.problem, self.policy, begun) * deciding(task)[self.state][:, None]
        of_person = np.where(self.laid_out.row.numpy() == row[:, None], 1.0, 0.0)  # [B', M]
        own = (np.moveaxis(expected, -1, 0)[slot] * of_person[:, None, :]).reshape(len(row), -1)
        whose, where = (codes.astype(np.int64) for codes in np.nonzero(own))
        return _normalised(person, place, count, shape), _normalised(whose, where, own[whose, where], shape)

    def slopes(self) -> Float[Real, "R 7 C"]:
        """Return how the measures in the reference's states move with each color of parameters."""
        yardstick, values = self.yardstick, self.values
        directions = yardstick.directions
        full = torch.cat([_flat(yardstick.fit.model.reward), yardstick.fit.model.log_temperature.detach()])
        change = self.laid_out.columns_laid_out(directions.reward(full))
        found = np.zeros((len(self.rows), len(MEASURES), directions.num_colors))
        learned = np.flatnonzero(yardstick.choice_colors != NONE)
        moving = (self.reward, self.log_temperature, self.choice_weights)
        for place in range(len(MEASURES)):
            by_reward, by_temperature, by_choice = torch.autograd.grad(
                values[:, place].sum(), moving, retain_graph=True, materialize_grads=True
            )
            each = torch.einsum("...ma,...mac->mc", by_reward, change)
            total = torch.zeros(len(self.rows), each.shape[1], dtype=DTYPE)
            found[:, place] = total.index_add(0, torch.from_numpy(self.local), each).numpy()
            found[:, place, directions.is_temperature] += by_temperature.numpy()[:, None]
            found[:, place, yardstick.choice_colors[learned]] = by_choice.numpy()[:, learned]
        return found


def _flat(part: nn.Module) -> Tensor:
    """Return the parameters of a part of a model [Q]."""
    return torch.cat([p.detach().reshape(-1).to(DTYPE) for p in part.parameters()] or [torch.zeros(0, dtype=DTYPE)])


def _entries(table: csr_array) -> tuple[Index, Index, Real]:
    """Return the line, column and value of each entry."""
    found = table.tocoo()
    return found.row.astype(np.int64), found.col.astype(np.int64), found.data.astype(np.float64)


def _matrix(row: Index, column: Index, value: Real, shape: Sequence[int]) -> Tensor:
    kept = value != 0
    places = torch.from_numpy(np.stack([row[kept], column[kept]]).astype(np.int64))
    return torch.sparse_coo_tensor(
        places, torch.from_numpy(value[kept]), tuple(shape), check_invariants=False
    ).coalesce()


def _normalised(row: Index, column: Index, value: Real, shape: Sequence[int]) -> Tensor:
    """Return a matrix whose lines sum to 1, empty ones apart."""
    total = np.bincount(row, weights=value, minlength=shape[0])
    return _matrix(row, column, value / np.where(total > 0, total, 1.0)[row], shape)


def _slots(row: Index) -> Index:
    """Number the people of each row from 0."""
    order = np.argsort(row, kind="stable")
    first = np.r_[True, np.diff(row[order]) != 0]
    places = np.arange(len(row))
    slot = np.empty(len(row), dtype=np.int64)
    slot[order] = places - np.maximum.accumulate(np.where(first, places, 0))
    return slot
