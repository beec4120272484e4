"""predict, score, compare, simulate: what they return, and what they refuse."""

import numpy as np
import pandas as pd
import pytest

import humansoft as hs

MAZE = "S..L\n.#..\n..LG"
WEIGHTS = {"goal": 1.0, "lava": -1.0}


def maze() -> hs.Task:
    return hs.Task.grid(MAZE, discount=0.95, legend={"L": "lava"}, slip=0.1)


def simulated(task: hs.Task, temperatures: dict[str, float], seed: int = 1, episodes: int = 40) -> hs.BehaviorLog:
    return hs.simulate(hs.plan(task, WEIGHTS, temperature=temperatures), episodes, seed=seed, max_steps=20)


def with_group(log: hs.BehaviorLog, groups: dict[str, str]) -> hs.BehaviorLog:
    frame = log.to_dataframe()
    participants = pd.DataFrame({"subject": list(groups), "group": list(groups.values())})
    return hs.read(
        frame,
        state=log.columns.state,
        next_state=log.columns.next_state,
        terminated="terminated",
        truncated="truncated",
        participants=participants,
    )


@pytest.fixture(scope="module")
def log() -> hs.BehaviorLog:
    people = {"ann": 0.2, "bob": 0.3, "cleo": 0.5, "dan": 0.9}
    return with_group(simulated(maze(), people), {"ann": "calm", "bob": "calm", "cleo": "wild", "dan": "wild"})


@pytest.fixture(scope="module")
def fitted(log: hs.BehaviorLog) -> hs.Fit:
    return hs.fit(hs.SoftOptimalModel(maze(), hs.LinearReward(["goal", "lava"], {"goal": 1.0}), hs.PerSubject()), log)


@pytest.fixture(scope="module")
def grouped(log: hs.BehaviorLog) -> hs.Fit:
    reward = hs.LinearReward(["goal", "lava"], {"goal": 1.0})
    return hs.fit(hs.SoftOptimalModel(maze(), reward, hs.PerGroup("group")), log)


def test_predictions_are_distributions_in_the_users_row_order(fitted: hs.Fit, log: hs.BehaviorLog) -> None:
    table = hs.predict(fitted, log)
    probabilities = table.filter(regex="^p_")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-12)
    assert table["row"].tolist() == list(range(1, len(log) + 1))
    assert table["action"].tolist() == log.to_dataframe()["action"].tolist()
    assert table["log_prob"].sum() == pytest.approx(fitted.log_likelihood, rel=1e-10)
    assert table["subject_known"].all()


def test_predictions_are_calibrated(fitted: hs.Fit) -> None:
    """In every fifth of predicted probability, the observed share lies within 3 standard errors."""
    fresh = simulated(maze(), {"ann": 0.2, "bob": 0.3, "cleo": 0.5, "dan": 0.9}, seed=77, episodes=100)
    table = hs.predict(fitted, fresh)
    for action in fitted.model.task.actions.values:
        predicted, observed = table[f"p_{action}"], (table["action"] == action).astype(float)
        for _, part in predicted.groupby(pd.qcut(predicted, 5, duplicates="drop"), observed=True):
            error = np.sqrt((part * (1 - part)).sum()) / len(part)
            assert abs(observed[part.index].mean() - part.mean()) < 3 * error + 0.03


def test_a_stranger_is_predicted_at_the_geometric_mean(fitted: hs.Fit) -> None:
    stranger = simulated(maze(), {"eve": 0.4}, seed=5, episodes=3)
    table = hs.predict(fitted, stranger)
    assert not table["subject_known"].any()
    typical = float(np.exp(fitted.temperatures()["log_temperature"].mean()))
    weights = {"goal": 1.0, "lava": fitted.weight("lava")}
    policy = hs.plan(maze(), weights, temperature=typical)
    expected = policy.action_distribution(table.loc[0, "state"])
    np.testing.assert_allclose([table.loc[0, f"p_{a}"] for a in expected.index], expected, atol=1e-10)


def test_a_stranger_can_be_refused(fitted: hs.Fit) -> None:
    stranger = simulated(maze(), {"eve": 0.4}, seed=5, episodes=3)
    with pytest.raises(hs.errors.ModelError, match="does not know 1 of the subjects: 'eve'"):
        hs.predict(fitted, stranger, on_unknown="raise")
    assert hs.score(fitted, stranger).loc["model", "num_unknown_subjects"] == 1


