"""The profiles of people with choice terms: plans interpolated between temperatures, then tilted and lapsed.

What is planned is the same for everybody at one temperature; it is solved for at nodes. What is done is worked out for
everybody's own situations at everybody's own temperatures. It is not interpolated itself: log((1 - epsilon) p + epsilon
u) has singularities near the real line where a lapse is rare, so that an error of 1e-9 in log p would be one of 1e-4.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.fit.abstract_profiles import Profiles, Scores, inside, pieces_of
from humansoft.fit.chebyshev import NODES, Pieces, nodes_of
from humansoft.fit.choice_likelihood import as_planned
from humansoft.fit.interpolated_likelihood import InterpolatedLikelihood
from humansoft.fit.met_situations import Interpolation, MetSituations, Part
from humansoft.model import SoftOptimalModel
from humansoft.solvers.choosing import ChoiceRule, Chosen
from humansoft.solvers.expansion import Observations

Real = npt.NDArray[np.float64]


class _Done(NamedTuple):
    """What is done in the situations of a part, at the temperatures of those who met them."""

    part: Part
    plans: Interpolation
    chosen: Chosen

    def log_likelihood(self) -> Float[Tensor, "M Q"]:
        """Return the log probability of what was done in each situation."""
        return torch.where(self.part.number > 0, self.part.number * self.chosen.log_prob, 0.0).sum(dim=-1)


@dataclass(eq=False)
class ChoosingProfiles(Profiles):
    """People share the reward and choice terms and differ in temperature: K = 1.

    Attributes:
        model: the bound model.
        observations: what its people did.
    """

    model: SoftOptimalModel
    observations: Observations
    _planned: InterpolatedLikelihood = field(init=False, repr=False)
    _parts: dict[int, list[Part]] = field(default_factory=dict, init=False, repr=False)
    _tables: dict[int, tuple[bytes, Tensor]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Take plans from people who do what they plan."""
        self._planned = InterpolatedLikelihood(as_planned(self.model), self.observations)

    def value(self, shared: Real, own: Real) -> Real:
        """Return the log-likelihoods [B, Q], minus infinity without a solution."""
        pieces = pieces_of(own)
        tables = self._log_policy(pieces, shared)
        if tables is None:
            return np.full(own.shape[:2], -np.inf)
        found = torch.zeros(own.shape[:2], dtype=DTYPE)
        for done in self._done(pieces, own.shape[1], tables, shared):
            done.part.add(found, done.log_likelihood())
        return found.numpy()

    def scores(self, shared: Real, own: Real) -> Scores:
        """Return their first derivatives; by temperature, those of the interpolation."""
        found = self.value_and_scores(shared, own)
        assert found is not None, "derivatives are asked for at feasible parameters only"
        return found[1]

    def value_and_scores(self, shared: Real, own: Real) -> tuple[Real, Scores] | None:
        """Return both at once, or ``None`` where somebody has no solution."""
        pieces = pieces_of(own)
        tables = self._log_policy(pieces, shared)
        if tables is None:
            return None
        by_reward = self._by_reward(pieces, shared)
        rule, weights = self._rule(shared), pieces.weights
        value = torch.zeros(own.shape[:2], dtype=DTYPE)
        found = torch.zeros((*own.shape[:2], len(by_reward) + int(self._learned.sum()) + 1), dtype=DTYPE)
        for done in self._done(pieces, own.shape[1], tables, shared):
            pull = done.chosen.pull(done.part.number)
            columns = [(pull * done.plans.of(table, weights.value)).sum(dim=-1) for table in by_reward]
            by_choice = [torch.einsum("mqa,mak->mqk", pull, done.part.tilts)]
            if rule.lapses:
                by_choice.append(done.chosen.by_lapse(done.part.number, rule.logit_lapse)[..., None])
            columns += torch.cat(by_choice, dim=-1)[..., self._learned].unbind(dim=-1)
            columns.append((pull * done.plans.of(tables, weights.slope)).sum(dim=-1))
            done.part.add(value, done.log_likelihood())
            done.part.add(found, torch.stack(columns, dim=-1))
        by_parameter = found.numpy()
        return value.numpy(), Scores(by_parameter[..., :-1], by_parameter[..., -1:] * inside(own))

    def curvature(self, shared: Real, own: Real) -> Real:
        """Return their second derivatives by the log temperature [B, Q, 1, 1]."""
        pieces = pieces_of(own)
        tables = self._log_policy(pieces, shared)
        assert tables is not None, "derivatives are asked for at feasible parameters only"
        weights = pieces.weights
        found = torch.zeros(own.shape[:2], dtype=DTYPE)
        for done in self._done(pieces, own.shape[1], tables, shared):
            chosen, kept = done.chosen, done.part.number * done.chosen.kept
            slope = done.plans.of(tables, weights.slope)
            straight = (chosen.pull(done.part.number) * done.plans.of(tables, weights.bend)).sum(dim=-1)
            apart = slope - (chosen.tilted * slope).sum(dim=-1, keepdim=True)
            spread = kept.sum(dim=-1) * (chosen.tilted * apart**2).sum(dim=-1)
            mixed = (kept * (1.0 - chosen.kept) * apart**2).sum(dim=-1)  # the more it was meant, the less a lapse
            done.part.add(found, straight - spread + mixed)
        bent: Real = (found.numpy()[..., None] * inside(own))[..., None]
        return bent

    def _done(self, pieces: Pieces, values: int, tables: list[Float[Tensor, "J L A"]], shared: Real) -> Iterator[_Done]:
        """Work out what is done in the situations that people met, part by part."""
        rule = self._rule(shared)
        if values not in self._parts:
            self._parts[values] = self._met.parts(values, rule)
        for part in self._parts[values]:
            plans = Interpolation(part, pieces)
            planned = plans.of(tables, pieces.weights.value).masked_fill_(part.closed, -torch.inf)
            log_odds = (part.tilts @ rule.weights[: rule.num_tilts])[:, None, :] if rule.num_tilts else None
            yield _Done(part, plans, rule.choose_tilted(planned, log_odds))

    def _rule(self, shared: Real) -> ChoiceRule:
        return self.model.choice.rule_at(torch.from_numpy(shared[len(shared) - len(self._learned) :]))

    @cached_property
    def _learned(self) -> Bool[Tensor, " K"]:
        """Which of the parameters of choice terms are learned."""
        return torch.from_numpy(self.model.table.free[self.model.table.choices])

    @cached_property
    def _met(self) -> MetSituations:
        """The situations that people met."""
        people, actions = len(self.model.subjects), len(self.model.task.actions)
        return MetSituations.of(self.observations, self._planned.choices, people, actions)

    def _log_policy(self, pieces: Pieces, shared: Real) -> list[Float[Tensor, "J L A"]] | None:
        """Return log pi at the nodes of the pieces, 0 where an action cannot be chosen; ``None`` without a solution."""
        key, found = self._rewards(shared).tobytes(), []
        for number in pieces.used:
            if number not in self._tables or self._tables[number][0] != key:
                table = self._planned.piece(number).log_policy(self._point(number, shared))
                if table is None:
                    return None
                self._tables[number] = (key, self._laid_out(table))
            found.append(self._tables[number][1])
        return found

    def _by_reward(self, pieces: Pieces, shared: Real) -> list[list[Float[Tensor, "J L A"]]]:
        """Return the derivatives of log pi at the nodes by each parameter of the reward that is learned."""
        if not self._planned.num_shared:
            return []
        found = [self._planned.piece(number).scores(self._point(number, shared)) for number in pieces.used]
        return [[self._laid_out(table[:, :, place]) for table in found] for place in range(self._planned.num_shared)]

    def _laid_out(self, column: Real) -> Float[Tensor, "J L A"]:
        """Lay numbers of each (place, action) and node [D, J] out in a table."""
        choices, (places, actions) = self._planned.choices, self._met.available.shape
        found = torch.zeros((NODES, places, actions), dtype=DTYPE)
        found[:, torch.from_numpy(choices.place), torch.from_numpy(choices.action)] = torch.from_numpy(column.T)
        return found

    def _point(self, number: int, shared: Real) -> Float[Tensor, " Q"]:
        """Return the parameters of a piece: those of the reward, and the log temperatures of its nodes."""
        return torch.from_numpy(np.r_[self._rewards(shared), nodes_of(np.array([number]))[0]])

    def _rewards(self, shared: Real) -> Real:
        return shared[: len(shared) - len(self._learned)]
