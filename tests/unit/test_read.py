"""Reading logs: roles, types, order, missing responses, and a sentence for every unreadable table."""

from inspect import unwrap  # what a caller without type checks meets
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from humansoft.errors import LogError, UsageError


def table(**changes: Any) -> pd.DataFrame:  # noqa: ANN401
    """Return a valid table of two people, with some columns replaced."""
    columns: dict[str, Any] = {
        "subject": ["ann", "ann", "ann", "bob", "bob", "bob"],
        "episode": [1, 1, 2, 1, 1, 1],
        "step": [0, 1, 0, 0, 1, 2],
        "state": ["a", "b", "a", "a", "b", "c"],
        "action": ["go", "go", "stay", "go", "stay", "go"],
    }
    return pd.DataFrame({k: v for k, v in (columns | changes).items() if v is not None})


def refusal(source: Any, **columns: Any) -> str:  # noqa: ANN401
    with pytest.raises(LogError) as error:
        hs.read(source, **columns)
    return str(error.value)


# what is read


def test_codes_follow_natural_order_and_next_states_come_from_the_next_row() -> None:
    log = hs.read(table().sample(frac=1, random_state=3))
    assert log.codebook.states.values == ("a", "b", "c")
    assert log.subjects == ("ann", "bob")
    assert log.state.tolist() == [0, 1, 0, 0, 1, 2]
    assert log.next_state.tolist() == [1, -1, -1, 1, 2, -1]
    assert log.time.tolist() == [0, 1, 0, 0, 1, 2]
    assert log.num_episodes == 3


def test_no_next_state_across_a_gap_nor_after_the_end() -> None:
    log = hs.read(table(step=[0, 5, 0, 0, 1, 2], done=[0, 0, 0, 1, 0, 0]), terminated="done")
    assert log.next_state.tolist() == [-1, -1, -1, -1, 2, -1]


def test_columns_that_are_not_there_can_be_switched_off() -> None:
    log = hs.read(table(subject=None, episode=None, step=None), subject=None, episode=None, step=None)
    assert log.subjects == ("all",)
    assert log.step.tolist() == list(range(6))


def test_whole_numbers_stay_whole_beside_missing_responses() -> None:
    log = hs.read(table(action=[3, 4, np.nan, 3, 4, 3], state=[1.0, 2.0, 1.0, 1.0, 2.0, 3.0]))
    assert log.codebook.actions.values == (3, 4)
    assert log.codebook.states.values == (1, 2, 3)
    assert log.responded.tolist() == [True, True, False, True, True, True]
    assert all(type(label) is int for label in log.codebook.states.values)


def test_states_of_several_columns_are_tuples_and_contexts_are_paired() -> None:
    maze = table(state=None, x=[0, 1, 0, 0, 1, 2], y=0, maze=["m"] * 3 + ["n"] * 3)
    assert hs.read(maze, state=["x", "y"]).codebook.states.values == ((0, 0), (1, 0), (2, 0))
    assert hs.read(maze, state=["x", "y"], context="maze").codebook.states.values[0] == ("m", (0, 0))


