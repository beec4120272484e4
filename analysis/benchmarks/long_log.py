"""A Parquet log of many decisions, written in row groups, so that nobody ever holds it whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.benchmarks.instances import Index, Instance
from analysis.benchmarks.worlds import Shape, grid, policies, walk

COLUMNS = ("subject", "episode", "step", "state", "action")
WEIGHTS = (0.8, -0.5, 0.4, 0.2)

_ROWS_A_GROUP = 1_000_000
_SHORTER_BY = 1000


def write(folder: Path, shape: Shape, seed: int) -> Instance:
    """Write ``log.parquet``, and ``short.parquet`` with the first thousandth of everybody's decisions.

    Args:
        folder: where to; the task goes there as well.
        shape: side of the grid, people, episodes of each and decisions of each episode.
        seed: same seed, same log.
    """
    generator = np.random.default_rng(seed)
    world = grid(shape.side, generator.normal(size=(shape.side**2, len(WEIGHTS))))
    world = replace(world, truth={"weights": np.array(WEIGHTS)})
    world.write(folder)
    np.save(folder / "sizes.npy", np.array([shape.people, world.num_states, world.num_actions]))
    policy = policies(world, world.truth["weights"], [1.0])
    own = shape.episodes * shape.steps
    together = max(1, _ROWS_A_GROUP // own)
    with _writer(folder / "log.parquet") as long, _writer(folder / "short.parquet") as short:
        for first in range(0, shape.people, together):
            who = np.arange(first, min(first + together, shape.people))
            log = walk(world, policy, np.zeros(len(who), dtype=np.int64), shape, generator)
            log["subject"] = log["subject"] + first
            long.write_table(_table(log))
            kept = np.arange(len(log["step"])) % own < max(1, own // _SHORTER_BY)
            short.write_table(_table({name: column[kept] for name, column in log.items()}))
    return world


_SCHEMA = pa.schema([(name, pa.int32()) for name in COLUMNS])


def _writer(path: Path) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, _SCHEMA)


def _table(log: dict[str, Index]) -> pa.Table:
    return pa.table({name: log[name].astype(np.int32) for name in COLUMNS}, schema=_SCHEMA)
