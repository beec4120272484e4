"""The house is as it is described: files that CONTRIBUTING names exist, and it names every module."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_file_that_contributing_names_exists() -> None:
    named = set(re.findall(r"`([\w./]+\.(?:py|toml|md|txt))`", TEXT))
    assert len(named) > 15
    yours = {"card.toml", "prepare.py", "learner.py", "humansoft/catalogue/NAME.py"}  # of the reader's own
    missing = [n for n in named - yours if not ((ROOT / n).is_file() or (ROOT / "humansoft" / n).is_file())]
    assert missing == []


def test_contributing_and_the_import_contract_name_every_module() -> None:
    package = ROOT / "humansoft"
    modules = {p.stem for p in package.glob("*.py")} | {p.parent.name for p in package.glob("*/__init__.py")}
    modules -= {"__init__"}
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(c for c in contract["contracts"] if c["type"] == "layers")["layers"]
    assert set(re.findall(r"\w+", " ".join(layers))) == modules
    tree = TEXT.split("```")[1]
    assert [m for m in sorted(modules) if f"{m}.py" not in tree and f"{m}/" not in tree] == []


def test_ranges_are_open_and_tested_versions_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M))
    pins = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    assert pins["torch"] == "2.13.0"
    for requirement in project["dependencies"]:
        name, floor = requirement.split(">=")
        assert name in pins, f"constraints.txt has no tested version of {name}"
        assert "<" not in floor
