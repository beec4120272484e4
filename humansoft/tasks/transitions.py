"""Sparse transitions as successor lists, and which actions can still lead to an end."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.tasks.parts import Index, Real


@dataclass(frozen=True, eq=False)
class Transitions:
    """P(next state | state, action) as lists of at most K successors.

    Attributes:
        successors: [S, A, K] code of each successor; padding points to the state itself.
        probabilities: [S, A, K] their probabilities; padding and unavailable actions have 0.
    """

    successors: Int[Tensor, "S A K"]
    probabilities: Float[Tensor, "S A K"]

    @classmethod
    def of_triples(
        cls,
        state: Index,
        action: Index,
        next_state: Index,
        probability: Real,
        num_states: int,
        num_actions: int,
    ) -> "Transitions":
        """Build successor lists from one entry a possible transition; duplicates are summed."""
        key = (state * num_actions + action) * num_states + next_state
        distinct, inverse = np.unique(key, return_inverse=True)
        total = np.bincount(inverse, weights=probability, minlength=len(distinct))
        pair, successor = distinct // num_states, distinct % num_states
        place = np.arange(len(pair)) - np.searchsorted(pair, pair)  # within the list of its pair
        most = int(place.max(initial=0)) + 1
        own = np.repeat(np.arange(num_states), num_actions)
        successors = np.repeat(own[:, None], most, axis=1)
        probabilities = np.zeros((num_states * num_actions, most))
        successors[pair, place] = successor
        probabilities[pair, place] = total
        shape = (num_states, num_actions, most)
        return cls(
            torch.from_numpy(successors.astype(np.int64).reshape(shape)),
            torch.from_numpy(probabilities.reshape(shape)).to(DTYPE),
        )

    def to_triples(self) -> tuple[Index, Index, Index, Real]:
        """Return (state, action, next state, probability), one entry a possible transition."""
        probabilities = self.probabilities.numpy()
        state, action, place = np.nonzero(probabilities > 0)
        return (
            state,
            action,
            self.successors.numpy()[state, action, place],
            probabilities[state, action, place],
        )


def ending_actions(
    transitions: Transitions, available: Bool[Tensor, "S A"], terminal: Bool[Tensor, "S"]
) -> Bool[Tensor, "S A"]:
    """Mark the actions that surely lead to states from which a terminal state can be reached.

    Undiscounted, any other action has value minus infinity (its costs never end). States without
    such an action (cells inside walls) are harmless as long as nobody is in them.
    """
    usable = available.clone()
    while True:
        can_end = _can_reach(terminal, transitions, usable)
        leads = (can_end[transitions.successors] | (transitions.probabilities == 0)).all(dim=-1)
        kept = usable & leads & can_end[:, None]
        if bool((kept == usable).all()):
            return usable
        usable = kept


def _can_reach(terminal: Bool[Tensor, "S"], transitions: Transitions, usable: Bool[Tensor, "S A"]) -> Bool[Tensor, "S"]:
    """Walk backwards from the terminal states along usable actions."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order

    state, action, following, _ = transitions.to_triples()
    kept = usable.numpy()[state, action]
    size = len(terminal)
    ends = np.flatnonzero(terminal.numpy())
    # One extra node leads to every terminal state: one search instead of one for each.
    source = np.r_[following[kept], np.full(len(ends), size)]
    target = np.r_[state[kept], ends]
    graph = coo_array((np.ones(len(source)), (source, target)), shape=(size + 1, size + 1)).tocsr()
    found = breadth_first_order(graph, size, return_predecessors=False)
    reached = torch.zeros(size + 1, dtype=torch.bool)
    reached[torch.from_numpy(found.astype(np.int64))] = True
    return reached[:size]
