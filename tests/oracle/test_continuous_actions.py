"""Continuous actions against closed forms: quadratic values, soft linear control, squashed normals, samples in 3-D."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from humansoft.solvers.bellman import soft_backup, soft_integral
from humansoft.solvers.box import Box
from humansoft.solvers.box_nodes import BoxNodes, importance_sample, scattered
from humansoft.solvers.box_scores import BoxQ
from humansoft.solvers.distributions import SquashedNormal
from humansoft.solvers.quadrature import ActionNodes
from tests.oracle.reference import Array

ALPHA = 0.6


def alphas(count: int) -> torch.Tensor:
    return torch.full((count,), ALPHA, dtype=torch.float64)


def test_the_value_of_a_quadratic_is_known() -> None:
    """SCIENCE 2, A3 and A3b: V = c + (alpha / 2) log(2 pi alpha / k), whatever the number of nodes."""
    c, k, m = 0.7, 2.3, 0.3
    exact = c + ALPHA / 2 * np.log(2 * np.pi * ALPHA / k)
    for count in (65, 129, 257):
        nodes = ActionNodes.trapezoid([-8.0], [8.0], count)
        q = c - k * (nodes.actions[:, 0] - m) ** 2 / 2
        assert soft_integral(q, nodes, alphas(1)[0]).item() == pytest.approx(exact, rel=1e-14)
        grid_only = ALPHA * torch.logsumexp(q / ALPHA, dim=0).item()
        assert abs(grid_only - exact) > 0.1  # without the volumes it is no integral
    drawn = ActionNodes.normal(torch.full((1,), m), torch.full((1,), 0.8), 10_000, seed=1)
    q = c - k * (drawn.actions[:, 0] - m) ** 2 / 2
    assert soft_integral(q, drawn, alphas(1)[0]).item() == pytest.approx(exact, abs=5e-3)


def test_the_value_of_a_quadratic_in_two_dimensions_is_known() -> None:
    curvature = np.array([[2.0, 0.7], [0.7, 1.2]])
    nodes = ActionNodes.trapezoid([-8.0, -8.0], [8.0, 8.0], 129)
    away = nodes.actions.numpy() - [0.3, -0.5]
    q = torch.from_numpy(1.5 - 0.5 * np.einsum("ji,ik,jk->j", away, curvature, away))
    exact = 1.5 + ALPHA / 2 * (2 * np.log(2 * np.pi * ALPHA) - np.linalg.slogdet(curvature)[1])
    assert soft_integral(q, nodes, alphas(1)[0]).item() == pytest.approx(exact, rel=1e-14)


def test_soft_linear_control_step_by_step() -> None:
    """SCIENCE 9, S02: r = -(q s^2 + r a^2) / 2 and s' = a s + b u keep V(s) = -P s^2 / 2 + c at every horizon."""
    weight, cost, drift, push, discount = 1.0, 0.5, 1.1, 0.8, 0.95
    nodes = ActionNodes.trapezoid([-25.0], [25.0], 501)
    state = torch.tensor([0.0, 1.0, -1.7], dtype=torch.float64)
    action = nodes.actions[:, 0]
    curved, constant = 0.0, 0.0  # P and c of the exact recursion
    seen_curved, seen_constant = 0.0, 0.0  # the same, read off the integrals
    for _ in range(60):
        following = drift * state[:, None] + push * action
        reward = -0.5 * (weight * state[:, None] ** 2 + cost * action**2)
        q = reward + discount * (seen_constant - 0.5 * seen_curved * following**2)
        value, log_mass = soft_backup(q, nodes.log_volume.expand_as(q), alphas(3))
        precision = cost + discount * curved * push**2
        gain = discount * curved * drift * push / precision
        mean = (log_mass.exp() * action).sum(dim=1)
        spread = (log_mass.exp() * (action - mean[:, None]) ** 2).sum(dim=1)
        np.testing.assert_allclose(mean, -gain * state, atol=1e-13)
        np.testing.assert_allclose(spread, np.full(3, ALPHA / precision), rtol=1e-12)
        constant = discount * constant + ALPHA / 2 * np.log(2 * np.pi * ALPHA / precision)
        curved = weight + discount * curved * drift**2 - precision * gain**2
        np.testing.assert_allclose(value, constant - 0.5 * curved * state**2, rtol=1e-14, atol=1e-14)
        seen_constant, seen_curved = value[0].item(), 2 * (value[0] - value[1]).item()
    assert curved == pytest.approx(weight + discount * curved * drift**2 - precision * gain**2, rel=1e-10)


