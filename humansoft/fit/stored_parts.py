"""The parts of a hypothesis as JSON: rewards and choice terms."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from humansoft.choice import ActionBias, ChoiceTerm, Lapse, Stickiness
from humansoft.errors import RunError
from humansoft.packing import pack, unpack
from humansoft.rewards.base import AbstractReward
from humansoft.rewards.known import KnownReward
from humansoft.rewards.linear import LinearReward
from humansoft.rewards.table import TableReward


def reward_record(reward: AbstractReward) -> dict[str, Any]:
    """Write a reward down.

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
    if isinstance(reward, KnownReward):
        return {"kind": "KnownReward"}
    raise RunError(
        f"a {type(reward).__name__} is a reward of your own class: only LinearReward, TableReward and KnownReward are "
        "saved"
    )


def reward_tensors(reward: AbstractReward) -> dict[str, Tensor]:
    """Return the numbers of a reward by name, learned or known."""
    return {f"reward.{name}": number.detach() for name, number in reward.state_dict().items()}


def reward_of(record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> AbstractReward:
    """Read it back; learned numbers are put in later, when the model is bound."""
    if record["kind"] == "KnownReward":
        return KnownReward(tensors["reward.values"])
    if record["kind"] == "LinearReward":
        return LinearReward(record["features"], record["fixed"], record["shared"])
    return TableReward(record["over"], {unpack(k): v for k, v in record["fixed"]})


def choice_record(term: ChoiceTerm) -> dict[str, Any]:
    """Write a choice term down."""
    if isinstance(term, ActionBias):
        fixed = [[pack(label), float(value)] for label, value in term.fixed.items()]
        return {"kind": "ActionBias", "reference": pack(term.reference), "fixed": fixed}
    found = {"kind": type(term).__name__, "fixed": None if term.fixed is None else float(term.fixed)}
    return {**found, "within": term.within} if isinstance(term, Stickiness) else found


def choice_of(record: Mapping[str, Any]) -> ChoiceTerm:
    """Read it back."""
    if record["kind"] == "ActionBias":
        return ActionBias(unpack(record["reference"]), {unpack(label): value for label, value in record["fixed"]})
    if record["kind"] == "Stickiness":
        return Stickiness(record["fixed"], record["within"])
    return Lapse(record["fixed"])
