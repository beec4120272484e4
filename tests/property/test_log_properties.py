"""Logs and splits: what has to hold for any table of decisions."""

from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import humansoft as hs
from humansoft.errors import LogError

labels = st.one_of(
    st.lists(st.integers(-5, 5), min_size=1, max_size=4, unique=True),
    st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=4, unique=True),
)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a valid table in any row order: people, episodes of unequal length, gaps, missing responses."""
    people, states, actions = draw(labels), draw(labels), draw(labels)
    rows: list[tuple[Any, ...]] = []
    for person in people:
        for episode in range(draw(st.integers(1, 3))):
            steps = draw(st.lists(st.integers(-3, 20), min_size=1, max_size=5, unique=True))
            last = max(steps)
            for step in steps:
                action = draw(st.one_of(st.none(), st.sampled_from(actions)))
                weight = draw(st.sampled_from([1.0, 2.0, 0.5]))
                ended = step == last and draw(st.booleans())
                rows.append((person, episode, step, draw(st.sampled_from(states)), action, weight, ended, step * 0.1))
    columns = ["subject", "episode", "step", "state", "action", "weight", "ended", "rt"]
    table = pd.DataFrame(rows, columns=columns)
    assume(table["action"].notna().any())
    return table.iloc[draw(st.permutations(range(len(table))))].reset_index(drop=True)


def read(table: pd.DataFrame) -> hs.BehaviorLog:
    return hs.read(table, weight="weight", terminated="ended")


@given(tables(), st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_row_order_does_not_matter(table: pd.DataFrame, random: Any) -> None:  # noqa: ANN401
    order = list(range(len(table)))
    random.shuffle(order)
    assert read(table.iloc[order]) == read(table)


@given(tables())
@settings(max_examples=50)
def test_to_dataframe_gives_the_table_back(table: pd.DataFrame) -> None:
    log = read(table)
    pd.testing.assert_frame_equal(log.to_dataframe(), table)
    assert read(log.to_dataframe()) == log


@given(tables())
@settings(max_examples=50)
def test_labels_come_back_from_codes(table: pd.DataFrame) -> None:
    log = read(table)
    ordered = table.iloc[log.row]
    assert log.codebook.states.decode(log.state.tolist()) == ordered["state"].tolist()
    assert log.codebook.subjects.decode(log.subject.tolist()) == ordered["subject"].tolist()
    assert [a is not None for a in log.codebook.actions.decode(log.action.tolist())] == ordered[
        "action"
    ].notna().tolist()
    assert (log.time >= 0).all()


def divisible(log: hs.BehaviorLog, by: str, fraction: float) -> bool:
    """Say whether there is something to hold out."""
    if by == "subject":
        return len(log.subjects) > 1
    if by == "episode":
        return log.num_episodes > len(log.subjects)
    return int(np.bincount(log.episode).max()) * fraction >= 1


@given(tables(), st.sampled_from(["subject", "episode", "time"]), st.floats(0.05, 0.95), st.integers(0, 99))
@settings(max_examples=80)
def test_splits_partition_the_log(
    table: pd.DataFrame, by: Literal["subject", "episode", "time"], fraction: float, seed: int
) -> None:
    log = read(table)
    if not divisible(log, by, fraction):
        with pytest.raises(LogError, match=r"only one|long enough"):
            hs.split(log, by=by, fraction=fraction, seed=seed)
        return
    train, held_out = hs.split(log, by=by, fraction=fraction, seed=seed)
    assert sorted([*train.row, *held_out.row]) == list(range(len(log)))
    assert len(train) > 0
    assert len(held_out) > 0
    assert train.codebook is log.codebook
    assert held_out.codebook is log.codebook
    if by == "time":
        assert set(train.episode) == set(log.episode), "every episode keeps its beginning"
    else:
        assert set(train.episode).isdisjoint(held_out.episode)
    if by == "subject":
        assert set(train.subject).isdisjoint(held_out.subject)
    if by == "episode":
        assert set(train.subject) == set(log.subject), "something is left to learn from of every person"
    again = hs.split(log, by=by, fraction=fraction, seed=seed)
    assert (train, held_out) == again


@given(tables())
@settings(max_examples=50)
def test_counts_keep_every_decision(table: pd.DataFrame) -> None:
    log = read(table)
    counts = log.counts(log.codebook.states, log.codebook.actions)
    assert counts.weight.sum() == pytest.approx(log.weight[log.responded].sum())
    by_hand = table.dropna(subset="action").groupby(["subject", "state", "action"])["weight"].sum()
    assert len(counts.weight) == len(by_hand)
    assert np.allclose(np.sort(counts.weight), np.sort(by_hand))


@given(tables())
@settings(max_examples=50)
def test_transition_counts_keep_every_known_transition(table: pd.DataFrame) -> None:
    log = read(table)
    counts = log.transition_counts()
    known = log.responded & ((log.next_state >= 0) | log.terminated)
    assert counts["count"].sum() == pytest.approx(log.weight[known].sum())
    assert counts["starts"].sum() == log.num_episodes
    assert set(counts["state"]) == set(table["state"])
    assert not counts.duplicated(["state", "action", "next_state", "ended"]).any()
