"""Rewards on disk: what they are made of; their numbers are tensors of the run."""

from collections.abc import Mapping
from typing import Any

from humansoft.errors import RunError
from humansoft.fit.packing import pack, unpack
from humansoft.rewards.base import AbstractReward
from humansoft.rewards.linear import LinearReward
from humansoft.rewards.table import TableReward


def reward_record(reward: AbstractReward) -> dict[str, Any]:
    """Return what a reward is made of.

    Raises:
        RunError: a reward of the user's own class.
    """
    if isinstance(reward, LinearReward):
        features = None if reward.features is None else list(reward.features)
        return {"kind": "LinearReward", "features": features, "fixed": reward.fixed, "shared": reward.shared}
    if isinstance(reward, TableReward):
        return {
            "kind": "TableReward",
            "over": reward.over,
            "fixed": [[pack(k), v] for k, v in reward.fixed.items()],
        }
    raise RunError(
        f"a {type(reward).__name__} is a reward of your own class: only LinearReward and TableReward are saved"
    )


def read_reward(record: Mapping[str, Any]) -> AbstractReward:
    """Make the reward again."""
    if record["kind"] == "LinearReward":
        return LinearReward(record["features"], record["fixed"], record["shared"])
    return TableReward(record["over"], {unpack(k): v for k, v in record["fixed"]})
