"""What happens inside a measured process: load, warm up, do the work, tell time and memory.

Needs nothing but the standard library, for it also runs in the environments of the peers.
"""

import json
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any


@dataclass
class Stopwatch:
    """Adds up the time of the parts of a process.

    Attributes:
        work: seconds (wall, CPU) of each part that counts.
        aside: seconds of each part that is only reported, such as building a task.
        before_work_mb: largest memory before the first part that counts.
    """

    work: dict[str, tuple[float, float]] = field(default_factory=dict)
    aside: dict[str, tuple[float, float]] = field(default_factory=dict)
    before_work_mb: float | None = None

    @contextmanager
    def counted(self, part: str) -> Iterator[None]:
        """Time a part of the work itself."""
        if self.before_work_mb is None:
            self.before_work_mb = peak_mb()
        with _timed(self.work, part):
            yield

    @contextmanager
    def reported(self, part: str) -> Iterator[None]:
        """Time what has to be done but is not the work."""
        with _timed(self.aside, part):
            yield


@contextmanager
def _timed(parts: dict[str, tuple[float, float]], part: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield
    finally:
        parts[part] = (time.perf_counter() - wall, time.process_time() - cpu)


Figures = Callable[[], Mapping[str, Any]]
"""Looks at a result when time and memory have been taken."""

Work = Callable[[Path, Stopwatch], Figures]
"""Does one piece of work on the instance in a folder."""


def peak_mb() -> float:
    """Return the largest memory of this process so far, in MB.

    The kernel's own figure of this program goes first: ``getrusage`` also counts what the process
    that started this one had taken.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / 1024 / (1024 if sys.platform == "darwin" else 1)


def main(works: Mapping[str, Work], packages: tuple[str, ...], imports: Callable[[str], None] | None = None) -> None:
    """Do one piece of work and write how it went: WORK INSTANCE REPORT [WARM-UP INSTANCE].

    Args:
        works: what this system can do, by name.
        packages: distributions whose versions belong beside the figures.
        imports: imports what a piece of work needs and loads only on first use.
    """
    name, instance, report, *warm = sys.argv[1:]
    if imports:
        imports(name)
    told: dict[str, Any] = {"versions": {package: metadata.version(package) for package in packages}}
    told["versions"]["python"] = ".".join(map(str, sys.version_info[:3]))
    try:
        told |= _measured(works[name], Path(instance), [Path(folder) for folder in warm])
    except Exception as error:  # whatever it is, it is the result
        traceback.print_exc()
        told["error"] = f"{type(error).__name__}: {_first_line(error)}"
    Path(report).write_text(json.dumps(told), encoding="utf-8")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def _measured(work: Work, instance: Path, warm: list[Path]) -> dict[str, Any]:
    base = peak_mb()
    for folder in warm:
        work(folder, Stopwatch())
    clock = Stopwatch()
    figures = work(instance, clock)
    peak = peak_mb()
    parts = clock.aside | clock.work
    return {
        "wall_s": sum(wall for wall, _ in clock.work.values()),
        "cpu_s": sum(cpu for _, cpu in clock.work.values()),
        "base_mb": base,
        "before_work_mb": clock.before_work_mb,
        "peak_mb": peak,
        "parts": {part: {"wall_s": wall, "cpu_s": cpu} for part, (wall, cpu) in parts.items()},
        "figures": dict(figures()),
    }
