"""Instances: decision problems with recorded decisions, as plain arrays that every system can read.

A folder holds ``task.npz``, ``log.npz`` and ``truth.npz``. Needs only numpy, for it is also read in the
environments of the peers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]

LOG_COLUMNS = ("subject", "episode", "step", "state", "action", "next_state")


@dataclass(frozen=True, eq=False)
class Instance:
    """One decision problem, in which every action is available in every state, and what people did.

    Attributes:
        state: [M] where a possible transition starts; sorted by state, action and next state.
        action: [M] its action.
        next_state: [M] where it leads.
        probability: [M] how likely that is.
        features: [S, A, F] what is paid for a state and action.
        discount: weight of the next step's value.
        horizon: decisions in an episode, or ``None`` where it has no end.
        log: columns [N] of the recorded decisions (:data:`LOG_COLUMNS`); empty without decisions.
        truth: what the decisions were drawn from ("weights" [F], "temperatures" [people]).
    """

    state: Index
    action: Index
    next_state: Index
    probability: Real
    features: Real
    discount: float
    horizon: int | None = None
    log: Mapping[str, Index] = field(default_factory=dict)
    truth: Mapping[str, Real] = field(default_factory=dict)

    @property
    def num_states(self) -> int:
        """S."""
        return int(self.features.shape[0])

    @property
    def num_actions(self) -> int:
        """A."""
        return int(self.features.shape[1])

    @property
    def state_features(self) -> Real:
        """[S, F], where the features are the same for all actions."""
        first: Real = self.features[:, 0]
        assert (self.features == first[:, None]).all(), "these features differ between actions"
        return first

    @cached_property
    def pair(self) -> Index:
        """[M] number of the state and action, state by state."""
        pair: Index = self.state * self.num_actions + self.action
        return pair

    def dense(self, order: str) -> Real:
        """Return the transitions as a full array, for peers that know no other; ``order`` is "san" or "asn"."""
        full = np.zeros((self.num_states, self.num_actions, self.num_states))
        full[self.state, self.action, self.next_state] = self.probability
        return full if order == "san" else np.ascontiguousarray(full.transpose(1, 0, 2))

    def counts(self) -> Real:
        """Return how often each decision was recorded: [S, A], or [T, S, A] where time is limited."""
        names = ("state", "action") if self.horizon is None else ("step", "state", "action")
        size = {"step": self.horizon or 1, "state": self.num_states, "action": self.num_actions}
        total = np.zeros([size[name] for name in names])
        np.add.at(total, tuple(self.log[name] for name in names), 1.0)
        return total

    def correlation(self, log_temperatures: Real, people: Index | None = None) -> float:
        """Return how log temperatures of people (default: all) go with those that decisions were drawn from."""
        true = np.log(self.truth["temperatures"])
        return float(np.corrcoef(log_temperatures, true if people is None else true[people])[0, 1])

    def write(self, folder: Path) -> None:
        """Write the three files."""
        folder.mkdir(parents=True, exist_ok=True)
        horizon = -1 if self.horizon is None else self.horizon
        transitions = (self.state, self.action, self.next_state)
        np.savez(
            folder / "task.npz",
            # Four bytes are enough for a million states, and a quarter of a gigabyte less to read.
            transitions=np.stack([column.astype(np.int32) for column in transitions]),
            probability=self.probability,
            features=self.features,
            time=np.array([self.discount, horizon]),
        )
        for name, arrays in (("log", self.log), ("truth", self.truth)):
            np.savez(folder / f"{name}.npz", allow_pickle=False, **arrays)

    @classmethod
    def read(cls, folder: Path) -> "Instance":
        """Read what :meth:`write` wrote."""
        with np.load(folder / "task.npz") as task:
            state, action, next_state = task["transitions"].astype(np.int64)
            discount, horizon = task["time"].tolist()
            return cls(
                state=state,
                action=action,
                next_state=next_state,
                probability=task["probability"],
                features=task["features"],
                discount=discount,
                horizon=None if horizon < 0 else int(horizon),
                log=dict(np.load(folder / "log.npz")),
                truth=dict(np.load(folder / "truth.npz")),
            )
