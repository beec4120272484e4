"""check: every finding with its count, place and sentence, and require_valid's numbered refusal."""

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from humansoft.checking import require_valid
from humansoft.errors import LogError

#  x: 0 1 2
MAZE = """
S.G
...
"""


def maze(**options: Any) -> hs.Task:  # noqa: ANN401
    return hs.Task.grid(MAZE, coordinates="x_y", **({"discount": 0.95} | options))


def log(
    rows: list[tuple[Any, ...]],
    columns: str = "subject episode step x y action",
    **options: Any,  # noqa: ANN401
) -> hs.BehaviorLog:
    table = pd.DataFrame(rows, columns=columns.split(), dtype=object)
    return hs.read(table, **({"state": ["x", "y"]} | options))


GOOD = [
    ("ann", 1, 0, 0, 1, "right"),
    ("ann", 1, 1, 1, 1, "right"),
    ("bob", 1, 0, 0, 1, "down"),
    ("bob", 1, 1, 0, 0, "up"),
]
FOLLOWED = "subject episode step x y action nx ny"


def found(log: hs.BehaviorLog, task: hs.Task) -> dict[str, "pd.Series[Any]"]:
    """Return the findings by their key, after looking at the table itself."""
    table = hs.check(log, task)
    assert list(table.columns) == ["problem", "severity", "count", "share", "first_rows", "message"]
    assert table["problem"].is_unique
    assert table["share"].between(0, 1).all()
    order = table["severity"].map({"error": 0, "warning": 1, "note": 2})
    assert order.is_monotonic_increasing
    return {row["problem"]: row for _, row in table.iterrows()}


def errors(log: hs.BehaviorLog, task: hs.Task) -> set[str]:
    return {key for key, row in found(log, task).items() if row["severity"] == "error"}


def followed(*rows: tuple[Any, ...], columns: str = FOLLOWED, **options: Any) -> hs.BehaviorLog:  # noqa: ANN401
    return log(list(rows), columns, next_state=["nx", "ny"], **options)


# a good log


def test_a_good_log_has_only_notes() -> None:
    findings = found(log(GOOD), maze())
    assert set(findings) == {"truncated_episode"}
    note = findings["truncated_episode"]
    assert note["severity"] == "note"
    assert note["count"] == 2
    assert note["share"] == 0.5
    assert note["first_rows"] == "row 2 (subject 'ann', episode 1, step 1); row 4 (subject 'bob', episode 1, step 1)"
    require_valid(log(GOOD), maze())


def test_last_row_that_names_the_goal_is_the_end() -> None:
    ended = log([*GOOD[:2], ("ann", 1, 2, 2, 1, None)])
    assert set(found(ended, maze())) == {"missing_response"}


# labels that the task does not have


def test_unknown_action_with_hint() -> None:
    findings = found(log([*GOOD, ("bob", 1, 2, 0, 1, "rihgt")]), maze())
    message = findings["unknown_action"]["message"]
    assert findings["unknown_action"]["count"] == 1
    assert "1 of 5 rows have an action that the task does not know" in message
    assert "first row 5 (subject 'bob', episode 1, step 2): 'rihgt'" in message
    assert message.endswith("Did you mean 'right'?")


def test_state_that_is_never_in_the_task() -> None:
    findings = found(log([*GOOD, ("bob", 1, 2, 7, 7, "up")]), maze())
    assert findings["unknown_state"]["severity"] == "error"
    assert "row 5 (subject 'bob', episode 1, step 2): (7, 7). Did you mean" in findings["unknown_state"]["message"]


def test_number_against_text() -> None:
    task = hs.Task.table(pd.DataFrame({"state": [1, 2], "action": "go", "next_state": [2, 3]}), discount=0.9)
    table = pd.DataFrame({"subject": 1, "step": [0, 1], "state": ["1", "2"], "action": "go"})
    message = found(hs.read(table, episode=None), task)["unknown_state"]["message"]
    assert "1 (int) is known, this is '1' (str): make the types agree" in message
    assert "column.astype('int')" in message


