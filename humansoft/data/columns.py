"""Columns: which column of a table plays which role."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """Which column of the user's table plays which role; ``None`` where a role is not played.

    Attributes:
        subject: the person.
        episode: the run, game or trial of one person; ``None``: one episode a person.
        step: whole number that orders the decisions of an episode; ``None``: the row order.
        state: one or more columns; several make a tuple.
        action: the response; an empty cell is a missing response.
        next_state: the state that followed; ``None``: the state of the next row.
        context: maze, layout or condition in which the states live.
        weight: how often the row counts (> 0).
        terminated: true on a decision that ended the episode in the task itself.
        truncated: true on a decision after which only the recording stopped (a time-out).
        conditions: block, session or condition; every person is a subject of its own in each.
    """

    subject: str | None = "subject"
    episode: str | None = "episode"
    step: str | None = "step"
    state: tuple[str, ...] = ("state",)
    action: str = "action"
    next_state: tuple[str, ...] | None = None
    context: str | None = None
    weight: str | None = None
    terminated: str | None = None
    truncated: str | None = None
    conditions: tuple[str, ...] = ()
