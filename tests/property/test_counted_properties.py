"""Counted logs: whatever the table and wherever the pieces are cut, nothing about the decisions is lost."""

from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import humansoft as hs
from humansoft.data import streams
from tests.property.test_log_properties import tables

pieces = st.integers(1, 7)


def count(table: pd.DataFrame, piece: int) -> hs.BehaviorLog:
    with mock.patch.object(streams, "_PIECE", piece):
        return hs.read(table, weight="weight", terminated="ended", counted=True)


@given(tables(), pieces)
@settings(max_examples=60)
@pytest.mark.slow
def test_counts_are_those_of_the_ordinary_log(table: pd.DataFrame, piece: int) -> None:
    usual, counted = hs.read(table, weight="weight", terminated="ended"), count(table, piece)
    assert counted.codebook == usual.codebook
    ours = counted.counts(usual.codebook.states, usual.codebook.actions)
    theirs = usual.counts(usual.codebook.states, usual.codebook.actions)
    for name in ("subject", "state", "action", "weight"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name))
    assert counted.weight.sum() == pytest.approx(table["weight"].sum(), rel=1e-12)
    assert counted.num_decisions == len(table)
    keys = ["subject", "state", "action", "ended"]
    assert len(counted) == len(table.drop_duplicates(keys))


@given(tables(), pieces, pieces)
@settings(max_examples=60)
@pytest.mark.slow
def test_it_does_not_matter_where_the_pieces_are_cut(table: pd.DataFrame, one: int, other: int) -> None:
    first, second = count(table, one), count(table, other)
    assert first == second
    assert np.array_equal(first.row, second.row)
    pd.testing.assert_frame_equal(first.to_dataframe(), second.to_dataframe())


@given(st.integers(0, 10**6), pieces)
@settings(max_examples=6)
@pytest.mark.slow
def test_a_fit_is_that_of_the_ordinary_log(seed: int, piece: int) -> None:
    task = hs.Task.grid("S..L\n.#..\n..LG", discount=0.95, legend={"L": "lava"}, slip=0.1)
    policy = hs.plan(task, {"goal": 1.0, "lava": -0.5}, temperature={"ann": 0.4, "bob": 0.7})
    log = hs.simulate(policy, 12, seed=seed, max_steps=20)
    roles = {"state": ["state_0", "state_1"], "next_state": ["next_state_0", "next_state_1"]}
    with mock.patch.object(streams, "_PIECE", piece):
        counted = hs.read(log.to_dataframe(), **roles, terminated="terminated", counted=True)  # type: ignore[arg-type]
    model = hs.SoftOptimalModel(task, hs.LinearReward(["goal", "lava"], {"goal": 1.0}), hs.PerSubject())
    usual, fitted = hs.fit(model, log), hs.fit(model, counted)
    assert fitted.log_likelihood == pytest.approx(usual.log_likelihood, rel=1e-10)
    pd.testing.assert_series_equal(fitted.params["estimate"], usual.params["estimate"], rtol=1e-7)
    assert fitted.num_decisions == usual.num_decisions
    assert fitted.rank == usual.rank
    if not (usual.params["boundary"] != "").any():
        pd.testing.assert_series_equal(fitted.std_errors("hessian"), usual.std_errors("hessian"), rtol=1e-6)
