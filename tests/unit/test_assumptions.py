"""assumptions: what a comparison takes for granted is kept by data that keep it, and refuted by data that do not."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, softmax
from scipy.stats import kstest

import humansoft as hs
from analysis.lecture.policies import acting
from humansoft.evaluate.flatness import training_likelihood
from humansoft.evaluate.gap_bins import gap_bins

MAZE = "S.L..\n..L..\n.L...\n...L.\n.L..G"
REWARD = {"step": -1.0, "lava": -2.0}
FEATURES = ["step", "lava"]
PEOPLE = {"ann": 0.5, "bob": 0.7, "cleo": 1.0}


def maze(horizon: int | None = None) -> hs.Task:
    return hs.Task.grid(MAZE, discount=0.95, legend={"L": "lava"}, horizon=horizon)


def soft(task: hs.Task, episodes: int = 150, seed: int = 32) -> hs.BehaviorLog:
    return hs.simulate(hs.plan(task, REWARD, temperature=PEOPLE), episodes, seed=seed, max_steps=40)


def slipping(task: hs.Task, episodes: int, slip: float = 0.2) -> hs.BehaviorLog:
    """Simulate people who choose the best, and now and then anything, whatever it costs."""
    policy = hs.plan(task, REWARD, temperature=PEOPLE)
    chosen = policy.log_policy.exp()
    best = (chosen == chosen.amax(dim=-1, keepdim=True)).to(chosen.dtype)
    available = torch.isfinite(policy.log_policy)
    options = available.sum(dim=-1, keepdim=True).clamp_min(1)
    careless = (1 - slip) * best / best.sum(dim=-1, keepdim=True) + slip / options
    return hs.simulate(acting(policy, torch.where(available, careless, 0.0).log()), episodes, seed=33, max_steps=40)


def fitted(log: hs.BehaviorLog, task: hs.Task) -> hs.Fit:
    return hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(FEATURES, {"step": -1.0}), hs.PerSubject()), log)


def row(table: pd.DataFrame, test: str) -> "pd.Series[float]":
    return table[table["test"] == test].iloc[0]


@pytest.fixture(scope="module")
def fit() -> hs.Fit:
    return fitted(soft(maze()), maze())


def test_soft_optimal_people_who_want_the_same_pass(fit: hs.Fit) -> None:
    table = hs.assumptions(fit)
    assert table["test"].tolist() == ["shared reward", "mistakes by cost", "anchor"]
    assert row(table, "shared reward")["p"] > 0.01
    assert row(table, "shared reward")["df"] == 2  # (3 people - 1) times (2 weights - 1)
    assert row(table, "mistakes by cost")["p"] > 0.01
    assert "all 3 people" in row(table, "anchor")["verdict"]


def test_people_who_err_whatever_it_costs_fail() -> None:
    task = maze()
    table = hs.assumptions(fitted(slipping(task, 150), task))
    assert row(table, "mistakes by cost")["p"] < 1e-6
    assert "absorbs the misfit" in row(table, "mistakes by cost")["verdict"]


def test_people_who_want_different_things_fail() -> None:
    task = maze()
    tastes = {"ann": {"step": -1.0, "lava": -0.2}, "bob": {"step": -1.0, "lava": -4.0}}
    frames = []
    for who, reward in tastes.items():
        log = hs.simulate(hs.plan(task, reward, temperature={who: 0.7}), 60, seed=3, max_steps=40)
        frames.append(log.to_dataframe())
    both = hs.read(
        pd.concat(frames, ignore_index=True), state=log.columns.state, next_state=log.columns.next_state,
        terminated="terminated", truncated="truncated",
    )  # fmt: skip
    found = row(hs.assumptions(fitted(both, task)), "shared reward")
    assert found["p"] < 1e-6
    assert "use rationality()" in found["verdict"]


def test_the_log_and_what_the_fit_keeps_of_it_say_the_same(fit: hs.Fit) -> None:
    pd.testing.assert_frame_equal(hs.assumptions(fit), hs.assumptions(fit, soft(maze())), rtol=1e-5)


def test_another_log_is_refused(fit: hs.Fit) -> None:
    with pytest.raises(hs.errors.UsageError, match="not the log that was fitted: its log-likelihood"):
        hs.assumptions(fit, soft(maze(), seed=5))
    strangers = hs.simulate(hs.plan(maze(), REWARD, temperature={"eve": 1.0}), 2, seed=1, max_steps=10)
    with pytest.raises(hs.errors.UsageError, match="does not know 'eve'"):
        hs.assumptions(fit, strangers)


def test_a_horizon_needs_the_log() -> None:
    task = maze(horizon=8)
    log = soft(task, episodes=60)
    timed = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(["lava"], {"lava": -2.0}), hs.PerSubject()), log)
    with pytest.raises(hs.errors.UsageError, match="keeps no times"):
        hs.assumptions(timed)
    assert row(hs.assumptions(timed, log), "mistakes by cost")["p"] > 0.01


def test_mistakes_are_tested_in_each_group() -> None:
    task = maze()
    log = soft(task)
    people = pd.DataFrame({"subject": list(PEOPLE), "group": ["old", "young", "young"]})
    roles = {"state": log.columns.state, "next_state": log.columns.next_state}
    grouped = hs.read(log.to_dataframe(), **roles, terminated="terminated", truncated="truncated", participants=people)  # type: ignore[arg-type]
    table = hs.assumptions(fitted(grouped, task), by="group")
    mistakes = table[table["test"] == "mistakes by cost"]
    assert mistakes["group"].tolist() == ["old", "young"]
    assert (mistakes["p"] > 0.01).all()


def test_somebody_whose_own_reward_is_not_identified_is_named() -> None:
    rooms = {"lava": "S.L\n..G", "plain": "S..\n..G"}
    task = hs.Task.union({n: hs.Task.grid(m, discount=0.95, legend={"L": "lava"}) for n, m in rooms.items()})
    policy = hs.plan(task, {"goal": 1.0, "lava": -0.4}, temperature={"ann": 0.5, "bob": 0.5})
    both = hs.simulate(policy, 60, seed=1, max_steps=15)
    frame = both.to_dataframe()
    frame = frame[(frame["subject"] == "ann") | (frame["context"] == "plain")]
    roles = {"state": both.columns.state, "next_state": both.columns.next_state, "context": "context"}
    log = hs.read(frame, **roles, terminated="terminated", truncated="truncated")  # type: ignore[arg-type]
    reward = hs.LinearReward(["goal", "lava"], {"goal": 1.0})
    found = row(hs.assumptions(hs.fit(hs.SoftOptimalModel(task, reward, hs.PerSubject()), log)), "shared reward")
    assert np.isnan(found["p"])
    assert "'bob' do not identify a reward of their own" in found["verdict"]


def test_what_cannot_be_tested_says_why() -> None:
    task = maze()
    log = soft(task, episodes=20)
    alone = hs.LinearReward(["step"], {"step": -1.0})
    single = hs.assumptions(hs.fit(hs.SoftOptimalModel(task, alone, hs.PerSubject()), log))
    assert "single weight" in row(single, "shared reward")["verdict"]
    own = hs.fit(hs.SoftOptimalModel(task, hs.LinearReward(FEATURES, shared=False), hs.Fixed(1.0)), log)
    table = hs.assumptions(own)
    assert "reward of their own" in row(table, "shared reward")["verdict"]
    assert "no weight is anchored" in row(table, "anchor")["verdict"]
    assert row(table, "mistakes by cost")["p"] > 0.01


@pytest.mark.slow
def test_the_test_of_mistakes_keeps_its_level() -> None:
    """On 25 simulated studies with estimated parameters, p is spread evenly: the variance has been corrected."""
    task = maze()
    found = []
    for seed in range(25):
        table = hs.assumptions(fitted(soft(task, episodes=25, seed=1000 + seed), task))
        found.append([row(table, "mistakes by cost")["p"], row(table, "shared reward")["p"]])
    for p in np.array(found).T:
        assert kstest(p, "uniform").pvalue > 1e-3


def options(num_states: int) -> tuple[hs.Task, np.ndarray, np.ndarray]:
    """Single decisions between three actions, and what x and y of each of them are [S, 3]."""
    x, y = np.random.default_rng(0).normal(size=(2, num_states, 3))
    rows = [(f"s{s}", f"a{a}", "end", x[s, a], y[s, a]) for s in range(num_states) for a in range(3)]
    table = pd.DataFrame(rows, columns=["state", "action", "next_state", "x", "y"])
    return hs.Task.table(table, features=["x", "y"], discount=0.9), x, y


def test_lapses_stand_on_both_sides_of_the_test_of_a_shared_reward() -> None:
    """The likelihood ratio against one that is worked out with scipy, with the lapse learned on both sides."""
    task, x, y = options(8)
    wishes, lapse, generator = np.array([0.1, 0.9, 0.5]), 0.2, np.random.default_rng(3)
    who, state = np.repeat(np.arange(3), 250), generator.integers(8, size=750)

    def chances(own_x: np.ndarray, own_y: np.ndarray, slips: float) -> np.ndarray:
        planned = softmax(own_x[who, None] * x[state] + own_y[who, None] * y[state], axis=1)
        chosen: np.ndarray = (1 - slips) * planned + slips / 3
        return chosen

    cumulative = chances(np.full(3, 2.5), 2.5 * wishes, lapse).cumsum(axis=1)
    action = (generator.random(750)[:, None] >= cumulative).sum(axis=1)
    frame = pd.DataFrame({"subject": who, "state": [f"s{s}" for s in state], "action": [f"a{a}" for a in action]})
    log = hs.read(frame.assign(episode=range(750), step=0))

    def lost(at: np.ndarray, shared: bool) -> float:
        own_x = np.exp(at[:3])
        chosen = chances(own_x, own_x * (at[3] if shared else at[3:6]), float(expit(at[-1])))
        return float(-np.log(chosen[np.arange(750), action]).sum())

    ends = [minimize(lost, np.r_[np.zeros(3 + n), -1.0], args=(n == 1,), tol=1e-9).fun for n in (1, 3)]
    reward = hs.LinearReward(fixed={"x": 1.0})
    fit = hs.fit(hs.SoftOptimalModel(task, reward, hs.PerSubject(), choice=hs.Lapse()), log)
    found = row(hs.assumptions(fit), "shared reward")
    assert found["statistic"] == pytest.approx(2 * (ends[0] - ends[1]), abs=1e-4)
    assert found["df"] == 2


def test_sticky_people_are_tested_in_what_they_did_before_each_decision() -> None:
    task = maze()
    terms = [hs.Stickiness(0.8), hs.Lapse(0.05), hs.ActionBias("up", {"down": 0.4, "left": 0.0, "right": 0.4})]
    log = hs.simulate(hs.plan(task, REWARD, temperature=PEOPLE, choice=terms), 100, seed=8, max_steps=40)
    reward = hs.LinearReward(FEATURES, {"step": -1.0})
    fit = hs.fit(hs.SoftOptimalModel(task, reward, hs.PerSubject(), choice=terms), log)
    told = hs.assumptions(fit, log)
    assert row(told, "shared reward")["p"] > 0.01
    assert row(told, "mistakes by cost")["p"] > 0.01
    untold = hs.assumptions(fit)
    assert "takes the log" in row(untold, "shared reward")["verdict"]
    assert row(untold, "mistakes by cost")["p"] == pytest.approx(row(told, "mistakes by cost")["p"], rel=1e-6)
    everybody = np.ones(3, dtype=bool)
    bins = gap_bins(fit, training_likelihood(fit), everybody)
    counts = fit.training.counts
    assert bins.seen.sum() <= counts["weight"].sum()
    assert np.linalg.eigvalsh(bins.covariance).min() > 0


def test_a_changed_hypothesis_keeps_every_other_part() -> None:
    task = maze()
    prior = np.where(task.playable.numpy(), [0.4, 0.3, 0.2, 0.1], 0.0)
    prior = prior / np.maximum(prior.sum(axis=1, keepdims=True), 1e-300)
    terms = [hs.Stickiness(0.3), hs.Lapse()]
    model = hs.SoftOptimalModel(
        task, hs.LinearReward(FEATURES), hs.PerSubject(), "kl", prior, solver="value_iteration", choice=terms
    )
    changed = model.changed(temperature=hs.Fixed(1.0))
    assert changed.temperature == hs.Fixed(1.0)
    assert changed.choice.terms == model.choice.terms
    assert (changed.task, changed.planner, changed.device) == (model.task, model.planner, model.device)
    assert changed.solver == model.solver
    assert changed.prior is not None
    torch.testing.assert_close(changed.prior, model.prior)
    assert repr(changed.reward) == repr(model.reward)


@pytest.mark.slow
def test_a_population_is_tested_in_its_people_one_by_one() -> None:
    """Estimates drawn towards each other, and a marginal likelihood, have not the distribution of the tests."""
    task = maze()
    log = soft(task, episodes=25)
    model = hs.SoftOptimalModel(task, hs.LinearReward(FEATURES, {"step": -1.0}), hs.PerSubject())
    together, alone = hs.fit(model, log, method="hierarchical"), hs.fit(model, log)
    expected = hs.assumptions(alone)
    pd.testing.assert_frame_equal(hs.assumptions(together, log), expected, rtol=1e-5)
    pd.testing.assert_frame_equal(hs.assumptions(together), expected, rtol=1e-5)
    with pytest.raises(hs.errors.UsageError, match="not the log that was fitted"):
        hs.assumptions(together, soft(task, episodes=25, seed=5))


def test_a_population_of_sticky_people_needs_the_log() -> None:
    task = maze()
    model = hs.SoftOptimalModel(task, hs.LinearReward(FEATURES, REWARD), hs.PerSubject(), choice=hs.Stickiness(0.5))
    fit = hs.fit(model, soft(task, episodes=10), method="hierarchical")
    with pytest.raises(hs.errors.UsageError, match="what they did before each decision"):
        hs.assumptions(fit)
