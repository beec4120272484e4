"""A small maze, four simulated people, and the command line to treat them with."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import humansoft as hs
from humansoft.cli import app

TASK = """
[task]
kind = "grid"
discount = 0.95

[grid]
maze = '''
S..L...
.#.#.#.
...L..G
'''
legend = {L = "lava"}
"""
PEOPLE = {"ann": 0.3, "bob": 0.6, "cai": 1.2, "dov": 2.4}
COLUMNS = ("--state", "state_0,state_1", "--next-state", "next_state_0,next_state_1", "--terminated", "terminated")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - whatever the document holds
        """The one JSON document of stdout; NaN and Infinity are not JSON."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        return json.loads(self.stdout, parse_constant=refuse)


Humansoft = Callable[..., Ended]


@pytest.fixture(scope="session")
def humansoft() -> Humansoft:
    """The program, as a function of its words."""

    def run(*words: object) -> Ended:
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def maze(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a task, a log, and a table of participants; nobody writes into it."""
    folder = tmp_path_factory.mktemp("maze")
    (folder / "task.toml").write_text(TASK, encoding="utf-8")
    task = hs.Task.from_toml(folder / "task.toml")
    policy = hs.plan(task, {"step": -1.0, "lava": -2.0}, temperature=PEOPLE)
    table = hs.simulate(policy, episodes=30, seed=1).to_dataframe()
    table.to_csv(folder / "choices.csv", index=False)
    groups = {"subject": list(PEOPLE), "group": ["near", "near", "far", "far"]}
    pd.DataFrame(groups).to_csv(folder / "people.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def log_words(maze: Path) -> list[object]:
    """Words that name the maze's log and task."""
    return [maze / "choices.csv", "--task", maze / "task.toml", *COLUMNS]


@pytest.fixture(scope="session")
def model_words() -> list[str]:
    """Words that give the reward its scale: a step costs 1, and the goal itself is worth nothing."""
    return ["--fixed", "step=-1", "--fixed", "goal=0"]


@pytest.fixture(scope="session")
def run1(
    tmp_path_factory: pytest.TempPathFactory,
    humansoft: Humansoft,
    maze: Path,
    log_words: list[object],
    model_words: list[str],
) -> Path:
    """A saved run of the maze's people; nobody writes into it."""
    folder = tmp_path_factory.mktemp("runs") / "run1"
    people = ["--participants", maze / "people.csv"]
    assert humansoft("fit", *log_words, *people, *model_words, "--seed", 1, "-o", folder).code == 0
    return folder
