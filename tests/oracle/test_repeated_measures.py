"""People met in several conditions: densities of draws, contrasts, and what else of a fit knows who is who."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import humansoft as hs
from humansoft.data.folds import folds_of
from humansoft.data.splits import SplitBy
from humansoft.evaluate.leave_one_out import leave_one_out
from humansoft.fit.hierarchical import WITHIN, own_rows
from humansoft.fit.person_evidence import person_evidence
from humansoft.fit.population import Population
from humansoft.fit.population_density import PopulationDensity, PopulationDraws
from humansoft.fit.population_fit import PopulationProblem, population_problem
from humansoft.fit.population_maximum import integrated
from humansoft.fit.population_prior import prior_scales
from tests.oracle.populations import CORRIDOR, STEP, met_again

Real = npt.NDArray[np.float64]

BY_BLOCK = hs.SoftOptimalModel(CORRIDOR, STEP, "~ block + group")


def without_one(log: hs.BehaviorLog) -> hs.BehaviorLog:
    """Return the log without the second condition of the first person."""
    return log.select(log.subject != 1)


@pytest.fixture(scope="module")
def log() -> hs.BehaviorLog:
    return without_one(met_again(8, 2, seed=3, between=0.6, within=0.3, effect=0.4, group=0.3))


@pytest.fixture(scope="module")
def problem(log: hs.BehaviorLog) -> PopulationProblem:
    return population_problem(BY_BLOCK, log, True, 1, 200, False)


@pytest.fixture(scope="module")
def fitted(log: hs.BehaviorLog) -> hs.Fit:
    return hs.fit(BY_BLOCK, log, method="hierarchical")


def population_of(fit: hs.Fit) -> Population:
    assert fit.population is not None
    return fit.population


def test_draws_are_given_the_same_evidence(problem: PopulationProblem) -> None:
    """At draws that differ from where nodes were placed."""
    mixed, profiles = problem.mixed, problem.people.profiles()
    middle = mixed.from_terms @ np.r_[-1.0, -0.5, 0.4, 0.3, np.log([0.6, 0.3])]
    near = integrated(profiles, mixed, 1.0, middle).posterior(middle)
    full = middle + np.array([[0.0], [0.2], [-0.2]]) * (np.arange(len(middle)) > 0)
    draws = PopulationDraws(full, np.zeros((3, 8, 2)))
    found = person_evidence(profiles, mixed, draws, near, middle)
    exact = [integrated(profiles, mixed, 1.0, point).by_person(point) for point in full]
    np.testing.assert_allclose(found, exact, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_the_log_density_of_draws_has_its_gradient(problem: PopulationProblem, share: float) -> None:
    mixed, people = problem.mixed, problem.people
    own = own_rows(people.likelihood.model)
    prior = hs.PopulationPrior()
    scales = prior_scales(prior, mixed, people.by_subject(mixed.design), own, problem.alike, problem.seen)
    density = PopulationDensity(mixed, scales, np.full((8, 3), share), problem.start)
    generator = np.random.default_rng(3)
    point = density.point_of(problem.start, 0.3 * generator.standard_normal((8, 2)))
    point = point + 0.02 * generator.standard_normal(density.size)
    _, gradient = density.value_and_gradient(people.profiles(), point)
    for place in range(density.size):
        step = np.where(np.arange(density.size) == place, 1e-5, 0.0)
        ends = [density.value_and_gradient(people.profiles(), point + sign * step)[0] for sign in (1, -1)]
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-7 * np.abs(gradient).max() + 1e-6)


def test_numbers_of_a_point_add_up_to_its_deviations(problem: PopulationProblem) -> None:
    mixed, people = problem.mixed, problem.people
    own = own_rows(people.likelihood.model)
    prior = hs.PopulationPrior()
    scales = prior_scales(prior, mixed, people.by_subject(mixed.design), own, problem.alike, problem.seen)
    density = PopulationDensity(mixed, scales, np.full((8, 3), 0.4), problem.start)
    deviation = np.random.default_rng(3).standard_normal((8, 2))
    found = density.draws(density.point_of(problem.start, deviation)[None])
    np.testing.assert_allclose(found.full[0], problem.start, atol=1e-12)
    np.testing.assert_allclose(found.own[0], mixed.own(problem.start, deviation[:, None])[:, 0], atol=1e-12)


@pytest.mark.slow
def test_a_fit_tells_how_people_differ_and_how_they_change(fitted: hs.Fit) -> None:
    population = population_of(fitted)
    assert list(population.sd.index) == ["log_temperature", WITHIN]
    assert len(fitted.temperatures()) == len(population.design) == 15
    assert population.evidence.index.tolist() == [f"p{i:03d}" for i in range(8)]
    assert not any("independently" in note for note in fitted.notes)
    compared = hs.compare(fitted, by="block")
    coefficient = population.params.loc[("log_temperature", "block[T.b1]")]
    assert compared.loc[("ratio", "b1 / b0"), "log_temperature"] == pytest.approx(coefficient["estimate"])


@pytest.mark.slow
def test_newcomers_by_condition_are_seen_as_those_the_population_knows(log: hs.BehaviorLog, fitted: hs.Fit) -> None:
    """Of the same decisions under other names, the same is said."""
    table = log.to_dataframe().assign(subject=[f"n{label[1:4]}" for label in log.to_dataframe()["subject"]])
    renamed = hs.by_condition(hs.read(table, state=["state_0", "state_1"]), "block")
    found = hs.adapt(fitted, renamed)
    pd.testing.assert_series_equal(
        found.temperatures()["temperature"].reset_index(drop=True),
        fitted.temperatures()["temperature"].reset_index(drop=True),
        rtol=1e-6,
    )
    assert found.log_likelihood == pytest.approx(fitted.log_likelihood, abs=1e-6)
    second = hs.adapt(fitted, renamed.select(np.isin(renamed.subject, [1, 2])))
    assert second.log_likelihood == pytest.approx(float(population_of(fitted).evidence.loc["p001"]), abs=1e-6)


@pytest.mark.slow
def test_a_saved_fit_comes_back(fitted: hs.Fit, tmp_path: object) -> None:
    assert hs.load(hs.save(fitted, f"{tmp_path}/run")) == fitted


@pytest.mark.slow
def test_own_weights_in_conditions_are_said_to_count_as_independent(log: hs.BehaviorLog) -> None:
    model = hs.SoftOptimalModel(CORRIDOR, hs.LinearReward(["step"], shared=False), hs.Fixed(1.0))
    found = hs.fit(model, log, method="hierarchical", integrate="laplace")
    assert any("contrast of conditions is too wide" in note for note in found.notes)


@pytest.mark.slow
def test_laplace_and_quadrature_agree_where_decisions_are_many() -> None:
    log = met_again(20, 3, seed=5, between=0.5, within=0.3, effect=0.4, episodes=60)
    ways = [hs.fit(BY_BLOCK, log, method="hierarchical", integrate=way) for way in ("quadrature", "laplace")]
    exact, near = (population_of(way).params["estimate"] for way in ways)
    np.testing.assert_allclose(near, exact, atol=0.02)


@pytest.mark.slow
def test_contrasts_are_those_of_paired_differences_where_decisions_are_many() -> None:
    """Conditions are compared within people, groups between them: a paired and an unpaired comparison of estimates."""
    log = met_again(40, 2, seed=8, between=0.6, within=0.2, effect=0.3, group=0.4, episodes=80)
    alone = hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject()), log)
    own = np.log(alone.temperatures()["temperature"].to_numpy(dtype=float)).reshape(40, 2)
    change, level = own[:, 1] - own[:, 0], own.mean(axis=1).reshape(20, 2)  # every other person is of group b
    params = population_of(hs.fit(BY_BLOCK, log, method="hierarchical")).params.loc["log_temperature"]
    block, group = params.loc["block[T.b1]"], params.loc["group[T.b]"]
    assert block["estimate"] == pytest.approx(change.mean(), abs=0.02)
    assert block["std_error"] == pytest.approx(change.std(ddof=1) / np.sqrt(40), rel=0.1)
    assert group["estimate"] == pytest.approx(np.diff(level.mean(axis=0)).item(), abs=0.05)
    pooled = np.sqrt(level.var(axis=0, ddof=1).mean() * 2 / 20)
    assert group["std_error"] == pytest.approx(pooled, rel=0.1)


def people_of(log: hs.BehaviorLog) -> npt.NDArray[np.str_]:
    """Return who made each decision."""
    return np.array([str(label)[:4] for label in log.codebook.subjects.values])[log.subject]


@pytest.mark.slow
def test_people_are_left_out_in_all_their_conditions(log: hs.BehaviorLog, fitted: hs.Fit) -> None:
    table = leave_one_out(fitted, "subject")
    assert table.index.tolist() == [f"p{i:03d}" for i in range(8)]
    who = people_of(log)
    for person in table.index[[0, 3]]:
        others = hs.fit(BY_BLOCK, log.select(who != person), method="hierarchical")
        alone = hs.adapt(others, log.select(who == person))
        assert table.loc[person, "log_predictive"] == pytest.approx(alone.log_likelihood, abs=0.02)
    assert table["num_decisions"].sum() == fitted.num_decisions


@pytest.mark.slow
@pytest.mark.parametrize("by", ["subject", "episode"])
def test_decisions_are_held_out_with_what_is_known_of_a_person_in_other_conditions(
    log: hs.BehaviorLog, by: SplitBy
) -> None:
    units = hs.cross_validate(BY_BLOCK, log, by, 2, method="hierarchical", seed=4).attrs["units"]
    who = people_of(log)
    for number, (learned, held_out) in enumerate(folds_of(log, by, 2, 4), 1):
        fitted = hs.fit(BY_BLOCK, log.select(learned), method="hierarchical")
        found = units[units["fold"] == number]
        if by == "subject":
            assert set(who[learned]).isdisjoint(who[held_out])
            assert sorted(found.index.get_level_values("subject")) == sorted(set(who[held_out]))
            exact = population_of(hs.adapt(fitted, log.select(held_out))).evidence
            np.testing.assert_allclose(
                found.droplevel("episode")["log_likelihood"], exact[found.index.get_level_values(0)]
            )
            continue
        episode = log.episode[held_out][0]
        mine = held_out & (log.episode == episode)
        before = learned & (who == who[mine][0])
        both, seen = (renamed_evidence(fitted, log, some) for some in (before | mine, before))
        assert found["log_likelihood"].iloc[0] == pytest.approx(both - seen, abs=2e-3)


def renamed_evidence(fitted: hs.Fit, log: hs.BehaviorLog, some: npt.NDArray[np.bool_]) -> float:
    """Return the evidence of some decisions of a person under another name."""
    table = log.select(some).to_dataframe()
    renamed = hs.read(table.assign(subject="n" + table["subject"]), state=["state_0", "state_1"], conditions="block")
    return hs.adapt(fitted, renamed).log_likelihood


def test_folds_and_splits_keep_a_person_together(log: hs.BehaviorLog) -> None:
    who = people_of(log)
    train, test = hs.split(log, by="subject", fraction=0.3, seed=2)
    assert set(people_of(train)).isdisjoint(people_of(test))
    dealt = [set(who[held_out]) for _, held_out in folds_of(log, "subject", 3, 1)]
    assert sum(map(len, dealt)) == 8


@pytest.mark.slow
def test_the_bootstrap_draws_people_in_all_their_conditions(log: hs.BehaviorLog) -> None:
    model = hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerGroup("block"))
    fit = hs.fit(model, log)
    assert any("different people" in note for note in fit.notes)
    temperatures = hs.SoftOptimalModel(CORRIDOR, hs.LinearReward(["step", "lava"], {"step": -1.0}), hs.PerSubject())
    table = hs.bootstrap(hs.fit(temperatures, log), log, by="subject", draws=4, seed=1)
    left = {str(label): table["log_temperature", label].isna().tolist() for label in log.subjects}
    assert all(left[f"p{i:03d}/b0"] == left[f"p{i:03d}/b1"] for i in range(1, 8))
    assert any(map(any, left.values()))


@pytest.mark.slow
def test_people_of_a_fit_are_simulated_in_their_conditions(fitted: hs.Fit) -> None:
    log = hs.simulate(fitted, 3, seed=1)
    assert list(log.subjects) == list(fitted.subjects.values)
    assert log.columns.conditions == ("block",)
    assert log.participants.loc["p001/b1", ["person", "block"]].tolist() == ["p001", "b1"]
    again = hs.fit(hs.SoftOptimalModel(CORRIDOR, STEP, "~ block"), log, method="hierarchical")
    assert WITHIN in population_of(again).sd.index
    assert again.num_people == fitted.num_people == 8


@pytest.mark.slow
def test_the_methods_paragraph_says_what_was_fitted(fitted: hs.Fit) -> None:
    said = hs.compare(fitted, by="block").attrs["methods"]
    assert "marginal maximum likelihood" in said
    assert "8 people in 15 conditions" in said
    assert "a deviation of each person and of each person in each condition" in said
    assert "these very people" not in said


@pytest.mark.slow
def test_known_people_in_other_conditions_are_no_newcomers(log: hs.BehaviorLog, fitted: hs.Fit) -> None:
    table = log.to_dataframe().assign(block="b2")
    later = hs.read(table, state=["state_0", "state_1"], conditions="block")
    with pytest.raises(hs.errors.UsageError, match="knows 'p000'"):
        hs.adapt(fitted, later)


@pytest.mark.slow
@pytest.mark.parametrize("integrate", ["auto", "laplace"])
def test_a_fit_settles_where_people_do_not_change(integrate: Literal["auto", "laplace"]) -> None:
    log = met_again(12, 4, seed=24, between=0.6, within=0.0)
    model = hs.SoftOptimalModel(CORRIDOR, STEP, "~ block")
    fit = hs.fit(model, log, method="hierarchical", integrate=integrate)
    assert population_of(fit).integration == ("quadrature" if integrate == "auto" else "laplace")
    assert fit.converged
    assert population_of(fit).sd[WITHIN] == 0
