"""Soft-optimal behavior in plain numpy and scipy: the loop a good programmer writes, and the judge of all results.

Entropy form at temperature 1: Q = r + discount * P V, V = log sum exp Q, pi = exp(Q - V). Nothing here
comes from humansoft, so that its results are judged by other code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csc_matrix, csr_matrix, identity
from scipy.sparse.linalg import bicgstab, splu

from analysis.benchmarks.instances import Instance, Real

NEWTON_STEPS = 50

FLAT = 1e-6
"""Slope a decision at which a search has arrived."""


def soft_maximum(q: Real) -> Real:
    """Return log sum exp over the last axis, action by action: numpy is slow along an axis of four."""
    options = [q[..., action] for action in range(q.shape[-1])]
    largest: Real = reduce(np.maximum, options)
    total: Real = reduce(np.add, (np.exp(option - largest) for option in options))
    return largest + np.log(total)


def descend(cost: Callable[[Real], tuple[float, Real]], start: Real) -> tuple[Real, float, float]:
    """Return where a mean cost (with its gradient) is least, that cost, and the largest slope left.

    With the mean of decisions, what such a slope leaves of the log-likelihood is far below 1e-7.
    """
    options = {"gtol": 1e-7, "ftol": 1e-15, "maxiter": 500}
    found = minimize(cost, start, jac=True, method="L-BFGS-B", options=options)  # type: ignore[call-overload]
    return found.x, float(found.fun), float(np.abs(found.jac).max())


@dataclass
class Problem:
    """An instance with its transitions as a sparse matrix.

    Attributes:
        instance: the decision problem.
        warm: the last value found, from which the next one is sought.
    """

    instance: Instance
    warm: Real | None = None

    @cached_property
    def transitions(self) -> csr_matrix:
        """[S * A, S] probabilities."""
        i = self.instance
        rows = np.searchsorted(i.pair, np.arange(i.num_states * i.num_actions + 1))
        shape = (i.num_states * i.num_actions, i.num_states)
        return csr_matrix((i.probability, i.next_state, rows), shape=shape)

    def q(self, reward: Real, value: Real) -> Real:
        """Return Q [S, A] at a value."""
        expected: Real = (self.transitions @ value).reshape(reward.shape)
        return reward + self.instance.discount * expected

    def error_bound(self, reward: Real, value: Real) -> float:
        """Return how far a value can be from the solution: |T(V) - V| / (1 - discount)."""
        residual = np.abs(soft_maximum(self.q(reward, value)) - value).max()
        return float(residual / (1 - self.instance.discount))

    def under(self, policy: Real) -> csr_matrix:
        """Return the transitions between states under a policy [S, A]."""
        size, options = policy.shape
        choice = csr_matrix((policy.ravel(), np.arange(size * options), np.arange(size + 1) * options))
        chain: csr_matrix = choice @ self.transitions
        return chain

    def solve(self, reward: Real, tolerance: float = 1e-12) -> tuple[Real, Real]:
        """Return V [S] and the policy [S, A], by Newton's method with a sparse factorisation."""
        value = np.zeros(len(reward)) if self.warm is None else self.warm
        eye = identity(len(reward), format="csr")
        for _ in range(NEWTON_STEPS):
            q = self.q(reward, value)
            backed_up = soft_maximum(q)
            policy = np.exp(q - backed_up[:, None])
            system = splu(csc_matrix(eye - self.instance.discount * self.under(policy)))
            correction = system.solve(backed_up - value)
            value = value + correction
            if np.abs(correction).max() <= tolerance * (1 + np.abs(value).max()):
                break
        self.warm = value
        q = self.q(reward, value)
        return value, np.exp(q - soft_maximum(q)[:, None])

    def log_likelihood(self, weights: Real, counts: Real) -> tuple[float, Real]:
        """Return the log-likelihood of decisions [S, A] and its gradient [F], by one adjoint solution."""
        features, discount = self.instance.features, self.instance.discount
        reward = features @ weights
        value, policy = self.solve(reward)
        q = self.q(reward, value)
        likelihood = float((counts * (q - soft_maximum(q)[:, None])).sum())
        # d log pi(a|s) = dQ(s, a) - E_pi dQ(s, .), and dQ = dr + discount * P dV with (I - discount P_pi) dV = E_pi dr.
        surprise = counts - counts.sum(axis=1)[:, None] * policy
        on_value = discount * (self.transitions.T @ surprise.ravel())
        system = identity(len(reward), format="csr") - discount * self.under(policy)
        adjoint = splu(csc_matrix(system.T)).solve(on_value)
        on_reward = surprise + adjoint[:, None] * policy
        return likelihood, np.einsum("sa,saf->f", on_reward, features)

    def log_likelihood_in_time(self, weights: Real, counts: Real) -> tuple[float, Real]:
        """Return the same for decisions [T, S, A] of episodes that last T decisions."""
        features, discount = self.instance.features, self.instance.discount
        reward = features @ weights
        value, policies, likelihood = np.zeros(len(reward)), [], 0.0
        for now in reversed(counts):
            q = self.q(reward, value)
            value = soft_maximum(q)
            likelihood += float((now * (q - value[:, None])).sum())
            policies.append(np.exp(q - value[:, None]))
        on_reward, on_value = np.zeros_like(reward), np.zeros(len(reward))
        for now, policy in zip(counts, reversed(policies), strict=True):
            on_q = now - now.sum(axis=1)[:, None] * policy + on_value[:, None] * policy
            on_reward += on_q
            on_value = discount * (self.transitions.T @ on_q.ravel())
        return likelihood, np.einsum("sa,saf->f", on_reward, features)

    def judge(self, weights: Real) -> float:
        """Return the log-likelihood of the recorded decisions at some weights."""
        return self._objective(weights)[0]

    def _objective(self, weights: Real) -> tuple[float, Real]:
        if self.instance.horizon is None:
            return self.log_likelihood(weights, self._counts)
        return self.log_likelihood_in_time(weights, self._counts)

    @cached_property
    def _counts(self) -> Real:
        return self.instance.counts()

    def maximise(self) -> tuple[Real, float, float]:
        """Return the weights of largest likelihood, that likelihood, and the slope left a decision."""
        decisions = len(self.instance.log["state"])

        def cost(weights: Real) -> tuple[float, Real]:
            likelihood, gradient = self._objective(weights)
            return -likelihood / decisions, -gradient / decisions

        start = np.zeros(self.instance.features.shape[-1])
        weights, mean, slope = descend(cost, start)
        return weights, -mean * decisions, slope

    def value_iteration(self, reward: Real, tolerance: float) -> Real:
        """Return V by backups alone, to a given distance from the solution."""
        value = np.zeros(len(reward))
        discount = self.instance.discount
        while True:
            following = soft_maximum(self.q(reward, value))
            change = np.abs(following - value).max()
            value = following
            if change * discount / (1 - discount) <= tolerance:
                return value

    def inexact_newton(self, reward: Real, tolerance: float) -> Real:
        """Return V by Newton's method whose linear systems are solved only roughly, without factors."""
        value = np.zeros(len(reward))
        discount = self.instance.discount
        for _ in range(NEWTON_STEPS):
            q = self.q(reward, value)
            backed_up = soft_maximum(q)
            residual = backed_up - value
            if np.abs(residual).max() / (1 - discount) <= tolerance:
                break
            system = identity(len(reward), format="csr") - discount * self.under(np.exp(q - backed_up[:, None]))
            value = value + bicgstab(system, residual, rtol=1e-4, atol=0.1 * tolerance * (1 - discount))[0]
        return value
