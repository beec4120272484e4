"""Types of people and true models, simulated and found again."""

import numpy as np
import pandas as pd
import pytest

import humansoft as hs

MAZE = "S..L...\n.#.#.#.\n...L..G"
COLUMNS = {"state": ["state_0", "state_1"], "next_state": ["next_state_0", "next_state_1"]}


def maze() -> hs.Task:
    return hs.Task.grid(MAZE, discount=0.95, legend={"L": "lava"})


def model(planner: str = "kl") -> hs.SoftOptimalModel:
    return hs.SoftOptimalModel(maze(), hs.LinearReward(["step", "lava"], {"step": -1.0}), hs.Shared(), planner)  # type: ignore[arg-type]


def of_type(name: str, count: int, lava: float, temperature: float, seed: int) -> pd.DataFrame:
    people = {f"{name}{i}": temperature for i in range(count)}
    policy = hs.plan(maze(), {"step": -1.0, "lava": lava}, temperature=people)
    return hs.simulate(policy, 5, seed=seed, max_steps=40).to_dataframe()


@pytest.fixture(scope="module")
def two_types() -> hs.BehaviorLog:
    table = pd.concat([of_type("careful", 8, -2.0, 0.5, 1), of_type("wild", 4, 1.0, 1.5, 2)])
    return hs.read(table, **COLUMNS, terminated="terminated", truncated="truncated")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def mixture(two_types: hs.BehaviorLog) -> hs.Mixture:
    return hs.fit_mixture(model(), two_types, num_types=2, seed=1, num_starts=3)


@pytest.mark.slow
def test_two_types_are_found_with_their_people_and_parameters(mixture: hs.Mixture) -> None:
    np.testing.assert_allclose(mixture.shares, [8 / 12, 4 / 12], atol=0.02)
    careful = mixture.responsibilities.index.str.startswith("careful")
    assert (mixture.responsibilities.loc[careful, 1] > 0.95).all()
    assert (mixture.responsibilities.loc[~careful, 2] > 0.95).all()
    for one, lava, temperature in zip(mixture.fits, (-2.0, 1.0), (0.5, 1.5), strict=True):
        assert abs(one.weight("lava") - lava) < 3 * one.params.loc[("lava", "all"), "std_error"]
        interval = one.temperatures()[["ci_low", "ci_high"]].iloc[0]
        assert interval["ci_low"] * 0.9 < temperature < interval["ci_high"] * 1.1


@pytest.mark.slow
def test_the_likelihood_never_falls_and_starts_agree(mixture: hs.Mixture) -> None:
    assert (np.diff(mixture.history) > -1e-8).all()
    assert np.ptp(mixture.starts) < 1e-3
    np.testing.assert_allclose(mixture.responsibilities.sum(axis=1), 1.0)


@pytest.mark.slow
def test_the_criterion_prefers_two_types_to_one(mixture: hs.Mixture, two_types: hs.BehaviorLog) -> None:
    alone = hs.fit(model(), two_types)
    assert mixture.rank == 2 * alone.rank + 1
    assert mixture.num_decisions == pytest.approx(alone.num_decisions)
    assert mixture.bic < alone.bic - 10
    table = mixture.summary()
    assert table.loc[(1, "share", "all"), "estimate"] == pytest.approx(mixture.shares[0])


@pytest.mark.slow
def test_the_likelihood_of_a_mixture_is_that_of_its_types_by_person(
    mixture: hs.Mixture, two_types: hs.BehaviorLog
) -> None:
    logs = np.zeros((len(two_types.subjects), 2))
    for k, one in enumerate(mixture.fits):
        rows = hs.predict(one, two_types)
        logs[:, k] = rows.groupby("subject", sort=True)["log_prob"].sum()
    total = np.logaddexp(*(logs + np.log(mixture.shares)).T).sum()
    assert mixture.log_likelihood == pytest.approx(total, abs=1e-3)


def test_mixtures_that_cannot_be_are_refused(two_types: hs.BehaviorLog) -> None:
    with pytest.raises(hs.errors.UsageError, match="at least two"):
        hs.fit_mixture(model(), two_types, num_types=1, seed=1)
    own = hs.SoftOptimalModel(maze(), hs.LinearReward(["step"], {"step": -1.0}), hs.PerSubject())
    with pytest.raises(hs.errors.UsageError, match="people of a type share its parameters"):
        hs.fit_mixture(own, two_types, seed=1)
    with pytest.raises(hs.errors.LogError, match="cannot be of 13 types"):
        hs.fit_mixture(model(), two_types, num_types=13, seed=1)


@pytest.mark.slow
def test_true_models_win_on_their_own_data(two_types: hs.BehaviorLog) -> None:
    log = two_types.select(two_types.subject < 8)
    fits = {planner: hs.fit(model(planner), log) for planner in ("kl", "boltzmann")}
    table = hs.confusion(fits, seed=1, repeats=4, episodes=25)
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    assert (np.diag(table) >= 0.75).all()
    pd.testing.assert_frame_equal(table, hs.confusion(fits, seed=1, repeats=4, episodes=25))
    assert table.attrs["num_failed"] == 0


def test_confusion_refuses_what_it_cannot_do(two_types: hs.BehaviorLog) -> None:
    one = hs.fit(model(), two_types)
    with pytest.raises(hs.errors.UsageError, match="two models"):
        hs.confusion({"kl": one}, seed=1)
    with pytest.raises(hs.errors.UsageError, match="Did you mean 'bic'"):
        hs.confusion({"kl": one, "again": one}, seed=1, criterion="bics")
