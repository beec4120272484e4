"""Makers of instances: each writes one workload into a folder and says how large it is."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.benchmarks import long_log
from analysis.benchmarks.instances import Instance
from analysis.benchmarks.limits import Sizes
from analysis.benchmarks.worlds import Shape, grid, inverse_rl, known_reward, shared_weights

SEED = 1
FEATURES = 8
HORIZON = 50
FAR = 0.99
"""Discount of the forward problems."""

Make = Callable[[Path, Shape], Sizes]


class DataAbsentError(Exception):
    """The data of a workload are not on this machine; the message says which."""


def make_inverse_rl(folder: Path, shape: Shape) -> Sizes:
    """Maximum causal entropy IRL without an end, discount .95."""
    return _written(inverse_rl(shape, FEATURES, None, SEED), folder)


def make_inverse_rl_in_time(folder: Path, shape: Shape) -> Sizes:
    """The same with as many decisions as an episode has, undiscounted."""
    return _written(inverse_rl(shape, FEATURES, shape.steps, SEED), folder)


def make_known_reward(folder: Path, shape: Shape) -> Sizes:
    """People whose reward is known."""
    return _written(known_reward(shape, SEED), folder)


def make_shared_weights(folder: Path, shape: Shape) -> Sizes:
    """People who share three free weights."""
    return _written(shared_weights(shape, SEED), folder)


def make_forward(folder: Path, shape: Shape) -> Sizes:
    """A grid with a random reward of each cell, and nobody in it."""
    reward = np.random.default_rng(SEED).normal(size=(shape.side**2, 1))
    return _written(grid(shape.side, reward, FAR), folder)


def make_long_log(folder: Path, shape: Shape) -> Sizes:
    """A long log as a file."""
    world = long_log.write(folder, shape, SEED)
    decisions = shape.people * shape.episodes * shape.steps
    own = {"decisions": decisions, "people": shape.people}
    return _sizes(world) | own | {"file_bytes": (folder / "log.parquet").stat().st_size}


def make_rust(folder: Path, shape: Shape) -> Sizes:
    """Rust's group 4 as plain arrays, for the peers."""
    _data("rust_bus")
    import humansoft as hs

    log, task = hs.load_dataset("rust_bus_group4")
    parts = task.parts
    order = np.lexsort((parts.next_state, parts.action, parts.state))
    states, actions = (task.states.encode(log.codebook.states.values), task.actions.encode(log.codebook.actions.values))
    following = np.where(log.next_state < 0, 0, log.next_state)  # after the last month nobody looks
    instance = Instance(
        state=parts.state[order],
        action=parts.action[order],
        next_state=parts.next_state[order],
        probability=parts.probability[order],
        features=parts.features,
        discount=task.discount,
        log={
            "subject": log.subject,
            "episode": log.episode,
            "step": log.step,
            "state": states[log.state],
            "action": actions[log.action],
            "next_state": states[following],
        },
    )
    return _written(instance, folder)


def find_borlange(folder: Path, shape: Shape) -> Sizes:
    """Routes in Borlange: only looked at, everybody reads the published files."""
    data = _data("borlange_routes")
    network, trips = (pd.read_csv(data / f"{name}.csv.gz") for name in ("network", "trips"))
    inner = network[network["is_destination"] == 0]
    return {
        "states": int(inner["to_link"].max()),
        "transitions": len(inner),
        "destinations": int(trips["dest_link"].nunique()),
        "features": 4,
        "decisions": len(trips),
    }


def find_vgc(folder: Path, shape: Shape) -> Sizes:
    """Mazes and arrow keys: only looked at, humansoft loads them by name."""
    data = _data("vgc_gridnav")
    people, pairs, decisions, cells = 0, 0, 0, []
    for experiment in (1, 2):
        grids = json.loads((data / f"exp{experiment}_grids.json").read_text(encoding="utf-8"))
        steps = pd.read_csv(data / f"exp{experiment}_steps.csv.gz")
        played = steps[~steps["grid"].str.endswith("-earlyterm")]
        pairs += len(played.drop_duplicates(["subject", "grid"]))
        people, decisions = people + int(played["subject"].nunique()), decisions + len(played)
        cells += [
            sum(cell not in maze["wall_features"] for line in maze["feature_array"] for cell in line)
            for maze in grids.values()
        ]
    states = min(cells)
    # Everybody is solved for in each of their mazes: as many small problems, of at least this size.
    sizes = {"states": states, "actions": 4, "transitions": 4 * states, "features": 0}
    return sizes | {"people": people, "pairs": pairs, "decisions": decisions}


def _data(name: str) -> Path:
    root = os.environ.get("HUMANSOFT_DATA")
    folder = Path(root) / name if root else None
    if folder is None or not folder.is_dir():
        raise DataAbsentError(f"$HUMANSOFT_DATA has no folder {name}")
    return folder


def _written(instance: Instance, folder: Path) -> Sizes:
    instance.write(folder)
    return _sizes(instance)


def _sizes(instance: Instance) -> dict[str, int]:
    sizes = {
        "states": instance.num_states,
        "actions": instance.num_actions,
        "transitions": len(instance.state),
        "features": int(instance.features.shape[-1]),
        "times": instance.horizon or 1,
    }
    if instance.log:
        sizes |= {"decisions": len(instance.log["step"]), "people": int(instance.log["subject"].max()) + 1}
    return sizes
