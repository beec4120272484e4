"""The whole path on a small maze, as its user types it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import humansoft as hs

Humansoft = Callable[..., Any]
STATE = ("--state", "state_0,state_1")


def test_check_finds_nothing_in_a_good_log(humansoft: Humansoft, log_words: list[object]) -> None:
    ended = humansoft("check", *log_words)
    assert ended.code == 0
    assert "4 people, 120 episodes" in ended.stdout
    document = humansoft("check", *log_words, "--json").document
    assert document["valid"] is True
    assert document["log"]["num_subjects"] == 4


def test_check_lists_errors_with_counts_and_rows(humansoft: Humansoft, maze: Path, tmp_path: Path) -> None:
    table = pd.read_csv(maze / "choices.csv")
    table.loc[4, "action"] = "jump"
    table.to_csv(tmp_path / "bad.csv", index=False)
    words = ["check", tmp_path / "bad.csv", "--task", maze / "task.toml", *STATE]
    ended = humansoft(*words)
    assert ended.code == 5
    assert "unknown" in ended.stdout or "'jump'" in ended.stdout
    document = humansoft(*words, "--json").document
    assert document["valid"] is False
    (error,) = [f for f in document["findings"] if f["severity"] == "error"]
    assert error["problem"] == "unknown_action"
    assert error["count"] == 1
    assert "row 5" in error["first_rows"]


def test_identify_names_the_flat_direction_and_the_options_that_fix_it(
    humansoft: Humansoft, log_words: list[object], model_words: list[str]
) -> None:
    ended = humansoft("identify", *log_words, "--fixed", "step=-1")
    assert ended.code == 3
    assert "Not identified: 1 of 6" in ended.stdout
    assert "`goal`" in ended.stdout
    assert "--fixed NAME=VALUE" in ended.stdout
    document = humansoft("identify", *log_words, "--fixed", "step=-1", "--json").document
    assert (document["identified"], document["num_parameters"], document["rank"]) == (False, 6, 5)
    good = humansoft("identify", *log_words, *model_words)
    assert good.code == 0
    assert "Identified: all 5 free parameters." in good.stdout


def test_fit_refuses_what_the_data_cannot_tell(humansoft: Humansoft, log_words: list[object], tmp_path: Path) -> None:
    ended = humansoft("fit", *log_words, "--fixed", "step=-1", "-o", tmp_path / "run")
    assert ended.code == 3
    assert "Not identified" in ended.stderr
    assert "--allow-unidentified" in ended.stderr
    assert ended.stdout == ""
    assert not (tmp_path / "run").exists()
    error = humansoft("fit", *log_words, "--fixed", "step=-1", "--json").document["error"]
    assert (error["kind"], error["exit_code"]) == ("IdentificationError", 3)


def test_fit_of_what_is_not_identified_is_labelled(humansoft: Humansoft, log_words: list[object]) -> None:
    ended = humansoft("fit", *log_words, "--fixed", "step=-1", "--allow-unidentified", "--json")
    assert ended.code == 0
    assert ended.document["status"] == "not_identified"


def test_fit_prints_estimates_and_saves_a_run(
    humansoft: Humansoft, log_words: list[object], model_words: list[str], tmp_path: Path
) -> None:
    ended = humansoft("fit", *log_words, *model_words, "--seed", 1, "-o", tmp_path / "deep" / "run")
    assert ended.code == 0
    for words in ("Temperature (larger = noisier)", "lava", "95 % interval", "Converged", "Saved: "):
        assert words in ended.stdout
    assert all(len(line) <= 80 for line in ended.stdout.splitlines() if "│" in line or "─" in line)
    fitted = hs.load(tmp_path / "deep" / "run")
    assert fitted.temperatures()["temperature"].tolist() == pytest.approx([0.3, 0.6, 1.2, 2.4], rel=0.3)
    document = humansoft("fit", *log_words, *model_words, "--seed", 1, "--json").document
    assert document["status"] == "converged"
    assert document["log_likelihood"] == pytest.approx(fitted.log_likelihood)
    records = {(row["name"], row["label"]): row for row in document["summary"]}
    assert records["step", "all"]["fixed"] is True
    assert records["step", "all"]["std_error"] is None  # it has none: null, and not NaN
    assert records["temperature", "bob"]["inverse_temperature"] == pytest.approx(
        1 / records["temperature", "bob"]["estimate"]
    )


def test_fit_that_stops_early_is_saved_and_exits_4(
    humansoft: Humansoft, log_words: list[object], model_words: list[str], tmp_path: Path
) -> None:
    ended = humansoft("fit", *log_words, *model_words, "--max-steps", 1, "-o", tmp_path / "run")
    assert ended.code == 4
    assert "Stopped at the step limit" in ended.stdout
    assert "--max-steps" in ended.stdout
    assert hs.load(tmp_path / "run").converged is False
    refused = humansoft("compare", tmp_path / "run")
    assert refused.code == 4
    assert "Stopped at the step limit" in refused.stderr


@pytest.mark.slow
def test_every_kind_of_model_can_be_asked_for(humansoft: Humansoft, maze: Path, log_words: list[object]) -> None:
    table = ("--reward", "state", "--fixed", "(0, 0)=0", "--temperature", "fixed", "--allow-unidentified")
    kinds: list[tuple[object, ...]] = [
        ("--features", "step,lava", "--temperature", "fixed", "--temperature-value", 2),
        ("--features", "step,lava", "--fixed", "step=-1", "--temperature", "shared"),
        ("--features", "step,lava", "--temperature", "per_group", "--group", "group"),
        ("--features", "step,lava", "--planner", "boltzmann"),
        ("--features", "step", "--fixed", "step=-1", "--own-rewards"),
        table,
    ]
    for words in kinds:
        people = ("--participants", maze / "people.csv")
        ended = humansoft("fit", *log_words, *people, *words, "--json")
        assert ended.code == 0, (words, ended.stdout, ended.stderr)


def test_split_fit_score_predict_on_held_out_episodes(
    humansoft: Humansoft, maze: Path, log_words: list[object], model_words: list[str], tmp_path: Path
) -> None:
    log, *rest = log_words
    columns = rest[2:]
    train, held_out = tmp_path / "new" / "train.csv", tmp_path / "new" / "held_out.csv"
    ended = humansoft("split", log, *columns, "--by", "episode", "--seed", 1, "-o", train, held_out)
    assert ended.code == 0
    whole = pd.read_csv(maze / "choices.csv")
    again = humansoft("split", log, *columns, "--seed", 1, "-o", train, held_out, "--force", "--json").document
    assert again["train"]["num_decisions"] + again["held_out"]["num_decisions"] == len(whole)
    parts = pd.concat([pd.read_csv(train), pd.read_csv(held_out)])
    assert len(parts) == len(whole)
    assert set(parts["subject"]) == set(whole["subject"])
    assert humansoft("fit", train, *rest, *model_words, "-o", tmp_path / "run").code == 0

    scores = humansoft("score", tmp_path / "run", held_out, "--json").document["scores"]
    assert [row["predictor"] for row in scores] == [
        *("model", "uniform", "marginal", "empirical_policy", "multinomial_logit"),
    ]
    nats = [row["nats_per_decision"] for row in scores]
    assert nats[0] == min(nats)
    few = humansoft("score", tmp_path / "run", held_out, "--baselines", "uniform,marginal", "--json").document
    assert [row["predictor"] for row in few["scores"]] == ["model", "uniform", "marginal"]
    assert "nats/decision" in humansoft("score", tmp_path / "run", held_out, "--baselines", "none").stdout

    assert humansoft("predict", tmp_path / "run", held_out, "-o", tmp_path / "pred.parquet").code == 0
    predicted = pd.read_parquet(tmp_path / "pred.parquet")
    actions = ["p_up", "p_down", "p_left", "p_right"]
    assert predicted[actions].sum(axis=1).to_numpy() == pytest.approx(1)
    document = humansoft("predict", tmp_path / "run", held_out, "--json").document
    assert len(document["predictions"]) == len(predicted)
    assert document["predictions"][0]["state"] == [0, 0]
    shown = humansoft("predict", tmp_path / "run", held_out).stdout
    assert f"... {len(predicted) - 20:,} more (use -o or --json)" in shown


def test_people_the_run_does_not_know_are_counted_or_refused(
    humansoft: Humansoft, maze: Path, run1: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(maze / "choices.csv")
    table["subject"] = table["subject"].replace("ann", "eve")
    table.to_csv(tmp_path / "others.csv", index=False)
    ended = humansoft("score", run1, tmp_path / "others.csv", "--baselines", "none")
    assert ended.code == 0
    assert "1 person is not in the run" in ended.stdout
    refused = humansoft("score", run1, tmp_path / "others.csv", "--on-unknown", "raise")
    assert refused.code == 2
    assert "'eve'" in refused.stderr


def test_compare_people_and_groups(humansoft: Humansoft, run1: Path, tmp_path: Path) -> None:
    people = humansoft("compare", run1, "--json").document
    assert [row["subject"] for row in people["comparison"]] == ["ann", "bob", "cai", "dov"]
    ended = humansoft("compare", run1, "--by", "group", "-o", tmp_path / "cmp.csv")
    assert ended.code == 0
    assert "Ratios of temperatures" in ended.stdout
    table = pd.read_csv(tmp_path / "cmp.csv")
    assert table["label"].tolist() == ["far", "near", "near / far"]
    assert table.loc[2, "ci_high"] < 1
    wrong = humansoft("compare", run1, "--by", "grupp")
    assert wrong.code == 2
    assert "Did you mean 'group'?" in wrong.stderr


@pytest.mark.slow
def test_a_person_without_a_mistake_is_shown_as_a_bound(
    humansoft: Humansoft, maze: Path, log_words: list[object], model_words: list[str], tmp_path: Path
) -> None:
    people = {"ann": 0.5, "bob": 1.0, "zoe": 1e-3}
    policy = hs.plan(hs.Task.from_toml(maze / "task.toml"), {"step": -1.0, "lava": -2.0}, temperature=people)
    hs.simulate(policy, episodes=20, seed=1).to_dataframe().to_csv(tmp_path / "edge.csv", index=False)
    ended = humansoft("fit", tmp_path / "edge.csv", *log_words[1:], *model_words, "-o", tmp_path / "run")
    assert ended.code == 0
    assert "one-sided" in ended.stdout
    for shown in (ended.stdout, humansoft("compare", tmp_path / "run").stdout):
        (line,) = [line for line in shown.splitlines() if line.strip().startswith("zoe")]
        assert "near 0" in line
        assert "< 0." in line
    rows = humansoft("compare", tmp_path / "run", "--json").document["comparison"]
    assert rows[0]["subject"] == "zoe"
    assert rows[0]["std_error"] is None


def test_compare_several_runs(humansoft: Humansoft, run1: Path) -> None:
    rows = humansoft("compare", run1, run1, "--json").document["comparison"]
    assert sorted({row["fit"] for row in rows}) == [1, 2]
    assert "run" in humansoft("compare", run1, run1).stdout


def test_simulated_people_can_be_fitted_again(
    humansoft: Humansoft, maze: Path, run1: Path, model_words: list[str], tmp_path: Path
) -> None:
    made = tmp_path / "sim.csv"
    assert humansoft("simulate", run1, "--episodes", 5, "--seed", 3, "-o", made).code == 0
    again = humansoft("simulate", run1, "--episodes", 5, "--seed", 3, "--json").document
    assert len(again["decisions"]) == len(pd.read_csv(made)) == again["log"]["num_decisions"]
    assert "Simulated decisions" in humansoft("simulate", run1, "--episodes", 5, "--seed", 3).stdout
    columns = (*STATE, "--next-state", "next_state_0,next_state_1", "--terminated", "terminated")
    words = (made, "--task", maze / "task.toml", *columns, *model_words)
    assert humansoft("fit", *words, "--json").code == 0


def test_plan_prints_the_value_and_likeliest_action_of_every_state(
    humansoft: Humansoft, maze: Path, tmp_path: Path
) -> None:
    words = ["plan", maze / "task.toml", "--reward", "step=-1", "--reward", "goal=10", "--temperature", ".5"]
    ended = humansoft(*words, "-o", tmp_path / "policy.csv")
    assert ended.code == 0
    assert "(the end)" in ended.stdout
    table = pd.read_csv(tmp_path / "policy.csv").set_index(["state_0", "state_1"])
    policy = hs.plan(hs.Task.from_toml(maze / "task.toml"), {"step": -1, "goal": 10}, temperature=0.5)
    for state in ((0, 0), (2, 5)):
        expected = policy.action_distribution(state)
        assert table.loc[state, "action"] == expected.idxmax()
        assert table.loc[state, "p_right"] == pytest.approx(expected["right"])
    document = humansoft(*words, "--json").document
    assert document["policy"][-1]["action"] is None
    assert document["policy"][-1]["value"] == 0


def test_plan_with_a_horizon_has_a_row_a_step(humansoft: Humansoft, maze: Path, tmp_path: Path) -> None:
    text = (maze / "task.toml").read_text(encoding="utf-8")
    timed = tmp_path / "timed.toml"
    timed.write_text(text.replace("discount = 0.95", "discount = 1\nhorizon = 3"), encoding="utf-8")
    document = humansoft("plan", timed, "--reward", "step=-1", "--json").document
    assert sorted({row["step"] for row in document["policy"]}) == [0, 1, 2]
    assert "step" in humansoft("plan", timed, "--reward", "step=-1").stdout
