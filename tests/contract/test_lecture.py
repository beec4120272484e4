"""The lecture, claim by claim: every number agrees, and the command shows, writes and draws them."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from analysis.lecture import __main__ as command
from analysis.lecture import (
    benefits,
    bridge,
    collapse,
    comparing,
    fine_tuning,
    inference,
    limits,
    mistakes,
    policy_gradient,
    q_learning,
    samples,
)
from analysis.lecture.claims import Args, Claim, at_least, at_most, table_of, zero
from analysis.rows import Row

ROOT = Path(__file__).parents[2]
GROUPS = {
    q_learning: ["A2", "A3", "A3b", "A3c", "A4", "A6"],
    policy_gradient: ["B1", "B2", "B3", "B3b", "B4", "B6"],
    collapse: ["B5x"],
    samples: ["A1", "A5", "A5b", "B5", "B5b", "B6s", "D2"],
    bridge: ["C1", "C2", "C3", "C4", "C5"],
    fine_tuning: ["D2x"],
    benefits: ["D2b", "D3", "D4", "S14"],
    limits: ["D5", "D5b", "D6"],
    mistakes: ["D7", "D7b"],
    inference: ["E1", "E2", "E3", "E4"],
    comparing: ["F5", "F5b", "F5c"],
}
SLOW = (collapse, samples, benefits, comparing)


@pytest.mark.parametrize(
    "group",
    [pytest.param(g, marks=[pytest.mark.slow] if g in SLOW else [], id=g.__name__.rpartition(".")[2]) for g in GROUPS],
)
def test_every_claim_holds(group: ModuleType) -> None:
    claims = list(group.claims(Args(quick=True)))
    assert [claim.number for claim in claims] == GROUPS[group]
    failed = {f"{claim.number}/{row.name}": row.value for claim in claims for row in claim.rows if row.ok is False}
    assert failed == {}
    assert all(any(row.ok for row in claim.rows) for claim in claims), "a claim without a test"


def test_a_claim_fails_with_one_of_its_numbers() -> None:
    rows = (zero("small", 1e-9, 1e-8), at_most("low", 1.0, 1.0), at_least("high", 2.0, 1.5), Row("shown", 3.0))
    assert Claim("X1", "A sentence.", rows).holds
    for wrong in (zero("small", 2e-8, 1e-8), at_most("low", 1.1, 1.0), at_least("high", 1.4, 1.5)):
        for bad in (wrong, Row(wrong.name, float("nan"), wrong.reference, wrong.tolerance, wrong.sense)):
            claim = Claim("X1", "A sentence.", (*rows, bad))
            assert not claim.holds
            assert claim.as_dicts()[-1]["ok"] is False
    assert table_of([claim]).row_count == 1 + len(claim.rows)


def test_the_command_asks_all_groups() -> None:
    assert list(command.GROUPS) == list(GROUPS)


@pytest.mark.slow
def test_the_command_shows_writes_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With two groups that are quick; that all others hold is tested above."""
    rows_file, figures = tmp_path / "rows.json", tmp_path / "figures"
    monkeypatch.setattr(command, "GROUPS", (bridge, limits))
    monkeypatch.setattr(sys, "argv", ["lecture", "--quick", "--json", str(rows_file), "--figures", str(figures)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    printed = capsys.readouterr().out
    assert ended.value.code == 0, printed
    numbers = GROUPS[bridge] + GROUPS[limits]
    assert f"{len(numbers)} of {len(numbers)} claims hold." in printed
    rows = json.loads(rows_file.read_text())
    assert list(dict.fromkeys(str(row["name"]).partition("/")[0] for row in rows)) == numbers
    assert len(list(figures.glob("*.png"))) == 11


@pytest.mark.slow
def test_the_command_is_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "analysis.lecture", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "--figures" in done.stdout
