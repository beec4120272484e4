"""Learning to act in an environment: how long until the greedy policy is good, not counting the time to judge it.

Needs nothing but the standard library, numpy and Gymnasium, for it also runs in the environments of the peers.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

Act = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""From observations [N] or [N, O] to the greedy action code of each."""

_FILE = "training.json"
_JUDGE_SEED = 10_000  # episodes of judging begin elsewhere than those of training


@dataclass(frozen=True)
class Training:
    """What is to be learned.

    Attributes:
        env_id: of Gymnasium.
        goal: mean return of the greedy policy that counts as learned.
        most_steps: decisions after which it is over anyway.
        temperature: of humansoft's policy, in units of the reward.
        every: decisions between two looks.
        episodes: of each look.
        discount: weight of the next step's value.
        seed: of training.
        options: of the environment.
    """

    env_id: str
    goal: float
    most_steps: int
    temperature: float
    every: int = 2000
    episodes: int = 20
    discount: float = 0.99
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Training":
        """Read what :meth:`write` wrote."""
        return cls(**json.loads((folder / _FILE).read_text(encoding="utf-8")))

    def write(self, folder: Path) -> None:
        """Write it into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")


class Watch:
    """Looks at a policy every so many decisions and tells when it is good enough; its own time does not count.

    Args:
        training: what is to be learned.
    """

    def __init__(self, training: Training) -> None:
        """Start the clock."""
        self.training, self.due = training, training.every
        self.steps, self.returns = 0, list[float]()
        self._start = (time.perf_counter(), time.process_time())
        self._aside = (0.0, 0.0)

    @property
    def reached(self) -> bool:
        """Whether the last look found a policy as good as it has to be."""
        return bool(self.returns) and self.returns[-1] >= self.training.goal

    @property
    def over(self) -> bool:
        """Whether there is no need to go on."""
        return self.reached or self.steps >= self.training.most_steps

    def look(self, steps: int, act: Act) -> None:
        """Judge the policy if it is time to, after so many decisions of training."""
        self.steps = steps
        if steps < self.due:
            return
        before = self.taken()
        self.due = (steps // self.training.every + 1) * self.training.every
        self.returns.append(greedy_return(self.training, act))
        after = self.taken()
        self._aside = (self._aside[0] + after[0] - before[0], self._aside[1] + after[1] - before[1])

    def taken(self) -> tuple[float, float]:
        """Return the seconds (wall, CPU) of training so far."""
        now = (time.perf_counter(), time.process_time())
        return now[0] - self._start[0] - self._aside[0], now[1] - self._start[1] - self._aside[1]

    def figures(self) -> dict[str, object]:
        """Return what was found."""
        return {"reached": self.reached, "steps": self.steps, "returns": self.returns}


def greedy_return(training: Training, act: Act) -> float:
    """Return the mean return of whole episodes of a policy that never errs from its best action."""
    env = gymnasium.make_vec(training.env_id, training.episodes, **training.options)
    observed, _ = env.reset(seed=_JUDGE_SEED + training.seed)
    total, going = np.zeros(training.episodes), np.ones(training.episodes, dtype=bool)
    while going.any():
        observed, reward, terminated, truncated, _ = env.step(act(observed))
        total += np.where(going, reward, 0.0)
        going &= ~(terminated | truncated)
    env.close()
    return float(total.mean())
