"""One measured process: started, watched, and stopped when it takes too long or too much."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
"""Everybody gets one thread: systems are compared, not schedulers."""

_LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class Caps:
    """What a process may take.

    Attributes:
        seconds: wall time from start to end.
        gigabytes: resident memory.
    """

    seconds: float
    gigabytes: float


@dataclass(frozen=True)
class Outcome:
    """How a process went.

    Attributes:
        wall_s: from its start to its end.
        cpu_s: of all its threads and children.
        report: what it wrote about itself; empty when it did not come to that.
        failure: why there is no result, or "".
    """

    wall_s: float
    cpu_s: float
    report: dict[str, Any]
    failure: str

    @property
    def figures(self) -> dict[str, Any]:
        """What it says of its result."""
        told: dict[str, Any] = self.report.get("figures", {})
        return told


def measure(python: Path, module: str, arguments: Sequence[str], report: Path, caps: Caps) -> Outcome:
    """Run ``python -m module WORK INSTANCE REPORT [WARM-UP]`` and return how it went.

    Args:
        python: interpreter of the environment.
        module: one that ends in :func:`analysis.benchmarks.measure.main`.
        arguments: work, instance, report and perhaps an instance to warm up with.
        report: the file that it writes.
        caps: what it may take.
    """
    report.unlink(missing_ok=True)
    spoken = report.with_suffix(".txt")
    start = time.perf_counter()
    with spoken.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [str(python), "-m", module, *arguments],
            cwd=ROOT,
            env=os.environ | ONE_THREAD,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        cpu_s, failure = _watch(process, start, caps)
    wall_s = time.perf_counter() - start
    told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    if not failure and "error" in told:
        failure = f"not available: {told['error']}"
    if not failure and not told:
        failure = f"ended with {process.returncode}: {_last_line(spoken)}"
    return Outcome(wall_s, cpu_s, told, failure)


def _watch(process: "subprocess.Popen[bytes]", start: float, caps: Caps) -> tuple[float, str]:
    """Wait for the end; return the CPU seconds, and why it was stopped if it was."""
    failure = ""
    try:
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            if time.perf_counter() - start > caps.seconds:
                failure = f"stopped after {caps.seconds:g} s"
            elif _resident_gb(process.pid) > caps.gigabytes:
                failure = f"stopped at {caps.gigabytes:g} GB"
            if failure:
                os.killpg(process.pid, signal.SIGKILL)
                _, status, usage = os.wait4(process.pid, 0)
                break
            time.sleep(_LOOK_EVERY_S)
    except BaseException:  # an interruption must not leave it running
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, failure


def _resident_gb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):  # another system, or it has just ended
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
