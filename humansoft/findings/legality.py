"""Does the log belong to the task? Labels, decisions and transitions that the task does not have.

A row whose state or action the task does not know is reported for that once and left out of all
other questions.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np

from humansoft.errors import shortlist
from humansoft.findings.alignment import Alignment, Mask, suggestion
from humansoft.findings.finding import Finding, Severity
from humansoft.tasks.lookup import action_labels, available_in, probabilities_of, successors_of


def unknown_labels(aligned: Alignment) -> Iterator[Finding]:
    """Yield contexts, states and actions that the task does not have."""
    log, task = aligned.log, aligned.task

    def unknown(kind: str, rows: Mask, label: Callable[[int], Hashable], known: Sequence[Hashable]) -> Finding:
        what = f"have {kind} that the task does not know"
        return Finding(
            f"unknown_{kind.split()[-1]}",
            "error",
            rows,
            what,
            lambda i: f"{label(i)!r}. {suggestion(label(i), known)}",
        )

    if task.goals is None:
        yield unknown("an action", log.responded & (aligned.action < 0), aligned.action_label, task.actions.values)
    else:
        known = (task.goals.links.encode(log.codebook.actions.values) >= 0)[log.action]
        yield unknown("an action", log.responded & ~known, aligned.action_label, task.goals.links.values)
        yield _unknown_turn(aligned, log.responded & known & (aligned.state >= 0) & (aligned.action < 0))
    if task.has_contexts != bool(log.columns.context):
        yield _context_column(aligned)
        return
    rows = aligned.state < 0
    if task.has_contexts:
        contexts = [_pair(label)[0] for label in log.codebook.states.values]
        elsewhere = (task.contexts.encode(contexts) < 0)[log.state]
        yield unknown("a context", elsewhere, lambda i: contexts[log.state[i]], task.contexts.values)
        rows = rows & ~elsewhere
    yield _unknown_state(aligned, rows)


def _unknown_turn(aligned: Alignment, rows: Mask) -> Finding:
    def example(i: int) -> str:
        code = np.full(len(aligned.task.actions), aligned.state[i])
        slots = np.flatnonzero(available_in(aligned.task, code[:1])[0])
        there = shortlist(action_labels(aligned.task, code[: len(slots)], slots))
        return f"{_deed(aligned, i)}. Turns from there: {there}"

    what = "enter a link into which no turn leads from where they are"
    return Finding("unknown_turn", "error", rows, what, example, "Correct these rows, or give the network the turn.")


def _context_column(aligned: Alignment) -> Finding:
    everywhere = np.ones(len(aligned.log), dtype=bool)
    if aligned.task.has_contexts:
        what, names = "have no context, but the task has contexts", shortlist(aligned.task.contexts.values)
        advice = f"Name the column of the maze, layout or goal, read(..., context=...); the task has {names}."
    else:
        what = f"have a context (column {aligned.log.columns.context!r}), but the task has none"
        advice = "Read the log without context=, or join the contexts' tasks with Task.union."
    return Finding("context_column", "error", everywhere, what, advice=advice)


def _unknown_state(aligned: Alignment, rows: Mask) -> Finding:
    """Report unknown states; a hint for a (context, state) pair looks among the states of that context."""
    task = aligned.task

    def example(i: int) -> str:
        label = aligned.state_label(i)
        if not task.has_contexts:
            return f"{label!r}. {suggestion(label, task.states.values)}"
        context, state = _pair(label)
        if task.goals is not None:
            return f"{state!r} on a trip to {context!r}. {suggestion(state, task.goals.links.values)}"
        known = [own for where, own in map(_pair, task.states.values) if where == context]
        return f"{state!r} in context {context!r}. {suggestion(state, known)}"

    what = "have a state that the task does not know"
    if rows.all():
        number = len(np.unique(aligned.log.state))
        what += f" (none of the log's {number} states is in the task: is this the log of another task?)"
    return Finding("unknown_state", "error", rows, what, example)


def _pair(label: Hashable) -> tuple[Hashable, Hashable]:
    """Take a (context, state) label apart; one of an earlier codebook may have no context."""
    return label if isinstance(label, tuple) and len(label) == 2 else (None, label)


def illegal_decisions(aligned: Alignment) -> Iterator[Finding]:
    """Yield decisions that nobody could have taken under the task."""
    log, task = aligned.log, aligned.task

    def options(i: int) -> str:
        slots = np.flatnonzero(available_in(task, aligned.state[i : i + 1])[0])
        there = action_labels(task, np.repeat(aligned.state[i], len(slots)), slots)
        return f"{_deed(aligned, i)}. Available there: {shortlist(there)}"

    yield Finding(
        "decision_in_terminal_state",
        "error",
        aligned.decided & aligned.in_terminal,
        "decide in a terminal state",
        lambda i: repr(aligned.state_label(i)),
        "Nothing is decided after the end: drop these rows, or do not call the state terminal.",
    )
    yield Finding(
        "unavailable_action",
        "error",
        aligned.decided & ~aligned.in_terminal & ~aligned.available,
        "take an action that is not available",
        options,
        "Correct these rows, or give the task the action.",
    )
    if task.horizon is not None and log.counted:
        yield Finding(
            "no_steps",
            "error",
            np.ones(len(log), dtype=bool),
            "have no step, for the log was counted, but the task has a horizon: what people do depends on the step",
            advice="Read the log without counted=True.",
        )
    elif task.horizon is not None:
        yield Finding(
            "beyond_horizon",
            "error",
            log.responded & (log.time >= task.horizon),
            f"come after the last decision of an episode (horizon={task.horizon})",
            advice="Raise the task's horizon, or end these episodes earlier.",
        )


def _deed(aligned: Alignment, i: int) -> str:
    return f"{aligned.action_label(i)!r} in state {aligned.state_label(i)!r}"


def endless_decisions(aligned: Alignment) -> Iterator[Finding]:
    """Yield decisions of infinite value: undiscounted, from where no end can be reached."""
    advice = "Use a discount below 1 or a horizon, or correct the task's terminal states."
    nowhere = aligned.available & (aligned.options == 0)
    yield Finding(
        "endless_state",
        "error",
        nowhere,
        "decide in a state that cannot reach a terminal state, which discount 1 makes infinitely bad",
        lambda i: repr(aligned.state_label(i)),
        advice,
    )
    yield Finding(
        "endless_action",
        "error",
        aligned.available & ~aligned.playable & ~nowhere,
        "take an action that may put a terminal state out of reach, which discount 1 makes infinitely bad",
        lambda i: _deed(aligned, i),
        advice,
    )


def transitions(aligned: Alignment) -> Iterator[Finding]:
    """Yield what the task says cannot happen: errors if it is exact, warnings if it was estimated."""
    log, task = aligned.log, aligned.task
    severity: Severity = "error" if task.exact else "warning"
    if log.columns.next_state:  # else it is the state of the next row, which has been looked at
        yield Finding(
            "unknown_next_state",
            severity,
            (aligned.state >= 0) & (log.next_state >= 0) & (aligned.next_state < 0),
            "lead to a state that the task does not know",
            lambda i: f"{aligned.next_label(i)!r}. {suggestion(aligned.next_label(i), task.states.values)}",
            "" if task.exact else "These rows are still scored.",
        )

    def example(i: int) -> str:
        step = f"{_deed(aligned, i)} led to {aligned.next_label(i)!r}"
        place = task, aligned.state[i : i + 1], aligned.action[i : i + 1]
        reached = successors_of(*place)[probabilities_of(*place) > 0]
        return step + (f", possible are {shortlist(task.states.decode(reached.tolist()))}" if task.exact else "")

    rows = _without_probability(aligned)
    if task.exact:
        advice = "Correct these rows or the task, or estimate its transitions with Task.from_counts."
        yield Finding("impossible_transition", severity, rows, "record an impossible transition", example, advice)
    else:
        what = "record an unseen transition, which the estimated task gives probability 0"
        yield Finding("unseen_transition", severity, rows, what, example, "These rows are still scored.")


def _without_probability(aligned: Alignment) -> Mask:
    """[N] true where P(next state | state, action) is 0, among rows on which all three are known."""
    task = aligned.task
    known = np.flatnonzero(aligned.available & (aligned.next_state >= 0))
    deed = task, aligned.state[known], aligned.action[known]
    led = (successors_of(*deed) == aligned.next_state[known][:, None]) & (probabilities_of(*deed) > 0)
    rows = np.zeros(len(aligned.log), dtype=bool)
    rows[known] = ~led.any(axis=1)
    return rows