BOXES = {1: Box((-1.0,), (3.0,)), 2: Box((-1.0, 0.0), (3.0, 0.5))}


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (1.3, -1.0), (-0.8, 0.4)])
@pytest.mark.slow
def test_a_squashed_normal_is_a_density(size: int, mean: float, log_std: float) -> None:
    box = BOXES[size]
    # even steps before squashing: a density that is wide there is endless at the edges, though its mass is 1
    inner = ActionNodes.trapezoid([-14.0] * size, [14.0] * size, 401)
    action = box.from_unit(inner.actions.tanh())
    log_volume = inner.log_volume - 2 * inner.actions.cosh().log().sum(dim=1) + box.log_scale
    count = len(action)
    means, spreads = (torch.full((count, size), value, dtype=torch.float64) for value in (mean, log_std))
    density = SquashedNormal(means, spreads, box)
    logs = density.log_prob(action)
    mass = (logs + log_volume).exp()
    assert mass.sum().item() == pytest.approx(1.0, abs=1e-12)
    assert density.entropy()[0].item() == pytest.approx(-(mass * logs).sum().item(), abs=1e-4)
    one = SquashedNormal(means[:1], spreads[:1], box)
    drawn = SquashedNormal(means[:1].expand(20_000, -1), spreads[:1].expand(20_000, -1), box).sample(
        torch.Generator().manual_seed(1)
    )
    expected = (mass[:, None] * action).sum(dim=0)
    np.testing.assert_allclose(drawn.mean(dim=0), expected, atol=0.04)
    shown = one.weighted(torch.Generator())
    np.testing.assert_allclose((shown.probability[..., None] * shown.action).sum(dim=1)[0], expected, atol=1e-4)


def test_a_squashed_normal_is_that_of_torch_and_stays_finite_where_torch_does_not() -> None:
    from torch import distributions as other

    generator = torch.Generator().manual_seed(2)
    mean, log_std = torch.randn((2, 50, 3), generator=generator, dtype=torch.float64)
    box = Box((-1.0, -2.0, 0.0), (1.0, 2.0, 5.0))
    ours = SquashedNormal(mean, log_std, box)
    action = ours.sample(generator)
    half = torch.tensor([1.0, 2.0, 2.5], dtype=torch.float64)
    centre = torch.tensor([0.0, 0.0, 2.5], dtype=torch.float64)
    theirs: Any = other.TransformedDistribution(
        other.Normal(mean, log_std.exp()), [other.TanhTransform(), other.AffineTransform(centre, half)]
    )
    np.testing.assert_allclose(ours.log_prob(action), theirs.log_prob(action).sum(dim=1), rtol=1e-9, atol=1e-9)
    far = SquashedNormal(torch.full((2, 1), 40.0), torch.zeros(2, 1), Box((-1.0,), (1.0,)))
    drawn = far.sample(generator)
    assert bool((drawn == 1).all())
    assert torch.isfinite(far.log_prob(drawn)).all()
    assert torch.isfinite(far.entropy()).all()


def cut_normal_log_mass(mean: Array, std: Array, low: float, high: float) -> Array:
    """Return the log of the integral of exp(-(a - mean)^2 / (2 std^2)) over a box, summed over dimensions."""
    inside = stats.norm.cdf((high - mean) / std) - stats.norm.cdf((low - mean) / std)
    total: Array = (np.log(inside) + 0.5 * np.log(2 * np.pi) + np.log(std)).sum(axis=-1)
    return total


