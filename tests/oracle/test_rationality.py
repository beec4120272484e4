"""Scale-free measures against plain numpy: every number from its definition, and its slopes by differences."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from humansoft.choice import ChoiceTerm
from humansoft.evaluate.measures import completed, measure
from humansoft.evaluate.reference_states import Reference
from humansoft.evaluate.solved_rows import MEASURES
from humansoft.evaluate.yardstick import Yardstick
from tests.oracle.people import known_people, settled
from tests.oracle.reference import Array, World
from tests.oracle.worlds import random_world, task_of

PEOPLE = {"ann": 0.3, "bob": 1.5}
THRESHOLD = 0.8
LAPSE, BIAS = 0.2, 0.9
SLIPPING = (hs.Lapse(LAPSE), hs.ActionBias("a0", {"a1": BIAS, "a2": 0.0}))


def world_and_reward(seed: int, *, ends: bool = True) -> tuple[World, Array]:
    generator = np.random.default_rng(seed)
    world = random_world(generator, 5, 3, ends=ends, masked=True)
    return world, np.where(world.available, generator.normal(size=(5, 3)), 0.0)


def values(world: World, reward: Array, discount: float, horizon: int | None, policy: Array | None) -> Array:
    """Iterate V [T, S]: of a policy [T, S, A], or with the maximum of Q where there is none."""
    times = horizon or 4_000
    value, found = np.zeros(len(reward)), []
    for time in reversed(range(times)):
        q = reward + discount * world.transition @ value
        if policy is None:
            value = np.where(world.available, q, -np.inf).max(axis=1, where=world.acting[:, None], initial=-np.inf)
            value = np.where(world.acting, value, 0.0)
        else:
            value = (policy[min(time, len(policy) - 1)] * q).sum(axis=1)
        found.append(value)
    kept: Array = np.stack(found[::-1])
    return kept if horizon else kept[:1]


def by_definition(
    world: World, reward: Array, policy: Array, alpha: float, start: Array, weights: Array, discount: float,
    horizon: int | None, limit: float | None = None,
) -> dict[str, float]:  # fmt: skip
    """Work the measures out, with policy [T, S, A] and weights [T, S] of decisions."""
    options = world.available.sum(axis=1)
    chance = np.broadcast_to(world.available / np.maximum(options, 1)[:, None], policy.shape)
    best = values(world, reward, discount, horizon, None)
    after = np.vstack([best[1:], np.zeros((1, len(reward)))]) if horizon else best
    q = reward + discount * np.einsum("san,tn->tsa", world.transition, after)
    gap = np.where(world.available, best[:, :, None] - q, 0.0)
    random = values(world, reward, discount, horizon, chance)[0]
    mine = values(world, reward, discount, horizon, policy)[0]
    several = weights * (options > 1)
    weight = several / several.sum()
    limit = THRESHOLD * float((weight * (chance * gap).sum(axis=-1)).sum()) if limit is None else limit
    bits = np.log2(policy, out=np.zeros_like(policy), where=policy > 0)
    overall = np.einsum("ts,tsa->a", weight, policy)
    mean = (weight * (chance * gap).sum(axis=-1)).sum()
    square = (weight * (chance * gap**2).sum(axis=-1)).sum()
    order = (policy * bits).sum(axis=-1)
    return {
        "normalised_value": float(start @ (mine - random) / (start @ (best[0] - random))),
        "choice_error": float((weight * (policy * (gap > 1e-9)).sum(axis=-1)).sum()),
        "costly_error": float((weight * (policy * (gap > limit)).sum(axis=-1)).sum()),
        "information_bits": float((weight * (np.log2(np.maximum(options, 1)) + order)).sum()),
        "complexity_bits": float((weight * order).sum() - (overall * np.log2(overall)).sum()),
        "signal_to_noise": float(np.sqrt(square - mean**2) / alpha),
        "regret_per_decision": float((weight * (policy * gap).sum(axis=-1)).sum()),
        "limit": limit,
    }


def visited(fit: hs.Fit, people: list[str] | None = None) -> Array:
    counts = fit.training.counts
    names = np.array(fit.subjects.values)[counts["subject"]]
    kept = counts[np.isin(names, people or list(fit.subjects.values))]
    return np.bincount(kept["state"], weights=kept["weight"], minlength=len(fit.model.task.states)).astype(float)


@pytest.mark.parametrize("planner", ["kl", "entropy", "boltzmann"])
@pytest.mark.parametrize("seed", [3, 8])
def test_every_measure_is_what_its_definition_says(planner: str, seed: int) -> None:
    world, reward = world_and_reward(seed)
    task = task_of(world, {"reward": reward}, 0.9)
    fit = known_people(task, {"reward": 1.0}, PEOPLE, planner)
    table = hs.rationality(fit, threshold=THRESHOLD)
    pooled = visited(fit)
    start = pooled * (world.available.sum(axis=1) > 1)
    for who, alpha in PEOPLE.items():
        policy = hs.plan(task, {"reward": 1.0}, alpha, planner=planner).log_policy.exp().numpy()[None]  # type: ignore[arg-type]
        expected = by_definition(world, reward, policy, alpha, start / start.sum(), pooled[None], 0.9, None)
        mine = visited(fit, [who])
        begun = mine * (world.available.sum(axis=1) > 1)
        own = by_definition(world, reward, policy, alpha, begun / begun.sum(), mine[None], 0.9, None, expected["limit"])
        for name in MEASURES:
            assert table.loc[who, name] == pytest.approx(expected[name], abs=1e-9), name
            assert table.loc[who, f"{name}_own"] == pytest.approx(own[name], abs=1e-9), name


def followed(world: World, planned: Array) -> Array:
    """Tilt a planned policy [T, S, A] by the biases and spoil it by the lapse of ``SLIPPING``."""
    tilted = planned * np.exp([0.0, BIAS, 0.0])
    tilted = tilted / np.maximum(tilted.sum(axis=-1, keepdims=True), 1e-300)
    options = np.maximum(world.available.sum(axis=1), 1)[:, None]
    return np.where(world.available, (1 - LAPSE) * tilted + LAPSE / options, 0.0)


@pytest.mark.parametrize("planner", ["kl", "entropy", "boltzmann"])
@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("horizon", [None, 4])
def test_people_who_slip_are_measured_by_what_they_do(planner: str, sticky: bool, horizon: int | None) -> None:
    """With a lapse and a bias; of sticky people, by what they do where nothing was done before, which is noted."""
    world, reward = world_and_reward(3)
    task = task_of(world, {"reward": reward}, 0.9, horizon)
    choice = (*SLIPPING, *([hs.Stickiness(0.7)] if sticky else []))
    start = {0: 0.5, 1: 0.25, 2: 0.25}
    begun = np.array([start.get(s, 0.0) for s in range(5)])
    if horizon is None:
        fit = known_people(task, {"reward": 1.0}, PEOPLE, planner, choice=choice)
        weights = visited(fit)[None]
        at = weights[0] * (world.available.sum(axis=1) > 1)
        at = at / at.sum()
    else:
        fit, at = known_people_from(task, start, planner, choice), begun
        options = world.available.sum(axis=1)
        weights = flow(world, np.broadcast_to(world.available / np.maximum(options, 1)[:, None], (4, 5, 3)), at, 0.9)
    table = hs.rationality(fit, reference="pooled" if horizon is None else start, threshold=THRESHOLD)
    for who, alpha in PEOPLE.items():
        planned = hs.plan(task, {"reward": 1.0}, alpha, planner=planner).log_policy.exp().numpy()  # type: ignore[arg-type]
        policy = followed(world, planned if horizon else planned[None])
        expected = by_definition(world, reward, policy, alpha, at, weights, 0.9, horizon)
        for name in MEASURES:
            assert table.loc[who, name] == pytest.approx(expected[name], abs=1e-9), name
    assert any("where nothing was done before" in note for note in table.attrs["notes"]) == sticky
    assert "Lapse" in table.attrs["methods"]


@pytest.mark.parametrize("planner", ["kl", "boltzmann"])
def test_every_measure_is_what_its_definition_says_with_a_horizon(planner: str) -> None:
    world, reward = world_and_reward(5)
    horizon = 4
    task = task_of(world, {"reward": reward}, 0.95, horizon)
    policies = {
        who: hs.plan(task, {"reward": 1.0}, alpha, planner=planner).log_policy.exp().numpy()  # type: ignore[arg-type]
        for who, alpha in PEOPLE.items()
    }
    start = {0: 0.5, 1: 0.25, 2: 0.25}
    fit = known_people_from(task, start, planner)
    begun = np.array([start.get(s, 0.0) for s in range(5)])
    options = world.available.sum(axis=1)
    uniform = np.broadcast_to(world.available / np.maximum(options, 1)[:, None], (horizon, 5, 3))
    table = hs.rationality(fit, reference=start, threshold=THRESHOLD)
    pooled = hs.rationality(fit, threshold=THRESHOLD)
    counts = fit.training.counts.groupby("subject")["weight"].sum().to_numpy()
    starts = np.bincount(fit.training.starts["state"], minlength=5) / len(fit.training.starts)
    together = sum(
        n * flow(world, policies[str(who)], starts, 0.95) for n, who in zip(counts, fit.subjects.values, strict=True)
    )
    for who, alpha in PEOPLE.items():
        wanted = by_definition(
            world, reward, policies[who], alpha, begun, flow(world, uniform, begun, 0.95), 0.95, horizon
        )
        mixed = by_definition(world, reward, policies[who], alpha, starts, np.asarray(together), 0.95, horizon)
        mine = fit.training.starts["subject"] == list(fit.subjects.values).index(who)
        own_start = np.bincount(fit.training.starts["state"][mine], minlength=5) / mine.sum()
        visits = flow(world, policies[who], own_start, 0.95)
        own = by_definition(world, reward, policies[who], alpha, own_start, visits, 0.95, horizon, mixed["limit"])
        for name in MEASURES:
            assert table.loc[who, name] == pytest.approx(wanted[name], abs=1e-9), name
            assert pooled.loc[who, name] == pytest.approx(mixed[name], abs=1e-9), name
            assert pooled.loc[who, f"{name}_own"] == pytest.approx(own[name], abs=1e-9), name


def known_people_from(
    task: hs.Task, start: dict[int, float], planner: str, choice: Sequence[ChoiceTerm] = ()
) -> hs.Fit:
    """Simulate from given starts, and fit."""
    begin = pd.Series(start)
    frames: list[pd.DataFrame] = []
    generator = np.random.default_rng(4)
    for who, alpha in PEOPLE.items():
        policy = hs.plan(task, {"reward": 1.0}, alpha, planner=planner)  # type: ignore[arg-type]
        for episode in range(12):
            state = int(generator.choice(begin.index.to_numpy(), p=begin.to_numpy()))
            for time in range(int(task.horizon or 0)):
                if bool(task.terminal[state]):
                    break
                chances = policy.action_distribution(state, time=time)
                action = str(generator.choice(chances.index.to_numpy(), p=chances.to_numpy() / chances.sum()))
                code = task.actions.encode([action])[0]
                reached = task.transitions.successors[state, code].numpy()
                odds = task.transitions.probabilities[state, code].numpy()
                following = int(generator.choice(reached, p=odds / odds.sum()))
                frames.append(pd.DataFrame({
                    "subject": [who], "episode": [episode], "step": [time], "state": [state], "action": [action],
                    "next_state": [following], "over": [bool(task.terminal[following])],
                }))  # fmt: skip
                state = following
    log = hs.read(pd.concat(frames, ignore_index=True), next_state="next_state", terminated="over")
    model = hs.SoftOptimalModel(task, hs.LinearReward(fixed={"reward": 1.0}), hs.PerSubject(), planner, choice=choice)  # type: ignore[arg-type]
    fit = hs.fit(model, log)
    full = fit.params["estimate"].to_numpy(dtype=float).copy()
    full[fit.model.table.temperatures] = np.log([PEOPLE[str(who)] for who in fit.subjects.values])
    fit = settled(fit, full)
    fit.params["boundary"] = ""
    return fit


def flow(world: World, policy: Array, start: Array, discount: float) -> Array:
    """Return discounted visits [T, S] of a policy [T, S, A]."""
    visits = [start]
    for decided in policy[:-1]:
        visits.append(discount * np.einsum("s,sa,san->n", visits[-1], decided, world.transition))
    return np.stack(visits)


def test_what_is_lost_is_the_regret_of_all_decisions_together() -> None:
    """J of the best policy - J = sum of gaps over the policy's own visits, weighted by the discount."""
    world, reward = world_and_reward(11)
    task = task_of(world, {"reward": reward}, 0.8)
    fit = known_people(task, {"reward": 1.0}, PEOPLE)
    for who, alpha in PEOPLE.items():
        policy = hs.plan(task, {"reward": 1.0}, alpha)
        visits = hs.occupancy(policy, {0: 1.0}).set_index("state")["visits"].to_numpy(dtype=float)
        acting = visits * (world.available.sum(axis=1) > 1)
        there = {s: share for s, share in enumerate(acting / acting.sum())}
        per_decision = hs.rationality(fit, reference=there).loc[who, "regret_per_decision"]
        table = policy.log_policy.exp().numpy()[None]
        lost = values(world, reward, 0.8, None, None)[0, 0] - values(world, reward, 0.8, None, table)[0, 0]
        assert per_decision * acting.sum() == pytest.approx(lost, abs=1e-9)


