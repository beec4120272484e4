"""--counted: large logs on the command line."""

from pathlib import Path

import pandas as pd
import pytest

import humansoft as hs
from tests.cli.conftest import Humansoft


@pytest.mark.slow
def test_counted_and_ordinary_fits_agree(
    humansoft: Humansoft, log_words: list[object], model_words: list[str], run1: Path, maze: Path, tmp_path: Path
) -> None:
    people = ["--participants", maze / "people.csv"]
    ended = humansoft("fit", *log_words, *people, *model_words, "--counted", "--seed", 1, "-o", tmp_path / "run")
    assert ended.code == 0
    usual, counted = hs.load(run1), hs.load(tmp_path / "run")
    pd.testing.assert_series_equal(counted.params["estimate"], usual.params["estimate"], rtol=1e-7)
    scores = [
        humansoft("score", tmp_path / "run", maze / "choices.csv", *words, "--json").document
        for words in ([], ["--counted"])
    ]
    assert scores[0]["log"]["num_episodes"] == 120
    assert scores[1]["log"]["num_episodes"] is None
    for one, other in zip(scores[0]["scores"], scores[1]["scores"], strict=True):
        assert one["nats_per_decision"] == pytest.approx(other["nats_per_decision"], rel=1e-10)
    means = [
        humansoft("predict", tmp_path / "run", maze / "choices.csv", *words).stdout.splitlines()[-1].split()[-1]
        for words in ([], ["--counted"])
    ]
    assert means[0] == means[1]


def test_groups_of_the_log_are_kept(humansoft: Humansoft, maze: Path, tmp_path: Path) -> None:
    log = pd.read_csv(maze / "choices.csv").assign(half=lambda rows: rows["subject"].isin(["ann", "bob"]))
    log.to_csv(tmp_path / "log.csv", index=False)
    words = [tmp_path / "log.csv", "--task", maze / "task.toml", "--state", "state_0,state_1", "--counted"]
    model = ["--fixed", "step=-1", "--fixed", "goal=0", "--temperature", "per_group", "--group", "half"]
    run = tmp_path / "run"
    lost = humansoft("fit", *words, *model)
    assert lost.code == 5
    assert "A counted log has only the columns it was told to keep, keep=['half']" in " ".join(lost.stderr.split())
    assert humansoft("fit", *words, *model, "--keep", "half", "-o", run).code == 0
    assert humansoft("score", run, tmp_path / "log.csv", "--counted").code == 0


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["check", "--dataset", "overcooked_cramped_room", "--counted"], 2, "small enough: leave out --counted"),
        (["check", "LOG", "--task", "TASK", "--keep", "group"], 2, "--keep belongs to --counted"),
        (
            ["split", "LOG", "--counted", "--by", "time", "-o", "a.csv", "b.csv"],
            5,
            "split by subject, or read it without",
        ),
        (["check", "LOG", "--counted", "--task", "COUNTS"], 5, "a counted log needs the column of the next"),
    ],
)
def test_refusals(humansoft: Humansoft, maze: Path, tmp_path: Path, words: list[str], code: int, sentence: str) -> None:
    (tmp_path / "counts.toml").write_text("[task]\nkind = 'counts'\ndiscount = 0.9\n")
    names = {"LOG": maze / "choices.csv", "TASK": maze / "task.toml", "COUNTS": tmp_path / "counts.toml"}
    state = ["--state", "state_0,state_1"] if "LOG" in words else []
    ended = humansoft(*[names.get(word, word) for word in words], *state)
    assert ended.code == code, ended.stderr
    assert sentence in " ".join(ended.stderr.split())


def test_people_are_held_out_of_a_counted_log(humansoft: Humansoft, maze: Path, tmp_path: Path) -> None:
    words = ["split", maze / "choices.csv", "--state", "state_0,state_1", "--counted", "--by", "subject", "--seed", 1]
    ended = humansoft(*words, "--fraction", 0.25, "-o", tmp_path / "train.csv", tmp_path / "held_out.csv", "--json")
    assert ended.code == 0
    assert (ended.document["train"]["num_subjects"], ended.document["held_out"]["num_subjects"]) == (3, 1)
    again = hs.read(tmp_path / "train.csv", state=["state_0", "state_1"], weight="weight", counted=True)
    assert again.weight.sum() == ended.document["train"]["num_decisions"]
