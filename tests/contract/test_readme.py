"""The README does what it says: its Python and its commands run, and print what it shows."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from humansoft.cli import app

README = Path(__file__).parents[2] / "README.md"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXIT_CODE = "# exit code "


@dataclass(frozen=True)
class Command:
    """One command of a console block, and what the README shows below it."""

    words: list[str]
    code: int
    shown: list[str]


def blocks() -> list[tuple[str, str]]:
    return [(found[1], found[2]) for found in _FENCE.finditer(README.read_text(encoding="utf-8"))]


def commands(console: str) -> Iterator[Command]:
    for part in console.replace("\\\n", " ").split("$ ")[1:]:
        line, *shown = part.splitlines()
        code = next((int(text.removeprefix(_EXIT_CODE)) for text in shown if text.startswith(_EXIT_CODE)), 0)
        lines = [words(text) for text in shown if not text.startswith(_EXIT_CODE)]
        yield Command(shlex.split(line), code, [text for text in lines if text not in ("", "...")])


def words(line: str) -> str:
    """Return a line without the rules of tables and the width of their columns."""
    return " ".join(line.replace("─", " ").split())


def run_command(command: Command) -> None:
    program, *arguments = command.words
    assert program == "humansoft"
    ended = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert ended.exit_code == command.code, ended.output
    printed = iter([words(line) for line in ended.stdout.splitlines()])
    for line in command.shown:  # in this order, maybe with others between
        assert line in printed, f"`{' '.join(command.words)}` does not print {line!r}:\n{ended.stdout}"


@pytest.mark.slow
def test_the_readme_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    session: dict[str, object] = {}
    for language, text in blocks():
        if language == "python":
            exec(compile(text, str(README), "exec"), session)  # one session, as for a reader who types along
        elif language == "console":
            for command in commands(text):
                run_command(command)
        elif language == "toml" and text.startswith("# "):
            Path(text.splitlines()[0].removeprefix("# ")).write_text(text, encoding="utf-8")


def test_the_readme_has_what_the_test_above_is_for() -> None:
    languages = [language for language, _ in blocks()]
    assert languages.count("python") >= 2
    assert sum(len(list(commands(text))) for language, text in blocks() if language == "console") >= 8


def test_the_schema_of_task_files_is_that_of_the_code() -> None:
    import tomllib

    from humansoft.errors import Problems, TaskError
    from humansoft.tasks.toml_schema import check_content

    schema = next(text for language, text in blocks() if language == "toml" and "[contexts.left]" in text)
    content = tomllib.loads(schema)
    kinds = {"grid": "grid", "table": "table", "gymnasium": "gymnasium", "counts": "counts", "union": "contexts"}
    for kind, section in kinds.items():
        task = {**content["task"], "kind": kind}
        with Problems(kind, TaskError) as problems:
            check_content({"task": task, section: content[section]}, problems)