@pytest.mark.parametrize("size", [3, 6])
def test_an_importance_sample_knows_how_wrong_it_is(size: int) -> None:
    generator = np.random.default_rng(size)
    mean = generator.uniform(-0.8, 0.8, size=(500, 1, size))
    std = generator.uniform(0.15, 0.8, size=(500, 1, size))
    centre, width = (torch.from_numpy(array).float() for array in (mean, std))
    nodes, found = importance_sample(
        lambda place: -0.5 * (((place - centre) / width) ** 2).sum(dim=-1),
        500, 400, size, torch.Generator().manual_seed(1),
    )  # fmt: skip
    logs = (found + nodes.log_volume).double()
    estimate = torch.logsumexp(logs, dim=1).numpy()
    share = torch.softmax(logs, dim=1)
    error = ((400 * share.square().sum(dim=1) - 1) / 400).sqrt().numpy()
    off = (estimate - cut_normal_log_mass(mean, std, -1.0, 1.0)[:, 0]) / error
    assert 0.3 < np.sqrt(np.mean(off**2)) < 1.3
    assert np.median(error) < (0.06 if size == 3 else 0.15)
    # ... and better than actions from anywhere
    uniform = ActionNodes.uniform([-1.0] * size, [1.0] * size, 400, seed=1).actions.float()
    plain = torch.softmax(-0.5 * (((uniform - centre) / width) ** 2).sum(dim=-1), dim=1)
    assert float(share.square().sum(dim=1).median()) < 0.5 * float(plain.square().sum(dim=1).median())


def test_scattered_actions_cover_the_box_cell_by_cell() -> None:
    place, log_cell = scattered(3, 5, 2, torch.Generator().manual_seed(1))
    assert place.shape == (3, 25, 2)
    assert 25 * np.exp(log_cell) == pytest.approx(4.0)
    cells = ((place + 1) / 0.4).long()
    assert all(len({tuple(cell.tolist()) for cell in row}) == 25 for row in cells)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.slow
def test_the_density_of_action_values_is_one_and_is_what_is_drawn(size: int) -> None:
    torch.manual_seed(size)
    low, high = [-1.0, 0.0, 2.0][:size], [1.0, 4.0, 3.0][:size]
    q = BoxQ(2, low, high)
    state = torch.tensor([[0.5, -1.0]])
    warm = torch.full((1,), 0.05)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        density = q.distribution(state, torch.zeros(1, 1), warm, generator)
        many = ActionNodes.uniform(low, high, 40_000, seed=1)
        logs = (q.chosen(state.expand(40_000, -1), many.actions).double() - density.value) / 0.05
        mass = (logs + many.log_volume).exp()
        assert mass.sum().item() == pytest.approx(1.0, abs=0.04 if size == 3 else 0.02)
        np.testing.assert_allclose(density.log_prob(many.actions[:1].float()), logs[:1], atol=1e-4)
        copies = (state.expand(1000, -1), torch.zeros(1000, 1), warm.expand(1000))
        drawn = q.distribution(*copies, generator).sample(generator).double()
        assert density.entropy().item() == pytest.approx(-(mass * logs).sum().item(), abs=0.06)
        for moment in (1, 2):
            expected = (mass[:, None] * many.actions**moment).sum(dim=0)
            np.testing.assert_allclose((drawn**moment).mean(dim=0), expected, rtol=0.06, atol=0.06)
    assert (density.log_prob_error() < 0.05).all()
    assert bool(((drawn >= torch.tensor(low)) & (drawn <= torch.tensor(high))).all())


def test_hard_planning_takes_the_best_node() -> None:
    for size in (1, 3):
        nodes = BoxNodes(Box((-1.0,) * size, (1.0,) * size), 200)
        found = nodes.choices(
            lambda place: -((place - 0.3) ** 2).sum(dim=-1), torch.zeros(1), torch.Generator().manual_seed(1)
        )
        assert found.value.max().item() == pytest.approx(0.0, abs=0.02)
        assert torch.isfinite(found.log_volume).all()
