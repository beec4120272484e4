"""Overcooked (Carroll et al. 2019): eight reward weights of people who cook together, five kitchens.

The reduced task of one cook, discount .95, temperature 1, all training games of a kitchen. The
references are an independent check of the same games. Its standard errors are called Hessian there;
they are those of the expected information, so both are shown, and the observed Hessian is ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import humansoft as hs
from analysis.rows import Row, run
from humansoft.fit.exact_likelihood import ExactLikelihood


@dataclass(frozen=True)
class Args:
    """Options."""

    quick: bool = False
    """Only cramped_room."""

    json: Path | None = None
    """File to write the rows to."""


NATS = {
    "cramped_room": "0.82091",
    "coordination_ring": "1.30200",
    "random0": "1.09653",
    "random3": "1.21616",
    "asymmetric_advantages": "1.15545",
}
"""Nats per decision at the optimum, in sample."""

WEIGHTS = {
    "deliver": ("6.215", ".377"),
    "onion_in_pot": ("4.884", ".192"),
    "take_onion": ("-0.021", ".145"),
    "take_dish": ("1.637", ".163"),
    "take_soup": ("5.479", ".412"),
    "move": ("-3.054", ".029"),
    "turn": ("-3.096", ".049"),
    "useless_interact": ("-3.530", ".040"),
}
"""Weights of cramped_room and their standard errors."""


def study(args: Args) -> Iterator[Row]:
    """Fit every kitchen, and look into the smallest."""
    for layout, nats in NATS.items():
        if args.quick and layout != "cramped_room":
            continue
        log, task = hs.load_dataset(f"overcooked_{layout}")
        fit = hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0)), log)
        yield Row(f"{layout}/nats_per_decision", -fit.log_likelihood / fit.num_decisions, nats, tolerance=1e-4)
        if layout == "cramped_room":
            yield from weights(fit, log)


def weights(fit: hs.Fit, log: hs.BehaviorLog) -> Iterator[Row]:
    """The eight weights and two kinds of standard errors."""
    likelihood = ExactLikelihood(fit.model, fit.model.observe(log))
    information = likelihood.expected_information(likelihood.start()).toarray()[: len(WEIGHTS), : len(WEIGHTS)]
    expected = dict(zip(WEIGHTS, np.sqrt(np.diag(np.linalg.inv(information))), strict=True))
    observed = fit.std_errors("hessian")
    for name, (weight, std_error) in WEIGHTS.items():
        yield Row(f"cramped_room/{name}", fit.weight(name), weight)
        yield Row(f"cramped_room/{name}/std_error_expected", float(expected[name]), std_error)
        yield Row(f"cramped_room/{name}/std_error_hessian", float(observed[name, "all"]))


if __name__ == "__main__":
    run(study, Args)
