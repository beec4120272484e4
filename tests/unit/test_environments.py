"""Policies in Gymnasium environments: learned there, acting there, killed and continued there."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import humansoft as hs
from humansoft.solvers.gymnasium_world import GymnasiumWorld

FEW = hs.SoftQLearning.for_environment(
    num_steps=90, warm_up=5, num_walkers=4, rollout=1, batch_size=32, updates_per_step=1, hidden=(8,)
)


class Ring(gymnasium.Env):  # type: ignore[type-arg]
    """Five places in a ring; action 1 goes on, action 0 stays; the fourth pays; it can be told to misbehave."""

    observation_space = gymnasium.spaces.Discrete(5)
    action_space: Any = gymnasium.spaces.Discrete(2)

    def __init__(self, fault: str = "", after: int = 0) -> None:
        self.fault, self.after, self.count, self.place = fault, after, 0, 0
        if fault == "actions":
            self.action_space = gymnasium.spaces.MultiBinary(2)
            self.observation_space = gymnasium.spaces.MultiBinary(3)  # type: ignore[assignment]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(4))
        return self.place, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.count += 1
        if self.fault == "raise" and self.count > self.after:
            raise ConnectionError("the simulator is gone")
        self.place += int(action)
        reward = np.nan if self.fault == "nan" and self.count > self.after else float(self.place == 4) - 0.1
        return self.place, reward, self.place == 4, False, {}


gymnasium.register("humansoft/Ring-v0", Ring, max_episode_steps=20)
RING = "humansoft/Ring-v0"


def test_the_step_that_only_begins_an_episode_is_no_decision() -> None:
    world = GymnasiumWorld(RING, num_walkers=3)
    state = world.reset(seed=1)
    ended = np.zeros(3, dtype=bool)
    paid = 0.0
    for _ in range(12):
        step, state = world.step(torch.ones(3, dtype=torch.int64))
        assert (step.valid.numpy() == ~ended).all()
        assert (step.next_state[step.terminated] == 4).all()
        paid += float(step.reward[step.valid & step.terminated].sum())
        ended = step.terminated.numpy()
    assert paid > 0
    assert int(state.max()) <= 4


@pytest.mark.slow
def test_tabular_q_in_an_environment_is_the_exact_soft_solution() -> None:
    options = hs.SoftQLearning.for_environment(
        num_steps=200, num_walkers=16, rollout=1, updates_per_step=1, exploration=0.5, batch_size=4096,
        target_every=1, target_rate=1.0,
    )  # fmt: skip
    policy = hs.plan_in(RING, temperature=0.2, seed=3, discount=0.9, solver=options, num_epochs=2)
    value = 0.0  # at the end
    for place in (3, 2, 1, 0):
        on = float(place == 3) - 0.1 + 0.9 * value
        value = _soft_value(on, alpha=0.2)
        chance = np.exp((on - value) / 0.2) / 2
        assert policy.action_distribution(place)[1] == pytest.approx(chance, abs=0.02)


def _soft_value(on: float, alpha: float) -> float:
    """Solve V = alpha log((exp(on / alpha) + exp((0.9 V - 0.1) / alpha)) / 2), by iteration."""
    value = 0.0
    for _ in range(400):
        value = alpha * np.log((np.exp(on / alpha) + np.exp((0.9 * value - 0.1) / alpha)) / 2)
    return float(value)


@pytest.mark.slow
def test_same_seed_same_policy_other_seed_another() -> None:
    one, two, other = (hs.plan_in("CartPole-v1", temperature=0.5, seed=s, solver=FEW, num_epochs=1) for s in (1, 1, 2))
    seen = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_array_equal(one.log_prob(seen), two.log_prob(seen))
    assert np.abs(one.log_prob(seen) - other.log_prob(seen)).max() > 1e-6
    assert np.exp(one.log_prob(seen)).sum(axis=1) == pytest.approx(np.ones(5))


def test_a_network_learns_by_policy_gradient_and_goes_on_too(tmp_path: Path) -> None:
    few = hs.PolicyGradient.for_environment(num_steps=4, num_walkers=4, rollout=30, num_passes=2, hidden=(8,))
    given = {"temperature": 0.1, "seed": 1, "solver": few, "num_epochs": 2}
    one, two = (hs.plan_in("CartPole-v1", checkpoint=tmp_path / name, **given) for name in "ab")
    seen = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_array_equal(one.log_prob(seen), two.log_prob(seen))
    assert (one.temperature, one.score_unit) == (0.1, 1.0)  # scores of such a network are logarithms
    assert np.ptp(one.log_prob(seen)) > 0


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_very_same_result(tmp_path: Path) -> None:
    whole = hs.plan_in(RING, temperature=0.3, seed=5, solver=FEW, num_epochs=3, checkpoint=tmp_path / "whole")
    # The third epoch starts at step 61 of each copy; ends of episodes take steps of their own, which do not count.
    gymnasium.envs.registration.registry[RING].kwargs.update(fault="raise", after=52)
    try:
        with pytest.raises(
            hs.errors.WorldError, match=r"Ring-v0 broke down at step \d+ .*the simulator is gone"
        ) as caught:
            hs.plan_in(RING, temperature=0.3, seed=5, solver=FEW, num_epochs=3, checkpoint=tmp_path / "killed")
    finally:
        gymnasium.envs.registration.registry[RING].kwargs.clear()
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert (tmp_path / "killed" / "last.ckpt").is_file()
    after = hs.plan_in(RING, temperature=0.3, seed=5, solver=FEW, num_epochs=3, checkpoint=tmp_path / "killed")
    np.testing.assert_array_equal(after.log_prob(range(5)), whole.log_prob(range(5)))
    again = hs.plan_in(RING, temperature=0.3, seed=5, solver=FEW, num_epochs=3, checkpoint=tmp_path / "whole")
    np.testing.assert_array_equal(again.log_prob(range(5)), whole.log_prob(range(5)))


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    hs.plan_in(RING, temperature=0.3, seed=5, solver=FEW, num_epochs=1, checkpoint=tmp_path)
    with pytest.raises(hs.errors.RunError, match=r"2 problems") as caught:
        hs.plan_in("FrozenLake-v1", temperature=0.4, seed=5, solver=FEW, num_epochs=1, checkpoint=tmp_path)
    assert "environment was 'humansoft/Ring-v0' and is 'FrozenLake-v1'" in str(caught.value)
    assert "temperature was 0.3 and is 0.4" in str(caught.value)


def test_what_an_environment_cannot_be_is_said_at_once() -> None:
    with pytest.raises(hs.errors.TaskError, match="2 problems") as caught:
        hs.plan_in(RING, temperature=1.0, seed=1, fault="actions")
    assert "only Discrete and bounded Box actions" in str(caught.value)
    assert "only Discrete and Box can be read" in str(caught.value)
    with pytest.raises(hs.errors.TaskError, match="CartPole-v1"):
        hs.plan_in("CartPol-v1", temperature=1.0, seed=1)


def test_a_reward_that_is_no_number_is_refused() -> None:
    with pytest.raises(hs.errors.WorldError, match=r"gave the reward nan in copy \d at step \d+"):
        hs.plan_in(RING, temperature=1.0, seed=1, solver=FEW, num_epochs=1, fault="nan", after=7)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_temperatures_and_options_that_cannot_be(temperature: float) -> None:
    with pytest.raises(hs.errors.ModelError, match="3 problems") as caught:
        hs.plan_in(RING, temperature=temperature, seed=1, discount=1.5, solver="soft_q_learnin")
    assert "must be a finite number above 0" in str(caught.value)
    assert "Did you mean 'soft_q_learning'" in str(caught.value)
    with pytest.raises(hs.errors.ModelError, match="2 problems"):
        hs.SoftQLearning(batch_size=0, exploration=2.0)


@pytest.mark.slow
def test_a_policy_learned_in_an_environment_acts_there_and_leaves_a_log() -> None:
    policy = hs.plan_in("CartPole-v1", temperature=0.5, seed=1, solver=FEW, num_epochs=1)
    log = hs.simulate(policy, episodes=3, seed=2)
    frame = log.to_dataframe()
    assert log.num_episodes == 3
    assert frame.groupby("episode")["terminated"].last().all()
    inner = frame["episode"].diff().shift(-1) == 0
    for i in range(4):
        followed = frame[f"state_{i}"].shift(-1)[inner]
        np.testing.assert_array_equal(frame[f"next_state_{i}"][inner], followed)
    assert hs.simulate(policy, episodes=3, seed=2) == log
    assert hs.simulate(policy, episodes=3, seed=3) != log
    assert set(hs.simulate(policy, episodes=2, seed=2, max_steps=4).to_dataframe()["truncated"]) == {False, True}


def test_a_policy_is_saved_and_loaded(tmp_path: Path) -> None:
    policy = hs.plan_in("CartPole-v1", temperature=0.5, seed=1, solver=FEW, num_epochs=1)
    again = hs.EnvironmentPolicy.load(policy.save(tmp_path / "policy"))
    assert hs.simulate(again, episodes=2, seed=4) == hs.simulate(policy, episodes=2, seed=4)
    with pytest.raises(hs.errors.RunError, match="exists already"):
        policy.save(tmp_path / "policy")
    with pytest.raises(hs.errors.ModelError, match="has 4 numbers, not 3"):
        again.log_prob(np.zeros((2, 3)))
    tensors = tmp_path / "policy" / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"\1")
    with pytest.raises(hs.errors.RunError, match="was edited"):
        hs.EnvironmentPolicy.load(tmp_path / "policy")
    tensors.unlink()
    with pytest.raises(hs.errors.RunError, match=r"tensors.safetensors is missing"):
        hs.EnvironmentPolicy.load(tmp_path / "policy")


def test_an_exact_policy_acts_in_the_environment_of_its_task() -> None:
    task = hs.Task.from_gymnasium("FrozenLake-v1", discount=0.95)
    policy = hs.plan(task, {"reward": 1.0}, temperature={"sharp": 0.001, "dull": 10.0})
    log = hs.simulate(policy, episodes=200, seed=1, env_id="FrozenLake-v1", max_steps=60)
    assert "error" not in set(hs.check(log, task)["severity"])
    frame = log.to_dataframe()
    goals = frame[frame["next_state"] == 15].groupby("subject").size()
    assert goals["sharp"] > 3 * goals.get("dull", 1)
    own = hs.simulate(policy, episodes=200, seed=1, max_steps=60).to_dataframe()
    share = (own[own["next_state"] == 15].groupby("subject").size() / 200)["sharp"]
    assert goals["sharp"] / 200 == pytest.approx(share, abs=0.15)


def test_states_of_another_environment_are_refused() -> None:
    policy = hs.plan(hs.Task.grid("S.G\n...", discount=0.9), {"step": -1.0})
    with pytest.raises(hs.errors.ModelError, match="has other states or actions"):
        hs.simulate(policy, seed=1, env_id="FrozenLake-v1")
    with pytest.raises(hs.errors.UsageError, match="need env_id="):
        hs.simulate(policy, seed=1, is_slippery=False)


class Numbered(Ring):
    """The same ring, whose places are numbered from 3 on and whose actions from -1 on; it insists on that."""

    observation_space = gymnasium.spaces.Discrete(5, start=3)
    action_space = gymnasium.spaces.Discrete(2, start=-1)

    @property
    def P(self) -> dict[int, Any]:  # noqa: N802 - Gymnasium's name
        """The transition table."""
        inner = {s: {a: [(1.0, min(s + a, 4), float(s + a == 4) - 0.1, s + a >= 4)] for a in (0, 1)} for s in range(5)}
        return {
            s + 3: {a - 1: [(p, n + 3, r, done) for p, n, r, done in entries] for a, entries in acts.items()}
            for s, acts in inner.items()
        }

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        place, more = super().reset(seed=seed, options=options)
        return place + 3, more

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        assert action in (-1, 0), action
        place, reward, ended, cut, more = super().step(int(action) + 1)
        return place + (300 if self.fault == "lost" and self.count > self.after else 3), reward, ended, cut, more


NUMBERED = "humansoft/Numbered-v0"
gymnasium.register(NUMBERED, Numbered, max_episode_steps=20, disable_env_checker=True)


@pytest.mark.parametrize("temperature", [0.3, (0.1, 1.0)])
def test_numbers_of_an_environment_need_not_begin_at_0(temperature: Any, tmp_path: Path) -> None:  # noqa: ANN401
    plain, found = (hs.plan_in(i, temperature=temperature, seed=5, solver=FEW, num_epochs=1) for i in (RING, NUMBERED))
    again: Any = type(found).load(found.save(tmp_path / "policy"))
    if not isinstance(temperature, float):
        plain, found, again = plain.at(0.3), found.at(0.3), again.at(0.3)
    same = plain.log_prob(range(5))
    np.testing.assert_array_equal(found.log_prob(range(3, 8)), same)
    np.testing.assert_array_equal(found.log_prob([3, 4], [-1, 0]), same[[0, 1], [0, 1]])
    assert found.action_distribution(3).index.tolist() == [-1, 0]
    assert set(found.sample([3] * 50, np.random.default_rng(1))) == {-1, 0}
    log = hs.simulate(found, episodes=3, seed=1)
    assert hs.simulate(again, episodes=3, seed=1) == log
    frame, other = log.to_dataframe(), hs.simulate(plain, episodes=3, seed=1).to_dataframe()
    assert (frame["state"] == other["state"] + 3).all()
    assert (frame["next_state"] == other["next_state"] + 3).all()
    assert (frame["action"] == other["action"] - 1).all()
    with pytest.raises(hs.errors.ModelError, match=r"Ring-v0 has other actions \(0 to 1\) than .* \(-1 to 0\)"):
        hs.simulate(found, episodes=1, seed=1, env_id=RING)


def test_an_exact_policy_acts_where_numbers_do_not_begin_at_0() -> None:
    task = hs.Task.from_gymnasium(NUMBERED, discount=0.9)
    policy = hs.plan(task, {"reward": 1.0}, temperature=0.2)
    log = hs.simulate(policy, episodes=20, seed=1, env_id=NUMBERED)
    assert "error" not in set(hs.check(log, task)["severity"])
    frame = log.to_dataframe()
    assert set(frame["action"]) == {-1, 0}
    assert (frame["next_state"] == frame["state"] + frame["action"] + 1).all()


def test_what_is_no_observation_or_action_is_said_with_its_rows() -> None:
    table = hs.plan_in(NUMBERED, temperature=0.3, seed=5, solver=FEW, num_epochs=1)
    with pytest.raises(hs.errors.ModelError, match="2 problems") as caught:
        table.log_prob([3, 8, 3.5, np.nan, 4.0], [0, 0.6, 5, -2, np.nan])
    assert "3 of 5 observations are no whole number from 3 to 7: row 1 is 8.0, row 2 is 3.5" in str(caught.value)
    assert "4 of 5 actions are no whole number from -1 to 0: row 1 is 0.6" in str(caught.value)
    with pytest.raises(hs.errors.ModelError, match="1 of 2 actions are no whole number from -1 to 0: row 1 is 'left'"):
        table.log_prob([3, 3], np.array([0, "left"], dtype=object))
    with pytest.raises(hs.errors.ModelError, match=r"observations have the shape \[N\] here, not \[\]"):
        table.sample(3, np.random.default_rng(1))
    np.testing.assert_array_equal(table.log_prob([3.0, 4.0], [0.0, -1.0]), table.log_prob([3, 4], [0, -1]))
    network = hs.plan_in("CartPole-v1", temperature=0.5, seed=1, solver=FEW, num_epochs=1)
    seen = np.zeros((3, 4))
    seen[1, 2] = np.nan
    for ask in (network.log_prob, network.log_prob_error, lambda o: network.sample(o, np.random.default_rng(1))):
        with pytest.raises(hs.errors.ModelError, match=r"1 of 3 observations hold .* no finite number: row 1 is \[0.0"):
            ask(seen)
    with pytest.raises(hs.errors.ModelError, match="has 4 numbers, not 1"):
        network.sample(np.zeros(4), np.random.default_rng(1))


def test_an_environment_that_fails_is_named_with_its_step() -> None:
    with pytest.raises(
        hs.errors.WorldError, match=r"Ring-v0 broke down at step \d+ .* ConnectionError: the sim"
    ) as caught:
        hs.plan_in(RING, temperature=1.0, seed=1, solver=FEW, num_epochs=1, fault="raise", after=7)
    assert isinstance(caught.value.__cause__, ConnectionError)
    policy = hs.plan_in(RING, temperature=1.0, seed=1, solver=FEW, num_epochs=1)
    with pytest.raises(hs.errors.WorldError, match=r"Ring-v0 broke down at step 3 "):
        hs.simulate(policy, episodes=2, seed=1, fault="raise", after=2)
    with pytest.raises(
        hs.errors.WorldError, match=r"observation 30\d in copy \d at step \d+, .*the numbers from 3 to 7"
    ):
        hs.plan_in(NUMBERED, temperature=1.0, seed=1, solver=FEW, num_epochs=1, fault="lost", after=7)
