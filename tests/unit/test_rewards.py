"""Rewards that are known as a whole: what they are checked for, and that they come back from disk."""

from pathlib import Path

import numpy as np
import pytest
import torch

import humansoft as hs
from humansoft.errors import ModelError


@pytest.fixture(scope="module")
def task() -> hs.Task:
    return hs.Task.grid("S.G\n...", discount=0.95, slip=0.1)


@pytest.fixture(scope="module")
def log(task: hs.Task) -> hs.BehaviorLog:
    return hs.simulate(hs.plan(task, {"step": -1.0}, {"ann": 0.4, "bob": 1.0}), 20, seed=1, max_steps=30)


def test_a_known_reward_comes_back_from_disk(task: hs.Task, log: hs.BehaviorLog, tmp_path: Path) -> None:
    known = hs.KnownReward(-task.available.to(torch.float64))
    fitted = hs.fit(hs.SoftOptimalModel(task, known, hs.PerSubject()), log)
    again = hs.load(hs.save(fitted, tmp_path / "run"))
    assert again == fitted
    scored = hs.score(again, log).loc["model", "log_likelihood"]
    assert scored == pytest.approx(fitted.log_likelihood, abs=1e-9)


def test_arrays_are_copied_and_what_cannot_be_done_is_not_read(task: hs.Task, log: hs.BehaviorLog) -> None:
    values = np.where(task.available.numpy(), -1.0, np.nan)
    known = hs.KnownReward(values)
    values[:] = 7.0
    ours = hs.fit(hs.SoftOptimalModel(task, known, hs.Shared()), log)
    weights = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(["step"], {"step": -1.0}), hs.Shared()), log)
    assert ours.log_likelihood == pytest.approx(weights.log_likelihood, abs=1e-9)


def test_values_that_are_not_of_the_task_are_refused(task: hs.Task) -> None:
    states, actions = task.available.shape
    with pytest.raises(ModelError, match=r"\[S, A\].*shape \(5,\)"):
        hs.KnownReward(np.zeros(5))
    with pytest.raises(ModelError, match=f"7 states and {actions} actions, the task has {states} and {actions}"):
        hs.plan(task, hs.KnownReward(np.zeros((7, actions))), 1.0)
    with pytest.raises(ModelError, match="4 times, the task's horizon is None"):
        hs.plan(task, hs.KnownReward(np.zeros((4, states, actions))), 1.0)


def test_every_value_that_is_no_number_is_named(task: hs.Task) -> None:
    values = torch.zeros(task.available.shape, dtype=torch.float64)
    state = int(task.available.any(dim=1).nonzero()[0])
    first, second = task.available[state].nonzero()[:2, 0].tolist()
    values[state, first], values[state, second] = torch.nan, torch.inf
    with pytest.raises(ModelError) as error:
        hs.plan(task, hs.KnownReward(values), 1.0)
    for action in (first, second):
        assert f"state {task.states.values[state]!r} and action {task.actions.values[action]!r}" in str(error.value)
