"""Simulated people of a population who slip and repeat themselves: its numbers are found, by maximum and by draws."""

import numpy as np
import pytest

import humansoft as hs
from humansoft.fit.result import FitStatus
from tests.oracle.populations import CORRIDOR, STEP

MEAN, SD = -1.0, 0.6
TRUTH = {"stickiness": 0.8, "logit_lapse": float(np.log(0.08 / 0.92)), "log_temperature": MEAN, "sd": SD}


def people_log(people: int, episodes: int, seed: int) -> hs.BehaviorLog:
    standard = np.random.default_rng(seed).standard_normal(people)
    temperatures = {f"p{i:02d}": float(np.exp(MEAN + SD * z)) for i, z in enumerate(standard)}
    known = (hs.Stickiness(TRUTH["stickiness"]), hs.Lapse(0.08))
    return hs.simulate(hs.plan(CORRIDOR, {"step": -1.0}, temperatures, choice=known), episodes, seed=seed)


@pytest.mark.slow
def test_a_population_is_found_again_by_maximum_and_by_draws() -> None:
    """Two people of one test, so that the maximum is found once: of draws only what few of them can tell."""
    log = people_log(16, 25, seed=2)
    model = hs.SoftOptimalModel(CORRIDOR, STEP, hs.PerSubject(), choice=[hs.Lapse(), hs.Stickiness()])
    maximum = hs.fit(model, log, method="hierarchical")
    assert maximum.status is FitStatus.CONVERGED
    assert maximum.population is not None
    params = maximum.population.params.droplevel("label")
    for name, value in TRUTH.items():
        row = params.loc[name]
        wide = (row["ci_high"] - row["ci_low"]) / 4  # a further standard error: no honest estimate is that far off
        assert row["ci_low"] - wide <= value <= row["ci_high"] + wide, name
    sampled = hs.fit(model, log, method="posterior", seed=1, draws=100, tune=100, chains=1)
    assert sampled.population is not None
    ours = sampled.population.params.droplevel("label")
    for name in TRUTH:
        assert abs(ours.loc[name, "estimate"] - params.loc[name, "estimate"]) < params.loc[name, "std_error"], name
    apart = sampled.temperatures()["log_temperature"] - maximum.temperatures()["log_temperature"]
    assert apart.abs().max() < 0.25
    assert list(sampled.posterior.posterior["choice_term"].values) == ["stickiness", "logit_lapse"]
