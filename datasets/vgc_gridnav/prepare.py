"""Turn the published key presses of experiments 1 and 2 into steps, grids and participants.

Run as ``python prepare.py RAW OUT``: RAW holds the publisher's files, either under their paths in
the repository (see card.toml) or side by side in one folder (:data:`FLAT_NAMES`).
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from humansoft.catalogue.raw_files import read_sources, run_as_script, write_csv

CARD = Path(__file__).with_name("card.toml")

EXPERIMENTS = (1, 2)

FLAT_NAMES = {
    "experiments/exp1/data/navtrials.json.zip": "exp1-navtrials.json.zip",
    "experiments/exp2/data/navtrials.json.zip": "exp2-navtrials.json.zip",
}
"""Both experiments call the file alike, so a flat folder needs names that tell them apart."""

GRID_KEYS = ("feature_array", "init_state", "absorbing_states", "wall_features")


def read_zipped_json(content: bytes) -> dict[str, Any]:
    """Return the one JSON object inside a zip archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = archive.namelist()
        parsed: dict[str, Any] = json.loads(archive.read(name))
    return parsed


def steps_of(experiment: int, trials: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Return one row per key press, in the order of people, rounds and presses.

    Args:
        experiment: 1 or 2.
        trials: the published table, column -> row label -> value.
    """
    columns = {name: list(trials[name].values()) for name in trials}
    here, there, base = (np.array(columns[name], dtype=np.int64) for name in ("trans_state", "nextstate", "state"))
    frame = pd.DataFrame(
        {
            "exp": experiment,
            # People are numbered in the alphabetical order of their session ids, which are dropped.
            "subject": pd.factorize(np.array(columns["sessionId"]), sort=True)[0],
            "round": columns["round"],
            "grid": columns["gridname"],
            "t": columns["trialnum"],
            "x": here[:, 0],
            "y": here[:, 1],
            "action": columns["action"],
            "next_x": there[:, 0],
            "next_y": there[:, 1],
            "rt_ms": columns["rt"],
            "base_x": base[:, 0],
            "base_y": base[:, 1],
            "at_goal": [int(kind == "G") for kind in columns["nextstate_type"]],
        }
    )
    frame = frame.sort_values(["subject", "round", "t"], ignore_index=True)
    frame["done"] = (~frame.duplicated(["subject", "round"], keep="last")).astype(np.int64)
    return frame


def navigation_rounds(timeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the trials of a timeline that are recorded (practice rounds are not)."""
    return [trial for trial in timeline if trial.get("roundtype") == "navigation"]


def grids_of(timelines: list[list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the mazes of all timelines by name, in alphabetical order."""
    shown = [r["taskparams"] for timeline in timelines for r in navigation_rounds(timeline)]
    grids = {grid["name"]: {key: grid[key] for key in GRID_KEYS} for grid in shown}
    return {name: grids[name] for name in sorted(grids)}


def participants_of(steps: pd.DataFrame, timelines: list[list[dict[str, Any]]]) -> pd.DataFrame:
    """Return the condition of each person: the one timeline whose mazes are theirs, round by round.

    Raises:
        ValueError: when the mazes of a person fit no timeline, or several.
    """
    orders = [
        {(trial["round"], trial["taskparams"]["name"]) for trial in navigation_rounds(timeline)}
        for timeline in timelines
    ]
    conditions: dict[int, int] = {}
    for subject, rounds in steps.groupby("subject"):
        seen = set(zip(rounds["round"], rounds["grid"], strict=True))
        fitting = [condition for condition, order in enumerate(orders) if seen <= order]
        if len(fitting) != 1:
            raise ValueError(f"subject {subject}'s mazes fit timelines {fitting}, expected one")
        conditions[int(str(subject))] = fitting[0]
    return pd.DataFrame({"subject": conditions.keys(), "condition": conditions.values()})


def prepare(raw: Path, out: Path) -> None:
    """Write the canonical tables of this data set into ``out``, made from the files in ``raw``."""
    sources = read_sources(CARD, raw, FLAT_NAMES)
    out.mkdir(parents=True, exist_ok=True)
    for n in EXPERIMENTS:
        folder = f"experiments/exp{n}"
        steps = steps_of(n, read_zipped_json(sources[f"{folder}/data/navtrials.json.zip"]))
        timelines = read_zipped_json(sources[f"{folder}/exp{n}.0-config.json.zip"])["timelines"]
        write_csv(steps, out / f"exp{n}_steps.csv.gz")
        (out / f"exp{n}_grids.json").write_bytes(json.dumps(grids_of(timelines), indent=1).encode())
        write_csv(participants_of(steps, timelines), out / f"exp{n}_participants.csv")


if __name__ == "__main__":
    run_as_script(prepare, __doc__)
