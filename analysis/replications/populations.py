"""How well populations of temperatures are recovered, by number of decisions and by method.

Data sets of 40 people whose log temperatures are N(0, .6); each decision is a choice between two options whose
difference in value is one of nine levels. What has to hold: shrinkage lowers the error, most with few decisions;
quadrature gets the spread right, and Laplace-EM makes it too small (Huys et al. 2011 with few decisions).

Then the intervals of a real study, confirmed by a simulation of it: 522 people with 52 moves each in the Tower of
London, drawn from the fitted population again and again.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

import humansoft as hs
from analysis.rows import Row, run

Real = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Args:
    """Options."""

    quick: bool = False
    """Two data sets of 15 and of 40 decisions, and two simulated studies."""

    posterior: bool = False
    """Also sample the posterior (method="posterior") of the first data sets; takes minutes."""

    json: Path | None = None
    """File to write the rows to."""


PEOPLE, MEAN, SD = 40, 0.0, 0.6
GAPS = np.linspace(-1.0, 1.0, 9)
DECISIONS = (15, 40, 150, 600)
DATA_SETS, STUDIES = 15, 100


def study(args: Args) -> Iterator[Row]:
    """Recover simulated populations, then redraw a real one."""
    trials = (15, 40) if args.quick else DECISIONS
    for decisions in trials:
        yield from table(decisions, 2 if args.quick else DATA_SETS, args.posterior)
    yield from tower_of_london(2 if args.quick else STUDIES)


def table(decisions: int, data_sets: int, posterior: bool) -> Iterator[Row]:
    """One row of the table of SCIENCE 4.5: errors, spread, mean and coverage, by method."""
    found: dict[str, list[dict[str, float]]] = {"mle": [], "quadrature": [], "laplace": []}
    for seed in range(data_sets):
        truth, log = people(decisions, seed)
        found["mle"].append(one_by_one(truth, log))
        found["quadrature"].append(hierarchical(truth, log, integrate="quadrature"))
        found["laplace"].append(hierarchical(truth, log, integrate="laplace"))
        if posterior and seed < POSTERIORS:
            found.setdefault("nuts", []).append(hierarchical(truth, log, method="posterior", seed=seed))
    for method, results in found.items():
        for quantity in results[0]:
            values = [result[quantity] for result in results]
            middle = np.sqrt(np.mean(np.square(values))) if quantity == "rmse" else np.mean(values)
            yield Row(f"{decisions}_decisions/{method}/{quantity}", float(middle))
    exact, laplace = (pd.DataFrame(found[name]).mean() for name in ("quadrature", "laplace"))
    error = {name: np.sqrt(np.mean([r["rmse"] ** 2 for r in found[name]])) for name in ("mle", "quadrature")}
    yield Row(
        f"{decisions}_decisions/error_of_quadrature_to_mle", error["quadrature"] / error["mle"], "1", 0.0, "at_most"
    )
    yield Row(f"{decisions}_decisions/sd_of_laplace_minus_exact", laplace["sd"] - exact["sd"], "0", 0.0, "at_most")
    if decisions >= 40 and data_sets == DATA_SETS:
        yield Row(f"{decisions}_decisions/sd_of_quadrature", exact["sd"], str(SD), 0.05)
        yield Row(f"{decisions}_decisions/coverage_of_quadrature", exact["coverage"], "0.90", 0.0, "at_least")


POSTERIORS = 3
"""Data sets of which the posterior is sampled."""


def people(decisions: int, seed: int) -> tuple[Real, hs.BehaviorLog]:
    """Draw people and what they choose; one decision is an episode."""
    generator = np.random.default_rng((seed, decisions))
    truth = MEAN + SD * generator.standard_normal(PEOPLE)
    gap = generator.integers(len(GAPS), size=(PEOPLE, decisions))
    chance = 1 / (1 + np.exp(-GAIN * GAPS[gap] / np.exp(truth)[:, None]))
    takes = generator.random(gap.shape) < chance
    person = np.repeat(np.arange(PEOPLE), decisions)
    table = pd.DataFrame(
        {
            "subject": [f"p{i:02d}" for i in person],
            "episode": np.tile(np.arange(decisions), PEOPLE),
            "step": 0,
            "state": gap.ravel(),
            "action": np.where(takes.ravel(), "take", "leave"),
        }
    )
    return truth, hs.read(table)


GAIN = 1.6
"""Largest difference in value between two options, in units of the average person's temperature."""


