"""Published numbers: the studies of analysis/ run as a user runs them, and every row agrees."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def rows_of(study: str, folder: Path, *options: str) -> list[dict[str, object]]:
    """Run one study; return its rows after asserting that it found no difference."""
    report = folder / "rows.json"
    command = [sys.executable, "-m", f"analysis.replications.{study}", "--json", str(report), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 2:
        pytest.skip(f"the data of {study} are not on this machine: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(report.read_text())
    assert all(set(row) >= {"name", "reference", "value", "difference", "ok"} for row in rows)
    return rows  # type: ignore[no-any-return]


@pytest.mark.slow
def test_rust_group_4(tmp_path: Path) -> None:
    rows = rows_of("rust_1987", tmp_path, "--quick")
    names = ["RC", "theta", "log_likelihood", "std_error_RC", "std_error_theta"]
    rounds = [f"npl/round{number}/{name}" for number in (1, 2, 3, 6) for name in names[:2]]
    limit = [f"npl/limit_minus_fixed_point{what}" for what in ("", "/log_likelihood")]
    assert [row["name"] for row in rows] == [f"group4/{name}" for name in (*names, *rounds, *limit)]
    assert all(row["ok"] for row in rows)


@pytest.mark.slow
def test_rust_myopic_and_the_other_groups(tmp_path: Path) -> None:
    rows = rows_of("rust_1987", tmp_path)
    compared = [row for row in rows if row["reference"] is not None]
    assert len(compared) == 3 * 5 + 4 * 2 + 2 + 4 + 1 + 8
    assert all(row["ok"] for row in compared)


@pytest.mark.slow
def test_tower_of_london(tmp_path: Path) -> None:
    rows = rows_of("tower_of_london", tmp_path, "--quick")
    assert sum(row["ok"] is True for row in rows) == 2 + 1 + 1 + 2
    nats = {str(row["name"]): float(str(row["value"])) for row in rows}
    for planner, point in (("entropy", "2.24"), ("boltzmann", "1.56")):  # nothing beats the maximum
        assert nats[f"{planner}/maximum/nats_per_move"] <= nats[f"{planner}/at_{point}/nats_per_move"]


@pytest.mark.slow
def test_tartarus(tmp_path: Path) -> None:
    rows = rows_of("tartarus", tmp_path, "--quick")
    assert sum(row["ok"] is True for row in rows) == 1 + 2 + 3 + 6 + 1 + 2


@pytest.mark.slow
def test_overcooked(tmp_path: Path) -> None:
    rows = rows_of("overcooked", tmp_path)
    assert sum(row["ok"] is True for row in rows) >= 5 + 8


@pytest.mark.slow
def test_vgc_gridnav(tmp_path: Path) -> None:
    rows = rows_of("vgc_gridnav", tmp_path, "--quick")
    assert sum(row["ok"] is True for row in rows) >= 4


@pytest.mark.slow
def test_borlange_routes(tmp_path: Path) -> None:
    rows = rows_of("borlange_routes", tmp_path, "--quick")
    assert sum(row["ok"] is True for row in rows) == 4 * 2 + 3


@pytest.mark.slow
def test_ghosal_overestimated_rationality(tmp_path: Path) -> None:
    rows = rows_of("ghosal_2023", tmp_path, "--quick")
    assert sum(row["ok"] is True for row in rows) == 2 * 2


@pytest.mark.slow
def test_keane_wolpin(tmp_path: Path) -> None:
    rows = rows_of("keane_wolpin_1997", tmp_path, "--quick")
    assert sum(row["ok"] is True for row in rows) == 5 + 1 + 2
    nats = {str(row["name"]): float(str(row["value"])) for row in rows}
    model = nats["model/held_out/nats_per_decision"]
    assert model < nats["floor/age_and_last/held_out/nats_per_decision"]
    assert model < nats["empirical_policy/held_out/nats_per_decision"]
