"""Products with a sparse matrix: against dense ones, and differentiable twice."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from humansoft.solvers.sparse_rows import SparseRows
from tests.oracle.pretend_device import pretend_device


def drawn() -> tuple[SparseRows, torch.Tensor]:
    """Return a sparse matrix with repeated places, and the dense one."""
    generator = np.random.default_rng(1)
    columns, weights = generator.integers(0, 5, size=(9, 4)), generator.normal(size=(9, 4))
    dense = np.zeros((9, 5))
    np.add.at(dense, (np.arange(9)[:, None], columns), weights)
    return SparseRows(torch.from_numpy(columns), torch.from_numpy(weights), 5), torch.from_numpy(dense)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_products_are_those_of_the_dense_matrix_anywhere(shape: tuple[int, ...]) -> None:
    rows, dense = drawn()
    right, left = torch.rand(5, *shape, dtype=torch.float64), torch.rand(9, *shape, dtype=torch.float64)
    np.testing.assert_allclose(rows.times(right), dense @ right, atol=1e-14)
    np.testing.assert_allclose(rows.transposed_times(left), dense.T @ left, atol=1e-14)
    with pretend_device() as device:
        there = SparseRows(rows.columns.to(device), rows.weights.to(device), 5)
        np.testing.assert_allclose(there.times(right.to(device)).cpu(), dense @ right, atol=1e-14)
        np.testing.assert_allclose(there.transposed_times(left.to(device)).cpu(), dense.T @ left, atol=1e-14)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_derivatives_of_any_order_pass(shape: tuple[int, ...]) -> None:
    rows, _ = drawn()
    for product, size in ((rows.times, 5), (rows.transposed_times, 9)):
        vector = torch.rand(size, *shape, dtype=torch.float64, requires_grad=True)
        for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
            assert _passes(check, lambda x, product=product: product(x) ** 2, vector)


def _passes(check: Callable[..., bool], function: Callable[..., torch.Tensor], vector: torch.Tensor) -> bool:
    return check(function, (vector,))
