"""Every exit code with its message: 2 usage, 4 not converged, 5 data invalid (0 and 3: the maze's path)."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Humansoft = Callable[..., Any]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--reward", "liner"], "Did you mean 'linear'?"),
        (["--planner", "kll"], "Did you mean 'kl'?"),
        (["--temperature", "per_subjects"], "Did you mean 'per_subject'?"),
        (["--temperature", "per_group"], "--group COLUMN need each other"),
        (["--group", "group"], "--group COLUMN need each other"),
        (["--temperature-value", "2"], "belongs to --temperature fixed"),
        (["--temperature", "fixed", "--temperature-value", "-1"], "above 0"),
        (["--fixed", "step"], "'step' is not NAME=VALUE"),
        (["--fixed", "step=one"], "'one' in 'step=one' is not a number"),
        (["--fixed", "step=1", "--fixed", "step=2"], "'step' has two values"),
        (["--fixed", "stop=1"], "Did you mean 'step'?"),
        (["--features", "step,lav"], "Did you mean 'lava'?"),
        (["--reward", "state", "--features", "step"], "leave out --features"),
        (["--reward", "state", "--fixed", "(9, 9)=1"], "there is no entry '(9, 9)'"),
        (["--path", "somewhere"], "needs --dataset"),
    ],
)
def test_wrong_words_of_a_fit_exit_2(
    humansoft: Humansoft, log_words: list[object], words: list[str], said: str
) -> None:
    ended = humansoft("fit", *log_words, *words)
    assert ended.code == 2
    assert said in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit"], "which task?"),
        (["split", "-o", "a.csv", "b.csv"], "which log?"),
        (["fit", "--dataset", "overcooked_cramped_room", "--subject", "x"], "leave out --subject"),
        (["fit", "a.csv", "--dataset", "overcooked_cramped_room", "--path", "b"], "give one of them"),
    ],
)
def test_missing_or_clashing_sources_exit_2(humansoft: Humansoft, words: list[str], said: str) -> None:
    ended = humansoft(*words)
    assert ended.code == 2
    assert said in ended.stderr


def test_wrong_words_of_other_commands_exit_2(humansoft: Humansoft, maze: Path, run1: Path, tmp_path: Path) -> None:
    log, task = maze / "choices.csv", maze / "task.toml"
    state = ("--state", "state_0,state_1")
    two = ("-o", tmp_path / "a.csv", tmp_path / "b.csv")
    for words, said in (
        (("split", log, *state, "--by", "person", *two), "--by person"),
        (("split", log, *state, "--by", "episode", *two), "--seed"),
        (("split", log, *state, "--by", "time", "--fraction", "2", *two), "between 0 and 1"),
        (("score", run1, log, "--baselines", "uniforn"), "Did you mean 'uniform'?"),
        (("predict", run1, log, "--on-unknown", "rise"), "Did you mean 'raise'?"),
        (("score", run1), "which log? The run was fitted to choices.csv"),
        (("plan", task), "--reward NAME=VALUE"),
        (("plan", task, "--reward", "stop=1"), "Did you mean 'step'?"),
        (("simulate", run1, "--seed", "1", "--episodes", "0"), "at least 1"),
    ):
        ended = humansoft(*words)
        assert ended.code == 2, words
        assert said in ended.stderr


def test_no_solution_exits_4_with_the_feasible_bound(humansoft: Humansoft, maze: Path, tmp_path: Path) -> None:
    text = (maze / "task.toml").read_text(encoding="utf-8")
    (tmp_path / "endless.toml").write_text(text.replace("0.95", "1"), encoding="utf-8")
    words = ["plan", tmp_path / "endless.toml", "--reward", "step=-1", "--planner", "entropy", "--temperature", 5]
    ended = humansoft(*words)
    assert ended.code == 4
    assert "temperature must stay below" in ended.stderr
    error = humansoft(*words, "--json").document["error"]
    assert (error["kind"], error["exit_code"]) == ("SolveError", 4)


def test_invalid_data_exit_5_with_a_sentence(
    humansoft: Humansoft, maze: Path, tmp_path: Path, log_words: list[object]
) -> None:
    log, *rest = log_words
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    (tmp_path / "task.toml").write_text("[task]\nkind = 'gird'\ndiscount = 1\n", encoding="utf-8")
    for words, said in (
        (("fit", maze / "choises.csv", *rest), "Did you mean 'choices.csv'?"),
        (("fit", log, *rest, "--action", "actoin"), "Did you mean 'action'?"),
        (("check", tmp_path / "empty.csv", *rest), "is empty"),
        (("check", log, *rest, "--task", tmp_path / "task.toml"), "Did you mean 'grid'?"),
        (("fit", "--dataset", "overcooked_cramped_rom"), "Did you mean 'overcooked_cramped_room'?"),
        (("datasets", "rust_buss"), "Did you mean 'rust_bus'?"),
        (("compare", tmp_path), "it holds no fit.json"),
    ):
        ended = humansoft(*words)
        assert ended.code == 5, (words, ended.stderr)
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr


def test_impossible_decisions_are_refused_by_fit_and_identify(
    humansoft: Humansoft, maze: Path, log_words: list[object], tmp_path: Path
) -> None:
    table = pd.read_csv(maze / "choices.csv")
    table.loc[2, "action"] = "jump"
    table.to_csv(tmp_path / "bad.csv", index=False)
    for command in ("fit", "identify"):
        ended = humansoft(command, tmp_path / "bad.csv", *log_words[1:])
        assert ended.code == 5
        assert "jump" in ended.stderr
        assert "row 3" in ended.stderr


def test_a_column_that_does_not_exist_can_be_declared_absent(
    humansoft: Humansoft, maze: Path, tmp_path: Path, log_words: list[object]
) -> None:
    table = pd.read_csv(maze / "choices.csv")
    one = table[(table["subject"] == "ann") & (table["episode"] == table["episode"].min())]
    one.drop(columns=["subject", "episode", "step"]).to_csv(tmp_path / "one.csv", index=False)
    refused = humansoft("check", tmp_path / "one.csv", *log_words[1:])
    assert refused.code == 5
    assert "--subject none" in refused.stderr
    none = ("--subject", "none", "--episode", "none", "--step", "none")
    ended = humansoft("check", tmp_path / "one.csv", *log_words[1:], *none)
    assert ended.code == 0
    assert "1 person, 1 episode" in ended.stdout


def test_a_damaged_run_is_refused_with_what_is_wrong(
    humansoft: Humansoft, maze: Path, run1: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "run"
    shutil.copytree(run1, broken)
    (broken / "params.parquet").unlink()
    (broken / "history.parquet").write_bytes(b"edited")
    ended = humansoft("score", broken, maze / "choices.csv")
    assert ended.code == 5
    assert "params.parquet is missing" in ended.stderr
    assert "history.parquet was edited" in ended.stderr
    record = broken / "fit.json"
    record.write_text(record.read_text(encoding="utf-8").replace('"kl"', '"boltzmann"'), encoding="utf-8")
    error = humansoft("compare", broken, "--json").document["error"]
    assert (error["kind"], error["exit_code"]) == ("RunError", 5)
    assert "fit.json was edited" in error["message"]
