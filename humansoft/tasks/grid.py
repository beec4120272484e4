"""Text mazes: characters become states, walls, goals and named features."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from humansoft.codebook import Labels
from humansoft.errors import Problems, TaskError, did_you_mean
from humansoft.tasks.parts import TaskParts

Coordinates = Literal["row_column", "x_y"]

MOVES: Mapping[str, tuple[int, int]] = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
_WALL, _FREE, _START, _GOAL = "#", ". ", "S", "G"


def grid_parts(
    maze: str | Path,
    legend: Mapping[str, str] | None = None,
    slip: float = 0.0,
    coordinates: Coordinates = "row_column",
    stay: bool = False,
) -> TaskParts:
    """Turn a text maze into states, moves and features; see :meth:`Task.grid` for the rules."""
    rows, legend = _rows(maze), legend or {}
    _check(rows, legend, slip, coordinates)
    cells = [(r, c) for r, line in enumerate(rows) for c, char in enumerate(line) if char != _WALL]
    code = {cell: i for i, cell in enumerate(cells)}
    chars = [rows[r][c] for r, c in cells]
    terminal = np.array([char == _GOAL for char in chars])
    moves = {**MOVES, "stay": (0, 0)} if stay else dict(MOVES)
    landing = np.array([[code.get((r + y, c + x), i) for y, x in moves.values()] for i, (r, c) in enumerate(cells)])
    intended = (1 - slip) * np.eye(len(moves)) + slip / len(moves)  # a slip draws any move
    state, action, drawn = np.nonzero(np.broadcast_to(intended > 0, (len(cells), *intended.shape)))
    alive = ~terminal[state]
    state, action, drawn = state[alive], action[alive], drawn[alive]
    following = landing[state, drawn]
    probability = intended[action, drawn]
    meaning = {**({_GOAL: "goal"} if terminal.any() else {}), **legend}
    names = list(dict.fromkeys(["step", *meaning.values()]))  # several characters may share a name
    features = np.zeros((len(cells), len(moves), len(names)))
    features[~terminal, :, 0] = 1.0
    for char, name in meaning.items():
        entered = np.array([c == char for c in chars])[following] & (following != state)
        np.add.at(features, (state[entered], action[entered], names.index(name)), probability[entered])
    starts = np.array([char == _START for char in chars])
    return TaskParts(
        states=Labels("state", _labels(cells, len(rows), coordinates)),
        actions=Labels("action", tuple(moves)),
        state=state,
        action=action,
        next_state=following,
        probability=probability,
        features=features,
        feature_units=dict.fromkeys(names, "per entry") | {"step": "per step"},
        terminal=terminal,
        initial=starts / starts.sum() if starts.any() else None,
        source="the maze",
    )


def _rows(maze: str | Path) -> list[str]:
    """Return the lines of the maze, made equally long with walls; blank lines around it do not count."""
    lines = _text(maze).splitlines()
    inside = [i for i, line in enumerate(lines) if line.strip()]
    lines = lines[inside[0] : inside[-1] + 1] if inside else []
    width = max((len(line) for line in lines), default=0)
    return [line.ljust(width, _WALL) for line in lines]


def _text(maze: str | Path) -> str:
    if isinstance(maze, str) and "\n" in maze:
        return maze
    try:
        return Path(maze).read_text(encoding="utf-8")
    except OSError as error:
        raise TaskError(
            f"there is no maze file {maze}; pass a path, or the maze itself as lines of text "
            "(a single line needs a line break at its end)"
        ) from error
    except UnicodeDecodeError as error:
        raise TaskError(f"the maze file {maze} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def _check(rows: list[str], legend: Mapping[str, str], slip: float, coordinates: str) -> None:
    with Problems("the maze", TaskError) as problems:
        if all(char == _WALL for line in rows for char in line):
            problems.add("it has no cells to stand on")
        known = {_WALL, *_FREE, _START, _GOAL, *legend}
        for r, line in enumerate(rows):
            for c, char in enumerate(line):
                if char not in known:
                    hint = f"name it, legend={{{char!r}: 'lava'}}"
                    problems.add(f"line {r + 1}, column {c + 1}: {char!r} has no meaning; {hint}")
        bad = [char for char in legend if len(char) != 1 or char in {_WALL, *_FREE, _START, _GOAL}]
        if bad:
            problems.add(f"legend characters {bad} must be single and not one of '# . S G'")
        if "step" in legend.values():
            problems.add("the name 'step' is taken: it counts decisions")
        if not 0 <= slip < 1:
            problems.add(f"slip={slip} must be in [0, 1)")
        if coordinates not in ("row_column", "x_y"):
            problems.add(f"coordinates={coordinates!r}.{did_you_mean(coordinates, ['row_column', 'x_y'])}")


def _labels(cells: list[tuple[int, int]], height: int, coordinates: str) -> tuple[Hashable, ...]:
    if coordinates == "row_column":
        return tuple(cells)
    return tuple((c, height - 1 - r) for r, c in cells)