@pytest.mark.parametrize("horizon", [None, 4])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("slips", [True, False])
@pytest.mark.slow
def test_slopes_are_those_of_differences(horizon: int | None, own: bool, slips: bool) -> None:
    world, reward = world_and_reward(7)
    generator = np.random.default_rng(1)
    other = np.where(world.available, generator.normal(size=(5, 3)), 0.0)
    task = task_of(world, {"one": reward, "two": other}, 0.9, horizon)
    temperatures = {"ann": 0.5, "bob": 0.9, "cleo": 1.3}
    policy = hs.plan(task, {"one": 1.0, "two": 0.7}, temperatures, choice=SLIPPING if slips else ())
    start = dict.fromkeys(range(4), 0.25)
    log = hs.simulate(policy, 60 if slips else 25, seed=2, max_steps=8)
    terms = [hs.Lapse(), hs.ActionBias("a0")] if slips else []
    model = (
        hs.SoftOptimalModel(task, hs.LinearReward(shared=False), hs.Fixed(1.0), choice=terms)
        if own
        else hs.SoftOptimalModel(task, hs.LinearReward(fixed={"one": 1.0}), hs.PerSubject(), choice=terms)
    )
    fit = hs.fit(model, log)
    reference = Reference.of(fit, start)

    def at(full: Array) -> Any:  # noqa: ANN401
        yardstick = completed(Yardstick(settled(fit, full), reference, 0.5))
        rows = np.arange(3)
        return yardstick, measure(yardstick, rows, yardstick.log_temperature, slopes=True)

    full = fit.params["estimate"].to_numpy(dtype=float)
    yardstick, found = at(full)
    owner = yardstick.directions.owner
    for place in np.flatnonzero(fit.model.table.free):
        step = np.zeros(len(full))
        step[place] = 1e-5
        by_difference = (at(full + step)[1].values - at(full - step)[1].values) / 2e-5
        rows, colors = np.nonzero(owner == place)
        for row in range(3):
            mine = found.slopes[row, :, colors[rows == row]].sum(axis=0) if (rows == row).any() else np.zeros(7)
            np.testing.assert_allclose(mine, by_difference[row], rtol=1e-5, atol=1e-6)
