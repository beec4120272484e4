"""Choice terms on the command line: fitted, shown, saved, used."""

from pathlib import Path

import pandas as pd
import pytest

import humansoft as hs
from tests.cli.conftest import COLUMNS, PEOPLE, Humansoft


@pytest.fixture(scope="module")
def sticky_log(maze: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decisions of people who repeat themselves and lapse; nobody writes into the folder."""
    task = hs.Task.from_toml(maze / "task.toml")
    terms = (hs.Stickiness(0.8), hs.Lapse(0.05))
    policy = hs.plan(task, {"step": -1.0, "lava": -2.0}, temperature=PEOPLE, choice=terms)
    file = tmp_path_factory.mktemp("sticky") / "choices.csv"
    hs.simulate(policy, episodes=40, seed=1).to_dataframe().to_csv(file, index=False)
    return file


@pytest.mark.slow
def test_a_run_with_choice_terms_goes_through_every_command(
    humansoft: Humansoft, maze: Path, sticky_log: Path, model_words: list[str], tmp_path: Path
) -> None:
    words = [sticky_log, "--task", maze / "task.toml", *COLUMNS, *model_words]
    folder = tmp_path / "run"
    ended = humansoft(
        "fit", *words, "--choice", "lapse,stickiness", "--choice", "action_bias", "--seed", 1, "-o", folder
    )
    assert ended.code == 0, ended.stderr
    table = ended.stdout[ended.stdout.index("Choice (not planned with)") :]
    for name in ("stickiness", "bias[down]", "lapse", "log odds", "probability"):
        assert name in table
    assert "stickiness" not in ended.stdout[: ended.stdout.index("Choice (not planned with)")]
    assert humansoft("score", folder, sticky_log).code == 0
    assert humansoft("predict", folder, sticky_log, "-o", tmp_path / "p.csv").code == 0
    fitted = hs.load(folder)
    assert pd.read_csv(tmp_path / "p.csv")["log_prob"].sum() == pytest.approx(fitted.log_likelihood, rel=1e-6)
    assert humansoft("compare", folder).code == 0
    assert humansoft("simulate", folder, "--episodes", 2, "--seed", 1, "-o", tmp_path / "s.csv").code == 0


@pytest.mark.slow
def test_a_population_shares_its_choice_terms(
    humansoft: Humansoft, maze: Path, sticky_log: Path, model_words: list[str], tmp_path: Path
) -> None:
    words = [sticky_log, "--task", maze / "task.toml", *COLUMNS, *model_words, "--fixed", "lava=-2"]
    given = ["--choice", "lapse=0.05,stickiness", "--method", "hierarchical", "--integrate", "laplace"]
    ended = humansoft("fit", *words, *given, "-o", tmp_path / "run")
    assert ended.code == 0, ended.stderr
    population, choice = (
        ended.stdout.index(title) for title in ("Population, log temperature ~ 1", "Choice (not planned with)")
    )
    assert "stickiness" in ended.stdout[choice:]
    assert "stickiness" not in ended.stdout[population:choice]
    fitted = hs.load(tmp_path / "run")
    assert fitted.population is not None
    assert fitted.population.params.loc[("stickiness", "all"), "estimate"] == fitted.weight("stickiness")
    assert humansoft("predict", tmp_path / "run", sticky_log, "-o", tmp_path / "p.csv").code == 0


def test_known_numbers_are_shown_as_fixed(
    humansoft: Humansoft, maze: Path, sticky_log: Path, model_words: list[str]
) -> None:
    words = [sticky_log, "--task", maze / "task.toml", *COLUMNS, *model_words]
    ended = humansoft("fit", *words, "--choice", "lapse=0.05,stickiness=0.8", "--json")
    assert ended.code == 0, ended.stderr
    rows = {row["name"]: row for row in ended.document["summary"]}
    assert rows["lapse"]["estimate"] == pytest.approx(0.05)
    assert (rows["lapse"]["fixed"], rows["stickiness"]["fixed"]) == (True, True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("laps", "Did you mean 'lapse'"),
        ("lapse=many", "is not a number"),
        ("lapse=1.5", "between 0 and 1"),
        ("action_bias=1", "takes no number"),
        ("lapse,lapse", "given more than once"),
    ],
)
def test_choice_terms_that_do_not_exist_are_usage_errors(
    humansoft: Humansoft, log_words: list[object], given: str, said: str
) -> None:
    ended = humansoft("identify", *log_words, "--choice", given)
    assert ended.code == 2
    assert said in " ".join(ended.stderr.split())


def test_what_identify_proposes_is_translated_into_options(
    humansoft: Humansoft, maze: Path, model_words: list[str], tmp_path: Path
) -> None:
    table = pd.read_csv(maze / "choices.csv")
    table[table["step"] == 0].to_csv(tmp_path / "first.csv", index=False)  # nobody did anything before
    words = [tmp_path / "first.csv", "--task", maze / "task.toml", *COLUMNS, *model_words]
    ended = humansoft("identify", *words, "--temperature", "shared", "--choice", "stickiness")
    assert ended.code == 3
    assert "leave Stickiness() out" in ended.stdout
    assert "Stickiness is --choice stickiness" in " ".join(ended.stdout.split())
