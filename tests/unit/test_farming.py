"""Entropy farming: people who are paid more for being alive than a step costs prefer not to finish (SCIENCE 1.1)."""

import numpy as np

import humansoft as hs
from humansoft.planners import Planner

MAZE = ".....\n.#.#.\nS...G\n.#.#.\n....."  # 21 cells
THRESHOLD = 1 / np.log(4)  # of the temperature: a step costs 1, and there are 4 actions


def fit_of(
    temperature: hs.Fixed | hs.Shared | hs.PerSubject,
    truth: dict[str, float],
    *,
    planner: Planner = "entropy",
    goal: float = 0.0,
    maze: str = MAZE,
    discount: float = 0.99,
) -> hs.Fit:
    task = hs.Task.grid(maze, discount=discount)
    weights = {"step": -1.0, "goal": goal} if "G" in maze else {"step": -1.0}
    log = hs.simulate(hs.plan(task, weights, truth, planner), 40, seed=1, max_steps=60)
    reward = hs.LinearReward(list(weights), weights)
    return hs.fit(hs.SoftOptimalModel(task, reward, temperature, planner=planner), log)


def alarm(fit: hs.Fit) -> str:
    return next((note for note in fit.notes if "prefer not to finish" in note), "")


def test_the_alarm_rings_above_the_threshold_and_not_below() -> None:
    assert round(THRESHOLD, 3) == 0.721
    for temperature, rings in ((0.99 * THRESHOLD, False), (1.01 * THRESHOLD, True)):
        assert bool(alarm(fit_of(hs.Fixed(temperature), {"ann": temperature}))) == rings


def test_an_estimated_temperature_rings_it_too() -> None:
    quiet, loud = (fit_of(hs.Shared(), {"ann": value}, discount=0.9) for value in (0.5, 1.0))
    assert loud.params.loc[("log_temperature", "all"), "boundary"] == ""
    assert alarm(quiet) == ""
    note = alarm(loud)
    assert "temperature * log(number of actions)" in note
    assert "exceeds the mean cost of a step, 1" in note
    assert "planner='kl'" in note


def test_people_who_prefer_not_to_finish_are_named() -> None:
    note = alarm(fit_of(hs.PerSubject(), {"ann": 0.4, "bob": 1.0}, discount=0.9))
    assert "for 1 of 2 ('bob')" in note


def test_people_who_look_random_ring_it_where_their_lowest_temperature_does() -> None:
    """Nearly without a discount, who prefers not to finish wanders about as if at random."""
    fit = fit_of(hs.Shared(), {"ann": 1.0})
    row = fit.params.loc[("log_temperature", "all")]
    assert row["boundary"] == "upper"
    assert f"= {np.exp(row['ci_low']) * np.log(4):.3g} at the least exceeds the mean cost of a step" in alarm(fit)


def test_such_people_really_do_not_finish() -> None:
    """Within 60 steps, far less often than those of the kl planner at the same temperature."""
    task = hs.Task.grid(MAZE, discount=0.99)
    for planner, least, most in (("entropy", 0.0, 0.1), ("kl", 0.9, 1.0)):
        log = hs.simulate(hs.plan(task, {"step": -1.0}, 1.0, planner), 200, seed=2, max_steps=60)  # type: ignore[arg-type]
        share = float(log.terminated.sum() / log.num_episodes)
        assert least <= share <= most


def test_a_goal_that_is_worth_more_than_going_on_for_ever_keeps_it_quiet() -> None:
    worth = (1.0 * np.log(4) - 1) / (1 - 0.99)  # of staying for ever at temperature 1
    assert alarm(fit_of(hs.Fixed(1.0), {"ann": 1.0}, goal=0.9 * worth))
    assert not alarm(fit_of(hs.Fixed(1.0), {"ann": 1.0}, goal=1.1 * worth))


def test_other_planners_and_tasks_without_an_end_never_ring_it() -> None:
    assert alarm(fit_of(hs.Fixed(1.0), {"ann": 1.0}, planner="kl")) == ""
    assert alarm(fit_of(hs.Fixed(1.0), {"ann": 1.0}, maze=MAZE.replace("G", "."))) == ""
