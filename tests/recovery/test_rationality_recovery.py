"""Scale-free measures come back from behavior, of people who want different things (SCIENCE 4.4)."""

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from tests.oracle.people import settled

MAZE = """
S..L.m.
.##...L
..m#.L.
.L...#m
..#m...
.##..LG
S...#..
"""
FEATURES = ["step", "lava", "mud"]


def people_who_differ(count: int, seed: int) -> dict[str, dict[str, float]]:
    """Draw weights of each person in that person's temperatures: tastes differ, and how much they matter more so."""
    generator = np.random.default_rng(seed)
    found = {}
    for number in range(count):
        size = np.exp(generator.normal(scale=0.7))
        tastes = np.array([-1.0, -1.5, -0.7]) * np.exp(generator.normal(scale=0.3, size=3))
        found[f"p{number:02d}"] = dict(zip(FEATURES, (size * tastes).tolist(), strict=True))
    return found


def recovered(count: int, episodes: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the true and the estimated measures, in the same states."""
    task = hs.Task.grid(MAZE, discount=0.95, legend={"L": "lava", "m": "mud"}, slip=0.1)
    people = people_who_differ(count, seed=7)
    frames = []
    for number, (who, reward) in enumerate(people.items()):
        policy = hs.plan(task, reward, temperature={who: 1.0})
        log = hs.simulate(policy, episodes, seed=100 + number, max_steps=40)
        frames.append(log.to_dataframe())
    roles = {"state": log.columns.state, "next_state": log.columns.next_state}
    together = hs.read(pd.concat(frames, ignore_index=True), **roles, terminated="terminated", truncated="truncated")  # type: ignore[arg-type]
    model = hs.SoftOptimalModel(task, hs.LinearReward(FEATURES, shared=False), hs.Fixed(1.0))
    fit = hs.fit(model, together)
    truth = np.r_[[people[str(who)][name] for who in fit.subjects.values for name in FEATURES], 0.0]
    return hs.rationality(settled(fit, truth)).sort_index(), hs.rationality(fit).sort_index()


def check(true: pd.DataFrame, found: pd.DataFrame, least: float) -> None:
    for name in ("normalised_value", "choice_error", "information_bits", "signal_to_noise"):
        assert found[name].corr(true[name], method="spearman") > least, name
    inside = (found["normalised_value_low"] < true["normalised_value"]) & (
        true["normalised_value"] < found["normalised_value_high"]
    )
    assert inside.mean() >= 0.75
    ranks = true["normalised_value"].rank(ascending=False)
    assert ((found["rank_low"] <= ranks) & (ranks <= found["rank_high"])).mean() >= 0.75


@pytest.mark.slow
def test_twelve_people_with_three_weights_of_their_own_are_ranked_rightly() -> None:
    true, found = recovered(count=12, episodes=60)
    assert np.sqrt(((true["normalised_value"] - found["normalised_value"]) ** 2).mean()) < 0.03
    assert np.sqrt(((true["choice_error"] - found["choice_error"]) ** 2).mean()) < 0.03
    assert np.sqrt(((true["information_bits"] - found["information_bits"]) ** 2).mean()) < 0.08
    check(true, found, least=0.95)
