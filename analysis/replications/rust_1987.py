"""Rust (1987): Harold Zurcher's bus engines, 90 bins, linear maintenance cost, discount .9999.

Estimates and choice log-likelihoods: an independent fit of the same files (Newton-Kantorovich and
Nelder-Mead), which agrees with Rust's Table IX to the digits that it prints. Standard errors are
BHHH; for groups 1-3 and 1-4 the reference is Table IX. Rust's printed log-likelihoods also hold the
transitions of the mileage and so are not those of the choices.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import humansoft as hs
from analysis.rows import Row, run


@dataclass(frozen=True)
class Args:
    """Options."""

    quick: bool = False
    """Only group 4."""

    json: Path | None = None
    """File to write the rows to."""


REFERENCES = {
    "group4": ("10.0749", "2.2931", "-163.584", "1.5815", "0.6383"),
    "groups1to3": ("11.7271", "4.8260", "-132.389", "2.602", "1.792"),
    "groups1to4": ("9.7557", "2.6276", "-300.250", "1.227", "0.618"),
}
"""RC, theta, log-likelihood of the choices, and the two BHHH standard errors."""


def study(args: Args) -> Iterator[Row]:
    """Fit the replacement problem to each set of buses."""
    for groups, reference in REFERENCES.items():
        if args.quick and groups != "group4":
            continue
        log, task = hs.load_dataset(f"rust_bus_{groups}")
        # Extreme value shocks of scale 1 are a temperature of 1; the two costs are the weights.
        fit = hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), planner="entropy"), log)
        errors = fit.std_errors("bhhh")
        values = {
            "RC": fit.weight("replacement_cost"),
            "theta": fit.weight("maintenance_cost"),
            "log_likelihood": fit.log_likelihood,
            "std_error_RC": errors["replacement_cost", "all"],
            "std_error_theta": errors["maintenance_cost", "all"],
        }
        for (name, value), printed in zip(values.items(), reference, strict=True):
            yield Row(f"{groups}/{name}", float(value), printed)


if __name__ == "__main__":
    run(study, Args)
