"""EnvironmentPolicy: what was learned in a Gymnasium environment, to be asked, sampled, saved and loaded."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from humansoft.errors import ModelError, Problems, RunError
from humansoft.solvers.policy import drawn
from humansoft.solvers.q_functions import AbstractQ, QNetwork, QTable
from humansoft.solvers.temperature_range import QAtTemperature

FORMAT = 2
_KINDS: dict[str, type[AbstractQ]] = {"QTable": QTable, "QNetwork": QNetwork, "QAtTemperature": QAtTemperature}
_TENSORS, _RECORD = "tensors.safetensors", "policy.json"


@dataclass(frozen=True, eq=False)
class EnvironmentPolicy:
    """pi(a|observation) proportional to exp(score / temperature), every action being available.

    Attributes:
        env_id: the environment it was learned in.
        options: what that environment was made with.
        scores: from observations to a score of each action; what soft Q-learning learns are action values.
        temperature: in units of the scores.
    """

    env_id: str
    options: Mapping[str, Any]
    scores: AbstractQ
    temperature: float

    def log_prob(self, observation: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return log pi(.|observation) [N, A] of observations [N] or [N, O].

        Raises:
            ModelError: the observations have another size than those it learned from.
        """
        given = self._as_state(np.asarray(observation))
        with torch.no_grad():
            scores = self.scores(given).to(torch.float64)
        logs: npt.NDArray[np.float64] = torch.log_softmax(scores / self.temperature, dim=-1).numpy()
        return logs

    def action_distribution(self, observation: npt.ArrayLike) -> "pd.Series[float]":
        """Return the probability of every action after one observation."""
        logs = self.log_prob(np.asarray(observation)[None])[0]
        return pd.Series(np.exp(logs), index=range(len(logs)), name="probability")

    def sample(self, observation: npt.ArrayLike, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw one action code for each observation."""
        return drawn(np.exp(self.log_prob(observation)), generator)

    def save(self, folder: str | Path) -> Path:
        """Save as a new folder of JSON and safetensors; :meth:`load` gives the same policy back.

        Raises:
            RunError: the folder exists and is not empty.
        """
        folder = Path(folder)
        if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
            raise RunError(f"{folder} exists already; choose another name")
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in self.scores.state_dict().items()}, folder / _TENSORS)
        record = {
            "format": FORMAT,
            "env_id": self.env_id,
            "options": dict(self.options),
            "temperature": self.temperature,
            "scores": {"kind": type(self.scores).__name__, **self.scores.arguments()},
            "sha256": hashlib.sha256((folder / _TENSORS).read_bytes()).hexdigest(),
        }
        (folder / _RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load what :meth:`save` wrote.

        Raises:
            RunError: a file is missing or damaged, or of another format; all problems at once.
        """
        folder = Path(folder)
        with Problems(f"the policy {folder}", RunError) as problems:
            for name in (_RECORD, _TENSORS):
                if not (folder / name).is_file():
                    problems.add(f"{name} is missing")
        try:
            record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{folder / _RECORD} is damaged ({error})") from error
        if record.get("format") != FORMAT:
            raise RunError(f"the policy {folder} is of format {record.get('format')!r}, this version reads {FORMAT}")
        if hashlib.sha256((folder / _TENSORS).read_bytes()).hexdigest() != record["sha256"]:
            raise RunError(f"{folder / _TENSORS} was edited after the policy was saved")
        given = dict(record["scores"])
        scores = _KINDS[given.pop("kind")](**given)
        scores.load_state_dict(load_file(folder / _TENSORS))
        return cls(record["env_id"], record["options"], scores, record["temperature"])

    def _as_state(self, observation: npt.NDArray[Any]) -> torch.Tensor:
        arguments = self.scores.arguments()
        if "num_states" in arguments:
            if observation.ndim == 1 and ((observation >= 0) & (observation < arguments["num_states"])).all():
                return torch.from_numpy(observation.astype(np.int64))
            raise ModelError(f"observations of {self.env_id} are codes from 0 to {arguments['num_states'] - 1}")
        flat = observation.reshape(len(observation), -1)
        if flat.shape[1] != arguments["num_inputs"]:
            raise ModelError(
                f"an observation of {self.env_id} has {arguments['num_inputs']} numbers, not {flat.shape[1]}"
            )
        return torch.from_numpy(flat.astype(np.float32))
