"""Nothing depends on the unit of a covariate, or on where its zero is: age or year of birth."""

from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import humansoft as hs

Integrate = Literal["quadrature", "laplace"]

_PEOPLE, _DECISIONS = 14, 60
_SHIFTS = [(1985.0, 1.0), (0.0, 1e5), (-3e4, 800.0), (5e-5, -1e-6)]


def _people(first: int, count: int, decisions: int, covariate: npt.NDArray[np.float64]) -> hs.BehaviorLog:
    """Return people who choose between two rewards, the noisier the larger a standard normal covariate was."""
    generator = np.random.default_rng(7 + first)
    hidden = _hidden(first, count)
    rows = []
    for place in range(count):
        temperature = np.exp(-0.4 + 0.4 * hidden[place] + 0.8 * generator.standard_normal())
        for episode in range(decisions):
            state, gap = (("s0", 1.0), ("s1", -1.2))[episode % 2]
            action = "a1" if generator.random() < 1 / (1 + np.exp(-gap / temperature)) else "a0"
            rows.append((f"p{first + place:02d}", episode, 0, state, action))
    frame = pd.DataFrame(rows, columns=["subject", "episode", "step", "state", "action"])
    names = frame["subject"].unique()
    table = pd.DataFrame({"subject": names, "x": covariate, "group": ["ab"[i // 3 % 2] for i in range(count)]})
    return hs.read(frame, participants=table)


def _hidden(first: int, count: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(70 + first).standard_normal(count)


@cache
def _fitted(integrate: Integrate, shift: float, factor: float) -> tuple[hs.Fit, hs.Fit]:
    """Return a fit of shift + factor * the covariate, and two newcomers under it."""
    table = pd.DataFrame(
        {"state": np.repeat(["s0", "s1"], 2), "action": ["a0", "a1"] * 2, "next_state": "end", "x": [0, 1.0, 0.5, -0.7]}
    )
    task = hs.Task.table(table, features=["x"], discount=0.9)
    model = hs.SoftOptimalModel(task, hs.LinearReward(fixed={"x": 1.0}), "~ x + group")
    log = _people(0, _PEOPLE, _DECISIONS, shift + factor * _hidden(0, _PEOPLE))
    fit = hs.fit(model, log, method="hierarchical", integrate=integrate)
    return fit, hs.adapt(fit, _people(50, 4, 5, shift + factor * _hidden(50, 4)))


@pytest.mark.slow
@pytest.mark.parametrize("integrate", ["quadrature", "laplace"])
@pytest.mark.parametrize(("shift", "factor"), _SHIFTS)
def test_a_fit_does_not_depend_on_the_unit_of_a_covariate(integrate: Integrate, shift: float, factor: float) -> None:
    (plain, newcomers), (fit, again) = _fitted(integrate, 0.0, 1.0), _fitted(integrate, shift, factor)
    assert fit.population is not None
    assert plain.population is not None
    assert fit.status == plain.status
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    ours, theirs = (one.population.params.loc["log_temperature"] for one in (fit, plain))  # type: ignore[union-attr]
    assert ours.loc["x", "estimate"] * factor == pytest.approx(theirs.loc["x", "estimate"], rel=1e-5)
    assert ours.loc["x", "std_error"] * abs(factor) == pytest.approx(theirs.loc["x", "std_error"], rel=1e-5)
    ends = sorted(ours.loc["x", ["ci_low", "ci_high"]].to_numpy(dtype=float) * factor)
    assert ends == pytest.approx(theirs.loc["x", ["ci_low", "ci_high"]].tolist(), rel=1e-5)
    assert ours.loc["Intercept", "estimate"] + shift * ours.loc["x", "estimate"] == pytest.approx(
        theirs.loc["Intercept", "estimate"], rel=1e-5
    )
    middle = {"Intercept": 1.0, "x": shift}  # the intercept of the other fit
    assert fit.population.contrast(middle)["std_error"] == pytest.approx(theirs.loc["Intercept", "std_error"], rel=1e-5)
    pd.testing.assert_frame_equal(hs.compare(fit, by="group"), hs.compare(plain, by="group"), rtol=1e-5)
    pd.testing.assert_frame_equal(again.params, newcomers.params, rtol=1e-5, atol=1e-5)
    pd.testing.assert_frame_equal(fit.params, plain.params, rtol=1e-5, atol=1e-5)