def test_a_stranger_of_a_known_group_has_the_groups_temperature(grouped: hs.Fit) -> None:
    stranger = with_group(simulated(maze(), {"eve": 0.4}, seed=5, episodes=3), {"eve": "wild"})
    table = hs.predict(grouped, stranger)
    logs = grouped.params.loc["log_temperature", "estimate"]
    weights = {"goal": 1.0, "lava": grouped.weight("lava")}
    expected = hs.plan(maze(), weights, temperature=float(np.exp(logs["wild"])))
    first = expected.action_distribution(table.loc[0, "state"])
    np.testing.assert_allclose([table.loc[0, f"p_{a}"] for a in first.index], first, atol=1e-10)


def test_scores_begin_with_the_model_and_are_consistent(fitted: hs.Fit, log: hs.BehaviorLog) -> None:
    table = hs.score(fitted, log)
    assert table.index.tolist() == ["model", "uniform", "marginal", "empirical_policy", "multinomial_logit"]
    np.testing.assert_allclose(table["bits_per_decision"], table["nats_per_decision"] / np.log(2))
    assert table.loc["model", "log_likelihood"] == pytest.approx(fitted.log_likelihood, rel=1e-10)
    assert table.loc["uniform", "nats_per_decision"] == pytest.approx(np.log(4))
    assert table["accuracy"].between(0, 1).all()
    assert table.loc["model", "nats_per_decision"] < table.loc["marginal", "nats_per_decision"]


def test_the_model_wins_out_of_sample_where_it_is_true(fitted: hs.Fit) -> None:
    fresh = simulated(maze(), {"ann": 0.2, "bob": 0.3, "cleo": 0.5, "dan": 0.9}, seed=78)
    table = hs.score(fitted, fresh)
    assert table["nats_per_decision"].idxmin() == "model"


def test_an_unknown_baseline_is_refused(fitted: hs.Fit, log: hs.BehaviorLog) -> None:
    with pytest.raises(hs.errors.UsageError, match="Did you mean 'uniform'"):
        hs.score(fitted, log, baselines=["unifrom"])


def test_compare_people_orders_them(fitted: hs.Fit) -> None:
    table = hs.compare(fitted)
    assert table.index.tolist() == ["ann", "bob", "cleo", "dan"]
    assert table["rank"].tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(table["inverse_temperature"] * table["temperature"], 1.0)
    assert ((table["ci_low"] < table["temperature"]) & (table["temperature"] < table["ci_high"])).all()
    assert set(table["unit"]) == {"reward units (goal = 1)"}


def test_compare_groups_gives_the_ratio_with_its_interval(grouped: hs.Fit) -> None:
    table = hs.compare(grouped, by="group")
    logs = grouped.params.loc["log_temperature", "estimate"]
    ratio = table.loc[("ratio", "wild / calm")]
    assert ratio["temperature"] == pytest.approx(float(np.exp(logs["wild"] - logs["calm"])))
    assert 1.0 < ratio["ci_low"] < ratio["temperature"] < ratio["ci_high"]
    covariance = grouped.covariances.table(str(ratio["std_error_kind"])).to_numpy()[-2:, -2:]
    assert ratio["std_error"] == pytest.approx(np.sqrt([-1, 1] @ covariance @ [-1, 1]))


def test_groups_of_people_with_their_own_temperatures_are_geometric_means(fitted: hs.Fit) -> None:
    table = hs.compare(fitted, by="group")
    logs = fitted.temperatures()["log_temperature"]
    assert table.loc[("group", "calm"), "log_temperature"] == pytest.approx((logs["ann"] + logs["bob"]) / 2)


def test_one_person_or_one_temperature_explains_itself(log: hs.BehaviorLog) -> None:
    reward = hs.LinearReward(["goal", "lava"], {"goal": 1.0})
    alone = log.select(log.subject == 0)
    with pytest.raises(hs.errors.UsageError, match="only one subject"):
        hs.compare(hs.fit(hs.SoftOptimalModel(maze(), reward, hs.PerSubject()), alone))
    with pytest.raises(hs.errors.UsageError, match="one temperature for everybody"):
        hs.compare(hs.fit(hs.SoftOptimalModel(maze(), reward, hs.Shared()), log))


def test_compare_refuses_rewards_and_temperatures_that_are_both_free(log: hs.BehaviorLog) -> None:
    model = hs.SoftOptimalModel(maze(), hs.LinearReward(["goal", "lava"], shared=False), hs.PerSubject())
    free = hs.fit(model, log, allow_unidentified=True)
    assert free.status.name == "NOT_IDENTIFIED"
    with pytest.raises(hs.errors.IdentificationError, match="only reward / temperature is in the data"):
        hs.compare(free)


