"""Coverage of the intervals of a population's coefficients in small samples of people.

Two groups of 6 or 12 people, 25 people with a covariate, and 8 people in two conditions each; 10 or 100 choices between
two options. Log temperatures are N(0, .6), conditions of a person deviate by N(0, .3) more. Intervals of Student's t
with Satterthwaite's degrees of freedom, at the standard deviations of the restricted likelihood, should cover 95 %.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

import humansoft as hs
from analysis.rows import Row, run

Real = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Args:
    """Options."""

    quick: bool = False
    """One study of each kind."""

    json: Path | None = None
    """File to write the rows to."""


GAPS = np.array([-1.6, -0.64, 0.64, 1.6])
"""Differences in value between the options, in units of the average person's temperature."""

BETWEEN, WITHIN, EFFECT = 0.6, 0.3, 0.3
STUDIES, DECISIONS = 200, (10, 100)
KINDS = {"6_and_6": "~ group", "12_and_12": "~ group", "25_with_covariate": "~ x", "8_in_two_conditions": "~ block"}
TERMS = {"~ group": "group[T.b]", "~ x": "x", "~ block": "block[T.b1]"}


def study(args: Args) -> Iterator[Row]:
    """Return the coverage of the intercept and of the contrast, by kind of study."""
    for kind, formula in KINDS.items():
        for decisions in DECISIONS:
            model = hs.SoftOptimalModel(choice_task(), hs.LinearReward(fixed={"value": 1.0}), formula)
            covered = [
                inside(hs.fit(model, log_of(kind, decisions, seed), method="hierarchical"), formula)
                for seed in range(1 if args.quick else STUDIES)
            ]
            for name, share in pd.DataFrame(covered).mean().items():
                bar = () if args.quick else ("0.92", 0.0, "at_least")
                yield Row(f"{kind}/{decisions}_decisions/{name}", float(share), *bar)


def inside(fit: hs.Fit, formula: str) -> dict[str, bool]:
    """Return whether the truth is inside the intervals."""
    assert fit.population is not None
    truth = {"Intercept": 0.0, TERMS[formula]: EFFECT}
    found = {term: fit.population.contrast({term: 1.0}) for term in truth}
    names = ("intercept", "contrast")
    pairs = zip(names, truth.items(), strict=True)
    return {name: found[term]["ci_low"] <= value <= found[term]["ci_high"] for name, (term, value) in pairs}


def log_of(kind: str, decisions: int, seed: int) -> hs.BehaviorLog:
    """Draw a study: its people, and what they choose; one decision is an episode."""
    generator = np.random.default_rng((seed, decisions, list(KINDS).index(kind)))
    count = {"6_and_6": 12, "12_and_12": 24, "25_with_covariate": 25, "8_in_two_conditions": 16}[kind]
    people = pd.DataFrame({"subject": [f"p{i:02d}" for i in range(count)]})
    own = BETWEEN * generator.standard_normal(count)
    if kind == "8_in_two_conditions":
        people["subject"], second = [f"p{i // 2:02d}" for i in range(count)], np.arange(count) % 2
        own = np.repeat(own[::2], 2) + WITHIN * generator.standard_normal(count) + EFFECT * second
        table = choices(people["subject"].to_numpy(), own, decisions, generator)
        table["block"] = np.repeat(np.where(second, "b1", "b0"), decisions)
        table["episode"] += decisions * (table["block"] == "b1")
        return hs.by_condition(hs.read(table), "block")
    if kind == "25_with_covariate":
        people["x"] = generator.standard_normal(count)
        people["x"] -= people["x"].mean()
        own = own + EFFECT * people["x"].to_numpy()
    else:
        people["group"] = np.where(np.arange(count) % 2, "b", "a")
        own = own + EFFECT * (np.arange(count) % 2)
    return hs.read(choices(people["subject"].to_numpy(), own, decisions, generator), participants=people)


def choices(
    subjects: npt.NDArray[np.object_], own: Real, decisions: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Draw what people of log temperatures choose."""
    gap = generator.integers(len(GAPS), size=(len(own), decisions))
    takes = generator.random(gap.shape) < 1 / (1 + np.exp(-GAPS[gap] / np.exp(own)[:, None]))
    return pd.DataFrame(
        {
            "subject": np.repeat(subjects, decisions),
            "episode": np.tile(np.arange(decisions), len(own)),
            "step": 0,
            "state": gap.ravel(),
            "action": np.where(takes.ravel(), "take", "leave"),
        }
    )


def choice_task() -> hs.Task:
    """Return the task: take an option of some value, or leave it; nothing follows."""
    pairs = [(level, gap, action) for level, gap in enumerate(GAPS) for action in ("take", "leave")]
    rows = [
        {"state": level, "action": action, "next_state": "end", "probability": 1.0, "value": gap * (action == "take")}
        for level, gap, action in pairs
    ]
    return hs.Task.table(pd.DataFrame(rows), discount=1.0, features=["value"], terminal=["end"])


if __name__ == "__main__":
    run(study, Args)
