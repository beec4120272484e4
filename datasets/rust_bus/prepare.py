"""Turn Rust's original .asc files into bus_months.csv.gz and buses.csv.

Run as ``python prepare.py RAW OUT``: RAW holds the publisher's files, either under their paths in
the repository (see card.toml) or side by side in one folder.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from humansoft.catalogue.raw_files import read_sources, run_as_script, write_csv

Integers = npt.NDArray[np.int64]

CARD = Path(__file__).with_name("card.toml")

ROWS = {
    "g870": 36,
    "rt50": 60,
    "t8h203": 81,
    "a530875": 128,
    "a530874": 137,
    "a452374": 137,
    "a530872": 137,
    "a452372": 137,
    "d309": 110,
}
"""Rows of each file in the order of Rust's groups 1-8; d309, which he left out, is group 9."""

HEADER = [
    "bus_id",
    "purchase_month",
    "purchase_year",
    "repl1_month",
    "repl1_year",
    "repl1_odometer",
    "repl2_month",
    "repl2_year",
    "repl2_odometer",
    "first_month",
    "first_year",
]
"""Meaning of the first rows of a file; the odometer readings of each month follow them."""

BIN_MILES = 5000


def read_table(content: bytes, rows: int) -> Integers:
    """Return the [bus, row] numbers of a file, which stacks the columns (buses) of its table."""
    return np.array(content.split(), dtype=np.int64).reshape(-1, rows)


def header_of(group: int, file: str, table: Integers) -> pd.DataFrame:
    """Return one row per bus with the dates and odometers of the file's header."""
    header = pd.DataFrame(table[:, : len(HEADER)], columns=HEADER)
    years = ["purchase_year", "repl1_year", "repl2_year", "first_year"]
    # Years are written with two digits; 0 stands for "never".
    header[years] += 1900 * (header[years] > 0)
    header.insert(1, "group", group)
    header.insert(2, "file", file)
    return header


def months_of(header: pd.DataFrame, odometer: Integers) -> pd.DataFrame:
    """Return one row per bus and month, with mileage, choice and Rust's 5,000-mile bins.

    Args:
        header: the buses of one file.
        odometer: [bus, month] readings, one a month.
    """
    months = odometer.shape[1]
    recorded = header[["repl1_odometer", "repl2_odometer"]].to_numpy()[:, None, :]
    passed = (recorded > 0) & (odometer[:, :, None] > recorded)
    mileage = odometer - np.max(recorded * passed, axis=2)
    replaced = np.zeros_like(odometer)
    # The choice belongs to the last month before the odometer passes the recorded replacement.
    replaced[:, :-1] = np.diff(passed.sum(axis=2), axis=1)
    t = np.broadcast_to(np.arange(months), odometer.shape)
    date = (12 * header["first_year"] + header["first_month"] - 1).to_numpy()[:, None] + t
    columns: dict[str, Integers] = {
        "group": header["group"].to_numpy()[:, None] + 0 * t,
        "bus_id": header["bus_id"].to_numpy()[:, None] + 0 * t,
        "t": t,
        "year": date // 12,
        "month": date % 12 + 1,
        "odometer": odometer,
        "mileage": mileage,
        "replaced": replaced,
        **bins_of(mileage, replaced == 1),
        "done": 1 * (t == months - 1),
    }
    frame = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
    unknown = ["next_x5000", "dx5000", "dx5000_rust"]  # in the last month of a bus
    frame[unknown] = frame[unknown].astype("Int64").where(frame["done"] == 0)
    return frame


def bins_of(mileage: Integers, replaced: npt.NDArray[np.bool_]) -> dict[str, Integers]:
    """Return state, next state and both counts of the increment, each [bus, month].

    The last month of a bus has no next one; what stands there is to be blanked.
    """
    following = np.roll(mileage, -1, axis=1)
    state, next_state = mileage // BIN_MILES, following // BIN_MILES
    return {
        "x5000": state,
        "next_x5000": next_state,
        "dx5000": next_state - np.where(replaced, 0, state),
        # Rust rounds the first mileage of a new engine up, all others down.
        "dx5000_rust": np.where(replaced, -(-following // BIN_MILES), next_state - state),
    }


def prepare(raw: Path, out: Path) -> None:
    """Write the canonical tables of this data set into ``out``, made from the files in ``raw``."""
    sources = {Path(path).stem: content for path, content in read_sources(CARD, raw).items()}
    headers, months = [], []
    for group, (file, rows) in enumerate(ROWS.items(), 1):
        table = read_table(sources[file], rows)
        headers.append(header_of(group, file, table))
        months.append(months_of(headers[-1], table[:, len(HEADER) :]))
    out.mkdir(parents=True, exist_ok=True)
    write_csv(pd.concat(headers), out / "buses.csv")
    write_csv(pd.concat(months), out / "bus_months.csv.gz")


if __name__ == "__main__":
    run_as_script(prepare, __doc__)