def test_compare_refuses_different_units(fitted: hs.Fit, log: hs.BehaviorLog) -> None:
    other = hs.fit(hs.SoftOptimalModel(maze(), hs.LinearReward(["goal", "lava"], {"lava": -1.0}), hs.PerSubject()), log)
    with pytest.raises(hs.errors.IdentificationError, match="different units"):
        hs.compare(fitted, other)
    relative = hs.fit(hs.SoftOptimalModel(maze(), hs.LinearReward(["goal", "lava"]), hs.PerSubject()), log)
    with pytest.raises(hs.errors.IdentificationError, match="its own average"):
        hs.compare(fitted, relative)


def test_compare_refuses_an_anchor_that_somebody_never_met() -> None:
    """Two rooms without a connection: in the second one the anchored feature (lava) does not exist."""
    rooms = {"lava": "S.L\n..G", "plain": "S..\n..G"}
    task = hs.Task.union({n: hs.Task.grid(m, discount=0.95, legend={"L": "lava"}) for n, m in rooms.items()})
    policy = hs.plan(task, {"goal": 1.0, "lava": -0.4}, temperature={"ann": 0.5, "bob": 0.5})
    both = hs.simulate(policy, 60, seed=1, max_steps=15)
    frame = both.to_dataframe()
    frame = frame[(frame["subject"] == "ann") | (frame["context"] == "plain")]
    roles = {"state": both.columns.state, "next_state": both.columns.next_state, "context": "context"}
    log = hs.read(frame, **roles, terminated="terminated", truncated="truncated")  # type: ignore[arg-type]
    fit = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(["goal", "lava"], {"lava": -1.0}), hs.PerSubject()), log)
    with pytest.raises(hs.errors.IdentificationError, match=r"makes no difference to any choice of 'bob'"):
        hs.compare(fit)


def test_compare_refuses_a_contrast_with_a_group_at_a_boundary() -> None:
    people = {"ann": 0.3, "rob": 1e8}
    log = with_group(simulated(maze(), people, seed=4), {"ann": "human", "rob": "robot"})
    reward = hs.LinearReward(["goal", "lava"], {"goal": 1.0, "lava": -1.0})
    fit = hs.fit(hs.SoftOptimalModel(maze(), reward, hs.PerGroup("group")), log)
    if fit.params.loc[("log_temperature", "robot"), "boundary"] != "upper":
        pytest.fail("the random group should be at the upper boundary with this seed")
    with pytest.raises(hs.errors.IdentificationError, match="'robot' is at a boundary"):
        hs.compare(fit, by="group")


def test_an_unknown_group_column_is_a_sentence(fitted: hs.Fit) -> None:
    with pytest.raises(hs.errors.UsageError, match="Did you mean 'group'"):
        hs.compare(fitted, by="gruop")


def test_simulated_people_can_be_read_and_checked(fitted: hs.Fit) -> None:
    log = hs.simulate(fitted, episodes=5, seed=3)
    assert log.num_episodes == 20
    assert (hs.check(log, fitted.model.task)["severity"] != "error").all()
    assert hs.simulate(fitted, episodes=5, seed=3) == log
    assert hs.simulate(fitted, episodes=5, seed=4) != log


def test_simulated_frequencies_match_the_policy() -> None:
    task = hs.Task.grid("S.\n.G", discount=0.9)
    policy = hs.plan(task, {"step": -1.0, "goal": 1.0}, temperature=0.7)
    log = hs.simulate(policy, 4000, seed=2)
    first = log.frame[(log.step == 0)]["action"].value_counts(normalize=True)
    expected = policy.action_distribution((0, 0))
    for action, probability in expected.items():
        assert abs(first[action] - probability) < 4 * np.sqrt(probability * (1 - probability) / 4000)


def test_both_scales_are_shown_where_planners_are_one_likelihood() -> None:
    task = hs.Task.grid("S..\n.#.\n..G", discount=1.0)
    policy = hs.plan(task, {"step": -1.0}, temperature={"ann": 0.3, "bob": 0.5}, planner="entropy")
    log = hs.simulate(policy, 80, seed=1)
    reward = hs.LinearReward(["step"], {"step": -1.0})
    entropy = hs.compare(hs.fit(hs.SoftOptimalModel(task, reward, hs.PerSubject(), planner="entropy"), log))
    kl = hs.compare(hs.fit(hs.SoftOptimalModel(task, reward, hs.PerSubject(), planner="kl"), log))
    np.testing.assert_allclose(entropy["inverse_temperature_kl"], kl["inverse_temperature"], rtol=1e-5)
    np.testing.assert_allclose(kl["inverse_temperature_entropy"], entropy["inverse_temperature"], rtol=1e-5)
    assert any("one likelihood" in note for note in entropy.attrs["notes"])
