"""Intervals of a person's own parameters cover the truth as often as they say, with few episodes and with many.

800 people, or 1600 weights of them, are simulated: a share of .95 is then known to about .007.
"""

import numpy as np
import pytest

import humansoft as hs
from tests.recovery.people import lava_task

TEMPERATURES = (0.05, 0.1, 0.2, 0.4)
LAVA = -1.5


def fitted(episodes: int, own_rewards: bool) -> tuple[hs.Fit, np.ndarray, "slice | list[str]"]:  # type: ignore[type-arg]
    """Fit 800 simulated people one by one, and return the fit, the truth and the names of what is theirs."""
    task = lava_task()
    people = {f"p{i:03}": TEMPERATURES[i % len(TEMPERATURES)] for i in range(800)}
    policy = hs.plan(task, {"goal": 1.0, "lava": LAVA}, people)
    log = hs.simulate(policy, episodes, seed=episodes, max_steps=40)
    if own_rewards:
        model = hs.SoftOptimalModel(task, hs.LinearReward(["goal", "lava"], shared=False), hs.Fixed(1.0))
    else:
        known = hs.LinearReward(["goal", "lava"], {"goal": 1.0, "lava": LAVA})
        model = hs.SoftOptimalModel(task, known, hs.PerSubject())
    fit = hs.fit(model, log)
    names = ["goal", "lava"] if own_rewards else ["log_temperature"]
    weights = {"goal": 1.0, "lava": LAVA}
    index = fit.params.loc[names].index
    truth = [np.log(people[who]) if name == "log_temperature" else weights[name] / people[who] for name, who in index]
    return fit, np.array(truth), names


def coverage(low: np.ndarray, high: np.ndarray, truth: np.ndarray) -> float:  # type: ignore[type-arg]
    return float(((low <= truth) & (truth <= high)).mean())


@pytest.mark.slow
@pytest.mark.parametrize("own_rewards", [False, True])
@pytest.mark.parametrize(("kind", "numbers"), [("hessian", (5, 10)), ("sandwich_by_episode", (25, 40))])
def test_default_intervals_of_a_person_cover_95_percent(kind: str, numbers: tuple[int, int], own_rewards: bool) -> None:
    """Over two numbers of episodes: single ones vary by chance, from .927 to .956 (hessian) and .935 to .954."""
    shares = []
    for episodes in numbers:
        fit, truth, names = fitted(episodes, own_rewards)
        rows = fit.params.loc[names]
        assert set(rows["std_error_kind"]) == {kind}
        shares.append(coverage(rows["ci_low"].to_numpy(), rows["ci_high"].to_numpy(), truth))
    assert 0.93 <= np.mean(shares) <= 0.97


@pytest.mark.slow
def test_a_sandwich_of_few_episodes_would_not_without_its_correction() -> None:
    fit, truth, names = fitted(10, False)
    rows, error = fit.params.loc[names], fit.std_errors("sandwich_by_episode").loc[names].to_numpy()
    estimate = rows["estimate"].to_numpy()
    assert coverage(estimate - 1.96 * error, estimate + 1.96 * error, truth) < 0.925
