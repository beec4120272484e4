"""Cells and JSON: few digits for people, valid JSON for programs."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from humansoft.cli.tables import interval, label, number, print_table, records
from humansoft.cli.terminal import to_plain


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.071234, "0.0712"), (-3.0391, "-3.04"), (100.0, "100"), (12678.29, "12,678"), (1e-9, "1.00e-09")],
)
def test_numbers_have_few_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_open_intervals_are_bounds() -> None:
    assert interval(1.0, 2.0) == "1.00 to 2.00"
    assert interval(0.0, 0.31) == "< 0.310"
    assert interval(3.0, math.inf) == "> 3.00"
    assert interval(0.0, math.inf) == "any"
    assert interval(math.nan, math.nan) == ""


def test_labels_of_several_parts_are_read_aloud() -> None:
    assert label((0, ("N", None))) == "0, N, "


def test_whatever_a_table_holds_becomes_json() -> None:
    given = [np.float64("nan"), -math.inf, np.int64(3), True, pd.NA, pd.NaT, (1, "a"), Path("x"), None]
    assert to_plain(given) == [None, "-Infinity", 3, True, None, None, [1, "a"], "x", None]


def test_records_keep_a_named_index_and_any_column_name() -> None:
    table = pd.DataFrame({"95 % low": [1.0]}, index=pd.Index(["ann"], name="subject"))
    assert records(table) == [{"subject": "ann", "95 % low": 1.0}]


def test_long_tables_are_cut_and_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Title", {"who": [f"[{i}]" for i in range(25)]}, text=("who",))
    printed = capsys.readouterr().out
    assert "[19]" in printed
    assert "[20]" not in printed
    assert "... 5 more (use -o or --json)" in printed
