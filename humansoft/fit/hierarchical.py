"""Population models: people's own parameters come from a distribution, which is learned with them.

log temperature_i = x_i' beta + u_i, u_i ~ N(0, sigma^2), and the same for reward weights where everybody has their
own (SCIENCE 4.5). The population's parameters maximise the marginal likelihood, by adaptive Gauss-Hermite
quadrature (Pinheiro and Bates 1995) or Laplace-EM (Huys et al. 2011), which is faster with many deviations and
underestimates sigma with few decisions a person. Subjects that are one person in several conditions deviate together
(:mod:`humansoft.fit.repeated`): over these, one-dimensional quadrature within another is affordable, however many there
are (:mod:`humansoft.fit.nested_nodes`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.linalg import block_diag, qr

from humansoft.errors import ModelError, UsageError, did_you_mean
from humansoft.fit.mixed import Mixed
from humansoft.fit.population_lapse import noticeable_lapse
from humansoft.fit.repeated import RepeatedMeasures
from humansoft.fit.spreads import Repeated
from humansoft.model import SoftOptimalModel
from humansoft.parameters import Parameter
from humansoft.temperature import Fixed, PerGroup, PerSubject

Real = npt.NDArray[np.float64]
Integrate = Literal["auto", "quadrature", "laplace"]

MOST_DIMENSIONS = 2
"""With more deviations a person, a product of quadrature rules has too many nodes."""

WITHIN = "log_temperature_within"
"""Label of the standard deviation of a person's conditions about the person's own level."""

MANY_DECISIONS = 600
"""Decisions a person from which Laplace's bias is small: sigma .578 for .6 (SCIENCE 4.5)."""

SMALLEST_SD = 1e-3
"""Below this, people do not differ in anything that can be seen."""

_FIRST_SD = 0.5
_LOG_UNITS = "natural log"
_LARGE = 0.37  # share of the largest entry of a column; no value that entries often have


def personal(model: SoftOptimalModel) -> SoftOptimalModel:
    """Return the model in which everybody has a temperature of their own.

    Raises:
        UsageError: one temperature for everybody: there is no population to speak of.
    """
    if isinstance(model.temperature, PerSubject) or (
        isinstance(model.temperature, Fixed) and getattr(model.reward, "shared", True) is False
    ):
        return model
    if isinstance(model.temperature, PerGroup):
        return model.changed(temperature=PerSubject())
    raise UsageError(
        f"method='hierarchical' needs people who differ (so does 'posterior'), and {model.temperature!r} gives "
        "everybody the same: use temperature=PerSubject(), PerGroup(column) (one mean a group) or a formula such as "
        "'~ group + age'"
    )


def require_population(bound: SoftOptimalModel) -> None:
    """Refuse models whose population would be arbitrary.

    Raises:
        ModelError: saying why, and what to do.
    """
    if bound.task.goals is not None:
        raise ModelError(
            "population models of route choice on a network are not available; fit each person, or Shared()"
        )
    endless = bound.planner == "entropy" and bound.task.discount == 1 and bound.task.horizon is None
    if endless and not bound.rows_are_people:
        raise ModelError(
            "population models ask for likelihoods at high temperatures, at which planner='entropy' has no solution "
            "without a discount; use planner='kl', which is the same likelihood where action sets are equal"
        )
    if bound.rows_are_people and bound.is_relative:
        raise ModelError(
            "reward and temperature both vary by subject: only their ratio is in the data, whatever the population. "
            "Ways out: share the reward (LinearReward(shared=True)); fix one weight at a non-zero value; or keep "
            "temperature=Fixed(1) and let the weights vary"
        )


def own_rows(bound: SoftOptimalModel) -> list[Parameter]:
    """Return what the first person has alone, to be learned [K]; everybody has the same."""
    first = bound.subjects.values[0]
    return [row for row in bound.table.rows if row.level == "subject" and row.fixed is None and row.label == first]


