"""The reduced Overcooked task: ego rule, features, transitions, reading of raw steps."""

import hashlib
import io
import json
import pickle
import runpy
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from scipy.special import logsumexp

from humansoft.catalogue.overcooked import (
    ACTIONS,
    FEATURES,
    NEXT_STATE,
    POT,
    STATE,
    CookState,
    Kitchen,
    build_task,
    ego_rule,
    features,
    find_kitchen,
    states,
    transitions,
)
from humansoft.catalogue.overcooked_rows import pot_phase, read_decisions
from humansoft.errors import DatasetError, LogError, TaskError

DATASET = Path(__file__).parents[2] / "datasets" / "overcooked_2019"


@pytest.fixture(scope="module")
def galley() -> Kitchen:
    """Return a kitchen of two floor cells."""
    return Kitchen.parse("galley", ["XPXX", "O  S", "XDXX"])


@pytest.fixture(scope="module")
def layouts() -> dict[str, list[str]]:
    """Return the grids of the five recorded kitchens."""
    content: dict[str, list[str]] = json.loads((DATASET / "layouts.json").read_text())
    return content


@pytest.fixture(scope="module")
def recorded() -> pd.DataFrame:
    """Return the joint steps of cramped_room."""
    steps = pd.read_parquet(DATASET / "steps_train.parquet")
    return steps[steps["layout"] == "cramped_room"]


@pytest.fixture(scope="module")
def cramped_room(layouts: dict[str, list[str]]) -> Kitchen:
    """Return the kitchen with one pot."""
    return find_kitchen(layouts, "cramped_room")


@pytest.fixture(scope="module")
def decisions(recorded: pd.DataFrame, cramped_room: Kitchen) -> pd.DataFrame:
    """Return the decisions of cramped_room."""
    return read_decisions(recorded, cramped_room)


def played(**changes: object) -> pd.DataFrame:
    """Return a valid game of three steps in the galley, with some columns replaced."""
    soup = '[["soup",1,0,["onion",2,0]]]'
    columns = {
        "run": "run-1",
        "pair": 3,
        "layout": "galley",
        "t": [0, 1, 2],
        "p0_x": [1, 1, 1],
        "p0_y": 1,
        "p0_orient": ["N", "W", "W"],
        "p0_held": ["", "", "onion"],
        "p1_x": 2,
        "p1_y": 1,
        "p1_orient": "E",
        "p1_held": ["soup", "", ""],
        "objects": ["[]", soup, soup],
        "a0": [4, 5, 0],
        "a1": [5, 0, 0],
    }
    return pd.DataFrame(columns | changes)


def successors(kitchen: Kitchen, table: pd.DataFrame, state: tuple[Any, ...], action: str) -> dict[CookState, float]:
    """Return the probability of every state that can follow."""
    listed = states(kitchen)
    s, a = listed.index(CookState(*state)), ACTIONS.index(action)
    rows = table[(table["state"] == s) & (table["action"] == a)]
    return {listed[n]: p for n, p in zip(rows["next_state"], rows["probability"], strict=True)}


# --- kitchens and states ---------------------------------------------------------------------


def test_parse_sorts_cells_by_kind(galley: Kitchen) -> None:
    """Every kind of tile is listed in reading order."""
    assert galley == Kitchen(
        name="galley",
        floor=((1, 1), (2, 1)),
        pots=((1, 0),),
        onions=((0, 1),),
        dishes=((1, 2),),
        servings=((3, 1),),
        counters=((0, 0), (2, 0), (3, 0), (0, 2), (2, 2), (3, 2)),
    )


def test_parse_takes_start_cells_for_floor(cramped_room: Kitchen) -> None:
    """Digits are floor."""
    assert cramped_room.floor == ((1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2))


def test_parse_names_every_unknown_tile() -> None:
    """Unknown tiles are refused together."""
    with pytest.raises(TaskError, match=r"2 problems(?s:.*)1. unknown tile '#'\n  2. .* 'T'"):
        Kitchen.parse("tomatoes", ["T#X"])


