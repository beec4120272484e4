"""What a solution implies: refusals and corners of visits, times, paths and episodes."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from humansoft.errors import LogError, ModelError, SolveError, UsageError

MAZE = "S.G\n..."


def policy(maze: str = MAZE, **options: Any) -> hs.Policy:  # noqa: ANN401
    task = hs.Task.grid(maze, **({"discount": 0.9} | options))
    return hs.plan(task, {"step": -1.0}, temperature={"ann": 0.5, "bob": 2.0})


def test_visits_of_actions_sum_to_those_of_states() -> None:
    by_state = hs.occupancy(policy(), discounted=False).set_index(["subject", "state"])["visits"]
    by_action = hs.occupancy(policy(), over="state_action", discounted=False)
    summed = by_action.groupby(["subject", "state"])["visits"].sum()
    for key, visits in summed.items():
        assert by_state[key] == pytest.approx(visits, rel=1e-12)
    assert {state for _, state in by_state.index} - {state for _, state in summed.index} == {(0, 2)}


def test_contexts_are_entered_with_their_own_start() -> None:
    tasks = {name: hs.Task.grid(maze, discount=0.9) for name, maze in (("left", MAZE), ("right", "G..\n..S"))}
    people = hs.plan(hs.Task.union(tasks), {"step": -1.0}, temperature=0.5)
    visits = hs.occupancy(people, discounted=False).set_index("state")["visits"]
    assert visits[[("left", (0, 2))]].item() == pytest.approx(0.5)
    one = hs.occupancy(people, {("right", (1, 2)): 1.0}, discounted=False).set_index("state")["visits"]
    assert one[[("right", (0, 0))]].item() == pytest.approx(1.0)
    assert one[[("left", (0, 2))]].item() == 0


def test_starts_are_needed_and_checked() -> None:
    with pytest.raises(ModelError, match="no start distribution: say where people start, initial="):
        hs.occupancy(policy("..G\n..."))
    with pytest.raises(ModelError) as error:
        hs.occupancy(policy(), {(0, 0): 0.5, (9, 9): 0.7, (0, 1): -1.0})
    for part in ("3 problems", "unknown state (9, 9)", "the probability of (0, 1) is -1.0", "sum to 0.2, not to 1"):
        assert part in str(error.value)


def test_options_are_checked() -> None:
    with pytest.raises(UsageError, match="by_time=True\\) is for tasks with a horizon"):
        hs.occupancy(policy(), by_time=True)
    with pytest.raises(ModelError, match=r"unknown state \(0, 9\)"):
        hs.expected_steps(policy(), goal=(0, 9))
    with pytest.raises(UsageError, match="most=0"):
        hs.likely_paths(policy(), (0, 0), "ann", most=0)
    with pytest.raises(ModelError, match="whose\\? The policy has 2 people"):
        hs.likely_paths(policy(), (0, 0))
    with pytest.raises(ModelError, match=r"unknown subject 'an'\. Did you mean 'ann'"):
        hs.path_log_prob(policy(), [(0, 0)], "an")


def test_episodes_that_never_end_have_no_undiscounted_visits() -> None:
    trap = pd.DataFrame(
        {"state": ["a", "a", "trap"], "action": ["go", "fall", "go"], "next_state": ["end", "trap", "trap"]}
    )
    task = hs.Task.table(trap, discount=0.9, initial={"a": 1.0}).with_features(step=np.ones((3, 2)))
    people = hs.plan(task, {}, temperature=1.0)
    with pytest.raises(SolveError, match=r"those of 'all' never do with probability 0\.5"):
        hs.occupancy(people, discounted=False)
    assert hs.occupancy(people)["visits"].sum() == pytest.approx(1 + 0.45 + 0.45 / 0.1)
    table = hs.expected_steps(people).set_index("state")
    assert table["probability"].to_dict() == pytest.approx({"a": 0.5, "end": 1.0, "trap": 0.0})
    assert table["steps"].to_dict() == pytest.approx({"a": 1.0, "end": 0.0, "trap": np.nan}, nan_ok=True)
    with pytest.raises(SolveError, match="no end can be reached from there: say where to cut paths off, max_steps="):
        hs.likely_paths(people, "trap")
    assert hs.likely_paths(people, "trap", max_steps=2)["path"].tolist() == [("trap", "go", "trap", "go", "trap")]


def test_times_beyond_all_rounding_are_refused() -> None:
    """Two rooms that please: people leave once in e^50 decisions, and rounding cannot tell that from never."""
    rooms = {"state": ["a", "a", "b", "b"], "action": ["stay", "go"] * 2, "next_state": ["b", "end", "a", "end"]}
    task = hs.Task.table(pd.DataFrame(rooms), discount=0.9, initial={"a": 1.0})
    stay = np.zeros((3, 2))
    stay[:2, task.actions.encode(["stay"])[0]] = 1.0
    people = hs.plan(task.with_features(pleasure=stay), {"pleasure": 1.0}, temperature=0.2)
    for ask in (hs.expected_steps, lambda p: hs.occupancy(p, discounted=False)):
        with pytest.raises(SolveError, match="it is astronomically long"):
            ask(people)
    patient = hs.plan(task.with_features(pleasure=stay), {"pleasure": 1.0}, temperature=1.0)
    steps = hs.expected_steps(patient).set_index("state")
    leaving = patient.action_distribution("a")["go"]
    assert steps["steps"]["a"] == pytest.approx(1 / leaving, rel=1e-6)
    assert steps["probability"]["a"] == 1.0


def test_a_task_without_ends_needs_a_goal() -> None:
    people = policy("S..\n")
    with pytest.raises(ModelError, match="no terminal states: say which states count as arriving"):
        hs.expected_steps(people)
    table = hs.expected_steps(people, goal=(0, 2))
    assert (table["probability"] > 1 - 1e-12).all()


def test_what_cannot_happen_has_probability_zero() -> None:
    people = policy()
    assert hs.path_log_prob(people, [(0, 0)], "ann") == 0
    assert hs.path_log_prob(people, [(0, 0), "right", (1, 1)], "ann") == -np.inf
    assert hs.path_log_prob(people, [(0, 0), "right", (1, 1)], "ann", transitions=False) > -np.inf
    assert hs.path_log_prob(people, [(0, 2), "right"], "ann") == -np.inf, "nothing is decided after the end"


def test_paths_name_all_their_problems() -> None:
    people = policy(horizon=1)
    with pytest.raises(ModelError) as error:
        hs.path_log_prob(people, [(0, 0), "rigth", (0, 1), "right", (5, 5)], "ann")
    for part in ("3 problems", "unknown state (5, 5) at place 4", "unknown action 'rigth' at place 1", "horizon is 1"):
        assert part in str(error.value)


def test_episodes_say_what_is_not_known() -> None:
    people = policy()
    table = pd.DataFrame(
        {
            "subject": ["ann"] * 3 + ["bob"] * 2,
            "episode": [1, 1, 1, 1, 1],
            "step": [0, 1, 2, 0, 1],
            "x": [0, 0, 0, 0, 0],
            "y": [0, 0, 0, 1, 2],
            "action": ["up", None, "right", "right", None],
        }
    )
    found = hs.episode_log_probs(people, hs.read(table, state=["x", "y"]))
    assert found["num_decisions"].tolist() == [2, 1]
    # ann: a missing response, and nothing is recorded after the last; bob's last row only names the end
    assert found["num_unknown"].tolist() == [2, 0]
    alone = [
        sum(np.log(people.action_distribution((0, 0), "ann")[["up", "right"]])),
        np.log(people.action_distribution((0, 1), "bob")["right"]),
    ]
    assert found["log_prob"].tolist() == pytest.approx(alone, rel=1e-12)


def test_strangers_and_counted_logs_are_refused() -> None:
    people = policy()
    log = hs.simulate(people, 2, seed=1)
    other = hs.plan(people.task, {"step": -1.0}, temperature={"ann": 1.0})
    with pytest.raises(ModelError, match="does not know 1 of the subjects: 'bob'"):
        hs.episode_log_probs(other, log)
    counted = hs.read(log.to_dataframe(), state=["state_0", "state_1"], counted=True)
    with pytest.raises(LogError, match="keeps no episodes and steps"):
        hs.episode_log_probs(people, counted)


@pytest.mark.slow
def test_what_a_solution_implies_is_asked_of_a_fit_too() -> None:
    task = hs.Task.grid("S.G\n...", discount=0.95)
    log = hs.simulate(hs.plan(task, {"step": -1.0}, temperature={"ann": 0.3, "bob": 0.8}), 20, seed=1, max_steps=20)
    model = hs.SoftOptimalModel(task, hs.LinearReward(["step"], {"step": -1.0}), hs.PerSubject(), choice=hs.Lapse(0.1))
    fit = hs.fit(model, log)
    temperatures = fit.temperatures()["temperature"].to_dict()
    policy = hs.plan(task, {"step": -1.0}, temperature=temperatures, choice=hs.Lapse(0.1))
    pd.testing.assert_frame_equal(hs.expected_steps(fit), hs.expected_steps(policy), rtol=1e-9)
    pd.testing.assert_frame_equal(hs.occupancy(fit), hs.occupancy(policy), rtol=1e-9)
    ways = [hs.likely_paths(people, (0, 0), "ann", most=3) for people in (fit, policy)]
    assert ways[0]["path"].tolist() == ways[1]["path"].tolist()
    path = ways[0]["path"].iloc[0]
    assert hs.path_log_prob(fit, path, "ann") == pytest.approx(hs.path_log_prob(policy, path, "ann"))


def test_nouns_that_do_not_belong_to_a_verb_are_refused_with_the_way_out() -> None:
    task = hs.Task.grid("S.G\n...", discount=0.95)
    policy = hs.plan(task, {"step": -1.0})
    log = hs.simulate(policy, 2, seed=1, max_steps=10)
    for verb in (hs.predict, hs.score):
        with pytest.raises(hs.errors.UsageError, match=r"takes a fit .* not Policy. Of a policy, episode_log_probs"):
            verb(policy, log)  # type: ignore[operator]
    with pytest.raises(
        hs.errors.UsageError, match=r"occupancy\(\) takes a fit, or a policy in a task .* not BehaviorLog"
    ):
        hs.occupancy(log)  # type: ignore[arg-type]
