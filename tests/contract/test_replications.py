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


def test_rust_group_4(tmp_path: Path) -> None:
    rows = rows_of("rust_1987", tmp_path, "--quick")
    names = ["RC", "theta", "log_likelihood", "std_error_RC", "std_error_theta"]
    assert [row["name"] for row in rows] == [f"group4/{name}" for name in names]
    assert all(row["ok"] for row in rows)


@pytest.mark.slow
def test_overcooked(tmp_path: Path) -> None:
    rows = rows_of("overcooked", tmp_path)
    assert sum(row["ok"] is True for row in rows) >= 5 + 8


@pytest.mark.slow
def test_vgc_gridnav(tmp_path: Path) -> None:
    rows = rows_of("vgc_gridnav", tmp_path, "--quick")
    assert sum(row["ok"] is True for row in rows) >= 4
