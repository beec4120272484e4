"""humansoft beside its peers on exact, tabular work: time, memory and whether the answers agree.

Every system does every run in a process of its own, in turn (A B A B), with one thread. Peers are
installed in environments of their own, once. The files are written after every workload.

Example: python -m analysis.benchmarks.exact --json rows.json --markdown table.md
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.benchmarks.environments import Environments, InstallationError
from analysis.benchmarks.limits import Machine
from analysis.benchmarks.makers import DataAbsentError
from analysis.benchmarks.options import add_common, require_known
from analysis.benchmarks.processes import Caps, Outcome, measure
from analysis.benchmarks.table import Row, markdown, rows_of, skipped, write_json, write_markdown
from analysis.benchmarks.workloads import WORKLOADS, System, Workload
from analysis.benchmarks.worlds import Shape
from analysis.rows import DATA_BESIDE

LONG_S = 60.0
"""A process that takes longer is not repeated: medians are for what is quick enough to waver."""


@dataclass(frozen=True)
class Args:
    """Options.

    Attributes:
        quick: small sizes, one run, only the first workload of each kind.
        only: names of workloads; empty: all.
        runs: runs of each system; ``None``: 5, or 1 when quick.
        without_peers: only humansoft and the reference loops, which need no environment.
        warm: warm every process up, not only where the workload says so.
        json: file for the rows.
        markdown: file for the table.
        environments: folder of the peers' environments.
        timeout: seconds a process may take.
        memory: gigabytes a process may take.
    """

    quick: bool
    only: Sequence[str]
    runs: int | None
    without_peers: bool
    warm: bool
    json: Path | None
    markdown: Path | None
    environments: Path
    timeout: float
    memory: float

    def chosen(self, workloads: Sequence[Workload]) -> list[Workload]:
        """Return the workloads to do, of some."""
        if self.only:
            return [workload for workload in workloads if workload.name in self.only]
        return [workload for workload in workloads if workload.in_quick or not self.quick]

    @property
    def num_runs(self) -> int:
        """Runs of each system."""
        return self.runs or (1 if self.quick else 5)


def run_all(workloads: Sequence[Workload], description: str) -> None:
    """Run the workloads that the command line chooses and write the table."""
    args = parse(workloads, description)
    if DATA_BESIDE.is_dir():
        os.environ.setdefault("HUMANSOFT_DATA", str(DATA_BESIDE))
    machine = Machine.measured()
    environments = Environments(args.environments)
    rows: list[Row] = []
    for workload in args.chosen(workloads):
        rows += run(workload, args, environments, machine)
        if args.json:
            write_json(args.json, rows)
        if args.markdown:
            write_markdown(args.markdown, rows, machine)
    print(markdown(rows, machine))


def parse(workloads: Sequence[Workload], description: str) -> Args:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, one run, one workload of each kind")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="workloads to run; default: all")
    parser.add_argument("--runs", type=int, help="runs of each system (default 5; 1 when quick)")
    parser.add_argument("--without-peers", action="store_true", help="only humansoft and the reference loops")
    parser.add_argument("--warm", action="store_true", help="warm up every process, whatever the workload says")
    add_common(parser, timeout=600.0)
    parser.add_argument("--memory", type=float, default=12.0, help="gigabytes a process may take (default 12)")
    args = Args(**vars(parser.parse_args()))
    require_known(parser, args.only, [workload.name for workload in workloads], "workload ")
    if args.runs is not None and args.runs < 1:
        parser.error(f"--runs {args.runs}: at least 1")
    return args


def run(workload: Workload, args: Args, environments: Environments, machine: Machine) -> list[Row]:
    """Make one workload, let everybody do it in turn, and return its rows."""
    say(f"{workload.name}: {workload.what}")
    folder = Path(tempfile.mkdtemp(prefix=f"{workload.name}-"))
    try:
        size = workload.quick if args.quick else workload.full
        sizes = workload.make(folder / "instance", size)
        small = workload.warm or (workload.quick if args.warm else None)
        warm = list(warm_up(workload, folder, size, small))
        caps = Caps(args.timeout, args.memory)
        runs = take_turns(workload, args, environments, [folder, *warm], caps)
        return rows_of(workload, sizes, runs, machine, quick=args.quick, warm=bool(warm))
    except DataAbsentError as error:
        say(f"  skipped: {error}")
        return [skipped(workload, str(error))]
    finally:
        shutil.rmtree(folder)


def warm_up(workload: Workload, folder: Path, size: Shape, small: Shape | None) -> Iterator[Path]:
    """Make the instance that is done before the clock starts, if there is to be one."""
    if small is None:
        return
    if small == size:  # real data: the same work once before
        yield folder / "instance"
        return
    workload.make(folder / "warm", small)
    yield folder / "warm"


def take_turns(
    workload: Workload, args: Args, environments: Environments, folders: Sequence[Path], caps: Caps
) -> dict[str, list[Outcome]]:
    """Run every system once, then every system again, and so on.

    Args:
        workload: what they do.
        args: the options.
        environments: where the peers are.
        folders: the working folder, with the instance; then perhaps an instance to warm up with.
        caps: what a process may take.
    """
    systems = [s for s in workload.systems if s.environment is None or not args.without_peers]
    runs: dict[str, list[Outcome]] = {system.name: [] for system in systems}
    for turn in range(args.num_runs):
        for system in systems:
            before = runs[system.name]
            if any(outcome.failure or outcome.wall_s > LONG_S for outcome in before):
                continue
            outcome = once(system, environments, folders, caps)
            before.append(outcome)
            told = outcome.failure or f"{outcome.report['wall_s']:.3g} s (process {outcome.wall_s:.3g} s)"
            say(f"  {system.name}, run {turn + 1} of {args.num_runs}: {told}")
    return runs


def once(system: System, environments: Environments, folders: Sequence[Path], caps: Caps) -> Outcome:
    """Run one system once."""
    try:
        python = Path(sys.executable) if system.environment is None else environments.python(system.environment)
    except InstallationError as error:
        return Outcome(0.0, 0.0, {}, str(error))
    folder, *warm = folders
    report = folder / "report.json"
    arguments = [system.work, str(folder / "instance"), str(report), *map(str, warm)]
    return measure(python, f"analysis.benchmarks.{system.module}", arguments, report, caps)


def say(text: str) -> None:
    """Tell how far it is, on stderr."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_all(WORKLOADS, __doc__ or "")
