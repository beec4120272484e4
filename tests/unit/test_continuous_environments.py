"""Continuous actions in Gymnasium environments: what is learned, what is refused, what is saved and continued."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import humansoft as hs
from tests.oracle.reference import Array

SHARPNESS, REACH = 4.0, 2.0


class Aim(gymnasium.Env):  # type: ignore[type-arg]
    """One decision, in D dimensions: hit 1.5 times what is seen, at the price SHARPNESS / 2 times the square error.

    The soft policy is a normal around it, cut off at the edges of the box.
    """

    def __init__(self, size: int = 1, fault: str = "", after: int = 0) -> None:
        self.size, self.fault, self.after, self.count = size, fault, after, 0
        spaces = gymnasium.spaces
        self.observation_space = spaces.Box(-1.0, 1.0, (size,))
        actions: dict[str, Any] = {
            "endless": spaces.Box(0.0, np.inf, (size,)),
            "whole numbers": spaces.Box(0, 5, (size,), dtype=np.int64),
            "dict": spaces.Dict({"a": spaces.Discrete(2)}),
        }
        self.action_space = actions.get(fault, spaces.Box(-REACH, REACH, (size, 1)))
        if fault == "codes":
            self.observation_space = spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        self.seen = self.np_random.uniform(-0.9, 0.9, self.size).astype(np.float32)
        return self.seen, {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self.count += 1
        if self.fault == "raise" and self.count > self.after:
            raise ConnectionError("the simulator is gone")
        assert self.action_space.contains(action)
        reward = -SHARPNESS / 2 * float(((action[:, 0] - 1.5 * self.seen) ** 2).sum())
        return self.seen.copy(), np.nan if self.fault == "nan" and self.count > self.after else reward, True, False, {}


AIM = "humansoft/Aim-v0"
gymnasium.register(AIM, Aim)
ALPHA = 0.5
STD = np.sqrt(ALPHA / SHARPNESS)
FEW = hs.SoftQLearning.for_environment(
    num_steps=90, warm_up=5, num_walkers=4, rollout=1, batch_size=32, updates_per_step=1, hidden=(8,), num_nodes=12
)
FEW_ROLLOUTS = hs.PolicyGradient.for_environment(num_steps=6, num_walkers=4, rollout=20, num_passes=2, hidden=(8,))
BOTH = pytest.mark.parametrize("solver", [FEW, FEW_ROLLOUTS], ids=["soft_q_learning", "policy_gradient"])


def exact_log_density(seen: Array, action: Array, alpha: float = ALPHA) -> Array:
    """Return the log density of the soft policy, of normals cut off at the edges of the box."""
    mean, std = 1.5 * seen, np.sqrt(alpha / SHARPNESS)
    logs = stats.truncnorm((-REACH - mean) / std, (REACH - mean) / std, mean, std).logpdf(action)
    total: Array = np.asarray(logs).sum(axis=1)
    return total


def seen_and_done(size: int, count: int = 200) -> tuple[Array, Array]:
    """Return observations, and actions that the soft policy would choose."""
    generator = np.random.default_rng(3)
    seen = generator.uniform(-0.8, 0.8, size=(count, size))
    return seen, np.clip(1.5 * seen + STD * generator.normal(size=seen.shape), -1.99, 1.99)


@pytest.mark.parametrize(
    ("size", "planner"),
    [pytest.param(1, "entropy", marks=pytest.mark.slow), pytest.param(3, "kl", marks=pytest.mark.slow)],
)
def test_soft_q_learning_finds_the_soft_policy_in_any_number_of_dimensions(size: int, planner: Any) -> None:  # noqa: ANN401
    options = hs.SoftQLearning.for_environment(
        num_steps=400 * size, num_walkers=32, warm_up=20, exploration=0.3, rollout=1, updates_per_step=2, inertia=0.0,
        hidden=(64, 64), learning_rate=3e-3, num_nodes=16 if size == 1 else 64,
    )  # fmt: skip
    policy = hs.plan_in(
        AIM, temperature=ALPHA, seed=1, planner=planner, solver=options, num_epochs=1, discount=0.9, size=size
    )
    seen, done = seen_and_done(size)
    off = policy.log_prob(seen, done) - exact_log_density(seen, done)
    assert np.sqrt(np.mean(off**2)) < (0.25 if size == 1 else 0.4)
    assert off.mean() == pytest.approx(0.0, abs=0.1)
    many = np.repeat(seen, 4, axis=0)
    drawn = policy.sample(many, np.random.default_rng(1))
    assert drawn.shape == (800, size)
    errors = (drawn - 1.5 * many) / STD
    assert errors.mean() == pytest.approx(0.0, abs=0.2)
    assert errors.std() == pytest.approx(1.0, abs=0.15)
    wrong = policy.log_prob_error(seen)
    assert wrong.shape == (200,)
    assert (wrong > 0).all()
    assert wrong.max() < 0.1


@pytest.mark.slow
def test_one_network_is_the_soft_policy_at_every_temperature(tmp_path: Path) -> None:
    options = hs.SoftQLearning.for_environment(
        num_steps=400, num_walkers=32, warm_up=20, exploration=0.3, rollout=1, updates_per_step=2, inertia=0.0,
        hidden=(64, 64), learning_rate=3e-3,
    )  # fmt: skip
    found = hs.plan_in(AIM, temperature=(0.2, 2.0), seed=1, solver=options, num_epochs=1, discount=0.9)
    again = hs.TemperaturePolicy.load(found.save(tmp_path / "policy"))
    seen, generator = seen_and_done(1)[0], np.random.default_rng(1)
    for alpha in (0.2, 0.5, 2.0):
        done = np.clip(1.5 * seen + np.sqrt(alpha / SHARPNESS) * generator.normal(size=seen.shape), -1.99, 1.99)
        logs = found.at(alpha).log_prob(seen, done)
        off = logs - exact_log_density(seen, done, alpha)
        assert np.sqrt(np.mean(off**2)) < 0.25, alpha
        assert off.mean() == pytest.approx(0.0, abs=0.1), alpha
        np.testing.assert_array_equal(again.at(alpha).log_prob(seen, done), logs)


def test_a_policy_gradient_learns_continuous_actions_of_a_range_too(tmp_path: Path) -> None:
    found = hs.plan_in(AIM, temperature=(0.2, 2.0), seed=1, solver=FEW_ROLLOUTS, num_epochs=1, size=2)
    again = hs.EnvironmentPolicy.load(found.at(0.7).save(tmp_path / "policy"))
    seen, done = seen_and_done(2)
    logs = found.at(0.7).log_prob(seen, done)
    np.testing.assert_array_equal(again.log_prob(seen, done), logs)
    assert (logs != found.at(0.3).log_prob(seen, done)).any()
    assert hs.simulate(again, 3, seed=1) == hs.simulate(found.at(0.7), 3, seed=1)
    with pytest.raises(hs.errors.ModelError, match=r"shape \[200, 2\]"):
        again.log_prob(seen, done[:, :1])


@BOTH
def test_nothing_outside_the_box_is_done_and_its_edge_belongs_to_it(solver: Any) -> None:  # noqa: ANN401
    policy = hs.plan_in(AIM, temperature=ALPHA, seed=1, solver=solver, num_epochs=1, size=2)
    done = np.array([[2.0, -2.0], [2.001, 0.0], [0.0, -7.0], [np.nextafter(2.0, 3.0), 0.0]])
    seen = np.zeros((4, 2))
    assert np.isneginf(policy.log_prob(seen, done)).tolist() == [False, True, True, False]
    seen[2, 0] = np.inf
    done[[0, 3], 1] = np.nan
    with pytest.raises(hs.errors.ModelError, match="2 problems") as caught:
        policy.log_prob(seen, done)
    assert "1 of 4 observations hold something that is no finite number: row 2 is [inf, 0.0]" in str(caught.value)
    assert "2 of 4 actions hold something that is no finite number: row 0 is [2.0, nan], row 3" in str(caught.value)
    drawn = policy.sample(np.zeros((2000, 2)), np.random.default_rng(1))
    assert np.isfinite(policy.log_prob(np.zeros((2000, 2)), drawn)).all()


@pytest.mark.slow
def test_the_policy_gradient_finds_the_soft_policy() -> None:
    options = hs.PolicyGradient.for_environment(num_steps=30, num_walkers=32, rollout=40, learning_rate=3e-3)
    policy = hs.plan_in(AIM, temperature=ALPHA, seed=1, solver=options, num_epochs=1, size=2)
    seen = np.repeat(seen_and_done(2)[0], 20, axis=0)
    done = policy.sample(seen, np.random.default_rng(1))
    # The Kullback-Leibler divergence is what it gives up, in temperatures; a squashed normal is not quite a cut one.
    divergence = (policy.log_prob(seen, done) - exact_log_density(seen, done)).mean()
    assert 0 < divergence < 0.2
    errors = (done - 1.5 * seen) / STD
    assert errors.mean() == pytest.approx(0.0, abs=0.15)
    assert errors.std() == pytest.approx(1.0, abs=0.15)
    assert (policy.log_prob_error(seen) == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(("env_id", "temperature", "rate"), [(AIM, 3.0, 0.3), ("CartPole-v1", 1.0, 1.0)])
def test_the_temperature_follows_an_entropy_target(env_id: str, temperature: float, rate: float) -> None:
    target = 0.4  # nats
    options = hs.PolicyGradient.for_environment(
        num_steps=40, num_walkers=16, rollout=40, learning_rate=3e-3, target_entropy=target, temperature_rate=rate
    )
    policy = hs.plan_in(env_id, temperature=temperature, seed=1, solver=options, num_epochs=1)
    log = hs.simulate(policy, episodes=200 if env_id == AIM else 5, seed=1, max_steps=200).to_dataframe()
    seen = log.filter(regex="^state").to_numpy()
    logs = policy.log_prob(seen, log["action"].to_numpy()[:, None] if env_id == AIM else log["action"].to_numpy())
    assert -logs.mean() == pytest.approx(target, abs=0.12)


@BOTH
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.slow
def test_a_continuous_policy_acts_and_leaves_a_log_and_is_saved(solver: Any, size: int, tmp_path: Path) -> None:  # noqa: ANN401
    policy = hs.plan_in(AIM, temperature=ALPHA, seed=1, solver=solver, num_epochs=1, size=size)
    log = hs.simulate(policy, episodes=30, seed=2)
    frame = log.to_dataframe()
    done = frame["action"].to_numpy()[:, None] if size == 1 else frame.filter(regex=r"^action_\d$").to_numpy()
    assert done.shape == (30, size)
    assert (np.abs(done) <= REACH).all()
    if size > 1:
        assert [tuple(row) for row in done.tolist()] == frame["action"].tolist()
    seen = frame.filter(regex="^state").to_numpy()
    paid = -SHARPNESS / 2 * ((done - 1.5 * seen) ** 2).sum(axis=1)
    np.testing.assert_allclose(frame["reward"], paid, rtol=1e-4)
    again = hs.EnvironmentPolicy.load(policy.save(tmp_path / "policy"))
    assert hs.simulate(again, episodes=30, seed=2) == log
    np.testing.assert_array_equal(again.log_prob(seen, done), policy.log_prob(seen, done))
    shown = policy.action_distribution(seen[0])
    assert shown.sum() == pytest.approx(1.0)
    assert shown.index.nlevels == size
    assert isinstance(shown, pd.Series)
    with pytest.raises(hs.errors.ModelError, match="are continuous"):
        policy.log_prob(seen)
    with pytest.raises(hs.errors.ModelError, match=rf"have the shape \[30, {size}\] here, not \[30, 2\]"):
        policy.log_prob(seen, np.zeros((30, 2)))
    with pytest.raises(hs.errors.ModelError, match="has other actions"):
        hs.simulate(policy, episodes=1, seed=1, env_id="CartPole-v1")


@BOTH
@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_very_same_result(solver: Any, tmp_path: Path) -> None:  # noqa: ANN401
    given = {"temperature": ALPHA, "seed": 5, "solver": solver, "num_epochs": 3, "size": 3}
    whole = hs.plan_in(AIM, checkpoint=tmp_path / "whole", **given)
    gymnasium.envs.registration.registry[AIM].kwargs.update(fault="raise", after=33)
    try:
        with pytest.raises(hs.errors.WorldError, match="the simulator is gone"):
            hs.plan_in(AIM, checkpoint=tmp_path / "killed", **given)
    finally:
        gymnasium.envs.registration.registry[AIM].kwargs.clear()
    assert (tmp_path / "killed" / "last.ckpt").is_file()
    after = hs.plan_in(AIM, checkpoint=tmp_path / "killed", **given)
    seen, done = seen_and_done(3)
    np.testing.assert_array_equal(after.log_prob(seen, done), whole.log_prob(seen, done))
    with pytest.raises(hs.errors.RunError, match="environment was 'humansoft/Aim-v0' and is 'Pendulum-v1'"):
        hs.plan_in(
            "Pendulum-v1",
            checkpoint=tmp_path / "whole",
            **{name: value for name, value in given.items() if name != "size"},
        )


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("endless", "between finite bounds"),
        ("whole numbers", "has to hold real numbers"),
        ("dict", "only Discrete and bounded Box actions"),
        ("codes", "with continuous actions they have to be a Box"),
    ],
)
def test_spaces_that_cannot_be_learned(fault: str, said: str) -> None:
    with pytest.raises(hs.errors.TaskError, match=said):
        hs.plan_in(AIM, temperature=ALPHA, seed=1, fault=fault)


@BOTH
def test_a_reward_that_is_no_number_is_refused(solver: Any) -> None:  # noqa: ANN401
    with pytest.raises(hs.errors.WorldError, match=r"gave the reward nan in copy \d at step \d+"):
        hs.plan_in(AIM, temperature=ALPHA, seed=1, solver=solver, num_epochs=1, fault="nan", after=7)


def test_options_that_cannot_be() -> None:
    with pytest.raises(hs.errors.ModelError, match=r"(?s)2 problems.*finite number.*anneal and target_entropy"):
        hs.PolicyGradient(target_entropy=float("nan"), anneal=0.5)
    with pytest.raises(hs.errors.ModelError, match="num_nodes=0"):
        hs.SoftQLearning(num_nodes=0)


@pytest.mark.parametrize("solver", [hs.SoftQLearning, hs.PolicyGradient])
def test_learning_that_diverges_says_so(solver: Any) -> None:  # noqa: ANN401
    options = solver.for_environment(num_steps=40, num_walkers=4, batch_size=32, hidden=(8,), learning_rate=1e30)
    with pytest.raises(hs.errors.SolveError, match="learning has diverged; choose a lower"):
        hs.plan_in("CartPole-v1", temperature=1.0, seed=1, solver=options, num_epochs=1)


def pendulum_return(policy: hs.EnvironmentPolicy) -> float:
    log = hs.simulate(policy, episodes=20, seed=123, env_id="Pendulum-v1").to_dataframe()
    return float(log.groupby("episode")["reward"].sum().mean())


@pytest.mark.slow
def test_pendulum_is_solved_by_soft_q_learning() -> None:
    options = hs.SoftQLearning.for_environment(num_steps=500, inertia=0.0, hidden=(64, 64), learning_rate=3e-3)
    policy = hs.plan_in("Pendulum-v1", temperature=0.3, seed=2, discount=0.97, solver=options)
    assert pendulum_return(policy) > -250  # -1200 at random


@pytest.mark.slow
def test_pendulum_is_solved_by_the_policy_gradient() -> None:
    policy = hs.plan_in("Pendulum-v1", temperature=0.1, seed=1, discount=0.9, solver="policy_gradient", num_epochs=1)
    assert pendulum_return(policy) > -250
