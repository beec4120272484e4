"""Routes of cars in Borlange, Sweden: recursive logit (Fosgerau, Frejinger and Karlstrom 2013).

The planner is "entropy", no discount, temperature 1: drivers choose the next link of one network until they reach their
destination. Estimates and standard errors (clustered by trip) are held against the article's model without link size;
its log-likelihood is known to us from memory only, so ours, the scores and the held-out scores by trip, on
fixed folds, are held against an independent fit of the same data. Planner "kl" counts the turns of a link, which
differ from link to link: it is another hypothesis, shown without a reference.
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
    """Without the held-out folds and the other planner."""

    json: Path | None = None
    """File to write the rows to."""


PUBLISHED = {
    "travel_time": ("-2.494", ".098"),
    "left_turn": ("-0.933", ".030"),
    "link_constant": ("-0.411", ".013"),
    "u_turn": ("-4.459", ".114"),
}
"""Estimate and standard error of each cost."""

LOG_LIKELIHOOD, UNIFORM = "-6302.929", "-35366.2"
"""Of the estimates, and of choosing at random among the turns that are allowed; of all link choices."""

NATS = ".16958"
"""Per link choice, those between a single turn included."""

HELD_OUT = {"log_likelihood_per_trip": "-3.444", "nats_per_choice": ".1698"}
"""Over five folds of trips, each predicted from the other four."""


def study(args: Args) -> Iterator[Row]:
    """Fit all trips, then predict each fold from the others."""
    log, task = hs.load_dataset("borlange_routes")
    fit = fitted(log, task, "entropy")
    errors = fit.std_errors("sandwich_by_episode")
    for name, (estimate, error) in PUBLISHED.items():
        yield Row(f"{name}/estimate", fit.weight(name), estimate)
        yield Row(f"{name}/std_error", float(errors[name, "all"]), error)
    yield Row("log_likelihood", fit.log_likelihood, LOG_LIKELIHOOD)
    yield Row("nats_per_choice", -fit.log_likelihood / len(log), NATS)
    yield Row("uniform/log_likelihood", -float(np.log(hs.predict(fit, log)["num_options"]).sum()), UNIFORM)
    if not args.quick:
        total = sum(held_out(log, task))
        yield Row("held_out/log_likelihood_per_trip", total / log.num_episodes, HELD_OUT["log_likelihood_per_trip"])
        yield Row("held_out/nats_per_choice", -total / len(log), HELD_OUT["nats_per_choice"])
        other = fitted(log, task, "kl")
        for name in PUBLISHED:
            yield Row(f"kl/{name}/estimate", other.weight(name))
        yield Row("kl/log_likelihood", other.log_likelihood)


def held_out(log: hs.BehaviorLog, task: hs.Task) -> Iterator[float]:
    """Yield the log-likelihood of each fold of trips under the fit of all others."""
    fold = log.frame["fold"].to_numpy()
    for number in np.unique(fold):
        fit = fitted(log.select(fold != number), task, "entropy")
        scores = hs.score(fit, log.select(fold == number), baselines="none")
        yield float(scores["log_likelihood"].iloc[0])


def fitted(log: hs.BehaviorLog, task: hs.Task, planner: Planner) -> hs.Fit:
    """Fit what each minute, turn and link costs, in temperatures."""
    return hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), planner=planner), log)


if __name__ == "__main__":
    run(study, Args)