def test_unknown_layout_is_refused_with_a_near_one(layouts: dict[str, list[str]]) -> None:
    """The message helps to find the right name."""
    with pytest.raises(DatasetError, match=r"no layout 'cramped'. Did you mean 'cramped_room'\?"):
        find_kitchen(layouts, "cramped")


@pytest.mark.parametrize(
    ("name", "number"),
    [("cramped_room", 480), ("coordination_ring", 640), ("random0", 480), ("random3", 1120)],
)
def test_number_of_states(layouts: dict[str, list[str]], name: str, number: int) -> None:
    """16 bodies x 5 pot phases for every floor cell."""
    listed = states(find_kitchen(layouts, name))
    assert len(listed) == len(set(listed)) == number


def test_states_run_through_pot_first_and_cell_last(galley: Kitchen) -> None:
    """The documented order, which codes rely on."""
    listed = states(galley)
    assert listed[0] == (1, 1, "N", "nothing", "empty")
    assert listed[1] == (1, 1, "N", "nothing", "one onion")
    assert listed[5] == (1, 1, "N", "onion", "empty")
    assert listed[20] == (1, 1, "S", "nothing", "empty")
    assert listed[80] == (2, 1, "N", "nothing", "empty")


# --- ego rule and features -------------------------------------------------------------------

EMPTY_HAND = {"held": "nothing"}


@pytest.mark.parametrize(
    ("before", "action", "changes", "feature"),
    [
        ((1, "N", "nothing", "empty"), "stay", {}, None),
        ((1, "N", "nothing", "empty"), "right", {"x": 2, "orientation": "E"}, "move"),
        ((1, "N", "nothing", "empty"), "left", {"orientation": "W"}, "turn"),
        ((1, "N", "dish", "empty"), "up", {}, "useless_interact"),  # against what is faced already
        ((1, "W", "nothing", "empty"), "interact", {"held": "onion"}, "take_onion"),
        ((1, "W", "onion", "empty"), "interact", {}, "useless_interact"),
        ((1, "S", "nothing", "ready"), "interact", {"held": "dish"}, "take_dish"),
        ((1, "N", "onion", "empty"), "interact", EMPTY_HAND | {"pot": POT[1]}, "onion_in_pot"),
        ((1, "N", "onion", POT[2]), "interact", EMPTY_HAND | {"pot": "cooking"}, "onion_in_pot"),
        ((1, "N", "onion", "cooking"), "interact", {}, "useless_interact"),
        ((1, "N", "dish", "cooking"), "interact", {}, "useless_interact"),
        ((1, "N", "dish", "ready"), "interact", {"held": "soup", "pot": "empty"}, "take_soup"),
        ((2, "E", "soup", "empty"), "interact", EMPTY_HAND, "deliver"),
        ((2, "E", "dish", "empty"), "interact", {}, "useless_interact"),
        ((2, "N", "soup", "empty"), "interact", EMPTY_HAND, "useless_interact"),  # on a counter
        ((1, "E", "onion", "empty"), "interact", {}, "useless_interact"),  # facing floor
    ],
)
def test_ego_rule(galley: Kitchen, before: tuple[Any, ...], action: str, changes: dict[str, Any], feature: str) -> None:
    """Every branch of the rule changes what it should, and nothing else."""
    x, *rest = before
    state = CookState(x, 1, *rest)
    assert ego_rule(galley, state, action) == (state._replace(**changes), feature)


def test_ego_rule_stays_within_the_states(cramped_room: Kitchen) -> None:
    """The reduced task is closed."""
    known = set(states(cramped_room))
    assert all(ego_rule(cramped_room, s, a).next_state in known for s in known for a in ACTIONS)


def test_every_action_but_stay_earns_one_feature(cramped_room: Kitchen) -> None:
    """``stay`` is the zero reference."""
    table = features(cramped_room)
    assert table.shape == (480, 6, 8)
    assert set(np.unique(table)) == {0.0, 1.0}
    assert (table[:, ACTIONS.index("stay")] == 0).all()
    assert (table[:, 1:].sum(axis=2) == 1).all()
    assert (table.sum(axis=(0, 1)) > 0).all()


