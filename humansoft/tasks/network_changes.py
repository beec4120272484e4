"""Changed networks: links and turns that are closed, and new ones that are opened. Codes of links stay as they were."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from humansoft.codebook import Labels
from humansoft.errors import Problems, TaskError, UsageError, did_you_mean, near_miss, refuse_text, shortlist
from humansoft.tasks.blocking import TwoLabels, closed_ways
from humansoft.tasks.lookup import network_of
from humansoft.tasks.network import check_columns, parts_of_turns, table_of_turns
from humansoft.tasks.parts import Flags, Index, Real
from humansoft.tasks.task import Task

HowBlocked = Literal["stay", "unavailable"]

_SHOWN = 8  # of the links that are lost, one by one


def closed_network(
    task: Task, links: Sequence[Hashable], passages: TwoLabels, turns: TwoLabels, how: HowBlocked | None
) -> Task:
    """Return a network without some of its turns; see :func:`humansoft.block`."""
    goals = network_of(task)
    if how == "stay":
        raise UsageError("block(how='stay'): on a network nobody stays on a link by trying; leave how= out")
    with Problems("the blocked network", TaskError) as problems:
        for label in links:
            if label in task.states and label not in goals.links:
                problems.add(f"{label!r}: links are closed for trips to all goals, give the link alone")
    closed = closed_ways(goals.links, goals.links, (goals.start, goals.end, goals.end), (links, passages, turns))
    lost = np.setdiff1d(goals.target, goals.end[~closed & (goals.start != goals.end)])  # nobody enters from itself
    with Problems("the blocked network", TaskError) as problems:
        if len(lost):
            problems.add(
                f"no turn leads into the goals {shortlist(goals.links.decode(lost))} any more: keep one open, or build "
                "the network without these goals"
            )
    kept = ~closed
    features = task.features.numpy()[goals.start, goals.slot][kept]
    return _rebuilt(task, goals.links, goals.start[kept], goals.end[kept], features, "the blocked network")


def add_turns(
    task: Task,
    turns: pd.DataFrame | str | Path,
    *,
    source: str = "from",
    target: str = "to",
    origins: Sequence[Hashable] = (),
) -> Task:
    r"""Return a network with more turns, and with the links that they enter or leave, where these are new.

    From the network, a way has to lead to each new link, and from there back to the network. What
    :func:`humansoft.block` closes is, in the same way, no turn any more; so is a changed turn (a toll, a lower speed)
    closed and opened anew.

    Args:
        task: the network as it was.
        turns: one turn a row, with a column for each feature of the network, and no others: DataFrame, CSV, TSV or
            Parquet path.
        source: the column of the link that is left.
        target: the column of the link that is entered.
        origins: new links on which trips only begin: no way has to lead to them.

    Raises:
        TaskError: a task that is no network; missing, unknown or non-numeric columns, turns that stand twice, or that
            are there already, new links to which no way leads, or that lead nowhere; all at once.

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
    refuse_text("origins", origins, TaskError)
    columns = [source, target, *task.feature_names]
    frame = table_of_turns(turns, columns, subject)
    check_columns(frame, source, target, task.feature_names, {}, subject)
    named = Labels.of("link", [*frame[source].tolist(), *frame[target].tolist()])
    links = Labels("link", (*known.values, *(label for label in named.values if label not in known)))
    start, end = links.encode(frame[source].tolist()), links.encode(frame[target].tolist())
    pairs = pd.Series(list(zip(frame[source].tolist(), frame[target].tolist(), strict=True)), dtype=object)
    with Problems(subject, TaskError) as problems:
        more = [column for column in frame.columns if column not in columns]
        if more:
            problems.add(f"columns {shortlist(more)} are no features of the network: take turns[{columns}]")
        _note_lost_links(links, len(known), (start, end), origins, problems)
        if pairs.duplicated().any():
            problems.add(f"{shortlist(pairs[pairs.duplicated()])} stand more than once")
        there = np.isin(start * len(links) + end, task.goals.start * len(links) + task.goals.end)
        if there.any():
            problems.add(f"{shortlist(pairs[there])} are there already: block them first, to change what they are like")
    features = task.features.numpy()[task.goals.start, task.goals.slot]
    added = frame[list(task.feature_names)].to_numpy(dtype=float)
    return _rebuilt(
        task,
        links,
        np.r_[task.goals.start, start],
        np.r_[task.goals.end, end],
        np.concatenate([features, added]),
        "the network with new turns",
    )


def _note_lost_links(
    links: Labels, known: int, turns: tuple[Index, Index], origins: Sequence[Hashable], problems: Problems
) -> None:
    """Note new links that no way joins to the network.

    Args:
        links: labels of the known links, and of the new ones after them.
        known: how many were known.
        turns: [E] links that the new turns leave, and those that they enter.
        origins: new links on which trips only begin.
        problems: where to note it.
    """
    begins, old = links.encode(origins), np.arange(len(links)) < known
    for label, code in zip(origins, begins.tolist(), strict=True):
        if code < known:
            problems.add(f"origin {label!r} is no new link.{did_you_mean(label, links.values[known:])}")
    left, entered = turns
    joined = _following(old | np.isin(np.arange(len(links)), begins), left, entered), _following(old, entered, left)
    ways = "to the new link {!r}; if trips only begin there, origins=[{!r}]", "from the new link {!r} into the network"
    for found, way in zip(joined, ways, strict=True):
        lost = links.decode(np.flatnonzero(~found))
        for label in lost[:_SHOWN]:
            others = (other for other in links.values if other != label)
            problems.add(f"no way leads {way.format(label, label)}.{near_miss(label, others)}")
        if len(lost) > _SHOWN:
            problems.add(f"and so for {len(lost) - _SHOWN} more: {shortlist(lost[_SHOWN:])}")


def _following(found: Flags, start: Index, end: Index) -> Flags:
    """Return which links [L] are among those found, or are got to from them."""
    while True:
        wider = found.copy()
        wider[end[found[start]]] = True
        if (wider == found).all():
            return found
        found = wider


def _rebuilt(task: Task, links: Labels, start: Index, end: Index, features: Real, source: str) -> Task:
    """Return the network of other turns [E] with features [E, F], for the same goals."""
    parts = parts_of_turns(links, network_of(task).target, start, end, features, task.feature_units, source)
    return Task.of_parts(parts, discount=1.0)
