"""The profile of the discount: published values, how flatness is said, and what cannot be fitted."""

import dataclasses

import numpy as np
import pytest

import humansoft as hs


def maze(discount: float = 0.9) -> hs.Task:
    return hs.Task.grid("S..L\n.#..\n..LG", discount=discount, legend={"L": "lava"}, slip=0.1)


def walked(discount: float = 0.9) -> hs.BehaviorLog:
    policy = hs.plan(maze(discount), {"goal": 1.0, "lava": -0.5}, 0.2)
    return hs.simulate(policy, 40, seed=1, max_steps=20)


def goal_and_lava(task: hs.Task) -> hs.SoftOptimalModel:
    return hs.SoftOptimalModel(task, hs.LinearReward(["goal", "lava"]), hs.Fixed(1.0))


@pytest.mark.slow
def test_the_published_profile_of_bus_engines(data_home: object) -> None:
    """Rust (1987), group 4: a myopic Zurcher is not rejected (SCIENCE 4.2)."""
    log, task = hs.load_dataset("rust_bus_group4")
    model = hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), planner="entropy")
    discounts = [0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999]
    table = hs.discount_profile(model, log, discounts=discounts)
    expected = [-165.459, -165.374, -164.758, -164.331, -163.748, -163.599, -163.584, -163.583]
    np.testing.assert_allclose(table["log_likelihood"], expected, atol=5.1e-4)
    assert 2 * (table.loc[0.9999, "log_likelihood"] - table.loc[0.0, "log_likelihood"]) == pytest.approx(3.75, abs=5e-3)
    assert table["flat"].all()
    assert "profile is flat (difference in log-likelihood at most 1.9 between 0 and 0.99999)" in table.attrs["message"]
    assert table.loc[0.0, "maintenance_cost"] == pytest.approx(71.5133, abs=1e-3)
    assert table.loc[0.9999, "maintenance_cost"] == pytest.approx(2.2931, abs=1e-4)


def test_every_row_is_the_fit_at_its_discount() -> None:
    log, model = walked(), goal_and_lava(maze())
    table = hs.discount_profile(model, log, discounts=[0.5, 0.95])
    assert table.index.tolist() == [0.5, 0.9, 0.95]
    for discount in (0.5, 0.95):
        fit = hs.fit(goal_and_lava(dataclasses.replace(maze(), discount=discount)), log)
        assert table.loc[discount, "log_likelihood"] == pytest.approx(fit.log_likelihood, abs=1e-8)
        assert table.loc[discount, "lava"] == pytest.approx(fit.weight("lava"), rel=1e-5)
    assert table["likelihood_ratio"].min() == 0


def test_a_discount_that_is_rejected_is_said_to_be() -> None:
    table = hs.discount_profile(goal_and_lava(maze(0.3)), walked(0.95), discounts=[0.3, 0.95])
    assert not table.loc[0.3, "flat"]
    assert "fixed discount = 0.3, which the data reject in favour of 0.95" in table.attrs["message"]


def test_where_nothing_can_be_fitted_the_status_says_why() -> None:
    """Without a discount, one cost of a step and a goal's reward are identified together as with one they are not."""
    model = hs.SoftOptimalModel(maze(), hs.LinearReward(["step", "goal"]), hs.Fixed(1.0))
    table = hs.discount_profile(model, walked(), discounts=[0.0])
    assert table["status"].tolist() == ["not identified", "not identified"]
    assert table["log_likelihood"].isna().all()
    assert "nothing can be said" in table.attrs["message"]


def test_discounts_that_are_none_are_refused() -> None:
    with pytest.raises(hs.errors.UsageError, match=r"1\.5 does not lie between 0 and 1"):
        hs.discount_profile(goal_and_lava(maze()), walked(), discounts=[1.5])
    with pytest.raises(hs.errors.UsageError, match="name one at least besides"):
        hs.discount_profile(goal_and_lava(maze()), walked(), discounts=[0.9])
