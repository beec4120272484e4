"""TemperaturePolicy: what was learned for people of all temperatures of a range, to be asked at any of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from humansoft.errors import ModelError, NotAvailableError, RunError
from humansoft.solvers.environment_policy import EnvironmentPolicy
from humansoft.solvers.option_checks import is_number
from humansoft.solvers.q_functions import AbstractScores
from humansoft.solvers.score_files import read_scores, write_scores
from humansoft.solvers.temperature_range import AtTemperature


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
        first_state: lowest number of the observations, where they are codes.
        first_action: lowest number of the actions, where they are finitely many.
    """

    env_id: str
    options: Mapping[str, Any]
    network: AbstractScores
    num_states: int | None
    low: float
    high: float
    score_unit: float | None
    seed: int = 0
    first_state: int = 0
    first_action: int = 0

    def at(self, temperature: float) -> EnvironmentPolicy:
        """Return the policy of people of one temperature.

        Raises:
            ModelError: nobody of this temperature was seen in training.
        """
        if not (is_number(temperature) and self.low <= temperature <= self.high):
            raise ModelError(
                f"temperature={temperature!r}; the policies in {self.env_id} were learned for temperatures from "
                f"{self.low} to {self.high}: ask within, or learn for a wider range"
            )
        scores = AtTemperature(self.network, temperature, self.num_states)
        unit = 1.0 if self.score_unit is None else self.score_unit * temperature
        where = (self.env_id, self.options, scores, temperature, unit)
        return EnvironmentPolicy(*where, self.seed, self.first_state, self.first_action)

    def log_prob(self, *_: object, **__: object) -> NoReturn:
        """Refuse: there is a policy only at a temperature.

        Raises:
            NotAvailableError: always; ask ``policy.at(temperature)``.
        """
        raise self._of_whom("log_prob")

    def sample(self, *_: object, **__: object) -> NoReturn:
        """Refuse, as :meth:`log_prob` does."""
        raise self._of_whom("sample")

    def action_distribution(self, *_: object, **__: object) -> NoReturn:
        """Refuse, as :meth:`log_prob` does."""
        raise self._of_whom("action_distribution")

    def save(self, folder: str | Path) -> Path:
        """Save as a new folder, which :meth:`load` reads again.

        Raises:
            RunError: the folder exists and is not empty, or the environment has options that cannot be written down.
        """
        lowest = self.at(self.low)
        record = {**lowest.record(), "low": self.low, "high": self.high, "score_unit": self.score_unit}
        return write_scores(Path(folder), lowest.scores, record)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load what :meth:`save` wrote.

        Raises:
            RunError: a file is missing, damaged or edited, or of another format; the policy of one temperature.
        """
        scores, record = read_scores(Path(folder))
        if "low" not in record or not isinstance(scores, AtTemperature):
            raise RunError(f"{folder} holds the policy of one temperature; load it with EnvironmentPolicy.load")
        names = ("env_id", "options", "low", "high", "score_unit", "seed", "first_state", "first_action")
        given = {name: record[name] for name in names}
        return cls(network=scores.network, num_states=scores.num_states, **given)

    def _of_whom(self, asked: str) -> NotAvailableError:
        return NotAvailableError(
            f"this policy in {self.env_id} is one for each temperature from {self.low} to {self.high}: choose one, "
            f"policy.at({self.low}).{asked}(...)"
        )
