"""Scores of actions in the files of a policy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from humansoft.errors import RunError
from humansoft.solvers.box_scores import BoxQ, NormalNetwork
from humansoft.solvers.policy_files import read_policy, write_policy
from humansoft.solvers.q_functions import AbstractScores, QNetwork, QTable
from humansoft.solvers.temperature_range import AtTemperature

_KINDS: dict[str, type[AbstractScores]] = {
    kind.__name__: kind for kind in (QTable, QNetwork, BoxQ, NormalNetwork, AtTemperature)
}


def write_scores(folder: Path, scores: AbstractScores, record: Mapping[str, Any]) -> Path:
    """Write scores and what else is to be known of a policy as a new folder.

    Raises:
        RunError: the folder exists and is not empty, or the record holds something that JSON does not know.
    """
    return write_policy(folder, {**record, "scores": scores.description()}, scores.state_dict())


def read_scores(folder: Path) -> tuple[AbstractScores, dict[str, Any]]:
    """Read what :func:`write_scores` wrote.

    Raises:
        RunError: a file is missing, damaged or edited, or of another format; the policy of a task.
    """
    record, tensors = read_policy(folder)
    if "scores" not in record:
        raise RunError(f"{folder} holds the policy of a task; load it with Policy.load")
    with torch.random.fork_rng(devices=[]):  # the weights are about to be replaced
        scores = _described(record["scores"])
    scores.load_state_dict(tensors)
    return scores, record


def _described(description: Mapping[str, Any]) -> AbstractScores:
    """Make scores again from what :meth:`AbstractScores.description` says of them."""
    given = dict(description)
    kind = _KINDS[given.pop("kind")]
    if "network" in given:
        given["network"] = _described(given["network"])
    return kind(**given)
