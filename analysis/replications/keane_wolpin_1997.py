"""Keane and Wolpin (1997): school, home or work, every year from 16 to 26.

The choice counts are those of the article's Table 1. The two floors are an independent count of the same
file: what the shares of the five activities achieve in sample, and their shares by age and last year's
activity. The second is printed as .9055. Plain shares give .9043; .9055 comes out of shares with half a
count added to each activity (.90554), and also of plain shares with ages 25 and 26 merged (.90551). Which
of the two it was cannot be told; the first is used here, for it also works on new men.

The article's estimates are not compared: its model has permanent types, wages with their shocks, and
decisions to age 65. Ours has linear rewards, one type, and the eleven recorded ages, with a linear worth
of what a man leaves with (humansoft/catalogue/kw97_careers.py). It is judged by its nats per decision
against the floors, in sample and on men whom it has not seen, and fitted at several discounts. Men share
all parameters, so they are pooled: the same likelihood from fewer counts.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import humansoft as hs
from analysis.rows import Row, run
from humansoft.catalogue.kw97_careers import ACTIVITIES, DISCOUNT, STATE


@dataclass(frozen=True)
class Args:
    """Options."""

    quick: bool = False
    """Only the counts and floors, and the model at the published discount."""

    json: Path | None = None
    """File to write the rows to."""


AT_16 = {"school": "1178", "home": "145", "white_collar": "4", "blue_collar": "45", "military": "1"}
"""Choices at age 16 (Table 1)."""

ALL_CHOICES = "12359"
"""Choices at all ages (Table 1)."""

HALF = 0.5
"""Jeffreys' prior count of each activity, so that none is impossible."""

FLOORS: dict[str, tuple[list[str], float, str]] = {
    "marginal": ([], 0.0, "1.4563"),
    "age_and_last": (["age", "lagged_choice"], HALF, "0.9055"),
}
"""What a table of choice shares conditions on, what it adds to counts, and its nats per decision in sample."""

DISCOUNTS = (0.0, 0.5, DISCOUNT, 0.9, 0.95, 0.99)
"""Discounts of the profile: myopic, the published one, and others.

At 1, a year's worth and what it is worth on leaving would be the same: near it the weights are loose.
"""

HELD_OUT, SEED = 0.2, 1
"""Share of men who are held out, and the seed that draws them."""


def study(args: Args) -> Iterator[Row]:
    """Count choices, then fit the model at one discount or several."""
    log, task = hs.load_dataset("kw97_careers")
    yield from counts(log.frame)
    train, held_out = hs.split(pooled(log), by="episode", fraction=HELD_OUT, seed=SEED)
    for name, (columns, prior, floor) in FLOORS.items():
        yield Row(f"floor/{name}/nats_per_decision", nats_of_table(log.frame, log.frame, columns, prior), floor)
        yield Row(f"floor/{name}/unsmoothed/nats_per_decision", nats_of_table(log.frame, log.frame, columns, 0.0))
        elsewhere = nats_of_table(train.frame, held_out.frame, columns, HALF)
        yield Row(f"floor/{name}/held_out/nats_per_decision", elsewhere)
    if not args.quick:
        yield from discounts(pooled(log), task)
    fit = fitted(train, task)
    table = hs.score(fit, held_out, baselines=["uniform", "empirical_policy"])
    yield Row("model/training/nats_per_decision", -fit.log_likelihood / len(train))
    for predictor in table.index:
        yield Row(f"{predictor}/held_out/nats_per_decision", table.loc[predictor, "nats_per_decision"])


def counts(choices: pd.DataFrame) -> Iterator[Row]:
    """Choices at 16 and in all."""
    young = choices[choices["age"] == choices["age"].min()]["action"].value_counts()
    for activity in ACTIVITIES:
        yield Row(f"age16/{activity}", int(young[activity]), AT_16[activity], tolerance=0.0)
    yield Row("choices", len(choices), ALL_CHOICES, tolerance=0.0)


def discounts(log: hs.BehaviorLog, task: hs.Task) -> Iterator[Row]:
    """The likelihood by discount, and what looking ahead adds to it."""
    totals = {}
    for discount in DISCOUNTS:
        fit = fitted(log, dataclasses.replace(task, discount=discount))
        totals[discount] = fit.log_likelihood
        yield Row(f"discount{discount:g}/log_likelihood", fit.log_likelihood)
        yield Row(f"discount{discount:g}/nats_per_decision", -fit.log_likelihood / len(log))
        for name in ("school", "back_to_school", "white_collar_schooling", "blue_collar_schooling"):
            yield Row(f"discount{discount:g}/{name}", fit.weight(name))
    yield Row("published_over_myopic/likelihood_ratio", 2 * (totals[DISCOUNT] - totals[0.0]))
    yield Row("best_discount_of_these", max(totals, key=totals.__getitem__))
    best = max(totals.values())
    yield Row("best_over_published/likelihood_ratio", 2 * (best - totals[DISCOUNT]))


def pooled(log: hs.BehaviorLog) -> hs.BehaviorLog:
    """Return the log with every man an episode of one person."""
    return hs.read(
        log.to_dataframe(),
        subject=None,
        episode="subject",
        step="step",
        state=list(STATE),
        action="action",
        terminated="terminated",
        truncated="truncated",
    )


def nats_of_table(seen: pd.DataFrame, judged: pd.DataFrame, columns: list[str], prior: float) -> float:
    """Return the nats per decision of the choice shares, by some columns, of one set of rows on another.

    Args:
        seen: rows that the shares are taken from.
        judged: rows that they are judged on.
        columns: what the shares are conditional on.
        prior: how much more often than seen every activity counts, so that none is impossible.
    """
    cell = [*columns, "action"]
    count = judged[cell].merge(seen.groupby(cell).size().rename("n").reset_index(), on=cell, how="left")["n"]
    total: float | np.ndarray = len(seen)
    if columns:
        sizes = seen.groupby(columns).size().rename("total").reset_index()
        total = judged[columns].merge(sizes, on=columns, how="left")["total"].fillna(0).to_numpy()
    share = (count.fillna(0).to_numpy() + prior) / (total + prior * len(ACTIVITIES))
    return -float(np.log(share).mean())


def fitted(log: hs.BehaviorLog, task: hs.Task) -> hs.Fit:
    """Fit the weights: extreme value shocks of scale 1 are a temperature of 1."""
    return hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), planner="entropy"), log)


if __name__ == "__main__":
    run(study, Args)
