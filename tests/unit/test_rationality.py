"""rationality: its tables, who is left out of what, and what it refuses with which sentence."""

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from tests.oracle.people import settled

MAZE = "S..L\n.#..\n..LG"
WEIGHTS = {"goal": 1.0, "lava": -1.0}
FEATURES = ["goal", "lava"]
GROUPS = {"ann": "calm", "bob": "calm", "cleo": "wild", "dan": "wild"}


def maze() -> hs.Task:
    return hs.Task.grid(MAZE, discount=0.95, legend={"L": "lava"}, slip=0.1)


def simulated(temperatures: dict[str, float], seed: int = 1, episodes: int = 40) -> hs.BehaviorLog:
    return hs.simulate(hs.plan(maze(), WEIGHTS, temperature=temperatures), episodes, seed=seed, max_steps=20)


def with_groups(log: hs.BehaviorLog, groups: dict[str, str]) -> hs.BehaviorLog:
    participants = pd.DataFrame({"subject": list(groups), "group": list(groups.values())})
    roles = {"state": log.columns.state, "next_state": log.columns.next_state}
    return hs.read(
        log.to_dataframe(), **roles, terminated="terminated", truncated="truncated", participants=participants
    )  # type: ignore[arg-type]


def own_rewards(log: hs.BehaviorLog, **options: bool) -> hs.Fit:
    return hs.fit(hs.SoftOptimalModel(maze(), hs.LinearReward(FEATURES, shared=False), hs.Fixed(1.0)), log, **options)


def rooms_with_and_without_lava() -> tuple[hs.Task, hs.BehaviorLog]:
    """Ann was in both rooms, bob only in the one without lava."""
    rooms = {"lava": "S.L\n..G", "plain": "S..\n..G"}
    task = hs.Task.union({n: hs.Task.grid(m, discount=0.95, legend={"L": "lava"}) for n, m in rooms.items()})
    policy = hs.plan(task, {"goal": 1.0, "lava": -0.4}, temperature={"ann": 0.5, "bob": 0.5})
    both = hs.simulate(policy, 60, seed=1, max_steps=15)
    frame = both.to_dataframe()
    frame = frame[(frame["subject"] == "ann") | (frame["context"] == "plain")]
    roles = {"state": both.columns.state, "next_state": both.columns.next_state, "context": "context"}
    return task, hs.read(frame, **roles, terminated="terminated", truncated="truncated")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def log() -> hs.BehaviorLog:
    return with_groups(simulated({"ann": 0.2, "bob": 0.3, "cleo": 0.5, "dan": 0.9}), GROUPS)


@pytest.fixture(scope="module")
def free(log: hs.BehaviorLog) -> hs.Fit:
    """Everybody has a reward of their own, measured in their own temperature."""
    return own_rewards(log)


@pytest.fixture(scope="module")
def shared(log: hs.BehaviorLog) -> hs.Fit:
    return hs.fit(hs.SoftOptimalModel(maze(), hs.LinearReward(FEATURES, {"goal": 1.0}), hs.PerSubject()), log)


def test_people_with_rewards_of_their_own_are_ranked_with_intervals(free: hs.Fit) -> None:
    table = hs.rationality(free)
    assert table.index.tolist() == ["ann", "bob", "cleo", "dan"]
    assert (table["rank_low"] <= table["rank"]).all()
    assert (table["rank"] <= table["rank_high"]).all()
    for name in ("normalised_value", "normalised_regret", "choice_error", "information_bits", "signal_to_noise"):
        assert (table[f"{name}_low"] < table[name]).all()
        assert (table[name] < table[f"{name}_high"]).all()
    assert "regret_per_decision" not in table.columns
    assert (table["normalised_value_high"] < 1).all()


def test_an_anchored_fit_has_regret_in_its_unit(shared: hs.Fit) -> None:
    table = hs.rationality(shared)
    assert table.attrs["regret_unit"] == "reward units (goal = 1)"
    assert (table["regret_per_decision"] > 0).all()


