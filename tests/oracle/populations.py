"""Small populations with few decisions each, for the tests of population models."""

import numpy as np
import pandas as pd

import humansoft as hs

CORRIDOR = hs.Task.grid("S.L\n.#.\n..G", discount=0.9, legend={"L": "lava"}, slip=0.1)
POPULATION = [("log_temperature", "Intercept"), ("sd", "log_temperature")]
STEP = hs.LinearReward(["step"], fixed={"step": -1.0})


def choices_of_people(people: int, decisions: int, *, seed: int, sd: float, perfect: bool = False) -> hs.BehaviorLog:
    """Simulate people with about so many decisions each, whose log temperatures are N(0, sd); the first never errs."""
    generator = np.random.default_rng(seed)
    temperatures = np.exp(sd * generator.standard_normal(people) - 0.5)
    if perfect:
        temperatures[0] = 1e-3
    policy = hs.plan(CORRIDOR, {"step": -1.0}, temperature={f"p{i:03d}": float(t) for i, t in enumerate(temperatures)})
    log = hs.simulate(policy, max(1, decisions // 5), seed=seed, max_steps=12)
    return log.select(np.concatenate([np.arange(n) < decisions for n in np.bincount(log.subject)]))


def with_group(log: hs.BehaviorLog) -> hs.BehaviorLog:
    """Return the log with a participants' column: every other person is of group b."""
    table = pd.DataFrame({"subject": list(log.subjects), "group": ["ab"[i % 2] for i in range(len(log.subjects))]})
    return hs.read(
        log.to_dataframe(),
        state=["state_0", "state_1"],
        next_state=["next_state_0", "next_state_1"],
        participants=table,
    )


def mean_of_all(log: hs.BehaviorLog) -> pd.DataFrame:
    """Return the design of one mean for everybody."""
    return pd.DataFrame({"Intercept": np.ones(len(log.subjects))}, index=list(log.subjects))


def met_again(
    people: int,
    conditions: int,
    *,
    seed: int,
    between: float,
    within: float,
    effect: float = 0.0,
    group: float = 0.0,
    episodes: int = 4,
) -> hs.BehaviorLog:
    """Simulate people in several conditions: a subject for each person and condition, with columns block and group.

    Log temperatures are -.5 + effect in the last condition + group for every other person, and what a person deviates
    by in all conditions and in each.
    """
    generator = np.random.default_rng(seed)
    own = between * generator.standard_normal((people, 1)) + within * generator.standard_normal((people, conditions))
    own += -0.5 + effect * (np.arange(conditions) == conditions - 1) + group * (np.arange(people) % 2)[:, None]
    labels = [f"p{i:03d}" for i in range(people)]
    tables = []
    for place in range(conditions):
        policy = hs.plan(CORRIDOR, {"step": -1.0}, dict(zip(labels, np.exp(own[:, place]).tolist(), strict=True)))
        table = hs.simulate(policy, episodes, seed=1_000 * seed + place, max_steps=12).to_dataframe()
        tables.append(table.assign(episode=table["episode"] + 100_000 * place, block=f"b{place}"))
    table = pd.concat(tables)
    table["group"] = [("a", "b")[int(subject[1:]) % 2] for subject in table["subject"]]
    return hs.by_condition(hs.read(table, state=["state_0", "state_1"]), "block")
