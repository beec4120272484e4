"""Ghosal et al. (2023): taking people for more rational than they are is the dangerous side.

Demonstrations of people at temperature 1 are explained by one of 60 candidate rewards, under an assumed temperature.
The worlds are random ones of this study, so that the published asymmetry is reproduced, and not published numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

import humansoft as hs
from analysis.rows import Row, run

Array = npt.NDArray[np.float64]

CANDIDATES = 60
STEPS = 30
STATES, ACTIONS = 12, 4
DISCOUNT = 0.9
TRUE = 1.0
SIZE = 0.6
"""Standard deviation of rewards: small enough for people at temperature 1 to leave doubt."""
ASSUMED = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0)


@dataclass(frozen=True)
class Args:
    """Options."""

    quick: bool = False
    """Fewer demonstrations."""

    json: Path | None = None
    """File to write the rows to."""


@dataclass(frozen=True, eq=False)
class Study:
    """Random candidates in a random world.

    Attributes:
        task: the world; each candidate is a feature of it.
        rewards: [K, S, A] the candidates.
        transition: [S, A, S].
        log_policy: [K, assumed, S, A] what people of each candidate do at each assumed temperature.
    """

    task: hs.Task
    rewards: Array
    transition: Array
    log_policy: Array


def drawn(seed: int) -> Study:
    """Draw a world and its candidates, and plan for all of them."""
    generator = np.random.default_rng(seed)
    transition = generator.dirichlet(np.full(STATES, 0.2), size=(STATES, ACTIONS))
    rewards = SIZE * generator.normal(size=(CANDIDATES, STATES, ACTIONS))
    state, action, following = np.indices(transition.shape).reshape(3, -1)
    table = pd.DataFrame(
        {"state": state, "action": action, "next_state": following, "probability": transition.reshape(-1)}
    )
    task = hs.Task.table(
        table, probability="probability", discount=DISCOUNT, states=range(STATES), actions=range(ACTIONS)
    )
    task = task.with_features(**{f"candidate_{k}": reward for k, reward in enumerate(rewards)})
    people = {f"{alpha:g}": alpha for alpha in ASSUMED}
    plans = [hs.plan(task, {f"candidate_{k}": 1.0}, temperature=people).log_policy.numpy() for k in range(CANDIDATES)]
    return Study(task, rewards, transition, np.stack(plans).reshape(CANDIDATES, len(ASSUMED), STATES, ACTIONS))


def best_policy(study: Study, k: int) -> Array:
    """Return the best policy [S, A] of a candidate."""
    logs = hs.plan(study.task, {f"candidate_{k}": 1.0}, temperature=1e-6).log_policy.numpy()
    chosen = (logs == logs.max(axis=-1, keepdims=True)).astype(np.float64)
    shared: Array = chosen / chosen.sum(axis=-1, keepdims=True)
    return shared


def values(study: Study) -> Array:
    """Return what the best policy for each candidate is worth under each other [acted on, true]."""
    found = np.zeros((CANDIDATES, CANDIDATES))
    for k in range(CANDIDATES):
        policy = best_policy(study, k)
        chain = np.einsum("sa,san->sn", policy, study.transition)
        gains = np.einsum("sa,ksa->sk", policy, study.rewards)
        found[k] = np.linalg.solve(np.eye(STATES) - DISCOUNT * chain, gains).mean(axis=0)
    return found


def results(demonstrations: int, num_worlds: int) -> pd.DataFrame:
    """Return, for each assumed temperature, how often the best guess is right, and the regret of acting on it."""
    found, regret = np.zeros(len(ASSUMED)), np.zeros(len(ASSUMED))
    for world in range(num_worlds):
        study = drawn(world)
        worth = values(study)
        for true in range(CANDIDATES):
            policy = hs.plan(study.task, {f"candidate_{true}": 1.0}, temperature=TRUE)
            log = hs.simulate(policy, demonstrations, seed=1000 * world + true, max_steps=STEPS)
            counts = log.counts(study.task.states, study.task.actions, by="episode")
            each = study.log_policy[:, :, counts.state, counts.action] * counts.weight  # [K, assumed, N]
            total = np.zeros((demonstrations, CANDIDATES, len(ASSUMED)))
            np.add.at(total, counts.unit - counts.unit.min(), np.moveaxis(each, -1, 0))
            guess = total.argmax(axis=1)  # [demonstrations, assumed]
            found += (guess == true).sum(axis=0)
            regret += (worth[true, true] - worth[guess, true]).sum(axis=0)
    count = demonstrations * num_worlds * CANDIDATES
    return pd.DataFrame({"identified": found / count, "regret": regret / count}, index=list(ASSUMED))


def study(args: Args) -> Iterator[Row]:
    """Compare assumed temperatures: too small ones against too large ones."""
    table = results(demonstrations=4 if args.quick else 20, num_worlds=1 if args.quick else 5)
    found = {name: dict(zip(ASSUMED, table[name].tolist(), strict=True)) for name in table.columns}
    for alpha in ASSUMED:
        for name in ("identified", "regret"):
            yield Row(f"assumed_{alpha:g}/{name}", found[name][alpha])
    for name, sign in (("identified", 1.0), ("regret", -1.0)):
        lost = {alpha: sign * (found[name][TRUE] - found[name][alpha]) for alpha in (0.01, 10.0)}
        yield Row(f"{name}/lost_by_assuming_0.01", lost[0.01], "0.1", sense="at_least")
        # A hundredth of the temperature is worse than ten times the temperature, at least twice as bad.
        yield Row(f"{name}/lost_by_0.01_minus_twice_that_by_10", lost[0.01] - 2 * lost[10.0], "0", sense="at_least")


if __name__ == "__main__":
    run(study, Args)
