"""Steering through mazes (Ho et al. 2022): key presses -> decisions, mazes -> decision processes.

A maze is a context, a cell (x right, y up, from the bottom left) a state; a press into a wall, an
obstacle or the border leaves the cell unchanged; the goal ends the round.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
import pandas as pd

from humansoft.catalogue.dataset import DECISION_COLUMNS, Tables
from humansoft.data.log import BehaviorLog
from humansoft.data.readers import build_log
from humansoft.errors import DatasetError, Problems, TaskError
from humansoft.tasks.task import Task

STEPS, GRIDS = "exp{}_steps.csv.gz", "exp{}_grids.json"
RAW_COLUMNS = (
    *("exp", "subject", "round", "grid", "t", "x", "y", "action", "next_x", "next_y"),
    *("at_goal", "done"),
)

COLUMNS = dataclasses.replace(DECISION_COLUMNS, state=("x", "y"), next_state=("next_x", "next_y"))

MOVES = {"<": (-1, 0), ">": (1, 0), "^": (0, 1), "v": (0, -1)}
"""The arrow keys as (right, up)."""

EARLY = "-earlyterm"
"""Mazes whose names end so stop the round two cells from the start, unknown to the person."""

START, GOAL = "S", "G"


def load_log(tables: Tables, experiments: Sequence[int]) -> BehaviorLog:
    """Return the key presses of one or both experiments, in rounds that run to the goal."""
    parts = [decisions(tables.frame(STEPS.format(n), RAW_COLUMNS), n, only_full_rounds=True) for n in experiments]
    presses = pd.concat(parts, ignore_index=True)
    people = presses[["subject", "experiment"]].drop_duplicates()
    return build_log(presses, COLUMNS, tables.source, participants=people)


def load_task(tables: Tables, experiments: Sequence[int]) -> Task:
    """Return the decision process of every maze of one or both experiments that has full rounds."""
    grids: dict[str, Grid] = {}
    for n in experiments:
        named: dict[str, Grid] = tables.json(GRIDS.format(n))
        grids |= {name: grid for name, grid in named.items() if not name.endswith(EARLY)}
    starts = {(name, (grid["init_state"][0], grid["init_state"][1])): 1.0 for name, grid in grids.items()}
    return Task.table(
        transitions(grids),
        discount=1.0,
        state=["x", "y"],
        next_state=["next_x", "next_y"],
        context="context",
        features=["step"],
        units={"step": "per key press"},
        actions=list(MOVES),
        initial=starts,
    )


class Grid(TypedDict):
    """One maze of the published grids file.

    Attributes:
        feature_array: lines of the maze, top first; one character a cell.
        init_state: start cell (x, y).
        absorbing_states: cells that end the round.
        wall_features: characters that block.
    """

    feature_array: list[str]
    init_state: list[int]
    absorbing_states: list[list[int]]
    wall_features: list[str]


def decisions(steps: pd.DataFrame, experiment: int, *, only_full_rounds: bool = False) -> pd.DataFrame:
    """Return the key presses of one experiment, one row a decision.

    A round that the experimenter stopped early ends in a truncation: the person was still on the
    way to the goal.

    Args:
        steps: the table ``expN_steps``, or several of them stacked.
        experiment: 1 (obstacles visible) or 2 (obstacles vanish at the first move).
        only_full_rounds: leave out the mazes that stop the round early (half of experiment 2).

    Returns:
        Columns subject ("exp1-0": numbers repeat between experiments, people do not), episode
        (round), step, context (maze), x, y, action, next_x, next_y, experiment, terminated (the
        goal was reached) and truncated (the round ended elsewhere).

    Raises:
        DatasetError: when the table has no rows of the experiment.
    """
    here = steps["exp"] == experiment
    if not here.any():
        known = sorted(int(number) for number in steps["exp"].unique())
        raise DatasetError(f"experiment {experiment}: the table of steps has experiments {known}")
    if only_full_rounds:
        here &= ~steps["grid"].str.endswith(EARLY)
    rows = steps[here].reset_index(drop=True)
    last, at_goal = rows["done"] == 1, rows["at_goal"] == 1
    return pd.DataFrame(
        {
            "subject": f"exp{experiment}-" + rows["subject"].astype(str),
            "episode": rows["round"],
            "step": rows["t"],
            "context": rows["grid"],
            **{name: rows[name] for name in ("x", "y", "action", "next_x", "next_y")},
            "experiment": experiment,
            "terminated": last & at_goal,
            "truncated": last & ~at_goal,
        }
    )


def maze_rows(grid: Grid) -> pd.DataFrame:
    """Return one row a cell of a maze: x, y, mark, wall, start, goal.

    Raises:
        TaskError: when the lines differ in length, or there is not one start and one goal.

    Example:
        >>> maze = {"feature_array": ["#G", "S."], "wall_features": ["#"]}
        >>> rows = maze_rows(maze)
        >>> rows[rows["goal"]][["x", "y"]].values.tolist()
        [[1, 1]]
    """
    lines = grid["feature_array"]
    if len({len(line) for line in lines}) != 1:
        raise TaskError(f"a maze needs lines of one length, got {[len(line) for line in lines]}")
    marks = np.array([list(line) for line in reversed(lines)])
    y, x = np.indices(marks.shape)
    rows = pd.DataFrame({"x": x.ravel(), "y": y.ravel(), "mark": marks.ravel()})
    rows["wall"] = rows["mark"].isin(grid["wall_features"])
    rows["start"], rows["goal"] = rows["mark"] == START, rows["mark"] == GOAL
    with Problems("the maze", TaskError) as problems:
        for what, mark in (("start", START), ("goal", GOAL)):
            if rows[what].sum() != 1:
                problems.add(f"it needs one {what} {mark!r}, got {rows[what].sum()}")
    return rows


def transitions(grids: Mapping[str, Grid]) -> pd.DataFrame:
    """Return the decision processes of the mazes as one long table, one row a cell and key.

    The goal has no rows of its own: nothing is decided there. Early ends are ignored, for people
    did not know of them.

    Args:
        grids: mazes by name.

    Returns:
        Columns context, x, y, action, next_x, next_y, probability (1), terminal (the move enters
        the goal) and the feature step (1 a press: its natural weight is -1).
    """
    return pd.concat([_maze_transitions(name, grid) for name, grid in grids.items()], ignore_index=True)


def _maze_transitions(name: str, grid: Grid) -> pd.DataFrame:
    rows = maze_rows(grid)
    shape = (int(rows["y"].max()) + 1, int(rows["x"].max()) + 1)
    # A border of walls around the maze, so that no move needs a bounds check.
    blocked = np.pad(rows["wall"].to_numpy().reshape(shape), 1, constant_values=True)
    goal = rows[rows["goal"]]
    deciding = rows[~rows["wall"] & ~rows["goal"]]
    x, y = (np.repeat(deciding[axis].to_numpy(), len(MOVES)) for axis in ("x", "y"))
    right, up = np.tile(np.array(list(MOVES.values())), (len(deciding), 1)).T
    stuck = blocked[y + up + 1, x + right + 1]
    next_x, next_y = np.where(stuck, x, x + right), np.where(stuck, y, y + up)
    return pd.DataFrame(
        {
            "context": name,
            "x": x,
            "y": y,
            "action": np.tile(list(MOVES), len(deciding)),
            "next_x": next_x,
            "next_y": next_y,
            "probability": 1.0,
            "terminal": (next_x == goal["x"].item()) & (next_y == goal["y"].item()),
            "step": 1.0,
        }
    )