def test_number_against_text_in_one_of_two_columns() -> None:
    message = found(log([("ann", 1, 0, "0", 1, "up")]), maze())["unknown_state"]["message"]
    assert "0 (int) is known, this is '0' (str): make the types agree" in message


def test_log_of_another_task() -> None:
    other = hs.read(
        pd.DataFrame({"subject": 1, "step": range(16), "state": [f"s{i}" for i in range(16)], "action": "press"}),
        episode=None,
    )
    message = found(other, maze())["unknown_state"]["message"]
    assert "none of the log's 16 states is in the task: is this the log of another task?" in message
    with pytest.raises(LogError, match="2 problems") as error:
        require_valid(other, maze())
    assert str(error.value).startswith("DataFrame: ")
    assert "action that the task does not know" in str(error.value)


def test_context_without_column_and_column_without_context() -> None:
    union = hs.Task.union({"left": maze(), "right": maze()})
    message = found(log(GOOD), union)["context_column"]["message"]
    assert "the task has contexts" in message
    assert "context=" in message
    assert "'left', 'right'" in message
    paired = log([(*row, "left") for row in GOOD], "subject episode step x y action maze", context="maze")
    assert "Task.union" in found(paired, maze())["context_column"]["message"]
    assert errors(paired, union) == set()


def test_codebook_of_an_earlier_log_without_contexts() -> None:
    old = log(GOOD).codebook
    paired = log([(*row, "left") for row in GOOD], "subject episode step x y action maze", context="maze", codebook=old)
    assert errors(paired, hs.Task.union({"left": maze()})) == set()


def test_unknown_context_and_state_of_another_context() -> None:
    small = hs.Task.grid("S.G\n", discount=0.95, coordinates="x_y")
    union = hs.Task.union({"big": maze(), "small": small})
    rows = [("ann", 1, 0, 0, 1, "up", "bigg"), ("ann", 2, 0, 0, 1, "up", "small"), ("ann", 3, 0, 0, 0, "up", "small")]
    findings = found(log(rows, "subject episode step x y action maze", context="maze"), union)
    assert "'bigg'. Did you mean 'big'?" in findings["unknown_context"]["message"]
    assert "(0, 1) in context 'small'." in findings["unknown_state"]["message"]
    assert findings["unknown_context"]["count"] == findings["unknown_state"]["count"] == 1


# decisions and transitions that the task rules out


def test_action_that_is_not_available() -> None:
    table = pd.DataFrame({"state": ["a", "a", "b"], "action": ["go", "stay", "go"], "next_state": ["b", "a", "c"]})
    task = hs.Task.table(table, discount=0.9)
    rows = pd.DataFrame({"subject": 1, "step": [0, 1], "state": ["a", "b"], "action": ["go", "stay"]})
    message = found(hs.read(rows, episode=None), task)["unavailable_action"]["message"]
    assert "'stay' in state 'b'. Available there: 'go'" in message


def test_decision_in_a_terminal_state() -> None:
    findings = found(log([("ann", 1, 0, 2, 1, "left")]), maze())
    assert findings["decision_in_terminal_state"]["severity"] == "error"
    assert "(2, 1)" in findings["decision_in_terminal_state"]["message"]
    assert "unavailable_action" not in findings


def test_impossible_transition_is_an_error_under_an_exact_task() -> None:
    jump = [("ann", 1, 0, 0, 1, "right"), ("ann", 1, 1, 1, 0, "right")]
    findings = found(log(jump), maze())
    message = findings["impossible_transition"]["message"]
    assert findings["impossible_transition"]["severity"] == "error"
    assert "'right' in state (0, 1) led to (1, 0), possible are (1, 1)" in message
    with pytest.raises(LogError, match="impossible transition"):
        require_valid(log(jump), maze())


