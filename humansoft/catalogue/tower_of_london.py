"""Tower of London (Self-Regulation Ontology): moves -> decisions, targets -> decision processes.

Three balls on three pegs that hold 3, 2 and 1. A board is written peg by peg from the left, balls
from bottom to top ("12/3/-": ball 2 lies on ball 1). A move takes the top ball of one peg to
another with room, or puts it back. The target board is the context and ends the problem.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import permutations

import pandas as pd

from humansoft.catalogue.dataset import DECISION_COLUMNS, Tables
from humansoft.data.log import BehaviorLog
from humansoft.data.readers import build_log
from humansoft.errors import TaskError, did_you_mean
from humansoft.tasks.task import Task

SESSION = "session1.csv.gz"
RAW_COLUMNS = ("subject", "problem", "move", "state", "target", "from_peg", "to_peg", "next_state", "done")

CAPACITY = (3, 2, 1)
BALLS = "123"
EMPTY, SEPARATOR = "-", "/"


def load_log(tables: Tables) -> BehaviorLog:
    """Return the completed moves of the first session."""
    return build_log(decisions(tables.frame(SESSION, RAW_COLUMNS)), DECISION_COLUMNS, tables.source)


def load_task(tables: Tables) -> Task:
    """Return the decision process of every target board that occurs."""
    session = tables.frame(SESSION, RAW_COLUMNS)
    first = session[~session.duplicated(["subject", "problem"])]
    return Task.table(
        transitions(sorted(session["target"].unique().tolist())),
        discount=1.0,
        context="context",
        features=["step"],
        units={"step": "per move"},
        initial=Counter(first[["target", "state"]].itertuples(index=False, name=None)),
    )


def boards() -> list[str]:
    """Return the 36 boards in alphabetical order.

    Example:
        >>> len(boards()), boards()[0]
        (36, '-/12/3')
    """
    left, middle, right = CAPACITY
    heights = [
        (i, j, len(BALLS) - i - j)
        for i in range(left + 1)
        for j in range(middle + 1)
        if 0 <= len(BALLS) - i - j <= right
    ]
    orders = ["".join(order) for order in permutations(BALLS)]
    return sorted(_written([order[:i], order[i : i + j], order[i + j :]]) for order in orders for i, j, _ in heights)


def moves(board: str) -> dict[str, str]:
    """Return what can be done on a board: "from>to" (pegs 1-3) -> the board that follows.

    Example:
        >>> moves("-/12/3")
        {'2>1': '2/1/3', '2>2': '-/12/3', '3>1': '3/12/-', '3>3': '-/12/3'}
    """
    pegs = [peg.replace(EMPTY, "") for peg in board.split(SEPARATOR)]
    following = {}
    for origin, balls in enumerate(pegs):
        for goal, room in enumerate(CAPACITY):
            if balls and (goal == origin or len(pegs[goal]) < room):
                after = list(pegs)
                after[origin] = balls[:-1]
                after[goal] += balls[-1]
                following[f"{origin + 1}>{goal + 1}"] = _written(after)
    return following


def decisions(session: pd.DataFrame) -> pd.DataFrame:
    """Return the completed moves, one row a decision.

    Args:
        session: the table ``session1``, one row a move.

    Returns:
        Columns subject, episode (problem), step, context (target board), state, action
        ("from>to"), next_state, terminated (the target was reached) and truncated (the 20
        seconds ran out).
    """
    last, solved = session["done"] == 1, session["next_state"] == session["target"]
    return pd.DataFrame(
        {
            "subject": session["subject"],
            "episode": session["problem"],
            "step": session["move"],
            "context": session["target"],
            "state": session["state"],
            "action": session["from_peg"].astype(str) + ">" + session["to_peg"].astype(str),
            "next_state": session["next_state"],
            "terminated": last & solved,
            "truncated": last & ~solved,
        }
    )


def transitions(targets: Sequence[str]) -> pd.DataFrame:
    """Return the decision processes of some problems as one long table, one row a board and move.

    The target board has no rows of its own: nothing is decided there.

    Args:
        targets: target boards; each becomes a context.

    Returns:
        Columns context, state, action, next_state, probability (1), terminal (the move reaches
        the target) and the feature step (1 a move: its natural weight is -1).

    Raises:
        TaskError: when a target is not one of the 36 boards.

    Example:
        >>> len(transitions(["1/2/3"])["state"].unique())
        35
    """
    known = boards()
    unknown = [target for target in targets if target not in known]
    if unknown:
        raise TaskError(f"not boards of this task: {unknown}.{did_you_mean(unknown[0], known)}")
    rows = [
        (target, board, action, following, 1.0, following == target, 1.0)
        for target in dict.fromkeys(targets)
        for board in known
        if board != target
        for action, following in moves(board).items()
    ]
    columns = ["context", "state", "action", "next_state", "probability", "terminal", "step"]
    return pd.DataFrame(rows, columns=columns)


def _written(pegs: list[str]) -> str:
    return SEPARATOR.join(peg or EMPTY for peg in pegs)