def choice_task() -> hs.Task:
    """Return the task: take an option of some value, or leave it; nothing follows."""
    rows = [
        {
            "state": level,
            "action": action,
            "next_state": "end",
            "probability": 1.0,
            "value": GAIN * gap * (action == "take"),
        }
        for level, gap in enumerate(GAPS)
        for action in ("take", "leave")
    ]
    return hs.Task.table(pd.DataFrame(rows), discount=1.0, features=["value"], terminal=["end"])


def one_by_one(truth: Real, log: hs.BehaviorLog) -> dict[str, float]:
    """Fit everybody alone; at a boundary, take the bound of the interval for the estimate, as one would plot it."""
    fit = hs.fit(model(hs.PerSubject()), log)
    rows = fit.params.loc["log_temperature"]
    edge = np.where(
        rows["boundary"] == "lower",
        rows["ci_high"],
        np.where(rows["boundary"] == "upper", rows["ci_low"], rows["estimate"]),
    )
    estimate = np.asarray(edge, dtype=float)
    inside = (rows["ci_low"].to_numpy(dtype=float) <= truth) & (truth <= rows["ci_high"].to_numpy(dtype=float))
    return {
        "rmse": float(np.sqrt(np.nanmean((estimate - truth) ** 2))),
        "at_a_boundary": float((rows["boundary"] != "").mean()),
        "coverage": float(inside.mean()),
    }


def hierarchical(truth: Real, log: hs.BehaviorLog, **options: object) -> dict[str, float]:
    """Fit the population."""
    given = {"method": "hierarchical"} | options
    fit = hs.fit(model(hs.PerSubject()), log, **given)  # type: ignore[arg-type]
    assert fit.population is not None
    rows = fit.params.loc["log_temperature"]
    inside = (rows["ci_low"].to_numpy(dtype=float) <= truth) & (truth <= rows["ci_high"].to_numpy(dtype=float))
    return {
        "rmse": float(np.sqrt(np.mean((rows["estimate"].to_numpy(dtype=float) - truth) ** 2))),
        "sd": float(fit.population.sd["log_temperature"]),
        "mean": float(fit.population.params["estimate"]["log_temperature", "Intercept"]),
        "coverage": float(inside.mean()),
    }


def model(temperature: hs.PerSubject) -> hs.SoftOptimalModel:
    """Return the hypothesis: values are known, temperatures are not."""
    return hs.SoftOptimalModel(choice_task(), hs.LinearReward(fixed={"value": 1.0}), temperature)


def tower_of_london(studies: int) -> Iterator[Row]:
    """Coverage of people's and the population's intervals in simulated studies of the size of a real one."""
    log, task = hs.load_dataset("tower_of_london")
    hypothesis = hs.SoftOptimalModel(task, hs.LinearReward(fixed={"step": -1.0}), hs.PerSubject())
    fit = hs.fit(hypothesis, log, method="hierarchical")
    assert fit.population is not None
    mean = float(fit.population.params["estimate"]["log_temperature", "Intercept"])
    sd = float(fit.population.sd["log_temperature"])
    yield Row("tower_of_london/mean", mean)
    yield Row("tower_of_london/sd", sd)
    covered: list[dict[str, float]] = []
    for seed in range(studies):
        truth = mean + sd * np.random.default_rng(seed).standard_normal(len(fit.subjects))
        full = torch.cat([torch.tensor([-1.0], dtype=torch.float64), torch.from_numpy(truth)])
        redrawn = dataclasses.replace(fit, model=fit.model.at(full))
        episodes = round(log.num_episodes / len(log.subjects))
        again = hs.fit(hypothesis, hs.simulate(redrawn, episodes, seed=seed), method="hierarchical")
        covered.append(coverage(again, truth, mean, sd))
    for name, share in pd.DataFrame(covered).mean().items():
        yield Row(
            f"tower_of_london/coverage/{name}", float(share), *(("0.92", 0.0, "at_least") if name == "people" else ())
        )


def coverage(fit: hs.Fit, truth: Real, mean: float, sd: float) -> dict[str, float]:
    """Return the share of people, and whether the population's mean and spread, are inside their intervals."""
    assert fit.population is not None
    rows = fit.params.loc["log_temperature"]
    ends = fit.population.params[["ci_low", "ci_high"]].astype(float)
    names = {"mean": ("log_temperature", "Intercept"), "sd": ("sd", "log_temperature")}
    low, high = (dict(zip(ends.index, ends[column], strict=True)) for column in ("ci_low", "ci_high"))
    return {
        "people": float(((rows["ci_low"] <= truth) & (truth <= rows["ci_high"])).mean()),
        **{key: float(low[names[key]] <= value <= high[names[key]]) for key, value in (("mean", mean), ("sd", sd))},
    }


if __name__ == "__main__":
    run(study, Args)
