"""Was the behavior recorded as meant? Steps and ends, people who never vary, and normal gaps."""

from collections.abc import Iterator

import numpy as np

from humansoft.codebook import Codes
from humansoft.errors import shortlist
from humansoft.findings.alignment import Alignment, Mask
from humansoft.findings.finding import Finding

ENOUGH_TO_VARY = 10
"""Decisions with a real choice after which always doing the same is odd."""


def no_decisions(aligned: Alignment) -> Iterator[Finding]:
    """Yield a log in which nobody did anything."""
    if not aligned.log.responded.any():
        rows = np.ones(len(aligned.log), dtype=bool)
        yield Finding("no_decisions", "error", rows, "have no response", advice="There is nothing to learn from.")


def order_of_steps(aligned: Alignment) -> Iterator[Finding]:
    """Yield steps that stand twice or are left out, and rows after an episode's end."""
    log = aligned.log
    if not log.counted:  # what is counted has no order
        yield from _steps(aligned)
    yield Finding(
        "terminated_elsewhere",
        "warning",
        log.terminated & (aligned.next_state >= 0) & ~aligned.enters_terminal,
        "are marked as terminated, but lead to a state that is not terminal in the task",
        lambda i: repr(aligned.next_label(i)),
        "If only the recording stopped there, call the column truncated=.",
    )


def _steps(aligned: Alignment) -> Iterator[Finding]:
    log = aligned.log
    follows = ~log.episode_start
    distance = np.diff(log.step, prepend=0)
    yield Finding(
        "duplicate_step",
        "error",
        follows & (distance == 0),
        "repeat the subject, episode and step of another row",
        advice="Drop the copies, or name a column that tells the episodes apart, read(..., episode=...).",
    )
    yield Finding(
        "step_gap",
        "warning",
        follows & (distance > 1),
        "come after a gap in step",
        advice="What happened before them is unknown: no next state is recorded there.",
    )
    over = log.terminated | aligned.enters_terminal
    before: Codes = np.cumsum(over) - over  # ends before each row, over the whole log
    after = before > np.maximum.accumulate(np.where(log.episode_start, before, 0))
    yield Finding(
        # A last row that only names the terminal state is how many programs write the end.
        "row_after_end",
        "warning",
        after & ~aligned.in_terminal,
        "come after a terminal state was entered in their episode",
        advice="Start a new episode there, or correct what the log or the task calls an end.",
    )


def people(aligned: Alignment) -> Iterator[Finding]:
    """Yield people whose responses say little: always the same, or never a choice."""
    log = aligned.log
    chosen = aligned.playable & (aligned.options >= 2)
    size = len(log.codebook.subjects)
    number = np.bincount(log.subject[chosen], weights=log.table_rows[chosen], minlength=size)
    smallest, largest = np.full(size, len(aligned.task.actions)), np.full(size, -1)
    np.minimum.at(smallest, log.subject[chosen], aligned.action[chosen])
    np.maximum.at(largest, log.subject[chosen], aligned.action[chosen])
    # The turns of a network are numbered link by link: always the first one is no habit.
    constant = (number >= ENOUGH_TO_VARY) & (smallest == largest) & (aligned.task.goals is None)
    yield Finding(
        "constant_responder",
        "warning",
        chosen & constant[log.subject],
        f"are of people who did the same in all their decisions ({_named(aligned, constant)})",
        lambda i: f"always {aligned.action_label(i)!r}",
        "Look at these people before you trust their temperature.",
        shown=_first_rows(log.subject, chosen & constant[log.subject]),
    )
    present = np.bincount(log.subject, minlength=size) > 0
    foreign = np.bincount(log.subject[log.responded & ~aligned.decided], minlength=size) > 0
    idle = present & ~foreign & (number == 0)
    yield Finding(
        "subject_without_choice",
        "warning",
        idle[log.subject],
        f"are of people without a single decision between two or more options ({_named(aligned, idle)})",
        advice="The data say nothing about these people's temperature.",
        shown=_first_rows(log.subject, idle[log.subject]),
    )


def _named(aligned: Alignment, who: Mask) -> str:
    return shortlist(aligned.log.codebook.subjects.decode(np.flatnonzero(who).tolist()), 5)


def _first_rows(subject: Codes, rows: Mask) -> Mask:
    """[N] true on each person's first row of ``rows``."""
    places = np.flatnonzero(rows)
    first = np.zeros(len(rows), dtype=bool)
    first[places[np.unique(subject[places], return_index=True)[1]]] = True
    return first


def normal_cases(aligned: Alignment) -> Iterator[Finding]:
    """Yield what is normal in logs of people, and how it is treated."""
    log, task = aligned.log, aligned.task
    yield Finding(
        "missing_response",
        "note",
        ~log.responded,
        "have no response",
        advice="They have no likelihood; the episode goes on.",
    )
    yield Finding(
        "single_option",
        "note",
        aligned.available & (aligned.options == 1),
        "have only one option",
        advice="They carry no information.",
    )
    if log.counted:
        return
    last = np.r_[log.episode_start[1:], True][: len(log)]
    over = log.terminated | aligned.enters_terminal | aligned.in_terminal
    if task.horizon is not None:
        over |= log.time >= task.horizon - 1
    yield Finding(
        "truncated_episode",
        "note",
        last & ~over,
        "are the last of an episode that did not end",
        advice="Only the recording stopped: nothing is assumed about what followed.",
    )
