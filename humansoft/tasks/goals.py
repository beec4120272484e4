"""Goals: an axis over one network. Where people go differs from trip to trip; what leads where does not.

A network task keeps its tables by link, [L, A], once for all goals. Its states are the pairs (goal, link), with
the code goal * L + link, and are never spelled out. An action is the slot of a turn, counted from 0 within the
link that it leaves; its label is the link that it enters.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from humansoft.codebook import Labels, PairLabels

Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Goals:
    """Which links end a trip, and what that means for the turns of a network.

    Attributes:
        links: labels of the L links.
        target: [C] code of the link that ends the trips to each goal.
        start: [E] link that each turn leaves.
        end: [E] link that it enters; turns are in ascending order of (start, end).
        slot: [E] place among the turns of its start.
    """

    links: Labels
    target: Index
    start: Index
    end: Index
    slot: Index

    @cached_property
    def labels(self) -> Labels:
        """Labels of the C goals: those of their links."""
        return Labels("context", tuple(self.links.decode(self.target)))

    @cached_property
    def states(self) -> PairLabels:
        """Labels of the states."""
        return PairLabels("state", replace(self.labels, kind="goal"), self.links)

    @cached_property
    def closed(self) -> Flags:
        """[L] true for goals that no turn leaves: only trips to them enter."""
        closed = np.zeros(len(self.links), dtype=bool)
        closed[self.target] = True
        closed[self.start] = False
        return closed

    @cached_property
    def reach(self) -> Flags:
        """[C, L] whether a trip to a goal can still end from a link."""
        size = len(self.links)
        used = ~self.closed[self.end]
        graph = csr_array((np.ones(used.sum()), (self.start[used], self.end[used])), shape=(size, size))
        number, part = connected_components(graph, connection="strong")
        parts = csr_array((np.ones(used.sum()), (part[self.start[used]], part[self.end[used]])), (number, number))
        reached = np.zeros((number, len(self.target)), dtype=bool)
        goal_of = np.full(size, -1)
        goal_of[self.target] = np.arange(len(self.target))
        enters = goal_of[self.end] >= 0
        reached[part[self.start[enters]], goal_of[self.end[enters]]] = True
        while True:  # as often as the longest way through the strongly connected parts
            further = reached | (parts @ reached.astype(np.float64) > 0)
            if (further == reached).all():
                break
            reached = further
        found: Flags = reached[part].T.copy()
        found[np.arange(len(self.target)), self.target] = True
        return found

    def split(self, state: Index) -> tuple[Index, Index]:
        """Return goal and link of state codes."""
        goal, link = np.divmod(np.maximum(state, 0), len(self.links))
        return goal, link

    def turn(self, link: Index, entered: Index) -> Index:
        """Return the slot of the turn from one link into another, -1 where there is none."""
        keys, wanted = self.start * len(self.links) + self.end, link * len(self.links) + entered
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where((keys[place] == wanted) & (entered >= 0), self.slot[place], -1)
