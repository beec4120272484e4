"""The workloads: what is done, by whom, how large, and the bar that humansoft has to pass."""

from collections.abc import Callable
from dataclasses import dataclass

from analysis.benchmarks import limits
from analysis.benchmarks.limits import Limit, Sizes
from analysis.benchmarks.makers import (
    Make,
    find_borlange,
    find_vgc,
    make_forward,
    make_inverse_rl,
    make_inverse_rl_in_time,
    make_known_reward,
    make_long_log,
    make_rust,
    make_shared_weights,
)
from analysis.benchmarks.worlds import Shape


@dataclass(frozen=True)
class System:
    """Somebody who does a workload.

    Attributes:
        name: as the table says it.
        module: below ``analysis.benchmarks``.
        work: name of the work in that module.
        environment: name of its environment; ``None``: this Python, where humansoft is.
    """

    name: str
    module: str
    work: str
    environment: str | None = None


HUMANSOFT = "humansoft"


def ours(work: str) -> System:
    """What humansoft does."""
    return System(HUMANSOFT, "ours", work)


def loop(work: str, name: str = "scipy loop") -> System:
    """A reference loop in numpy and scipy."""
    return System(name, "peers.scipy_loops", work)


def peer(name: str, work: str, label: str = "") -> System:
    """Somebody else's package, in an environment of its own."""
    return System(label or name, f"peers.{name}", work, environment=name)


@dataclass(frozen=True)
class Bar:
    """What humansoft has to reach.

    Attributes:
        text: in words, beside the figures.
        wall_s: largest wall time, where it is one.
        peak_mb: largest memory of the process, where it is one.
    """

    text: str
    wall_s: float | None = None
    peak_mb: float | None = None

    def is_met(self, wall_s: float, peak_mb: float) -> bool | None:
        """Whether a run is within both; ``None`` when the bar is no number."""
        if self.wall_s is None and self.peak_mb is None:
            return None
        return (self.wall_s is None or wall_s <= self.wall_s) and (self.peak_mb is None or peak_mb <= self.peak_mb)


def within(seconds: float) -> Bar:
    """A bar of wall time."""
    return Bar(f"at most {seconds:g} s", wall_s=seconds)


@dataclass(frozen=True)
class Workload:
    """One piece of work and everybody who does it.

    Attributes:
        name: for ``--only``.
        what: one line for the table.
        bar: what humansoft has to reach.
        systems: who does it, humansoft first.
        make: writes the instance.
        full: its size.
        quick: its size under ``--quick``.
        limit: what nobody can do without; ``None`` where that is nothing that can be said.
        warm: size of the instance done once before the clock starts; ``None``: a fresh process.
        in_quick: whether ``--quick`` alone includes it.
    """

    name: str
    what: str
    bar: Bar
    systems: tuple[System, ...]
    make: Make
    full: Shape
    quick: Shape
    limit: Callable[[Sizes], Limit] | None
    warm: Shape | None = None
    in_quick: bool = True


TINY = Shape(5, 20, 1, 10)
DATA = Shape(0, 0, 0, 0)
"""Real data have the size that they have."""


def _inverse_rl(side: int, bar: Bar, *peers: System) -> Workload:
    return Workload(
        name=f"mce_irl_{side}",
        what=f"maximum causal entropy IRL, {side} x {side} grid, 8 features, 200 x 50 steps, discount .95",
        bar=bar,
        systems=(ours("fit"), loop("fit"), *peers),
        make=make_inverse_rl,
        full=Shape(side, 200, 1, 50),
        quick=TINY,
        limit=limits.fitting,
        in_quick=side == 16,
    )


def _in_time(side: int, bar: Bar, *peers: System) -> Workload:
    return Workload(
        name=f"mce_irl_finite_{side}",
        what=f"the same with 50 decisions an episode, undiscounted, {side} x {side}",
        bar=bar,
        systems=(ours("fit"), loop("fit"), *peers),
        make=make_inverse_rl_in_time,
        full=Shape(side, 200, 1, 50),
        quick=TINY,
        limit=limits.fitting,
        in_quick=side == 16,
    )


