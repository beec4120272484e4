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

from humansoft._types import DTYPE
from humansoft.errors import ModelError, Problems, RunError
from humansoft.solvers.box_scores import BoxQ, NormalNetwork
from humansoft.solvers.distributions import AbstractDistribution, Categorical
from humansoft.solvers.q_functions import AbstractScores, QNetwork, QTable
from humansoft.solvers.temperature_range import AtTemperature

FORMAT = 3
_KINDS: dict[str, type[AbstractScores]] = {
    kind.__name__: kind for kind in (QTable, QNetwork, BoxQ, NormalNetwork, AtTemperature)
}
_TENSORS, _RECORD = "tensors.safetensors", "policy.json"


@dataclass(frozen=True, eq=False)
class EnvironmentPolicy:
    """pi(a|observation) proportional to exp(score / temperature), every action being available.

    Where actions are continuous, it is a density in the units of the environment.

    Attributes:
        env_id: the environment it was learned in.
        options: what that environment was made with.
        scores: from observations to a score of each action; what soft Q-learning learns are action values.
        temperature: in units of the scores.
        seed: of random nodes, by which integrals over more than 2 dimensions of actions are estimated.

    Example:
        >>> import humansoft as hs
        >>> few = hs.PolicyGradient.for_environment(num_steps=2)
        >>> policy = hs.plan_in("Pendulum-v1", temperature=1.0, seed=1, solver=few, num_epochs=1)
        >>> upright = [[1.0, 0.0, 0.0]]
        >>> action = policy.sample(upright, np.random.default_rng(1))
        >>> action.shape, policy.log_prob(upright, action).shape
        ((1, 1), (1,))
    """

    env_id: str
    options: Mapping[str, Any]
    scores: AbstractScores
    temperature: float
    seed: int = 0

    def log_prob(self, observation: npt.ArrayLike, action: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
        """Return the log probability, or log density, of what was done.

        Args:
            observation: [N] codes, or [N, O].
            action: [N] codes, or continuous actions [N, D]; of finitely many, all are judged when it is left out.

        Returns:
            [N], or [N, A] of all actions.

        Raises:
            ModelError: observations or actions have another size than those it learned from, or continuous
                actions were left out.
        """
        given = np.asarray(observation)
        with torch.no_grad():
            found = self._distribution(given)
            if action is not None:
                logs = found.log_prob(self._as_action(np.asarray(action), len(given)))
            elif isinstance(found, Categorical):
                logs = found.log_policy
            else:
                raise ModelError(f"actions in {self.env_id} are continuous: log_prob(observation, action) needs them")
        return logs.numpy()

    def log_prob_error(self, observation: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return [N] how far off :meth:`log_prob` may be, in nats.

        That is 0 but for action values of continuous actions: there an integral is estimated (with more than 2
        dimensions by importance sampling, of which this is the standard error).
        """
        with torch.no_grad():
            return self._distribution(np.asarray(observation)).log_prob_error().numpy()

    def action_distribution(self, observation: npt.ArrayLike) -> "pd.Series[float]":
        """Return the probability of every action after one observation.

        Continuous actions are shown by nodes, which are the index, and the mass around each: the mean of anything
        is its sum over the nodes, weighted by these probabilities.
        """
        with torch.no_grad():
            found = self._distribution(np.asarray(observation)[None]).weighted(self._generator())
        action = found.action[0].numpy()
        names = [f"action_{i}" for i in range(action.shape[1])] if action.ndim == 2 else []
        index = pd.MultiIndex.from_arrays(list(action.T), names=names) if len(names) > 1 else pd.Index(action.ravel())
        return pd.Series(found.probability[0].numpy(), index=index, name="probability")

    def sample(self, observation: npt.ArrayLike, generator: np.random.Generator) -> npt.NDArray[Any]:
        """Draw one action for each observation: codes [N], or continuous actions [N, D]."""
        chance = torch.Generator().manual_seed(int(generator.integers(2**63)))
        with torch.no_grad():
            return self._distribution(np.asarray(observation)).sample(chance).numpy()

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
            "seed": self.seed,
            "scores": self.scores.description(),
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
        with torch.random.fork_rng(devices=[]):  # the weights are about to be replaced
            scores = _described(record["scores"])
        scores.load_state_dict(load_file(folder / _TENSORS))
        return cls(record["env_id"], record["options"], scores, record["temperature"], record.get("seed", 0))

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def _distribution(self, observation: npt.NDArray[Any]) -> AbstractDistribution:
        state = self._as_state(observation)
        temperature = torch.full((len(state),), self.temperature, dtype=DTYPE)
        return self.scores.distribution(state, torch.zeros_like(temperature)[:, None], temperature, self._generator())

    def _as_action(self, action: npt.NDArray[Any], count: int) -> torch.Tensor:
        size = 0 if self.scores.box is None else self.scores.box.num_dimensions
        if action.size != count * max(size, 1) or len(action) != count:
            shape = f"[{count}, {size}]" if size else f"[{count}]"
            raise ModelError(f"actions of {self.env_id} have the shape {shape} here, not {list(action.shape)}")
        return torch.from_numpy(action.reshape(count, size).astype(np.float64) if size else action.astype(np.int64))

    def _as_state(self, observation: npt.NDArray[Any]) -> torch.Tensor:
        num_states, num_inputs = self.scores.num_states, self.scores.num_inputs
        if num_states is not None:
            if observation.ndim == 1 and ((observation >= 0) & (observation < num_states)).all():
                return torch.from_numpy(observation.astype(np.int64))
            raise ModelError(f"observations of {self.env_id} are codes from 0 to {num_states - 1}")
        flat = observation.reshape(len(observation), -1)
        if flat.shape[1] != num_inputs:
            raise ModelError(f"an observation of {self.env_id} has {num_inputs} numbers, not {flat.shape[1]}")
        return torch.from_numpy(flat.astype(np.float32))


def _described(description: Mapping[str, Any]) -> AbstractScores:
    """Make scores again from what :meth:`AbstractScores.description` says of them."""
    given = dict(description)
    kind = _KINDS[given.pop("kind")]
    if "network" in given:
        given["network"] = _described(given["network"])
    return kind(**given)
