"""EnvironmentPolicy: what was learned in a Gymnasium environment, to be asked, sampled, saved and loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from humansoft._types import DTYPE
from humansoft.errors import ModelError, Problems, RunError
from humansoft.solvers.distributions import AbstractDistribution, Categorical
from humansoft.solvers.environment_values import as_codes, as_vectors
from humansoft.solvers.q_functions import AbstractScores
from humansoft.solvers.score_files import read_scores, write_scores


@dataclass(frozen=True, eq=False)
class EnvironmentPolicy:
    """pi(a|observation) proportional to exp(score / score_unit), every action being available.

    Observations and actions are those of the environment: where they are finitely many, the numbers of its Discrete
    spaces, which need not begin at 0. Where actions are continuous, it is a density in the units of the environment,
    0 outside their box; its edge belongs to it.

    Attributes:
        env_id: the environment it was learned in.
        options: what that environment was made with.
        scores: from observations to a score of each action; what soft Q-learning learns are action values.
        temperature: of the people, in units of the environment's reward.
        score_unit: by what scores are divided: the temperature in units of the scores, 1 where they are logarithms.
        seed: of random nodes, by which integrals over more than 2 dimensions of actions are estimated.
        first_state: lowest number of the observations, where they are codes.
        first_action: lowest number of the actions, where they are finitely many.

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
    score_unit: float
    seed: int = 0
    first_state: int = 0
    first_action: int = 0

    @property
    def actions(self) -> range:
        """The numbers of finitely many actions; empty where they are continuous."""
        return range(self.first_action, self.first_action + self.scores.num_actions)

    def log_prob(self, observation: npt.ArrayLike, action: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
        """Return the log probability, or log density, of what was done.

        Args:
            observation: [N] codes, or [N, O].
            action: [N] codes, or continuous actions [N, D]; of finitely many, all are judged when it is left out.

        Returns:
            [N], or [N, A] of all actions. Of a continuous action outside its box, -inf.

        Raises:
            ModelError: observations or actions have another size than those it learned from, are no numbers or none
                of the environment's codes (with their rows), or continuous actions were left out.
        """
        with self._checked() as problems:
            given = np.asarray(observation)
            state = self._as_state(given, problems)
            done = None if action is None else self._as_action(np.asarray(action), len(np.atleast_1d(given)), problems)
        with torch.no_grad():
            found = self._distribution(state)
            if done is not None:
                logs = self._inside(done, found.log_prob(done))
            elif isinstance(found, Categorical):
                logs = found.log_policy
            else:
                raise ModelError(f"actions in {self.env_id} are continuous: log_prob(observation, action) needs them")
        return logs.numpy()

    def log_prob_error(self, observation: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return [N] how far off :meth:`log_prob` may be, in nats.

        That is 0 but for action values of continuous actions: there an integral is estimated (with more than 2
        dimensions by importance sampling, of which this is the standard error).

        Raises:
            ModelError: observations that are not the environment's.
        """
        with torch.no_grad():
            return self._after(np.asarray(observation)).log_prob_error().numpy()

    def action_distribution(self, observation: npt.ArrayLike) -> "pd.Series[float]":
        """Return the probability of every action after one observation.

        Continuous actions are shown by nodes, which are the index, and the mass around each: the mean of anything
        is its sum over the nodes, weighted by these probabilities.

        Raises:
            ModelError: an observation that is not the environment's.
        """
        with torch.no_grad():
            found = self._after(np.asarray(observation)[None]).weighted(self._generator())
        action = self._spoken(found.action[0])
        names = [f"action_{i}" for i in range(action.shape[1])] if action.ndim == 2 else []
        index = pd.MultiIndex.from_arrays(list(action.T), names=names) if len(names) > 1 else pd.Index(action.ravel())
        return pd.Series(found.probability[0].numpy(), index=index, name="probability")

    def sample(self, observation: npt.ArrayLike, generator: np.random.Generator) -> npt.NDArray[Any]:
        """Draw one action for each observation: codes [N], or continuous actions [N, D].

        Raises:
            ModelError: observations that are not the environment's.
        """
        chance = torch.Generator().manual_seed(int(generator.integers(2**63)))
        with torch.no_grad():
            return self._spoken(self._after(np.asarray(observation)).sample(chance))

    def save(self, folder: str | Path) -> Path:
        """Save as a new folder of JSON and safetensors; :meth:`load` gives the same policy back.

        Raises:
            RunError: the folder exists and is not empty, or the environment has options that cannot be written down.
        """
        return write_scores(Path(folder), self.scores, self.record())

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load what :meth:`save` wrote.

        Raises:
            RunError: a file is missing, damaged or edited, or of another format; the policies of several temperatures.
        """
        scores, record = read_scores(Path(folder))
        if "low" in record:
            raise RunError(f"{folder} holds the policies of several temperatures; load it with TemperaturePolicy.load")
        return cls(scores=scores, **{name: record[name] for name in _RECORDED})

    def record(self) -> dict[str, Any]:
        """Return what is to be known of it beside its scores."""
        return {name: getattr(self, name) for name in _RECORDED}

    def _checked(self) -> Problems:
        return Problems(f"the policy in {self.env_id}", ModelError)

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def _after(self, observation: npt.NDArray[Any]) -> AbstractDistribution:
        with self._checked() as problems:
            state = self._as_state(observation, problems)
        return self._distribution(state)

    def _distribution(self, state: Tensor) -> AbstractDistribution:
        unit = torch.full((len(state),), self.score_unit, dtype=DTYPE)
        return self.scores.distribution(state, torch.zeros_like(unit)[:, None], unit, self._generator())

    def _inside(self, action: Tensor, logs: Tensor) -> Tensor:
        box = self.scores.box
        return logs if box is None else torch.where(box.contains(action), logs, -torch.inf)

    def _spoken(self, action: Tensor) -> npt.NDArray[Any]:
        """Return actions as the environment has them."""
        return (action + self.first_action if self.scores.box is None else action).numpy()

    def _as_action(self, action: npt.NDArray[Any], count: int, problems: Problems) -> Tensor:
        box = self.scores.box
        shape = [count] if box is None else [count, box.num_dimensions]
        if action.size != np.prod(shape) or len(np.atleast_1d(action)) != count:
            problems.add(f"actions have the shape {shape} here, not {list(action.shape)}")
            return torch.zeros(shape)
        if box is None:
            return as_codes(action.reshape(shape), self.actions, "actions", problems)
        return as_vectors(action.reshape(shape), box.num_dimensions, "actions", problems)

    def _as_state(self, observation: npt.NDArray[Any], problems: Problems) -> Tensor:
        if self.scores.num_states is not None:
            known = range(self.first_state, self.first_state + self.scores.num_states)
            return as_codes(observation, known, "observations", problems)
        assert self.scores.num_inputs is not None
        return as_vectors(observation, self.scores.num_inputs, "observations", problems).to(torch.float32)


_RECORDED = ("env_id", "options", "temperature", "score_unit", "seed", "first_state", "first_action")
