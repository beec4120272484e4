"""Population fits as their users meet them: refusals, boundary cases, groups, newcomers, sessions, files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from humansoft.data.parts import person_codes, persons_of
from humansoft.fit.hierarchical import integration_of
from humansoft.fit.mixed import Mixed
from humansoft.fit.population import Population
from humansoft.parameters import Parameter
from tests.oracle.populations import CORRIDOR, STEP, choices_of_people, with_group

MODEL = hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject())


@pytest.fixture(scope="module")
def log() -> hs.BehaviorLog:
    return with_group(choices_of_people(24, 20, seed=4, sd=0.6, perfect=True))


@pytest.fixture(scope="module")
def grouped(log: hs.BehaviorLog) -> hs.Fit:
    return hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerGroup("group")), log, method="hierarchical")


def population_of(fit: hs.Fit) -> Population:
    assert fit.population is not None
    return fit.population


def test_one_temperature_for_everybody_is_no_population(log: hs.BehaviorLog) -> None:
    for temperature in (hs.Shared(), hs.Fixed(1.0)):
        with pytest.raises(hs.errors.UsageError, match="gives everybody the same"):
            hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, temperature), log, method="hierarchical")


def test_own_rewards_and_own_temperatures_are_refused_whatever_the_population(log: hs.BehaviorLog) -> None:
    model = hs.SoftOptimalModel(CORRIDOR, hs.LinearReward(["step", "lava"], shared=False), hs.PerSubject())
    with pytest.raises(hs.errors.ModelError, match=r"both vary by subject.*Ways out"):
        hs.fit(model, log, method="hierarchical")


def test_a_planner_without_solutions_at_high_temperatures_is_refused(log: hs.BehaviorLog) -> None:
    endless = hs.Task.grid("S.L\n.#.\n..G", discount=1.0, legend={"L": "lava"}, slip=0.1)
    with pytest.raises(hs.errors.ModelError, match="use planner='kl'"):
        hs.fit(hs.SoftOptimalModel(endless, STEP, hs.PerSubject(), "entropy"), log, method="hierarchical")


def test_an_unknown_integration_and_too_many_dimensions_are_sentences() -> None:
    rows = tuple(Parameter("sd", "log_sd", "group", str(k)) for k in range(3))
    mixed = Mixed((), (), rows, np.zeros((5, 3, 0)), (0, 1, 2))
    with pytest.raises(hs.errors.UsageError, match="Did you mean 'laplace'"):
        integration_of(mixed, np.ones(5), "laplase")
    with pytest.raises(hs.errors.UsageError, match="at most 2 deviations a person, here are 3"):
        integration_of(mixed, np.ones(5), "quadrature")
    assert integration_of(mixed, np.ones(5), "auto") == "laplace"


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        ("~ grup", "no column 'grup'.*Did you mean 'group'"),
        ("~ group +", "cannot be read"),
        ("y ~ group", "has a left side"),
        ("~ group + twin", "collinear"),
        ("~ hole", "empty for subjects"),
    ],
)
def test_formulas_that_say_nothing_are_refused_with_the_reason(
    log: hs.BehaviorLog, formula: str, sentence: str
) -> None:
    people = log.participants.reset_index(names="subject")
    people["twin"] = (people["group"] == "b") * 2.0
    people["hole"] = np.where(people.index == 3, np.nan, 1.0)
    wider = hs.read(log.to_dataframe(), state=["state_0", "state_1"], participants=people)
    with pytest.raises(hs.errors.HumansoftError, match=sentence):
        hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, formula), wider, method="hierarchical")


@pytest.mark.slow
def test_a_formula_and_a_group_column_are_one_population(log: hs.BehaviorLog, grouped: hs.Fit) -> None:
    formula = hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, "~ group"), log, method="hierarchical")
    assert formula.log_likelihood == pytest.approx(grouped.log_likelihood, abs=1e-6)
    ours, theirs = (hs.compare(fit, by="group") for fit in (grouped, formula))
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-3)
    assert set(ours["std_error_kind"]) == {"population"}


def test_groups_that_the_population_does_not_know_are_not_compared(log: hs.BehaviorLog) -> None:
    fit = hs.fit(MODEL, log, method="hierarchical")
    with pytest.raises(hs.errors.IdentificationError, match=r"does not know 'group'.*PerGroup\('group'\)"):
        hs.compare(fit, by="group")


def test_a_person_who_never_erred_has_an_estimate_and_a_lopsided_interval(grouped: hs.Fit) -> None:
    row = grouped.params.loc[("log_temperature", "p000")]
    assert row["boundary"] == ""
    assert row["estimate"] - row["ci_low"] > row["ci_high"] - row["estimate"]


@pytest.mark.slow
def test_a_person_with_one_decision_gets_what_the_population_says() -> None:
    log = choices_of_people(12, 30, seed=6, sd=0.5)
    kept = (log.subject > 0) | (np.arange(len(log)) == 0)
    fit = hs.fit(MODEL, log.select(kept), method="hierarchical")
    params = population_of(fit).params["estimate"]
    alone = fit.params.loc[("log_temperature", "p000")]
    assert abs(alone["estimate"] - params["log_temperature", "Intercept"]) < params["sd", "log_temperature"]
    assert alone["std_error"] > 0.8 * params["sd", "log_temperature"]


@pytest.mark.parametrize("method", ["hierarchical", "maximum_likelihood"])
@pytest.mark.slow
def test_a_group_in_which_nobody_errs_has_a_one_sided_interval_and_no_contrast(method: str) -> None:
    """Separation: a covariate that tells who errs at all runs to infinity."""
    temperatures = {f"p{i:02d}": 1e-3 if i % 2 else 0.6 for i in range(16)}
    policy = hs.plan(CORRIDOR, {"step": -1.0}, temperature=temperatures)
    log = with_group(hs.simulate(policy, 5, seed=1, max_steps=12))
    fit = hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, "~ group"), log, method=method)  # type: ignore[arg-type]
    row = population_of(fit).params.loc[("log_temperature", "group[T.b]")]
    assert np.isneginf(row["ci_low"])
    assert np.isfinite(row["ci_high"])
    assert "run away" in fit.message
    with pytest.raises(hs.errors.IdentificationError, match="no contrast with them has an interval"):
        hs.compare(fit, by="group")


def test_a_mean_that_sets_the_scale_does_not_run_away(log: hs.BehaviorLog) -> None:
    """Without a known weight the mean log temperature is 0 by definition: the data need not tell it."""
    fit = hs.fit(hs.SoftOptimalModel(CORRIDOR, hs.LinearReward(["step", "lava"]), "~ 1"), log)
    assert fit.status.name == "CONVERGED"
    assert population_of(fit).params.loc[("log_temperature", "Intercept"), "estimate"] == 0
    assert "run away" not in fit.message


@pytest.mark.slow
def test_people_who_choose_at_random_are_alike() -> None:
    policy = hs.plan(CORRIDOR, {"step": -1.0}, temperature={f"p{i}": 1e4 for i in range(16)})
    fit = hs.fit(MODEL, hs.simulate(policy, 5, seed=1, max_steps=12), method="hierarchical")
    assert fit.converged
    params = population_of(fit).params
    assert params.loc[("log_temperature", "Intercept"), "ci_low"] > 0  # hotter than any stake
    assert params.loc[("sd", "log_temperature"), "ci_low"] == 0


def test_a_group_of_one_person_is_compared_by_the_spread_of_the_others() -> None:
    log = choices_of_people(12, 30, seed=8, sd=0.4)
    people = pd.DataFrame({"subject": list(log.subjects), "group": ["alone"] + ["rest"] * 11})
    log = hs.read(log.to_dataframe(), state=["state_0", "state_1"], participants=people)
    fit = hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerGroup("group")), log, method="hierarchical")
    table = hs.compare(fit, by="group")
    assert table.loc[("group", "alone"), "std_error"] > table.loc[("group", "rest"), "std_error"]


def test_saving_keeps_the_population(grouped: hs.Fit, tmp_path: object) -> None:
    hs.save(grouped, f"{tmp_path}/run")
    again = hs.load(f"{tmp_path}/run")
    assert again == grouped
    assert again.population == grouped.population
    pd.testing.assert_frame_equal(hs.compare(again, by="group"), hs.compare(grouped, by="group"))


@pytest.mark.slow
def test_newcomers_are_seen_through_the_population(log: hs.BehaviorLog, grouped: hs.Fit) -> None:
    """A person left out and adapted to gets nearly the estimate that fitting with everybody gives."""
    left = log.codebook.subjects.values[5]
    known = hs.fit(
        hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerGroup("group")), log.select(log.subject != 5), method="hierarchical"
    )
    new = hs.adapt(known, log.select(log.subject == 5))
    ours, theirs = new.params.loc[("log_temperature", left)], grouped.params.loc[("log_temperature", left)]
    assert ours["estimate"] == pytest.approx(theirs["estimate"], abs=0.25 * theirs["std_error"])
    assert ours["std_error"] == pytest.approx(theirs["std_error"], rel=0.2)
    assert len(hs.predict(new, log.select(log.subject == 5))) == (log.subject == 5).sum()


def test_adapting_asks_for_a_population_and_for_strangers(log: hs.BehaviorLog, grouped: hs.Fit) -> None:
    with pytest.raises(hs.errors.UsageError, match="method='hierarchical'"):
        hs.adapt(hs.fit(MODEL, log), log)
    with pytest.raises(hs.errors.UsageError, match=r"knows .* already"):
        hs.adapt(grouped, log)


def test_adapting_to_a_group_that_nobody_was_of_is_refused(grouped: hs.Fit) -> None:
    stranger = choices_of_people(1, 10, seed=9, sd=0.0).to_dataframe().assign(subject="new", group="c")
    log = hs.read(stranger, state=["state_0", "state_1"])
    with pytest.raises(hs.errors.LogError, match="knows nobody like these"):
        hs.adapt(grouped, log)


def sessions(correlation: float, people: int = 60, decisions: int = 100, seed: int = 1) -> hs.BehaviorLog:
    """Simulate people twice, whose log temperatures (sd .5) correlate."""
    generator = np.random.default_rng(seed)
    root = np.linalg.cholesky([[1.0, correlation], [correlation, 1.0 + 1e-12]])
    logs = -0.3 + 0.5 * generator.standard_normal((people, 2)) @ root.T
    parts = []
    for place in range(2):
        policy = hs.plan(
            CORRIDOR, {"step": -1.0}, {f"p{i:02d}": float(np.exp(v)) for i, v in enumerate(logs[:, place])}
        )
        table = hs.simulate(policy, decisions // 5, seed=seed + place).to_dataframe().assign(session=place + 1)
        parts.append(table.assign(episode=table["episode"] + 10_000 * place))
    return hs.read(pd.concat(parts), state=["state_0", "state_1"])


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.3, 0.8])
def test_the_joint_model_finds_the_correlation_of_two_sessions(correlation: float) -> None:
    log = sessions(correlation)
    table = hs.reliability(hs.fit(MODEL, log), log)
    found = table.loc["model_correlation"]
    assert found["ci_low"] < correlation < found["ci_high"]
    assert table.loc["ceiling", "estimate"] < 1
    for session in (1, 2):
        assert table.loc[f"split_half_{session}", "estimate"] > correlation  # nobody changes within a session


@pytest.mark.slow
def test_a_correlation_that_the_data_do_not_tell_has_an_interval_that_says_so() -> None:
    log = sessions(0.5, people=5, decisions=6)
    first = np.zeros(len(log), dtype=bool)
    first[np.unique(log.episode, return_index=True)[1]] = True
    once = log.select((log.frame["session"].to_numpy() == 1) | first)
    table = hs.reliability(hs.fit(MODEL, log), once)
    found = table.loc["model_correlation"]
    assert found["ci_high"] - found["ci_low"] > 1
    for end in ("ci_low", "estimate", "ci_high"):
        assert table[end].dropna().between(-1, 1).all()
    assert any("at its edge" in note for note in table.attrs["notes"]) == (abs(found["estimate"]) == 1)


def test_reliability_asks_for_two_sessions(log: hs.BehaviorLog) -> None:
    fit = hs.fit(MODEL, log)
    with pytest.raises(hs.errors.UsageError, match="no column 'session'"):
        hs.reliability(fit, log)
    frame = log.to_dataframe()
    one = hs.read(frame.assign(session=1), state=["state_0", "state_1"])
    with pytest.raises(hs.errors.LogError, match="has 1 values"):
        hs.reliability(fit, one)
    torn = hs.read(frame.assign(session=np.arange(len(frame)) % 2), state=["state_0", "state_1"])
    with pytest.raises(hs.errors.LogError, match="episodes stand in two values of 'session'"):
        hs.reliability(fit, torn)


@pytest.mark.slow
def test_the_end_of_a_one_sided_interval_does_not_depend_on_the_coding() -> None:
    """A group in which nobody errs as one of two means, as the reference, and as years in which nobody was born."""
    temperatures = {f"p{i:02d}": 1e-3 if i % 2 else 0.6 for i in range(12)}
    log = with_group(hs.simulate(hs.plan(CORRIDOR, {"step": -1.0}, temperature=temperatures), 5, seed=1, max_steps=12))
    people = log.participants.reset_index(names="subject")
    people["born"] = 1985.0 + 10 * (people["group"] == "b")
    wider = hs.read(log.to_dataframe(), state=["state_0", "state_1"], participants=people)

    def ends(formula: str) -> pd.DataFrame:
        fit = hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, formula), wider, method="maximum_likelihood")
        return pd.DataFrame(population_of(fit).params.loc["log_temperature"])

    means, dummies, years = ends("~ 0 + group"), ends("~ group"), ends("~ born")
    reference = ends("~ C(group, contr.treatment(base='b'))")
    assert np.isneginf(means.loc["group[b]", "ci_low"])
    assert reference.loc["Intercept", "ci_high"] == pytest.approx(means.loc["group[b]", "ci_high"], abs=1e-3)
    assert years.loc["born", "ci_high"] * 10 == pytest.approx(dummies.loc["group[T.b]", "ci_high"], abs=1e-3)
    assert np.isneginf(years.loc["born", "ci_low"])


@pytest.mark.slow
def test_people_met_once_are_left_out_and_named() -> None:
    log = sessions(0.5, people=8, decisions=30)
    missing = (log.subject == 0) & (log.frame["session"].to_numpy() == 2)
    table = hs.reliability(hs.fit(MODEL, log), log.select(~missing))
    assert table.loc["model_correlation", "num_people"] == 7
    assert any("1 people were met in one session only" in note for note in table.attrs["notes"])


def test_conditions_of_a_person_have_temperatures_of_their_own() -> None:
    log = sessions(0.5, people=6, decisions=30)
    parts = hs.by_condition(log, "session")
    assert len(parts.subjects) == 12
    assert sorted(parts.to_dataframe().index) == sorted(log.to_dataframe().index)
    assert parts.participants.loc["p00/2"].to_dict() == {"person": "p00", "session": 2}
    second = log.select(log.frame["session"].to_numpy() == 2)
    together, alone = hs.fit(MODEL, parts), hs.fit(MODEL, second)
    row = together.params.loc[("log_temperature", "p03/2"), ["estimate", "boundary"]]
    assert row["estimate"] == pytest.approx(alone.params.loc[("log_temperature", "p03"), "estimate"], abs=1e-5)
    assert "ratio" in hs.compare(together, by="session").index


def test_taking_apart_twice_keeps_the_person() -> None:
    frame = sessions(0.5, people=3, decisions=20).to_dataframe()
    log = hs.read(frame.assign(odd=frame["episode"] % 2), state=["state_0", "state_1"])
    twice = hs.by_condition(hs.by_condition(log, "session"), "odd").participants
    assert twice.loc["p01/2/0"].to_dict() == {"person": "p01", "session": 2, "odd": 0}


def test_columns_of_the_participants_are_not_written_over() -> None:
    frame = sessions(0.5, people=3, decisions=20).to_dataframe()
    own = {"subject": ["p00", "p01", "p02"], "person": ["Ann", "Bob", "Cy"], "session": [2, 1, 2]}
    log = hs.read(frame, state=["state_0", "state_1"], participants=pd.DataFrame(own))
    with pytest.raises(hs.errors.LogError) as caught:
        hs.by_condition(log, "session")
    for part in ("2 problems", "column 'person' of their own", "say who is who", "column 'session' of their own"):
        assert part in str(caught.value)
    table = frame.assign(person=frame["session"])
    with pytest.raises(hs.errors.LogError, match="rename that of the conditions"):
        hs.read(table, state=["state_0", "state_1"], conditions="person")


def test_a_column_of_persons_of_the_users_own_makes_nobody_one() -> None:
    """Not even where it looks like what taking apart writes."""
    frame = sessions(0.5, people=4, decisions=20).to_dataframe()
    frame["subject"] = "p/" + frame["subject"]
    people = pd.DataFrame({"subject": sorted(set(frame["subject"])), "person": "p"})
    log = hs.read(frame, state=["state_0", "state_1"], participants=people)
    assert person_codes(log)[np.flatnonzero(np.diff(log.subject, prepend=-1))].tolist() == [0, 1, 2, 3]
    fit = hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject()), log)
    assert fit.num_people == 4
    assert not any("different people" in note for note in fit.notes)


def test_a_saved_fit_by_condition_knows_who_is_who(tmp_path: Path) -> None:
    parts = hs.by_condition(sessions(0.5, people=4, decisions=20), "session")
    fit = hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerGroup("session")), parts)
    again = hs.load(hs.save(fit, tmp_path / "run"))
    assert (again, again.num_people) == (fit, 4)
    assert persons_of(again.training, ["p01/2", "eve"]) == {"p01/2": "p01", "eve": "eve"}


def test_a_condition_in_the_middle_of_an_episode_is_refused() -> None:
    frame = sessions(0.5, people=2, decisions=10).to_dataframe()
    log = hs.read(frame.assign(half=np.arange(len(frame)) % 2), state=["state_0", "state_1"])
    with pytest.raises(hs.errors.LogError, match=r"episodes stand in two values of 'half', that of row \d+ \(subject"):
        hs.by_condition(log, "half")
    with pytest.raises(hs.errors.LogError, match="by_condition"):
        hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, "~ half"), log, method="hierarchical")


@pytest.mark.slow
def test_a_person_alone_with_rewards_of_their_own_is_a_population_without_a_spread() -> None:
    log = hs.simulate(hs.plan(CORRIDOR, {"step": -1.0}, {"ann": 0.8}), 10, seed=0, max_steps=12)
    own, shared = (
        hs.SoftOptimalModel(CORRIDOR, hs.LinearReward(["step"], shared=shared), hs.Fixed(1.0))
        for shared in (False, True)
    )
    found, alone = hs.fit(own, log, method="hierarchical"), hs.fit(shared, log)
    assert found.population is not None
    assert found.population.sd["step"] == 0
    assert found.params.loc[("step", "ann"), "estimate"] == pytest.approx(
        alone.params["estimate"]["step"].iloc[0], abs=1e-4
    )


@pytest.mark.slow
def test_one_person_who_never_erred_is_a_population_whose_mean_has_no_lower_end() -> None:
    log = choices_of_people(5, 12, seed=3, sd=0.5)
    found = population_of(hs.fit(MODEL, log.select(log.subject == 1), method="hierarchical")).params
    assert found.loc[("log_temperature", "Intercept"), "ci_low"] == -np.inf
    assert np.isfinite(found.loc[("log_temperature", "Intercept"), "ci_high"])