def test_unseen_transition_is_a_warning_under_an_estimated_task() -> None:
    task = hs.Task.from_counts(log(GOOD).transition_counts(), discount=0.95)
    new = followed(("ann", 1, 0, 0, 1, "right", 0, 1), ("ann", 1, 1, 0, 1, "right", 9, 9))
    findings = found(new, task)
    assert errors(new, task) == set()
    assert findings["unseen_transition"]["severity"] == "warning"
    assert "still scored" in findings["unseen_transition"]["message"]
    assert findings["unknown_next_state"]["severity"] == "warning"
    require_valid(new, task)


def test_next_state_that_is_not_in_the_task() -> None:
    findings = found(followed(("ann", 1, 0, 0, 1, "right", 9, 9)), maze())
    assert findings["unknown_next_state"]["severity"] == "error"
    assert "(9, 9)" in findings["unknown_next_state"]["message"]


def test_unknown_labels_are_reported_once_and_left_out_of_the_rest() -> None:
    rows = [
        ("ann", 1, 0, 0, 1, "jump"),
        ("ann", 1, 1, 7, 7, "up"),
        ("ann", 1, 2, 7, 7, None),
        ("ann", 1, 3, 2, 0, "up"),
    ]
    assert errors(log(rows), maze()) == {"unknown_action", "unknown_state"}


def test_discount_one_refuses_states_without_a_way_to_the_end() -> None:
    enclosed = hs.Task.grid("S.G#.\n...#.", discount=1.0, coordinates="x_y")
    assert errors(log(GOOD), enclosed) == set(), "enclosed cells are fine while nobody is in them"
    findings = found(log([*GOOD, ("eve", 1, 0, 4, 1, "up")]), enclosed)
    message = findings["endless_state"]["message"]
    assert findings["endless_state"]["count"] == 1
    assert "cannot reach a terminal state" in message
    assert "row 5 (subject 'eve', episode 1, step 0): (4, 1)" in message
    assert "discount below 1" in message


def test_discount_one_refuses_actions_without_a_way_to_the_end() -> None:
    table = pd.DataFrame(
        {"state": ["a", "a", "trap"], "action": ["go", "fall", "go"], "next_state": ["end", "trap", "trap"]}
    )
    rows = pd.DataFrame({"subject": 1, "episode": [1, 2], "step": 0, "state": "a", "action": ["go", "fall"]})
    findings = found(hs.read(rows), hs.Task.table(table, discount=1.0))
    assert "'fall' in state 'a'" in findings["endless_action"]["message"]
    assert errors(hs.read(rows), hs.Task.table(table, discount=0.99)) == set()


def test_decisions_beyond_the_horizon() -> None:
    findings = found(log(GOOD), maze(horizon=1))
    assert findings["beyond_horizon"]["count"] == 2
    assert "horizon=1" in findings["beyond_horizon"]["message"]
    assert "beyond_horizon" not in found(log(GOOD), maze(horizon=2))
    assert "truncated_episode" not in found(log(GOOD), maze(horizon=2))


# how it was recorded


def test_duplicate_steps() -> None:
    twice = log([*GOOD, ("bob", 1, 1, 0, 0, "up"), ("bob", 1, 1, 0, 0, "up")])
    row = found(twice, maze())["duplicate_step"]
    assert row["severity"] == "error"
    assert row["count"] == 2
    assert "repeat the subject, episode and step" in row["message"]
    assert "row 5 (subject 'bob', episode 1, step 1)" in row["first_rows"]


def test_same_step_of_other_episodes_and_people_is_no_duplicate() -> None:
    assert "duplicate_step" not in found(log(GOOD), maze())


def test_gaps_in_step() -> None:
    rows = [*GOOD[:2], ("ann", 1, 5, 0, 0, "up"), *GOOD[2:]]
    row = found(log(rows), maze())["step_gap"]
    assert row["severity"] == "warning"
    assert row["first_rows"] == "row 3 (subject 'ann', episode 1, step 5)"


