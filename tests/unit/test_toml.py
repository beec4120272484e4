"""Task files: each kind as its builder makes it, and all mistakes of a file at once."""

from pathlib import Path

import pandas as pd
import pytest
import torch

import humansoft as hs
from humansoft.errors import TaskError

GRID = """
[task]
kind = "grid"
discount = 0.95

[grid]
maze = '''
S.L
..G
'''
legend = {L = "lava"}
slip = 0.1
coordinates = "x_y"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "task.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(TaskError) as error:
        hs.Task.from_toml(write(folder, text))
    assert str(error.value).startswith("task.toml")
    return str(error.value)


def same(one: hs.Task, other: hs.Task) -> bool:
    return (
        one.states == other.states
        and one.actions == other.actions
        and (one.discount, one.horizon, one.feature_units) == (other.discount, other.horizon, other.feature_units)
        and torch.equal(one.transitions.successors, other.transitions.successors)
        and torch.equal(one.transitions.probabilities, other.transitions.probabilities)
        and torch.equal(one.features, other.features)
    )


# what is built


def test_grid(tmp_path: Path) -> None:
    expected = hs.Task.grid("S.L\n..G", discount=0.95, legend={"L": "lava"}, slip=0.1, coordinates="x_y")
    assert same(hs.Task.from_toml(write(tmp_path, GRID)), expected)


def test_grid_from_a_file_beside_the_task_file_and_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "maze.txt").write_text("S.G\n...")
    text = '[task]\nkind = "grid"\ndiscount = 1\nhorizon = 9\n[grid]\nfile = "maze.txt"\nstay = true\n'
    task = hs.Task.from_toml(str(write(tmp_path, text)))
    assert same(task, hs.Task.grid("S.G\n...", discount=1.0, horizon=9, stay=True))
    assert len(hs.Task.from_toml(write(tmp_path, text.replace('file = "maze.txt"', 'maze = "S.G"'))).states) == 3


def test_table(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "x": [0, 0, 1],
            "y": 0,
            "move": ["go", "go", "go"],
            "nx": [1, 0, 2],
            "ny": 0,
            "p": [0.5, 0.5, 1.0],
            "metres": 1.0,
        }
    )
    table.to_csv(tmp_path / "moves.csv", index=False)
    text = """
    [task]
    kind = "table"
    discount = 0.9
    [table]
    file = "moves.csv"
    state = ["x", "y"]
    next_state = ["nx", "ny"]
    action = "move"
    probability = "p"
    features = ["metres"]
    units = {metres = "m"}
    terminal = [[2, 0]]
    initial = [{state = [0, 0], probability = 1}]
    """
    expected = hs.Task.table(
        *(table,),
        discount=0.9,
        state=["x", "y"],
        next_state=["nx", "ny"],
        action="move",
        probability="p",
        features=["metres"],
        units={"metres": "m"},
    )
    task = hs.Task.from_toml(write(tmp_path, text))
    assert same(task, expected)
    assert task.initial is not None
    assert task.initial.tolist() == [1.0, 0.0, 0.0]


def test_gymnasium(tmp_path: Path) -> None:
    text = """
    [task]
    kind = "gymnasium"
    discount = 0.99
    [gymnasium]
    id = "FrozenLake-v1"
    options = {is_slippery = false}
    """
    expected = hs.Task.from_gymnasium("FrozenLake-v1", discount=0.99, is_slippery=False)
    assert same(hs.Task.from_toml(write(tmp_path, text)), expected)


def test_network(tmp_path: Path) -> None:
    edges = pd.DataFrame({"here": ["a", "b", "b"], "there": ["b", "a", "end"], "minutes": [1.0, 2.0, 0.5]})
    edges.to_csv(tmp_path / "edges.csv", index=False)
    text = """
[task]
kind = "network"
discount = 1

