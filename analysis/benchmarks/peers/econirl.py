"""econirl: maximum causal entropy IRL and NFXP in JAX (dense transitions)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from econirl.core.types import DDCProblem, Panel
from econirl.estimation.mce_irl import MCEIRLConfig, MCEIRLEstimator
from econirl.estimation.nfxp import NFXPEstimator
from econirl.preferences.linear import LinearUtility
from econirl.preferences.reward import LinearReward

from analysis.benchmarks.instances import Index, Instance, Real
from analysis.benchmarks.measure import Figures, Stopwatch, main
from analysis.benchmarks.reference import Problem

FEW = 2
"""People fitted where everybody takes as long; the time of all is extrapolated."""


def fit(folder: Path, clock: Stopwatch) -> Figures:
    """MCE IRL without standard errors (its own are a bootstrap of a hundred such fits)."""
    instance = Instance.read(folder)
    with clock.reported("construction"):
        panel = _panel(instance.log)
        transitions = jnp.asarray(instance.dense("asn"))
    with clock.counted("fit"):
        found = _mce_irl(instance, panel, transitions, instance.state_features)
    weights = np.asarray(found.parameters, dtype=np.float64)
    note = {"note": "matches expected features, not the likelihood"} if instance.horizon else {}
    return lambda: _figures(instance, weights, found) | note


def nfxp(folder: Path, clock: Stopwatch) -> Figures:
    """Nested fixed point with BHHH, its default, and its standard errors."""
    instance = Instance.read(folder)
    with clock.reported("construction"):
        panel = _panel(instance.log)
        transitions = jnp.asarray(instance.dense("asn"))
        utility = LinearUtility(jnp.asarray(instance.features), parameter_names=["RC", "theta"])
    with clock.counted("fit"):
        found = NFXPEstimator().estimate(panel, utility, _problem(instance), transitions)
    weights = np.asarray(found.parameters, dtype=np.float64)
    std_errors = np.asarray(found.standard_errors, dtype=np.float64).tolist()
    return lambda: _figures(instance, weights, found) | {"std_errors": std_errors}


def one_temperature_a_person(folder: Path, clock: Stopwatch) -> Figures:
    """One fit a person: its scale is fixed at 1, so the weight of the known reward is the inverse temperature."""
    instance = Instance.read(folder)
    log, reward = instance.log, instance.state_features.sum(axis=1, keepdims=True)
    everybody = int(log["subject"].max()) + 1
    transitions = jnp.asarray(instance.dense("asn"))
    found = []
    with clock.counted("fit"):
        for person in range(min(FEW, everybody)):
            own = {name: column[log["subject"] == person] for name, column in log.items()}
            found.append(_mce_irl(instance, _panel(own), transitions, reward))
    inverse = [float(np.asarray(one.parameters)[0]) for one in found]
    return lambda: {
        "extrapolate_by": everybody / len(found),
        "inverse_temperatures": inverse,
        "true": (1 / instance.truth["temperatures"][: len(found)]).tolist(),
        "converged": all(bool(one.converged) for one in found),
        "std_errors": "none",
    }


def _mce_irl(instance: Instance, panel: Panel, transitions: Any, features: Real) -> Any:  # noqa: ANN401 - JAX, and its own
    names = [f"f{k}" for k in range(features.shape[1])]
    utility = LinearReward(jnp.asarray(features), names, n_actions=instance.num_actions)
    estimator = MCEIRLEstimator(config=MCEIRLConfig(compute_se=False))
    return estimator.estimate(panel, utility, _problem(instance), transitions)


def _problem(instance: Instance) -> DDCProblem:
    return DDCProblem(
        num_states=instance.num_states,
        num_actions=instance.num_actions,
        discount_factor=instance.discount,
        num_periods=instance.horizon,
    )


def _panel(log: Mapping[str, Index]) -> Panel:
    """One trajectory an episode."""
    _, episode = np.unique(np.stack([log["subject"], log["episode"]]), axis=1, return_inverse=True)
    return Panel.from_numpy(log["state"], log["action"], log["next_state"], episode)


def _figures(instance: Instance, weights: Real, found: Any) -> dict[str, object]:  # noqa: ANN401 - econirl's own
    return {
        "log_likelihood": Problem(instance).judge(weights),
        "own_log_likelihood": float(found.log_likelihood),
        "weights": weights.tolist(),
        "converged": bool(found.converged),
        "std_errors": "none",
    }


if __name__ == "__main__":
    main({"fit": fit, "nfxp": nfxp, "one_temperature_a_person": one_temperature_a_person}, ("econirl", "jax", "numpy"))
