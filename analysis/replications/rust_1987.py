"""Rust (1987): Harold Zurcher's bus engines, 90 bins, linear maintenance cost, discount .9999.

Estimates and choice log-likelihoods: an independent fit of the same files (Newton-Kantorovich and
Nelder-Mead), which agrees with Rust's Table IX to the digits that it prints. Standard errors are
BHHH; for groups 1-3 and 1-4 the reference is Table IX. Rust's printed log-likelihoods also hold the
transitions of the mileage and so are not those of the choices.

The rest is about group 4. Nested pseudo-likelihood (Aguirregabiria & Mira 2002) starts from choice
frequencies smoothed by a logit on the bin and its square: the references (an independent
implementation) are reached with this start and no other that was tried (added counts, kernels, other
polynomials); its limit, nested fixed point's own estimate, is the same from every start. The myopic
model is that of Table IX, discount 0. The profile over discounts is an independent fit's.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

import humansoft as hs
from analysis.npl import decision_counts, nested_pseudo_likelihood, smoothed_frequencies
from analysis.rows import Row, run


@dataclass(frozen=True)
class Args:
    """Options."""

    quick: bool = False
    """Only group 4 at the published discount, and nested pseudo-likelihood."""

    json: Path | None = None
    """File to write the rows to."""


REFERENCES = {
    "group4": ("10.0749", "2.2931", "-163.584", "1.5815", "0.6383"),
    "groups1to3": ("11.7271", "4.8260", "-132.389", "2.602", "1.792"),
    "groups1to4": ("9.7557", "2.6276", "-300.250", "1.227", "0.618"),
}
"""RC, theta, log-likelihood of the choices, and the two BHHH standard errors."""

ROUNDS = {1: ("9.848", "2.129"), 2: ("10.072", "2.289"), 3: ("10.076", "2.294"), 6: ("10.0749", "2.2931")}
"""RC and theta after some rounds of nested pseudo-likelihood."""

MYOPIC = ("7.6358", "71.5133", "0.720", "13.778")
"""RC, theta and their standard errors at discount 0 (Rust 1987, Table IX)."""

LIKELIHOOD_RATIO = "3.75"
"""Twice what the choices gain from discount 0 to .9999; the 5 % point of one degree of freedom is 3.84."""

PROFILE = {
    0.0: "-165.459",
    0.5: "-165.374",
    0.9: "-164.758",
    0.95: "-164.331",
    0.99: "-163.748",
    0.999: "-163.599",
    0.9999: "-163.584",
    0.99999: "-163.583",
}
"""Log-likelihood of the choices by discount."""


def study(args: Args) -> Iterator[Row]:
    """Fit the replacement problem to each set of buses, then look closer at group 4."""
    for groups, reference in REFERENCES.items():
        if args.quick and groups != "group4":
            continue
        log, task = hs.load_dataset(f"rust_bus_{groups}")
        fit = fitted(log, task)
        values = (*estimates(fit), fit.log_likelihood, *std_errors(fit))
        names = ("RC", "theta", "log_likelihood", "std_error_RC", "std_error_theta")
        for name, value, printed in zip(names, values, reference, strict=True):
            yield Row(f"{groups}/{name}", value, printed)
    yield from pseudo_likelihood()
    if not args.quick:
        yield from discounts()


def pseudo_likelihood() -> Iterator[Row]:
    """Rounds of nested pseudo-likelihood, and how far the last is from nested fixed point."""
    log, task = hs.load_dataset("rust_bus_group4")
    counts = decision_counts(task, log)
    share = np.array(task.states.values, dtype=float) / len(task.states)
    powers = np.stack([np.ones_like(share), share, share**2], axis=1)
    start = smoothed_frequencies(counts, powers, task.available.numpy())
    rounds = list(islice(nested_pseudo_likelihood(task, counts, start), 10))
    for number, printed in ROUNDS.items():
        for name, weight, reference in zip(("RC", "theta"), rounds[number - 1].weights, printed, strict=True):
            yield Row(f"group4/npl/round{number}/{name}", float(weight), reference)
    fit, last = fitted(log, task), rounds[-1]
    gap = float(np.abs(last.weights - estimates(fit)).max())
    yield Row("group4/npl/limit_minus_fixed_point", gap, "0", tolerance=1e-5)
    likelihood_gap = last.pseudo_log_likelihood - fit.log_likelihood
    yield Row("group4/npl/limit_minus_fixed_point/log_likelihood", likelihood_gap, "0", tolerance=1e-7)


def discounts() -> Iterator[Row]:
    """The myopic model, and the likelihood by discount: what these choices say about patience."""
    log, task = hs.load_dataset("rust_bus_group4")
    fits = {discount: fitted(log, dataclasses.replace(task, discount=discount)) for discount in PROFILE}
    myopic = fits[0.0]
    names = ("RC", "theta", "std_error_RC", "std_error_theta")
    for name, value, printed in zip(names, (*estimates(myopic), *std_errors(myopic)), MYOPIC, strict=True):
        yield Row(f"group4/myopic/{name}", value, printed)
    ratio = 2 * (fits[0.9999].log_likelihood - myopic.log_likelihood)
    yield Row("group4/myopic/likelihood_ratio", ratio, LIKELIHOOD_RATIO)
    for discount, printed in PROFILE.items():
        yield Row(f"group4/discount{discount}/log_likelihood", fits[discount].log_likelihood, printed)
        yield Row(f"group4/discount{discount}/RC", estimates(fits[discount])[0])
        yield Row(f"group4/discount{discount}/theta", estimates(fits[discount])[1])


def fitted(log: hs.BehaviorLog, task: hs.Task) -> hs.Fit:
    """Fit the two costs: extreme value shocks of scale 1 are a temperature of 1."""
    return hs.fit(hs.SoftOptimalModel(task, temperature=hs.Fixed(1.0), planner="entropy"), log)


def estimates(fit: hs.Fit) -> tuple[float, float]:
    """Return RC and theta."""
    return fit.weight("replacement_cost"), fit.weight("maintenance_cost")


def std_errors(fit: hs.Fit) -> tuple[float, float]:
    """Return the BHHH standard errors of RC and theta."""
    errors = fit.std_errors("bhhh")
    return float(errors["replacement_cost", "all"]), float(errors["maintenance_cost", "all"])


if __name__ == "__main__":
    run(study, Args)
