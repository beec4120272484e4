"""Population fits of people with choice terms, as their users meet them."""

from pathlib import Path
from unittest.mock import Mock

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.special import expit

import humansoft as hs
from humansoft.choice import ChoiceTerm
from humansoft.fit.assemble import lapse_note
from humansoft.fit.choice_likelihood import ChoiceLikelihood
from humansoft.fit.mixed import Mixed
from humansoft.fit.population import Population
from humansoft.fit.population_table import Uncertainty
from humansoft.fit.result import FitStatus
from humansoft.parameters import Parameter
from tests.oracle.populations import CORRIDOR, STEP, with_group

Real = npt.NDArray[np.float64]
STICKINESS, LAPSE = 0.8, 0.1
TERMS = (hs.Lapse(), hs.Stickiness())
COLUMNS = ["estimate", "std_error", "ci_low", "ci_high"]


def people_log(
    people: int, episodes: int, choice: tuple[ChoiceTerm, ...], *, seed: int, first: int = 0, sd: float = 0.8
) -> hs.BehaviorLog:
    """Simulate people whose log temperatures are N(-.5, sd)."""
    standard = np.random.default_rng(seed).standard_normal(people)
    temperatures = {f"p{first + i:03d}": float(np.exp(-0.5 + sd * z)) for i, z in enumerate(standard)}
    policy = hs.plan(CORRIDOR, {"step": -1.0}, temperatures, choice=choice)
    return with_group(hs.simulate(policy, episodes, seed=seed, max_steps=12))


def model(choice: object = TERMS, temperature: object = None) -> hs.SoftOptimalModel:
    return hs.SoftOptimalModel(CORRIDOR, STEP, temperature or hs.PerSubject(), choice=choice)  # type: ignore[arg-type]


def population_of(fit: hs.Fit) -> Population:
    assert fit.population is not None
    return fit.population


def means_on_a_grid(known: hs.Fit, log: hs.BehaviorLog) -> Real:
    """Return posterior mean log temperatures of newcomers: what they did, by the policy, times what is known."""
    params = population_of(known).params["estimate"]
    means, sd = params["log_temperature"], params["sd"].iloc[0]
    choice = (
        hs.Stickiness(fixed=params["stickiness"].iloc[0]),
        hs.Lapse(fixed=float(expit(params["logit_lapse"].iloc[0]))),
    )
    steps = np.linspace(-4.0, 4.0, 25)
    placed = [means["Intercept"] + (means.iloc[1] if i % 2 else 0.0) for i in range(len(log.subjects))]  # a, b, a, ...
    own = np.array(placed)[:, None] + sd * steps
    height = np.zeros(own.shape)
    for person, value in np.ndindex(own.shape):
        temperature = hs.Fixed(float(np.exp(own[person, value])))
        bound = hs.SoftOptimalModel(CORRIDOR, STEP, temperature, choice=choice).bind(log)
        likelihood = ChoiceLikelihood(bound, bound.observe(log))
        height[person, value] = likelihood.by_person(likelihood.start())[person] - 0.5 * steps[value] ** 2
    mass = np.exp(height - height.max(axis=1, keepdims=True))
    found: Real = (mass * own).sum(axis=1) / mass.sum(axis=1)
    return found


@pytest.fixture(scope="module")
def log() -> hs.BehaviorLog:
    return people_log(8, 12, (hs.Stickiness(STICKINESS), hs.Lapse(LAPSE)), seed=2, sd=0.5)


@pytest.fixture(scope="module")
def fitted(log: hs.BehaviorLog) -> hs.Fit:
    return hs.fit(model(temperature="~ group"), log, method="hierarchical")


def test_people_and_their_population_share_the_choice_terms(fitted: hs.Fit) -> None:
    names = ["step", *["log_temperature"] * 8, "stickiness", "logit_lapse"]
    assert fitted.params.index.get_level_values("name").tolist() == names
    params = population_of(fitted).params
    shared = ["step", "stickiness", "logit_lapse"]
    assert params.index.get_level_values("name").tolist() == [*shared, *["log_temperature"] * 2, "sd"]
    for name in shared:
        ours, theirs = (table.loc[(name, "all"), COLUMNS].to_numpy(dtype=float) for table in (fitted.params, params))
        np.testing.assert_array_equal(ours, theirs)
    free = ~fitted.params["fixed"].to_numpy(dtype=bool)
    np.testing.assert_allclose(fitted.std_errors()[free], fitted.params["std_error"][free], rtol=1e-9)
    lapse = fitted.summary().loc[("lapse", "all")]
    assert 0 < lapse["ci_low"] < lapse["estimate"] < lapse["ci_high"] < 0.5
    assert fitted.model.choice.weights.tolist() == params["estimate"].loc[["stickiness", "logit_lapse"]].tolist()


