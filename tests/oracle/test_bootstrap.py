"""Bootstrap draws, fitted all at once, against fits of each resampled log by itself and against the sandwich."""

import dataclasses
import time

import numpy as np
import pytest

import humansoft as hs
from tests.recovery.people import simulate_people

PEOPLE = {f"p{i}": value for i, value in enumerate((0.1, 0.15, 0.2, 0.3, 0.4))}
MODELS = {
    "one temperature": (hs.LinearReward(["goal", "lava"], {"goal": 1.0}), hs.Shared()),
    "own temperatures": (hs.LinearReward(["goal", "lava"], {"goal": 1.0}), hs.PerSubject()),
    "average person is 1": (hs.LinearReward(["goal", "lava"]), hs.PerSubject()),
    "own rewards": (hs.LinearReward(["goal"], shared=False), hs.Fixed(1.0)),
}


@pytest.fixture(scope="module")
def people() -> tuple[hs.BehaviorLog, hs.Task]:
    return simulate_people(PEOPLE, episodes=25)


def fit_of(people: tuple[hs.BehaviorLog, hs.Task], name: str) -> hs.Fit:
    log, task = people
    return hs.fit(hs.SoftOptimalModel(task, *MODELS[name]), log)


def times_of_episodes(log: hs.BehaviorLog, draws: int, seed: int) -> np.ndarray:  # type: ignore[type-arg]
    """How often each episode is in each draw [draws, episodes]: person by person, from one generator."""
    generator, owner = np.random.default_rng(seed), log.subject[log.episode_start]
    number = np.bincount(owner)
    return np.hstack([generator.multinomial(n, np.full(n, 1 / n), size=draws) for n in number])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.slow
def test_each_draw_is_the_fit_of_its_resampled_log(people: tuple[hs.BehaviorLog, hs.Task], name: str) -> None:
    log, _ = people
    fit = fit_of(people, name)
    found = hs.bootstrap(fit, log, by="episode", draws=4, seed=7)
    assert found.attrs["converged"]
    assert found.columns.equals(fit.params.index)
    times = times_of_episodes(log, 4, 7)
    number = np.cumsum(log.episode_start) - 1
    for draw in (0, 3):
        weighted = dataclasses.replace(log, weight=log.weight * times[draw][number])
        alone = hs.fit(hs.SoftOptimalModel(fit.model.task, *MODELS[name]), weighted)
        np.testing.assert_allclose(found.iloc[draw], alone.params["estimate"], atol=1e-4)


def test_draws_of_people_leave_those_out_who_are_not_drawn(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, _ = people
    fit = fit_of(people, "own temperatures")
    found = hs.bootstrap(fit, log, by="subject", draws=6, seed=3)
    times = np.random.default_rng(3).multinomial(len(PEOPLE), np.full(len(PEOPLE), 1 / len(PEOPLE)), size=6)
    missing = found["log_temperature"].isna().to_numpy()
    np.testing.assert_array_equal(missing, times == 0)
    weighted = dataclasses.replace(log, weight=log.weight * times[0][log.subject])
    kept = weighted.select(weighted.weight > 0)
    alone = hs.fit(hs.SoftOptimalModel(fit.model.task, *MODELS["own temperatures"]), kept)
    both = found.iloc[0][alone.params.index]
    np.testing.assert_allclose(both, alone.params["estimate"], atol=1e-4)


def test_same_seed_same_draws(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, _ = people
    fit = fit_of(people, "one temperature")
    one, other, new = (hs.bootstrap(fit, log, by="episode", draws=3, seed=seed) for seed in (1, 1, 2))
    assert one.equals(other)
    assert not one.equals(new)


@pytest.mark.slow
def test_spread_of_draws_is_the_sandwich_and_they_are_faster_than_a_loop() -> None:
    """With many clusters; 200 draws know a standard error to 5 %."""
    log, task = simulate_people({f"p{i:02}": 0.2 + 0.01 * i for i in range(40)}, episodes=20)
    fit = hs.fit(hs.SoftOptimalModel(task, *MODELS["one temperature"]), log)
    began = time.perf_counter()
    by_subject = hs.bootstrap(fit, log, by="subject", draws=200, seed=5)
    seconds = time.perf_counter() - began
    by_episode = hs.bootstrap(fit, log, by="episode", draws=200, seed=5)
    free = ~fit.params["fixed"].to_numpy(dtype=bool)
    for draws, kind in ((by_subject, "sandwich_by_subject"), (by_episode, "sandwich_by_episode")):
        np.testing.assert_allclose(draws.std()[free], fit.std_errors(kind)[free], rtol=0.25)
    began = time.perf_counter()
    for _ in range(10):
        hs.fit(hs.SoftOptimalModel(task, *MODELS["one temperature"]), log)
    loop = (time.perf_counter() - began) * 20
    print(f"200 draws: {seconds:.2f} s as one fit, {loop:.1f} s one by one")
    assert seconds < loop


def test_what_cannot_be_resampled_is_refused(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people
    known = hs.LinearReward(["goal", "lava"], {"goal": 1.0, "lava": -1.5})
    alone = hs.fit(hs.SoftOptimalModel(task, known, hs.PerSubject()), log)
    with pytest.raises(hs.errors.UsageError, match="draw by='episode'"):
        hs.bootstrap(alone, log, by="subject", seed=1)
    with pytest.raises(hs.errors.UsageError, match="at least 2"):
        hs.bootstrap(alone, log, by="episode", draws=1, seed=1)
    with pytest.raises(hs.errors.UsageError, match="not the log that was fitted"):
        hs.bootstrap(alone, log.select(log.episode > 3), by="episode", seed=1)
