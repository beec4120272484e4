"""What all tests share: where real data lie, and guards against changes of global state."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.shapes import check_shapes

check_shapes()  # before anything imports the package

ROOT = Path(__file__).parents[1]

# No deadline, for the first example also pays for imports; the same examples every time.
settings.register_profile("humansoft", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("humansoft")

# Real data may lie beside the checkout; the package itself looks only where it is told to.
if (ROOT.parent / "shared" / "data").is_dir():
    os.environ.setdefault("HUMANSOFT_DATA", str(ROOT.parent / "shared" / "data"))

torch.set_num_threads(1)  # tests run side by side: more threads than cores make them slower


@pytest.fixture(scope="session")
def data_home() -> Path:
    """The folder of the real data sets; a test that asks for it is skipped where there is none."""
    home = os.environ.get("HUMANSOFT_DATA")
    if home is None or not Path(home).is_dir():
        pytest.skip(f"real data absent: $HUMANSOFT_DATA, their folder, is {'not set' if home is None else repr(home)}")
    return Path(home)


@pytest.fixture(autouse=True)
def _same_default_dtype() -> Iterator[None]:
    """Fail a test that leaves torch with another default dtype: all tests after it would differ."""
    before = torch.get_default_dtype()
    yield
    after = torch.get_default_dtype()
    torch.set_default_dtype(before)
    assert after == before, f"the test changed torch's default dtype from {before} to {after}"
