"""Counted logs: read piece by piece, refused in the same words, and honest about what they no longer know."""

from collections.abc import Iterator
from inspect import unwrap
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from humansoft.errors import LogError, NotAvailableError, UsageError

COUNT: dict[str, Any] = {"episode": None, "step": None}
MAZE = "S..L\n.#..\n..LG"


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows a piece: borders lie in the middle of every person."""
    monkeypatch.setattr("humansoft.data.streams._PIECE", 2)


def table(**changes: Any) -> pd.DataFrame:  # noqa: ANN401
    """Return a valid table of two people, with some columns replaced."""
    columns: dict[str, Any] = {
        "subject": ["ann", "ann", "ann", "bob", "bob", "bob", "ann"],
        "state": ["a", "b", "a", "a", "b", "a", "a"],
        "action": ["go", "go", "go", "go", "stay", "go", "stay"],
        "next": ["b", "a", "b", "b", "b", "b", "a"],
    }
    return pd.DataFrame({k: v for k, v in (columns | changes).items() if v is not None})


def sources(frame: pd.DataFrame, folder: Path) -> Iterator[Any]:
    """Yield the same table as a DataFrame and as files."""
    yield frame
    frame.to_csv(folder / "log.csv", index=False)
    yield folder / "log.csv"
    frame.to_csv(folder / "log.tsv.gz", index=False, sep="\t")
    yield folder / "log.tsv.gz"
    frame.to_parquet(folder / "log.parquet", index=False, row_group_size=3)
    yield folder / "log.parquet"


def refusals(source: Any, **columns: Any) -> tuple[str, str]:  # noqa: ANN401
    """Return what the ordinary and the counting reader have to say."""
    messages = []
    for counted in (False, True):
        with pytest.raises(LogError) as error:
            hs.read(source, **COUNT, **columns, counted=counted)
        messages.append(str(error.value))
    return messages[0], messages[1]


# what is counted


def test_equal_decisions_become_one_row(tmp_path: Path) -> None:
    for source in sources(table(), tmp_path):
        log = hs.read(source, next_state="next", counted=True)
        rows = pd.DataFrame(
            {
                "subject": log.codebook.subjects.decode(log.subject),
                "state": log.codebook.states.decode(log.state),
                "action": log.codebook.actions.decode(log.action),
                "weight": log.weight,
                "row": log.row,
            }
        )
        assert rows.values.tolist() == [
            ["ann", "a", "go", 2.0, 0],
            ["ann", "a", "stay", 1.0, 6],
            ["ann", "b", "go", 1.0, 1],
            ["bob", "a", "go", 2.0, 3],
            ["bob", "b", "stay", 1.0, 4],
        ]
        assert log.counted
        assert log.num_decisions == 7
        assert log.num_episodes == 0
        assert "7 decisions, 2 subjects, counted, 5 distinct" in repr(log)
        assert log.where(0) == "row 1 (subject 'ann'; 1 more alike)"


def test_the_counted_table_is_read_again_as_the_same_log(tmp_path: Path) -> None:
    frame = table(ended=[0, 0, 1, 0, 0, 0, 1], group=["x", "x", "x", "y", "y", "y", "x"])
    for source in sources(frame, tmp_path):
        log = hs.read(source, next_state="next", terminated="ended", counted=True, keep="group")
        again = log.to_dataframe()
        assert again.columns.tolist() == ["subject", "state", "action", "next", "ended", "group", "weight"]
        other = hs.read(again, next_state="next", terminated="ended", weight="weight", keep="group", counted=True)
        assert np.array_equal(log.weight, other.weight)
        assert np.array_equal(log.state, other.state)
        assert log.codebook == other.codebook


def test_contexts_and_states_of_several_columns(tmp_path: Path) -> None:
    frame = table(
        **{"state": None, "next": None, "maze": list("llrlllr")},
        **{"x": [0, 1, 0, 0, 1, 0, 0], "y": [5, 5, 5, 5, 6, 5, 5]},
        **{"nx": [1, None, 1, 0, 0, 0, 1], "ny": [5, None, 5, 5, 5, 5, 5]},
    )
    columns: dict[str, Any] = {"state": ["x", "y"], "next_state": ["nx", "ny"], "context": "maze"}
    for source in sources(frame, tmp_path):
        log = hs.read(source, **columns, counted=True)
        usual = hs.read(source, **columns, **COUNT)
        assert log.codebook == usual.codebook
        assert ("l", (1, 6)) in log.codebook.states
        pd.testing.assert_frame_equal(log.transition_counts(), usual.transition_counts().assign(starts=0))


def test_missing_responses_are_counted_in_a_row_of_their_own(tmp_path: Path) -> None:
    answers: list[Any] = ["go", None, "go", None, "stay", None, "go"]
    for source in sources(table(action=answers), tmp_path):
        log = hs.read(source, counted=True)
        missing = ~log.responded
        assert log.weight[missing].tolist() == [1.0, 2.0]
        assert log.codebook.actions.values == ("go", "stay")
        assert (log.next_state == -1).all(), "without a column of next states there are none"


def test_numbers_in_text_are_the_numbers_of_the_whole_column(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("subject,state,action\nann,1,3\nann,1.0,\nann,01,3\nann, 1,3\nann,2,4\n")
    log, usual = hs.read(path, counted=True), hs.read(path, **COUNT)
    assert log.codebook == usual.codebook
    assert log.codebook.states.values == (1, 2)
    assert log.codebook.actions.values == (3, 4)
    assert log.weight.tolist() == [1.0, 3.0, 1.0], "1, 01 and 1.0 are one state"
    path.write_text(path.read_text() + "ann,x,4\n")  # one word at the end makes all of them words
    assert hs.read(path, counted=True).codebook == hs.read(path, **COUNT).codebook


def test_categories_and_dictionaries_bring_only_labels_that_occur(tmp_path: Path) -> None:
    frame = table(state=pd.Categorical(list("abaabaa"), categories=list("abcd")))
    for source in sources(frame, tmp_path):
        assert hs.read(source, counted=True).codebook.states.values == ("a", "b")


def test_weights_are_summed(tmp_path: Path) -> None:
    frame = table(weight=[0.25, 1, 2.5, 3, 1, 4.5, 1])
    for source in sources(frame, tmp_path):
        log = hs.read(source, weight="weight", counted=True)
        assert log.weight.tolist() == [2.75, 1.0, 1.0, 7.5, 1.0]
        assert log.table_rows.tolist() == [2, 1, 1, 2, 1]


def test_columns_to_keep_group_people(tmp_path: Path) -> None:
    frame = table(group=["x", "x", "x", "y", "y", "y", "x"])
    log = hs.read(frame, counted=True, keep=["group"])
    assert log.group("group")[0].values == ("x", "y")
    with pytest.raises(LogError, match=r"no column 'group' to group people by.*keep=\['group'\]"):
        hs.read(frame, counted=True).group("group")
    people = pd.DataFrame({"subject": ["ann", "bob"], "age": [30, 40]})
    assert hs.read(frame, counted=True, participants=people).group("age")[0].values == (30, 40)


def test_an_earlier_codebook_keeps_its_codes() -> None:
    first = hs.read(table(), counted=True)
    later = hs.read(table(action=["a", *["go"] * 6]), counted=True, codebook=first.codebook)
    assert later.codebook.actions.values == ("go", "stay", "a")
    assert later.action.max() == 2


# what is refused, in the same words


@pytest.mark.parametrize(
    ("changes", "columns"),
    [
        ({"subject": ["ann", None, "ann", None, "bob", "bob", "ann"]}, {}),
        ({"state": [0.5, np.inf, 1.0, 2.0, -np.inf, 4.0, np.inf]}, {}),
        ({"action": [None] * 7}, {}),
        ({"weight": [1, 0, 2, -3.5, 1, 1, 1]}, {"weight": "weight"}),
        ({"weight": [1, np.nan, 1e200, 1, -np.inf, 1, 1]}, {"weight": "weight"}),
        ({"done": ["yes", "no"] * 3 + ["yes"]}, {"terminated": "done"}),
        ({"done": [1, 0, 2, 1, 1, 3, 0], "state": [None] * 7, "action": [None] * 7}, {"truncated": "done"}),
        ({"x": 1, "nx": 2, "ny": 3}, {"state": "x", "next_state": ["nx", "ny"]}),
        ({"state": None}, {}),
    ],
)
def test_problems_are_those_of_the_ordinary_reader(
    tmp_path: Path, changes: dict[str, Any], columns: dict[str, Any]
) -> None:
    for source in sources(table(**changes), tmp_path):
        usual, counted = refusals(source, **columns)
        assert counted == usual


def test_words_among_weights_and_objects_of_two_types() -> None:
    usual, counted = refusals(table(weight=[1, "one", 1, 1, "two", 1, 1]), weight="weight")
    assert counted == usual
    assert "not a number in 2 of 7 rows, first: row 2, 5: 'one'" in counted
    usual, counted = refusals(table(state=pd.Series([1, True, 1, 1, 2, 3, 1], dtype=object)))
    assert counted == usual
    usual, counted = refusals(table(state=pd.Series([[0, 1]] * 7)))
    assert counted == usual


def test_lists_in_a_parquet_file(tmp_path: Path) -> None:
    table(state=pd.Series([[0, 1]] * 7)).to_parquet(tmp_path / "log.parquet")
    usual, counted = refusals(tmp_path / "log.parquet")
    assert counted == usual


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("subject,state,action\n")
    assert refusals(path)[0] == refusals(path)[1] == "log.csv has a header but no rows"
    path.write_bytes(b"subject,state,action\nann,a,go\nann,\xe9,go\n")
    assert "log.csv is not UTF-8 text" in refusals(path)[1]
    damaged = tmp_path / "log.parquet"
    damaged.write_bytes(b"PAR1 no")
    assert "log.parquet cannot be read" in refusals(damaged)[1]
    assert "there is no file" in refusals(tmp_path / "nothing.csv")[1]
    assert "the table has no rows" in refusals(table()[:0])[1]
    with pytest.raises(UsageError, match="a path or a pandas DataFrame, not a dict"):
        unwrap(hs.read)({"a": 1}, counted=True)  # without the type checks of the tests


def test_a_column_to_keep_that_is_not_there() -> None:
    with pytest.raises(LogError, match=r"there is no column 'grp' for keep\. Did you mean 'group'"):
        hs.read(table(group=1), counted=True, keep=["grp"])


# what a counted log no longer knows


@pytest.mark.parametrize("by", ["episode", "time"])
def test_nothing_is_held_out_by_what_was_not_kept(by: Literal["episode", "time"]) -> None:
    log = hs.read(table(), counted=True)
    with pytest.raises(LogError, match=f"held out by {by}; split by subject, or read it without counted=True"):
        hs.split(log, by=by, seed=1)
    train, held_out = hs.split(log, by="subject", fraction=0.5, seed=1)
    assert train.num_decisions + held_out.num_decisions == 7
    assert train.counted


def test_transitions_need_a_column_of_next_states() -> None:
    with pytest.raises(LogError, match="name the column of the next state"):
        hs.read(table(), counted=True).transition_counts()
    counts = hs.read(table(), counted=True, next_state="next").transition_counts()
    assert counts["count"].sum() == 7
    assert hs.Task.from_counts(counts, discount=0.9).initial is None


@pytest.mark.parametrize("wanted", [{"by": "episode"}, {"timed": True}])
def test_counts_by_episode_or_time_are_refused(wanted: dict[str, Any]) -> None:
    log = hs.read(table(), counted=True)
    with pytest.raises(LogError, match=r"read it without counted=True to count decisions by (episode|time)"):
        log.counts(log.codebook.states, log.codebook.actions, **wanted)


def people(horizon: int | None = None) -> tuple[hs.BehaviorLog, hs.Task]:
    task = hs.Task.grid(MAZE, discount=0.95, legend={"L": "lava"}, slip=0.1, horizon=horizon)
    policy = hs.plan(task, {"goal": 1.0, "lava": -0.5}, temperature={f"p{i}": 0.4 + 0.1 * i for i in range(4)})
    return hs.simulate(policy, 12, seed=1, max_steps=20), task


ROLES: dict[str, Any] = {"state": ["state_0", "state_1"], "next_state": ["next_state_0", "next_state_1"]}


def test_a_horizon_is_refused_by_check_fit_and_identify() -> None:
    log, task = people(horizon=10)
    counted = hs.read(log.to_dataframe(), **ROLES, counted=True)
    found = hs.check(counted, task)
    assert found.loc[found["severity"] == "error", "problem"].tolist() == ["no_steps"]
    assert found["count"].iloc[0] == len(log)
    model = hs.SoftOptimalModel(task, hs.LinearReward(["goal", "lava"], {"goal": 1.0}), hs.PerSubject())
    with pytest.raises(LogError, match="the task has a horizon: what people do depends on the step"):
        hs.fit(model, counted)
    with pytest.raises(LogError, match="count decisions by time"):
        hs.identify(model, counted)


@pytest.mark.slow
def test_check_says_nothing_about_order_and_counts_rows_of_the_table() -> None:
    log, task = people()
    frame = log.to_dataframe().assign(terminated=False)
    frame.loc[frame["subject"] == "p1", "action"] = "up"
    frame.loc[5:7, "action"] = "jump"
    frame.loc[3, ["next_state_0", "next_state_1"]] = [2, 3]
    usual = hs.check(hs.read(frame, **ROLES, terminated="terminated"), task)
    counted = hs.check(hs.read(frame, **ROLES, terminated="terminated", counted=True), task)
    order = {"duplicate_step", "step_gap", "row_after_end", "truncated_episode"}
    same = ["problem", "severity", "count", "share"]
    expected = usual.loc[~usual["problem"].isin(order), same].reset_index(drop=True)
    pd.testing.assert_frame_equal(counted[same], expected)
    assert {"unknown_action", "impossible_transition", "constant_responder"} <= set(counted["problem"])


@pytest.mark.slow
def test_standard_errors_by_episode_are_not_available_and_others_are_the_same() -> None:
    log, task = people()
    counted = hs.read(log.to_dataframe(), **ROLES, counted=True)
    model = hs.SoftOptimalModel(task, hs.LinearReward(["goal", "lava"], {"goal": 1.0}), hs.PerSubject())
    usual, fitted = hs.fit(model, log), hs.fit(model, counted)
    with pytest.raises(NotAvailableError, match="counted while reading, which keeps no episodes"):
        fitted.std_errors("sandwich_by_episode")
    assert set(fitted.params.loc["log_temperature", "std_error_kind"]) == {"hessian"}
    for kind in ("hessian", "bhhh", "sandwich_by_subject"):
        pd.testing.assert_series_equal(fitted.std_errors(kind), usual.std_errors(kind), rtol=1e-7)
    scores = hs.score(fitted, counted), hs.score(fitted, log)
    pd.testing.assert_frame_equal(*scores, rtol=1e-9)


@pytest.mark.slow
def test_a_run_of_a_counted_log_is_saved_predicts_and_simulates(tmp_path: Path) -> None:
    log, task = people()
    model = hs.SoftOptimalModel(task, hs.LinearReward(["goal", "lava"], {"goal": 1.0}), hs.PerSubject())
    fitted = hs.fit(model, hs.read(log.to_dataframe(), **ROLES, counted=True))
    hs.save(fitted, tmp_path / "run")
    assert hs.load(tmp_path / "run") == fitted
    table = hs.predict(fitted, hs.read(log.to_dataframe(), **ROLES, counted=True))
    assert set(table["episode"]) == {1}
    starts = hs.simulate(fitted, episodes=3, seed=1)
    assert set(starts.to_dataframe().query("step == 0")["state_0"]) == {0}, "the task's own start"
    nowhere = hs.Task.grid(MAZE.replace("S", "."), discount=0.95, legend={"L": "lava"}, slip=0.1)
    model = hs.SoftOptimalModel(nowhere, hs.LinearReward(["goal", "lava"], {"goal": 1.0}), hs.PerSubject())
    fitted = hs.fit(model, hs.read(log.to_dataframe(), **ROLES, counted=True))
    with pytest.raises(UsageError, match="nobody knows where they start"):
        hs.simulate(fitted, episodes=3, seed=1)
