"""Gymnasium's tabular environments against their own transition tables, and ends that are not states."""

from collections import defaultdict
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import humansoft as hs
from humansoft.errors import TaskError

ENVIRONMENTS = [
    ("FrozenLake-v1", {}),
    ("FrozenLake-v1", {"is_slippery": False, "map_name": "8x8"}),
    ("CliffWalking-v1", {}),
    ("Taxi-v4", {}),
]


class Loop(gymnasium.Env[Any, Any]):
    """Two rooms; leaving room 0 by action 0 leads to room 1, by action 1 to the end, which is room 1 too."""

    def __init__(self, table: dict[int, Any]) -> None:
        self.P = table
        self.observation_space = gymnasium.spaces.Discrete(len(table))
        self.action_space = gymnasium.spaces.Discrete(2)
        self.initial_state_distrib = np.eye(len(table))[0]


def loop() -> hs.Task:
    """Room 1 is entered with ``done`` (as an end) and without it (as a room)."""
    table = {
        0: {0: [(0.5, 1, 1.0, False), (0.25, 0, 0.0, False), (0.25, 1, 1.0, False)], 1: [(1.0, 1, 5.0, True)]},
        1: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 1, 2.0, False)]},
    }
    return hs.Task.from_gymnasium(Loop(table), discount=0.9)


def enterable(table: dict[int, Any], initial: Any) -> tuple[set[int], set[int]]:  # noqa: ANN401
    """Return the states of running episodes, and those in which they end, by walking the table."""
    running, ends = {int(s) for s in np.flatnonzero(initial)}, set()
    frontier = list(running)
    while frontier:
        state = frontier.pop()
        for entries in table[state].values():
            for p, following, _, done in entries:
                if p > 0 and done:
                    ends.add(following)
                elif p > 0 and following not in running:
                    running.add(following)
                    frontier.append(following)
    return running, ends


@pytest.mark.parametrize(("name", "options"), ENVIRONMENTS)
def test_task_is_the_environments_table(name: str, options: dict[str, Any]) -> None:
    env = gymnasium.make(name, **options)
    base: Any = env.unwrapped
    task = hs.Task.from_gymnasium(name, discount=0.99, **options)
    running, ends = enterable(base.P, base.initial_state_distrib)
    assert running.isdisjoint(ends), "these environments need no end of its own"
    assert task.states.values == tuple(range(len(base.P)))
    assert task.actions.values == tuple(range(base.action_space.n))
    assert ends <= set(np.flatnonzero(task.terminal.numpy()).tolist())
    for s in running:
        assert task.available[s].all()
        for a, entries in base.P[s].items():
            expected: dict[int, float] = defaultdict(float)
            for p, following, _, _ in entries:
                expected[following] += p  # slippery moves name a successor twice
            chances = task.transitions.probabilities[s, a]
            found = {int(n): float(p) for n, p in zip(task.transitions.successors[s, a], chances, strict=True) if p > 0}
            assert found == pytest.approx({n: p for n, p in expected.items() if p > 0})
            assert task.features[s, a, 0].item() == pytest.approx(sum(p * r for p, _, r, _ in entries))


@pytest.mark.parametrize(("name", "options"), ENVIRONMENTS)
def test_probabilities_sum_to_one_and_ends_do_nothing(name: str, options: dict[str, Any]) -> None:
    task = hs.Task.from_gymnasium(name, discount=0.99, **options)
    total = task.transitions.probabilities.sum(-1)
    assert torch.allclose(total[task.available], torch.ones(int(task.available.sum()), dtype=torch.float64))
    assert not task.available[task.terminal].any()
    assert not task.features[task.terminal].any(), "rewards after the end are not rewards"
    assert task.initial is not None
    assert task.initial.sum() == pytest.approx(1.0)


def test_terminal_states_by_name() -> None:
    lake = hs.Task.from_gymnasium("FrozenLake-v1", discount=0.99)
    assert np.flatnonzero(lake.terminal.numpy()).tolist() == [5, 7, 11, 12, 15], "four holes and the goal"
    cliff = hs.Task.from_gymnasium("CliffWalking-v1", discount=0.99)
    assert np.flatnonzero(cliff.terminal.numpy()).tolist() == [47], "falling off the cliff is not the end"


def test_undiscounted_every_start_can_reach_an_end() -> None:
    task = hs.Task.from_gymnasium("Taxi-v4", discount=1.0)
    assert task.initial is not None
    assert task.playable[task.initial > 0].any(dim=-1).all()


