"""Populations on the command line: methods, formulas, the table before people, exit codes."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import humansoft as hs

Humansoft = Callable[..., Any]


@pytest.fixture(scope="module")
def words(
    maze: Path, log_words: list[object], model_words: list[str], tmp_path_factory: pytest.TempPathFactory
) -> list[object]:
    table = pd.read_csv(maze / "people.csv").assign(age=[20.0, 33.0, 27.0, 45.0])
    path = tmp_path_factory.mktemp("people") / "people.csv"
    table.to_csv(path, index=False)
    return [*log_words, *model_words, "--fixed", "lava=-2", "--participants", path]


def test_hierarchical_fits_print_the_population_before_people(humansoft: Humansoft, words: list[object]) -> None:
    ended = humansoft("fit", *words, "--method", "hierarchical", "--seed", 1)
    assert ended.code == 0
    population, people = (
        ended.stdout.index("Population, log temperature ~ 1"),
        ended.stdout.index("Temperature (larger"),
    )
    assert ended.stdout.index("Reward") < population < people
    assert "sd between people" in ended.stdout
    assert "people integrated out by quadrature" in ended.stdout


def test_a_formula_explains_temperatures(humansoft: Humansoft, words: list[object]) -> None:
    given = ["fit", *words, "--method", "hierarchical", "--temperature", "~ group", "--integrate", "laplace"]
    document = humansoft(*given, "--json").document
    population = document["population"]
    assert (population["formula"], population["integration"]) == ("~ group", "laplace")
    terms = [row["label"] for row in population["params"] if row["name"] == "log_temperature"]
    assert terms == ["Intercept", "group[T.near]"]
    assert [row["name"] for row in population["params"]][-1] == "sd"
    text = humansoft(*given).stdout
    assert "Population, log temperature ~ group; people integrated out by Laplace's method" in text
    assert "group[T.near]" in text


def test_a_formula_without_a_method_has_no_deviations(humansoft: Humansoft, words: list[object]) -> None:
    ended = humansoft("fit", *words, "--temperature", "~ age")
    assert ended.code == 0
    assert "Population, log temperature ~ age; people do not deviate from it" in ended.stdout
    assert "sd between people" not in ended.stdout


def test_people_one_by_one_have_no_population(humansoft: Humansoft, words: list[object]) -> None:
    assert humansoft("fit", *words, "--json").document["population"] is None


@pytest.mark.slow
def test_a_posterior_is_sampled_saved_and_exits_by_its_mixing(
    humansoft: Humansoft, words: list[object], tmp_path: Path
) -> None:
    few = ["--draws", 100, "--tune", 100, "--chains", 2, "--seed", 3]
    ended = humansoft("fit", *words, "--method", "posterior", *few, "-o", tmp_path / "run")
    fitted = hs.load(tmp_path / "run")
    assert fitted.posterior is not None
    assert fitted.posterior.posterior.sizes["draw"] == 100
    assert ended.code == (0 if fitted.status.name == "MIXED" else 4)
    assert "sampled by NUTS" in ended.stdout
    assert "2 chains of 100 draws" in ended.stdout
    assert humansoft("predict", tmp_path / "run", words[0]).code == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--method", "hierarchic"], "Did you mean 'hierarchical'?"),
        (["--method", "hierarchical", "--integrate", "quadratur"], "Did you mean 'quadrature'?"),
        (["--integrate", "laplace"], "--integrate belongs to --method hierarchical"),
        (["--method", "hierarchical", "--chains", "2"], "--chains belongs to --method posterior"),
        (["--method", "posterior", "--chains", "0"], "needs at least 1"),
        (["--method", "posterior", "--draws", "5"], "needs at least 100"),
        (["--method", "hierarchical", "--temperature", "shared"], "needs people who differ"),
        (["--temperature", "~ age", "--group", "group"], "need each other"),
        (["--temperature", "~ aeg"], "'aeg'"),
        (["--temperature", "age ~ group"], "there is no such choice"),
    ],
)
def test_wrong_words_about_populations_are_refused(
    humansoft: Humansoft, words: list[object], given: list[str], said: str
) -> None:
    ended = humansoft("fit", *words, *given)
    assert ended.code in (2, 5)
    assert said in ended.stderr
    assert ended.stdout == ""


def test_people_in_several_conditions_are_known_to_be_the_same(
    humansoft: Humansoft, maze: Path, words: list[object], tmp_path: Path
) -> None:
    table = pd.read_csv(maze / "choices.csv")
    table["block"] = table["episode"].map(lambda episode: f"b{episode % 2}")
    table.to_csv(tmp_path / "log.csv", index=False)
    given = [tmp_path / "log.csv" if word == maze / "choices.csv" else word for word in words]
    given += ["--temperature", "~ block", "--method", "hierarchical"]
    refused = humansoft("fit", *given)
    assert refused.code == 5
    assert "--conditions block" in refused.stderr
    ended = humansoft("fit", *given, "--conditions", "block", "-o", tmp_path / "run")
    assert ended.code == 0
    assert "sd within people" in ended.stdout
    assert "log_temperature_within" not in ended.stdout
    scored = humansoft("score", tmp_path / "run", tmp_path / "log.csv", "--json").document
    assert scored
    fit = hs.load(tmp_path / "run")
    assert fit.training.columns.conditions == ("block",)
    assert list(fit.subjects.values[:2]) == ["ann/b0", "ann/b1"]


def test_what_does_not_tell_of_newcomers_is_said(
    humansoft: Humansoft, maze: Path, words: list[object], tmp_path: Path
) -> None:
    assert humansoft("fit", *words, "--temperature", "~ age", "-o", tmp_path / "run").code == 0
    table = pd.read_csv(maze / "choices.csv").replace({"ann": "eve"})
    table.to_csv(tmp_path / "new.csv", index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("always", hs.errors.NewcomerWarning)
        ended = humansoft("score", tmp_path / "run", tmp_path / "new.csv", "--json")
    assert ended.document["scores"][0]["num_unknown_subjects"] == 1
    assert ended.stderr.startswith("NewcomerWarning: the log has no column 'age'")
    assert "participants is --participants FILE; on_unknown is --on-unknown" in ended.stderr
