"""Simulate -> fit: what was put in comes out, within its intervals, or is refused with the reason."""

import numpy as np
import pytest

import humansoft as hs
from tests.recovery.people import lava_task, simulate_people

TRUTH = {"ann": 0.3, "bob": 0.6, "cleo": 1.2, "dan": 2.4}


def lava_reward(**fixed: float) -> hs.LinearReward:
    return hs.LinearReward(["goal", "lava"], fixed=fixed)


@pytest.fixture(scope="module")
def people() -> tuple[hs.BehaviorLog, hs.Task]:
    return simulate_people(TRUTH, episodes=120)


@pytest.fixture(scope="module")
def anchored(people: tuple[hs.BehaviorLog, hs.Task]) -> hs.Fit:
    log, task = people
    return hs.fit(hs.SoftOptimalModel(task, lava_reward(goal=1.0), hs.PerSubject()), log, seed=1)


def test_four_temperatures_and_a_weight_lie_in_their_intervals(anchored: hs.Fit) -> None:
    assert anchored.status is type(anchored.status).CONVERGED
    table = anchored.temperatures()
    truth = np.array([TRUTH[str(name)] for name in table.index])
    assert (table["ci_low"] < truth).all()
    assert (truth < table["ci_high"]).all()
    lava = anchored.params.loc[("lava", "all")]
    assert lava["ci_low"] < -1.5 < lava["ci_high"]


def test_intervals_have_a_useful_width(anchored: hs.Fit) -> None:
    assert (anchored.temperatures()["std_error"] < 1.0).all()


