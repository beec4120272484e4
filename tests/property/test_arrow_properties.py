"""Block-arrow matrices give what dense ones give, whatever rows share and constraints hold."""

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from humansoft.fit.arrow import ArrowMatrix, Layout, inverse

Real = npt.NDArray[np.float64]


def layouts(generator: np.random.Generator, rows: int, own: int, shared: int) -> Layout:
    """Rows that have parameters of their own (some of them none), and share others."""
    owner = np.full((rows, own + shared), -1)
    owner[:, own:] = np.arange(shared)
    number = shared + np.arange(rows * own).reshape(rows, own)
    owner[:, :own] = np.where(generator.random((rows, own)) < 0.8, number, -1)
    return Layout(owner, shared + rows * own)


def matrices(generator: np.random.Generator, layout: Layout) -> tuple[ArrowMatrix, Real]:
    """An arrow matrix by rows, and the same summed by hand."""
    rows, colors = layout.owner.shape
    factors = generator.normal(size=(rows, colors, colors + 2))
    by_row = factors @ factors.swapaxes(1, 2)
    dense = np.zeros((layout.size, layout.size))
    for owner, block in zip(layout.owner, by_row, strict=True):
        for i, p in enumerate(owner):
            for j, q in enumerate(owner):
                if p >= 0 and q >= 0:
                    dense[p, q] += block[i, j]
    return ArrowMatrix.of_rows(layout, by_row), dense


def constrained_inverse(dense: Real, free: npt.NDArray[np.bool_], normal: Real | None) -> Real:
    """The inverse over what is free, by elimination with a basis of the null space of the constraint."""
    basis = np.eye(len(dense))[:, free]
    if normal is not None:
        _, _, turned = np.linalg.svd((normal @ basis)[None])
        basis = basis @ turned[1:].T
    found: Real = basis @ np.linalg.inv(basis.T @ dense @ basis) @ basis.T
    return found


shapes = st.tuples(st.integers(2, 5), st.integers(0, 2), st.integers(0, 3), st.integers(0, 10_000))


@given(shapes)
def test_sums_and_products_are_those_of_the_dense_matrix(shape: tuple[int, int, int, int]) -> None:
    rows, own, shared, seed = shape
    generator = np.random.default_rng(seed)
    layout = layouts(generator, rows, own, shared)
    arrow, dense = matrices(generator, layout)
    np.testing.assert_allclose(arrow.toarray(), dense, atol=1e-12)
    np.testing.assert_allclose(arrow.diagonal(), np.diag(dense), atol=1e-12)
    columns = generator.normal(size=(layout.size, 3))
    np.testing.assert_allclose(arrow.scaled(2.0).times(columns), 2 * dense @ columns, atol=1e-10)
    np.testing.assert_allclose(arrow.plus(dense).toarray(), 2 * dense, atol=1e-12)


@given(shapes, st.booleans())
def test_the_inverse_is_that_under_the_constraints(shape: tuple[int, int, int, int], held: bool) -> None:
    rows, own, shared, seed = shape
    generator = np.random.default_rng(seed)
    layout = layouts(generator, rows, own, shared)
    arrow, dense = matrices(generator, layout)
    known = np.diag(dense) > 0
    free = known & (generator.random(layout.size) < 0.8)
    normal = generator.uniform(0.5, 1.5, layout.size) * free if held and free.sum() > 1 else None
    if not free.any():
        return
    found = inverse(arrow, free, normal)
    expected = constrained_inverse(dense, free, normal)
    assert found.smallest > 0
    tolerance = 1e-9 * np.abs(expected).max(initial=1.0)
    np.testing.assert_allclose(found.covariance.toarray(), expected, atol=tolerance)
    np.testing.assert_allclose(found.covariance.variances(), np.diag(expected), atol=tolerance)
    meat, dense_meat = matrices(generator, layout)
    around = found.covariance.around(meat)
    sandwich = expected @ dense_meat @ expected
    tolerance = 1e-8 * np.abs(sandwich).max(initial=1.0)
    np.testing.assert_allclose(around.toarray(), sandwich, atol=tolerance)
    hidden = np.arange(layout.size) == np.flatnonzero(free)[0]
    gaps = around.without(hidden)
    assert np.isnan(gaps.toarray()[hidden]).all()
    assert np.isnan(gaps.variances()[hidden]).all()
    np.testing.assert_allclose(
        gaps.toarray()[np.ix_(~hidden, ~hidden)], sandwich[np.ix_(~hidden, ~hidden)], atol=tolerance
    )


def test_a_matrix_that_is_not_positive_says_so() -> None:
    layout = Layout(np.array([[0, 1], [0, 2]]), 3)
    by_row = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, -1.0]]])
    free = np.ones(3, dtype=bool)
    assert inverse(ArrowMatrix.of_rows(layout, by_row), free, None).smallest < 0
    indefinite = np.array([[[0.5, 1.0], [1.0, 1.0]], [[0.5, 0.0], [0.0, 1.0]]])
    assert inverse(ArrowMatrix.of_rows(layout, indefinite), free, None).smallest <= 1e-12


def test_what_own_parameters_make_up_for_is_flat_however_few_are_shared() -> None:
    """One shared parameter that each row's own can undo: nothing is left of it but rounding."""
    layout = Layout(np.array([[1, 0], [2, 0]]), 3)
    by_row = np.array([[[0.3, 0.1], [0.1, 0.1 * 0.1 / 0.3]], [[0.7, 0.2], [0.2, 0.2 * 0.2 / 0.7]]])
    assert inverse(ArrowMatrix.of_rows(layout, by_row), np.ones(3, dtype=bool), None).smallest < 1e-12
