"""Nested pseudo-likelihood: starts near the maximum, and refusals where it says nothing."""

import numpy as np
import pytest
import torch

import humansoft as hs
from humansoft.fit.exact_likelihood import ExactLikelihood
from humansoft.fit.pseudo_likelihood import pseudo_start
from humansoft.planners import Planner

MAZE = "S.L.\n..#.\n.L.G"
WEIGHTS = {"step": -1.0, "goal": 2.0, "lava": -1.5}


def maze(discount: float = 0.95, horizon: int | None = None) -> hs.Task:
    return hs.Task.grid(MAZE, discount=discount, slip=0.1, legend={"L": "lava"}, horizon=horizon)


def likelihood_of_model(task: hs.Task, model: hs.SoftOptimalModel) -> ExactLikelihood:
    log = hs.simulate(hs.plan(task, WEIGHTS, 0.5, model.planner), 60, seed=1, max_steps=30)
    bound = model.bind(log)
    return ExactLikelihood(bound, bound.observe(log))


@pytest.mark.parametrize("planner", ["kl", "entropy"])
@pytest.mark.parametrize(("discount", "horizon"), [(0.95, None), (1.0, 8)])
@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.slow
def test_it_starts_near_the_maximum(planner: Planner, discount: float, horizon: int | None, anchored: bool) -> None:
    task = maze(discount, horizon)
    reward = hs.LinearReward(["step", "lava"], {"step": -1.0} if anchored else None)
    temperature = hs.Shared() if anchored else hs.Fixed(0.5)
    likelihood = likelihood_of_model(task, hs.SoftOptimalModel(task, reward, temperature, planner))
    start = pseudo_start(likelihood)
    assert start is not None
    np.testing.assert_allclose(likelihood.model.table.project(start), start)
    fitted = hs.fit(likelihood.model, _log(task, planner))
    below = fitted.log_likelihood - likelihood.value(torch.from_numpy(start))
    reference = fitted.log_likelihood - likelihood.value(likelihood.start())
    assert 0 <= below < (0.1 if horizon is None else 0.2) * reference  # two rounds, or one


def _log(task: hs.Task, planner: Planner) -> hs.BehaviorLog:
    return hs.simulate(hs.plan(task, WEIGHTS, 0.5, planner), 60, seed=1, max_steps=30)


def test_models_of_another_kind_start_elsewhere() -> None:
    task = maze()
    models = [
        hs.SoftOptimalModel(task, hs.LinearReward(["lava"]), hs.Fixed(1.0), "boltzmann"),
        hs.SoftOptimalModel(task, hs.LinearReward(fixed=WEIGHTS), hs.Fixed(1.0)),
        hs.SoftOptimalModel(task, hs.LinearReward(["step"], {"step": 0.0}), hs.Shared()),
    ]
    for model in models:
        assert pseudo_start(likelihood_of_model(task, model)) is None


def test_it_is_taken_only_if_it_is_better_than_no_preference(monkeypatch: pytest.MonkeyPatch) -> None:
    task = maze()
    likelihood = likelihood_of_model(task, hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)))
    assert pseudo_start(likelihood) is not None
    monkeypatch.setattr(likelihood, "value", lambda full: -1e9)
    assert pseudo_start(likelihood) is None
