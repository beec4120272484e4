"""Profile likelihood intervals against closed forms, dense grids and the fit's own one-sided bounds."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

import humansoft as hs
from tests.recovery.people import simulate_people

DROP = 1.9207294103470556  # chi-square(1), 95 %, halved


def coin(successes: int, trials: int) -> tuple[hs.Fit, hs.BehaviorLog]:
    """One binary choice, again and again: the weight of "left" is the log odds."""
    rows = [("box", action, "end", float(action == "left")) for action in ("left", "right")]
    table = pd.DataFrame(rows, columns=["state", "action", "next_state", "left"])
    task = hs.Task.table(table, discount=1.0, features=["left"], terminal=["end"])
    actions = ["left"] * successes + ["right"] * (trials - successes)
    choices = pd.DataFrame({"episode": range(trials), "state": "box", "action": actions, "next_state": "end"})
    log = hs.read(choices, subject=None, step=None)
    return hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), log), log


@pytest.mark.parametrize("level", [0.6, 0.95])
def test_a_binary_choice_has_the_interval_of_a_binomial(level: float) -> None:
    fit, log = coin(7, 9)
    drop = float(chi2.ppf(level, 1) / 2)

    def fallen(logit: float) -> float:
        best = 7 * np.log(7 / 9) + 2 * np.log(2 / 9)
        return float(best - (7 * -np.logaddexp(0, -logit) + 2 * -np.logaddexp(0, logit)) - drop)

    found = hs.profile(fit, log, "left", level=level).loc[("left", "all")]
    top = np.log(7 / 2)
    assert found["estimate"] == pytest.approx(top, abs=1e-6)
    assert found["ci_low"] == pytest.approx(brentq(fallen, top - 10, top), abs=1e-5)
    assert found["ci_high"] == pytest.approx(brentq(fallen, top, top + 20), abs=1e-5)


def test_a_weight_that_nobody_acted_against_has_one_bound() -> None:
    rows = [("box", a, "end", float(a == "left"), float(a == "up")) for a in ("left", "right", "up")]
    table = pd.DataFrame(rows, columns=["state", "action", "next_state", "left", "up"])
    task = hs.Task.table(table, discount=1.0, features=["left", "up"], terminal=["end"])
    actions = ["left"] * 6 + ["right"] * 3  # nobody went up
    log = hs.read(
        pd.DataFrame({"episode": range(9), "state": "box", "action": actions, "next_state": "end"}),
        subject=None,
        step=None,
    )
    fit = hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), log)
    found = hs.profile(fit, log, "up").loc[("up", "all")]
    assert found["ci_low"] == -np.inf
    best = 6 * np.log(6 / 9) + 3 * np.log(3 / 9)
    others = 1 + np.exp(float(found["ci_high"]))  # the best weight of left is then log(2 others)
    assert best - (6 * np.log(2 * others) - 9 * np.log(3 * others)) == pytest.approx(DROP, abs=1e-5)


@pytest.fixture(scope="module")
def people() -> tuple[hs.BehaviorLog, hs.Task]:
    return simulate_people({"ann": 0.3, "bob": 0.6, "cai": 1.0}, episodes=15)


def of_reward(**fixed: float) -> hs.LinearReward:
    return hs.LinearReward(["goal", "lava"], fixed)


@pytest.mark.slow
def test_bounds_are_where_a_fit_with_the_parameter_held_has_fallen(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    """A dense check in other words: fit again, from scratch, with the weight fixed at each bound."""
    log, task = people
    fit = hs.fit(hs.SoftOptimalModel(task, of_reward(goal=1.0), hs.PerSubject()), log)
    found = hs.profile(fit, log, "lava").loc[("lava", "all")]
    for end in ("ci_low", "ci_high"):
        held = of_reward(goal=1.0, lava=float(found[end]))
        again = hs.fit(hs.SoftOptimalModel(task, held, hs.PerSubject()), log)
        assert fit.log_likelihood - again.log_likelihood == pytest.approx(DROP, abs=1e-4)


@pytest.mark.slow
def test_a_known_reward_leaves_each_person_a_likelihood_of_one_number(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    log, task = people
    fit = hs.fit(hs.SoftOptimalModel(task, of_reward(goal=1.0, lava=-1.5), hs.PerSubject()), log)
    found = hs.profile(fit, log, "temperature")
    assert found.index.tolist() == [("temperature", who) for who in ("ann", "bob", "cai")]
    counts = fit.training.counts
    for code, who in enumerate(("ann", "bob", "cai")):
        mine = counts[counts["subject"] == code]
        grid = np.linspace(*np.log(found.loc[("temperature", who), ["ci_low", "ci_high"]].to_numpy(dtype=float)), 9)
        plans = hs.plan(task, {"goal": 1.0, "lava": -1.5}, {i: float(np.exp(v)) for i, v in enumerate(grid)})
        table = plans.log_policy.numpy().reshape(len(grid), len(task.states), -1)
        value = (table[:, mine["state"], mine["action"]] * mine["weight"].to_numpy()).sum(axis=1)
        best = -minimize(
            lambda v, mine=mine: (
                -float(  # type: ignore[misc]
                    hs.plan(task, {"goal": 1.0, "lava": -1.5}, float(np.exp(v[0]))).log_policy.numpy()[
                        mine["state"], mine["action"]
                    ]
                    @ mine["weight"].to_numpy()
                )
            ),
            [fit.params.loc[("log_temperature", who), "estimate"]],
            method="Nelder-Mead",
            options={"xatol": 1e-8, "fatol": 1e-12},
        ).fun
        assert best - value[[0, -1]] == pytest.approx([DROP, DROP], abs=1e-4)
        assert (best - value[1:-1] < DROP).all()


@pytest.mark.slow
def test_relative_temperatures_have_the_intervals_of_another_unit(people: tuple[hs.BehaviorLog, hs.Task]) -> None:
    """ann / average is one number, whether the average or the goal is the unit: held here, computed there."""
    log, task = people
    fit = hs.fit(hs.SoftOptimalModel(task, of_reward(), hs.PerSubject()), log)
    found = hs.profile(fit, log, "log_temperature", "ann").iloc[0]
    for end in ("ci_low", "ci_high"):
        # log ann - (ann + bob + cai) / 3 = v  <=>  ann is exp(3 v / 2) times the geometric mean of the others
        ratio = float(np.exp(1.5 * found[end]))

        def loss(free: np.ndarray, ratio: float = ratio) -> float:  # type: ignore[type-arg]
            goal, lava, gap = free
            people = {"ann": ratio, "bob": float(np.exp(gap)), "cai": float(np.exp(-gap))}
            policy = hs.plan(task, {"goal": goal, "lava": lava}, people).log_policy.numpy()
            counts = fit.training.counts
            table = policy.reshape(3, len(task.states), -1)
            return -float(table[counts["subject"], counts["state"], counts["action"]] @ counts["weight"].to_numpy())

        others = fit.params["estimate"]
        shift = float(others["log_temperature", "bob"] + others["log_temperature", "cai"]) / 2
        start = [others["goal", "all"] * np.exp(-shift), others["lava", "all"] * np.exp(-shift), -0.3]
        best = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8, "maxiter": 2000})
        assert fit.log_likelihood + best.fun == pytest.approx(DROP, abs=1e-3)


@pytest.fixture(scope="module")
def extremes() -> tuple[hs.Fit, hs.BehaviorLog]:
    task = hs.Task.grid("S...\n.#..\n...G", discount=0.95)
    policy = hs.plan(task, {"step": -1.0, "goal": 10.0}, temperature={"perfect": 1e-3, "human": 0.6, "random": 1e6})
    log = hs.simulate(policy, 30, seed=1, max_steps=25)
    model = hs.SoftOptimalModel(task, hs.LinearReward(fixed={"goal": 10.0, "step": -1.0}), hs.PerSubject())
    return hs.fit(model, log), log


@pytest.mark.slow
def test_temperatures_at_a_boundary_have_the_one_sided_interval_of_the_fit(
    extremes: tuple[hs.Fit, hs.BehaviorLog],
) -> None:
    fit, log = extremes
    found = hs.profile(fit, log, "temperature")
    for who, missing in (("perfect", 0.0), ("random", np.inf)):
        ours, theirs = found.loc[("temperature", who)], fit.temperatures().loc[who]
        assert ours["boundary"] == theirs["boundary"] != ""
        assert missing in (ours["ci_low"], ours["ci_high"])
        for end in ("ci_low", "ci_high"):
            assert float(ours[end]) == pytest.approx(float(theirs[end]), rel=1e-4)
    human = found.loc[("temperature", "human")]
    assert 0 < human["ci_low"] < human["estimate"] < human["ci_high"] < np.inf


def test_what_has_no_profile_is_refused(extremes: tuple[hs.Fit, hs.BehaviorLog]) -> None:
    fit, log = extremes
    for words, said in (
        (("goal",), "'goal' is fixed"),
        (("temprature",), "Did you mean"),
        (("temperature", "humn"), "Did you mean 'human'"),
    ):
        with pytest.raises(hs.errors.UsageError, match=said):
            hs.profile(fit, log, *words)
    with pytest.raises(hs.errors.UsageError, match="not the log that was fitted"):
        hs.profile(fit, log.select(log.episode % 2 == 0), "temperature", "human")
    with pytest.raises(hs.errors.UsageError, match="level=95"):
        hs.profile(fit, log, "temperature", "human", level=95)
