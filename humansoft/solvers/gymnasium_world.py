"""Gymnasium environments as worlds to act in, many copies side by side."""

import math
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from humansoft.errors import Problems, TaskError, WorldError
from humansoft.solvers.world import AbstractWorld, Step
from humansoft.tasks.gymnasium import make_environment


class GymnasiumWorld(AbstractWorld):
    """Copies of a Gymnasium environment with finitely many actions.

    Observations that are numbers of a finite set become codes [W], arrays become vectors [W, O] (float32).

    Args:
        env_id: id of a registered environment.
        num_walkers: copies.
        discount: weight of the next step's value.
        temperature: of planning, in reward units.
        bonus: "kl" measures plans against the uniform policy, "entropy" against the counting measure.
        options: passed to the environment.

    Raises:
        TaskError: no such environment, or one whose actions or observations cannot be handled.

    Example:
        >>> world = GymnasiumWorld("CartPole-v1", num_walkers=3)
        >>> world.reset(seed=1).shape, world.num_actions
        (torch.Size([3, 4]), 2)
    """

    def __init__(
        self,
        env_id: str,
        num_walkers: int,
        discount: float = 0.99,
        temperature: float = 1.0,
        bonus: str = "kl",
        options: dict[str, Any] | None = None,
    ) -> None:
        """Make the environment and look at its spaces."""
        self.env_id, self.num_walkers, self.discount = env_id, num_walkers, discount
        self._env = _made(env_id, options or {}, num_walkers)
        observations, actions = self._env.single_observation_space, self._env.single_action_space
        with Problems(f"the environment {env_id}", TaskError) as problems:
            if type(actions).__name__ != "Discrete":
                problems.add(f"its actions are a {actions}; only a finite number of actions (Discrete) can be learned")
            if type(observations).__name__ not in ("Discrete", "Box"):
                problems.add(f"its observations are a {observations}; only Discrete and Box can be read")
        self.num_actions, self._first_action = int(actions.n), int(actions.start)
        self.num_states = int(observations.n) if type(observations).__name__ == "Discrete" else None
        self._first_state = 0 if self.num_states is None else int(observations.start)
        self._temperature = temperature
        self._log_prior = -math.log(self.num_actions) if bonus == "kl" else 0.0
        self._state = torch.zeros(0)
        self._just_ended = np.zeros(num_walkers, dtype=bool)
        self._num_steps = 0

    def reset(self, seed: int) -> Shaped[Tensor, "W *O"]:
        """Begin new episodes, each copy with a seed of its own."""
        with self._told_where():
            observed, _ = self._env.reset(seed=seed)
        self._just_ended[:] = False
        self._num_steps = 0
        self._state = self._read(observed)
        return self._state

    def step(self, action: Int[Tensor, " W"]) -> tuple[Step, Shaped[Tensor, "W *O"]]:
        """Act once in every copy; the step after an end only begins the next episode.

        Raises:
            WorldError: the environment gave a reward or an observation that is not a finite number.
        """
        state, starting = self._state, self._just_ended
        with self._told_where():
            observed, reward, terminated, truncated, _ = self._env.step(action.cpu().numpy() + self._first_action)
        self._num_steps += 1
        self._state = self._read(observed)
        rewards = torch.as_tensor(np.asarray(reward, dtype=np.float32))
        self._require_finite(rewards, "reward")
        self._just_ended = np.asarray(terminated | truncated)
        happened = Step(
            state,
            action.cpu(),
            rewards,
            self._state,
            torch.from_numpy(np.asarray(terminated)),
            torch.from_numpy(np.asarray(truncated & ~terminated)),
            torch.from_numpy(~starting),
        )
        return happened, self._state

    def log_prior(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, "N A"]:
        """Return the uniform policy's, or 0."""
        return torch.full((len(state), self.num_actions), self._log_prior, device=state.device)

    def temperature(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, " N"]:
        """Return the same in every state."""
        return torch.full((len(state),), self._temperature, device=state.device)

    def _read(self, observed: Any) -> Tensor:  # noqa: ANN401 - whatever the environment gives
        if self.num_states is not None:
            return torch.from_numpy(np.asarray(observed, dtype=np.int64) - self._first_state)
        state = torch.from_numpy(np.array(observed, dtype=np.float32).reshape(self.num_walkers, -1))
        self._require_finite(state, "observation")
        return state

    def _require_finite(self, values: Tensor, what: str) -> None:
        if bool(torch.isfinite(values).all()):
            return
        bad = ~torch.isfinite(values).flatten(1).all(dim=1) if values.ndim > 1 else ~torch.isfinite(values)
        copy = int(bad.nonzero()[0, 0])
        raise WorldError(
            f"{self.env_id} gave the {what} {values[copy].tolist()} in copy {copy} at step {self._num_steps}; "
            "nothing can be learned from it: repair the environment"
        )

    def _told_where(self) -> "_Place":
        return _Place(f"while acting in {self.env_id} ({self.num_walkers} copies), at step {self._num_steps + 1}")


class _Place:
    """Adds to an error of somebody else's environment where it happened; the error itself goes on."""

    def __init__(self, note: str) -> None:
        self.note = note

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if value is not None:
            value.add_note(self.note)


def _made(env_id: str, options: dict[str, Any], copies: int) -> Any:  # noqa: ANN401 - any environment
    """Make a vector environment whose step after an end begins the next episode (Gymnasium's default)."""
    from gymnasium.vector import AutoresetMode

    env = make_environment(env_id, options, copies)
    if env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP) is AutoresetMode.NEXT_STEP:
        return env
    env.close()
    return make_environment(env_id, {**options, "vectorization_mode": "sync"}, copies)
