"""Changed networks: links and turns that are closed, and new ones that are opened. Codes of links stay as they were."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from humansoft.codebook import Labels
from humansoft.errors import Problems, TaskError, UsageError, shortlist
from humansoft.table_files import read_table
from humansoft.tasks.blocking import Pairs, closed_ways
from humansoft.tasks.network import check_columns, parts_of_turns
from humansoft.tasks.parts import Index, Real
from humansoft.tasks.task import Task

HowBlocked = Literal["stay", "unavailable"]


def closed_network(
    task: Task, links: Sequence[Hashable], passages: Pairs, turns: Pairs, how: HowBlocked | None
) -> Task:
    """Return a network without some of its turns; see :func:`humansoft.block`."""
    goals = task.goals
    assert goals is not None
    if how == "stay":
        raise UsageError("block(how='stay'): on a network nobody stays on a link by trying; leave how= out")
    with Problems("the blocked network", TaskError) as problems:
        for label in links:
            if label in task.states and label not in goals.links:
                problems.add(f"{label!r}: links are closed for trips to all goals, give the link alone")
    closed = closed_ways(goals.links, goals.links, (goals.start, goals.end, goals.end), (links, passages, turns))
    lost = np.setdiff1d(goals.target, goals.end[~closed])
    with Problems("the blocked network", TaskError) as problems:
        if not closed.any():
            problems.add("nothing is blocked: no turn leads that way")
        if len(lost):
            problems.add(
                f"no turn leads into the goals {shortlist(goals.links.decode(lost))} any more: keep one open, or build "
                "the network without these goals"
            )
    kept = ~closed
    features = task.features.numpy()[goals.start, goals.slot][kept]
    return _rebuilt(task, goals.links, goals.start[kept], goals.end[kept], features, "the blocked network")


def add_turns(task: Task, turns: pd.DataFrame | str | Path, *, source: str = "from", target: str = "to") -> Task:
    r"""Return a network with more turns, and with the links that they enter or leave, where these are new.

    A new link needs turns into it and out of it. What :func:`humansoft.block` closes is, in the same way, no turn any
    more; so is a changed turn (a toll, a lower speed) closed and opened anew.

    Args:
        task: the network as it was.
        turns: one turn a row, with a column for each feature of the network: DataFrame, CSV, TSV or Parquet path.
        source: the column of the link that is left.
        target: the column of the link that is entered.

    Raises:
        TaskError: a task that is no network; missing or non-numeric columns, turns that stand twice, or that are there
            already.

    Example:
        >>> import humansoft as hs
        >>> turns = [("home", "main", 2.0), ("main", "work", 0.0)]
        >>> town = hs.Task.network(pd.DataFrame(turns, columns=["from", "to", "minutes"]), features=["minutes"])
        >>> bridge = [("home", "bridge", 1.0), ("bridge", "work", 0.0)]
        >>> wider = hs.add_turns(town, pd.DataFrame(bridge, columns=["from", "to", "minutes"]))
        >>> people = hs.plan(wider, {"minutes": -1.0}, planner="entropy")
        >>> people.action_distribution(("work", "home")).round(2).to_dict()
        {'main': 0.27, 'bridge': 0.73}
    """
    if task.goals is None:
        raise TaskError("add_turns is for networks; in other tasks link(task, state, action, next_state) opens a way")
    known, subject = task.goals.links, "the new turns"
    frame = turns if isinstance(turns, pd.DataFrame) else read_table(Path(turns), TaskError)
    check_columns(frame, source, target, task.feature_names, {}, subject)
    named = Labels.of("link", [*frame[source].tolist(), *frame[target].tolist()])
    links = Labels("link", (*known.values, *(label for label in named.values if label not in known)))
    start, end = links.encode(frame[source].tolist()), links.encode(frame[target].tolist())
    pairs = pd.Series(list(zip(frame[source].tolist(), frame[target].tolist(), strict=True)), dtype=object)
    with Problems(subject, TaskError) as problems:
        if pairs.duplicated().any():
            problems.add(f"{shortlist(pairs[pairs.duplicated()])} stand more than once")
        there = np.isin(start * len(links) + end, task.goals.start * len(links) + task.goals.end)
        if there.any():
            problems.add(f"{shortlist(pairs[there])} are there already: block them first, to change what they are like")
    features = task.features.numpy()[task.goals.start, task.goals.slot]
    more = frame[list(task.feature_names)].to_numpy(dtype=float)
    return _rebuilt(
        task,
        links,
        np.r_[task.goals.start, start],
        np.r_[task.goals.end, end],
        np.concatenate([features, more]),
        "the network with new turns",
    )


def _rebuilt(task: Task, links: Labels, start: Index, end: Index, features: Real, source: str) -> Task:
    """Return the network of other turns [E] with features [E, F], for the same goals."""
    assert task.goals is not None
    parts = parts_of_turns(links, task.goals.target, start, end, features, task.feature_units, source)
    return Task.of_parts(parts, discount=1.0)