def test_the_task_as_reference_makes_different_fits_comparable(shared: hs.Fit, log: hs.BehaviorLog) -> None:
    """The states of judgement do not depend on who else was fitted."""
    alone = hs.fit(
        hs.SoftOptimalModel(maze(), hs.LinearReward(FEATURES, {"goal": 1.0}), hs.PerSubject()),
        log.select(np.isin(log.subject, [0, 1])),
    )
    reference = hs.rationality(shared, reference="task").attrs["reference"]
    assert reference == hs.rationality(alone, reference="task").attrs["reference"]
    assert "task's own start" in reference


def test_groups_are_means_of_their_people_and_differences_have_intervals(free: hs.Fit) -> None:
    table = hs.rationality(free, by="group")
    people = table.loc["subject"]
    calm = table.loc[("group", "calm")]
    assert calm["normalised_value"] == pytest.approx(people.loc[["ann", "bob"], "normalised_value"].mean())
    assert calm["num_people"] == 2
    difference = table.loc[("difference", "wild - calm")]
    assert difference["normalised_value"] == pytest.approx(
        table.loc[("group", "wild"), "normalised_value"] - calm["normalised_value"]
    )
    assert difference["normalised_regret"] == pytest.approx(-difference["normalised_value"])
    assert difference["normalised_value_low"] < difference["normalised_value"] < difference["normalised_value_high"]
    # people with rewards of their own are estimated apart: variances of their means add
    half = (difference["normalised_value_high"] - difference["normalised_value_low"]) / 2
    assert 0 < half < 0.3


@pytest.mark.slow
def test_intervals_hold_what_many_draws_of_the_estimates_give(free: hs.Fit) -> None:
    """The delta method against 150 draws of a person's weights from the same covariance."""
    kind = str(hs.rationality(free)["std_error_kind"].iloc[0])
    covariance = free.covariances.table(kind).to_numpy()[:-1, :-1]
    generator = np.random.default_rng(5)
    full = free.params["estimate"].to_numpy(dtype=float)
    root = np.linalg.cholesky(covariance)
    values = []
    for _ in range(150):
        moved = full.copy()
        moved[:-1] += root @ generator.normal(size=len(root))
        values.append(hs.rationality(settled(free, moved))["normalised_value"].sort_index())
    low, high = np.quantile(np.array(values), [0.025, 0.975], axis=0)
    table = hs.rationality(free).sort_index()
    width = table["normalised_value_high"] - table["normalised_value_low"]
    np.testing.assert_allclose(high - low, width, rtol=0.25)
    assert (np.abs(table["normalised_value_low"] - low) < 0.2 * width).all()
    assert (np.abs(table["normalised_value_high"] - high) < 0.2 * width).all()


def test_mazes_are_weighed_by_how_often_they_were_met() -> None:
    rooms = {"left": "S..L\n...G", "right": "S.L.\n.L.G"}
    task = hs.Task.union({n: hs.Task.grid(m, discount=0.9, legend={"L": "lava"}) for n, m in rooms.items()})
    log = hs.simulate(hs.plan(task, WEIGHTS, temperature={"ann": 0.3, "bob": 0.8}), 40, seed=1, max_steps=15)
    fit = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(FEATURES, {"goal": 1.0}), hs.PerSubject()), log)
    table = hs.rationality(fit)
    counts = fit.training.counts
    visits = np.bincount(counts["state"], weights=counts["weight"], minlength=len(task.states)) / counts["weight"].sum()
    parts = []
    for name in rooms:
        inside = np.array([label[0] == name for label in task.states.values])
        within = {task.states.values[s]: visits[s] / visits[inside].sum() for s in np.flatnonzero(inside)}
        parts.append(visits[inside].sum() * hs.rationality(fit, reference=within)["choice_error"].sort_index())
    np.testing.assert_allclose(table["choice_error"].sort_index(), parts[0] + parts[1], atol=1e-12)