def test_a_saved_population_is_equal_when_it_is_loaded(fitted: hs.Fit, log: hs.BehaviorLog, tmp_path: Path) -> None:
    again = hs.load(hs.save(fitted, tmp_path / "run"))
    assert again == fitted
    pd.testing.assert_frame_equal(hs.predict(again, log), hs.predict(fitted, log))
    assert hs.simulate(again, 2, seed=1) == hs.simulate(fitted, 2, seed=1)
    pd.testing.assert_frame_equal(hs.compare(again, by="group"), hs.compare(fitted, by="group"))


def test_newcomers_are_as_sticky_as_everybody(fitted: hs.Fit, tmp_path: Path) -> None:
    newcomers = people_log(3, 4, (hs.Stickiness(STICKINESS), hs.Lapse(LAPSE)), seed=7, first=50)
    new = hs.adapt(fitted, newcomers)
    for name in ("stickiness", "logit_lapse"):
        ours, theirs = (fit.params.loc[(name, "all"), COLUMNS] for fit in (new, fitted))
        pd.testing.assert_series_equal(ours, theirs)
    assert new.model.choice.weights.tolist() == fitted.model.choice.weights.tolist()
    assert (new.temperatures()["std_error"] > 0).all()
    np.testing.assert_allclose(new.params["estimate"]["log_temperature"], means_on_a_grid(fitted, newcomers), atol=2e-3)
    assert len(hs.predict(new, newcomers)) == len(newcomers)
    assert hs.load(hs.save(new, tmp_path / "new")) == new


def test_without_deviations_a_population_is_one_person_many_times(log: hs.BehaviorLog) -> None:
    formula = hs.fit(model(temperature="~ 1"), log)
    shared = hs.fit(model(temperature=hs.Shared()), log)
    assert formula.log_likelihood == pytest.approx(shared.log_likelihood, abs=1e-7)
    params, errors = population_of(formula).params, shared.std_errors("hessian")
    for ours, theirs in (
        (("stickiness", "all"), ("stickiness", "all")),
        (("logit_lapse", "all"), ("logit_lapse", "all")),
        (("log_temperature", "Intercept"), ("log_temperature", "all")),
    ):
        assert params.loc[ours, "estimate"] == pytest.approx(shared.params.loc[theirs, "estimate"], abs=1e-5)
        assert params.loc[ours, "std_error"] == pytest.approx(errors[theirs], rel=1e-4)


def test_people_who_never_lapse_have_a_one_sided_interval() -> None:
    never = people_log(6, 12, (hs.Stickiness(STICKINESS),), seed=3, sd=0.0)
    fit = hs.fit(model(temperature="~ 1"), never)
    assert fit.status is FitStatus.BOUNDARY
    assert "can do without lapses" in fit.message
    lapse = fit.summary().loc[("lapse", "all")]
    assert (lapse["boundary"], lapse["ci_low"], np.isnan(lapse["std_error"])) == ("lower", 0.0, True)
    assert lapse["estimate"] < 1e-9
    assert 0.01 < lapse["ci_high"] < 0.3
    assert not population_of(fit).params.loc[("logit_lapse", "all"), "fixed"]


@pytest.mark.slow
def test_the_bound_of_a_lapse_is_that_of_fits_one_by_one() -> None:
    never = people_log(6, 12, (hs.Stickiness(STICKINESS),), seed=3, sd=0.0)
    formula, shared = (hs.fit(model(temperature=given), never) for given in ("~ 1", hs.Shared()))
    ours, theirs = (fit.summary().loc[("lapse", "all")] for fit in (formula, shared))
    assert (ours["boundary"], theirs["boundary"]) == ("lower", "lower")
    assert ours["ci_high"] == pytest.approx(theirs["ci_high"], rel=0.02)
    assert formula.log_likelihood == pytest.approx(shared.log_likelihood, abs=1e-6)


