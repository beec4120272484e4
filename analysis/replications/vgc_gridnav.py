"""Ho et al. (2022), experiments 1 and 2: arrow keys through mazes that are visible, or vanish.

Step cost 1, no discount, rounds that run to the goal. The article models attention, not movement,
so the references are an independent check of the same files. Three planners with one temperature for
all; one temperature a person; and how much hiding the obstacles raises the temperature.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import humansoft as hs
from analysis.rows import Row, run
from humansoft.planners import Planner


@dataclass(frozen=True)
class Args:
    """Options."""

    quick: bool = False
    """Only experiment 1 and one temperature for all."""

    json: Path | None = None
    """File to write the rows to."""


SHARED: dict[int, dict[Planner, tuple[str, str]]] = {
    1: {"entropy": ("2.546", "0.5781"), "boltzmann": ("2.209", "0.6227"), "kl": ("1.1595", "0.5781")},
    2: {"entropy": ("1.790", "0.9844"), "boltzmann": ("1.236", "1.0013"), "kl": ("0.4037", "0.9844")},
}
"""Inverse temperature and nats per key press, by experiment and planner."""

PER_PERSON = {1: ("2.02", "2.32", "2.84"), 2: ("1.04", "1.52", "2.04")}
"""Quartiles of people's inverse temperatures under the boltzmann planner, by experiment."""


def study(args: Args) -> Iterator[Row]:
    """Fit all people together, then each person, then each experiment."""
    for experiment in (1,) if args.quick else (1, 2):
        yield from shared(experiment)
    if not args.quick:
        for experiment in (1, 2):
            yield from per_person(experiment)
        yield from contrast()
        yield from populations()


def shared(experiment: int) -> Iterator[Row]:
    """One temperature for everybody, under each planner."""
    for planner, (temperature, nats) in SHARED[experiment].items():
        fit = fitted(f"vgc_gridnav_exp{experiment}", hs.Shared(), planner)
        name = f"experiment{experiment}/{planner}"
        yield Row(f"{name}/inverse_temperature", np.exp(-fit.weight("log_temperature")), temperature)
        yield Row(f"{name}/nats_per_decision", -fit.log_likelihood / fit.num_decisions, nats)


def per_person(experiment: int) -> Iterator[Row]:
    """A temperature for each person: the quartiles of their inverses."""
    fit = fitted(f"vgc_gridnav_exp{experiment}", hs.PerSubject(), "boltzmann")
    quartiles = fit.temperatures()["inverse_temperature"].quantile([0.25, 0.5, 0.75])
    names = ("lower_quartile", "median", "upper_quartile")
    for name, value, reference in zip(names, quartiles, PER_PERSON[experiment], strict=True):
        yield Row(f"experiment{experiment}/per_person/{name}", value, reference)


def contrast() -> Iterator[Row]:
    """What hiding the obstacles does to the log temperature, with its 95 % interval."""
    fit = fitted("vgc_gridnav", hs.PerGroup("experiment"), "entropy")
    ratio = hs.compare(fit, by="experiment").loc[["ratio"]]
    name = "experiment2_minus_1/entropy/log_temperature"
    yield Row(name, ratio["log_temperature"].item(), "0.352")  # log(2.546 / 1.790)
    yield Row(f"{name}/ci_low", np.log(ratio["ci_low"].item()))
    yield Row(f"{name}/ci_high", np.log(ratio["ci_high"].item()))


def populations() -> Iterator[Row]:
    """The contrast inside a population, by quadrature and by NUTS; scale-free measures; what the comparison assumes."""
    log, task = hs.load_dataset("vgc_gridnav")
    model = hs.SoftOptimalModel(task, hs.LinearReward(fixed={"step": -1.0}), hs.PerGroup("experiment"))
    found = {}
    for method in ("hierarchical", "posterior"):
        fit = hs.fit(model, log, method=method, seed=1)
        assert fit.population is not None
        ratio = hs.compare(fit, by="experiment").loc[["ratio"]]
        name = f"population/{method}/log_temperature/experiment2_minus_1"
        found[method] = ratio["log_temperature"].item()
        yield Row(name, found[method])
        yield Row(f"{name}/ci_low", np.log(ratio["ci_low"].item()))
        yield Row(f"{name}/ci_high", np.log(ratio["ci_high"].item()))
        yield Row(f"population/{method}/sd", float(fit.population.sd["log_temperature"]))
        error = ratio["std_error"].item()
    yield Row("population/posterior_minus_hierarchical", found["posterior"] - found["hierarchical"], "0", error / 4)
    each = fitted("vgc_gridnav", hs.PerSubject(), "kl")
    measures = hs.rationality(each, by="experiment").loc["difference"].iloc[0]
    for name in ("normalised_value", "choice_error", "costly_error", "information_bits", "signal_to_noise"):
        for end in ("", "_low", "_high"):
            yield Row(f"scale_free/{name}{end}/experiment2_minus_1", float(measures[f"{name}{end}"]))
    for _, row in hs.assumptions(each, by="experiment").iterrows():
        yield Row(f"assumptions/{row['test']}/{row['group']}/p ({row['verdict']})", float(row["p"]))


def fitted(name: str, temperature: hs.Shared | hs.PerGroup | hs.PerSubject, planner: Planner) -> hs.Fit:
    """Fit people who want to save steps."""
    log, task = hs.load_dataset(name)
    reward = hs.LinearReward(fixed={"step": -1.0})
    return hs.fit(hs.SoftOptimalModel(task, reward, temperature, planner), log)


if __name__ == "__main__":
    run(study, Args)
