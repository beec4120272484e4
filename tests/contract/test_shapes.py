"""The checks of array shapes are at work wherever a shape is spelt, if they are not turned off."""

import os
import re
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

import humansoft
from humansoft.solvers.bellman import soft_value
from humansoft.solvers.problem import Problem
from tests.shapes import SHAPES

pytestmark = pytest.mark.skipif(
    os.environ.get("JAXTYPING_DISABLE", "0") not in ("", "0"), reason="shapes are not checked in this run"
)


def test_a_function_refuses_arrays_that_do_not_fit_each_other() -> None:
    q = torch.zeros(5, 3)
    assert soft_value(q, q, torch.ones(5)).shape == (5,)
    with pytest.raises(TypeCheckError, match="log_prior"):
        soft_value(q, torch.zeros(5, 2), torch.ones(5))


def test_a_dataclass_refuses_fields_that_do_not_fit_each_other() -> None:
    codes, shares = torch.zeros(4, 2, 3, dtype=torch.int64), torch.full((4, 2, 3), 1 / 3)
    assert Problem(codes, shares, torch.zeros(4, 2), 0.9).discount == 0.9
    with pytest.raises(TypeCheckError, match="log_prior"):
        Problem(codes, shares, torch.zeros(4, 1), 0.9)


def test_shapes_have_no_other_names() -> None:
    """What another array type of jaxtyping names would go unchecked."""
    imports = re.compile(r"^from jaxtyping import (.+)$", re.MULTILINE)
    texts = [file.read_text(encoding="utf-8") for file in Path(humansoft.__path__[0]).rglob("*.py")]
    named = {name for text in texts for found in imports.findall(text) for name in found.split(", ")}
    assert named == SHAPES
