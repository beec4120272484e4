"""compare_models, cross_validate, log_evidence, confusion: what they return, and what they refuse."""

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from humansoft.data.folds import folds_of
from humansoft.evaluate.model_comparison import compare_models
from tests.oracle.populations import CORRIDOR, STEP, choices_of_people
from tests.oracle.test_leave_one_out import maze, people, reward

PLANNERS = ("kl", "entropy", "boltzmann")


@pytest.fixture(scope="module")
def log() -> hs.BehaviorLog:
    return people({"ann": 0.5, "bob": 0.7, "cleo": 1.2, "dan": 0.9}, episodes=6)


@pytest.fixture(scope="module")
def models() -> dict[str, hs.SoftOptimalModel]:
    return {p: hs.SoftOptimalModel(maze(), reward(), hs.Shared(), p) for p in PLANNERS}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fits(models: dict[str, hs.SoftOptimalModel], log: hs.BehaviorLog) -> dict[str, hs.Fit]:
    return {name: hs.fit(model, log) for name, model in models.items()}


def test_criteria_are_those_of_the_fits_and_differences_begin_at_the_best(fits: dict[str, hs.Fit]) -> None:
    table = compare_models(fits, criteria=["aic", "bic"])
    for name, one in fits.items():
        assert table.loc[name, "aic"] == one.aic
        assert table.loc[name, "bic"] == one.bic
    assert table["bic"].is_monotonic_increasing
    assert table[["aic_difference", "bic_difference"]].min().tolist() == [0.0, 0.0]
    assert table.attrs["ordered_by"] == "bic"


@pytest.mark.slow
def test_two_planners_of_one_likelihood_do_not_win_over_each_other(log: hs.BehaviorLog) -> None:
    """With all weights free, entropy is kl with another step weight; with a fixed one, on another scale."""
    free = [hs.SoftOptimalModel(maze(), hs.LinearReward(["step", "lava"]), hs.Fixed(1.0), p) for p in PLANNERS]  # type: ignore[arg-type]
    fits = {p: hs.fit(model, log) for p, model in zip(PLANNERS, free, strict=True)}
    table = compare_models(fits)
    assert table.loc["kl", "one_likelihood_with"] == "entropy"
    assert table.loc["entropy", "one_likelihood_with"] == "kl"
    assert table.loc["boltzmann", "one_likelihood_with"] == ""
    assert any("neither wins" in note for note in table.attrs["notes"])
    assert table.loc["kl", "loo"] == pytest.approx(table.loc["entropy", "loo"], abs=0.02)


@pytest.mark.slow
def test_leave_one_out_has_the_standard_error_of_paired_differences(fits: dict[str, hs.Fit]) -> None:
    table = compare_models(fits, criteria="loo")
    units = table.attrs["units"]["loo"]
    assert units.index.tolist() == ["ann", "bob", "cleo", "dan"]
    best = table.index[0]
    for name in fits:
        difference = units[name] - units[best]
        assert table.loc[name, "loo_difference"] == pytest.approx(difference.sum())
        assert table.loc[name, "loo_difference_se"] == pytest.approx(2 * difference.std(ddof=1))
    assert table["num_refit"].tolist() == [0, 0, 0]


@pytest.mark.slow
def test_what_is_not_defined_is_left_out_with_the_reason_or_refused(log: hs.BehaviorLog) -> None:
    fits = {p: hs.fit(hs.SoftOptimalModel(maze(), reward(), hs.PerSubject(), p), log) for p in ("kl", "boltzmann")}  # type: ignore[arg-type]
    table = compare_models(fits)
    assert "loo" not in table.columns
    assert any("method='hierarchical'" in note for note in table.attrs["notes"])
    with pytest.raises(hs.errors.UsageError, match="method='hierarchical'"):
        compare_models(fits, criteria="loo")
    assert len(compare_models(fits, log, unit="episode", criteria="loo").attrs["units"]["loo"]) == 24


def test_fits_of_different_data_are_refused(fits: dict[str, hs.Fit], log: hs.BehaviorLog) -> None:
    model = hs.SoftOptimalModel(maze(), reward(), hs.Shared())
    fewer = hs.fit(model, log.select(log.episode != log.episode[0]))
    with pytest.raises(hs.errors.UsageError, match=r"'kl' and 'fewer' were fitted to different decisions"):
        compare_models({"kl": fits["kl"], "fewer": fewer})
    with pytest.raises(hs.errors.UsageError, match="different decisions"):
        hs.log_evidence({"kl": fits["kl"], "fewer": fewer})


