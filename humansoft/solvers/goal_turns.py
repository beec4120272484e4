"""The turns of a network as goals share them, and the few links on which goals differ."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from humansoft.tasks.goals import Goals

Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Real = npt.NDArray[np.float64]

_MOST_ANCHORS = 8


@dataclass(frozen=True, eq=False)
class GoalTurns:
    """The turns of a network from which some of its goals can be reached.

    Attributes:
        start: [E] link that each turn leaves.
        end: [E] link that it enters.
        slot: [E] its slot.
        share: [L] probability of each turn of a link under the reference policy, on trips that do not end next.
        target: [G] link that ends the trips to each goal.
        is_inner: [G] true where turns leave that link.
        reach: [G, L] where a trip can end.
        gate_goal: [Z] place of the goal for which a link has one turn more than for others: into the goal.
        gate_link: [Z] that link.
        anchors: goals that can be reached from nearly everywhere, one of them; none where turns are not counted.
    """

    start: Index
    end: Index
    slot: Index
    share: Real
    target: Index
    is_inner: Flags
    reach: Flags
    gate_goal: Index
    gate_link: Index
    anchors: Index

    @classmethod
    def of(cls, goals: Goals, goal: Index, is_counted: bool) -> "GoalTurns":
        """Collect the turns for some goals (codes [G]); under the kl planner turns are counted."""
        size, target, reach = len(goals.links), goals.target[goal], goals.reach[goal]
        anywhere = np.asarray(reach.any(axis=0))
        used = anywhere[goals.end]
        start, end = goals.start[used], goals.end[used]
        number = np.bincount(goals.start[~goals.closed[goals.end]], minlength=size)
        place = np.full(size, -1)
        place[target] = np.arange(len(goal))
        # Where the goal is the only way on, one turn more makes no difference.
        gates = np.flatnonzero(goals.closed[end] & (number[start] > 0)) if is_counted else np.zeros(0, dtype=np.int64)
        return cls(
            start=start,
            end=end,
            slot=goals.slot[used],
            share=1.0 / np.maximum(number, 1) if is_counted else np.ones(size),
            target=target,
            is_inner=~goals.closed[target],
            reach=reach,
            gate_goal=place[end[gates]],
            gate_link=start[gates],
            anchors=_anchors(reach) if is_counted else np.zeros(0, dtype=np.int64),
        )


def _anchors(reach: Flags) -> Index:
    """Return goals [few] of which at least one can be reached from wherever any can, as far as few goals do."""
    left, found = np.asarray(reach.any(axis=0)), list[int]()
    while left.any() and len(found) < _MOST_ANCHORS:
        found.append(int(reach[:, left].sum(axis=1).argmax()))
        left = left & ~reach[found[-1]]
    return np.array(found, dtype=np.int64)
