"""Integrals over continuous actions: against adaptive quadrature of scipy, and what they refuse."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import integrate

from humansoft.errors import UsageError
from humansoft.solvers.bellman import soft_backup, soft_integral
from humansoft.solvers.quadrature import ActionNodes

Rule = Callable[[list[float], list[float], int], ActionNodes]

ALPHA = torch.tensor(0.4, dtype=torch.float64)


def bumpy(x: float) -> float:
    return float(np.sin(3 * x) - 0.3 * x**2)


def q_of(nodes: ActionNodes) -> torch.Tensor:
    return (torch.sin(3 * nodes.actions) - 0.3 * nodes.actions**2).sum(dim=-1)


@pytest.mark.parametrize("rule", [ActionNodes.trapezoid, ActionNodes.gauss_legendre])
def test_one_dimension_is_adaptive_quadrature(rule: Rule) -> None:
    nodes = rule([-7.0], [6.0], 400)
    total, _ = integrate.quad(lambda x: np.exp(bumpy(x) / 0.4), -7, 6, epsabs=1e-13, epsrel=1e-13, limit=500)
    assert soft_integral(q_of(nodes), nodes, ALPHA).item() == pytest.approx(0.4 * np.log(total), abs=1e-11)


def test_gauss_legendre_has_no_trouble_with_edges() -> None:
    nodes = ActionNodes.gauss_legendre([0.0], [2.0], 20)
    # of exp(x / alpha), which is largest at the edge
    exact = 0.4 * np.log(0.4 * (np.exp(2 / 0.4) - 1))
    assert soft_integral(nodes.actions[:, 0], nodes, ALPHA).item() == pytest.approx(exact, abs=1e-14)
    even = ActionNodes.trapezoid([0.0], [2.0], 20)
    assert abs(soft_integral(even.actions[:, 0], even, ALPHA).item() - exact) > 1e-3


def test_two_dimensions_are_the_product() -> None:
    nodes = ActionNodes.gauss_legendre([-7.0, -2.0], [6.0, 1.0], 150)
    sides = [
        np.log(integrate.quad(lambda x: np.exp(bumpy(x) / 0.4), low, high, epsabs=1e-13, limit=500)[0])
        for low, high in ((-7, 6), (-2, 1))
    ]
    assert soft_integral(q_of(nodes), nodes, ALPHA).item() == pytest.approx(0.4 * sum(sides), abs=1e-10)


def test_samples_cover_a_box_with_its_volume() -> None:
    nodes = ActionNodes.uniform([0.0, -1.0, 2.0], [1.0, 1.0, 5.0], 50, seed=3)
    flat = torch.full((50,), 0.7, dtype=torch.float64)
    assert soft_integral(flat, nodes, ALPHA).item() == pytest.approx(0.7 + 0.4 * np.log(6.0), abs=1e-14)
    assert bool((nodes.actions[:, 2] > 2).all())
    assert bool((nodes.actions[:, 2] < 5).all())


def test_a_proposal_like_exp_q_has_no_error() -> None:
    mean = torch.tensor([[0.5, -1.0, 2.0], [0.0, 0.0, 0.0]], dtype=torch.float64)  # of two states
    std = torch.tensor([[0.3, 1.0, 2.0], [1.0, 0.5, 0.1]], dtype=torch.float64)
    nodes = ActionNodes.normal(mean, std, 7, seed=5)
    q = -ALPHA * ((nodes.actions - mean[:, None]) ** 2 / (2 * std[:, None] ** 2)).sum(
        dim=-1
    )  # exp(Q / alpha) ~ proposal
    exact = 0.4 * (1.5 * np.log(2 * np.pi) + std.log().sum(dim=-1))
    np.testing.assert_allclose(soft_integral(q, nodes, ALPHA.expand(2)), exact, atol=1e-13)


def test_same_seed_same_actions() -> None:
    one, same, other = (ActionNodes.uniform([0.0], [1.0], 5, seed=seed).actions for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_batch_of_states_and_its_derivative() -> None:
    nodes = ActionNodes.trapezoid([-5.0], [5.0], 41)
    q = torch.from_numpy(np.random.default_rng(1).normal(size=(6, 41))).requires_grad_()
    temperature = torch.linspace(0.2, 1.0, 6, dtype=torch.float64)
    value = soft_integral(q, nodes, temperature)
    for s in range(6):
        assert value[s].item() == pytest.approx(soft_integral(q[s], nodes, temperature[s]).item(), abs=1e-14)
    (slope,) = torch.autograd.grad(value.sum(), q)
    share = soft_backup(q.detach(), nodes.log_volume.expand_as(q), temperature)[1].exp()
    np.testing.assert_allclose(slope, share, atol=1e-14)  # dV / dQ is the probability of each node


def test_all_problems_of_nodes_are_named_at_once() -> None:
    with pytest.raises(UsageError, match=r"(?s)empty or endless.*num_nodes is 1.*at most 2 dimensions"):
        ActionNodes.trapezoid([0.0, 1.0, 0.0], [1.0, 1.0, 1.0], 1)
    with pytest.raises(UsageError, match="low has 1 dimensions and high 2"):
        ActionNodes.uniform([0.0], [1.0, 2.0], 3, seed=1)
    with pytest.raises(UsageError, match="empty or endless"):
        ActionNodes.gauss_legendre([0.0], [float("inf")], 3)
    zero = torch.zeros(2, dtype=torch.float64)
    with pytest.raises(UsageError, match=r"(?s)num_nodes is 0.*standard deviation"):
        ActionNodes.normal(zero, zero, 0, seed=1)