def test_wrong_questions_are_refused(fits: dict[str, hs.Fit], models: dict[str, hs.SoftOptimalModel]) -> None:
    with pytest.raises(hs.errors.UsageError, match="at least two models"):
        compare_models({"kl": fits["kl"]})
    with pytest.raises(hs.errors.UsageError, match="Did you mean 'bic'"):
        compare_models(fits, criteria="bci")
    with pytest.raises(hs.errors.UsageError, match="Did you mean 'subject'"):
        compare_models(fits, unit="subjects")
    with pytest.raises(hs.errors.UsageError, match="give models instead of fits"):
        compare_models(fits, criteria="cross_validation")
    with pytest.raises(hs.errors.UsageError, match="pass seed="):
        compare_models(fits, criteria="frequencies")
    with pytest.raises(hs.errors.UsageError, match="is not fitted"):
        compare_models(models)


@pytest.mark.slow
def test_models_are_cross_validated_fold_by_fold(models: dict[str, hs.SoftOptimalModel], log: hs.BehaviorLog) -> None:
    two = {name: models[name] for name in ("kl", "boltzmann")}
    table = compare_models(two, log, unit="episode", criteria=["cross_validation"], folds=3, seed=2)
    alone = hs.cross_validate(models["kl"], log, "episode", 3, seed=2)
    assert table.loc["kl", "held_out"] == pytest.approx(alone.loc["all", "log_likelihood"])
    assert table.loc["kl", "held_out_nats_per_decision"] == pytest.approx(alone.loc["all", "nats_per_decision"])
    assert len(table.attrs["units"]["cross_validation"]) == log.num_episodes


def test_a_fold_is_what_fitting_and_scoring_by_hand_gives(
    models: dict[str, hs.SoftOptimalModel], log: hs.BehaviorLog
) -> None:
    table = hs.cross_validate(models["kl"], log, "subject", 2, seed=5)
    for number, (learned, held_out) in enumerate(folds_of(log, "subject", 2, 5), 1):
        by_hand = hs.score(hs.fit(models["kl"], log.select(learned)), log.select(held_out), "none")
        for name in ("nats_per_decision", "log_likelihood", "num_decisions"):
            assert table.loc[number, name] == pytest.approx(by_hand.loc["model", name])
    assert table.index.tolist() == [1, 2, "all"]
    assert table.loc["all", "num_decisions"] == pytest.approx(hs.fit(models["kl"], log).num_decisions)


def test_every_decision_is_held_out_once(log: hs.BehaviorLog) -> None:
    for by in ("subject", "episode"):
        held_out = np.sum([part for _, part in folds_of(log, by, 3, 1)], axis=0)  # type: ignore[arg-type]
        assert (held_out == 1).all()
        for learned, part in folds_of(log, by, 3, 1):  # type: ignore[arg-type]
            assert (learned != part).all()
    for learned, part in folds_of(log, "episode", 3, 1):
        assert set(log.subject[part]) <= set(log.subject[learned])


def test_the_only_episode_of_a_person_is_never_held_out(log: hs.BehaviorLog) -> None:
    single = log.select((log.subject > 0) | (log.episode == log.episode[0]))
    held_out = np.sum([part for _, part in folds_of(single, "episode", 3, 1)], axis=0)
    np.testing.assert_array_equal(held_out, (single.subject > 0).astype(int))


def test_by_time_the_past_predicts_the_future(log: hs.BehaviorLog) -> None:
    seen = np.zeros(len(log), dtype=int)
    for learned, part in folds_of(log, "time", 2, None):
        for episode in np.unique(log.episode[part]):
            mine = log.episode == episode
            assert log.step[mine & learned].max() < log.step[mine & part].min()
        seen += part
    assert seen.max() == 1


def test_folds_that_cannot_be_are_refused(models: dict[str, hs.SoftOptimalModel], log: hs.BehaviorLog) -> None:
    for by, folds, seed, why in (
        ("subject", 5, 1, "4 people cannot be dealt out to 5 folds"),
        ("episode", 1, 1, "at least 2"),
        ("episode", 3, None, "pass seed="),
        ("time", 500, None, "no episode has the 501 decisions"),
    ):
        with pytest.raises(hs.errors.HumansoftError, match=why):
            hs.cross_validate(models["kl"], log, by, folds, seed=seed)  # type: ignore[arg-type]
    timed = hs.SoftOptimalModel(
        hs.Task.grid("S.G\n", discount=1.0, horizon=4), hs.LinearReward(["step"]), hs.Fixed(1.0)
    )
    with pytest.raises(hs.errors.UsageError, match="in a task with a horizon"):
        hs.cross_validate(timed, log, "time", 2)