@pytest.mark.slow
def test_a_perfect_and_a_random_person_have_one_sided_intervals() -> None:
    task = hs.Task.grid("S...\n.#..\n...G", discount=0.95)
    policy = hs.plan(task, {"step": -1.0, "goal": 10.0}, temperature={"perfect": 1e-3, "human": 0.6, "random": 1e6})
    fixed = hs.LinearReward(fixed={"goal": 10.0, "step": -1.0})
    fit = hs.fit(hs.SoftOptimalModel(task, fixed, hs.PerSubject()), hs.simulate(policy, 30, seed=1, max_steps=25))
    table = hs.rationality(fit)
    perfect, random = table.loc["perfect"], table.loc["random"]
    assert perfect["boundary"] == "lower"
    assert perfect["normalised_value"] == pytest.approx(1.0, abs=1e-6)
    assert perfect["normalised_value_low"] < perfect["normalised_value"]
    assert random["boundary"] == "upper"
    assert random["normalised_value"] == pytest.approx(0.0, abs=1e-6)
    assert random["normalised_value_high"] > 1e-3
    assert np.isnan(perfect["rank_low"])
    assert table.loc["human", "rank_low"] == 2.0


def test_a_perfect_person_does_not_make_a_groups_signal_endless() -> None:
    task = hs.Task.grid("S...\n.#..\n...G", discount=0.95)
    people = {"perfect": 1e-3, "ann": 0.6, "bob": 0.5, "cai": 0.7}
    policy = hs.plan(task, {"step": -1.0, "goal": 10.0}, temperature=people)
    frame = hs.simulate(policy, 30, seed=1, max_steps=25).to_dataframe()
    group = frame["subject"].map({"perfect": "a", "ann": "a", "bob": "b", "cai": "b"})
    groups = pd.DataFrame({"subject": frame["subject"], "group": group}).drop_duplicates()
    log = hs.read(frame, state=["state_0", "state_1"], participants=groups)
    fixed = hs.LinearReward(fixed={"goal": 10.0, "step": -1.0})
    fit = hs.fit(hs.SoftOptimalModel(task, fixed, hs.PerSubject()), log)
    table = hs.rationality(fit, by="group")
    assert table.loc[("group", "a"), "signal_to_noise"] == pytest.approx(
        table.loc[("subject", "ann"), "signal_to_noise"]
    )
    assert table.loc[("group", "a"), "num_people_at_boundary"] == 1


def test_one_decision_says_little_about_a_person(log: hs.BehaviorLog) -> None:
    first = np.flatnonzero(log.subject == 3)[:1]
    kept = log.select((log.subject != 3) | np.isin(np.arange(len(log)), first))
    known = hs.LinearReward(FEATURES, WEIGHTS)
    table = hs.rationality(hs.fit(hs.SoftOptimalModel(maze(), known, hs.PerSubject()), kept))
    width = table["normalised_value_high"] - table["normalised_value_low"]
    assert width["dan"] > 3 * width.drop("dan").max()


def test_one_decision_does_not_identify_a_reward_of_ones_own(log: hs.BehaviorLog) -> None:
    first = np.flatnonzero(log.subject == 3)[:1]
    kept = log.select((log.subject != 3) | np.isin(np.arange(len(log)), first))
    with pytest.raises(
        hs.errors.NotConvergedError, match=r"the decisions of 'dan' are explained the better the larger"
    ):
        hs.rationality(own_rewards(kept))


def test_a_reward_that_was_never_met_is_refused_by_the_persons_name() -> None:
    """Two rooms without a door; bob knows only the one without lava, and is asked about both."""
    task, log = rooms_with_and_without_lava()
    model = hs.SoftOptimalModel(task, hs.LinearReward(FEATURES, shared=False), hs.Fixed(1.0))
    with pytest.raises(hs.errors.IdentificationError, match="lava"):
        hs.fit(model, log)
    arbitrary = hs.fit(model, log, allow_unidentified=True)
    with pytest.raises(hs.errors.IdentificationError, match=r"rewards of 'bob' that explain the data equally well"):
        hs.rationality(arbitrary)
    told = hs.rationality(arbitrary, reference={("plain", (0, 0)): 0.5, ("plain", (0, 1)): 0.5})
    assert told["normalised_value"].between(0, 1).all()


