"""Published numbers: the studies of analysis/ run with the words of a user, and every row agrees.

A process of its own for each study would cost an import of torch and Lightning each: one has it, for all.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from analysis.rows import run

ROOT = Path(__file__).parents[2]
Rows = list[dict[str, object]]
Study = Callable[..., Rows]


def rows_in(report: Path) -> Rows:
    """Return the rows that a study wrote."""
    rows = json.loads(report.read_text())
    assert all(set(row) >= {"name", "reference", "value", "difference", "ok"} for row in rows)
    return rows  # type: ignore[no-any-return]


@pytest.fixture
def rows_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Study:
    """Run one study; return its rows after asserting that it found no difference."""

    def rows_of_study(study: str, *options: str) -> Rows:
        report, module = tmp_path / "rows.json", import_module(f"analysis.replications.{study}")
        monkeypatch.setattr(sys, "argv", [study, "--json", str(report), *options])
        with pytest.raises(SystemExit) as ended:
            run(module.study, module.Args)
        printed = capsys.readouterr()
        if ended.value.code == 2:
            pytest.skip(f"the data of {study} are not on this machine: {printed.err.strip().splitlines()[-1]}")
        assert ended.value.code == 0, printed.out + printed.err
        return rows_in(report)

    return rows_of_study


@pytest.mark.slow
def test_rust_group_4_the_others_and_the_myopic(rows_of: Study) -> None:
    """All of the study; what ``--quick`` leaves away is the other groups and the discounts."""
    rows = rows_of("rust_1987")
    names = ["RC", "theta", "log_likelihood", "std_error_RC", "std_error_theta"]
    rounds = [f"npl/round{number}/{name}" for number in (1, 2, 3, 6) for name in names[:2]]
    limit = [f"npl/limit_minus_fixed_point{what}" for what in ("", "/log_likelihood")]
    compared = [row for row in rows if row["reference"] is not None]
    assert all(row["ok"] for row in compared)
    assert len(compared) == 3 * 5 + 4 * 2 + 2 + 4 + 1 + 8
    assert {f"group4/{name}" for name in (*names, *rounds, *limit)} <= {row["name"] for row in compared}


@pytest.mark.slow
def test_tower_of_london(tmp_path: Path) -> None:
    """The one that runs as a program of its own."""
    report = tmp_path / "rows.json"
    command = [sys.executable, "-m", "analysis.replications.tower_of_london", "--quick", "--json", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 2:
        pytest.skip(f"the data are not on this machine: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = rows_in(report)
    assert sum(row["ok"] is True for row in rows) == 2 + 1 + 1 + 2
    nats = {str(row["name"]): float(str(row["value"])) for row in rows}
    for planner, point in (("entropy", "2.24"), ("boltzmann", "1.56")):  # nothing beats the maximum
        assert nats[f"{planner}/maximum/nats_per_move"] <= nats[f"{planner}/at_{point}/nats_per_move"]


@pytest.mark.slow
def test_tartarus(rows_of: Study) -> None:
    rows = rows_of("tartarus", "--quick")
    assert sum(row["ok"] is True for row in rows) == 1 + 2 + 3 + 6 + 1 + 2


@pytest.mark.slow
def test_overcooked(rows_of: Study) -> None:
    rows = rows_of("overcooked")
    assert sum(row["ok"] is True for row in rows) >= 5 + 8


@pytest.mark.slow
def test_vgc_gridnav(rows_of: Study) -> None:
    rows = rows_of("vgc_gridnav", "--quick")
    assert sum(row["ok"] is True for row in rows) >= 4


@pytest.mark.slow
def test_borlange_routes(rows_of: Study) -> None:
    rows = rows_of("borlange_routes", "--quick")
    assert sum(row["ok"] is True for row in rows) == 4 * 2 + 3


@pytest.mark.slow
def test_ghosal_overestimated_rationality(rows_of: Study) -> None:
    rows = rows_of("ghosal_2023", "--quick")
    assert sum(row["ok"] is True for row in rows) == 2 * 2


@pytest.mark.slow
def test_keane_wolpin(rows_of: Study) -> None:
    rows = rows_of("keane_wolpin_1997", "--quick")
    assert sum(row["ok"] is True for row in rows) == 5 + 1 + 2
    nats = {str(row["name"]): float(str(row["value"])) for row in rows}
    model = nats["model/held_out/nats_per_decision"]
    assert model < nats["floor/age_and_last/held_out/nats_per_decision"]
    assert model < nats["empirical_policy/held_out/nats_per_decision"]


@pytest.mark.slow
def test_small_populations(rows_of: Study) -> None:
    rows = rows_of("small_populations", "--quick")
    assert len(rows) == 4 * 2 * 2
    assert {row["value"] for row in rows} <= {0.0, 1.0}