def test_both_free_is_refused_with_the_sentence(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people
    model = hs.SoftOptimalModel(task, hs.LinearReward(["goal", "lava"], shared=False), hs.PerSubject())
    with pytest.raises(hs.errors.IdentificationError, match="only their ratio is in the data") as caught:
        hs.fit(model, log)
    for way_out in ("shared=True", "fixed=", "scale-free"):
        assert way_out in str(caught.value)


def test_shared_temperature_without_an_anchor_is_refused_in_favour_of_fixed(
    people: tuple[hs.BehaviorLog, hs.Task],
) -> None:
    log, task = people
    with pytest.raises(hs.errors.IdentificationError, match=r"temperature=Fixed\(1\)"):
        hs.fit(hs.SoftOptimalModel(task, lava_reward(), hs.Shared()), log)


def test_without_an_anchor_the_average_person_is_one(people: tuple[hs.BehaviorLog, hs.Task], anchored: hs.Fit) -> None:
    log, task = people
    relative = hs.fit(hs.SoftOptimalModel(task, lava_reward(), hs.PerSubject()), log)
    table = relative.temperatures()
    assert table["log_temperature"].mean() == pytest.approx(0.0, abs=1e-9)
    assert set(table["unit"]) == {"average person = 1"}
    # the same likelihood, another unit: ratios of temperatures agree
    assert relative.log_likelihood == pytest.approx(anchored.log_likelihood, abs=1e-6)
    ours, theirs = table["log_temperature"].diff().dropna(), anchored.temperatures()["log_temperature"].diff().dropna()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_group_temperatures_average_over_people_not_groups(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people
    frame = log.to_dataframe()
    frame["noisy"] = np.where(frame["subject"] == "dan", "yes", "no")
    roles = {"state": log.columns.state, "next_state": log.columns.next_state}
    grouped = hs.read(frame, **roles, terminated="terminated", truncated="truncated")  # type: ignore[arg-type]
    fit = hs.fit(hs.SoftOptimalModel(task, lava_reward(), hs.PerGroup("noisy")), grouped)
    logs = fit.params.loc["log_temperature", "estimate"]
    assert 3 * logs["no"] + logs["yes"] == pytest.approx(0.0, abs=1e-9)
    assert logs["yes"] > logs["no"]


def test_fitting_changes_neither_model_nor_log(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people
    model = hs.SoftOptimalModel(task, lava_reward(goal=1.0), hs.Shared())
    before = log.to_dataframe()
    hs.fit(model, log)
    assert not list(model.parameters())
    assert log.to_dataframe().equals(before)


def test_same_seed_same_numbers(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people
    model = hs.SoftOptimalModel(task, lava_reward(goal=1.0), hs.Shared())
    assert hs.fit(model, log, seed=3) == hs.fit(model, log, seed=3)


@pytest.fixture(scope="module")
def extremes() -> hs.Fit:
    task = hs.Task.grid("S...\n.#..\n...G", discount=0.95)
    policy = hs.plan(task, {"step": -1.0, "goal": 10.0}, temperature={"perfect": 1e-3, "human": 0.6, "random": 1e6})
    log = hs.simulate(policy, 30, seed=1, max_steps=25)
    model = hs.SoftOptimalModel(task, hs.LinearReward(fixed={"goal": 10.0, "step": -1.0}), hs.PerSubject())
    return hs.fit(model, log)


def test_a_perfectly_rational_person_is_a_boundary_case(extremes: hs.Fit) -> None:
    assert extremes.status.name == "BOUNDARY"
    perfect = extremes.temperatures().loc["perfect"]
    assert perfect["boundary"] == "lower"
    assert perfect["ci_low"] == 0.0
    assert 0.0 < perfect["ci_high"] < 1.0
    assert any("'perfect' shows no costly mistake" in note for note in extremes.notes)


def test_a_random_person_has_a_lower_bound_only(extremes: hs.Fit) -> None:
    random = extremes.temperatures().loc["random"]
    assert random["boundary"] == "upper"
    assert random["ci_high"] == np.inf
    assert random["ci_low"] > 2.0


def test_no_nan_beside_a_boundary(extremes: hs.Fit) -> None:
    table = extremes.temperatures()
    assert table[["temperature", "ci_low", "ci_high", "inverse_temperature"]].notna().all().all()
    assert np.isfinite(extremes.log_likelihood)
    assert table.loc["human", "std_error"] > 0


def test_the_one_sided_bound_is_where_the_likelihood_has_fallen_by_a_fixed_amount(extremes: hs.Fit) -> None:
    bound = float(extremes.temperatures().loc["perfect", "ci_high"])
    task = extremes.model.task
    counts = extremes.training.counts
    mine = counts[counts["subject"] == list(extremes.subjects.values).index("perfect")]

    def log_likelihood(temperature: float) -> float:
        policy = hs.plan(task, {"step": -1.0, "goal": 10.0}, temperature=temperature)
        table = policy.log_policy.numpy()[mine["state"], mine["action"]]
        return float(mine["weight"] @ table)

    assert log_likelihood(1e-9) - log_likelihood(bound) == pytest.approx(1.3527717, abs=1e-5)


def test_the_bound_of_a_boundary_person_does_not_shift_the_average(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    task = lava_task()
    temperatures = {"ann": 0.3, "bob": 0.6, "random": 1e7}
    policy = hs.plan(task, {"goal": 1.0, "lava": -1.5}, temperature=temperatures)
    log = hs.simulate(policy, 60, seed=3, max_steps=25)
    fit = hs.fit(hs.SoftOptimalModel(task, lava_reward(), hs.PerSubject()), log)
    table = fit.temperatures()
    inner = table["boundary"] == ""
    assert table.loc[inner, "log_temperature"].mean() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    """40 simulated studies of two people each: at least 90 % of 95 % intervals hold the truth.

    The reward is known, so that everybody is estimated apart, and all studies are fitted at once.
    """
    task, temperatures = lava_task(), (0.3, 0.6)
    truth = {f"{who}{study:02d}": heat for study in range(40) for who, heat in zip("ab", temperatures, strict=True)}
    model = hs.SoftOptimalModel(task, lava_reward(goal=1.0, lava=-1.5), hs.PerSubject())
    policy = hs.plan(task, {"goal": 1.0, "lava": -1.5}, temperature=truth)
    table = hs.fit(model, hs.simulate(policy, 40, seed=0, max_steps=25)).temperatures()
    held = [table.loc[name, "ci_low"] < heat < table.loc[name, "ci_high"] for name, heat in truth.items()]
    assert np.mean(held) >= 0.9
