"""People left out of a population, against fitting the others and seeing the person through them."""

from typing import Literal

import numpy as np
import pytest

import humansoft as hs
from humansoft.evaluate.leave_one_out import leave_one_out
from tests.oracle.populations import CORRIDOR, STEP, choices_of_people, with_group

ONE_MEAN = hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject())
BY_GROUP = hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerGroup("group"))


def without(
    model: hs.SoftOptimalModel, log: hs.BehaviorLog, code: int, integrate: Literal["auto", "laplace"] = "auto"
) -> float:
    """The log marginal likelihood of one person under the population fitted to all others."""
    mine = log.subject == code
    rest = hs.fit(model, log.select(~mine), method="hierarchical", integrate=integrate)
    population = hs.adapt(rest, log.select(mine)).population
    assert population is not None
    return float(population.evidence.iloc[0])


def require_brute_force(
    model: hs.SoftOptimalModel, log: hs.BehaviorLog, integrate: Literal["auto", "laplace"] = "auto"
) -> tuple[hs.Fit, list[str]]:
    """Hold leave-one-out of a study against fitting it without a person; return its fit and everybody's marks.

    Fits take most of the time: those left out are the person who tells most of the population, the one who tells least,
    and the one of whom it makes the largest difference.
    """
    fitted = hs.fit(model, log, method="hierarchical", integrate=integrate)
    table = leave_one_out(fitted)
    lost = table["log_likelihood"] - table["log_predictive"]
    codes = np.unique([table["leverage"].argmax(), table["leverage"].argmin(), lost.argmax()])
    exact = [without(model, log, int(code), integrate) for code in codes]
    np.testing.assert_allclose(table["log_predictive"].iloc[codes], exact, atol=0.01)
    assert fitted.population is not None
    np.testing.assert_array_equal(table["log_likelihood"], fitted.population.evidence)
    assert lost.sum() > 1.0  # what is taken off is not small
    return fitted, table["mark"].tolist()


@pytest.mark.slow
def test_people_are_predicted_as_by_fitting_the_others() -> None:
    fitted, marks = require_brute_force(ONE_MEAN, choices_of_people(9, 40, seed=3, sd=0.6))
    assert "refit" not in marks
    assert fitted.converged


@pytest.mark.slow
def test_a_person_of_a_group_is_predicted_from_the_groups_of_the_others() -> None:
    """Without the one cold person, those of the group are alike."""
    _, marks = require_brute_force(BY_GROUP, with_group(choices_of_people(8, 30, seed=4, sd=0.8)))
    assert "refit" not in marks


@pytest.mark.slow
def test_people_who_do_not_differ_may_do_so_without_one_of_them() -> None:
    fitted, _ = require_brute_force(ONE_MEAN, choices_of_people(8, 12, seed=2, sd=0.0))
    assert fitted.population is not None
    assert fitted.population.sd["log_temperature"] == 0


@pytest.mark.slow
def test_without_an_outlier_the_others_are_alike_and_the_outlier_a_surprise() -> None:
    log = choices_of_people(8, 30, seed=5, sd=0.0, perfect=True)
    fitted, marks = require_brute_force(ONE_MEAN, log)
    assert fitted.population is not None
    assert fitted.population.sd["log_temperature"] > 0.2
    assert marks[0] == "refitted"
    rest = hs.fit(ONE_MEAN, log.select(log.subject > 0), method="hierarchical").population
    assert rest is not None
    assert rest.sd["log_temperature"] == 0


@pytest.mark.slow
def test_where_the_laplace_em_of_the_others_ends_is_not_where_its_likelihood_is_largest() -> None:
    _, marks = require_brute_force(ONE_MEAN, choices_of_people(8, 60, seed=3, sd=0.6), "laplace")
    assert "refit" not in marks


@pytest.mark.slow
def test_what_people_share_is_learned_from_the_others_too() -> None:
    """Free rewards, whose scale the mean temperature sets, and a lapse that nobody needs."""
    log = choices_of_people(6, 30, seed=6, sd=0.6)
    relative = hs.SoftOptimalModel(CORRIDOR, hs.LinearReward(["step"]), hs.PerSubject())
    slips = hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject(), choice=[hs.Lapse()])
    for model in (relative, slips):
        table = leave_one_out(hs.fit(model, log, method="hierarchical"))
        one = int(table["leverage"].argmin())
        assert table["log_predictive"].iloc[one] == pytest.approx(without(model, log, one), abs=0.01)


@pytest.mark.slow
def test_of_many_people_hardly_anybody_is_fitted_anew() -> None:
    """The loss adds up to about one nat a parameter of the population (Stone 1977)."""
    table = leave_one_out(hs.fit(ONE_MEAN, choices_of_people(40, 40, seed=1, sd=0.6), method="hierarchical"))
    lost = float((table["log_likelihood"] - table["log_predictive"]).sum())
    assert 1.0 < lost < 4.0
    assert (table["mark"] == "").mean() > 0.8


@pytest.mark.slow
def test_people_explained_by_a_formula_alone_are_predicted_by_the_formula_of_the_others() -> None:
    log = with_group(choices_of_people(6, 20, seed=11, sd=0.6))
    model = hs.SoftOptimalModel(CORRIDOR, STEP, temperature="~ group")
    table = leave_one_out(hs.fit(model, log))
    for code in range(6):
        population = hs.adapt(
            hs.fit(model, log.select(log.subject != code)), log.select(log.subject == code)
        ).population
        assert population is not None
        assert table["log_predictive"].iloc[code] == pytest.approx(population.evidence.iloc[0], abs=0.01)


@pytest.fixture(scope="module")
def study() -> tuple[hs.Fit, hs.BehaviorLog]:
    """A population of four people, and the decisions of a fifth."""
    log = choices_of_people(5, 12, seed=3, sd=0.5)
    return hs.fit(ONE_MEAN, log.select(log.subject < 4), method="hierarchical"), log


@pytest.mark.slow
def test_new_people_are_predicted_as_the_population_sees_them(study: tuple[hs.Fit, hs.BehaviorLog]) -> None:
    fitted, log = study
    known = hs.adapt(fitted, log.select(log.subject == 4))
    assert known.population is not None
    table = leave_one_out(known)
    assert table["log_predictive"].tolist() == known.population.evidence.tolist()
    assert table["mark"].tolist() == [""]


@pytest.mark.slow
def test_nobody_is_predicted_from_nobody(study: tuple[hs.Fit, hs.BehaviorLog]) -> None:
    fitted, log = study
    with pytest.raises(hs.errors.UsageError, match="by unit='subject', or by cross_validation"):
        leave_one_out(fitted, "episode", log)
    lonely = with_group(log.select(np.isin(log.subject, [0, 1, 3])))  # read anew, every other one is of group b
    with pytest.raises(hs.errors.UsageError, match=r"leaving 'p001' out .*~ 0 \+ group.*Put groups together"):
        leave_one_out(hs.fit(BY_GROUP, lonely, method="hierarchical"))
    with pytest.raises(hs.errors.UsageError, match="one person alone"):
        leave_one_out(hs.fit(ONE_MEAN, log.select(log.subject == 1), method="hierarchical"))
