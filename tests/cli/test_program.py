"""The program itself: help, version, what it loads, usage errors."""

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMANDS = (
    *("check", "identify", "split", "fit", "predict", "score", "compare", "simulate", "plan", "datasets", "demo"),
    *("profile", "bootstrap", "profile-discount"),
)
Humansoft = Callable[..., Any]
PROGRAM = [sys.executable, "-c", "import sys; from humansoft.cli import app; sys.argv[0] = 'humansoft'; app()"]
ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TERM": "xterm", "COLUMNS": "80"}


def test_help_lists_every_command_in_about_a_second() -> None:
    start = time.perf_counter()
    ended = subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True, env=environment(), check=True)
    took = time.perf_counter() - start
    assert all(command in ended.stdout for command in COMMANDS)
    assert "Exit codes: 0 ok, 2 usage, 3 not identified, 4 not converged, 5 data invalid" in ended.stdout
    assert took < 5  # it takes 0.5 s; a machine with other work gets ten times that


def test_importing_the_program_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'pandas', 'numpy', 'pytorch_lightning', 'scipy', 'sklearn', 'pyarrow'}"
    code = f"import sys, humansoft.cli; print(sorted({heavy} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_speaks_json(humansoft: Humansoft, command: str) -> None:
    ended = humansoft(command, "--help")
    assert ended.code == 0
    assert "--json" in ended.stdout


def test_version_is_printed(humansoft: Humansoft) -> None:
    ended = humansoft("--version")
    assert ended.code == 0
    assert ended.stdout.startswith("humansoft ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fti"], "Did you mean 'fit'"),
        (["fit", "--tusk", "x"], "--tusk"),
        (["simulate", "run1"], "--seed"),
        (["plan"], "TASK"),
    ],
)
def test_typing_errors_are_usage_errors(humansoft: Humansoft, words: list[str], said: str) -> None:
    ended = humansoft(*words)
    assert ended.code == 2
    assert said in ended.stderr
    assert ended.stdout == ""


def test_typing_errors_are_json_when_json_is_asked_for(humansoft: Humansoft) -> None:
    ended = humansoft("fit", "--tusk", "x", "--json")
    assert ended.code == 2
    error = ended.document["error"]
    assert error["kind"] == "UsageError"
    assert error["exit_code"] == 2
    assert "--tusk" in error["message"]
    assert ended.stderr == ""


def test_other_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch, humansoft: Humansoft) -> None:
    from humansoft.cli import logs

    def fail(name: str | None, as_json: bool) -> None:
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(logs, "run_datasets", fail)
    for words in (["datasets"], ["datasets", "--json"]):
        with pytest.raises(ZeroDivisionError, match="a bug of ours"):
            humansoft(*words)


@pytest.mark.slow
def test_progress_of_a_fit_goes_to_the_terminal_and_results_to_stdout(
    log_words: list[object], model_words: list[str]
) -> None:
    seen, stderr = pty.openpty()
    words = [str(word) for word in (*log_words, *model_words)]
    with subprocess.Popen(
        [*PROGRAM, "fit", *words], stdout=subprocess.PIPE, stderr=stderr, env=environment(), text=True
    ) as process:
        os.close(stderr)
        shown = b""
        while True:
            try:
                chunk = os.read(seen, 4096)
            except OSError:  # how Linux says that the other end was closed
                break
            if not chunk:
                break
            shown += chunk
        assert process.stdout is not None
        printed = process.stdout.read()
    os.close(seen)
    assert process.returncode == 0
    assert b"fitting: step" in shown
    assert b"log-likelihood" in shown
    assert printed.startswith("4 people")
    assert "fitting" not in printed
