"""The likelihood of many people who want the same and differ in temperature: solved at nodes, interpolated between.

log pi(a|s) and its derivatives are smooth in the log temperature, so they are worked out at Chebyshev nodes and
interpolated for everybody. The equations to be solved then do not grow with the number of people. A person's part
is linear in the person's counts; with W [B, J] the weight of node j for person b, the whole log-likelihood is that
of the nodes with counts W' N. Derivatives by temperature are those of the interpolation.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.codebook import Labels
from humansoft.fit.arrow import ArrowMatrix
from humansoft.fit.chebyshev import NODES, Pieces, probes
from humansoft.fit.choice_likelihood import ChoiceLikelihood
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.fit.likelihood import LOG_TEMPERATURE_LIMIT, AbstractLikelihood
from humansoft.fit.network_likelihood import NetworkLikelihood
from humansoft.fit.nodes import Choices, Nodes, Piece
from humansoft.model import SoftOptimalModel
from humansoft.parameters import Parameter, Parameters
from humansoft.solvers.expansion import Observations
from humansoft.temperature import PerSubject

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Result = TypeVar("Result")

TOLERANCE = 1e-6
"""Largest error of log pi(a|s) with which estimates are reported; where it may be larger, everybody is solved for."""

_MANY = 64  # temperatures: below, solving for each of them is as cheap as for the nodes
_CHUNK = 50_000  # observations interpolated at a time


def likelihood_of(model: SoftOptimalModel, observations: Observations) -> AbstractLikelihood:
    """Return the likelihood of what the people of a bound model did, by nodes where there are many temperatures."""
    if model.task.goals is not None:
        return NetworkLikelihood(model, observations)
    if model.choice:
        return ChoiceLikelihood(model, observations)
    several = len(np.unique(observations.row)) > _MANY and not model.rows_are_people
    # With the entropy planner and no discount, the hotter nodes of most pieces would have no solution.
    always = model.task.discount < 1 or model.task.horizon is not None or model.planner == "kl"
    return InterpolatedLikelihood(model, observations) if several and always else ExactLikelihood(model, observations)


def _or_for_everybody(method: Callable[..., Result]) -> Callable[..., Result]:
    """Solve for everybody where a node has no solution: it may be hotter or colder than all people."""

    @wraps(method)
    def chosen(self: "InterpolatedLikelihood", full: Tensor, *rest: Any) -> Result:  # noqa: ANN401
        if self._nodes(full).log_policy is None:
            found: Result = getattr(self._everybody, method.__name__)(full, *rest)
            return found
        return method(self, full, *rest)

    return chosen


@dataclass(eq=False)
class InterpolatedLikelihood(AbstractLikelihood):
    """The likelihood by interpolation between temperatures; people share the reward."""

    _latest: tuple[bytes, Nodes] | None = field(default=None, repr=False)
    _pieces: dict[int, Piece] = field(default_factory=dict, repr=False)

    @_or_for_everybody
    def by_person(self, full: Float[Tensor, " P"]) -> Real:
        """Return the log-likelihood of each person [B], minus infinity where the problem has no solution."""
        nodes = self._nodes(full)
        total: Real = (nodes.weights.value * nodes.decided).sum(axis=1)
        return total

    @_or_for_everybody
    def log_prob(self, full: Float[Tensor, " P"]) -> Float[Tensor, " N"] | None:
        """Return log pi(a|s) of each observation, or ``None`` where the problem has no solution."""
        nodes = self._nodes(full)
        return torch.from_numpy(self._at_observations(nodes, nodes.solved[:, :, None], nodes.weights.value)[:, 0])

    @_or_for_everybody
    def gradient(self, full: Float[Tensor, " P"]) -> Real:
        """Return d log L / d parameters [P]."""
        nodes = self._nodes(full)
        by_weight = np.zeros(len(full[self.model.table.rewards]))
        if self.num_shared:
            for exact, point in nodes.weighted():
                by_weight += exact.gradient(point)[: len(by_weight)]
        own = (nodes.weights.slope * nodes.decided).sum(axis=1) * self._inside(full)
        return np.where(self.model.table.free, np.concatenate([by_weight, self._by_group(own)]), 0.0)

    @_or_for_everybody
    def hessian(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return the Hessian of log L [P, P], over free parameters."""
        nodes, num_shared = self._nodes(full), self.num_shared
        inside = self._inside(full)
        own = (nodes.weights.bend * nodes.decided).sum(axis=1) * inside
        edge, corner = np.zeros((len(own), 0)), np.zeros((0, 0))
        if num_shared:
            scores = nodes.scores[:, :, :num_shared]
            edge = self._for_people(nodes, scores, nodes.weights.slope) * inside[:, None]
            corner = np.sum([exact.hessian(point).corner for exact, point in nodes.weighted()], axis=0)
        return self._arrow(own, edge, corner)

    @_or_for_everybody
    def expected_information(self, full: Float[Tensor, " P"]) -> ArrowMatrix:
        """Return the Fisher information [P, P]: sum over visits of E[score score'] under the model."""
        nodes, num_shared = self._nodes(full), self.num_shared
        inside = self._inside(full)
        scores = nodes.scores
        chance = np.exp(nodes.solved)[:, :, None]
        mixed = chance * scores[:, :, -1:] * scores  # of the temperature with everything
        visited = np.add.reduceat(mixed, self._first_choices(nodes), axis=0)
        by_person = self._for_people(nodes, visited, nodes.weights.value, self._visits(nodes)) * inside[:, None]
        corner = np.zeros((0, 0))
        if num_shared:
            corner = np.sum([exact.expected_information(point).corner for exact, point in nodes.weighted()], axis=0)
        return self._arrow(by_person[:, -1] * inside, by_person[:, :num_shared], corner)

    @_or_for_everybody
    def jacobian(self, full: Float[Tensor, " P"], shift: Float[Tensor, "S A"] | None = None) -> Real:
        """Return d log pi(a|s) / d color of each observation [N, colors]."""
        nodes, num_shared = self._nodes(full), self.num_shared
        scores = nodes.scores
        if shift is not None:
            shifted = [piece.exact.jacobian(point, shift)[:, -1:] for piece, point in nodes]
            scores = np.concatenate([scores, np.vstack(shifted).reshape(-1, NODES, 1)], axis=2)
        kept = [k for k in range(scores.shape[2]) if k != num_shared]
        columns = self._at_observations(nodes, scores[:, :, kept], nodes.weights.value)
        found = [columns[:, :num_shared], columns[:, num_shared:]]
        if self.directions.is_temperature.any():
            own = self._at_observations(nodes, nodes.solved[:, :, None], nodes.weights.slope)
            found.insert(1, own * self._inside(full)[self.observations.person][:, None])
        return np.hstack(found)

    @_or_for_everybody
    def require_solvable(self, full: Float[Tensor, " P"]) -> None:
        """Raise the solver's sentence when there is no solution at a parameter vector: here, there is one."""

    def num_nodes(self, full: Float[Tensor, " P"]) -> int:
        """Return at how many temperatures the equations are solved."""
        return NODES * len(self._nodes(full).pieces)

    def largest_error(self, full: Float[Tensor, " P"]) -> float:
        """Return the largest error of log pi(a|s) of anything that people on a piece of the scale could have done.

        Measured against the solution between the nodes; pieces on which only people at a boundary are do not count.
        """
        nodes = self._nodes(full)
        if nodes.log_policy is None:
            return 0.0  # everybody is solved for
        table, worst = self.model.table, 0.0
        inner = np.unique(nodes.piece[table.free[table.is_temperature][self.model.group_of_subject]])
        for place in inner.tolist():
            points = probes(nodes.numbers[place])
            known = nodes.points[place]
            exact = self._at_temperatures(len(points)).log_prob(torch.cat([known[:-NODES], torch.from_numpy(points)]))
            own = nodes.pieces[place].log_policy(known)
            if exact is None or own is None:
                return np.inf
            found = own @ Pieces(points).weights.value.T
            worst = max(worst, float(np.abs(found - exact.numpy().reshape(found.shape)).max(initial=0.0)))
        return worst

    def tables(self, full: Float[Tensor, " P"], person: int, states: Index) -> tuple[Tensor, Tensor]:
        """Return the values [T, S] and log policy [T, S, A] of a person in some states of contexts that people met."""
        nodes, task = self._nodes(full), self.model.task
        place = nodes.piece[person]
        exact = nodes.pieces[place].exact
        solution, expansion = exact.solve(nodes.points[place]), exact.expansion
        timed = task.horizon is not None
        value, logs = (t if timed else t[None] for t in (solution.value, solution.log_policy))
        values, policies = torch.zeros(len(value), len(states), dtype=DTYPE), torch.zeros(1, dtype=DTYPE)
        for node, weight in enumerate(nodes.weights.value[person].tolist()):
            where = torch.from_numpy(expansion.place(task, np.full(len(states), node), states))
            values = values + weight * value[:, where]
            policies = policies + weight * logs[:, where].masked_fill(~task.playable[states], 0.0)
        return values, policies

    def _kept(self, observations: Observations) -> Self:
        return type(self)(self.model, observations, None, self._pieces)

    def _of(self, observations: Observations) -> AbstractLikelihood:
        return likelihood_of(self.model, observations)

    @cached_property
    def choices(self) -> Choices:
        """All that can be decided in what was met."""
        return Choices.of(self.observations, self.model)

    @property
    def num_shared(self) -> int:
        """Free parameters of the reward, all of them shared."""
        return int((self.model.table.free & ~self.model.table.is_temperature).sum())

    def _nodes(self, full: Float[Tensor, " P"]) -> Nodes:
        """Return the nodes at a parameter vector; the last ones are kept."""
        here = full.detach().numpy().tobytes()
        if self._latest is not None and self._latest[0] == here:
            return self._latest[1]
        pieces = Pieces(self._log_temperature(full).clip(-LOG_TEMPERATURE_LIMIT, LOG_TEMPERATURE_LIMIT))
        shared = full[self.model.table.rewards].detach()
        points = tuple(torch.cat([shared, torch.from_numpy(own)]) for own in pieces.nodes)
        place = pieces.piece[self.observations.person] * len(self.choices.action) + self.choices.of_observation
        size = (len(self.model.subjects), len(pieces.used) * len(self.choices.action))
        counts = csr_array((self.observations.weight, (self.observations.person, place)), shape=size)
        solved = tuple(self.piece(number) for number in pieces.used)
        nodes = Nodes(pieces.used, solved, points, pieces.piece, pieces.weights, place, counts)
        self._latest = (here, nodes)
        return nodes

    def _log_temperature(self, full: Float[Tensor, " P"]) -> Real:
        """Return the log temperature of each person [B]."""
        own: Real = full[self.model.table.temperatures].detach().numpy()[self.model.group_of_subject]
        return own

    def _inside(self, full: Float[Tensor, " P"]) -> Real:
        """1 where a person's log temperature is within its limits, and moves with its parameter; else 0."""
        return (np.abs(self._log_temperature(full)) < LOG_TEMPERATURE_LIMIT).astype(np.float64)

    def piece(self, number: int) -> Piece:
        """Return a piece, made once."""
        if number not in self._pieces:
            self._pieces[number] = Piece(self._at_temperatures(NODES))
        return self._pieces[number]

    def _at_temperatures(self, count: int) -> ExactLikelihood:
        """Return the likelihood of one observation of each choice at each of some temperatures."""
        choices, shape = self.choices, (len(self.choices.action), count)
        row, state, time, action = (
            np.broadcast_to(code, shape).ravel()
            for code in (np.arange(count), choices.state[:, None], choices.time[:, None], choices.action[:, None])
        )
        names = Labels("subject", tuple(range(count)))
        model = self.model.bound_to(names, names, np.arange(count))
        model.temperature = PerSubject()
        rewards = [row for row in self.model.table.rows if row.kind == "reward"]
        own = [Parameter("log_temperature", "log_temperature", "subject", label=label) for label in names.values]
        model.table = Parameters.of([*rewards, *own])
        return ExactLikelihood(model, Observations(row, state, time, action, np.ones(len(row)), row, row))

    @cached_property
    def _everybody(self) -> ExactLikelihood:
        """The likelihood solved for everybody, for parameters at which a node has no solution."""
        return ExactLikelihood(self.model, self.observations)

    def _first_choices(self, nodes: Nodes) -> Index:
        """Return where the choices of each (piece, time, state) begin."""
        first = np.flatnonzero(np.diff(self.choices.place, prepend=-1))
        size = len(self.choices.action)
        starts: Index = (np.arange(nodes.counts.shape[1] // size)[:, None] * size + first).ravel()
        return starts

    def _visits(self, nodes: Nodes) -> csr_array:
        """Return how often each person was at each (piece, time, state)."""
        first = self._first_choices(nodes)
        lengths = np.diff(np.r_[first, nodes.counts.shape[1]])
        gather = csr_array(
            (np.ones(lengths.sum()), (np.arange(lengths.sum()), np.repeat(np.arange(len(first)), lengths)))
        )
        return csr_array(nodes.counts @ gather)

    def _for_people(self, nodes: Nodes, table: Real, weights: Real, counts: csr_array | None = None) -> Real:
        """Sum a table [.., NODES, K] over each person's counts and interpolate it [B, K]."""
        given = nodes.counts if counts is None else counts
        summed: Any = given @ table.reshape(len(table), -1)
        found: Real = np.einsum("bj,bjk->bk", weights, np.asarray(summed).reshape(len(weights), NODES, -1))
        return found

    def _at_observations(self, nodes: Nodes, table: Real, weights: Real) -> Real:
        """Interpolate a table [pieces * D, NODES, K] at the observations [N, K]."""
        person, count = self.observations.person, len(self.observations)
        found = np.empty((count, table.shape[2]))
        for low in range(0, count, _CHUNK):
            some = slice(low, low + _CHUNK)
            found[some] = np.einsum("nj,njk->nk", weights[person[some]], table[nodes.place[some]])
        return found

    def _by_group(self, by_person: Real) -> Real:
        groups = len(self.model.groups)
        return np.bincount(self.model.group_of_subject, by_person, groups).astype(np.float64)

    def _arrow(self, own: Real, edge: Real, corner: Real) -> ArrowMatrix:
        """Put second derivatives by each person's temperature [B], with what is shared [B, k], to their groups."""
        layout = self.directions.layout
        temperatures = layout.own.shape[1]  # 0 where all are fixed
        blocks = self._by_group(own)[:, None, None][:, :temperatures, :temperatures]
        edges = np.stack([self._by_group(column) for column in edge.T], axis=1) if edge.shape[1] else edge[:0]
        edges = edges.reshape(len(layout.owner), 1, -1)[:, :temperatures]
        return ArrowMatrix(layout, blocks, edges, corner)
