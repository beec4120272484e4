"""The package's face: light to import, complete, and never hidden by a module of the same name."""

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import humansoft as hs

INIT = Path(hs.__file__)
HEAVY = ["torch", "pandas", "numpy", "pytorch_lightning", "matplotlib", "gymnasium", "sklearn", "scipy", "arviz"]


def run(code: str) -> str:
    """Run code in a fresh Python, with warnings as errors, and return what it prints."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=INIT.parents[1], check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_nothing_heavy() -> None:
    code = f"import sys, humansoft; dir(humansoft); print([m for m in {HEAVY} if m in sys.modules])"
    assert run(code) == "[]"


def test_public_names_load_from_their_modules() -> None:
    for name, module in hs._HOME.items():
        assert find_spec(f"humansoft.{module}"), f"{name} is said to live in humansoft.{module}"
        assert getattr(hs, name) is not None
    assert set(hs.__all__) == {*hs._HOME, "errors"}
    assert set(hs.__all__) <= set(dir(hs))


def test_type_checkers_see_the_same_names() -> None:
    block = next(n for n in ast.parse(INIT.read_text(encoding="utf-8")).body if isinstance(n, ast.If))
    seen = {a.name: n.module for n in ast.walk(block) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert seen == {name: f"humansoft.{module}" for name, module in hs._HOME.items()}


def test_names_are_listed_in_order() -> None:
    assert list(hs._HOME) == sorted(hs._HOME)


@pytest.mark.parametrize(
    "before",
    [
        "import humansoft.fit.result",
        "from humansoft.fit import result",
        "import humansoft as hs; hs.fit; import humansoft.fit.fitting",
    ],
)
@pytest.mark.slow
def test_a_verb_is_not_hidden_by_the_package_of_its_name(before: str) -> None:
    after = "import humansoft as hs; from humansoft import fit; print(hs.fit is fit, fit.__module__, fit.__name__)"
    assert run(f"{before}; {after}") == "True humansoft.fit.fitting fit"


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'SoftOptimalModle'\. Did you mean 'SoftOptimalModel'"):
        _ = hs.SoftOptimalModle
