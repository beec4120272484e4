"""Rows of the benchmark: medians of runs, ratios, and the files they go to."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from analysis.benchmarks.limits import Limit, Machine, Sizes
from analysis.benchmarks.processes import Outcome
from analysis.benchmarks.workloads import HUMANSOFT, Workload

PHYSICAL = "physical limit"


@dataclass(frozen=True)
class Row:
    """One system on one workload.

    Attributes:
        workload: its name.
        system: who did it.
        wall_s: median wall time of the work itself; ``None`` without a result.
        cpu_s: median CPU time of the work itself.
        peak_mb: median of the largest memory of the process.
        ratio: wall time over that of humansoft (above 1: humansoft is faster).
        detail: everything else.
    """

    workload: str
    system: str
    wall_s: float | None
    cpu_s: float | None
    peak_mb: float | None
    ratio: float | None
    detail: dict[str, Any]

    def as_dict(self) -> dict[str, object]:
        """Return the row for a JSON file."""
        return vars(self).copy()


def rows_of(
    workload: Workload, sizes: Sizes, runs: dict[str, list[Outcome]], machine: Machine, *, quick: bool, warm: bool
) -> list[Row]:
    """Summarise the runs of a workload, humansoft first and the physical limit last."""
    best = _best_likelihood(runs)
    ours = _median(runs[HUMANSOFT], "wall_s") if HUMANSOFT in runs else None
    common: dict[str, Any] = {
        "what": workload.what,
        "bar": workload.bar.text,
        "sizes": dict(sizes),
        "quick": quick,
        "warm": warm,
    }
    rows = []
    for system, outcomes in runs.items():
        good = [o for o in outcomes if not o.failure]
        detail: dict[str, Any] = common | _detail(outcomes, good, best)
        by = float(detail["figures"].get("extrapolate_by", 1.0)) if good else 1.0
        wall, cpu, peak = (_median(outcomes, what) for what in ("wall_s", "cpu_s", "peak_mb"))
        wall, cpu = (None if seconds is None else seconds * by for seconds in (wall, cpu))
        if system == HUMANSOFT and not quick and wall is not None and peak is not None:
            detail["bar_met"] = workload.bar.is_met(wall, peak)
        rows.append(Row(workload.name, system, wall, cpu, peak, _ratio(wall, ours), detail))
    if workload.limit is not None:
        rows.append(_physical(workload, workload.limit(sizes), machine, ours, common))
    return rows


def skipped(workload: Workload, reason: str) -> Row:
    """Return the one row of a workload that cannot be done here."""
    return Row(workload.name, HUMANSOFT, None, None, None, None, {"status": f"skipped: {reason}", "runs": 0})


def _detail(outcomes: Sequence[Outcome], good: Sequence[Outcome], best: float | None) -> dict[str, Any]:
    if not good:
        return {"status": outcomes[-1].failure, "runs": len(outcomes), "versions": _versions(outcomes)}
    last = good[-1]
    detail: dict[str, Any] = {
        # One run that failed among good ones is told, not hidden.
        "status": next((o.failure for o in outcomes if o.failure), "ok"),
        "runs": len(good),
        "threads": 1,
        "wall_runs_s": [o.report["wall_s"] for o in good],
        "process_wall_s": median(o.wall_s for o in good),
        "process_cpu_s": median(o.cpu_s for o in good),
        "base_mb": median(o.report["base_mb"] for o in good),
        "before_work_mb": last.report["before_work_mb"],
        "parts": last.report["parts"],
        "figures": last.figures,
        "versions": _versions(good),
    }
    likelihood = last.figures.get("log_likelihood")
    if likelihood is not None and best is not None:
        detail["log_likelihood_below_best"] = best - likelihood
    return detail


def _versions(outcomes: Sequence[Outcome]) -> dict[str, str]:
    versions: dict[str, str] = outcomes[-1].report.get("versions", {})
    return versions


def _best_likelihood(runs: dict[str, list[Outcome]]) -> float | None:
    found = [o.figures["log_likelihood"] for all_runs in runs.values() for o in all_runs if _has_likelihood(o)]
    return max(found, default=None)


def _has_likelihood(outcome: Outcome) -> bool:
    return not outcome.failure and "log_likelihood" in outcome.figures


def _median(outcomes: Sequence[Outcome], what: str) -> float | None:
    values = [float(o.report[what]) for o in outcomes if not o.failure]
    return median(values) if values else None


def _ratio(wall_s: float | None, ours: float | None) -> float | None:
    return None if wall_s is None or not ours else wall_s / ours


def _physical(workload: Workload, limit: Limit, machine: Machine, ours: float | None, common: dict[str, Any]) -> Row:
    seconds = limit.seconds(machine)
    moving, computing = limit.num_bytes / machine.bytes_per_s, limit.num_flops / machine.flops_per_s
    detail = common | {
        "status": "computed",
        "reason": limit.reason,
        "bytes": limit.num_bytes,
        "flops": limit.num_flops,
        "bound_by": "memory" if moving >= computing else "arithmetic",
        "humansoft_over_limit": None if ours is None else ours / seconds,
        "machine": vars(machine),
    }
    return Row(workload.name, PHYSICAL, seconds, None, None, _ratio(seconds, ours), detail)


def write_json(path: Path, rows: Sequence[Row]) -> None:
    """Write all rows; a file that is being written never replaces one that is whole."""
    _replace(path, json.dumps([row.as_dict() for row in rows], indent=1) + "\n")


def write_markdown(path: Path, rows: Sequence[Row], machine: Machine) -> None:
    """Write the table to read."""
    _replace(path, markdown(rows, machine))


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".part")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def markdown(rows: Sequence[Row], machine: Machine) -> str:
    """Return the table as text, one section a workload."""
    lines = [
        "# Benchmarks",
        "",
        f"One core of {machine.processor} ({machine.cores} cores), Python {machine.python}; measured "
        f"{machine.bytes_per_s / 1e9:.1f} GB/s copied and {machine.flops_per_s / 1e9:.1f} Gflop/s multiplied. Every "
        "system has one BLAS/OMP thread and a process of its own, run in turn; wall and CPU time are medians of the "
        "work itself, without start, imports and building the task; the process is all of it. Ratio: wall time over "
        "that of humansoft. "
        "Peak memory is that of the whole process; in brackets what it had after its imports.",
    ]
    for name in dict.fromkeys(row.workload for row in rows):
        own = [row for row in rows if row.workload == name]
        lines += ["", *_section(name, own)]
    return "\n".join(lines) + "\n"


def _section(name: str, rows: Sequence[Row]) -> list[str]:
    detail = rows[0].detail
    heading = [f"## {name}", ""]
    if "what" in detail:
        sizes = ", ".join(f"{size:,} {name}" for name, size in detail["sizes"].items() if name != "times" or size > 1)
        kind = "Done at small sizes only" if detail["quick"] else "Sizes"
        start = "Warm process" if detail["warm"] else "Fresh process"
        what = detail["what"][0].upper() + detail["what"][1:]
        heading += [f"{what}. {kind}: {sizes}. {start}. Bar: {detail['bar']}.", ""]
    titles = ["system", "wall s", "CPU s", "process s", "peak MB", "ratio", "runs", "notes"]
    return [
        *heading,
        "| " + " | ".join(titles) + " |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
        *("| " + " | ".join(_cells(row)) + " |" for row in rows),
    ]


def _cells(row: Row) -> list[str]:
    peak = "-" if row.peak_mb is None else f"{row.peak_mb:,.0f} ({row.detail['base_mb']:,.0f})"
    times = [_number(seconds) for seconds in (row.wall_s, row.cpu_s, row.detail.get("process_wall_s"))]
    return [row.system, *times, peak, _number(row.ratio), str(row.detail.get("runs", "")), _notes(row)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _notes(row: Row) -> str:
    detail, figures = row.detail, row.detail.get("figures", {})
    notes = [] if detail["status"] in ("ok", "computed") else [detail["status"]]
    if detail.get("bar_met") is not None:
        notes.append("bar met" if detail["bar_met"] else "bar missed")
    if "log_likelihood_below_best" in detail:
        notes.append(f"log-likelihood {detail['log_likelihood_below_best']:.1e} below the best")
    if "extrapolate_by" in figures:
        notes.append(f"extrapolated: measured time x {figures['extrapolate_by']:g}")
    if figures.get("converged") is not None:
        notes.append("converged" if figures["converged"] else "says it did not converge")
    for name, text in _FIGURES.items():
        if name in figures:
            notes.append(text.format(figures[name]))
    parts = detail.get("parts", {})
    if len(parts) > 1:
        notes.append(", ".join(f"{part} {times['wall_s']:.3g} s" for part, times in parts.items()))
    if row.system == PHYSICAL:
        notes.append(f"{detail['reason']}; {detail['bytes'] / 1e6:,.3g} MB, {detail['flops'] / 1e6:,.3g} Mflop, ")
        notes[-1] += f"bound by {detail['bound_by']}"
        if detail["humansoft_over_limit"] is not None:
            notes.append(f"humansoft takes {detail['humansoft_over_limit']:,.3g} times as long")
    return "; ".join(notes).replace("|", "/")


_FIGURES = {
    "error_bound": "at most {:.1e} from the solution",
    "problem": "{}",
    "share_of_true_temperatures_inside_95": "{:.1%} of true temperatures inside 95 % intervals",
    "share_inside_95_by_hessian": "{:.1%} inside those of the Hessian",
    "people_at_a_boundary": "{} people at a boundary",
    "correlation_with_truth": "r = {:.3f} with the truth",
    "sd_of_people": "sd of people {:.3f}",
    "effective_draws_per_s": "{:.3g} effective draws a second",
    "fit_over_fit_of_short_log": "fit {:.2f} times that of the short log",
    "note": "{}",
}
