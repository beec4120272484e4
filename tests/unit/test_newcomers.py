"""People whom a fit does not know: at the mean of people like them, as far as the log tells what they are like."""

import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.special import expit, log_expit, logsumexp
from scipy.stats import norm

import humansoft as hs
from humansoft.errors import LogError, ModelError, NewcomerWarning
from humansoft.fit.hierarchical import WITHIN
from humansoft.fit.result import Fit
from humansoft.temperature import Temperature
from tests.unit.test_covariates import AGE, BANDIT, GROUP, REWARD, people_of

Real = npt.NDArray[np.float64]

KNOWN = people_of({"age": AGE, "group": GROUP})
METHODS = ["maximum_likelihood", pytest.param("hierarchical", marks=pytest.mark.slow)]
GAPS = {"s0": 1.0, "s1": -1.2}  # of the two actions


def fitted(temperature: Temperature | str, method: str) -> Fit:
    return hs.fit(hs.SoftOptimalModel(BANDIT, REWARD, temperature), KNOWN, method=method)  # type: ignore[arg-type]


def log_temperatures(fit: Fit, log: hs.BehaviorLog) -> "pd.Series[float]":
    """Return the log temperatures that predictions are made at: log odds = gap / temperature."""
    table = hs.predict(fit, log)
    table = table[table["state"] == "s0"].drop_duplicates("subject").set_index("subject")
    return pd.Series(-np.log(np.log(table["p_a1"] / table["p_a0"])))


def coefficients_of(fit: Fit) -> "pd.Series[float]":
    params = fit.params if fit.population is None else fit.population.params
    return pd.Series(params.loc["log_temperature"]["estimate"])


@pytest.fixture(scope="module")
def by_age() -> Fit:
    return fitted("~ group + age", "maximum_likelihood")


@pytest.mark.parametrize("method", METHODS)
def test_newcomers_of_a_group_have_its_mean(method: str) -> None:
    fit = fitted(hs.PerGroup("group"), method)
    found = log_temperatures(fit, people_of({"group": ["m", "z", "m"]}, first=20, decisions=1))
    mean = coefficients_of(fit)
    np.testing.assert_allclose(found, mean[["m", "z", "m"]], atol=1e-9)
    assert abs(mean["m"] - mean["z"]) > 0.05


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("centre", [0.0, AGE.mean()])
def test_newcomers_have_the_mean_of_their_covariates(method: str, centre: float) -> None:
    fit = fitted("~ center(age)" if centre else "~ age", method)
    intercept, slope = coefficients_of(fit)
    found = log_temperatures(fit, people_of({"age": [40.0, 55.0]}, first=20, decisions=1))
    np.testing.assert_allclose(found, intercept + slope * (np.array([40.0, 55.0]) - centre), atol=1e-9)


def test_people_who_are_known_stay_as_they_are(by_age: Fit) -> None:
    both = people_of({"age": [61.0, 40.0], "group": ["a", "m"]}, decisions=2)
    renamed = both.to_dataframe().assign(subject=both.to_dataframe()["subject"].replace("p1", "eve"))
    people = pd.DataFrame({"subject": ["p0", "eve"], "age": [np.nan, 40.0], "group": [None, "m"]})
    table = hs.predict(by_age, hs.read(renamed, participants=people))
    assert table.drop_duplicates("subject").set_index("subject")["subject_known"].to_dict() == {
        "p0": True,
        "eve": False,
    }
    found = log_temperatures(by_age, hs.read(renamed, participants=people))
    mean = coefficients_of(by_age)
    assert found["p0"] == pytest.approx(by_age.temperatures().loc["p0", "log_temperature"])
    assert found["eve"] == pytest.approx(mean["Intercept"] + mean["group[T.m]"] + 40 * mean["age"])


def test_a_column_of_the_log_tells_as_well(by_age: Fit) -> None:
    new = people_of({"age": [40.0, 28.0], "group": ["m", "a"]}, first=20, decisions=2)
    frame = new.to_dataframe().merge(new.participants.reset_index(names="subject"), on="subject")
    pd.testing.assert_frame_equal(hs.predict(by_age, hs.read(frame)), hs.predict(by_age, new))


@pytest.mark.slow
def test_scores_are_those_of_the_predictions_and_no_marginal_likelihood() -> None:
    fit, new = fitted(hs.PerSubject(), "hierarchical"), people_of({"age": [40.0, 28.0]}, first=20, decisions=60)
    scored = hs.score(fit, new, baselines="none").loc["model"]
    assert scored["log_likelihood"] == pytest.approx(hs.predict(fit, new)["log_prob"].sum())
    assert scored["num_unknown_subjects"] == 2
    assert scored["log_likelihood"] != pytest.approx(hs.adapt(fit, new).log_likelihood, abs=0.01)


