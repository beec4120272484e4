"""Which transitions a user's words close: states, passages between states, and actions."""

from collections.abc import Hashable, Sequence

import numpy as np

from humansoft.codebook import Labels
from humansoft.errors import Problems, TaskError, refuse_text
from humansoft.tasks.parts import Flags, Index

TwoLabels = Sequence[tuple[Hashable, Hashable]]


def closed_ways(
    states: Labels,
    actions: Labels,
    ways: tuple[Index, Index, Index],
    closed: tuple[Sequence[Hashable], TwoLabels, TwoLabels],
) -> Flags:
    """Return which transitions [L] are closed.

    Args:
        states: labels of the states.
        actions: labels of the actions; those of the states, where an action is named by where it leads.
        ways: [L] state, action and next state of each possible transition.
        closed: states that cannot be entered, passages (in both directions), and actions in states.

    Raises:
        TaskError: what is no pair of labels, unknown labels, what closes nothing; all at once.
    """
    entered, passages, pairs = closed
    _check_words(states, actions, closed)
    state, action, next_state = ways
    way, found = "turn" if actions is states else "action", np.zeros(len(state), dtype=bool)
    with Problems("block", TaskError) as problems:
        for label in entered:
            own = (state != next_state) & (next_state == states.encode([label])[0])
            if not own.any():
                problems.add(f"{states.kind} {label!r} blocks nothing: no {way} leads there")
            found |= own
        for pair in passages:
            one, other = states.encode(pair).tolist()
            own = ((state == one) & (next_state == other)) | ((state == other) & (next_state == one))
            if not own.any():
                problems.add(f"passage {pair!r} blocks nothing: no {way} leads that way, nor back")
            found |= own
        for pair in pairs:
            s, a = states.encode(pair[:1])[0], actions.encode(pair[1:])[0]
            own = (state == s) & (action == a)
            if not own.any():
                is_turned = actions is states and bool(((state == a) & (action == s)).any())
                hint = f". Did you mean {(pair[1], pair[0])!r}?" if is_turned else ""
                problems.add(f"{way} {pair!r} blocks nothing: it is not there{hint}")
            found |= own
        if not problems.messages and not found.any():
            problems.add("nothing is blocked: say which states=, passages= or actions=")
    return found


def _check_words(states: Labels, actions: Labels, closed: tuple[Sequence[Hashable], TwoLabels, TwoLabels]) -> None:
    """Refuse what is no list of labels, or of pairs of labels, and unknown labels."""
    for name, items in zip(("states", "passages", "actions"), closed, strict=True):
        refuse_text(f"block({name})", items, TaskError)
    with Problems("block", TaskError) as problems:
        for name, items in (("passages", closed[1]), ("actions", closed[2])):
            for item in items:
                if not (isinstance(item, tuple | list) and len(item) == 2):
                    problems.add(f"{name}= is a list of pairs, {name}=[(one, other), ...]; {item!r} is no pair")
        problems.raise_if_any()
        wanted = [(states, label) for label in (*closed[0], *(end for pair in closed[1] for end in pair))]
        wanted += [pair for s, a in closed[2] for pair in ((states, s), (actions, a))]
        for labels, label in dict.fromkeys(wanted):
            if label not in labels:
                problems.add(f"unknown {labels.kind} {label!r}.{labels.suggest(label)}")