@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.parquet", "log.csv.gz", "LOG.CSV"])
def test_file_formats_read_alike(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        table().to_parquet(path)
    else:
        table().to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    log = hs.read(path)
    assert log == hs.read(table())
    assert log.source == name


def test_missing_value_of_bids_is_a_missing_response(tmp_path: Path) -> None:
    path = tmp_path / "sub-01_events.tsv"
    table(action=["go", "n/a", "go", "go", "go", "go"]).to_csv(path, index=False, sep="\t")
    assert hs.read(path).responded.tolist() == [True, False, True, True, True, True]


def test_earlier_codebook_keeps_its_codes_and_grows() -> None:
    old = hs.read(table()).codebook
    log = hs.read(table(action=["jump", "go", "stay", "go", "stay", "go"]), codebook=old)
    assert log.codebook.actions.values == ("go", "stay", "jump")
    assert log.codebook.states == old.states


def test_participants_bring_group_columns() -> None:
    people = pd.DataFrame({"subject": ["bob", "ann"], "group": ["old", "young"]})
    labels, codes = hs.read(table(), participants=people).group("group")
    assert labels.values == ("old", "young")
    assert codes.tolist() == [1, 0]


def test_a_held_out_log_needs_only_its_own_people_among_the_participants() -> None:
    old = hs.read(table()).codebook
    bob = table()[3:]
    people = pd.DataFrame({"subject": ["bob"], "group": ["old"]})
    assert hs.read(bob, participants=people, codebook=old).group("group")[1].tolist() == [-1, 0]


def test_where_names_a_row_in_plain_words() -> None:
    assert hs.read(table()).where(4) == "row 5 (subject 'bob', episode 1, step 1)"


def test_transition_counts_tell_ends_starts_and_what_is_not_known() -> None:
    log = hs.read(
        table(done=[0, 1, 0, 0, 0, 1], weight=[1, 2, 1, 1, 1, 3], action=["go", "go", None, "go", "stay", "go"]),
        terminated="done",
        weight="weight",
    )
    counts = log.transition_counts()
    assert counts.to_dict("list") == {
        "state": ["a", "a", "b", "b", "c"],
        "action": [None, "go", "go", "stay", "go"],
        "next_state": [None, "b", None, "c", None],
        "count": [0.0, 2.0, 2.0, 1.0, 3.0],
        "ended": [False, False, True, False, True],
        "starts": [3, 0, 0, 0, 0],
    }


def test_transition_counts_keep_contexts_apart() -> None:
    counts = hs.read(table(maze=["m"] * 3 + ["n"] * 3), context="maze").transition_counts()
    assert list(counts.columns[:3]) == ["context", "state", "action"]
    assert counts[counts["context"] == "n"]["next_state"].tolist() == ["b", "c", None]


# what is refused


def test_missing_columns_are_all_named_with_a_hint() -> None:
    message = refusal(table().rename(columns={"action": "acton", "subject": "person"}))
    assert "2 problems" in message
    assert "no column 'action'" in message
    assert "Did you mean 'acton'?" in message
    assert "no column 'subject'" in message
    assert "subject=None" in message


def test_wrong_dtypes_are_named_with_their_rows() -> None:
    message = refusal(table(step=[0, "one", 0, 0, 1, 2], done=["yes"] * 6), terminated="done")
    assert "column 'step' (step) is not a number in 1 of 6 rows, first: row 2: 'one'" in message
    assert "column 'done' (terminated) is not true/false or 1/0" in message


def test_steps_must_be_whole() -> None:
    assert "not a whole number in 1 of 6 rows, first: row 2: 0.5" in refusal(table(step=[0, 0.5, 0, 0, 1, 2]))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_infinite_or_huge_numbers(value: float) -> None:
    assert "infinite or huge in 1 of 6 rows, first: row 2" in refusal(table(step=[0, value, 0, 0, 1, 2]))
    weights = table(weight=[1, value, 1, 1, 1, 1])
    if value > 1e100 and np.isfinite(value):
        message = refusal(weights, weight="weight")
        assert "infinite or huge" in message
    else:
        assert "infinite or huge" in refusal(weights, weight="weight")


def test_infinite_states() -> None:
    message = refusal(table(state=[0.5, np.inf, 1.0, 2.0, 3.0, 4.0]))
    assert "column 'state' (state) is infinite in 1 of 6 rows, first: row 2" in message


@pytest.mark.parametrize("value", [0, -1.5])
def test_weights_must_be_positive(value: float) -> None:
    message = refusal(table(weight=[1, 1, value, 1, 1, 1]), weight="weight")
    assert "zero or negative in 1 of 6 rows, first: row 3" in message
    assert "drop rows" in message


def test_mixed_types() -> None:
    message = refusal(table(state=["a", 1, "a", "a", "b", "c"]))
    assert "column 'state' (state) mixes numbers and text: 1 of 6 rows, first: row 2 holds 1" in message


def test_true_is_not_one() -> None:
    message = refusal(table(state=pd.Series([1, True, 1, 1, 2, 3], dtype=object)))
    assert "mixes numbers and true/false" in message


def test_lists_are_not_labels() -> None:
    message = refusal(table(state=pd.Series([[0, 1]] * 6)))
    assert "holds lists or arrays in 6 of 6 rows" in message
    assert "column of its own" in message


def test_empty_cells_where_there_must_be_a_label() -> None:
    message = refusal(table(subject=["ann", None, "ann", "bob", "bob", "bob"]))
    assert "column 'subject' (subject) is empty in 1 of 6 rows, first: row 2" in message


def test_all_responses_missing() -> None:
    assert "all responses are missing" in refusal(table(action=[None] * 6))


def test_all_problems_are_listed_at_once() -> None:
    message = refusal(table(step=[0, "one", 0, 0, 1, 2], action=[None] * 6, state=["a", 1, "a", "a", "b", "c"]))
    assert "3 problems" in message
    assert "\n  3. " in message


def test_no_rows() -> None:
    assert "the table has no rows" in refusal(table()[:0])


def test_column_twice_in_the_header() -> None:
    message = refusal(pd.concat([table(), table()[["action"]]], axis=1))
    assert "'action' stand twice in the header" in message


def test_next_state_with_fewer_columns_than_state() -> None:
    message = refusal(table(x=1, y=2, nx=1), state=["x", "y"], next_state="nx")
    assert "state has 2 columns but next_state has 1" in message


def test_not_a_table() -> None:
    with pytest.raises(UsageError, match="not a list"):
        unwrap(hs.read)([1, 2])


# damaged files


def test_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text("x")
    assert "Did you mean 'trials.csv'?" in refusal(tmp_path / "trails.csv")
    assert "does not exist" in refusal(tmp_path / "nowhere" / "log.csv")


def test_unknown_format(tmp_path: Path) -> None:
    path = tmp_path / "log.xlsx"
    path.write_bytes(b"PK")
    assert "log.xlsx: cannot tell the format from the name; use .csv" in refusal(path)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("")
    assert "log.csv is empty: not even a header line" in refusal(path)
    path.write_text("subject,state,action\n")
    assert "log.csv has a header but no rows" in refusal(path)


def test_unreadable_encoding(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes("subject,episode,step,state,action\nJosé,1,1,a,go\n".encode("latin-1"))
    message = refusal(path)
    assert "log.csv is not UTF-8 text" in message
    assert "encoding=" in message


def test_truncated_parquet(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    table().to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    message = refusal(path)
    assert "log.parquet cannot be read" in message
    assert "damaged or cut short" in message


def test_truncated_gzip(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    table().to_csv(path, index=False)
    path.write_bytes(path.read_bytes()[:-12])
    assert "log.csv.gz cannot be read" in refusal(path)


# participants and groups


def test_one_person_with_two_rows_of_participants() -> None:
    people = pd.DataFrame({"subject": ["ann", "ann", "bob"], "group": ["x", "y", "x"]})
    message = refusal(table(), participants=people)
    assert "participants table DataFrame: subjects 'ann' have rows with different values" in message


def test_people_without_a_row_of_participants() -> None:
    people = pd.DataFrame({"subject": ["ann", "bobb"], "group": ["x", "y"]})
    message = refusal(table(), participants=people)
    assert "1 subjects of the log are missing: 'bob'. Did you mean 'bobb'?" in message


def test_participants_in_another_type() -> None:
    people = pd.DataFrame({"subject": ["1", "2"], "group": ["x", "y"]})
    message = refusal(table(subject=[1, 1, 1, 2, 2, 2]), participants=people)
    assert "'1' (str) is known, this is 1 (int)" in message


def test_group_column_with_two_values_for_a_person() -> None:
    log = hs.read(table(group=["x", "y", "x", "x", "x", "x"]))
    with pytest.raises(LogError, match=r"more than one value for 1 of 2 subjects \('ann'\)"):
        log.group("group")


def test_group_column_that_is_not_there() -> None:
    with pytest.raises(LogError, match="Did you mean 'step'"):
        hs.read(table()).group("stepp")


# splitting


def test_split_by_time_holds_out_the_last_decisions() -> None:
    train, held_out = hs.split(hs.read(table()), by="time", fraction=0.4)
    assert held_out.state.tolist() == [2]
    assert len(train) == 5


def test_every_person_with_two_episodes_is_on_both_sides() -> None:
    log = hs.read(
        pd.DataFrame(
            {"subject": np.repeat([1, 2, 3], [2, 20, 1]), "episode": range(23), "step": 0, "state": 0, "action": 0}
        )
    )
    train, held_out = hs.split(log, by="episode", fraction=0.9, seed=1)
    assert train.subjects == (1, 2, 3)
    assert held_out.subjects == (1, 2)
    assert (held_out.subject == 1).sum() == 18


@pytest.mark.parametrize(("people", "fraction"), [(2, 0.9), (2, 0.1), (3, 0.99)])
def test_split_by_subject_leaves_people_on_both_sides(people: int, fraction: float) -> None:
    log = hs.read(pd.DataFrame({"subject": range(people), "step": 0, "state": 0, "action": 0}), episode=None)
    train, held_out = hs.split(log, by="subject", fraction=fraction, seed=1)
    assert train.subjects
    assert held_out.subjects


def test_split_refuses_what_cannot_be_done() -> None:
    log = hs.read(table())
    with pytest.raises(UsageError, match="Did you mean 'subject'"):
        unwrap(hs.split)(log, by="subjects")
    with pytest.raises(UsageError, match="seed="):
        hs.split(log, by="subject")
    with pytest.raises(UsageError, match="between 0 and 1"):
        hs.split(log, by="time", fraction=1.0)
    with pytest.raises(LogError, match="no episode is long enough"):
        hs.split(log, by="time", fraction=0.1)
    alone = log.select(log.subject == 1)
    with pytest.raises(LogError, match="only one person"):
        hs.split(alone, by="subject", seed=1)
    with pytest.raises(LogError, match="only one episode"):
        hs.split(alone, by="episode", seed=1)


def test_conditions_make_subjects_as_by_condition_does() -> None:
    table = pd.DataFrame(
        {
            "subject": ["a", "a", "b"],
            "episode": [1, 2, 3],
            "step": [0, 0, 0],
            "state": ["s", "s", "s"],
            "action": ["l", "r", "l"],
            "block": ["x", "y", "x"],
        }
    )
    log = hs.read(table, conditions="block")
    assert list(log.subjects) == list(hs.by_condition(hs.read(table), "block").subjects) == ["a/x", "a/y", "b/x"]
    assert log.columns.conditions == ("block",)
    counted = hs.read(table, conditions="block", counted=True)
    assert list(counted.subjects) == list(log.subjects)
    with pytest.raises(hs.errors.UsageError, match=r"no column 'blok'. Did you mean 'block'"):
        hs.read(table, conditions="blok")