def test_features_are_those_of_the_ego_rule(galley: Kitchen) -> None:
    """One state, all actions."""
    s = states(galley).index(CookState(2, 1, "E", "soup", "cooking"))
    earned = [FEATURES[f] for f in features(galley)[s, 1:].argmax(axis=1)]
    assert earned == ["turn", "turn", "useless_interact", "move", "deliver"]


# --- raw steps -> decisions ------------------------------------------------------------------


def test_read_decisions_of_one_game(galley: Kitchen) -> None:
    """Labels, states and next states of both cooks."""
    table = read_decisions(played(), galley)
    assert table["subject"].tolist() == ["pair03-p0"] * 3 + ["pair03-p1"] * 3
    assert set(table["episode"]) == {"run-1-pair03"}
    assert table["step"].tolist() == [0, 1, 2, 0, 1, 2]
    assert table["action"].tolist() == ["left", "interact", "stay", "interact", "stay", "stay"]
    assert table["truncated"].tolist() == [False, False, True] * 2
    assert table["pair"].tolist() == [3] * 6
    assert [table[part][1] for part in STATE] == [1, 1, "W", "nothing", "two onions"]
    assert [table[part][1] for part in NEXT_STATE] == [1, 1, "W", "onion", "two onions"]
    assert table.loc[table["truncated"], list(NEXT_STATE)].isna().to_numpy().all()


def test_read_decisions_ignores_row_order_and_further_columns(galley: Kitchen) -> None:
    """Only the content matters."""
    shuffled = played(score=0.0).sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(read_decisions(shuffled, galley), read_decisions(played(), galley))


def test_games_do_not_run_into_each_other(galley: Kitchen) -> None:
    """The next state of a last row is not the next game."""
    table = read_decisions(pd.concat([played(), played(pair=4)], ignore_index=True), galley)
    assert table.groupby(["subject", "episode"])["truncated"].sum().tolist() == [1, 1, 1, 1]
    assert table["truncated"].tolist() == [False, False, True] * 4


def test_read_decisions_of_the_data(recorded: pd.DataFrame, decisions: pd.DataFrame) -> None:
    """Sizes and shares of the recorded games."""
    assert len(decisions) == 2 * len(recorded) == 19128
    assert decisions["subject"].nunique() == 16
    assert decisions["truncated"].sum() == 16
    stayed = (recorded[["a0", "a1"]] == 0).to_numpy().mean()
    assert (decisions["action"] == "stay").mean() == pytest.approx(stayed)


@pytest.mark.parametrize(
    ("objects", "phase"),
    [
        ([], "empty"),
        ([["onion", 1, 0]], "empty"),
        ([["soup", 0, 0, ["onion", 3, 30]]], "empty"),  # stands on a counter, not in the pot
        ([["soup", 1, 0, ["onion", 1, 0]]], "one onion"),
        ([["soup", 1, 0, ["onion", 3, 19]]], "cooking"),
        ([["soup", 1, 0, ["onion", 3, 20]]], "ready"),
    ],
)
def test_pot_phase(galley: Kitchen, objects: list[Any], phase: str) -> None:
    """Only soup in a pot counts, by onions and cooking time."""
    assert pot_phase(galley, json.dumps(objects)) == phase


def test_the_most_advanced_pot_counts() -> None:
    """Several pots are summed up by one phase."""
    kitchen = Kitchen.parse("two pots", ["XPPX", "O  S", "XDXX"])
    pots = [["soup", 1, 0, ["onion", 3, 4]], ["soup", 2, 0, ["onion", 2, 0]]]
    assert pot_phase(kitchen, json.dumps(pots)) == "cooking"


# --- transitions -----------------------------------------------------------------------------


def test_transitions_mix_the_ego_rule_with_counts(galley: Kitchen) -> None:
    """Tried and untried actions."""
    table = transitions(galley, read_decisions(played(), galley))
    # Cook 0 turned to the wall while, unseen by the ego rule, two onions came into the pot.
    assert successors(galley, table, (1, 1, "N", "nothing", "empty"), "left") == {
        (1, 1, "W", "nothing", "empty"): 0.5,
        (1, 1, "W", "nothing", "two onions"): 0.5,
    }
    # Never tried: the ego rule alone.
    assert successors(galley, table, (2, 1, "N", "soup", "ready"), "down") == {(2, 1, "S", "soup", "ready"): 1.0}