def test_without_the_columns_newcomers_are_average_and_it_is_said(by_age: Fit) -> None:
    new = people_of({"age": [40.0]}, first=20, decisions=1)
    with pytest.warns(NewcomerWarning, match=r"no column 'group'.*'p20' count as the average.*on_unknown='raise'"):
        found = log_temperatures(by_age, new)
    assert found["p20"] == pytest.approx(by_age.temperatures()["log_temperature"].mean())
    with pytest.raises(ModelError, match="does not know 1 of the subjects"):
        hs.predict(by_age, new, on_unknown="raise")


@pytest.mark.parametrize("temperature", [hs.PerGroup("group"), "~ group"])
@pytest.mark.parametrize("method", METHODS)
def test_groups_that_nobody_was_of_are_named(temperature: Temperature | str, method: str) -> None:
    new = people_of({"group": ["m", "q"]}, first=20, decisions=1)
    with pytest.raises(LogError, match="group is 'q' of 'p21'; its levels in the fit are 'a', 'm', 'z'"):
        hs.score(fitted(temperature, method), new)


def test_an_empty_value_of_a_newcomer_is_refused(by_age: Fit) -> None:
    new = people_of({"age": [40.0, np.nan], "group": ["m", "a"]}, first=20, decisions=1)
    with pytest.raises(LogError, match="column 'age' is empty for subjects 'p21'"):
        hs.predict(by_age, new)


def test_people_one_by_one_say_nothing_of_newcomers_but_their_average() -> None:
    fit = fitted(hs.PerSubject(), "maximum_likelihood")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = log_temperatures(fit, people_of({"group": ["m"]}, first=20, decisions=1))
    assert found["p20"] == pytest.approx(fit.temperatures()["log_temperature"].mean())


@pytest.fixture(scope="module")
def met_again() -> hs.BehaviorLog:
    """Ten people in three blocks, who differ from each other and change."""
    generator = np.random.default_rng(4)
    people, blocks, trials = (place.ravel() for place in np.indices((10, 3, 40)))
    own = 0.8 * generator.standard_normal(10)[people] + 0.4 * generator.standard_normal((10, 3))[people, blocks]
    state = np.array(["s0", "s1"])[trials % 2]
    odds = np.array([GAPS[name] for name in state]) / np.exp(own - 0.3 + 0.5 * (blocks == 2))
    action = np.where(generator.random(len(odds)) < expit(odds), "a1", "a0")
    frame = pd.DataFrame({"subject": [f"p{i:02d}" for i in people], "episode": blocks * 100 + trials, "step": 0})
    frame = frame.assign(state=state, action=action, block=[f"b{i}" for i in blocks])
    return hs.by_condition(hs.read(frame), "block")


def own_level(fit: Fit, log: hs.BehaviorLog, person: str) -> float:
    """Return E[u | decisions of a person] by sums over u, and over v in each condition."""
    assert fit.population is not None
    sd, mean = fit.population.sd, coefficients_of(fit)
    u, v = np.linspace(-5, 5, 801), np.linspace(-4, 4, 801)
    logs = norm.logpdf(u, scale=sd["log_temperature"])
    frame = log.to_dataframe()
    for block, mine in frame[frame["subject"] == person].groupby("block"):
        level = mean["Intercept"] + mean.get(f"block[T.{block}]", 0.0)
        favoured = np.where(mine["action"] == "a1", 1, -1) * mine["state"].map(GAPS).to_numpy()
        log_likelihood = np.zeros((len(u), len(v)))
        for gap, count in zip(*np.unique(favoured, return_counts=True), strict=True):
            log_likelihood += count * log_expit(gap / np.exp(level + u[:, None] + v))
        logs += logsumexp(log_likelihood + norm.logpdf(v, scale=sd[WITHIN]), axis=1)
    weights = np.exp(logs - logs.max())
    return float(weights @ u / weights.sum())


@pytest.mark.slow
def test_a_person_in_a_new_condition_keeps_the_own_level(met_again: hs.BehaviorLog) -> None:
    left = np.isin(met_again.codebook.subjects.decode(met_again.subject), ["p03/b2", "p07/b1", "p07/b2"])
    seen, new = met_again.select(~left), met_again.select(left)
    fit = hs.fit(hs.SoftOptimalModel(BANDIT, REWARD, "~ block"), seen, method="hierarchical")
    assert fit.population is not None
    assert WITHIN in fit.population.sd.index
    found, mean = log_temperatures(fit, new), coefficients_of(fit)
    for subject in new.subjects:
        person, block = str(subject).split("/")
        level = own_level(fit, seen, person)
        assert abs(level) > 0.1
        # The fit knows its integrals to some thousandths.
        assert found[subject] == pytest.approx(mean["Intercept"] + mean[f"block[T.{block}]"] + level, abs=4e-3)
    strangers = hs.read(new.to_dataframe().replace({"p03": "q03", "p07": "q07"}), conditions="block")
    found = log_temperatures(fit, strangers)
    assert found["q03/b2"] == pytest.approx(mean["Intercept"] + mean["block[T.b2]"])
