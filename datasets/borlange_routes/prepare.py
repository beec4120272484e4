"""Turn the published road network and observed paths into network.csv.gz and trips.csv.gz.

Run as ``python prepare.py RAW OUT``: RAW holds the publisher's files, either under their paths in
the repository (see card.toml) or side by side in one folder.
"""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from humansoft.catalogue.raw_files import read_sources, run_as_script, write_csv

CARD = Path(__file__).with_name("card.toml")

LAST_ROAD_LINK = 7288
"""Links beyond this one are dummies that absorb a trip, one for each destination."""

U_TURN_RAD = 3.1
LEFT_TURN_RAD = -0.5236
FOLDS, FOLD_SEED = 5, 20261123
"""The split of the trips for held-out scores, fixed once so that everybody's numbers compare."""


def read_triplets(content: bytes, value: str) -> pd.DataFrame:
    """Return the (from_link, to_link, value) rows of a sparse matrix written as text."""
    columns = ["from_link", "to_link", value]
    triplets = pd.DataFrame(np.loadtxt(io.BytesIO(content)), columns=columns)
    return triplets.astype({"from_link": np.int64, "to_link": np.int64})


def network_of(incidence: bytes, times: bytes, angles: bytes) -> pd.DataFrame:
    """Return one row per allowed turn with its travel time, angle and indicator columns.

    Turns without a published time or angle (all turns into a destination) get 0, as the sparse
    matrices of the publisher's own estimation code have it.
    """
    turn = ["from_link", "to_link"]
    network = read_triplets(incidence, "allowed")[turn].sort_values(turn)
    network = network.merge(read_triplets(times, "travel_time_min"), on=turn, how="left")
    network = network.merge(read_triplets(angles, "turn_angle_rad"), on=turn, how="left")
    network = network.fillna(0.0)
    destination = network["to_link"] > LAST_ROAD_LINK
    u_turn = network["turn_angle_rad"].abs() > U_TURN_RAD
    left = (network["turn_angle_rad"] < LEFT_TURN_RAD) & ~u_turn
    indicators = {
        "is_destination": destination,
        "u_turn": u_turn,
        "left_turn": left,
        "link_constant": ~destination,
    }
    return network.assign(**{name: flag.astype(np.int64) for name, flag in indicators.items()})


def trips_of(observations: bytes) -> pd.DataFrame:
    """Return one row per link choice.

    The publisher's matrix has one row a trip: its destination first, then the links of the path,
    the destination again as the last of them.
    """
    entries = read_triplets(observations, "link").astype(np.int64)
    entries.columns = pd.Index(["trip", "place", "link"])
    entries = entries.sort_values(["trip", "place"])
    by_trip = entries.groupby("trip")["link"]
    entries["dest_link"] = by_trip.transform("first")
    entries["next_link"] = by_trip.shift(-1)
    choices = entries[(entries["place"] > 1) & entries["next_link"].notna()].reset_index(drop=True)
    choices["t"] = choices["place"] - 2
    choices["next_link"] = choices["next_link"].astype(np.int64)
    choices["done"] = (choices["next_link"] == choices["dest_link"]).astype(np.int64)
    trips = choices["trip"].unique()
    folds = np.random.default_rng(FOLD_SEED).permutation(np.sort(np.arange(len(trips)) % FOLDS))
    choices["fold"] = choices["trip"].map(dict(zip(trips, folds, strict=True)))
    return choices[["trip", "dest_link", "t", "link", "next_link", "done", "fold"]]


def prepare(raw: Path, out: Path) -> None:
    """Write the canonical tables of this data set into ``out``, made from the files in ``raw``."""
    sources = {Path(path).stem: content for path, content in read_sources(CARD, raw).items()}
    tables = {
        "network": network_of(
            sources["linkIncidence"],
            sources["ATTRIBUTEestimatedtime"],
            sources["ATTRIBUTEturnangles"],
        ),
        "trips": trips_of(sources["observationsForEstimBAI"]),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_csv(table, out / f"{name}.csv.gz")


if __name__ == "__main__":
    run_as_script(prepare, __doc__)
