"""Link flows in a real city: the recorded trips through Borlange, at the published costs of its streets."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import humansoft as hs
from analysis.replications.borlange_routes import PUBLISHED, fitted

pytestmark = pytest.mark.slow

City = tuple[hs.BehaviorLog, hs.Task]


@pytest.fixture(scope="module")
def city(real_data: Callable[[str], Path]) -> City:
    path = real_data("borlange_routes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUMANSOFT_DATA", str(path.parent))
        return hs.load_dataset("borlange_routes")


@pytest.fixture(scope="module")
def drivers(city: City) -> hs.Policy:
    return hs.plan(city[1], {name: float(value) for name, (value, _) in PUBLISHED.items()}, planner="entropy")


@pytest.fixture(scope="module")
def begun(city: City) -> dict[tuple[int, int], int]:
    """Number of recorded trips by goal and first link."""
    return trips_of(city[0])


def trips_of(log: hs.BehaviorLog) -> dict[tuple[int, int], int]:
    first = log.frame[log.episode_start]
    return dict(Counter(zip(first["context"].tolist(), first["state"].tolist(), strict=True)))


@pytest.fixture(scope="module")
def flows(drivers: hs.Policy, begun: dict[tuple[int, int], int]) -> pd.DataFrame:
    return hs.occupancy(drivers, begun, least_share=0.0)


def by_link(table: pd.DataFrame) -> "pd.Series[float]":
    return table.groupby("link")["visits"].sum()


def test_every_trip_arrives(flows: pd.DataFrame, begun: dict[tuple[int, int], int]) -> None:
    arrived = flows[flows["link"] == flows["goal"]].set_index("goal")["visits"]
    wanted = pd.Series(begun).groupby(level=0).sum()
    assert wanted.sum() == 1832
    np.testing.assert_allclose(arrived[wanted.index], wanted, rtol=1e-9)


def test_passes_are_the_expected_lengths_of_trips(
    drivers: hs.Policy, flows: pd.DataFrame, begun: dict[tuple[int, int], int]
) -> None:
    goals = sorted({goal for goal, _ in begun})[:5]
    steps = hs.expected_steps(drivers, goals, features=["travel_time"]).set_index(["goal", "link"])
    for goal in goals:
        own = pd.Series({link: number for (g, link), number in begun.items() if g == goal})
        lengths = (own * steps["steps"].loc[goal][own.index]).sum()
        assert flows.loc[flows["goal"] == goal, "visits"].sum() - own.sum() == pytest.approx(lengths, rel=1e-9)
    one = {label: number for label, number in begun.items() if label[0] == goals[0]}
    assert set(hs.occupancy(drivers, one)["goal"]) == {goals[0]}


def test_expected_flows_are_near_those_recorded(city: City, flows: pd.DataFrame) -> None:
    """A model of four costs explains most of what differs between seven thousand streets."""
    entered = city[0].frame.groupby("action").size()
    expected = by_link(flows)
    both = pd.concat([entered.rename("recorded"), expected.rename("expected")], axis=1).fillna(0.0)
    assert both.corr().iloc[0, 1] > 0.9


def test_a_recorded_route_is_as_probable_as_its_turns(city: City, drivers: hs.Policy) -> None:
    log = city[0].select(np.isin(city[0].frame["episode"], [1, 2, 3]))
    wanted = hs.episode_log_probs(drivers_of(log, drivers), log)["log_prob"]
    for (_, trip), log_prob in zip(log.frame.groupby("episode"), wanted, strict=True):
        route = [trip["state"].iloc[0], *trip["action"]]
        assert hs.path_log_prob(drivers, route, goal=trip["context"].iloc[0]) == pytest.approx(log_prob)
    likely = hs.likely_paths(drivers, route[0], goal=route[-1], most=5)
    assert likely["probability"].is_monotonic_decreasing
    assert likely["probability"].iloc[0] >= np.exp(log_prob)


def drivers_of(log: hs.BehaviorLog, policy: hs.Policy) -> hs.Policy:
    """Return the same policy, of the people of a log."""
    weights = {name: float(value) for name, (value, _) in PUBLISHED.items()}
    return hs.plan(policy.task, weights, dict.fromkeys(log.subjects, 1.0), "entropy")


def test_closing_the_busiest_street_moves_traffic_elsewhere(
    city: City, flows: pd.DataFrame, begun: dict[tuple[int, int], int]
) -> None:
    log, task = city
    inner = by_link(flows).drop([*{link for _, link in begun}, *task.contexts.values])
    busiest, number = inner.idxmax(), inner.max()
    some = log.select(log.frame["fold"].to_numpy() == 0)
    fit = fitted(some, task, "entropy")
    before = by_link(hs.occupancy(fit, trips_of(some)))
    found = hs.counterfactual(fit, hs.block(task, states=[busiest]))
    assert found.identified
    assert found.cut_off == ()
    after = found.predictions.set_index("link")["visits"].reindex(before.index).fillna(0.0)
    assert number > 100
    assert before[busiest] > 10
    assert after[busiest] == 0.0
    assert (after - before).max() > 0.5 * before[busiest]  # most of them take the same way round
    assert after[after.index.isin(task.contexts.values)].sum() == pytest.approx(some.num_episodes, rel=1e-9)
