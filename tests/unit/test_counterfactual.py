"""People in a changed task: predictions where the data can tell, ranges where they cannot."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import humansoft as hs
from humansoft.errors import IdentificationError, ModelError, NotConvergedError
from humansoft.fit.result import FitStatus

MAZE = "S.L.\n.#..\n...G"
PEOPLE = {"ann": 0.5, "bob": 1.0}


def grid(maze: str = MAZE, **options: Any) -> hs.Task:  # noqa: ANN401
    return hs.Task.grid(maze, **({"discount": 0.95, "legend": {"L": "lava"}, "slip": 0.1} | options))


def fitted(
    task: hs.Task,
    reward: hs.LinearReward | hs.TableReward,
    weights: dict[str, float],
    **options: Any,  # noqa: ANN401
) -> hs.Fit:
    people = hs.plan(task, weights, temperature=PEOPLE)
    log = hs.simulate(people, 20, seed=1, max_steps=30)
    return hs.fit(hs.SoftOptimalModel(task, reward, options.pop("temperature", hs.PerSubject())), log, **options)


@pytest.fixture(scope="module")
def anchored() -> hs.Fit:
    return fitted(grid(), hs.LinearReward(fixed={"step": -1.0, "goal": 0.0}), {"step": -1.0, "lava": -2.0})


@pytest.fixture(scope="module")
def blind() -> hs.Fit:
    """People who never saw the lava, and a model that wants to know its weight."""
    reward = hs.LinearReward(["step", "lava"], {"step": -1.0})
    return fitted(sealed(), reward, {"step": -1.0}, allow_unidentified=True)


def sealed() -> hs.Task:
    return grid("S..\n.#.\n..G\n###\nL..", slip=0.0)


def lava_ahead() -> hs.Task:
    return grid("S.L\n.#.\n..G", slip=0.0)


def test_an_identified_prediction_is_the_plan_of_the_same_people_there(anchored: hs.Fit) -> None:
    changed = grid("S.L.\n.#..\n..#G")
    found = hs.counterfactual(anchored, changed)
    assert found.identified
    weights = {"step": -1.0, "lava": anchored.weight("lava")}
    people = hs.plan(changed, weights, anchored.temperatures()["temperature"].to_dict())
    for subject, state in (("ann", (0, 0)), ("bob", (1, 3))):
        ours, theirs = found.policy.action_distribution(state, subject), people.action_distribution(state, subject)
        pd.testing.assert_series_equal(ours, theirs, atol=1e-9)
    rows = found.predictions
    assert (rows["low"] == rows["probability"]).all()
    assert (rows["high"] == rows["probability"]).all()
    np.testing.assert_allclose(rows.groupby(["subject", "state"])["probability"].sum(), 1.0)
    assert str(found) == found.message == "The prediction is identified: the fit has no flat direction."


def test_the_fitted_task_itself_is_always_identified(blind: hs.Fit) -> None:
    found = hs.counterfactual(blind, sealed())
    assert found.identified
    assert "1 direction is flat in the fit, but behavior in this task does not depend on it" in found.message


def test_shaping_is_flat_everywhere_so_predictions_are_certified() -> None:
    """With a discount, cheaper steps and a better goal are one likelihood, in any maze that ends at its goal."""
    fit = fitted(grid(), hs.LinearReward(fixed={"step": -1.0}), {"step": -1.0, "lava": -2.0}, allow_unidentified=True)
    assert fit.status is FitStatus.NOT_IDENTIFIED
    found = hs.counterfactual(fit, grid("S.L.\n.#..\n..#G"))
    assert found.identified
    assert "1 direction is flat" in found.message


def test_what_was_never_met_gives_a_range(blind: hs.Fit) -> None:
    found = hs.counterfactual(blind, lava_ahead())
    assert not found.identified
    assert "`lava` can change without any change in what the training data say" in found.message
    rows = found.predictions.set_index(["subject", "state", "action"])
    row = rows.loc[[("ann", (0, 0), "right")]].iloc[0]
    assert row["low"] < row["probability"] - 0.05
    assert row["high"] > row["probability"] + 0.05
    assert f"{row['low']:.3g} and {row['high']:.3g}" in found.message
    # Each end of the range is the plan of people who explain the training data as well.
    ends = []
    for lava in (-1.0, 1.0):  # the largest reward of a decision is that of a step
        weights = {"step": -1.0, "lava": blind.weight("lava") + lava}
        plan = hs.plan(lava_ahead(), weights, blind.temperatures()["temperature"].to_dict())
        ends.append(plan.action_distribution((0, 0), "ann")["right"])
    assert [row["low"], row["high"]] == pytest.approx(ends, abs=1e-9)


def test_a_longer_reach_widens_the_range(blind: hs.Fit) -> None:
    near, far = (hs.counterfactual(blind, lava_ahead(), reach=reach).predictions for reach in (0.5, 2.0))
    assert (far["high"] >= near["high"] - 1e-12).all()
    assert (far["low"] <= near["low"] + 1e-12).all()
    assert (far["high"] - far["low"]).max() > (near["high"] - near["low"]).max() + 0.05


def test_a_fixed_weight_that_the_prediction_rests_on_is_named() -> None:
    reward = hs.LinearReward(["step", "lava"], {"step": -1.0, "lava": 0.0})
    fit = fitted(sealed(), reward, {"step": -1.0})
    found = hs.counterfactual(fit, lava_ahead())
    assert found.identified
    assert (
        "It rests on fixed={'step': -1.0, 'lava': 0.0}: other values of `lava` explain the training data"
        in found.message
    )
    assert "rests on" not in hs.counterfactual(fit, sealed()).message


def test_rewards_and_temperatures_of_each_person_scale_together_everywhere() -> None:
    """Only reward / temperature is in the data, and nothing else is needed in any other task."""
    reward = hs.LinearReward(["step", "lava"], shared=False)
    fit = fitted(grid(), reward, {"step": -1.0, "lava": -2.0}, allow_unidentified=True)
    found = hs.counterfactual(fit, grid("S.L.\n.#..\n..#G"))
    assert found.identified
    assert "flat in the fit, but behavior in this task does not depend on it" in found.message


def test_tables_of_rewards_know_nothing_of_new_places() -> None:
    task = grid("S..\n.#.\n..G", slip=0.0)
    fit = fitted(task, hs.TableReward("state", {(0, 0): -1.0}), {"step": -1.0}, temperature=hs.Fixed(1.0))
    found = hs.counterfactual(fit, hs.block(task, passages=[((0, 1), (0, 2))]))
    assert found.policy.action_distribution((0, 0), "ann").sum() == pytest.approx(1.0)
    with pytest.raises(ModelError, match=r"nothing is known of 1 rewards of the changed task: 'reward\[\(1, 1\)\]'"):
        hs.counterfactual(fit, grid("S..\n...\n..G", slip=0.0))


def test_all_that_cannot_be_asked_is_named_at_once(anchored: hs.Fit) -> None:
    other = hs.Task.grid("S.W\n..G", discount=0.9, legend={"W": "water"}, stay=True)
    with pytest.raises(ModelError) as error:
        hs.counterfactual(anchored, other)
    for part in (
        "4 problems",
        "the action 'stay' is new to them",
        "the feature 'lava' is gone",
        "the feature 'water' is new to them",
        "the discount is 0.9, it was 0.95",
    ):
        assert part in str(error.value)
    table = pd.DataFrame({"state": [0], "action": ["up"], "next_state": [1], "lava": [1.0], "step": 1.0, "goal": 0.0})
    units = {"lava": "per metre", "step": "per step", "goal": "per entry"}
    odd = hs.Task.table(table, discount=0.95, features=["step", "goal", "lava"], units=units)
    with pytest.raises(
        ModelError, match=r"actions 'down', 'left', 'right' are gone[\s\S]*'per metre', it was in 'per entry'"
    ):
        hs.counterfactual(anchored, odd)


def test_a_reference_policy_belongs_to_its_task(anchored: hs.Fit) -> None:
    task = grid()
    prior = np.where(task.available, 0.25, 0.0)
    log = hs.simulate(hs.plan(task, {"step": -1.0, "lava": -2.0}, temperature=PEOPLE), 20, seed=1, max_steps=30)
    reward = hs.LinearReward(fixed={"step": -1.0, "goal": 0.0})
    fit = hs.fit(hs.SoftOptimalModel(task, reward, hs.PerSubject(), prior=prior), log)
    with pytest.raises(ModelError, match="a reference policy of its own: say what it is in this task, prior="):
        hs.counterfactual(fit, task)
    same = hs.counterfactual(fit, task, prior=prior).predictions
    pd.testing.assert_frame_equal(same, hs.counterfactual(anchored, task).predictions, atol=1e-6)
    with pytest.raises(ModelError, match="the model was fitted without prior="):
        hs.counterfactual(anchored, task, prior=prior)


def test_horizons_can_change_but_ranges_need_times(anchored: hs.Fit) -> None:
    short = hs.counterfactual(anchored, grid(horizon=4))
    assert set(short.predictions["time"]) == {0, 1, 2, 3}
    reward = hs.LinearReward(["step", "lava"], {"step": -1.0})
    maze = "S..\n.#.\n..G\n###\nL.."
    fit = fitted(grid(maze, slip=0.0, horizon=8), reward, {"step": -1.0}, allow_unidentified=True)
    with pytest.raises(IdentificationError, match="a fit with a horizon does not keep the times"):
        hs.counterfactual(fit, grid("S.L\n.#.\n..G", slip=0.0, horizon=8))


def test_a_fit_that_did_not_converge_predicts_nothing_elsewhere() -> None:
    reward = hs.LinearReward(fixed={"step": -1.0, "goal": 0.0})
    fit = fitted(grid(), reward, {"step": -1.0, "lava": -2.0}, max_steps=1)
    with pytest.raises(NotConvergedError):
        hs.counterfactual(fit, grid())


# one of two ways is blocked


def two_routes(longer: float = 0.0) -> hs.Task:
    """A fork; who has entered a route goes on to the goal. The right route may be longer."""
    rows = [("fork", "left", "l", 1.0), ("fork", "right", "r", 1.0 + longer)]
    rows += [(route, way, "goal", 1.0) for route in "lr" for way in ("left", "right")]
    table = pd.DataFrame(rows, columns=["state", "action", "next_state", "length"])
    return hs.Task.table(table, discount=0.95, features=["length"], initial={"fork": 1.0})


@pytest.mark.parametrize("alpha", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("route", ["l", "r"])
def test_who_does_not_know_of_the_block_arrives_every_other_time(alpha: float, route: str) -> None:
    """The old policy in the blocked world: soft behavior keeps a chance of a half (argmax: none, in the worst case)."""

    def chance(task: hs.Task, alpha: float) -> float:
        policy = hs.plan(task, {"length": -1.0}, alpha)
        blocked = hs.block(task, passages=[(route, "goal")])
        informed = hs.plan(blocked, {"length": -1.0}, alpha)
        unaware = hs.Policy(blocked, policy.subjects, policy.row, informed.expansion, policy.solution)
        return float(hs.expected_steps(unaware).set_index("state")["probability"]["fork"])

    assert chance(two_routes(), alpha) == pytest.approx(0.5, abs=1e-12)
    assert chance(two_routes(longer=0.5), 1e-3) == pytest.approx(float(route == "r"), abs=1e-12)


@pytest.mark.parametrize(("route", "blocked_way"), [("l", "left"), ("r", "right")])
def test_who_knows_of_the_block_takes_the_other_way(route: str, blocked_way: str) -> None:
    task = two_routes()
    people = hs.plan(task, {"length": -1.0}, temperature=PEOPLE)
    log = hs.simulate(people, 30, seed=1)
    model = hs.SoftOptimalModel(task, hs.LinearReward(), hs.Fixed(1.0))
    with pytest.raises(IdentificationError, match="`length` has no effect on behavior in the visited states"):
        hs.fit(model, log)  # all ways are equally long: nobody can tell what length costs
    fit = hs.fit(model, log, allow_unidentified=True)
    found = hs.counterfactual(fit, hs.block(task, passages=[(route, "goal")]), reach=1.0)
    assert not found.identified
    assert "`length`" in found.message
    known = hs.SoftOptimalModel(two_routes(0.5), hs.LinearReward(), hs.Fixed(0.3))
    log = hs.simulate(hs.plan(two_routes(0.5), {"length": -1.0}, 0.3), 200, seed=1)
    found = hs.counterfactual(hs.fit(known, log), hs.block(two_routes(0.5), passages=[(route, "goal")]))
    assert found.identified
    taken = found.policy.action_distribution("fork", "all")
    assert taken[blocked_way] < 1e-3, "twenty steps of waiting cost more than any detour"
    assert torch.isfinite(found.policy.value).all()


def test_trips_are_for_networks(anchored: hs.Fit) -> None:
    with pytest.raises(hs.errors.UsageError, match=r"counterfactual\(initial=...\) is for networks"):
        hs.counterfactual(anchored, grid(), initial={(0, 0): 1.0})


def test_a_known_reward_stays_with_its_states_and_actions() -> None:
    task = grid("S..\n.#.\n..G", slip=0.0)
    shut = hs.block(task, actions=[((0, 1), "right")], how="unavailable")

    def known(task: hs.Task) -> hs.Fit:
        model = hs.SoftOptimalModel(task, hs.KnownReward(-task.features[:, :, 0]), hs.PerSubject())
        return hs.fit(model, hs.simulate(hs.plan(task, {"step": -1.0}, PEOPLE), 20, seed=1, max_steps=30))

    assert hs.counterfactual(known(task), shut).identified
    for fitted_in, asked in ((shut, task), (task, grid("S#.\n...\n..G", slip=0.0))):
        with pytest.raises(ModelError, match=r"the reward is a KnownReward, .* make it a feature"):
            hs.counterfactual(known(fitted_in), asked)