def test_pseudo_count_weighs_the_ego_rule(galley: Kitchen) -> None:
    """One observation against three."""
    table = transitions(galley, read_decisions(played(), galley), pseudo_count=3.0)
    assert sorted(table["probability"].unique()) == [0.25, 0.75, 1.0]
    with pytest.raises(TaskError, match=r"pseudo_count must be positive, not 0"):
        transitions(galley, read_decisions(played(), galley), pseudo_count=0.0)


def test_every_recorded_transition_is_possible(cramped_room: Kitchen, decisions: pd.DataFrame) -> None:
    """The task covers its training log."""
    table = transitions(cramped_room, decisions)
    sums = table.groupby(["state", "action"])["probability"].sum()
    assert len(sums) == 480 * 6
    np.testing.assert_allclose(sums, 1.0, rtol=1e-12)
    assert (table["probability"] > 0).all()
    listed = states(cramped_room)
    possible = {
        (listed[s], ACTIONS[a], listed[n])
        for s, a, n in table[["state", "action", "next_state"]].itertuples(index=False)
    }
    followed = decisions[~decisions["truncated"]]
    seen = followed[[*STATE, "action", *NEXT_STATE]].itertuples(index=False, name=None)
    assert {(row[:5], row[5], row[6:]) for row in seen} <= possible


def test_published_weights_give_the_published_likelihood(cramped_room: Kitchen, decisions: pd.DataFrame) -> None:
    """Soft value iteration (entropy form, discount 0.95): .82091 nats a decision at the optimum."""
    weights = np.array([6.215, 4.884, -0.021, 1.637, 5.479, -3.054, -3.096, -3.530])
    reward = features(cramped_room) @ weights
    table = transitions(cramped_room, decisions)
    after = table["state"] * len(ACTIONS) + table["action"]
    successor = csr_array((table["probability"], (after, table["next_state"])), shape=(reward.size, len(reward)))
    value = np.zeros(len(reward))
    for _ in range(600):
        q = reward + 0.95 * (successor @ value).reshape(reward.shape)
        value = logsumexp(q, axis=1)
    code = {state: s for s, state in enumerate(states(cramped_room))}
    chosen = decisions[[*STATE, "action"]].itertuples(index=False, name=None)
    nats = [value[code[CookState(*s)]] - q[code[CookState(*s)], ACTIONS.index(a)] for *s, a in chosen]
    assert np.mean(nats) == pytest.approx(0.82091, abs=1e-5)


def test_build_task(galley: Kitchen) -> None:
    """The decision process has the labels of a log, starts where games start, and is not exact."""
    task = build_task(galley, read_decisions(played(), galley))
    assert task.states.values[0] == (1, 1, "N", "nothing", "empty")
    assert type(task.states.values[0]) is tuple
    assert task.actions.values == ACTIONS
    assert task.feature_names == FEATURES
    assert not task.exact
    assert not task.terminal.any()
    assert task.initial is not None
    starts = {task.states.values[s]: float(task.initial[s]) for s in task.initial.nonzero().ravel().tolist()}
    assert starts == {(1, 1, "N", "nothing", "empty"): 0.5, (2, 1, "E", "soup", "empty"): 0.5}


# --- bad input -------------------------------------------------------------------------------


