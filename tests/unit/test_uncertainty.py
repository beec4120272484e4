"""Which standard errors exist, which are refused, and which is the default for whom."""

import numpy as np
import pytest
import scipy.stats
import torch

import humansoft as hs

MAZE = "S..L\n.#..\n..LG"


def study(people: int, episodes: int, temperature: hs.Shared | hs.PerSubject, seed: int = 1) -> hs.Fit:
    task = hs.Task.grid(MAZE, discount=0.95, legend={"L": "lava"}, slip=0.1)
    temperatures = {f"p{i}": 0.4 + 0.05 * i for i in range(people)}
    policy = hs.plan(task, {"goal": 1.0, "lava": -0.5}, temperature=temperatures)
    log = hs.simulate(policy, episodes, seed=seed, max_steps=20)
    return hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(["goal", "lava"], {"goal": 1.0}), temperature), log)


@pytest.fixture(scope="module")
def personal() -> hs.Fit:
    return study(6, 24, hs.PerSubject())


def test_a_persons_own_parameter_is_clustered_by_episode(personal: hs.Fit) -> None:
    kinds = personal.params["std_error_kind"]
    assert set(kinds.loc["log_temperature"]) == {"sandwich_by_episode"}
    assert kinds["lava", "all"] == "sandwich_by_subject"


def test_a_persons_own_parameter_is_never_clustered_by_subject(personal: hs.Fit) -> None:
    errors = personal.std_errors("sandwich_by_subject")
    assert errors.loc[["log_temperature"]].isna().all()
    assert errors["lava", "all"] > 0


@pytest.mark.parametrize("episodes", [4, 12])
def test_few_episodes_fall_back_to_the_inverse_hessian_and_say_so(episodes: int) -> None:
    fit = study(3, episodes, hs.PerSubject(), seed=2)
    assert set(fit.params.loc["log_temperature", "std_error_kind"]) == {"hessian"}
    why = "`log_temperature`: inverse Hessian, because clustering by episode takes 20 episodes a person or more"
    assert why in fit.message


def test_the_default_and_its_reason_are_said(personal: hs.Fit) -> None:
    assert "`lava`: sandwich clustered by subject, because one person's decisions go together" in personal.message
    assert "`log_temperature`: sandwich clustered by episode, because decisions of one episode" in personal.message


def test_intervals_allow_for_few_clusters(personal: hs.Fit) -> None:
    """6 people share one weight, and each has 24 episodes for one temperature."""
    for place, clusters in ((("lava", "all"), 6), (("log_temperature", "p0"), 24)):
        row = personal.params.loc[place]
        reach = np.sqrt(clusters / (clusters - 1)) * scipy.stats.t.ppf(0.975, clusters - 1)
        assert (row["ci_high"] - row["estimate"]) / row["std_error"] == pytest.approx(reach, rel=1e-9)
        assert (row["estimate"] - row["ci_low"]) / row["std_error"] == pytest.approx(reach, rel=1e-9)


def test_too_few_subjects_for_their_clusters_name_the_alternative() -> None:
    fit = study(2, 20, hs.Shared())
    with pytest.raises(hs.errors.NotAvailableError, match="use 'sandwich_by_episode' or 'hessian'"):
        fit.std_errors("sandwich_by_subject")


def test_an_unknown_kind_is_a_sentence(personal: hs.Fit) -> None:
    with pytest.raises(hs.errors.NotAvailableError, match="Did you mean 'hessian'"):
        personal.std_errors("hesian")


def test_kinds_agree_where_the_model_is_true() -> None:
    """With many decisions of a correct model, all kinds estimate one matrix."""
    fit = study(40, 12, hs.Shared(), seed=4)
    errors = np.array([fit.std_errors(k).to_numpy() for k in ("hessian", "bhhh", "sandwich_by_episode")])
    free = ~fit.params["fixed"].to_numpy(dtype=bool)
    assert (errors[:, free].max(axis=0) / errors[:, free].min(axis=0) < 1.35).all()


def test_fixed_weights_have_no_interval(personal: hs.Fit) -> None:
    goal = personal.params.loc[("goal", "all")]
    assert goal["fixed"]
    assert np.isnan(goal["std_error"])


@pytest.mark.slow
def test_one_real_person(data_home: object) -> None:
    """vgc experiment 1, person 0: inverse Hessian .0331 against .0839 clustered by episode (SCIENCE 4.2)."""
    log, task = hs.load_dataset("vgc_gridnav_exp1")
    one = log.select(log.subject == 0)
    reward = hs.LinearReward(["step"], {"step": -1.0})
    fit = hs.fit(hs.SoftOptimalModel(task, reward, hs.PerSubject(), planner="entropy"), one)
    assert fit.std_errors("hessian").loc[["log_temperature"]].iloc[0] == pytest.approx(0.0331, abs=5e-5)
    assert fit.std_errors("sandwich_by_episode").loc[["log_temperature"]].iloc[0] == pytest.approx(0.0839, abs=5e-5)


@pytest.mark.slow
def test_scores_by_subject_that_cancel_are_not_taken_for_certainty() -> None:
    """Without an anchor each person makes up for a step of the one weight: summed by subject, it has no score."""
    task = hs.Task.grid("S..\n.L.\n..G", discount=0.9, legend={"L": "lava"}, slip=0.1)
    people = {f"p{b:02d}": 0.5 + 0.1 * b for b in range(15)}
    log = hs.simulate(hs.plan(task, {"goal": 2.0}, people), 12, seed=3, max_steps=30)
    fitted = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(["goal"]), hs.PerSubject()), log)
    assert fitted.params["std_error_kind"].iloc[0] == "hessian"
    with pytest.raises(hs.errors.NotAvailableError, match="span fewer than 1 directions"):
        fitted.std_errors("sandwich_by_subject")


@pytest.mark.slow
def test_the_only_temperature_left_in_the_mean_has_no_error() -> None:
    task = hs.Task.grid("S.G\n...", discount=0.9, slip=0.1)
    log = hs.simulate(hs.plan(task, {"step": -1.0}, {"ann": 0.5, "bob": 1e-4, "cleo": 1e-4}), 20, seed=3, max_steps=30)
    fitted = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(["step"]), hs.PerSubject()), log)
    temperatures = fitted.params.loc[["log_temperature"]]
    inner = temperatures[temperatures["boundary"] == ""]
    assert len(inner) == 1
    assert inner["std_error"].isna().all()


@pytest.mark.parametrize("temperature", [hs.Shared(), hs.PerSubject()])
def test_a_reward_that_is_known_leaves_the_temperatures(temperature: hs.Shared | hs.PerSubject) -> None:
    task = hs.Task.grid("S.G\n...", discount=0.95, slip=0.1)
    known = hs.KnownReward(-task.available.to(torch.float64)[None])
    log = hs.simulate(hs.plan(task, known, {"ann": 0.4, "bob": 1.0}), 40, seed=1, max_steps=30)
    ours = hs.fit(hs.SoftOptimalModel(task, known, temperature), log, allow_unidentified=True)
    weights = hs.SoftOptimalModel(task, hs.LinearReward(["step"], {"step": -1.0}), temperature)
    assert ours.log_likelihood == pytest.approx(hs.fit(weights, log).log_likelihood, abs=1e-9)
