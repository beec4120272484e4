"""The benchmarks run as a user runs them, on tiny instances; how long anything takes is never asserted.

One test lets a user's command start its processes; in the others, this process does the work of all of them in turn.
"""

import json
import runpy
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.benchmarks import exact, forward, population, sampling
from analysis.benchmarks.instances import Instance
from analysis.benchmarks.limits import Machine
from analysis.benchmarks.processes import Caps, Outcome, measure
from analysis.benchmarks.reference import Problem
from analysis.benchmarks.sampling import effective_size
from analysis.benchmarks.table import Row, markdown
from analysis.benchmarks.training import Training, Watch
from analysis.benchmarks.workloads import WORKLOADS
from analysis.benchmarks.worlds import Shape, inverse_rl, policies, shared_weights

ROOT = Path(__file__).parents[2]
KEYS = {"workload", "system", "wall_s", "cpu_s", "peak_mb", "ratio", "detail"}

Rows = dict[tuple[str, str], dict[str, Any]]
RunHere = Callable[..., tuple[Rows, str]]


def words(folder: Path, *options: str) -> list[str]:
    """Return the words of a quick run, with the files that it writes."""
    files = ("--json", str(folder / "rows.json"), "--markdown", str(folder / "table.md"))
    return ["--quick", "--without-peers", *files, *options]


def rows_in(folder: Path, printed: str) -> Rows:
    """Return the rows that were written by (workload, system)."""
    rows = json.loads((folder / "rows.json").read_text())
    assert all(set(row) == KEYS for row in rows)
    assert (folder / "table.md").read_text().strip() == printed.strip()
    return {(row["workload"], row["system"]): row for row in rows}


def measured_here(python: Path, module: str, arguments: Sequence[str], report: Path, caps: Caps) -> Outcome:
    """Do in this process what :func:`measure` starts another for."""
    del python, caps
    report.unlink(missing_ok=True)
    start = (time.perf_counter(), time.process_time())
    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*found in sys.modules", category=RuntimeWarning)
        patched.setattr(sys, "argv", [module, *arguments])
        runpy.run_module(module, run_name="__main__")
    told = json.loads(report.read_text(encoding="utf-8"))
    took = (time.perf_counter() - start[0], time.process_time() - start[1])
    return Outcome(*took, told, f"not available: {told['error']}" if "error" in told else "")


@pytest.fixture
def run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunHere:
    """Run the benchmarks in this process; return the rows, and what was said meanwhile."""

    def run(main: Callable[[], None], *options: str) -> tuple[Rows, str]:
        monkeypatch.setattr(exact, "measure", measured_here)
        monkeypatch.setattr(sys, "argv", ["benchmarks", *words(tmp_path, *options)])
        main()
        printed = capsys.readouterr()
        return rows_in(tmp_path, printed.out), printed.err

    return run


def exact_work() -> None:
    exact.run_all(WORKLOADS, "")


def populations() -> None:
    exact.run_all(population.WORKLOADS, "")


