"""People in the Tartarus maze (de Cothi et al. 2022): moves -> decisions, mazes -> decision processes.

Ten by ten modules on a large floor, some of them removed; people walk from module to module towards
a goal they cannot see. Modules are numbered 1-100, row by row from the north-west corner. Only moves
to a free neighbour exist; reaching the goal ends the trial.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from humansoft.catalogue.dataset import DECISION_COLUMNS, Tables
from humansoft.data.log import BehaviorLog
from humansoft.data.readers import build_log
from humansoft.tasks.task import Task

STEPS, MAZES = "human_steps.csv.gz", "mazes.json"
RAW_COLUMNS = (
    *("subject", "maze", "trial", "t", "state", "action", "next_state"),
    *("reward", "done", "after_goal"),
)

SIDE, GOAL, REMOVED = 10, 34, -1
MOVES = {"N": (-1, 0), "S": (1, 0), "E": (0, 1), "W": (0, -1)}
"""The moves as (rows down, columns right)."""


def load_log(tables: Tables) -> BehaviorLog:
    """Return the moves up to the first arrival at the goal: the authors' likelihood sample."""
    return build_log(decisions(tables.frame(STEPS, RAW_COLUMNS)), DECISION_COLUMNS, tables.source)


def load_task(tables: Tables) -> Task:
    """Return the decision process of every maze configuration."""
    return Task.table(
        transitions(tables.json(MAZES)["mazes"]),
        discount=1.0,
        context="context",
        features=["step"],
        units={"step": "per move"},
        actions=list(MOVES),
    )


def decisions(steps: pd.DataFrame) -> pd.DataFrame:
    """Return one row a decision; moves after the first arrival at the goal are left out.

    Args:
        steps: the table ``human_steps``, one row a move.

    Returns:
        Columns subject, episode ("maze-trial"), step, context (maze), state, action, next_state,
        terminated (the goal was reached) and truncated (the trial ended elsewhere).
    """
    rows = steps[steps["after_goal"] == 0].reset_index(drop=True)
    last, arrived = rows["done"] == 1, rows["reward"] == 1
    return pd.DataFrame(
        {
            "subject": rows["subject"],
            "episode": rows["maze"].astype(str) + "-" + rows["trial"].astype(str),
            "step": rows["t"],
            "context": rows["maze"],
            "state": rows["state"],
            "action": rows["action"],
            "next_state": rows["next_state"],
            "terminated": last & arrived,
            "truncated": last & ~arrived,
        }
    )


def transitions(mazes: Sequence[Sequence[Sequence[int]]]) -> pd.DataFrame:
    """Return the decision processes of the mazes as one long table, one row a module and move.

    Args:
        mazes: rows of modules from the north, -1 where one was removed; the place is the context.

    Returns:
        Columns context, state, action, next_state and the feature step (1 a move: its natural
        weight is -1). The goal and removed modules have no rows.
    """
    return pd.concat(
        [_maze_transitions(context, np.array(maze) != REMOVED) for context, maze in enumerate(mazes)],
        ignore_index=True,
    )


def _maze_transitions(context: int, free: np.ndarray) -> pd.DataFrame:
    """List the moves of one maze; ``free`` [row, column] is true where there is a module."""
    padded = np.pad(free, 1)
    number = np.arange(1, SIDE * SIDE + 1).reshape(SIDE, SIDE)
    parts = []
    for action, (down, right) in MOVES.items():
        there = padded[1 + down : 1 + down + SIDE, 1 + right : 1 + right + SIDE]
        state = number[free & there & (number != GOAL)]
        following = state + SIDE * down + right
        parts.append(pd.DataFrame({"state": state, "action": action, "next_state": following}))
    return pd.concat(parts, ignore_index=True).assign(context=context, step=1.0)
