"""humansoft beside its peers at learning to act in environments: seconds and decisions until the policy is good.

Every system learns with every seed in a process of its own, in turn, with one thread. Every 2,000 decisions its greedy
policy is judged over 20 episodes, with the clock stopped; training ends when their mean return reaches the goal.

Example: python -m analysis.benchmarks.forward --json rows.json --markdown table.md
"""

import argparse
import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from analysis.benchmarks.environments import Environments
from analysis.benchmarks.exact import once, say
from analysis.benchmarks.limits import Machine
from analysis.benchmarks.options import add_common, require_known
from analysis.benchmarks.processes import Caps, Outcome
from analysis.benchmarks.table import Row, markdown, rows_of, write_json, write_markdown
from analysis.benchmarks.training import Training
from analysis.benchmarks.workloads import HUMANSOFT, Bar, System, Workload
from analysis.benchmarks.worlds import Shape

SOFT_Q = System(f"{HUMANSOFT}", "ours_forward", "soft_q_learning")
GRADIENT = System(f"{HUMANSOFT} policy gradient", "ours_forward", "policy_gradient")
EXACT = System(f"{HUMANSOFT} exact (knows the transitions)", "ours_forward", "exact")
PEERS = (
    System("DQN", "peers.stable_baselines3", "dqn", environment="stable_baselines3"),
    System("PPO", "peers.stable_baselines3", "ppo", environment="stable_baselines3"),
)

TRAININGS = {
    "cartpole": Training("CartPole-v1", goal=475, most_steps=50_000, temperature=0.5),
    "acrobot": Training("Acrobot-v1", goal=-100, most_steps=100_000, temperature=0.5),
    "lunar_lander": Training("LunarLander-v3", goal=200, most_steps=100_000, temperature=0.5),
    "frozen_lake": Training(
        "FrozenLake-v1", goal=0.6, most_steps=100_000, temperature=0.002, episodes=100, options={"map_name": "8x8"}
    ),
    "taxi": Training("Taxi-v4", goal=7, most_steps=200_000, temperature=0.1, every=10_000),
}
BARS = {
    "cartpole": Bar("soft Q-learning at most 10 s and 25,000 decisions; policy gradient no slower than PPO", wall_s=10)
}
TABULAR = ("frozen_lake", "taxi")


@dataclass(frozen=True)
class Args:
    """Options.

    Attributes:
        quick: a few thousand decisions, one seed, CartPole and FrozenLake only.
        only: names of environments; empty: all.
        seeds: how many; ``None``: 5, or 1 when quick.
        without_peers: only humansoft.
        json: file for the rows.
        markdown: file for the table.
        environments: folder of the peers' environments.
        timeout: seconds a process may take.
    """

    quick: bool
    only: Sequence[str]
    seeds: int | None
    without_peers: bool
    json: Path | None
    markdown: Path | None
    environments: Path
    timeout: float

    @property
    def chosen(self) -> Sequence[str]:
        """The environments to learn in."""
        return self.only or (("cartpole", "frozen_lake") if self.quick else tuple(TRAININGS))

    @property
    def num_seeds(self) -> int:
        """Seeds of each system."""
        return self.seeds or (1 if self.quick else 5)


def main() -> None:
    """Let everybody learn everywhere and write the table."""
    args = parse()
    machine, environments = Machine.measured(), Environments(args.environments)
    rows: list[Row] = []
    for name in args.chosen:
        rows += run(name, args, environments, machine)
        if args.json:
            write_json(args.json, rows)
        if args.markdown:
            write_markdown(args.markdown, rows, machine)
    print(markdown(rows, machine))


def parse() -> Args:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few thousand decisions, one seed, two environments")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="environments; default: all")
    parser.add_argument("--seeds", type=int, help="seeds of each system (default 5; 1 when quick)")
    parser.add_argument("--without-peers", action="store_true", help="only humansoft")
    add_common(parser, timeout=900.0)
    args = Args(**vars(parser.parse_args()))
    require_known(parser, args.only, TRAININGS)
    if args.seeds is not None and args.seeds < 1:
        parser.error(f"--seeds {args.seeds}: at least 1")
    return args


def run(name: str, args: Args, environments: Environments, machine: Machine) -> list[Row]:
    """Let everybody learn in one environment, seed by seed, and return the rows."""
    training = TRAININGS[name]
    if args.quick:
        training = dataclasses.replace(training, most_steps=3000, every=1000, episodes=5)
    workload = _workload(name, training, without_peers=args.without_peers)
    say(f"{name}: {workload.what}")
    runs: dict[str, list[Outcome]] = {system.name: [] for system in workload.systems}
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    try:
        for seed in range(1, args.num_seeds + 1):
            dataclasses.replace(training, seed=seed).write(folder / "instance")
            for system in workload.systems:
                outcome = once(system, environments, [folder], Caps(args.timeout, gigabytes=8.0))
                runs[system.name].append(outcome)
                say(f"  {system.name}, seed {seed} of {args.num_seeds}: {outcome.failure or _told([outcome])}")
    finally:
        shutil.rmtree(folder)
    sizes = {"decisions at most": training.most_steps, "seeds": args.num_seeds}
    rows = rows_of(workload, sizes, runs, machine, quick=args.quick, warm=False)
    return [_summed_up(row, runs[row.system]) for row in rows]


def _workload(name: str, training: Training, *, without_peers: bool) -> Workload:
    systems = (SOFT_Q, GRADIENT, *((EXACT,) if name in TABULAR else ()), *(() if without_peers else PEERS))
    what = f"{training.env_id} until the greedy return is {training.goal:g}, temperature {training.temperature:g}"
    nothing = Shape(0, 0, 0, 0)
    return Workload(
        name, what, BARS.get(name, Bar("none")), systems, lambda *_: {}, nothing, nothing, limit=None
    )  # fmt: skip


def _summed_up(row: Row, outcomes: Sequence[Outcome]) -> Row:
    """Tell of all seeds, where a row of other benchmarks tells of the last run."""
    good = [outcome for outcome in outcomes if not outcome.failure]
    if not good:
        return row
    figures: dict[str, Any] = {
        "steps": median(outcome.figures["steps"] for outcome in good),
        "reached": sum(outcome.figures["reached"] for outcome in good),
        "of_each_seed": [outcome.figures for outcome in good],
        "note": _told(good),
    }
    detail = {**row.detail, "figures": figures}
    if detail.get("bar_met") and figures["reached"] * 2 <= len(outcomes):  # no median of what most did not reach
        detail["bar_met"] = False
    return dataclasses.replace(row, detail=detail)


def _told(outcomes: Sequence[Outcome]) -> str:
    """Return in words how far some seeds came."""
    steps = sorted(outcome.figures["steps"] for outcome in outcomes)
    reached = sum(outcome.figures["reached"] for outcome in outcomes)
    last = median(outcome.figures["returns"][-1] for outcome in outcomes)
    spread = f"{median(steps):,.0f} decisions ({steps[0]:,} to {steps[-1]:,})"
    seconds = median(outcome.report["wall_s"] for outcome in outcomes)
    return f"goal reached by {reached} of {len(outcomes)}, {spread}, {seconds:.2f} s, last return {last:.1f}"


if __name__ == "__main__":
    main()
