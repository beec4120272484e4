"""Changed worlds: what is blocked, what is linked, and what becomes of features."""

from inspect import unwrap

import numpy as np
import pandas as pd
import pytest
import torch

import humansoft as hs
from humansoft.errors import TaskError, UsageError
from humansoft.tasks.comparison import same_task

MAZE = "S.L\n.#.\n..G"


def grid(maze: str = MAZE, slip: float = 0.0) -> hs.Task:
    return hs.Task.grid(maze, discount=0.9, legend={"L": "lava"}, slip=slip)


def test_a_wall_is_where_the_blocked_state_was() -> None:
    """Behavior everywhere else is that of the maze with a wall, features included."""
    blocked, walled = hs.block(grid(), states=[(0, 1)]), grid("S#L\n.#.\n..G")
    weights = {"step": -1.0, "lava": -2.0, "goal": 1.0}
    ours, theirs = hs.plan(blocked, weights, 0.5), hs.plan(walled, weights, 0.5)
    for state in walled.states.values:
        if not walled.terminal[walled.states.encode([state])[0]]:
            pd.testing.assert_series_equal(
                ours.action_distribution(state), theirs.action_distribution(state), atol=1e-12
            )
    assert blocked.states == grid().states, "labels stay, so that logs and fits of the old task still apply"


def test_passages_are_closed_both_ways() -> None:
    blocked = hs.block(grid(), passages=[((0, 1), (0, 2))])
    for state, action, feature in (((0, 1), "right", "lava"), ((0, 2), "left", "goal")):
        s, a = blocked.states.encode([state])[0], blocked.actions.encode([action])[0]
        landed = blocked.transitions.successors[s, a][blocked.transitions.probabilities[s, a] > 0]
        assert landed.tolist() == [s], "whoever tries stays where they are"
        assert float(blocked.features[s, a, blocked.feature_names.index(feature)]) == 0
        assert float(blocked.features[s, a, 0]) == 1, "the step counts"


def test_unavailable_takes_the_action_away() -> None:
    blocked = hs.block(grid(), passages=[((0, 1), (0, 2))], how="unavailable")
    there = dict(zip(blocked.actions.values, blocked.available[1].tolist(), strict=True))
    assert there == {"up": True, "down": True, "left": True, "right": False}
    one = hs.block(grid(), actions=[((0, 0), "right")], how="unavailable")
    assert int((grid().available ^ one.available).sum()) == 1


def test_uncertain_moves_end_where_they_start() -> None:
    slippery = grid("S..\n...\n..G", slip=0.2)
    blocked = hs.block(slippery, passages=[((0, 0), (0, 1))])
    walls = blocked.transitions.to_triples()
    into = (walls[0] == 0) & (walls[2] == 1)
    assert not into.any()
    totals = blocked.transitions.probabilities.sum(dim=-1)[blocked.available]
    torch.testing.assert_close(totals, torch.ones_like(totals))
    with pytest.raises(TaskError, match=r"only sometimes.*feature 'goal'.*build the changed task anew, with a wall"):
        hs.block(slippery, states=[(2, 2)])


def test_blocks_that_make_no_sense_are_refused() -> None:
    with pytest.raises(TaskError) as error:
        hs.block(grid(), states=[(7, 7)], passages=[((0, 0), (0, 9))], actions=[((0, 0), "rigth")])
    for part in ("3 problems", "unknown state (7, 7)", "unknown state (0, 9)", "unknown action 'rigth'"):
        assert part in str(error.value)
    with pytest.raises(TaskError) as error:
        hs.block(grid(), passages=[((0, 0), (2, 2)), ((0, 0), (0, 1))], actions=[((1, 0), "up"), ((2, 2), "up")])
    assert "2 problems" in str(error.value)
    assert "passage ((0, 0), (2, 2)) blocks nothing: no action leads that way, nor back" in str(error.value)
    assert "action ((2, 2), 'up') blocks nothing: it is not there" in str(error.value)
    with pytest.raises(TaskError, match="people start in a blocked state"):
        hs.block(grid(), states=[(0, 0)])
    with pytest.raises(UsageError, match="how='wall'"):
        unwrap(hs.block)(grid(), states=[(0, 1)], how="wall")  # without the type checks of the tests
    corridor = pd.DataFrame({"state": ["a", "b"], "action": "go", "next_state": ["b", "end"]})
    with pytest.raises(TaskError, match="'b' are not terminal but have no action"):
        hs.block(hs.Task.table(corridor, discount=0.9), states=["end"], how="unavailable")


def test_a_link_that_was_there_changes_nothing() -> None:
    assert same_task(hs.link(grid(), (0, 1), "right", (0, 2)), grid())


def test_a_new_link_brings_what_entering_brings_elsewhere() -> None:
    linked = hs.link(grid(), (0, 0), "up", (2, 2))
    s, a = 0, linked.actions.encode(["up"])[0]
    values = dict(zip(linked.feature_names, linked.features[s, a].tolist(), strict=True))
    assert values == {"step": 1.0, "goal": 1.0, "lava": 0.0}
    given = hs.link(grid(), (0, 0), "up", (2, 2), features={"lava": 3.0})
    assert float(given.features[s, a, 2]) == 3


def test_links_that_cannot_be_known_are_refused() -> None:
    with pytest.raises(TaskError) as error:
        hs.link(grid(), (2, 2), "jump", (0, 9), features={"laav": 1.0})
    for part in ("4 problems", "unknown action 'jump'", "(0, 9)", "Did you mean 'lava'", "(2, 2) is terminal"):
        assert part in str(error.value)
    table = pd.DataFrame(
        {"state": ["a", "b"], "action": ["go", "stay"], "next_state": ["end", "end"], "cost": [1.0, 2.0]}
    )
    roads = hs.Task.table(table, discount=0.9, features=["cost"])
    with pytest.raises(TaskError, match="the action was not there before: say features="):
        hs.link(roads, "a", "stay", "b")
    longer = hs.link(roads, "a", "stay", "b", features={"cost": 0.5})
    assert longer.available.sum() == 3
    assert float(longer.features[0, longer.actions.encode(["stay"])[0], 0]) == 0.5


def test_slip_makes_entering_uncertain_but_features_can_be_given() -> None:
    slippery = grid("S..\n...\n..G", slip=0.2)
    with pytest.raises(TaskError, match="what entering brings of 'goal' cannot be known"):
        hs.link(slippery, (0, 0), "up", (2, 2))
    linked = hs.link(slippery, (0, 0), "up", (2, 2), features={"goal": 1.0, "lava": 0.0})
    assert np.isclose(float(linked.features[0, 0, 0]), 1.0)
