"""The nullity table: how many directions of each reward class the data can never tell (SCIENCE 4.3)."""

import numpy as np
import pytest

import humansoft as hs
from humansoft.fit.identification import Identification
from tests.oracle.worlds import random_world, task_of

S, A = 7, 3


def report(
    reward: hs.AbstractReward,
    temperature: hs.Fixed | hs.Shared | hs.PerSubject,
    *,
    num_features: int = 1,
    ends: bool = False,
    masked: bool = False,
    horizon: int | None = None,
    discount: float = 0.9,
    extra: dict[str, np.ndarray] | None = None,  # type: ignore[type-arg]
    planner: str = "kl",
) -> Identification:
    """Identify a model on people who visited everything in a random world."""
    generator = np.random.default_rng(5)
    world = random_world(generator, S, A, ends=ends, masked=masked)
    features = {f"f{k}": generator.normal(size=(S, A)) for k in range(num_features)} | (extra or {})
    task = task_of(world, features, discount, horizon)
    policy = hs.plan(task, dict.fromkeys(features, 0.2), temperature={"ann": 1.0, "bob": 2.0})
    log = hs.simulate(policy, 60, seed=1, max_steps=12)
    return hs.identify(hs.SoftOptimalModel(task, reward, temperature, planner=planner), log)  # type: ignore[arg-type]


def nullity(found: Identification) -> int:
    return found.num_parameters - found.rank


def test_a_free_table_leaves_one_direction_a_state() -> None:
    assert nullity(report(hs.TableReward("state_action"), hs.Fixed(1.0))) == S


def test_a_free_table_and_temperature_leave_one_more() -> None:
    anchored = hs.TableReward("state_action")
    assert nullity(report(anchored, hs.Shared())) == S + 1


def test_a_reward_of_states_leaves_the_constant() -> None:
    found = report(hs.TableReward("state"), hs.Fixed(1.0))
    assert nullity(found) == 1
    assert "add up to a constant" in found.directions[0].message


def test_a_reward_of_states_and_a_free_temperature_leave_two() -> None:
    assert nullity(report(hs.TableReward("state"), hs.Shared())) == 2


def test_generic_features_are_identified() -> None:
    assert nullity(report(hs.LinearReward(), hs.Fixed(1.0), num_features=4)) == 0


def test_generic_features_and_a_free_temperature_leave_the_scale() -> None:
    found = report(hs.LinearReward(), hs.Shared(), num_features=4)
    assert nullity(found) == 1
    assert "only reward / temperature is in the data" in found.directions[0].message
    assert "temperature=Fixed(1)" in found.directions[0].message


def test_a_fixed_weight_gives_the_scale() -> None:
    assert nullity(report(hs.LinearReward(fixed={"f0": 1.0}), hs.Shared(), num_features=4)) == 0


def test_a_weight_fixed_at_zero_gives_no_scale() -> None:
    assert nullity(report(hs.LinearReward(fixed={"f0": 0.0}), hs.Shared(), num_features=4)) == 1


def test_a_constant_feature_without_an_end_is_flat() -> None:
    found = report(hs.LinearReward(), hs.Fixed(1.0), num_features=2, extra={"one": np.ones((S, A))})
    assert nullity(found) == 1
    assert "`one` has no effect" in found.directions[0].message


def test_a_constant_feature_with_an_end_is_a_cost_of_time() -> None:
    ones = {"one": np.ones((S, A))}
    assert nullity(report(hs.LinearReward(), hs.Fixed(1.0), num_features=2, extra=ones, ends=True)) == 0


def test_a_potential_is_flat() -> None:
    generator = np.random.default_rng(5)
    world = random_world(generator, S, A)  # the world that report() draws first
    potential = np.random.default_rng(9).normal(size=S)
    shaping = {"shaping": 0.9 * world.transition @ potential - potential[:, None]}
    assert nullity(report(hs.LinearReward(), hs.Fixed(1.0), num_features=2, extra=shaping)) == 1


def test_one_decision_identifies_no_reward_of_states() -> None:
    assert nullity(report(hs.TableReward("state_action"), hs.Fixed(1.0), horizon=1)) == S


def test_time_variation_identifies_all_but_a_constant() -> None:
    assert nullity(report(hs.TableReward("state_action"), hs.Fixed(1.0), horizon=3)) == 1


def test_step_cost_and_goal_reward_are_named_with_their_ratio() -> None:
    task = hs.Task.grid("S...\n.#..\n...G", discount=0.95)
    log = hs.simulate(hs.plan(task, {"step": -1.0, "goal": 5.0}), 60, seed=1, max_steps=30)
    found = hs.identify(hs.SoftOptimalModel(task, hs.LinearReward(), hs.Fixed(1.0)), log)
    assert nullity(found) == 1
    (direction,) = found.directions
    assert set(direction.parameters) == {"step", "goal"}
    # a step's reward c for ever is worth c/(1-discount); the goal comes one step later
    assert "goal - discount/(1-discount) * step" in direction.message
    step, goal = (direction.weights[direction.parameters.index(n)] for n in ("step", "goal"))
    assert goal / step == pytest.approx(0.95 / 0.05, rel=1e-6)


def test_the_flat_direction_really_is_flat() -> None:
    task = hs.Task.grid("S...\n.#..\n...G", discount=0.95)
    one = hs.plan(task, {"step": -1.0, "goal": 5.0}).log_policy
    other = hs.plan(task, {"step": -1.5, "goal": 5.0 - 0.5 * 0.95 / 0.05}).log_policy
    acting = np.isfinite(one.numpy())
    np.testing.assert_allclose(one.numpy()[acting], other.numpy()[acting], atol=1e-10)


def test_rewards_and_temperatures_of_every_person_are_refused_with_the_ways_out() -> None:
    found = report(hs.LinearReward(shared=False), hs.PerSubject(), num_features=3)
    assert not found.identified
    message = found.directions[0].message
    assert "only their ratio is in the data" in message
    for way in ("LinearReward(shared=True)", "fixed={...}", "scale-free"):
        assert way in message


def test_an_anchored_personal_model_is_identified() -> None:
    assert report(hs.LinearReward(fixed={"f0": 1.0}), hs.PerSubject(), num_features=3).identified
    assert report(hs.LinearReward(), hs.PerSubject(), num_features=3).identified  # geometric mean held at 1


def test_planners_of_one_likelihood_are_named() -> None:
    found = report(hs.LinearReward(), hs.Fixed(1.0), num_features=2)  # never ends: a constant changes nothing
    assert any("one likelihood" in note for note in found.notes)


def test_planners_that_differ_are_not_called_equal() -> None:
    found = report(hs.LinearReward(), hs.Fixed(1.0), num_features=2, ends=True, masked=True)
    assert not any("one likelihood" in note for note in found.notes)


def test_a_step_weight_that_is_fixed_with_a_fixed_temperature_tells_planners_apart() -> None:
    task = hs.Task.grid("S..\n.#.\n..G", discount=1.0, legend={})
    log = hs.simulate(hs.plan(task, {"step": -1.0}, temperature=0.5), 40, seed=1)
    reward = hs.LinearReward(["step", "goal"], {"step": -1.0})
    free = hs.identify(hs.SoftOptimalModel(task, hs.LinearReward(["step"], {"step": -1.0}), hs.Shared()), log)
    held = hs.identify(hs.SoftOptimalModel(task, reward, hs.Fixed(0.5)), log)
    assert any("one likelihood" in note for note in free.notes)
    assert not any("one likelihood" in note for note in held.notes)
