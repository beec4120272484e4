"""TemperaturePolicy: what was learned for people of all temperatures of a range, to be asked at any of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from humansoft.errors import ModelError, RunError
from humansoft.solvers.environment_policy import EnvironmentPolicy
from humansoft.solvers.q_functions import AbstractScores
from humansoft.solvers.temperature_range import AtTemperature

_RANGE = "temperatures.json"


@dataclass(frozen=True, eq=False)
class TemperaturePolicy:
    """A policy for every temperature of a range, learned by one network in one training.

    Attributes:
        env_id: the environment it was learned in.
        options: what that environment was made with.
        network: from observations and the log temperature to scores of actions.
        num_states: number of codes where observations are codes.
        low: smallest temperature that was seen in training.
        high: largest.
        score_unit: unit of the scores at temperature 1, which grows with it; ``None``: scores are logarithms.
        seed: of random nodes, by which integrals over more than 2 dimensions of actions are estimated.
    """

    env_id: str
    options: Mapping[str, Any]
    network: AbstractScores
    num_states: int | None
    low: float
    high: float
    score_unit: float | None
    seed: int = 0

    def at(self, temperature: float) -> EnvironmentPolicy:
        """Return the policy of people of one temperature.

        Raises:
            ModelError: nobody of this temperature was seen in training.
        """
        if not self.low <= temperature <= self.high:
            raise ModelError(
                f"temperature={temperature}; the policies in {self.env_id} were learned for temperatures from "
                f"{self.low} to {self.high}: ask within, or learn for a wider range"
            )
        scores = AtTemperature(self.network, temperature, self.num_states)
        unit = 1.0 if self.score_unit is None else self.score_unit * temperature
        return EnvironmentPolicy(self.env_id, self.options, scores, unit, self.seed)

    def save(self, folder: str | Path) -> Path:
        """Save as a new folder, which :meth:`load` reads again.

        Raises:
            RunError: the folder exists and is not empty.
        """
        folder = self.at(self.low).save(folder)
        record = {"low": self.low, "high": self.high, "score_unit": self.score_unit}
        (folder / _RANGE).write_text(json.dumps(record, indent=1), encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load what :meth:`save` wrote.

        Raises:
            RunError: a file is missing or damaged, or of another format.
        """
        lowest = EnvironmentPolicy.load(folder)
        try:
            record = json.loads((Path(folder) / _RANGE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{Path(folder) / _RANGE} is missing or damaged ({error})") from error
        scores = lowest.scores
        if not isinstance(scores, AtTemperature):
            raise RunError(f"{folder} holds the policy of one temperature; load it with EnvironmentPolicy.load")
        given = {"network": scores.network, "num_states": scores.num_states, "seed": lowest.seed, **record}
        return cls(env_id=lowest.env_id, options=lowest.options, **given)
