"""Policies of tasks on disk: what was saved answers, acts and is evaluated as what is loaded."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import humansoft as hs
from humansoft.solvers.choosing import ChoiceRule

GRID = hs.Task.grid("S.G\n...", discount=0.9)
STEP = {"step": -1.0}


PEOPLE = {"ann": 0.3, "b": 1.5}
SLIPS = ChoiceRule(torch.tensor([0.7, -2.0], dtype=torch.float64), sticks_within=None, biased=(1,), lapses=True)
POLICIES = {
    "people": lambda: hs.plan(GRID, STEP, PEOPLE),
    "horizon": lambda: hs.plan(hs.Task.grid("S.G\n...", discount=1.0, horizon=4), STEP, PEOPLE, planner="entropy"),
    "boltzmann": lambda: hs.plan(GRID, STEP, 0.5, planner="boltzmann"),
    "slips": lambda: dataclasses.replace(hs.plan(GRID, STEP, 0.5), choice=SLIPS),
}


@pytest.mark.parametrize("name", list(POLICIES))
def test_a_loaded_policy_is_the_saved_one(name: str, tmp_path: Path) -> None:
    policy = POLICIES[name]()
    again = hs.Policy.load(policy.save(tmp_path / "policy"))
    assert again.subjects == policy.subjects
    for subject in policy.subjects.values:
        pd.testing.assert_series_equal(
            again.action_distribution((0, 0), subject), policy.action_distribution((0, 0), subject)
        )
    np.testing.assert_array_equal(again.value.numpy(), policy.value.numpy())
    assert again.solution.status is policy.solution.status
    assert hs.simulate(again, 3, seed=2) == hs.simulate(policy, 3, seed=2)
    pd.testing.assert_frame_equal(hs.occupancy(again), hs.occupancy(policy))


@pytest.mark.parametrize("planner", ["entropy", "kl"])
def test_a_loaded_policy_in_a_network_is_the_saved_one(planner: str, tmp_path: Path) -> None:
    edges = pd.DataFrame(
        {"from": ["a", "a", "b", "b", "d"], "to": ["b", "d", "c", "d", "c"], "length": [1.0, 1.5, 1.0, 0.5, 1.0]}
    )
    task = hs.Task.network(edges, features=["length"], goals=["c", "d"])
    policy = hs.plan(task, {"length": -1.0}, PEOPLE, planner=planner)  # type: ignore[arg-type]
    again = hs.Policy.load(policy.save(tmp_path / "policy"))
    np.testing.assert_array_equal(again.log_policy.numpy(), policy.log_policy.numpy())
    assert repr(again) == repr(policy)
    assert repr(policy).startswith("Policy(2 subjects, converged, Task(")
    trips = {("c", "a"): 2.0, ("d", "a"): 1.0}
    pd.testing.assert_frame_equal(hs.occupancy(again, trips), hs.occupancy(policy, trips))
    assert again.solution.status is policy.solution.status


def test_what_was_edited_or_is_something_else_is_refused(tmp_path: Path) -> None:
    policy = hs.plan(GRID, STEP, 0.5)
    folder = policy.save(tmp_path / "policy")
    with pytest.raises(hs.errors.RunError, match="exists already"):
        policy.save(folder)
    with pytest.raises(hs.errors.RunError, match=r"load it with Policy\.load"):
        hs.EnvironmentPolicy.load(folder)
    few = hs.PolicyGradient.for_environment(num_steps=1)
    learned = hs.plan_in("FrozenLake-v1", temperature=0.5, seed=1, solver=few, num_epochs=1)
    with pytest.raises(hs.errors.RunError, match=r"load it with EnvironmentPolicy\.load"):
        hs.Policy.load(learned.save(tmp_path / "learned"))
    record: dict[str, Any] = json.loads((folder / "policy.json").read_text())
    record["task"]["discount"] = 0.5
    (folder / "policy.json").write_text(json.dumps(record))
    with pytest.raises(hs.errors.RunError, match="edited after"):
        hs.Policy.load(folder)
    with pytest.raises(hs.errors.RunError, match=r"(?s)2 problems.*policy.json is missing"):
        hs.Policy.load(tmp_path)
