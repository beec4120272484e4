"""Temperature nodes: log pi and its derivatives at a few temperatures, from which everybody's are interpolated."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from scipy.sparse import csr_array
from torch import Tensor

from humansoft.fit.chebyshev import NODES, Weights
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.model import SoftOptimalModel
from humansoft.solvers.expansion import Observations

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Choices:
    """The distinct decisions that can be met: all playable actions at all visited times and states.

    Attributes:
        time: [D] time of each.
        state: [D] state code.
        action: [D] action code.
        place: [D] number of its (time, state), in order.
        of_observation: [N] which of them each observation is.
    """

    time: Index
    state: Index
    action: Index
    place: Index
    of_observation: Index

    @classmethod
    def of(cls, seen: Observations, model: SoftOptimalModel) -> "Choices":
        """Collect them."""
        num_states, num_actions = model.task.playable.shape
        moments, place = np.unique(seen.time * num_states + seen.state, return_inverse=True)
        time, state = np.divmod(moments, num_states)
        number, action = np.nonzero(model.task.playable.numpy()[state])
        return cls(
            time[number],
            state[number],
            action,
            number,
            np.searchsorted(number * num_actions + action, place * num_actions + seen.action),
        )


@dataclass(eq=False)
class Piece:
    """The nodes of one piece; what was found for one reward is kept until the next.

    Attributes:
        exact: the likelihood of one observation of each (choice, node), in this order.
    """

    exact: ExactLikelihood
    _found: dict[str, tuple[bytes, Real]] = field(default_factory=dict, repr=False)

    def log_policy(self, point: Float[Tensor, " Q"]) -> Real | None:
        """Return log pi of each choice at each node [D, NODES], ``None`` where there is no solution."""
        if not self._knows("log_policy", point):
            log_prob = self.exact.log_prob(point)
            if log_prob is None:
                return None
            self._found["log_policy"] = (_key(point), log_prob.numpy().reshape(-1, NODES))
        return self._found["log_policy"][1]

    def scores(self, point: Float[Tensor, " Q"]) -> Real:
        """Return derivatives of log pi by what people share, and by the log temperature [D, NODES, shared + 1]."""
        if not self._knows("scores", point):
            jacobian = self.exact.jacobian(point)
            self._found["scores"] = (_key(point), jacobian.reshape(-1, NODES, jacobian.shape[1]))
        return self._found["scores"][1]

    def _knows(self, name: str, point: Tensor) -> bool:
        return name in self._found and self._found[name][0] == _key(point)


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes at one parameter vector.

    Attributes:
        numbers: of the pieces that people are on.
        pieces: these pieces.
        points: for each piece, its parameters: the reward's, and the nodes' log temperatures.
        piece: [B] place of each person's piece among them.
        weights: of the nodes of each person's piece [B, NODES].
        place: [N] number of the (piece, choice) that each observation is.
        counts: [B, pieces * D] how often each person decided what, at the person's piece.
    """

    numbers: tuple[int, ...]
    pieces: tuple[Piece, ...]
    points: tuple[Float[Tensor, " Q"], ...]
    piece: Index
    weights: Weights
    place: Index
    counts: csr_array

    @cached_property
    def log_policy(self) -> Real | None:
        """Log pi of each (piece, choice) at the nodes [pieces * D, NODES]; ``None`` where there is no solution."""
        tables = [piece.log_policy(point) for piece, point in self]
        known = [table for table in tables if table is not None]
        return np.vstack(known) if len(known) == len(tables) else None

    @cached_property
    def solved(self) -> Real:
        """The same, where it is known to be there."""
        assert self.log_policy is not None, "derivatives are asked for at feasible parameters only"
        return self.log_policy

    @cached_property
    def decided(self) -> Real:
        """Log probability of all that each person decided, at the nodes of the person's piece [B, NODES]."""
        found: Real = self.counts @ self.solved
        return found

    @cached_property
    def scores(self) -> Real:
        """Derivatives of log pi [pieces * D, NODES, shared and temperature]."""
        return np.vstack([piece.scores(point) for piece, point in self])

    def __iter__(self) -> Iterator[tuple[Piece, Tensor]]:
        """Return the pieces with their parameters."""
        return zip(self.pieces, self.points, strict=True)

    def weighted(self) -> Iterator[tuple[ExactLikelihood, Tensor]]:
        """Return the pieces' likelihoods with everybody's counts spread over the nodes, and where they are taken."""
        spread: Any = self.counts.T @ self.weights.value
        for (piece, point), part in zip(self, np.split(np.asarray(spread), len(self.pieces)), strict=True):
            yield piece.exact.weighing(part.ravel()), point


def _key(point: Tensor) -> bytes:
    return point.numpy().tobytes()
