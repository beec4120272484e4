"""The nullity table: how many directions of each reward class the data can never tell (SCIENCE 4.3)."""

import numpy as np
import pandas as pd
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


@pytest.mark.parametrize("horizon", [2, 3])
def test_time_variation_identifies_all_but_a_constant(horizon: int) -> None:
    assert nullity(report(hs.TableReward("state_action"), hs.Fixed(1.0), horizon=horizon)) == 1


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


def test_a_constant_or_a_potential_and_a_free_temperature_leave_two() -> None:
    ones = {"one": np.ones((S, A))}
    assert nullity(report(hs.LinearReward(), hs.Shared(), num_features=2, extra=ones)) == 2
    world = random_world(np.random.default_rng(5), S, A)  # the world that report() draws first
    potential = np.random.default_rng(9).normal(size=S)
    shaping = {"shaping": 0.9 * world.transition @ potential - potential[:, None]}
    assert nullity(report(hs.LinearReward(), hs.Shared(), num_features=2, extra=shaping)) == 2


@pytest.mark.parametrize(("horizon", "expected"), [(1, S + 1), (2, 2), (3, 2)])
def test_a_horizon_and_a_free_temperature_leave_one_more(horizon: int, expected: int) -> None:
    assert nullity(report(hs.TableReward("state_action"), hs.Shared(), horizon=horizon)) == expected


@pytest.mark.parametrize("temperature", [hs.Fixed(1.0), hs.Shared()])
def test_two_environments_identify_a_shared_reward_up_to_a_constant(temperature: hs.Fixed | hs.Shared) -> None:
    """A free r(s, a) that two worlds share: from S unidentified directions to 1, which a third world keeps.

    A TableReward belongs to the states of one context, so the shared table is one feature an entry.
    """
    size = 5
    entry = {f"r{s}{a}": np.eye(size * A)[s * A + a].reshape(size, A) for s in range(size) for a in range(A)}
    generator = np.random.default_rng(11)
    worlds = [random_world(generator, size, A) for _ in range(3)]
    for count, flat in ((1, size), (2, 1), (3, 1)):
        task = hs.Task.union({f"world {i}": task_of(worlds[i], entry, 0.9) for i in range(count)})
        log = hs.simulate(hs.plan(task, {"r00": 0.5}), 80, seed=2, max_steps=10)
        found = hs.identify(hs.SoftOptimalModel(task, hs.LinearReward(), temperature), log)
        assert nullity(found) == flat + (temperature == hs.Shared())


def test_a_reward_of_states_of_two_environments_has_a_constant_in_each() -> None:
    generator = np.random.default_rng(12)
    tasks = {name: task_of(random_world(generator, 5, A), {"f": generator.normal(size=(5, A))}, 0.9) for name in "ab"}
    task = hs.Task.union(tasks)
    log = hs.simulate(hs.plan(task, {"f": 0.5}), 80, seed=2, max_steps=10)
    found = hs.identify(hs.SoftOptimalModel(task, hs.TableReward("state"), hs.Fixed(1.0)), log)
    assert nullity(found) == 2


def test_nearly_equal_features_are_a_weak_direction() -> None:
    generator = np.random.default_rng(5)
    random_world(generator, S, A)
    first = generator.normal(size=(S, A))  # the f0 that report() draws
    twin = {"twin": first + 1e-5 * np.random.default_rng(6).normal(size=(S, A))}
    found = report(hs.LinearReward(), hs.Fixed(1.0), extra=twin)
    assert found.identified
    (direction,) = found.directions
    assert direction.severity == "weak"
    assert set(direction.parameters) == {"f0", "twin"}
    assert "the data say little about" in direction.message
    found.require()  # weak is a warning, not a refusal


def test_a_feature_that_never_varies_is_named() -> None:
    """It would matter in a room that nobody entered, and from which nobody can come."""
    rows = [
        ("start", "left", "start"),
        ("start", "right", "start"),
        ("room", "left", "room"),
        ("room", "right", "start"),
    ]
    table = pd.DataFrame(rows, columns=["state", "action", "next_state"])
    table["effort"], table["noise"] = [1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]
    task = hs.Task.table(table, discount=0.9, features=["effort", "noise"])
    trips = pd.DataFrame({"subject": 1, "step": range(6), "state": "start", "action": ["left", "right"] * 3})
    log = hs.read(trips, episode=None)
    found = hs.identify(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), log)
    assert nullity(found) == 1
    (direction,) = found.directions
    assert direction.parameters == ("noise",)
    assert "`noise` has no effect on behavior in the visited states" in direction.message
    with pytest.raises(hs.errors.IdentificationError, match="noise"):
        found.require()


def test_relative_temperatures_are_announced() -> None:
    relative = report(hs.LinearReward(), hs.PerSubject(), num_features=3)
    assert any("geometric mean over people is held at 1" in note for note in relative.notes)
    anchored = report(hs.LinearReward(fixed={"f0": 1.0}), hs.PerSubject(), num_features=3)
    assert not any("geometric mean" in note for note in anchored.notes)


def one_likelihood(found: Identification) -> str:
    """Return the note that two planners cannot be told apart, or nothing."""
    return next((note for note in found.notes if "one likelihood" in note), "")


def test_the_note_on_planners_says_when_the_scale_depends_on_the_choice() -> None:
    task = hs.Task.grid("S...\n.#..\n...G", discount=1.0)
    log = hs.simulate(hs.plan(task, {"step": -1.0}, 0.5), 40, seed=1)
    only_step = hs.LinearReward(["step"], {"step": -1.0})
    for planner in ("kl", "entropy"):
        found = hs.identify(hs.SoftOptimalModel(task, only_step, hs.Shared(), planner=planner), log)  # type: ignore[arg-type]
        assert "ratios of temperatures depend on which one is chosen" in one_likelihood(found)
    hard = hs.identify(hs.SoftOptimalModel(task, only_step, hs.Shared(), planner="boltzmann"), log)
    assert one_likelihood(hard) == ""
    free_step = hs.identify(hs.SoftOptimalModel(task, hs.LinearReward(["step"]), hs.Fixed(1.0)), log)
    assert "one likelihood" in one_likelihood(free_step)
    assert "temperatures" not in one_likelihood(free_step)  # a weight takes up the difference


def test_planners_really_are_one_likelihood_where_the_note_says_so() -> None:
    """c / alpha_entropy = c / alpha_kl + ln|A|, and the policies are equal (SCIENCE 0.2)."""
    task = hs.Task.grid("S...\n.#..\n...G", discount=1.0)
    for warm in (0.5, 2.0, 20.0):
        kl = hs.plan(task, {"step": -1.0}, warm, "kl")
        entropy = hs.plan(task, {"step": -1.0}, 1 / (1 / warm + np.log(4)), "entropy")
        acting = task.available.numpy()
        np.testing.assert_allclose(kl.log_policy.numpy()[acting], entropy.log_policy.numpy()[acting], atol=1e-9)


def test_unequal_action_sets_tell_planners_apart_even_without_an_end() -> None:
    assert one_likelihood(report(hs.LinearReward(), hs.Fixed(1.0), num_features=2)) != ""
    assert one_likelihood(report(hs.LinearReward(), hs.Fixed(1.0), num_features=2, masked=True)) == ""
