"""Nested pseudo-likelihood (Aguirregabiria & Mira 2002): a task with linear reward, without its fixed point.

Nested fixed point solves for the value at every weight that is tried. Here choice probabilities are
kept instead: they give the value by one linear solve, in which the weights are still free,

    V = (I - discount P_pi)^-1 sum_a pi (f w - log pi) = V_f w + V_e,

so that the weights maximise a plain logit of action values that are linear in them,

    Q = (f + discount P V_f) w + discount P V_e.

The logit's own probabilities are the next ones. The first round is the estimator of Hotz and Miller
(1993), which inherits the errors of the probabilities it starts from; the fixed point is the maximum
of the likelihood. Temperature 1 and planner "entropy", as in dynamic discrete choice.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, eye_array
from scipy.sparse.linalg import splu
from scipy.special import logsumexp

import humansoft as hs

Real = npt.NDArray[np.float64]

_MOST_STEPS = 100
_LAST_GAIN = 1e-9  # a step that promises to gain no more than this, of the log-likelihood, is the last


@dataclass(frozen=True)
class Iterate:
    """One round of nested pseudo-likelihood.

    Attributes:
        weights: [F] weights that maximise the pseudo-likelihood.
        pseudo_log_likelihood: its logarithm at these weights.
        policy: [S, A] the logit's choice probabilities, 0 where an action is not available.
    """

    weights: Real
    pseudo_log_likelihood: float
    policy: Real


def nested_pseudo_likelihood(task: hs.Task, counts: Real, policy: Real) -> Iterator[Iterate]:
    """Yield one round after another, for as long as asked.

    Args:
        task: the task; its features are the reward's.
        counts: [S, A] how often each action was taken in each state.
        policy: [S, A] choice probabilities to start from, positive for every available action.
    """
    state, action, following, probability = task.transitions.to_triples()
    size, num_actions = counts.shape
    shape = (size * num_actions, size)
    transition = csr_array((probability, (state * num_actions + action, following)), shape=shape)
    features, available = task.features.numpy(), task.available.numpy()
    while True:
        values, bonus = action_values(transition, features, policy, task.discount)
        round_ = logit(counts, values, bonus, available)
        yield round_
        policy = round_.policy


def action_values(transition: csr_array, features: Real, policy: Real, discount: float) -> tuple[Real, Real]:
    """Return the action values of people who keep to a policy, as (values, bonus): Q = values @ w + bonus.

    Args:
        transition: [S A, S] probabilities of the next states.
        features: [S, A, F] features of the reward.
        policy: [S, A] choice probabilities; a state without any has ended, and its value is 0.
        discount: weight of the next step's value.
    """
    size, num_actions, num_features = features.shape
    rows, pairs = np.repeat(np.arange(size), num_actions), np.arange(size * num_actions)
    mixed = csr_array((policy.ravel(), (rows, pairs)), shape=(size, size * num_actions)) @ transition
    surprise = -np.log(np.where(policy > 0, policy, 1.0))
    gains = (policy[:, :, None] * np.concatenate([features, surprise[:, :, None]], axis=2)).sum(axis=1)
    value = splu((eye_array(size) - discount * mixed).tocsc()).solve(gains)
    ahead = discount * (transition @ value).reshape(size, num_actions, num_features + 1)
    return features + ahead[:, :, :-1], ahead[:, :, -1]


def logit(counts: Real, values: Real, bonus: Real, available: npt.NDArray[np.bool_]) -> Iterate:
    """Maximise sum counts log softmax(values @ w + bonus) by Newton's method, halving steps that overshoot.

    Args:
        counts: [S, A] how often each action was taken in each state.
        values: [S, A, F] what the weights multiply.
        bonus: [S, A] what is added.
        available: [S, A] true where the action may be chosen.

    Raises:
        LinAlgError: the data cannot tell some weights apart.
        RuntimeError: Newton's method did not settle.
    """
    visits = counts.sum(axis=1)

    def at(weights: Real) -> Iterate:
        scores = np.where(available, values @ weights + bonus, -np.inf)
        # An ended state has no scores; any finite ones will do, for nobody decides there.
        scores = np.where(available.any(axis=1, keepdims=True), scores, 0.0)
        logs = scores - logsumexp(scores, axis=1, keepdims=True)
        policy = np.where(available, np.exp(logs), 0.0)
        return Iterate(weights, float((counts * np.where(counts > 0, logs, 0.0)).sum()), policy)

    best = at(np.zeros(values.shape[2]))
    for _ in range(_MOST_STEPS):
        gradient = np.einsum("sa,saf->f", counts - visits[:, None] * best.policy, values)
        centred = values - np.einsum("sa,saf->sf", best.policy, values)[:, None]
        information = np.einsum("s,sa,saf,sag->fg", visits, best.policy, centred, centred)
        step = np.linalg.solve(information, gradient)
        if gradient @ step < _LAST_GAIN * max(1.0, abs(best.pseudo_log_likelihood)):
            return at(best.weights + step)  # Newton squares its error: only rounding is left
        tried = at(best.weights + step)
        while tried.pseudo_log_likelihood < best.pseudo_log_likelihood:
            step = step / 2
            tried = at(best.weights + step)
        best = tried
    raise RuntimeError(f"the logit did not settle in {_MOST_STEPS} Newton steps; look for weights of very unlike size")


def smoothed_frequencies(counts: Real, descriptors: Real, available: npt.NDArray[np.bool_]) -> Real:
    """Return choice frequencies [S, A] smoothed by a logit, so that they are known where nobody was seen.

    Args:
        counts: [S, A] how often each action was taken in each state.
        descriptors: [S, D] what the log odds of every action against the first are linear in.
        available: [S, A] true where the action may be chosen.
    """
    size, num_actions = counts.shape
    width = descriptors.shape[1]
    values = np.zeros((size, num_actions, (num_actions - 1) * width))
    for action in range(1, num_actions):
        values[:, action, (action - 1) * width : action * width] = descriptors
    return logit(counts, values, np.zeros_like(counts), available).policy


def decision_counts(task: hs.Task, log: hs.BehaviorLog) -> Real:
    """Return how often each action was taken in each state, [S, A]."""
    seen = log.counts(task.states, task.actions)
    counts = np.zeros((len(task.states), len(task.actions)))
    np.add.at(counts, (seen.state, seen.action), seen.weight)
    return counts