def test_rewards_and_temperatures_that_are_both_free_are_measured_all_the_same(
    log: hs.BehaviorLog, free: hs.Fit
) -> None:
    """What compare refuses, for only reward / temperature is in the data, has the measures of reward / temperature."""
    model = hs.SoftOptimalModel(maze(), hs.LinearReward(FEATURES, shared=False), hs.PerSubject())
    both = hs.fit(model, log, allow_unidentified=True)
    with pytest.raises(hs.errors.IdentificationError, match=r"rationality\(fit\)"):
        hs.compare(both)
    table, one = hs.rationality(both), hs.rationality(free)
    for name in ("normalised_value", "choice_error", "information_bits", "complexity_bits", "signal_to_noise"):
        np.testing.assert_allclose(table[name], one[name], atol=1e-6)
    assert table["normalised_value_low"].isna().all()
    assert any("temperature=Fixed(1)" in note for note in table.attrs["notes"])


def test_no_stakes_are_refused_by_name(log: hs.BehaviorLog) -> None:
    nothing = hs.LinearReward(FEATURES, {"goal": 0.0, "lava": 0.0})
    fit = hs.fit(hs.SoftOptimalModel(maze(), nothing, hs.Fixed(1.0)), log)
    with pytest.raises(hs.errors.IdentificationError, match=r"nothing is at stake for 'ann', 'bob'"):
        hs.rationality(fit)


def test_no_stakes_in_the_reference_are_refused() -> None:
    """Two rooms without a door: in one there is nothing to win."""
    rooms = {"dull": "S..\n..G", "live": "S.L\n..G"}
    task = hs.Task.union({n: hs.Task.grid(m, discount=0.9, legend={"L": "lava"}) for n, m in rooms.items()})
    reward = {"goal": 0.0, "lava": -1.0}
    log = hs.simulate(hs.plan(task, {"lava": -1.0}, temperature={"ann": 0.3, "bob": 0.8}), 40, seed=1, max_steps=15)
    fit = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(FEATURES, reward), hs.PerSubject()), log)
    with pytest.raises(hs.errors.IdentificationError, match="nothing is at stake"):
        hs.rationality(fit, reference={("dull", (0, 0)): 1.0})
    assert hs.rationality(fit)["normalised_value"].between(0, 1).all()


def test_a_group_of_one_is_noted_and_a_single_group_refused(log: hs.BehaviorLog, free: hs.Fit) -> None:
    lonely = own_rewards(with_groups(log, GROUPS | {"bob": "wild"}))
    assert any(
        "one person is all of group 'calm'" in note for note in hs.rationality(lonely, by="group").attrs["notes"]
    )
    alike = own_rewards(with_groups(log, dict.fromkeys(GROUPS, "calm")))
    with pytest.raises(hs.errors.UsageError, match="only the value 'calm'"):
        hs.rationality(alike, by="group")
    with pytest.raises(hs.errors.UsageError, match="Did you mean 'group'"):
        hs.rationality(free, by="gruop")


def test_other_questions_without_an_answer(free: hs.Fit) -> None:
    for options, error, said in (
        ({"reference": "poolled"}, hs.errors.UsageError, "Did you mean 'pooled'"),
        ({"reference": {(0, 0): 0.5}}, hs.errors.ModelError, "sum to 0.5"),
        ({"reference": {(9, 9): 1.0}}, hs.errors.ModelError, "unknown state"),
        ({"reference": {(2, 3): 1.0}}, hs.errors.ModelError, "leaves a choice"),
        ({"threshold": -1.0}, hs.errors.UsageError, "threshold=-1.0"),
    ):
        with pytest.raises(error, match=said):
            hs.rationality(free, **options)  # type: ignore[arg-type]


