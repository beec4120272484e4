"""Gymnasium environments as worlds to act in, many copies side by side."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from humansoft.errors import Problems, TaskError, WorldError
from humansoft.solvers.box import Box
from humansoft.solvers.world import AbstractWorld, Step
from humansoft.tasks.gymnasium import make_environment, numbers


class GymnasiumWorld(AbstractWorld):
    """Copies of a Gymnasium environment whose actions are finitely many, or a bounded box.

    Observations that are numbers of a finite set become codes [W] from 0 on, arrays become vectors [W, O] (float32).
    Actions are codes [W] from 0 on, or vectors [W, D].

    Attributes:
        env_id: id of the environment.
        num_states: number of codes, where observations are codes.
        first_state: what code 0 of an observation is called in the environment.
        first_action: what code 0 of an action is called in the environment.

    Args:
        env_id: id of a registered environment.
        num_walkers: copies.
        discount: weight of the next step's value.
        temperature: of planning, in reward units.
        bonus: "kl" measures plans against the uniform policy, "entropy" against counting, or volume in a box.
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
        _check_spaces(env_id, observations, actions)
        self._read_actions(actions)
        known = numbers(observations) if type(observations).__name__ == "Discrete" else None
        self.num_states = None if known is None else len(known)
        self.first_state = 0 if known is None else known.start
        self._temperature = temperature
        volume = math.log(self.num_actions) if self.box is None else self.box.log_volume
        self._log_prior = -volume if bonus == "kl" else 0.0
        self._state = torch.zeros(0)
        self._just_ended = np.zeros(num_walkers, dtype=bool)
        self._num_steps = 0

    def reset(self, seed: int) -> Shaped[Tensor, "W *O"]:
        """Begin new episodes, each copy with a seed of its own.

        Raises:
            WorldError: as :meth:`step` does.
        """
        with self._acting():
            observed, _ = self._env.reset(seed=seed)
        self._just_ended[:] = False
        self._num_steps = 0
        self._state = self._read(observed)
        return self._state

    def step(self, action: Shaped[Tensor, "W *D"]) -> tuple[Step, Shaped[Tensor, "W *O"]]:
        """Act once in every copy; the step after an end only begins the next episode.

        Raises:
            WorldError: the environment gave a reward or an observation that is not a finite number or not in its
                space, or failed with an error of its own.
        """
        state, starting = self._state, self._just_ended
        with self._acting():
            observed, reward, terminated, truncated, _ = self._env.step(self._for_environment(action))
        self._num_steps += 1
        self._state = self._read(observed)
        rewards = torch.as_tensor(np.asarray(reward, dtype=np.float32))
        self._require(torch.isfinite(rewards), "reward", rewards)
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
        return torch.full((len(state), self.num_actions or 1), self._log_prior, device=state.device)

    def temperature(self, state: Shaped[Tensor, "N *O"]) -> Float[Tensor, " N"]:
        """Return the same in every state."""
        return torch.full((len(state),), self._temperature, device=state.device)

    def _read_actions(self, space: Any) -> None:  # noqa: ANN401 - a Discrete or a Box of Gymnasium
        self._action_space = space
        if type(space).__name__ == "Discrete":
            known = numbers(space)
            self.num_actions, self.first_action, self.box = len(known), known.start, None
        else:
            self.num_actions, self.first_action, self.box = 0, 0, Box.of(space)

    def _for_environment(self, action: Tensor) -> npt.NDArray[Any]:
        space, given = self._action_space, action.cpu().numpy()
        if self.box is None:
            return given + self.first_action
        shaped = given.astype(space.dtype).reshape(len(given), *space.shape)
        inside: npt.NDArray[Any] = np.clip(shaped, space.low, space.high)  # a rounded number may lie just outside
        return inside

    def _read(self, observed: Any) -> Tensor:  # noqa: ANN401 - whatever the environment gives
        if self.num_states is not None:
            codes = torch.from_numpy(np.asarray(observed, dtype=np.int64) - self.first_state)
            self._require((codes >= 0) & (codes < self.num_states), "observation", codes + self.first_state)
            return codes
        state = torch.from_numpy(np.array(observed, dtype=np.float32).reshape(self.num_walkers, -1))
        self._require(torch.isfinite(state).all(dim=1), "observation", state)
        return state

    def _require(self, fine: Bool[Tensor, " W"], what: str, values: Tensor) -> None:
        if bool(fine.all()):
            return
        copy = int((~fine).nonzero()[0, 0])
        legal = "a finite number" if self.num_states is None or what == "reward" else f"one of {self._states}"
        raise WorldError(
            f"{self.env_id} gave the {what} {values[copy].tolist()} in copy {copy} at step {self._num_steps}, which is "
            f"not {legal}; nothing can be learned from it: repair the environment"
        )

    @property
    def _states(self) -> str:
        return f"the numbers from {self.first_state} to {self.first_state + (self.num_states or 0) - 1}"

    @contextmanager
    def _acting(self) -> Iterator[None]:
        """Say where an error of somebody else's environment happened."""
        try:
            yield
        except Exception as error:
            raise WorldError(
                f"{self.env_id} broke down at step {self._num_steps + 1} ({self.num_walkers} copies side by side) "
                f"with {type(error).__name__}: {error}"
            ) from error


def _check_spaces(env_id: str, observations: Any, actions: Any) -> None:  # noqa: ANN401 - spaces of Gymnasium
    kinds = type(observations).__name__, type(actions).__name__
    with Problems(f"the environment {env_id}", TaskError) as problems:
        if kinds[1] not in ("Discrete", "Box"):
            problems.add(f"its actions are a {actions}; only Discrete and bounded Box actions can be learned")
        elif kinds[1] == "Box" and Box.of(actions) is None:
            problems.add(
                f"its actions are a {actions}; a Box has to hold real numbers between finite bounds, low below high "
                "(gymnasium.wrappers.TransformAction gives an environment another space of actions)"
            )
        if kinds[0] not in ("Discrete", "Box"):
            problems.add(f"its observations are a {observations}; only Discrete and Box can be read")
        elif kinds == ("Discrete", "Box"):
            problems.add(
                f"its observations are a {observations}; with continuous actions they have to be a Box "
                "(gymnasium.wrappers.FlattenObservation makes them one)"
            )


def _made(env_id: str, options: dict[str, Any], copies: int) -> Any:  # noqa: ANN401 - any environment
    """Make a vector environment whose step after an end begins the next episode (Gymnasium's default)."""
    from gymnasium.vector import AutoresetMode

    env = make_environment(env_id, options, copies)
    if env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP) is AutoresetMode.NEXT_STEP:
        return env
    env.close()
    return make_environment(env_id, {**options, "vectorization_mode": "sync"}, copies)