def mixed_of(
    bound: SoftOptimalModel,
    terms: pd.DataFrame,
    deviate: bool,
    measures: RepeatedMeasures | None = None,
    learned: pd.DataFrame | None = None,
) -> Mixed:
    """Say what the population of a bound model's people is.

    Args:
        bound: everybody has parameters of their own.
        terms: [S, p] what explains the mean log temperatures of its subjects.
        deviate: whether people deviate from what covariates say.
        measures: which subjects are one person, who deviate in their log temperature alone; ``None``: each is a person.
        learned: the terms of those from whom the population was learned, where these are others.
    """
    people, own = bound.subjects.values, own_rows(bound)
    shared = tuple(bound.table.rows[place] for place in bound.table.shared_places)
    coefficients, blocks, turns = [], [], []
    for place, row in enumerate(own):
        columns = terms if row.kind == "log_temperature" else terms.iloc[:, :1] * 0 + 1
        labels = list(terms.columns) if row.kind == "log_temperature" else ["mean"]
        coefficients += [Parameter(row.name, row.kind, "group", str(c), row.unit, None, row.scale) for c in labels]
        turn = np.eye(len(labels))
        if row.kind == "log_temperature":
            turn = _orthogonal((terms if learned is None else learned).to_numpy())
        block = np.zeros((len(people), len(own), len(labels)))
        block[:, place] = columns.to_numpy() @ turn
        blocks.append(block)
        turns.append(turn)
    design = np.concatenate(blocks, axis=2)
    spread = tuple(
        Parameter("sd", "log_sd", "group", row.name, _LOG_UNITS if row.kind == "log_temperature" else row.unit)
        for row in own
        if deviate
    )
    mean_zero = design[:, -1, :].mean(axis=0) if bound.is_relative else None
    deviating = tuple(range(len(own))) if deviate else ()
    turn = block_diag(*turns)
    mixed = Mixed(shared, tuple(coefficients), spread, design, deviating, mean_zero=mean_zero, turn=turn)
    return mixed if measures is None else _repeated(mixed, measures)


def _repeated(mixed: Mixed, measures: RepeatedMeasures) -> Mixed:
    """Return the population of subjects who deviate in their log temperature alone, where some are one person."""
    (sd,) = mixed.spread
    return replace(
        mixed,
        spread=(sd, replace(sd, label=WITHIN)),
        design=measures.by_person(mixed.design[:, 0]),
        deviating=tuple(range(measures.num_conditions)),
        varying=Repeated,
    )


def differ_in_temperature_alone(bound: SoftOptimalModel) -> bool:
    """Whether a log temperature is all that people of a bound model have alone."""
    return [row.kind for row in own_rows(bound)] == ["log_temperature"]


def _orthogonal(terms: Real) -> Real:
    """Return what makes columns [B, p] of full rank orthogonal and of mean square 1 [p, p], each by those before it.

    Signs are such that the first large entry is positive: of a column and of its negative, the same is made.
    """
    turn = np.linalg.inv(qr(terms, mode="r")[0][: terms.shape[1]]) * np.sqrt(len(terms))
    made = terms @ turn
    first = (np.abs(made) > _LARGE * np.abs(made).max(axis=0)).argmax(axis=0)
    found: Real = turn * np.sign(made[first, np.arange(len(turn))])
    return found


def integration_of(mixed: Mixed, decisions: Real, integrate: str) -> Literal["none", "quadrature", "laplace"]:
    """Choose how deviations are integrated out: exactly where that is affordable.

    Raises:
        UsageError: an unknown choice, or quadrature over too many dimensions.
    """
    choices = ["auto", "quadrature", "laplace"]
    if integrate not in choices:
        raise UsageError(f"integrate={integrate!r}.{did_you_mean(integrate, choices)}")
    if mixed.num_deviations == 0:
        return "none"
    if integrate == "quadrature" and not is_affordable(mixed):
        raise UsageError(
            f"quadrature integrates over at most {MOST_DIMENSIONS} deviations a person, here are "
            f"{mixed.num_deviations}; use integrate='laplace' or method='posterior'"
        )
    if integrate != "auto":
        return integrate  # type: ignore[return-value]
    single = mixed.num_deviations == 1 or mixed.is_nested
    exact = single or (is_affordable(mixed) and float(np.median(decisions)) < MANY_DECISIONS)
    return "quadrature" if exact else "laplace"


def is_affordable(mixed: Mixed) -> bool:
    """Whether quadrature is: over few deviations of a person, or over one in another, however many there are."""
    return mixed.is_nested or mixed.num_deviations <= MOST_DIMENSIONS


def start_of(mixed: Mixed, alike: Mapping[str, float], own: Sequence[Parameter]) -> Real:
    """Return where to start: everybody alike.

    Args:
        mixed: the population.
        alike: parameters of people who are alike, by name.
        own: what each person has alone, in every condition.
    """
    typical = np.array([alike[row.name] for row in own], dtype=np.float64)
    coefficients = mixed.coefficients_of(np.broadcast_to(typical, mixed.design.shape[:2]))
    shared, spread = [alike[row.name] for row in mixed.shared], np.full(len(mixed.spread), np.log(_FIRST_SD))
    return mixed.table.project(noticeable_lapse(mixed, np.r_[shared, coefficients, spread]))


def collapsed(mixed: Mixed, full: Real) -> npt.NDArray[np.bool_]:
    """[P] which parameters are standard deviations as good as 0."""
    kinds = np.array([row.kind == "log_sd" for row in mixed.table.rows], dtype=bool)
    found: npt.NDArray[np.bool_] = kinds & (full < np.log(SMALLEST_SD))
    return found