def test_evidence_adds_up_to_the_criterion_of_everybody_alone(log: hs.BehaviorLog) -> None:
    """With nothing shared, a person's evidence is -bic / 2 of a fit to that person alone."""
    model = hs.SoftOptimalModel(maze(), hs.LinearReward(["step", "lava"], shared=False), hs.Fixed(1.0))
    together = hs.fit(model, log)
    evidence = hs.log_evidence({"kl": together, "same": together})
    assert evidence.attrs["kind"] == "schwarz"
    for code, name in enumerate(log.subjects):
        alone = hs.fit(model, log.select(log.subject == code))
        assert evidence.loc[name, "kl"] == pytest.approx(-alone.bic / 2, rel=1e-8)


def test_evidence_of_shared_parameters_adds_up_to_that_of_the_fit(fits: dict[str, hs.Fit]) -> None:
    evidence = hs.log_evidence(fits)
    for name, one in fits.items():
        assert evidence[name].sum() == pytest.approx(-one.bic / 2, rel=1e-10)


@pytest.mark.slow
def test_parameters_of_the_population_do_not_win_people_over_for_nothing() -> None:
    """Four covariates that are noise: the population that has seen people describes nearly all of them better."""
    drawn = choices_of_people(16, 40, seed=11, sd=0.6)
    noise = np.random.default_rng(0).normal(size=(16, 4))
    table = pd.DataFrame(noise, columns=["x0", "x1", "x2", "x3"]).assign(subject=list(drawn.subjects))
    places = {"state": ["state_0", "state_1"], "next_state": ["next_state_0", "next_state_1"]}
    log = hs.read(drawn.to_dataframe(), participants=table, **places)  # type: ignore[arg-type]
    models = {
        "one mean": hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject()),
        "noise": hs.SoftOptimalModel(CORRIDOR, STEP, temperature="~ x0 + x1 + x2 + x3"),
    }
    fits = {name: hs.fit(model, log, method="hierarchical") for name, model in models.items()}
    described = pd.DataFrame({name: fit.population.evidence for name, fit in fits.items() if fit.population})
    assert hs.model_frequencies(described, seed=1).loc["noise", "frequency"] > 0.6

    comparison = compare_models(fits, criteria=["loo", "frequencies"], seed=1)
    evidence = hs.log_evidence(fits)
    assert evidence.attrs["kind"] == "leave_one_out"
    for units in comparison.attrs["units"].values():
        np.testing.assert_allclose(units, evidence)
    np.testing.assert_allclose(comparison.loc[evidence.columns, "loo"], evidence.sum())
    assert (evidence < described).all(axis=None)
    assert comparison.loc["noise", "loo_difference"] < -3
    assert comparison.loc["one mean", "frequency"] > 0.7
    assert any("under the population of all others" in note for note in comparison.attrs["notes"])


@pytest.mark.slow
def test_people_with_and_without_a_population_have_no_common_evidence(log: hs.BehaviorLog) -> None:
    model = hs.SoftOptimalModel(maze(), reward(), hs.PerSubject())
    fits = {"alone": hs.fit(model, log), "together": hs.fit(model, log, method="hierarchical")}
    with pytest.raises(hs.errors.UsageError, match=r"'alone' have no population.* not on one scale"):
        hs.log_evidence(fits)
    with pytest.raises(hs.errors.UsageError, match=r"'alone' have no population.* not on one scale"):
        compare_models(fits, criteria="frequencies", seed=1)


@pytest.mark.slow
def test_a_horizon_needs_the_log() -> None:
    task = hs.Task.grid("S..\n.L.\n..G", discount=1.0, horizon=6, legend={"L": "lava"})
    policy = hs.plan(task, {"step": -1.0, "lava": -1.0}, temperature={"ann": 0.7, "bob": 0.7})
    log = hs.simulate(policy, 12, seed=1)
    model = {p: hs.SoftOptimalModel(task, hs.LinearReward(["step", "lava"]), hs.Fixed(1.0), p) for p in PLANNERS}  # type: ignore[arg-type]
    fits = {p: hs.fit(model[p], log) for p in ("kl", "boltzmann")}
    with pytest.raises(hs.errors.UsageError, match="no times"):
        compare_models(fits, criteria="loo")
    table = compare_models(fits, log, criteria=["loo", "frequencies"], seed=1)
    assert np.isfinite(table["loo"]).all()


@pytest.mark.slow
def test_likelihoods_of_people_and_of_a_population_are_not_ranked_together() -> None:
    task = hs.Task.grid("S.G\n...", discount=0.95)
    log = hs.simulate(hs.plan(task, {"step": -1.0}, temperature={"ann": 0.3, "bob": 0.8}), 20, seed=1, max_steps=20)
    model = hs.SoftOptimalModel(task, hs.LinearReward(["step"], {"step": -1.0}), hs.PerSubject())
    fits = {"alone": hs.fit(model, log), "together": hs.fit(model, log, method="hierarchical")}
    with pytest.raises(hs.errors.UsageError, match=r"'alone' have no population.* not on one scale"):
        hs.compare_models(fits, criteria=["aic", "bic"])