def _solve(name: str, side: int, bar: Bar) -> Workload:
    return Workload(
        name=name,
        what=f"soft Bellman equation to 1e-8, {side} x {side} grid, 4 actions, discount .99; the solution alone",
        bar=bar,
        systems=(
            ours("solve"),
            loop("inexact_newton", "scipy inexact Newton"),
            loop("value_iteration", "scipy value iteration"),
            peer("quantecon", "solve_hard", "quantecon (hard maximum)"),
        ),
        make=make_forward,
        full=Shape(side, 0, 0, 0),
        quick=Shape(12, 0, 0, 0),
        limit=limits.solving,
        warm=Shape(5, 0, 0, 0),
        in_quick=side == 100,
    )


def _people(count: int, seconds: float) -> Workload:
    return Workload(
        name=f"people_{count}",
        what=f"{count:,} people, 10 x 20 steps on a 10 x 10 grid, three shared weights and own temperatures",
        bar=within(seconds),
        systems=(ours("people"),),
        make=make_shared_weights,
        full=Shape(10, count, 10, 20),
        quick=Shape(4, 6, 5, 20),
        limit=limits.fitting_people,
        in_quick=False,  # people_100 takes the same path
    )


WORKLOADS: tuple[Workload, ...] = (
    _inverse_rl(16, within(0.5), peer("msdm", "fit"), peer("econirl", "fit")),
    _inverse_rl(32, within(0.8), peer("msdm", "fit"), peer("econirl", "fit")),
    _inverse_rl(64, within(2.5)),
    _inverse_rl(128, Bar("it runs")),
    _in_time(16, within(0.25), peer("imitation", "fit"), peer("econirl", "fit")),
    _in_time(32, within(0.5), peer("imitation", "fit")),
    Workload(
        name="rust_1987",
        what="Rust's group 4: estimates, BHHH, Hessian and clustered standard errors, warm process",
        bar=within(0.06),
        systems=(ours("rust"), loop("fit"), peer("econirl", "nfxp", "econirl NFXP")),
        make=make_rust,
        full=DATA,
        quick=DATA,
        limit=limits.fitting,
        warm=DATA,
    ),
    _solve("solve_1e4", 100, within(0.1)),
    _solve("solve_1e5", 316, within(0.6)),
    _solve("solve_1e6", 1000, Bar("under 4 GB", peak_mb=4096)),
    Workload(
        name="people_100",
        what="an inverse temperature a person, 100 people x 10 x 50 steps, 16 x 16 grid, known reward",
        bar=within(3),
        systems=(
            ours("people"),
            loop("one_temperature_a_person"),
            peer("econirl", "one_temperature_a_person"),
        ),
        make=make_known_reward,
        full=Shape(16, 100, 10, 50),
        quick=Shape(4, 4, 5, 20),
        limit=limits.fitting_people,
    ),
    Workload(
        name="borlange",
        what="recursive logit of car routes, 466 destinations, with standard errors",
        bar=Bar("at most 5 s, under 1 GB", wall_s=5, peak_mb=1024),
        systems=(ours("borlange"), System("scipy loop", "peers.borlange_loop", "fit")),
        make=find_borlange,
        full=DATA,
        quick=DATA,
        limit=limits.routing,
        in_quick=False,
    ),
    Workload(
        name="vgc",
        what="arrow keys through mazes, own temperatures, planner kl",
        bar=within(10),
        systems=(ours("vgc"),),
        make=find_vgc,
        full=DATA,
        quick=DATA,
        limit=lambda sizes: limits.fitting_people({**sizes, "people": sizes["pairs"]}),
        in_quick=False,
    ),
    _people(1000, 10),
    _people(10_000, 30),
    Workload(
        name="log_5e7",
        what="a Parquet log of 50 million decisions: streamed into counts, then fitted",
        bar=Bar("under 2 GB; fit as long as that of 50 thousand decisions", peak_mb=2048),
        systems=(ours("long_log"), loop("counting", "numpy counting (no fit)")),
        make=make_long_log,
        full=Shape(10, 2000, 50, 500),
        quick=Shape(4, 10, 5, 100),
        limit=limits.counting,
        warm=Shape(4, 10, 5, 100),
    ),
)