def test_networks_are_refused_with_a_sentence() -> None:
    edges = pd.DataFrame({"from": ["a", "b", "a"], "to": ["b", "home", "home"], "minutes": [1.0, 2.0, 4.0]})
    town = hs.Task.network(edges, features=["minutes"])
    trips = hs.simulate(hs.plan(town, {"minutes": -1.0}), episodes=50, seed=1)
    fit = hs.fit(hs.SoftOptimalModel(town, temperature=hs.Fixed(1.0)), trips)
    with pytest.raises(hs.errors.ModelError, match=r"rationality\(\) is not offered for networks"):
        hs.rationality(fit)


def test_people_beyond_the_anchor_have_no_regret_in_its_unit() -> None:
    task, log = rooms_with_and_without_lava()
    fit = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(FEATURES, {"lava": -1.0}), hs.PerSubject()), log)
    regret = hs.rationality(fit)["regret_per_decision"]
    assert regret["ann"] > 0
    assert np.isnan(regret["bob"])


def test_the_methods_paragraph_names_mode_unit_and_references(free: hs.Fit, shared: hs.Fit) -> None:
    scale_free = hs.rationality(free).attrs["methods"]
    anchored = hs.compare(shared).attrs["methods"]
    assert "Scale-free measures were compared" in scale_free
    assert "recorded decisions of all people together" in scale_free
    assert "anchored" in anchored
    assert "reward units (goal = 1)" in anchored
    for paragraph in (scale_free, anchored):
        for cited in ("Hess & Rose 2012", "Swait & Louviere 1993", "Allison 1999", "planner 'kl'"):
            assert cited in paragraph
        assert "nothing in behavior tells apart" in paragraph


def test_compare_ranks_with_intervals_and_claims_no_more_than_it_may(shared: hs.Fit) -> None:
    table = hs.compare(shared)
    assert (table["rank_low"] <= table["rank"]).all()
    assert (table["rank"] <= table["rank_high"]).all()
    assert table.equals(hs.compare(shared))
    assert any("nothing in behavior tells apart" in note for note in table.attrs["notes"])


@pytest.mark.parametrize("known", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_population_s_intervals_hold_what_its_temperatures_make_of_the_measures(known: bool) -> None:
    """With a known reward they end where the temperature's do; an unknown weight adds to that, within what can be."""
    temperatures = {"perfect": 0.02, "ann": 0.2, "bob": 0.4, "cleo": 0.8, "dan": 1.2}
    reward = hs.LinearReward(FEATURES, WEIGHTS if known else {"goal": 1.0})
    model = hs.SoftOptimalModel(maze(), reward, hs.PerSubject())
    fit = hs.fit(model, simulated(temperatures, episodes=6), method="hierarchical")
    table = hs.rationality(fit).loc[list(temperatures)]
    own = fit.params.loc[["log_temperature"]].droplevel("name")
    ends = []
    for column in ("ci_low", "ci_high"):
        full = fit.params["estimate"].to_numpy(dtype=float).copy()
        full[fit.model.table.temperatures] = own[column]
        ends.append(hs.rationality(settled(fit, full)).loc[list(temperatures)])
    for name in ("normalised_value", "choice_error", "costly_error", "information_bits", "signal_to_noise"):
        low, high = table[f"{name}_low"], table[f"{name}_high"]
        least, most = (ends[0][name].combine(ends[1][name], pick) for pick in (min, max))
        if known:
            np.testing.assert_allclose(low, np.minimum(least, table[name]), rtol=1e-9)
            np.testing.assert_allclose(high, np.maximum(most, table[name]), rtol=1e-9)
        else:
            assert (low <= least + 1e-12).all()
            assert (high >= most - 1e-12).all()
        assert (low <= table[name]).all()
        assert (table[name] <= high).all()
    assert table["normalised_value_low"].between(-0.1, 1).all()
    assert table["choice_error_high"].between(0, 1).all()