def test_state_that_is_entered_with_and_without_done_gets_an_end_of_its_own() -> None:
    task = loop()
    assert task.states.values == (0, 1, "end of 1")
    assert task.terminal.tolist() == [False, False, True]
    chances = dict(
        zip(task.transitions.successors[0, 0].tolist(), task.transitions.probabilities[0, 0].tolist(), strict=True)
    )
    assert chances == {0: 0.25, 1: 0.75}, "two ways into the same room are summed"
    assert task.transitions.successors[0, 1][task.transitions.probabilities[0, 1] > 0].tolist() == [2]
    assert task.features[0, :, 0].tolist() == [0.75, 5.0]
    assert task.features[1, :, 0].tolist() == [0.0, 2.0]
    assert task.initial is not None
    assert task.initial.tolist() == [1.0, 0.0, 0.0]


def test_a_start_that_is_also_an_end_gets_an_end_of_its_own() -> None:
    """Out to room 1 for a price; coming home pays once in a while, and is the end."""
    table = {0: {0: [(1.0, 1, -1.0, False)], 1: [(1.0, 0, 0.0, True)]}, 1: {a: [(1.0, 0, 5.0, True)] for a in (0, 1)}}
    task = hs.Task.from_gymnasium(Loop(table), discount=0.9)
    assert task.states.values == (0, 1, "end of 0")
    assert task.terminal.tolist() == [False, False, True]
    policy = hs.plan(task, {"reward": 1.0}, temperature=2.0)
    out = np.exp((-1.0 + 0.9 * 5.0) / 2.0)
    assert policy.action_distribution(0)[0] == pytest.approx(out / (out + 1.0), rel=1e-9)
    frame = hs.simulate(policy, episodes=20, seed=1).to_dataframe()
    assert set(frame.groupby("episode")["next_state"].last()) == {"end of 0"}
    assert set(frame["state"]) == {0, 1}


def test_states_and_actions_need_not_be_numbered_from_0() -> None:
    table = {7: {3: [(1.0, 8, 1.0, False)], 4: [(1.0, 7, 0.0, False)]}, 8: {a: [(1.0, 8, 0.0, True)] for a in (3, 4)}}
    env = Loop(table)
    env.observation_space = gymnasium.spaces.Discrete(2, start=7)
    env.action_space = gymnasium.spaces.Discrete(2, start=3)
    task = hs.Task.from_gymnasium(env, discount=0.9)
    assert (task.states.values, task.actions.values) == ((7, 8, "end of 8"), (3, 4))
    assert task.features[0, :, 0].tolist() == [1.0, 0.0]
    env.P = {0: {3: [(1.0, 8, 1.0, False)], 1: [(1.0, 7, 0.0, False)]}}
    env.initial_state_distrib = np.ones(1)
    with pytest.raises(TaskError, match="3 problems") as caught:
        hs.Task.from_gymnasium(env, discount=0.9)
    assert "its states 0 are none of the environment's, which are numbered from 7 to 8" in str(caught.value)
    assert "its actions 1 are none" in str(caught.value)
    assert "initial_state_distrib has the shape [1], not [2]" in str(caught.value)


def test_made_environments_are_read_too() -> None:
    env = gymnasium.make("CliffWalking-v1")
    assert len(hs.Task.from_gymnasium(env, discount=0.99).states) == 48


def test_an_environment_that_lacks_a_part_is_not_taken_for_a_misspelt_one() -> None:
    def incomplete() -> gymnasium.Env[Any, Any]:
        raise gymnasium.error.DependencyNotInstalled("Its physics are not installed.")

    gymnasium.register("humansoft/Incomplete-v0", incomplete)
    with pytest.raises(TaskError, match=r"cannot make 'humansoft/Incomplete-v0': Its physics are not installed\.$"):
        hs.Task.from_gymnasium("humansoft/Incomplete-v0", discount=0.9)
    with pytest.raises(TaskError, match=r"Did you mean 'humansoft/Incomplete-v0'\?"):
        hs.Task.from_gymnasium("humansoft/Incomplet-v0", discount=0.9)


def test_what_cannot_be_read_says_why() -> None:
    with pytest.raises(TaskError, match="CartPole-v1 has no transition table"):
        hs.Task.from_gymnasium("CartPole-v1", discount=0.99)
    with pytest.raises(TaskError, match="Did you mean 'FrozenLake-v1'"):
        hs.Task.from_gymnasium("FrozenLak-v1", discount=0.99)
    with pytest.raises(TaskError, match=r"does not have the options \['slipery'\]"):
        hs.Task.from_gymnasium("FrozenLake-v1", discount=0.99, slipery=False)
    with pytest.raises(TaskError, match="already made"):
        hs.Task.from_gymnasium(gymnasium.make("FrozenLake-v1"), discount=0.99, is_slippery=False)
