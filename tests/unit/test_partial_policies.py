"""Policies of some goals only, or of some contexts: they answer for those, and refuse the others."""

from collections.abc import Callable

import numpy as np
import pytest

import humansoft as hs
from humansoft.errors import ModelError
from tests.oracle.networks import HOME, SHOP, by_goals, streets

GOALS = [3, HOME, SHOP]
REWARD = {"time": -1.5, "toll": -1.0}
PEOPLE = {"ann": 0.8, "bob": 1.2}


def whole() -> hs.Policy:
    """Return what two people do on all trips."""
    return hs.plan(by_goals(streets(2), GOALS), REWARD, PEOPLE, "entropy")


def part(goals: list[list[int]]) -> hs.Policy:
    """Return what each of them does on trips to their own goals only."""
    task, people = by_goals(streets(2), GOALS), whole()
    assert task.goals is not None
    model = hs.SoftOptimalModel(task, hs.LinearReward(fixed=REWARD), hs.PerSubject(), "entropy")
    bound = model.bound_to(people.subjects, people.subjects, np.arange(2))
    row = np.repeat(np.arange(2), [len(own) for own in goals])
    states = task.contexts.encode([goal for own in goals for goal in own]) * len(task.goals.links)
    return bound.policy_on(people.subjects, np.arange(2), bound.expand(row, states))


@pytest.mark.parametrize("subject", PEOPLE)
def test_a_goal_that_is_not_held_is_no_other_goal(subject: str) -> None:
    """The place of what is not held was that of the last link of the pair before."""
    few = part([[3, HOME], [3, HOME]])
    for state in ((SHOP, 0), (SHOP, 5)):
        with pytest.raises(ModelError, match=f"does not say what people do on trips to {SHOP}"):
            few.action_distribution(state, subject)
    assert few.action_distribution((HOME, 0), subject).sum() == pytest.approx(1.0)


def test_goals_of_one_person_are_not_those_of_another() -> None:
    few = part([[3], [HOME]])
    few.action_distribution((3, 0), "ann")
    with pytest.raises(ModelError, match="on trips to 3"):
        few.action_distribution((3, 0), "bob")
    log = hs.simulate(few, episodes=40, seed=1)
    assert {s: set(own["context"]) for s, own in log.frame.groupby("subject")} == {"ann": {3}, "bob": {HOME}}


def test_simulated_trips_go_where_the_policy_knows_the_way() -> None:
    log = hs.simulate(part([[SHOP], [SHOP]]), episodes=50, seed=1)
    assert set(log.frame["context"]) == {SHOP}
    assert log.terminated.sum() == 100


def test_whole_policies_start_where_they_started_before() -> None:
    """One draw for everybody, person by person."""
    people, generator = whole(), np.random.default_rng(7)
    starts = people.task.goals.reach.copy()  # type: ignore[union-attr]
    starts[np.arange(3), people.task.goals.target] = False  # type: ignore[union-attr]
    drawn = generator.choice(starts.size, size=20, p=starts.ravel() / starts.sum())
    log = hs.simulate(people, episodes=10, seed=7)
    found = log.frame[log.episode_start]
    assert list(zip(found["context"], found["state"], strict=True)) == people.task.states.decode(drawn)


def test_episodes_to_other_goals_are_refused() -> None:
    log = hs.simulate(whole(), episodes=20, seed=1)
    few = part([[3, HOME], [3, HOME]])
    with pytest.raises(ModelError, match=f"on trips to {SHOP}"):
        hs.episode_log_probs(few, log)
    own = log.select(log.frame["context"].to_numpy() != SHOP)
    assert np.isfinite(hs.episode_log_probs(few, own)["log_prob"]).all()


def test_contexts_that_are_not_held() -> None:
    tasks = {name: hs.Task.grid("S.G\n...", discount=0.9) for name in ("left", "right")}
    task = hs.Task.union(tasks)
    model = hs.SoftOptimalModel(task, hs.LinearReward(fixed={"step": -1.0, "goal": 0.0}), hs.Fixed(1.0))
    people = hs.plan(task, {"step": -1.0}).subjects
    bound = model.bound_to(people, people, np.zeros(1, dtype=np.int64))
    first = np.zeros(1, dtype=np.int64)
    left = bound.policy_on(people, first, bound.expand(first, first))
    asked: list[Callable[[], object]] = [lambda: left.action_distribution(("right", (0, 0)))]
    asked.append(lambda: hs.likely_paths(left, ("right", (0, 0))))
    for call in asked:
        with pytest.raises(ModelError, match="does not say what people do in 'right'"):
            call()
    assert set(hs.simulate(left, episodes=30, seed=1).frame["context"]) == {"left"}
