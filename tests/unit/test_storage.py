"""Runs on disk: equal after a round trip, and honest about damage."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import humansoft as hs


@pytest.fixture(scope="module")
def fitted() -> hs.Fit:
    tasks = {name: hs.Task.grid(maze, discount=0.95, legend={"L": "lava"}) for name, maze in MAZES.items()}
    task = hs.Task.union(tasks)
    policy = hs.plan(task, {"goal": 1.0, "lava": -0.5}, temperature={7: 0.6, 8: 0.9})
    log = hs.simulate(policy, 30, seed=2, max_steps=15)
    model = hs.SoftOptimalModel(task, hs.LinearReward(["goal", "lava"], fixed={"goal": 1.0}), hs.PerSubject())
    return hs.fit(model, log, seed=5)


MAZES = {"one": "S.L\n..G", "two": "S..\n.L.\n..G"}


def test_a_run_loads_back_equal(fitted: hs.Fit, tmp_path: Path) -> None:
    hs.save(fitted, tmp_path / "run")
    again = hs.load(tmp_path / "run")
    assert again == fitted
    assert again.subjects.values == (7, 8)
    pd.testing.assert_frame_equal(again.summary(), fitted.summary())
    for kind in ("hessian", "bhhh", "sandwich_by_episode"):
        np.testing.assert_array_equal(again.std_errors(kind), fitted.std_errors(kind))


def test_a_loaded_run_predicts_the_same(fitted: hs.Fit, tmp_path: Path) -> None:
    log = hs.simulate(fitted, 3, seed=9)
    hs.save(fitted, tmp_path / "run")
    pd.testing.assert_frame_equal(hs.predict(hs.load(tmp_path / "run"), log), hs.predict(fitted, log))


def test_different_fits_are_not_equal(fitted: hs.Fit) -> None:
    log = hs.simulate(fitted, 20, seed=11)
    other = hs.fit(hs.SoftOptimalModel(fitted.model.task, fitted.model.reward, hs.PerSubject()), log, seed=5)
    assert other != fitted


def test_no_pickle_and_readable_json(fitted: hs.Fit, tmp_path: Path) -> None:
    folder = hs.save(fitted, tmp_path / "run")
    assert {p.suffix for p in folder.iterdir()} == {".json", ".parquet", ".safetensors"}
    record = json.loads((folder / "fit.json").read_text())
    assert record["status"] == "CONVERGED"
    assert record["versions"]["torch"]


def test_an_existing_run_is_kept(fitted: hs.Fit, tmp_path: Path) -> None:
    hs.save(fitted, tmp_path / "run")
    with pytest.raises(hs.errors.RunError, match="exists already"):
        hs.save(fitted, tmp_path / "run")
    hs.save(fitted, tmp_path / "run", overwrite=True)


def test_a_folder_of_something_else_is_never_replaced(fitted: hs.Fit, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("...")
    with pytest.raises(hs.errors.RunError, match="something else than a run"):
        hs.save(fitted, tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter1.tex").exists()


def test_damage_is_named_all_at_once(fitted: hs.Fit, tmp_path: Path) -> None:
    folder = hs.save(fitted, tmp_path / "run")
    (folder / "params.parquet").unlink()
    (folder / "history.parquet").write_bytes(b"edited")
    record = json.loads((folder / "fit.json").read_text())
    (folder / "fit.json").write_text(json.dumps(record | {"log_likelihood": -1.0}))
    with pytest.raises(hs.errors.RunError) as caught:
        hs.load(folder)
    message = str(caught.value)
    assert "3 problems" in message
    assert "params.parquet is missing" in message
    assert "history.parquet was edited" in message
    assert "fit.json was edited" in message


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(hs.errors.RunError, match=r"holds no fit\.json"):
        hs.load(tmp_path)


def test_a_cut_json_is_a_sentence(fitted: hs.Fit, tmp_path: Path) -> None:
    folder = hs.save(fitted, tmp_path / "run")
    text = (folder / "fit.json").read_text()
    (folder / "fit.json").write_text(text[: len(text) // 2])
    with pytest.raises(hs.errors.RunError, match="damaged"):
        hs.load(folder)


def test_an_interrupted_save_leaves_nothing(fitted: hs.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    # `humansoft.fit` is the verb, so the module is asked for by its name
    monkeypatch.setattr(sys.modules["humansoft.fit.storage"], "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        hs.save(fitted, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