[network]
file = "edges.csv"
source = "here"
target = "there"
features = ["minutes"]
units = {minutes = "per minute"}
goals = ["end", "a"]
"""
    units = {"minutes": "per minute"}
    expected = hs.Task.network(
        edges, source="here", target="there", goals=["end", "a"], features=["minutes"], units=units
    )
    assert same(hs.Task.from_toml(write(tmp_path, text)), expected)
    assert "use discount=1, no horizon" in refusal(tmp_path, text.replace("discount = 1", "discount = 0.9"))
    assert "no key 'sorce'. Did you mean 'source'?" in refusal(tmp_path, text.replace("source =", "sorce ="))


def test_counts(tmp_path: Path) -> None:
    log = hs.read(pd.DataFrame({"step": range(4), "state": [1, 2, 1, 2], "action": "go"}), subject=None, episode=None)
    path = write(tmp_path, '[task]\nkind = "counts"\ndiscount = 0.9\n[counts]\nprior = 2\nactions = ["go", "stay"]')
    expected = hs.Task.from_counts(log.transition_counts(), discount=0.9, prior=2.0, actions=["go", "stay"])
    assert same(hs.Task.from_toml(path, log.transition_counts()), expected)
    with pytest.raises(TaskError, match=r"estimated from a log.*log\.transition_counts\(\)"):
        hs.Task.from_toml(path)
    write(tmp_path, '[task]\nkind = "counts"\ndiscount = 0.9')
    assert not hs.Task.from_toml(path, log.transition_counts()).exact


def test_union_with_labels_of_the_log(tmp_path: Path) -> None:
    text = """
    [task]
    kind = "union"
    discount = 0.95
    [contexts.left]
    kind = "grid"
    maze = "S.G"
    [contexts.right]
    kind = "grid"
    maze = "G.S"
    label = 2
    """
    grids = {"left": hs.Task.grid("S.G\n", discount=0.95), 2: hs.Task.grid("G.S\n", discount=0.95)}
    task = hs.Task.from_toml(write(tmp_path, text))
    assert task.contexts.values == ("left", 2)
    assert same(task, hs.Task.union(grids))


# what is refused


def test_all_mistakes_at_once_with_hints(tmp_path: Path) -> None:
    text = GRID.replace("slip", "slipp").replace('coordinates = "x_y"', "stay = 1").replace("discount = 0.95", "")
    message = refusal(tmp_path, text + "\n[gird]\n[counts]\n")
    assert "5 problems" in message
    assert "there is no section [gird]. Did you mean 'grid'?" in message
    assert "[task] needs the key 'discount'" in message
    assert "[grid] has no key 'slipp'. Did you mean 'slip'?" in message
    assert "[grid] stay must be true or false, not 1" in message
    assert "section [counts] does not belong to kind 'grid'" in message


def test_kinds(tmp_path: Path) -> None:
    assert "kind = 'gird'. Did you mean 'grid'?" in refusal(tmp_path, GRID.replace('kind = "grid"', 'kind = "gird"'))
    assert "[task] needs the key 'kind'" in refusal(tmp_path, GRID.replace('kind = "grid"', ""))
    assert "there is no section [task]" in refusal(tmp_path, "")
    assert "no section [grid]; it needs the key 'maze' or 'file'" in refusal(
        tmp_path, '[task]\nkind="grid"\ndiscount=1'
    )
    assert "no section [table]; it needs 'file'" in refusal(tmp_path, '[task]\nkind="table"\ndiscount=1')
    assert "task must be a section [task]" in refusal(tmp_path, "task = 3")


def test_wrong_types(tmp_path: Path) -> None:
    text = GRID.replace("0.95", '"0.95"').replace('{L = "lava"}', "{L = 1}").replace("slip = 0.1", "slip = true")
    message = refusal(tmp_path, text.replace('kind = "grid"', 'kind = "grid"\nhorizon = 2.5'))
    assert "[task] discount must be a number, not '0.95'" in message
    assert "[task] horizon must be a whole number, not 2.5" in message
    assert "[grid] legend must be a table of texts" in message
    assert "[grid] slip must be a number, not True" in message


def test_maze_and_file_exclude_each_other(tmp_path: Path) -> None:
    assert "needs either 'maze'" in refusal(tmp_path, GRID + 'file = "maze.txt"\n')


def test_contexts(tmp_path: Path) -> None:
    union = '[task]\nkind = "union"\ndiscount = 0.9\n'
    assert "needs a section [contexts.NAME]" in refusal(tmp_path, union)
    message = refusal(
        tmp_path, union + '[contexts.a]\nmaze = "S.G"\n[contexts.b]\nkind = "counts"\n[contexts.c]\nkind = "grid"\n'
    )
    assert "[contexts.a] needs a kind of its own" in message
    assert "[contexts.b] kind = 'counts'" in message
    assert "[contexts.c] needs either 'maze'" in message
    twins = (
        '[contexts.a]\nkind = "grid"\nmaze = "S.G"\nlabel = 1\n[contexts.b]\nkind = "grid"\nmaze = "S.G"\nlabel = 1\n'
    )
    assert "two contexts have the same label" in refusal(tmp_path, union + twins)


def test_bad_syntax_names_the_line(tmp_path: Path) -> None:
    message = refusal(tmp_path, '[task]\nkind = "grid\n')
    assert "task.toml is not valid TOML" in message
    assert "line 2" in message


def test_mistakes_in_the_task_itself_name_the_file(tmp_path: Path) -> None:
    message = refusal(tmp_path, GRID.replace("S.L", "S?L"))
    assert message.startswith("task.toml: the maze: line 1, column 2: '?' has no meaning")
    assert "discount=1.5" in refusal(tmp_path, GRID.replace("0.95", "1.5"))
    assert "there is no maze file" in refusal(tmp_path, '[task]\nkind="grid"\ndiscount=0.9\n[grid]\nfile="none.txt"')


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, GRID)
    with pytest.raises(TaskError, match=r"no task file .*Did you mean 'task.toml'"):
        hs.Task.from_toml(tmp_path / "taks.toml")
    path = tmp_path / "task.toml"
    path.write_bytes(b'[task]\nkind = "\xff"\n')
    with pytest.raises(TaskError, match="not UTF-8"):
        hs.Task.from_toml(path)
