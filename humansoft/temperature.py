"""Whose temperature is whose: four ways to lay one temperature over many people.

A temperature (alpha > 0, larger = noisier) is measured in reward units. Only reward divided by
temperature leaves a trace in behavior, so somebody has to fix a scale; see
:func:`humansoft.identify`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from humansoft.codebook import Labels
from humansoft.errors import ModelError
from humansoft.parameters import Level, Parameter, Parameters

AVERAGE_PERSON = "average person = 1"
"""Unit of temperatures whose scale is set by holding their geometric mean at 1."""


@dataclass(frozen=True)
class Fixed:
    """Everybody has this temperature; the reward is then measured in units of it.

    Attributes:
        value: the temperature, > 0.
    """

    value: float = 1.0

    def __post_init__(self) -> None:
        """Refuse temperatures that are not positive numbers."""
        if not (self.value > 0 and math.isfinite(self.value)):
            raise ModelError(f"Fixed({self.value}): a temperature is a finite number above 0 (larger = noisier)")


@dataclass(frozen=True)
class Shared:
    """One temperature for everybody, learned; needs a reward weight that is fixed at a non-zero value."""


@dataclass(frozen=True)
class PerGroup:
    """One temperature for each value of a participants' column, learned.

    Attributes:
        column: a column of the participants table, or of the log if it is constant within people.
    """

    column: str


@dataclass(frozen=True)
class PerSubject:
    """One temperature for each person, learned.

    Of a log by condition (:func:`humansoft.by_condition`) each person in each condition is a subject, and a population
    knows which of them are one person.
    """


@dataclass(frozen=True)
class ByFormula(PerSubject):
    """A temperature for each person that covariates explain: log temperature = X beta.

    With ``fit(method="hierarchical")`` people deviate from what their covariates say; with maximum likelihood they
    do not. ``SoftOptimalModel(temperature="~ group + age")`` is short for it.

    Attributes:
        formula: a one-sided formula over columns of the participants (or columns of the log that are constant
            within people), as :mod:`formulaic` reads it: "~ group + age".
    """

    formula: str = "~ 1"


Temperature = Fixed | Shared | PerGroup | PerSubject


def named(temperature: Temperature | str | None) -> Temperature:
    """Return the temperature that a user named: a formula is short for :class:`ByFormula`, nothing for 1."""
    return ByFormula(temperature) if isinstance(temperature, str) else temperature or Fixed(1.0)


_KINDS: tuple[type[Temperature], ...] = (Fixed, Shared, PerGroup, PerSubject, ByFormula)


def temperature_record(temperature: Temperature) -> dict[str, Any]:
    """Return a temperature as a record for a file."""
    return {"kind": type(temperature).__name__, **asdict(temperature)}


def temperature_of(record: Mapping[str, Any]) -> Temperature:
    """Return the temperature of a record."""
    options = dict(record)
    kinds = {kind.__name__: kind for kind in _KINDS}
    return kinds[options.pop("kind")](**options)


def scaled(
    rewards: Sequence[Parameter], temperature: Temperature, groups: Labels, people: npt.NDArray[np.float64]
) -> Parameters:
    """Add the log temperatures to the reward's parameters and fix what gives them a scale.

    A reward weight fixed at a non-zero value anchors the unit. Without one, temperatures of people
    or groups hold their geometric mean at 1 (over ``people`` [G], the weight of each group); what
    is left without a scale after that is for :func:`humansoft.identify` to find.
    """
    anchor = next((row for row in rewards if row.fixed not in (None, 0.0)), None)
    # A reward without parameters is known as a whole, and its units with it.
    relative = isinstance(temperature, PerGroup | PerSubject) and anchor is None and bool(rewards)
    fixed = math.log(temperature.value) if isinstance(temperature, Fixed) else None
    level: Level = "shared"
    if isinstance(temperature, PerSubject | PerGroup):
        level = "subject" if isinstance(temperature, PerSubject) else "group"
    unit = "reward units"
    if anchor is not None:
        unit += f" ({anchor.name} = {anchor.fixed:g})"
    own = [
        Parameter(
            "log_temperature",
            "log_temperature",
            level,
            label=None if level == "shared" else label,
            unit=AVERAGE_PERSON if relative else unit,
            fixed=fixed,
        )
        for label in groups.values
    ]
    weights = np.r_[np.zeros(len(rewards)), people / people.sum()] if relative else None
    return Parameters.of([*rewards, *own], mean_zero=weights)
