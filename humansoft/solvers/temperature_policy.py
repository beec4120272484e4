"""TemperaturePolicy: what was learned for people of all temperatures of a range, to be asked at any of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from humansoft.errors import ModelError, RunError
from humansoft.solvers.environment_policy import EnvironmentPolicy
from humansoft.solvers.q_functions import QNetwork
from humansoft.solvers.temperature_range import QAtTemperature

_RANGE = "temperatures.json"


@dataclass(frozen=True, eq=False)
class TemperaturePolicy:
    """A policy for every temperature of a range, learned by one network in one training.

    Attributes:
        env_id: the environment it was learned in.
        options: what that environment was made with.
        network: from observations and the log temperature to a score of each action.
        num_states: number of codes where observations are codes.
        low: smallest temperature that was seen in training.
        high: largest.
        score_unit: unit of the scores at temperature 1, which grows with it; ``None``: scores are logarithms.
    """

    env_id: str
    options: Mapping[str, Any]
    network: QNetwork
    num_states: int | None
    low: float
    high: float
    score_unit: float | None

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
        inputs, *hidden, actions = self.network.sizes
        seen = {"num_inputs": inputs - 1} if self.num_states is None else {"num_states": self.num_states}
        scores = QAtTemperature(actions, tuple(hidden), temperature, **seen)
        scores.network = self.network
        unit = 1.0 if self.score_unit is None else self.score_unit * temperature
        return EnvironmentPolicy(self.env_id, self.options, scores, unit)

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
        if not isinstance(lowest.scores, QAtTemperature):
            raise RunError(f"{folder} holds the policy of one temperature; load it with EnvironmentPolicy.load")
        network, num_states = lowest.scores.network, lowest.scores.num_codes
        return cls(lowest.env_id, lowest.options, network, num_states, **record)
