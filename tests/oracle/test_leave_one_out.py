"""Leave-one-out without refitting, against fits without each unit."""

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from humansoft.evaluate.leave_one_out import leave_one_out

MAZE = "S..L...\n.#.#.#.\n...L..G"


def maze() -> hs.Task:
    return hs.Task.grid(MAZE, discount=0.95, legend={"L": "lava"})


def people(temperatures: dict[str, float], episodes: int = 8, seed: int = 1) -> hs.BehaviorLog:
    policy = hs.plan(maze(), {"step": -1.0, "lava": -2.0}, temperature=temperatures)
    return hs.simulate(policy, episodes, seed=seed, max_steps=40)


def reward() -> hs.LinearReward:
    return hs.LinearReward(["step", "lava"], {"step": -1.0})


def without(model: hs.SoftOptimalModel, log: hs.BehaviorLog, mask: np.ndarray) -> float:  # type: ignore[type-arg]
    """The log-likelihood of what is left out under the fit to the rest."""
    rest = hs.fit(model, log.select(~mask))
    return float(hs.score(rest, log.select(mask), "none").loc["model", "log_likelihood"])


@pytest.mark.slow
def test_episodes_are_predicted_as_by_refitting_without_each() -> None:
    log = people({"bob": 0.7, "cleo": 1.2}, episodes=6)
    model = hs.SoftOptimalModel(maze(), reward(), hs.PerSubject())
    table = leave_one_out(hs.fit(model, log), "episode", log)
    exact = [without(model, log, log.episode == code) for code in np.unique(log.episode)]
    np.testing.assert_allclose(table["log_predictive"], exact, atol=0.01)
    assert (table["log_likelihood"] - exact).max() > 0.3  # what is approximated is not small
    assert table["log_predictive"].sum() == pytest.approx(sum(exact), abs=0.03)


@pytest.mark.slow
def test_an_episode_that_alone_shows_mistakes_is_marked() -> None:
    """Without it ann looks perfectly rational, and what she did in it impossible."""
    log = people({"ann": 0.3, "bob": 0.6, "cleo": 1.2}, episodes=6)
    fitted = hs.fit(hs.SoftOptimalModel(maze(), reward(), hs.PerSubject()), log)
    table = leave_one_out(fitted, "episode", log)
    assert np.bincount(log.episode)[log.episode[log.subject == 0]].max() == 9  # one episode, of 9 steps; others have 8
    assert table.index[table["mark"] == "refit"].tolist() == [("ann", 4)]


@pytest.mark.slow
def test_people_are_predicted_as_by_refitting_without_each() -> None:
    log = people({f"p{i}": 1.0 for i in range(6)})
    model = hs.SoftOptimalModel(maze(), hs.LinearReward(["step", "lava"]), hs.Fixed(1.0))
    table = leave_one_out(hs.fit(model, log))
    exact = [without(model, log, log.subject == code) for code in range(6)]
    np.testing.assert_allclose(table["log_predictive"], exact, atol=0.01)


@pytest.mark.slow
def test_relative_temperatures_are_left_out_within_their_constraint() -> None:
    """Without an anchor the mean log temperature is held at 0, with or without an episode."""
    log = people({"ann": 0.3, "bob": 0.6, "cleo": 1.2}, episodes=6)
    model = hs.SoftOptimalModel(maze(), hs.LinearReward(["step", "lava"]), hs.PerSubject())
    table = leave_one_out(hs.fit(model, log), "episode", log)
    some = np.unique(log.episode)[[0, 7, 14]]
    exact = [without(model, log, log.episode == code) for code in some]
    np.testing.assert_allclose(table["log_predictive"].iloc[[0, 7, 14]], exact, atol=0.01)


@pytest.mark.slow
def test_what_leaving_out_costs_is_the_number_of_parameters() -> None:
    """Where the model is true, the loss adds up to about one nat a parameter (Stone 1977)."""
    log = people({f"p{i}": 1.0 for i in range(40)}, episodes=6)
    model = hs.SoftOptimalModel(maze(), hs.LinearReward(["step", "lava"]), hs.Fixed(1.0))
    table = leave_one_out(hs.fit(model, log))
    lost = float((table["log_likelihood"] - table["log_predictive"]).sum())
    assert 0.8 < lost < 4.0
    assert (table["mark"] == "").mean() > 0.8  # with many people, hardly anybody needs a refit


def test_a_model_without_parameters_predicts_what_it_says() -> None:
    log = people({"ann": 1.0, "bob": 1.0}, episodes=3)
    known = hs.LinearReward(["step"], {"step": -1.0})
    table = leave_one_out(hs.fit(hs.SoftOptimalModel(maze(), known, hs.Fixed(1.0)), log))
    np.testing.assert_array_equal(table["log_likelihood"], table["log_predictive"])


def test_nobody_is_predicted_without_a_temperature() -> None:
    log = people({"ann": 0.3, "bob": 0.6}, episodes=6)
    fitted = hs.fit(hs.SoftOptimalModel(maze(), reward(), hs.PerSubject()), log)
    with pytest.raises(hs.errors.UsageError, match=r"log_temperature from.*method='hierarchical'.*unit='episode'"):
        leave_one_out(fitted)
    with pytest.raises(hs.errors.UsageError, match="pass the log"):
        leave_one_out(fitted, "episode")
    with pytest.raises(hs.errors.UsageError, match="is not the log that was fitted"):
        leave_one_out(fitted, "episode", people({"ann": 0.3, "bob": 0.6}, episodes=6, seed=2))


def test_draws_from_a_posterior_are_weighed_by_arviz() -> None:
    """A normal mean with a flat prior has its leave-one-out density in closed form."""
    pytest.importorskip("arviz")
    import warnings

    from humansoft.evaluate.posterior_leave_one_out import leave_one_out_of_posterior

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz
    generator = np.random.default_rng(1)
    data = np.r_[generator.normal(size=30), 9.0]
    means = generator.normal(data.mean(), 1 / np.sqrt(len(data)), size=(4, 2000))
    logs = -0.5 * (data - means[..., None]) ** 2 - 0.5 * np.log(2 * np.pi)
    names = [f"p{i}" for i in range(len(data))]
    inference = arviz.from_dict(
        posterior={"mean": means},
        log_likelihood={"by_person": logs},
        coords={"subject": names},
        dims={"by_person": ["subject"]},
    )
    table = leave_one_out_of_posterior(inference, "subject")
    others = (data.sum() - data) / (len(data) - 1)
    variance = 1 + 1 / (len(data) - 1)
    exact = -0.5 * (data - others) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
    np.testing.assert_allclose(table["log_predictive"].iloc[:-1], exact[:-1], atol=0.01)
    assert table.index.tolist() == names
    assert (table["mark"] == np.where(table["pareto_k"] > 0.7, "refit", "")).all()
    with pytest.raises(hs.errors.UsageError, match="no log-likelihood by episode"):
        leave_one_out_of_posterior(inference, "episode")
    assert isinstance(table, pd.DataFrame)
