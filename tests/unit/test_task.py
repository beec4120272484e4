"""Tasks: grids, tables, estimated transitions and unions, and a sentence for every bad description."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import humansoft as hs
from humansoft.errors import TaskError


def refusal(build: Any, *args: Any, **options: Any) -> str:  # noqa: ANN401
    with pytest.raises(TaskError) as error:
        build(*args, **({"discount": 0.9} | options))
    return str(error.value)


def probability(task: hs.Task, state: Any, action: Any) -> dict[Any, float]:  # noqa: ANN401
    """Return next state -> P(next state | state, action) by labels."""
    s, a = task.states.encode([state])[0], task.actions.encode([action])[0]
    pairs = zip(task.transitions.successors[s, a].tolist(), task.transitions.probabilities[s, a].tolist(), strict=True)
    return {task.states.values[n]: p for n, p in pairs if p > 0}


def feature(task: hs.Task, name: str, state: Any, action: Any) -> float:  # noqa: ANN401
    s, a = task.states.encode([state])[0], task.actions.encode([action])[0]
    return float(task.features[s, a, task.feature_names.index(name)])


# grids


def test_grid_walls_goals_and_labels() -> None:
    task = hs.Task.grid("S.G\n.#.", discount=0.9)
    assert (1, 1) not in task.states
    assert probability(task, (0, 1), "down") == {(0, 1): 1.0}
    assert probability(task, (0, 0), "up") == {(0, 0): 1.0}
    assert probability(task, (0, 1), "right") == {(0, 2): 1.0}
    goal = task.states.encode([(0, 2)])[0]
    assert task.terminal[goal]
    assert not task.available[goal].any()
    assert (feature(task, "goal", (0, 1), "right"), feature(task, "goal", (0, 1), "left")) == (1.0, 0.0)
    assert feature(task, "step", (0, 1), "left") == 1.0
    assert task.initial is not None
    assert task.initial.tolist() == [1.0, 0, 0, 0, 0]


def test_grid_coordinates_from_the_bottom_left() -> None:
    task = hs.Task.grid("S.G\n...", discount=0.9, coordinates="x_y")
    assert probability(task, (0, 0), "up") == {(0, 1): 1.0}
    assert probability(task, (1, 1), "right") == {(2, 1): 1.0}


def test_slips_draw_any_move_and_features_are_expected() -> None:
    task = hs.Task.grid("S.G\n...", discount=0.9, slip=0.2, stay=True)
    assert task.actions.values == ("up", "down", "left", "right", "stay")
    assert probability(task, (0, 1), "right") == pytest.approx({(0, 2): 0.84, (0, 1): 0.08, (1, 1): 0.04, (0, 0): 0.04})
    assert feature(task, "goal", (0, 1), "right") == pytest.approx(0.84)


def test_legend_characters_may_share_a_name() -> None:
    task = hs.Task.grid("S.G\nLM.", discount=0.9, legend={"L": "lava", "M": "lava"})
    assert task.feature_names == ("step", "goal", "lava")
    assert feature(task, "lava", (0, 0), "down") == feature(task, "lava", (0, 1), "down") == 1.0
    assert feature(task, "lava", (1, 0), "left") == 0.0, "staying is not entering"


def test_blank_cells_and_ragged_lines() -> None:
    task = hs.Task.grid("\n#####\n#   #\n#S\n\n", discount=0.9)
    assert task.states.values == ((1, 1), (1, 2), (1, 3), (2, 1))


def test_grid_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "maze.txt").write_text("S.G")
    assert len(hs.Task.grid(tmp_path / "maze.txt", discount=0.9).states) == 3
    assert len(hs.Task.grid(str(tmp_path / "maze.txt"), discount=0.9).states) == 3
    assert "there is no maze file" in refusal(hs.Task.grid, "S.G")


def test_grid_problems_are_listed_at_once() -> None:
    message = refusal(hs.Task.grid, "S.G\n?.!", slip=1.5, coordinates="x_y")
    assert "3 problems" in message
    assert "line 2, column 1: '?' has no meaning" in message
    assert "slip=1.5" in message
    assert "no cells" in refusal(hs.Task.grid, "##\n##")
    assert "legend characters ['SS', '#']" in refusal(hs.Task.grid, "S.\n", legend={"SS": "x", "#": "wall"})


# tables


def transitions(**changes: Any) -> pd.DataFrame:  # noqa: ANN401
    columns: dict[str, Any] = {
        "state": ["a", "a", "a", "b"],
        "action": ["go", "go", "stay", "go"],
        "next_state": ["b", "c", "a", "c"],
        "p": [0.75, 0.25, 1.0, 1.0],
        "cost": [1.0, 3.0, 0.0, 2.0],
    }
    return pd.DataFrame(columns | changes)


def test_table_with_probabilities_features_and_units(tmp_path: Path) -> None:
    path = tmp_path / "task.csv"
    transitions().to_csv(path, index=False)
    for table in (transitions(), path, str(path)):
        task = hs.Task.table(table, discount=0.9, probability="p", features=["cost"], units={"cost": "EUR"})
        assert probability(task, "a", "go") == {"b": 0.75, "c": 0.25}
        assert feature(task, "cost", "a", "go") == 1.5, "features are expected over next states"
        assert task.feature_units == {"cost": "EUR"}
        assert task.terminal.tolist() == [False, False, True]
        assert task.available.tolist() == [[True, True], [True, False], [False, False]]


def test_table_with_contexts_and_several_columns() -> None:
    table = pd.DataFrame({"maze": ["m", "n"], "x": 0, "y": 0, "action": "go", "nx": 1, "ny": [0, 1]})
    task = hs.Task.table(table, discount=0.9, state=["x", "y"], next_state=["nx", "ny"], context="maze")
    assert task.contexts.values == ("m", "n")
    assert task.states.values[0] == ("m", (0, 0))
    assert task.context.tolist() == [0, 0, 1, 1]


def test_table_order_of_labels_start_and_terminal_states() -> None:
    task = hs.Task.table(
        *(transitions(),),
        discount=0.9,
        probability="p",
        actions=["stay", "go", "jump"],
        terminal=["c"],
        initial={"a": 3, "b": 1},
    )
    assert task.actions.values == ("stay", "go", "jump")
    assert task.initial is not None
    assert task.initial.tolist() == [0.75, 0.25, 0.0]


def test_table_sums_within_rounding_are_made_exact() -> None:
    task = hs.Task.table(transitions(p=[0.333333, 0.666667, 1.0, 0.9999995]), discount=0.9, probability="p")
    assert torch.allclose(
        task.transitions.probabilities.sum(-1)[task.available], torch.ones(3, dtype=torch.float64), atol=1e-15
    )


def test_nan_features() -> None:
    message = refusal(hs.Task.table, transitions(cost=[1.0, np.nan, 0.0, 2.0]), probability="p", features=["cost"])
    assert "column 'cost' is empty or not a number (NaN), first at row 2" in message
    message = refusal(hs.Task.table, transitions(cost=[1.0, 3.0, np.inf, 2.0]), probability="p", features=["cost"])
    assert "column 'cost' is infinite, first at row 3" in message
    task = hs.Task.table(transitions(), discount=0.9, probability="p")
    with pytest.raises(TaskError, match="feature 'toll' is NaN or infinite in 1 states: 'b'"):
        task.with_features(toll=[0.0, np.nan, 0.0])


def test_table_problems() -> None:
    message = refusal(hs.Task.table, transitions().rename(columns={"action": "move"}), features=["cots"])
    assert "no column 'action'" in message
    assert "no column 'cots'. Did you mean 'cost'?" in message
    assert "'cost' holds 'x', not numbers" in refusal(
        hs.Task.table, transitions(cost="x"), probability="p", features=["cost"]
    )
    message = refusal(hs.Task.table, transitions(p=[0.75, 0.5, 1.0, 1.0]), probability="p")
    assert "probabilities of 1 (state, action) pairs do not sum to 1, first ('a', 'go'): 1.25" in message
    message = refusal(hs.Task.table, transitions(p=[1.75, -0.75, 1.0, 1.0]), probability="p")
    assert "negative or not numbers, first -0.75 at ('a', 'go')" in message
    assert "do not sum to 1" in refusal(hs.Task.table, transitions()), "without probabilities each row is certain"
    message = refusal(hs.Task.table, transitions(), probability="p", terminal=["a", "z"])
    assert "terminal state 'a' has outgoing rows" in message
    assert "terminal state 'z' does not occur" in message
    assert "'c' have no outgoing rows but are not called terminal" in message
    assert "actions 'stay' are not in the given list" in refusal(
        hs.Task.table, transitions(), probability="p", actions=["go"]
    )
    assert "it has no rows" in refusal(hs.Task.table, transitions()[:0])
    assert "state has 2 columns but next_state has 1" in refusal(hs.Task.table, transitions(), state=["state", "p"])


def test_table_from_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "task.parquet"
    transitions().to_parquet(path)
    path.write_bytes(path.read_bytes()[:-10])
    assert "task.parquet cannot be read" in refusal(hs.Task.table, path)
    assert "there is no file" in refusal(hs.Task.table, tmp_path / "other.csv")


def test_discount_and_horizon() -> None:
    endless = transitions()[2:3]
    assert "discount=1.5 must lie in [0, 1]" in refusal(hs.Task.table, endless, discount=1.5)
    assert "discount=nan" in refusal(hs.Task.table, endless, discount=np.nan)
    assert "horizon=0 must be a whole number" in refusal(hs.Task.table, endless, horizon=0)
    assert "discount 1 without terminal states or a horizon" in refusal(hs.Task.table, endless, discount=1.0)
    assert hs.Task.table(endless, discount=1.0, horizon=3).playable.all()


def test_with_features() -> None:
    task = hs.Task.table(transitions(), discount=0.9, probability="p", features=["cost"])
    more = task.with_features(units={"toll": "EUR"}, toll=[1.0, 2.0, 0.0], time=np.ones((3, 2)))
    assert more.feature_names == ("cost", "toll", "time")
    assert more.feature_units["toll"] == "EUR"
    assert feature(more, "toll", "b", "go") == 2.0
    assert task.feature_names == ("cost",), "the task itself is unchanged"
    with pytest.raises(TaskError, match=r"(?s)4 problems.*unit for 'tolll'.*'cost' exists.*shape.*NaN") as error:
        task.with_features(units={"tolll": "EUR"}, cost=[1, 2, 3], toll=[1.0, 2.0], time=[np.nan, 0, 0])
    assert "the task needs (3, 2)" in str(error.value)


def test_playable_leaves_out_what_never_ends() -> None:
    table = pd.DataFrame(
        {
            "state": ["a", "a", "a", "trap", "risk", "risk"],
            "action": ["go", "fall", "risk", "go", "go", "go"],
            "next_state": ["end", "trap", "risk", "trap", "trap", "end"],
            "p": [1, 1, 1, 1, 0.5, 0.5],
        }
    )
    task = hs.Task.table(table, discount=1.0, probability="p")
    playable = {(task.states.values[s], task.actions.values[a]) for s, a in np.argwhere(task.playable.numpy())}
    assert playable == {("a", "go")}, "what may end in the trap has value minus infinity as well"


# unions


def test_union_keeps_blocks_apart() -> None:
    left, right = hs.Task.grid("S.G\n...", discount=0.9), hs.Task.grid("SG\n", discount=0.9)
    union = hs.Task.union({"left": left, 2: right})
    assert union.contexts.values == ("left", 2)
    assert probability(union, (2, (0, 0)), "right") == {(2, (0, 1)): 1.0}
    assert probability(union, ("left", (0, 0)), "down") == {("left", (1, 0)): 1.0}
    assert union.initial is not None
    assert union.initial.sum() == 1
    assert feature(union, "goal", (2, (0, 0)), "right") == 1.0


def test_union_refuses_what_does_not_share() -> None:
    plain, slow = hs.Task.grid("S.G\n", discount=0.9), hs.Task.grid("S.G\n", discount=0.8)
    with pytest.raises(TaskError, match="discount"):
        hs.Task.union({"a": plain, "b": slow})
    lava = hs.Task.grid("SLG\n", discount=0.9, legend={"L": "lava"}, stay=True)
    with pytest.raises(TaskError, match=r"(?s)3 problems.*'b' has actions.*'b' has features 'step', 'goal', 'lava'"):
        hs.Task.union({"a": plain, "b": lava})
    with pytest.raises(TaskError, match="no tasks to join"):
        hs.Task.union({})
    with pytest.raises(TaskError, match="contexts of its own"):
        hs.Task.union({"a": hs.Task.union({"b": plain})})


def test_union_refuses_the_same_features_in_another_order() -> None:
    table = transitions(toll=1.0)
    one = hs.Task.table(table, discount=0.9, probability="p", features=["cost", "toll"])
    two = hs.Task.table(table, discount=0.9, probability="p", features=["toll", "cost"])
    with pytest.raises(TaskError, match="in the same order"):
        hs.Task.union({"one": one, "two": two})


# estimated from counts


def counts(**changes: Any) -> pd.DataFrame:  # noqa: ANN401
    """Return counts by hand: from a, go led to b 3 times and to c once; b ended twice; stay is rare."""
    columns: dict[str, Any] = {
        "state": ["a", "a", "a", "b", "c"],
        "action": ["go", "go", "stay", "go", "go"],
        "next_state": ["b", "c", "a", None, None],
        "count": [3.0, 1.0, 1.0, 2.0, 0.0],
        "ended": [False, False, False, True, False],
        "starts": [2, 0, 0, 0, 1],
    }
    return pd.DataFrame(columns | changes)


def test_posterior_mean_by_hand() -> None:
    task = hs.Task.from_counts(counts(), discount=0.9, prior=1.0)
    assert task.states.values == ("a", "b", "c", "end")
    # successors of a over all actions: a 1/5, b 3/5, c 1/5
    assert probability(task, "a", "go") == pytest.approx({"a": 0.2 / 5, "b": 3.6 / 5, "c": 1.2 / 5})
    assert probability(task, "a", "stay") == pytest.approx({"a": 1.2 / 2, "b": 0.6 / 2, "c": 0.2 / 2})
    assert probability(task, "b", "go") == pytest.approx({"end": 1.0})
    assert probability(task, "b", "stay") == pytest.approx({"end": 1.0}), "never taken: the state's own successors"
    assert probability(task, "c", "go") == pytest.approx({"c": 1.0}), "no successor was seen: stay where you are"
    assert task.terminal.tolist() == [False, False, False, True]
    assert task.initial is not None
    assert task.initial.tolist() == pytest.approx([2 / 3, 0, 1 / 3, 0])
    assert not task.exact
    assert task.available[:3].all()


def test_estimate_of_numbers_keeps_them_and_more_actions_can_be_named() -> None:
    numbers = counts(state=[1, 1, 1, 2, 10], next_state=pd.Series([2, 10, 1, None, None], dtype=object))
    task = hs.Task.from_counts(numbers, discount=0.9, actions=["stay", "go", "jump"])
    assert task.states.values == (1, 2, 10, "end")
    assert probability(task, 1, "jump") == pytest.approx({1: 0.2, 2: 0.6, 10: 0.2})


def test_estimate_with_contexts_has_an_end_in_each() -> None:
    both = pd.concat([counts(), counts()]).assign(context=["m"] * 5 + ["n"] * 5).reset_index(drop=True)
    task = hs.Task.from_counts(both, discount=0.9)
    assert task.contexts.values == ("m", "n")
    assert task.states.values[-2:] == (("m", "end"), ("n", "end"))
    assert probability(task, ("n", "b"), "go") == {("n", "end"): 1.0}


def test_counts_that_make_no_task() -> None:
    assert "no column 'starts'" in refusal(hs.Task.from_counts, counts().drop(columns="starts"))
    assert "prior=0 must be above 0" in refusal(hs.Task.from_counts, counts(), prior=0)
    assert "finite numbers" in refusal(hs.Task.from_counts, counts(count=[1.0, np.nan, 1, 1, 1]))
    assert "there are no rows" in refusal(hs.Task.from_counts, counts()[:0])
    assert "actions 'stay' were taken" in refusal(hs.Task.from_counts, counts(), actions=["go"])
    message = refusal(hs.Task.from_counts, counts(ended=[True, False, False, True, False]))
    assert "states 'b' end an episode in some rows and are acted in" in message


def wander(task: hs.Task, episodes: int) -> hs.BehaviorLog:
    """Draw random moves in a task, which end in the goal without naming it, or after 60 steps."""
    rng = np.random.default_rng(5)
    rows = []
    for episode in range(episodes):
        state, done, step = 0, False, 0
        while not done and step < 60:
            action = int(rng.integers(len(task.actions)))
            chances = task.transitions.probabilities[state, action].numpy()
            place = int(rng.choice(len(chances), p=chances / chances.sum()))
            following = int(task.transitions.successors[state, action, place])
            done = bool(task.terminal[following])
            rows.append((episode, step, str(task.states.values[state]), task.actions.values[action], done))
            state, step = following, step + 1
    table = pd.DataFrame(rows, columns=["episode", "step", "state", "action", "done"])
    return hs.read(table, subject=None, terminated="done")


def test_from_a_simulated_log_to_the_task_it_was_drawn_from() -> None:
    truth = hs.Task.grid("S...\n.#..\n...G", discount=0.95, slip=0.1)
    log = wander(truth, episodes=300)
    estimate = hs.Task.from_counts(log.transition_counts(), discount=0.95)
    assert hs.check(log, estimate).query("severity != 'note'").empty
    assert estimate.states.values[-1] == "end", "the goal was never recorded as a state"
    for state in truth.states.values:
        for action in truth.actions.values if state != (2, 3) else ():
            true = {str(n) if n != (2, 3) else "end": p for n, p in probability(truth, state, action).items()}
            guess = probability(estimate, str(state), action)
            assert sum(abs(guess.get(n, 0) - true.get(n, 0)) for n in guess | true) < 0.25


def buses(home: Path) -> hs.BehaviorLog:
    table = pd.read_csv(home / "rust_bus" / "bus_months.csv.gz").query("group == 4")
    return hs.read(table, subject="bus_id", episode=None, step="t", state="x5000", action="replaced")


def mazes(home: Path) -> hs.BehaviorLog:
    table = pd.read_csv(home / "vgc_gridnav" / "exp1_steps.csv.gz")
    table["ended"] = (table["done"] == 1) & (table["at_goal"] == 1)
    roles = {"episode": "round", "step": "t", "context": "grid", "terminated": "ended"}
    return hs.read(table, **roles, state=["x", "y"], next_state=["next_x", "next_y"])  # type: ignore[arg-type]


def towers(home: Path) -> hs.BehaviorLog:
    table = pd.read_csv(home / "tower_of_london" / "session1.csv.gz")
    table["action"] = table["from_peg"].astype(str) + ">" + table["to_peg"].astype(str)
    table["ended"] = table["next_state"] == table["target"]
    roles = {"episode": "problem", "step": "move", "context": "target", "terminated": "ended"}
    return hs.read(table, **roles, next_state="next_state")  # type: ignore[arg-type]


@pytest.mark.parametrize("people", [buses, mazes, towers])
def test_estimating_the_task_of_real_people(people: Any, data_home: Path) -> None:  # noqa: ANN401
    log = people(data_home)
    counts = log.transition_counts()
    assert counts["count"].sum() == ((log.next_state >= 0) & log.responded).sum()
    assert counts["starts"].sum() == log.num_episodes
    task = hs.Task.from_counts(counts, discount=0.95)
    assert len(task.states) == len(log.codebook.states)
    assert task.has_contexts == (log.columns.context is not None)
    assert hs.check(log, task).query("severity == 'error' or problem == 'unseen_transition'").empty
    total = task.transitions.probabilities.sum(-1)[task.available]
    assert torch.allclose(total, torch.ones_like(total), atol=1e-12)