def test_missing_columns_are_named_at_once(galley: Kitchen) -> None:
    """All absent columns in one message."""
    with pytest.raises(LogError, match=r"the steps: 2 problems(?s:.*)1. .*'objects'.*\n  2. .*'p1_held'"):
        read_decisions(played().drop(columns=["objects", "p1_held"]), galley)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "random0"}, r"layout: not one of \['galley'\]: row 1 has 'random0'"),
        ({"p0_held": ["", "tomato", ""]}, r"p0_held: not one of \['', .*: row 2 has 'tomato'$"),
        ({"p1_orient": ["N", "up", "E"]}, r"p1_orient: not one of \['N', .*: row 2 has 'up'$"),
        ({"a1": [0, 6, 7]}, r"a1: not one of \[0, 1, .*: row 2 has 6, row 3 has 7$"),
        ({"a0": ["stay", 0, 0]}, r"a0: not one of \[0, 1, .*: row 1 has 'stay'$"),
        ({"p0_x": [1, 1, 9]}, r"p0_x, p0_y: not a floor cell: row 3 has 9, 1$"),
        ({"p1_y": [0, 1, 1]}, r"p1_x, p1_y: not a floor cell: row 1 has 2, 0$"),
        ({"p0_x": [1, None, 1]}, r"p0_x: missing .*: row 2 has nan$"),
        ({"p1_held": [None, "", ""]}, r"p1_held: missing \(an empty hand is ''\): row 1 has "),
        ({"objects": ["[]", "soup", "[[1]]"]}, r"objects: not JSON .*: row 2 .*, row 3 has "),
        ({"t": [0, 1, 3]}, r"t: not one step after .*: row 3 has 3$"),
        ({"t": [0, 1, 1]}, r"t: not one step after .*: row 3 has 1$"),
    ],
)
def test_bad_steps(galley: Kitchen, changes: dict[str, object], message: str) -> None:
    """Each mistake has its message, with rows and values."""
    with pytest.raises(LogError, match=message):
        read_decisions(played(**changes), galley)


def test_all_problems_come_together(galley: Kitchen) -> None:
    """Several mistakes are numbered in one message."""
    steps = played(p0_x=7, a1=[0, None, 8], p1_held="fish")
    with pytest.raises(LogError, match=r"4 problems") as caught:
        read_decisions(steps, galley)
    numbered = [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert numbered == ["1. a1", "2. p1_held", "3. a1", "4. p0_x, p0_y"]


def test_long_lists_of_rows_are_cut(galley: Kitchen) -> None:
    """Five rows are shown, the others counted."""
    steps = pd.concat([played(pair=pair, a0=9) for pair in range(4)], ignore_index=True)
    with pytest.raises(LogError, match=r"row 5 has 9, 7 more rows$"):
        read_decisions(steps, galley)


def test_rows_are_those_of_the_file(galley: Kitchen) -> None:
    """The index of a part of a file still names the rows of the file, and the file is named."""
    steps = played(p0_x=[1, 7, 1]).set_index(pd.RangeIndex(100, 103))
    with pytest.raises(LogError, match=r"^games.csv, layout 'galley': p0_x, p0_y: .*: row 102 has 7, 1$"):
        read_decisions(steps, galley, "games.csv")


# --- the data and their preparation ----------------------------------------------------------


def test_bundled_files_are_those_of_the_card() -> None:
    """The checksums on the card are true."""
    card = tomllib.loads((DATASET / "card.toml").read_text(encoding="utf-8"))
    assert [table["file"] for table in card["tables"]] == ["steps_train.parquet", "layouts.json"]
    for table in card["tables"]:
        content = (DATASET / table["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == table["sha256"]
    steps = pd.read_parquet(DATASET / "steps_train.parquet")
    assert list(card["tables"][0]["columns"]) == list(steps.columns)


def test_prepare_refuses_pickles_that_name_code() -> None:
    """No pickle can run code."""
    unpickler = runpy.run_path(str(DATASET / "prepare.py"))["TableUnpickler"]
    with pytest.raises(pickle.UnpicklingError, match=r"no table needs builtins.print"):
        unpickler(io.BytesIO(pickle.dumps(print))).load()


def test_prepare_refuses_other_files(tmp_path: Path) -> None:
    """Absent and altered files are told apart."""
    prepare = runpy.run_path(str(DATASET / "prepare.py"))["prepare"]
    with pytest.raises(DatasetError, match=r"neither overcooked_ai-1.1.0.tar.gz nor clean"):
        prepare(tmp_path, tmp_path)
    (tmp_path / "clean_train_trials.pickle").write_bytes(b"not the games")
    with pytest.raises(DatasetError, match=r"not the publisher's: its sha256 is .*, expected 28659cfd"):
        prepare(tmp_path, tmp_path)
