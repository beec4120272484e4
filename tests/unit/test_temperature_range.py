"""One network for all temperatures: held against the exact policy at each, saved, continued, and refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import humansoft as hs
from humansoft.solvers.gymnasium_world import GymnasiumWorld
from humansoft.solvers.temperature_range import RangeWorld, with_temperature

LAKE = "FrozenLake-v1"
FEW: dict[str, Any] = {"num_steps": 20, "num_walkers": 4, "rollout": 3, "hidden": (8,)}


def learned(temperature: tuple[float, float] = (0.1, 10.0), **changes: Any) -> hs.TemperaturePolicy:  # noqa: ANN401
    """Return what a few steps teach."""
    solver = hs.SoftQLearning.for_environment(**{**FEW, "warm_up": 2, "batch_size": 32})
    given = {"seed": 1, "solver": solver, "num_epochs": 2}
    return hs.plan_in(LAKE, temperature=temperature, **{**given, **changes})


@pytest.mark.slow
def test_one_network_is_the_exact_policy_at_every_temperature() -> None:
    """On FrozenLake, from nearly random people to those whose policy is 0.3 nats away from that."""
    task = hs.Task.from_gymnasium(LAKE, discount=0.9)
    solver = hs.SoftQLearning.for_environment(num_steps=1000, num_walkers=32, batch_size=256, exploration=1.0)
    policy = hs.plan_in(LAKE, temperature=(0.1, 2.0), seed=1, discount=0.9, solver=solver, num_epochs=1)
    going = [state for state in range(16) if state not in (5, 7, 11, 12, 15)]
    codes = task.states.encode(going)
    for temperature in (0.1, 0.5, 2.0):
        exact = hs.plan(task, {"reward": 1.0}, temperature=temperature)
        truth = exact.log_prob(np.zeros(len(codes), dtype=np.int64), codes)
        found = policy.at(temperature).log_prob(np.array(going))
        divergence = (np.exp(truth) * (truth - found)).sum(axis=1)
        uniform = (np.exp(truth) * (truth - np.log(0.25))).sum(axis=1)
        assert divergence.max() < 0.01 + 0.05 * uniform.max(), temperature  # nats a decision, in the worst state


def test_a_walker_keeps_its_temperature_for_an_episode() -> None:
    world = RangeWorld(GymnasiumWorld(LAKE, num_walkers=8), low=0.1, high=10.0)
    state = world.reset(seed=3)
    assert state.shape == (8, 17)
    changed = 0
    for _ in range(60):
        step, state = world.step(torch.randint(4, (8,)))
        assert (step.state[:, -1] == step.next_state[:, -1])[step.valid].all()
        moved = state[:, -1] != step.state[:, -1]
        assert not (moved & step.valid).any()
        changed += int(moved.sum())
        assert ((world.temperature(state) >= 0.1) & (world.temperature(state) <= 10.0)).all()
    assert changed > 0
    varied = world.varied(step, torch.Generator().manual_seed(0))
    torch.testing.assert_close(varied.state[:, :-1], step.state[:, :-1])
    assert (varied.state[:, -1] == varied.next_state[:, -1]).all()
    assert (varied.state[:, -1] != step.state[:, -1]).all()
    seen = with_temperature(torch.tensor([[1.0, 2.0]]), torch.tensor([0.5]), num_codes=None)
    assert seen.tolist() == [[1.0, 2.0, 0.5]]


def test_it_is_saved_loaded_and_acts(tmp_path: Path) -> None:
    policy = learned()
    again = hs.TemperaturePolicy.load(policy.save(tmp_path / "policy"))
    for temperature in (0.1, 1.0, 10.0):
        one, two = policy.at(temperature).log_prob(range(16)), again.at(temperature).log_prob(range(16))
        np.testing.assert_array_equal(one, two)
        assert np.exp(one).sum(axis=1) == pytest.approx(np.ones(16))
    assert np.abs(policy.at(0.1).log_prob([0]) - policy.at(10.0).log_prob([0])).max() > 0
    assert hs.simulate(again.at(2.0), episodes=2, seed=4) == hs.simulate(policy.at(2.0), episodes=2, seed=4)
    alone = hs.EnvironmentPolicy.load(policy.at(0.5).save(tmp_path / "alone"))
    np.testing.assert_array_equal(alone.log_prob(range(16)), policy.at(0.5).log_prob(range(16)))
    with pytest.raises(
        hs.errors.RunError, match=r"holds the policy of one temperature; load it with EnvironmentPolicy.load"
    ):
        hs.TemperaturePolicy.load(tmp_path / "alone")
    with pytest.raises(hs.errors.RunError, match=r"several temperatures; load it with TemperaturePolicy.load"):
        hs.EnvironmentPolicy.load(tmp_path / "policy")


def test_a_policy_gradient_learns_a_range_too() -> None:
    solver = hs.PolicyGradient.for_environment(**{**FEW, "num_steps": 3})
    policy = hs.plan_in("CartPole-v1", temperature=(0.1, 1.0), seed=1, solver=solver, num_epochs=1)
    assert (policy.at(0.3).temperature, policy.at(0.3).score_unit) == (0.3, 1.0)  # its scores are logarithms
    assert policy.at(0.3).log_prob(np.zeros((2, 4))).shape == (2, 2)


def test_training_for_a_range_goes_on_to_the_same_result(tmp_path: Path) -> None:
    whole = learned(checkpoint=tmp_path)
    again = learned(checkpoint=tmp_path)
    other = learned()
    for policy in (again, other):
        np.testing.assert_array_equal(policy.at(1.0).log_prob(range(16)), whole.at(1.0).log_prob(range(16)))


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (1.0, 1.0), (1.0, float("inf"))])
def test_ranges_that_cannot_be(ends: tuple[float, float]) -> None:
    with pytest.raises(hs.errors.ModelError, match="2 problems") as caught:
        learned(ends, discount=2.0)
    assert f"temperature={ends}" in str(caught.value)


def test_a_policy_of_no_temperature_says_how_to_choose_one() -> None:
    policy = learned([0.1, 10.0])  # type: ignore[arg-type]
    assert (policy.low, policy.high) == (0.1, 10.0)
    with pytest.raises(hs.errors.UsageError, match=r"2 problems\n.*seed=-1.*\n.*simulate\(policy.at\(0.1\)"):
        hs.simulate(policy, seed=-1)  # type: ignore[arg-type]
    for asked in ("log_prob", "sample", "action_distribution"):
        with pytest.raises(hs.errors.NotAvailableError, match=rf"choose one, policy.at\(0.1\).{asked}"):
            getattr(policy, asked)([0])


@pytest.mark.parametrize("temperature", [20.0, float("nan"), "hot", None])
def test_nobody_outside_the_range_was_seen(temperature: Any) -> None:  # noqa: ANN401
    with pytest.raises(hs.errors.ModelError, match=r"from 0.1 to 10.0: ask within"):
        learned().at(temperature)
