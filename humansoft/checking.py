"""check: everything that is wrong, odd or worth knowing about a log under a task, counted."""

import numpy as np
import pandas as pd

from humansoft.data.log import BehaviorLog
from humansoft.errors import LogError, Problems
from humansoft.findings import legality, recording
from humansoft.findings.alignment import Alignment
from humansoft.findings.finding import Finding
from humansoft.tasks.task import Task

_QUESTIONS = (
    recording.no_decisions,
    legality.unknown_labels,
    legality.illegal_decisions,
    legality.endless_decisions,
    legality.transitions,
    recording.order_of_steps,
    recording.people,
    recording.normal_cases,
)

_COLUMNS = ("problem", "severity", "count", "share", "first_rows", "message")
_SEVERITIES = ("error", "warning", "note")
_MOST_PLACES = 5


def check(log: BehaviorLog, task: Task) -> pd.DataFrame:
    r"""List every problem of a log under a task, worst first.

    Under an exact task a transition of probability 0 is an error; under one estimated from data it
    was only never seen, which is a warning, and the row is scored. Of a counted log
    nothing is said about the order of decisions and the ends of episodes.

    Args:
        log: the decisions.
        task: what people could do.

    Returns:
        One row a finding: ``problem`` (a stable key), ``severity`` ("error": no fit is possible,
        "warning": probably not meant, "note": normal, and treated as said), ``count`` of rows
        concerned, their ``share``, ``first_rows`` and the whole ``message``.

    Example:
        >>> import pandas as pd, humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95, coordinates="x_y")
        >>> table = pd.DataFrame({"step": [0, 1], "x": [0, 1], "y": [1, 1], "action": ["right", "jump"]})
        >>> log = hs.read(table, subject=None, episode=None, state=["x", "y"])
        >>> found = hs.check(log, task)
        >>> found[["problem", "severity", "count"]].values.tolist()
        [['unknown_action', 'error', 1], ['truncated_episode', 'note', 1]]
    """
    return pd.DataFrame([_row(finding, log) for finding in _findings(log, task)], columns=list(_COLUMNS))


def require_valid(log: BehaviorLog, task: Task) -> None:
    """Refuse a log in which :func:`check` finds errors.

    Raises:
        LogError: all errors, numbered.
    """
    with Problems(log.source, LogError) as problems:
        for finding in _findings(log, task):
            if finding.severity == "error":
                problems.add(_row(finding, log)[-1])


def _findings(log: BehaviorLog, task: Task) -> list[Finding]:
    """Return all findings, worst first."""
    aligned = Alignment(log, task)
    found = [finding for question in _QUESTIONS for finding in question(aligned) if finding.rows.any()]
    if not len(log):
        found = list(recording.no_decisions(aligned))
    return sorted(found, key=lambda finding: _SEVERITIES.index(finding.severity))


def _row(finding: Finding, log: BehaviorLog) -> tuple[str, str, int, float, str, str]:
    count, total = int(log.table_rows[finding.rows].sum()), log.num_decisions
    shown = np.flatnonzero(finding.rows if finding.shown is None else finding.shown)[:_MOST_PLACES].tolist()
    places = [log.where(place) for place in shown]
    first = f", first {places[0]}" if places and count < total else ""
    example = f": {finding.example(shown[0])}" if finding.example and shown else ""
    text = f"{count:,} of {total:,} rows {finding.what}{first}{example}"
    message = f"{text}{'' if text.endswith(('.', '?')) else '.'} {finding.advice}".strip()
    return finding.problem, finding.severity, count, count / max(total, 1), "; ".join(places), message
