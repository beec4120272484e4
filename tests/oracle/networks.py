"""Small networks, and the same spelled out goal by goal as a union of tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

import humansoft as hs
from humansoft.fit.interpolated_likelihood import likelihood_of
from humansoft.fit.likelihood import AbstractLikelihood
from humansoft.planners import Planner

FEATURES = ["time", "toll"]
HOME, SHOP = 100, 101
"""Goals that no turn leaves."""


def streets(seed: int, size: int = 7) -> pd.DataFrame:
    """Return a ring of links with random further turns and two goals at its ends, reached from three links."""
    rng = np.random.default_rng(seed)
    ring = {(i, (i + 1) % size) for i in range(size)} | {((i + 1) % size, i) for i in range(0, size, 2)}
    more = {(int(a), int(b)) for a, b in rng.integers(0, size, (size, 2)) if a != b}
    ends = {(0, HOME), (int(rng.integers(1, size)), HOME), (int(rng.integers(0, size)), SHOP)}
    pairs = sorted(ring | more | ends)
    values = rng.uniform(0.5, 1.5, (len(pairs), 2)) * [1.0, 0.4]
    return pd.DataFrame(pairs, columns=["from", "to"]).assign(time=values[:, 0], toll=values[:, 1])


def by_goals(edges: pd.DataFrame, goals: Sequence[int] | None = None) -> hs.Task:
    """Return the network as one task."""
    return hs.Task.network(edges, goals=goals, features=FEATURES)


def spelled_out(edges: pd.DataFrame, goals: Sequence[int]) -> hs.Task:
    """Return the same as one table a goal."""
    ends = set(goals) - set(edges["from"])
    dead = [{"from": n, "to": n, "time": 0.0, "toll": 0.0} for n in set(edges["to"]) - set(edges["from"]) - ends]
    edges = pd.concat([edges, pd.DataFrame(dead)]) if dead else edges  # a table knows no dead end: wait there for ever
    links = sorted(set(edges["from"]) | set(edges["to"]))
    tables = {}
    for goal in goals:
        kept = edges[(edges["from"] != goal) & (~edges["to"].isin(ends) | (edges["to"] == goal))]
        table = kept.rename(columns={"from": "state", "to": "action"}).assign(next_state=kept["to"])
        tables[goal] = hs.Task.table(
            table, discount=1.0, features=FEATURES, terminal=[goal], actions=links, states=sorted({*kept["from"], goal})
        )
    return hs.Task.union(tables)


def trips(task: hs.Task, planner: Planner, people: int = 3, seed: int = 0) -> hs.BehaviorLog:
    """Return trips of people in a spelled-out task, some of them cut off."""
    temperatures = dict(zip(("ann", "bob", "cem"), (1.0, 0.8, 1.2), strict=True))
    chosen = {name: temperatures[name] for name in list(temperatures)[:people]}
    policy = hs.plan(task, {"time": -1.5, "toll": -1.0}, chosen, planner)
    return hs.simulate(policy, episodes=90 // people, seed=seed, max_steps=12)


def model(task: hs.Task, planner: Planner, temperature: hs.temperature.Temperature) -> hs.SoftOptimalModel:
    """Return a model of what routes cost."""
    return hs.SoftOptimalModel(task, hs.LinearReward(), temperature, planner)


def likelihood(
    task: hs.Task, log: hs.BehaviorLog, planner: Planner, temperature: hs.temperature.Temperature
) -> AbstractLikelihood:
    bound = model(task, planner, temperature).bind(log)
    return likelihood_of(bound, bound.observe(log))
