"""How fast a workload could be at best: the bytes that must move and the sums that must be done."""

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

Sizes = Mapping[str, int]
"""How large a workload is; the keys that a limit needs are those of its function."""

_ENTRY = 8 + 4  # bytes of one possible transition: a probability and where it leads
_SOFT = 4  # sums of an action in a soft maximum: subtract, exponentiate, add, divide


@dataclass(frozen=True)
class Machine:
    """What one core of this machine does.

    Attributes:
        bytes_per_s: measured by copying a large array.
        flops_per_s: measured by multiplying two matrices in double precision.
        processor: its name.
        cores: how many there are.
        python: version of this Python.
    """

    bytes_per_s: float
    flops_per_s: float
    processor: str
    cores: int
    python: str

    @classmethod
    def measured(cls) -> "Machine":
        """Measure for about a second."""
        source = np.ones(2**24)
        target = np.empty_like(source)
        square = np.ones((1024, 1024))
        with threadpool_limits(limits=1):
            copying = min(_seconds(lambda: np.copyto(target, source)) for _ in range(5))
            multiplying = min(_seconds(lambda: square @ square) for _ in range(5))
        return cls(
            bytes_per_s=2 * source.nbytes / copying,  # read and written
            flops_per_s=2 * 1024**3 / multiplying,
            processor=_processor(),
            cores=os.cpu_count() or 1,
            python=platform.python_version(),
        )


def _seconds(work: object) -> float:
    assert callable(work)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@dataclass(frozen=True)
class Limit:
    """What nobody can do without.

    Attributes:
        num_bytes: read and written at least once.
        num_flops: sums and products.
        reason: what they are, in words.
    """

    num_bytes: float
    num_flops: float
    reason: str

    def seconds(self, machine: Machine) -> float:
        """The longer of moving and computing, for they can overlap."""
        return max(self.num_bytes / machine.bytes_per_s, self.num_flops / machine.flops_per_s)


def solving(sizes: Sizes) -> Limit:
    """Check one value: every transition once (states, actions, transitions)."""
    return Limit(_task_bytes(sizes), _backup_flops(sizes), "every transition read once, one backup")


def fitting(sizes: Sizes) -> Limit:
    """Check an optimum: a backup, an adjoint and one pass a feature for the curvature, at each time.

    Sizes: states, actions, transitions, features, decisions, times (1 without a horizon).
    """
    features = sizes["states"] * sizes["actions"] * sizes["features"]
    passes = 2 + sizes["features"]
    return Limit(
        num_bytes=_task_bytes(sizes) + 8 * features + 3 * 4 * sizes["decisions"],
        num_flops=sizes["times"] * passes * _backup_flops(sizes) + 4 * features,
        reason=f"task, features and log read once; {passes} passes for value, gradient and curvature",
    )


def fitting_people(sizes: Sizes) -> Limit:
    """Check everybody's optimum: a backup, a derivative and a curvature of each person (also: people)."""
    own = 8 * sizes["states"] * sizes["actions"]
    return Limit(
        num_bytes=_task_bytes(sizes) + 3 * 4 * sizes["decisions"] + 8 * sizes["people"],
        num_flops=sizes["people"] * ((2 + sizes["features"]) * _backup_flops(sizes) + own / 8),
        reason="task and log read once; value, gradient and curvature passes for each person",
    )


def routing(sizes: Sizes) -> Limit:
    """Check the values of all destinations and their adjoints (states, transitions, destinations, features)."""
    cells = sizes["states"] * sizes["destinations"]
    passes = 2 + sizes["features"]
    return Limit(
        num_bytes=_ENTRY * sizes["transitions"] + 2 * 8 * cells,
        num_flops=passes * 2 * sizes["transitions"] * sizes["destinations"],
        reason=f"values and adjoints of all destinations written once; {passes} passes over the turns",
    )


def counting(sizes: Sizes) -> Limit:
    """Read a file once and add up its rows (file_bytes, decisions)."""
    return Limit(
        num_bytes=sizes["file_bytes"] + 3 * 4 * sizes["decisions"],
        num_flops=5 * sizes["decisions"],
        reason="the file read once, three columns unpacked, one sum a decision",
    )


def _task_bytes(sizes: Sizes) -> float:
    return _ENTRY * sizes["transitions"] + 8 * sizes["states"] * (sizes["actions"] + 1)


def _backup_flops(sizes: Sizes) -> float:
    return 2 * sizes["transitions"] + _SOFT * sizes["states"] * sizes["actions"]