def test_a_habit_without_exception_runs_away_and_says_so() -> None:
    always = people_log(4, 6, (hs.Stickiness(60.0),), seed=3)
    fit = hs.fit(model(hs.Stickiness(), "~ 1"), always)
    row = population_of(fit).params.loc[("stickiness", "all")]
    assert np.isposinf(row["ci_high"])
    assert np.isfinite(row["ci_low"])
    assert fit.params.loc[("stickiness", "all"), "boundary"] == "upper"
    assert "stickiness of the population run away" in fit.message


@pytest.mark.slow
def test_reliability_knows_the_terms_of_a_fit() -> None:
    """Terms that a fit has learned count as much as the same terms where they are known; without them it errs."""
    sessions = [people_log(8, 12, (hs.Lapse(LAPSE), hs.Stickiness(STICKINESS)), seed=seed) for seed in (1, 2)]
    once, again = (log.to_dataframe().assign(session=place) for place, log in enumerate(sessions))
    again["episode"] += once["episode"].max()
    log = hs.read(pd.concat([once, again]), state=["state_0", "state_1"])
    learned = hs.fit(model(), log)
    lapse, stickiness = (float(learned.summary().loc[(name, "all"), "estimate"]) for name in ("lapse", "stickiness"))
    known = hs.fit(model((hs.Lapse(lapse), hs.Stickiness(stickiness))), log)
    ours, same, without = (hs.reliability(fit, log)["estimate"] for fit in (learned, known, hs.fit(model(()), log)))
    np.testing.assert_allclose(ours, same, atol=1e-4)
    assert np.abs(ours - without).max() > 0.01


def test_a_counted_log_knows_no_history_for_a_population_either(log: hs.BehaviorLog, tmp_path: Path) -> None:
    log.to_dataframe().to_csv(tmp_path / "log.csv", index=False)
    counted = hs.read(tmp_path / "log.csv", counted=True, state=["state_0", "state_1"])
    with pytest.raises(hs.errors.LogError, match=r"without counted=True for Stickiness\(\)"):
        hs.fit(model(), counted, method="hierarchical")


@pytest.mark.parametrize("name", ["tilt", "lapse"])
def test_priors_of_choice_terms_are_standard_deviations(name: str) -> None:
    with pytest.raises(hs.errors.ModelError, match=rf"PopulationPrior\({name}=0\.0\)"):
        hs.PopulationPrior(**{name: 0.0})


def test_a_feature_with_the_name_of_a_choice_term_is_refused(log: hs.BehaviorLog) -> None:
    task = hs.Task.grid("S.L\n.#.\n..G", discount=0.9, legend={"L": "lapse"}, slip=0.1)
    confused = hs.SoftOptimalModel(task, hs.LinearReward(["step", "lapse"]), hs.PerSubject(), choice=hs.Lapse())
    with pytest.raises(hs.errors.ModelError, match="lapse: a parameter of the reward has the name of a choice term"):
        confused.bind(log)


def test_a_lapse_of_which_nothing_is_known_is_no_bound() -> None:
    assert lapse_note(np.inf).startswith("These data say nothing of the lapse")
    assert "lapse < 0.119" in lapse_note(-2.0)


def test_what_other_people_left_open_stays_open_for_newcomers() -> None:
    """A bias that ran away and a lapse that could be done without, as a table of a population has them."""
    params = pd.DataFrame(
        {
            "ci_low": [-0.1, 1.5, -np.inf],
            "ci_high": [0.3, np.inf, -2.5],
            "std_error": [0.1, np.nan, np.nan],
            "fixed": False,
        },
        index=pd.MultiIndex.from_tuples(
            [("step", "all"), ("stickiness", "all"), ("logit_lapse", "all")], names=["name", "label"]
        ),
    )
    tables = {"covariance": np.zeros((3, 3)), "covariance_errors": np.zeros((0, 3, 3)), "sd": pd.Series(dtype=float)}
    known = Mock(spec=Population, params=params.assign(fixed=False), **tables)
    rows = (Parameter("step", "reward"), Parameter("stickiness", "tilt"), Parameter("lapse", "logit_lapse"))
    found = Uncertainty.of(known, Mixed(rows, (), (), np.zeros((1, 1, 0)), ()))
    assert found.runaway.tolist() == [False, True, False]
    assert found.highest_logit == -2.5
    assert found.has_boundary