def test_constant_responders_and_people_without_a_choice() -> None:
    lazy = [("eve", k, 0, 1, 1, "up") for k in range(10)]
    row = found(log([*GOOD, *lazy]), maze())["constant_responder"]
    assert row["severity"] == "warning"
    assert row["count"] == 10
    assert "'eve'" in row["message"]
    assert "always 'up'" in row["message"]
    assert row["first_rows"] == "row 5 (subject 'eve', episode 0, step 0)"
    assert "constant_responder" not in found(log([*GOOD, *lazy[:9]]), maze())
    none = found(log([*GOOD, ("zoe", 1, 0, 0, 1, None)]), maze())["subject_without_choice"]
    assert none["count"] == 1
    assert "'zoe'" in none["message"]


def test_single_options_and_missing_responses_are_counted_notes() -> None:
    table = pd.DataFrame({"state": ["a", "a", "b"], "action": ["go", "stay", "go"], "next_state": ["b", "a", "c"]})
    task = hs.Task.table(table, discount=0.9)
    rows = pd.DataFrame({"subject": 1, "step": [0, 1, 2], "state": ["a", "a", "b"], "action": [None, "go", "go"]})
    findings = found(hs.read(rows, episode=None), task)
    assert findings["single_option"]["count"] == findings["missing_response"]["count"] == 1
    assert findings["single_option"]["severity"] == findings["missing_response"]["severity"] == "note"


def test_ends_that_disagree_with_the_task() -> None:
    columns = f"{FOLLOWED} done"
    rows = [
        ("ann", 1, 0, 0, 1, "right", 1, 1, True),
        ("bob", 1, 0, 1, 1, "right", 2, 1, False),
        ("bob", 1, 1, 0, 1, "up", 0, 1, False),
    ]
    findings = found(followed(*rows, columns=columns, terminated="done"), maze())
    assert findings["terminated_elsewhere"]["first_rows"].startswith("row 1 ")
    assert findings["row_after_end"]["first_rows"].startswith("row 3 ")
    assert findings["truncated_episode"]["count"] == 1


def test_all_errors_are_numbered_behind_the_name_of_the_log(tmp_path: Any) -> None:  # noqa: ANN401
    path = tmp_path / "pilot.csv"
    table = log([*GOOD, ("bob", 1, 1, 0, 0, "up"), ("bob", 1, 9, 7, 7, "jump")]).to_dataframe()
    table.to_csv(path, index=False)
    with pytest.raises(LogError) as error:
        require_valid(hs.read(path, state=["x", "y"]), maze())
    message = str(error.value)
    assert message.startswith("pilot.csv: 3 problems\n  1. ")
    assert "\n  3. " in message


def test_selecting_everything_away_is_an_error_not_a_crash() -> None:
    empty = log(GOOD).select(np.zeros(4, dtype=bool))
    assert errors(empty, maze()) == {"no_decisions"}
    silent = log([*GOOD, ("zoe", 1, 0, 0, 1, None)])
    assert "no_decisions" in errors(silent.select(~silent.responded), maze())


def test_a_large_log_is_checked_within_seconds() -> None:
    rng = np.random.default_rng(0)
    task = hs.Task.grid("\n".join(["." * 20] * 20), discount=0.95)
    actions = np.array(task.actions.values, dtype=object)
    table = pd.DataFrame(
        {
            "subject": np.repeat(np.arange(50), 2000),
            "step": np.tile(np.arange(2000), 50),
            "row": rng.integers(0, 20, 100_000),
            "column": rng.integers(0, 20, 100_000),
            "action": actions[rng.integers(0, 4, 100_000)],
        }
    )
    large = hs.read(table, episode=None, state=["row", "column"])
    start = time.perf_counter()
    assert "impossible_transition" in errors(large, task)
    assert time.perf_counter() - start < 5
