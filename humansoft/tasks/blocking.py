"""Which transitions a user's words close: states, passages between states, and actions."""

from collections.abc import Hashable, Sequence

import numpy as np

from humansoft.codebook import Labels
from humansoft.errors import Problems, TaskError
from humansoft.tasks.parts import Flags, Index

Pairs = Sequence[tuple[Hashable, Hashable]]


def closed_ways(
    states: Labels,
    actions: Labels,
    ways: tuple[Index, Index, Index],
    closed: tuple[Sequence[Hashable], Pairs, Pairs],
) -> Flags:
    """Return which transitions [L] are closed.

    Args:
        states: labels of the states.
        actions: labels of the actions.
        ways: [L] state, action and next state of each possible transition.
        closed: states that cannot be entered, passages (in both directions), and actions in states.

    Raises:
        TaskError: unknown labels, all at once.
    """
    state, action, next_state = ways
    entered, passages, pairs = closed
    wanted = [(states, label) for label in (*entered, *(end for pair in passages for end in pair))]
    wanted += [pair for s, a in pairs for pair in ((states, s), (actions, a))]
    with Problems("block", TaskError) as problems:
        for labels, label in dict.fromkeys(wanted):
            if label not in labels:
                problems.add(f"unknown {labels.kind} {label!r}.{labels.suggest(label)}")
    found: Flags = (state != next_state) & np.isin(next_state, states.encode(entered))
    for pair in passages:
        one, other = states.encode(pair).tolist()
        found |= ((state == one) & (next_state == other)) | ((state == other) & (next_state == one))
    for s, a in pairs:
        found |= (state == states.encode([s])[0]) & (action == actions.encode([a])[0])
    return found