@pytest.mark.slow
def test_everybody_fits_in_turn_and_to_the_same_likelihood(tmp_path: Path) -> None:
    """With all its processes."""
    command = [
        sys.executable,
        "-m",
        "analysis.benchmarks.exact",
        *words(tmp_path, "--only", "mce_irl_16", "--runs", "2"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows, spoken = rows_in(tmp_path, done.stdout), done.stderr
    assert [system for _, system in rows] == ["humansoft", "scipy loop", "physical limit"]
    for system in ("humansoft", "scipy loop"):
        row = rows["mce_irl_16", system]
        assert row["detail"]["status"] == "ok"
        assert row["detail"]["log_likelihood_below_best"] < 1e-7
        assert row["detail"]["threads"] == 1
        assert row["peak_mb"] >= row["detail"]["base_mb"] > 1
        assert len(row["detail"]["wall_runs_s"]) == 2
        assert row["wall_s"] == pytest.approx(np.median(row["detail"]["wall_runs_s"]))
        assert row["ratio"] == pytest.approx(row["wall_s"] / rows["mce_irl_16", "humansoft"]["wall_s"])
    assert rows["mce_irl_16", "humansoft"]["detail"]["figures"]["converged"] is True
    turns = [f"{system}, run {turn} of 2" for turn in (1, 2) for system in ("humansoft", "scipy loop")]
    places = [spoken.index(turn) for turn in turns]
    assert places == sorted(places)


@pytest.mark.slow
def test_every_kind_of_work_gives_rows_and_a_table(run_here: RunHere, tmp_path: Path) -> None:
    rows, _ = run_here(exact_work, "--only", "mce_irl_finite_16", "solve_1e4", "people_100", "people_1000", "log_5e7")
    for workload in ("mce_irl_finite_16", "people_100"):
        for system in ("humansoft", "scipy loop"):
            assert rows[workload, system]["detail"]["log_likelihood_below_best"] < 1e-7, (workload, system)
    for system in ("humansoft", "scipy inexact Newton", "scipy value iteration"):
        assert rows["solve_1e4", system]["detail"]["figures"]["error_bound"] < 2e-8
    assert len(rows["people_1000", "humansoft"]["detail"]["figures"]["true_weights_inside_95"]) == 3
    counted = rows["log_5e7", "numpy counting (no fit)"]["detail"]["figures"]
    assert counted["num_decisions"] == rows["log_5e7", "physical limit"]["detail"]["sizes"]["decisions"]
    physical = rows["solve_1e4", "physical limit"]
    assert physical["detail"]["bytes"] > 12 * physical["detail"]["sizes"]["transitions"]
    assert physical["detail"]["humansoft_over_limit"] == pytest.approx(1 / physical["ratio"])
    text = (tmp_path / "table.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")][-1] == "## log_5e7"
    assert "| scipy inexact Newton |" in text


def test_absent_data_are_a_row_with_the_reason(
    run_here: RunHere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUMANSOFT_DATA", str(tmp_path))
    rows, _ = run_here(exact_work, "--only", "vgc")
    assert rows["vgc", "humansoft"]["detail"]["status"] == "skipped: $HUMANSOFT_DATA has no folder vgc_gridnav"
    assert rows["vgc", "humansoft"]["wall_s"] is None


def test_unknown_workload_is_refused_with_a_suggestion(run_here: RunHere, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_here(exact_work, "--only", "borlagne")
    assert ended.value.code == 2
    assert "Did you mean 'borlange'" in capsys.readouterr().err


def test_a_process_that_fails_or_takes_too_long_is_told_and_not_raised(tmp_path: Path) -> None:
    report, here = tmp_path / "report.json", Path(sys.executable)
    loops = "analysis.benchmarks.peers.scipy_loops"
    patient = Caps(seconds=60, gigabytes=8)
    missing = measure(here, loops, ["fit", str(tmp_path / "nothing"), str(report)], report, patient)
    assert missing.failure.startswith("not available: FileNotFoundError")
    nobody = measure(here, "analysis.benchmarks.peers.nobody", [], report, patient)
    assert nobody.failure.startswith("ended with 1: ")
    inverse_rl(Shape(5, 20, 1, 10), 8, None, seed=1).write(tmp_path / "instance")
    late = measure(here, loops, ["fit", str(tmp_path / "instance"), str(report)], report, Caps(0.05, 8))
    assert late.failure == "stopped after 0.05 s"
    heavy = measure(here, loops, ["fit", str(tmp_path / "instance"), str(report)], report, Caps(60, 0.01))
    assert heavy.failure == "stopped at 0.01 GB"


@pytest.mark.slow
def test_populations_are_learned_and_sampled_in_turn(run_here: RunHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "TUNE", 100)
    monkeypatch.setattr(sampling, "DRAWS", 100)
    rows, _ = run_here(populations)
    systems = ["humansoft", "humansoft Laplace-EM", "humansoft NUTS"]
    assert list(rows) == [("population_30", system) for system in (*systems, "physical limit")]
    for system in systems:
        assert rows["population_30", system]["detail"]["status"] == "ok"
        assert rows["population_30", system]["detail"]["figures"]["sd_of_people"] > 0
    assert rows["population_30", "humansoft NUTS"]["detail"]["figures"]["effective_draws"] > 10


def test_effective_draws_are_those_of_theory_and_of_arviz() -> None:
    import arviz as az

    generator, stays = np.random.default_rng(1), 0.8
    draws = np.empty((4, 20_000))
    draws[:, 0] = generator.standard_normal(4) / np.sqrt(1 - stays**2)
    for place in range(1, draws.shape[1]):
        draws[:, place] = stays * draws[:, place - 1] + generator.standard_normal(4)
    assert effective_size(draws) == pytest.approx(draws.size * (1 - stays) / (1 + stays), rel=0.1)
    assert effective_size(draws) == pytest.approx(float(az.ess(draws, method="mean")), rel=0.02)  # type: ignore[no-untyped-call]


def test_names_are_unique_and_every_module_is_there() -> None:
    everything = (*WORKLOADS, *population.WORKLOADS)
    assert len({workload.name for workload in everything}) == len(everything)
    for workload in everything:
        assert workload.systems[0].name == "humansoft"
        assert len({system.name for system in workload.systems}) == len(workload.systems)
        for system in workload.systems:
            source = ROOT / "analysis" / "benchmarks" / f"{system.module.replace('.', '/')}.py"
            assert f'"{system.work}": {system.work}' in source.read_text(encoding="utf-8")


def test_the_bar_is_judged_on_time_and_memory() -> None:
    bars = {workload.name: workload.bar for workload in WORKLOADS}
    assert bars["mce_irl_16"].is_met(0.5, 1e6)
    assert not bars["mce_irl_16"].is_met(0.51, 1)
    assert bars["borlange"].is_met(4.9, 1000)
    assert not bars["borlange"].is_met(4.9, 1100)
    assert bars["mce_irl_128"].is_met(1e9, 1e9) is None


def test_a_row_without_a_result_shows_its_reason() -> None:
    machine = Machine(1e9, 1e9, "a processor", 2, "3.11")
    row = Row("solve_1e6", "quantecon", None, None, None, None, {"status": "stopped after 600 s", "runs": 1})
    assert "| quantecon | - | - | - | - | - | 1 | stopped after 600 s |" in markdown([row], machine)


def test_transitions_of_a_grid_are_probabilities_and_every_move_may_slip(tmp_path: Path) -> None:
    world = inverse_rl(Shape(3, 4, 1, 6), 2, None, seed=1)
    total = np.bincount(world.pair, weights=world.probability, minlength=9 * 4)
    np.testing.assert_allclose(total, 1.0)
    up_from_the_middle = (world.state == 4) & (world.action == 0)
    assert dict(zip(world.next_state[up_from_the_middle], world.probability[up_from_the_middle], strict=True)) == {
        1: pytest.approx(0.85),
        3: pytest.approx(0.05),
        5: pytest.approx(0.05),
        7: pytest.approx(0.05),
    }
    world.write(tmp_path)
    again = Instance.read(tmp_path)
    np.testing.assert_array_equal(again.dense("san"), world.dense("san"))
    np.testing.assert_array_equal(again.counts(), world.counts())


@pytest.mark.parametrize("horizon", [None, 6])
def test_gradient_of_the_reference_is_that_of_its_likelihood(horizon: int | None) -> None:
    problem = Problem(inverse_rl(Shape(3, 10, 1, 6), 3, horizon, seed=2))
    at = np.array([0.3, -0.2, 0.5])
    _, gradient = problem._objective(at)
    for place, step in enumerate(1e-5 * np.eye(3)):
        slope = (problem.judge(at + step) - problem.judge(at - step)) / 2e-5
        assert gradient[place] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_people_walk_by_their_policy_and_the_transitions() -> None:
    world = shared_weights(Shape(2, 2, 400, 25), seed=3)
    policy = policies(world, world.truth["weights"], world.truth["temperatures"])
    log = world.log
    for person in (0, 1):
        own = log["subject"] == person
        seen = np.zeros((4, 4))
        np.add.at(seen, (log["state"][own], log["action"][own]), 1.0)
        visits = seen.sum(axis=1, keepdims=True)
        spread = np.sqrt(policy[person] * (1 - policy[person]) / visits)
        assert (np.abs(seen / visits - policy[person]) < 5 * spread).all()
    moved = np.zeros((4, 4, 4))
    np.add.at(moved, (log["state"], log["action"], log["next_state"]), 1.0)
    tried, expected = moved.sum(axis=2, keepdims=True), world.dense("san")
    assert (np.abs(moved - tried * expected) <= 5 * np.sqrt(tried * expected * (1 - expected)) + 1e-9).all()


@pytest.mark.slow
def test_everybody_learns_to_act_in_turn(run_here: RunHere) -> None:
    rows, spoken = run_here(forward.main, "--seeds", "1")
    systems = ["humansoft", "humansoft policy gradient"]
    exact = "humansoft exact (knows the transitions)"
    assert list(rows) == [("cartpole", s) for s in systems] + [("frozen_lake", s) for s in (*systems, exact)]
    for row in rows.values():
        assert row["detail"]["status"] == "ok"
        seeds = row["detail"]["figures"]["of_each_seed"]
        assert row["detail"]["figures"]["reached"] == sum(seed["reached"] for seed in seeds)
        assert row["wall_s"] == pytest.approx(np.median(row["detail"]["wall_runs_s"]))
        assert len(seeds) == 1
    for seed in rows["cartpole", "humansoft"]["detail"]["figures"]["of_each_seed"]:
        assert len(seed["returns"]) == 3 or seed["reached"]
        assert min(seed["returns"]) >= 1
    places = [spoken.index(f"{system}, seed {seed} of 1") for seed in (1,) for system in systems]
    assert places == sorted(places)


def test_the_clock_stands_still_while_a_policy_is_judged() -> None:
    watch = Watch(Training("CartPole-v1", goal=5, most_steps=3000, temperature=1.0, every=1000))
    looks = 0

    def act(observed: np.ndarray) -> np.ndarray:
        nonlocal looks
        looks += 1
        time.sleep(0.01)
        return np.zeros(len(observed), dtype=np.int64)

    watch.look(999, act)
    assert (looks, watch.over) == (0, False)
    watch.look(1500, act)
    assert watch.due == 2000
    assert looks > 5
    assert watch.taken()[0] < 0.05
    assert (watch.reached, watch.figures()["steps"]) == (True, 1500)
    assert 8 <= watch.returns[0] <= 11  # pushed one way only, the pole falls at once
