"""Cross-validation of populations, against integrals over temperatures by brute force and the package's own verbs."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import norm

import humansoft as hs
from humansoft.data.folds import folds_of
from tests.oracle.populations import CORRIDOR, STEP, choices_of_people, with_group
from tests.oracle.reference import Array

ONE_MEAN = hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject())
GRID = np.linspace(-16.0, 18.0, 1701)  # of log temperatures


@pytest.fixture(scope="module")
def log() -> hs.BehaviorLog:
    return choices_of_people(8, 24, seed=9, sd=1.0)


@pytest.fixture(scope="module")
def decided(log: hs.BehaviorLog) -> Array:
    """[N, grid] the log probability of each decision at each temperature."""
    policy = hs.plan(CORRIDOR, {"step": -1.0}, temperature={str(i): float(np.exp(t)) for i, t in enumerate(GRID)})
    state = CORRIDOR.states.encode(log.codebook.states.values)[log.state]
    action = CORRIDOR.actions.encode(log.codebook.actions.values)[log.action]
    whole = [
        policy.log_prob(np.full(len(log), place), state)[np.arange(len(log)), action] for place in range(len(GRID))
    ]
    return np.stack(whole, axis=1)


def prior(fitted: hs.Fit) -> Array:
    """Density of log temperatures."""
    assert fitted.population is not None
    estimate = fitted.population.params["estimate"]
    found: Array = norm.pdf(GRID, estimate["log_temperature", "Intercept"], estimate["sd", "log_temperature"])
    return found


@pytest.mark.slow
def test_people_held_out_are_integrated_over_the_population_of_the_others(log: hs.BehaviorLog, decided: Array) -> None:
    table = hs.cross_validate(ONE_MEAN, log, "subject", 2, method="hierarchical", seed=4)
    units = table.attrs["units"]["log_likelihood"]
    assert sorted(units.index.tolist()) == [(person, "all") for person in log.subjects]
    for number, (learned, held_out) in enumerate(folds_of(log, "subject", 2, 4), 1):
        fitted = hs.fit(ONE_MEAN, log.select(learned), method="hierarchical")
        seen = hs.adapt(fitted, log.select(held_out))
        assert seen.population is not None
        assert table.loc[number, "log_likelihood"] == pytest.approx(seen.log_likelihood, rel=1e-9)
        for code in np.unique(log.subject[held_out]):
            likelihood = np.exp(decided[log.subject == code].sum(axis=0))
            exact = np.log(trapezoid(likelihood * prior(fitted), GRID))
            assert units[log.codebook.subjects.values[code], "all"] == pytest.approx(exact, abs=1e-3)
    assert table.loc["all", "num_unknown_subjects"] == len(log.subjects)
    assert table.loc["all", "log_likelihood"] == pytest.approx(units.sum())
    assert table.loc["all", "num_decisions"] == hs.fit(ONE_MEAN, log).num_decisions


@pytest.mark.slow
@pytest.mark.parametrize("by", ["episode", "time"])
def test_decisions_of_known_people_are_integrated_over_what_their_others_leave_open(
    log: hs.BehaviorLog, decided: Array, by: str
) -> None:
    units = hs.cross_validate(ONE_MEAN, log, by, 2, method="hierarchical", seed=4).attrs["units"]  # type: ignore[arg-type]
    for number, (learned, held_out) in enumerate(folds_of(log, by, 2, 4), 1):  # type: ignore[arg-type]
        fitted = hs.fit(ONE_MEAN, log.select(learned), method="hierarchical")
        found = units.loc[units["fold"] == number, "log_likelihood"]
        exact = []
        for episode in np.unique(log.episode[held_out]):
            mine = held_out & (log.episode == episode)
            before = learned & (log.subject == log.subject[mine][0])
            posterior = np.exp(decided[before].sum(axis=0)) * prior(fitted)
            after = trapezoid(posterior * np.exp(decided[mine].sum(axis=0)), GRID)
            exact.append(np.log(after / trapezoid(posterior, GRID)))
        np.testing.assert_allclose(found, exact, atol=2e-3)  # the difference of two integrals, each to 1e-3


@pytest.mark.slow
def test_people_with_rewards_of_their_own_are_held_out() -> None:
    """Without a population nothing is known of strangers' rewards."""
    log = choices_of_people(4, 10, seed=8, sd=0.6)
    model = hs.SoftOptimalModel(CORRIDOR, hs.LinearReward(["step"], shared=False), hs.Fixed(1.0))
    with pytest.raises(hs.errors.ModelError, match="everybody has a reward of their own"):
        hs.cross_validate(model, log, "subject", 2, seed=4)
    table = hs.cross_validate(model, log, "subject", 2, method="hierarchical", seed=4)
    learned, held_out = next(folds_of(log, "subject", 2, 4))
    seen = hs.adapt(hs.fit(model, log.select(learned), method="hierarchical"), log.select(held_out))
    assert table.loc[1, "log_likelihood"] == pytest.approx(seen.log_likelihood, rel=1e-9)


@pytest.mark.slow
def test_models_fitted_by_one_method_are_compared_by_it(log: hs.BehaviorLog) -> None:
    grouped = with_group(log)
    models = {"one mean": ONE_MEAN, "groups": hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerGroup("group"))}
    table = hs.compare_models(models, grouped, folds=2, method="hierarchical", criteria="cross_validation", seed=4)
    alone = hs.cross_validate(ONE_MEAN, grouped, "subject", 2, method="hierarchical", seed=4)
    assert table.loc["one mean", "held_out"] == pytest.approx(alone.loc["all", "log_likelihood"])
    whole = hs.fit(models["groups"], grouped, method="hierarchical")
    assert table.loc["groups", "log_likelihood"] == whole.log_likelihood


def test_methods_that_hold_nothing_out_are_refused(log: hs.BehaviorLog) -> None:
    with pytest.raises(hs.errors.UsageError, match=r"no method 'hierarchicl' here\. Did you mean 'hierarchical'"):
        hs.cross_validate(ONE_MEAN, log, "subject", 2, method="hierarchicl", seed=4)  # type: ignore[arg-type]
    with pytest.raises(hs.errors.UsageError, match="would sample anew for every fold"):
        hs.cross_validate(ONE_MEAN, log, "subject", 2, method="posterior", seed=4)  # type: ignore[arg-type]
    models = {"one": ONE_MEAN, "other": ONE_MEAN}
    with pytest.raises(hs.errors.UsageError, match="no method 'maximum' here"):
        hs.compare_models(models, log, method="maximum", seed=4)  # type: ignore[arg-type]
