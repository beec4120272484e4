"""The policy gradient's baseline: it measures returns in their own spread, so that their unit does not matter."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control import CartPoleEnv

import humansoft as hs
from humansoft.solvers.baseline import BaselineNetwork

UNITS = {"humansoft/CartPoleInOnes-v0": 1.0, "humansoft/CartPoleInThousands-v0": 1024.0}


def cart_pole(unit: float) -> gymnasium.Env[np.ndarray, int]:
    return gymnasium.wrappers.TransformReward(CartPoleEnv(), lambda reward: unit * float(reward))


for env_id, size in UNITS.items():
    gymnasium.register(env_id, cart_pole, max_episode_steps=500, kwargs={"unit": size})


@pytest.mark.parametrize("returns", [[90.0, 110.0], [-1e6, -1e6 + 1], [5.0], [0.001, 0.002]])
def test_another_unit_changes_nothing_that_is_expected(returns: list[float]) -> None:
    torch.manual_seed(1)
    baseline, state = BaselineNetwork(3), torch.randn(50, 3)
    with torch.no_grad():
        for parameter in baseline.parameters():
            parameter.normal_()
        baseline.expect(torch.tensor([-3.0, 4.0]))
        before = baseline(state)
        baseline.expect(torch.tensor(returns))
        np.testing.assert_allclose(baseline(state), before, rtol=1e-4, atol=1e-6 * max(map(abs, returns)))


def test_it_follows_what_returns_are_now() -> None:
    baseline = BaselineNetwork(2)
    assert float(baseline(torch.ones(1, 2)).detach()) == 0.0
    for _ in range(200):
        baseline.expect(torch.tensor([-210.0, -190.0]))
    assert float(baseline.unit) == pytest.approx(10.0, rel=1e-3)
    assert float(baseline.level) == pytest.approx(-200.0)
    baseline.expect(torch.tensor([]))
    assert float(baseline.level) == pytest.approx(-200.0)


def test_the_policy_does_not_depend_on_the_unit_of_reward() -> None:
    few = hs.PolicyGradient.for_environment(num_steps=3, num_walkers=4, rollout=40, num_passes=2, hidden=(8,))
    seen = np.linspace(-0.2, 0.2, 20).reshape(5, 4).astype(np.float32)
    one, other = (
        hs.plan_in(env, temperature=unit * 0.5, seed=3, discount=0.95, solver=few, num_epochs=1)
        for env, unit in UNITS.items()
    )
    ours, theirs = ([policy.action_distribution(row)[0] for row in seen] for policy in (one, other))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert np.ptp(ours) > 0.01  # something was learned
