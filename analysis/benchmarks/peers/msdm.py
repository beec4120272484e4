"""msdm: entropy-regularised policy iteration in torch, differentiated by autograd (dense transitions)."""

from pathlib import Path

import numpy as np
import torch
from msdm.algorithms.entregpolicyiteration import entropy_regularized_policy_iteration

from analysis.benchmarks.instances import Instance, Real
from analysis.benchmarks.measure import Figures, Stopwatch, main
from analysis.benchmarks.reference import FLAT, Problem, descend

START = 1e-3
"""At weights of exactly 0 the first policy is already the last one, and nothing leads back to the weights."""

MOST_STEPS = 100


def fit(folder: Path, clock: Stopwatch) -> Figures:
    """Largest likelihood by L-BFGS-B; msdm solves, the loop around it is ours, as its users write it."""
    instance = Instance.read(folder)
    with clock.reported("construction"):
        transitions = torch.from_numpy(instance.dense("san"))
        features = torch.from_numpy(instance.state_features)
        counts = instance.counts()
        mean = torch.from_numpy(counts / counts.sum())

    def cost(weights: Real) -> tuple[float, Real]:
        theta = torch.from_numpy(weights.copy()).requires_grad_()
        plan = entropy_regularized_policy_iteration(
            transition_matrix=transitions,
            reward_matrix=(features @ theta)[:, None, None],
            discount_rate=instance.discount,
            entropy_weight=torch.ones(1, dtype=torch.float64),
            n_planning_iters=MOST_STEPS,
        )
        loss = -(mean * torch.log_softmax(plan.action_values, dim=-1)).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        assert theta.grad is not None
        return float(loss.detach()), theta.grad.numpy()

    with clock.counted("fit"):
        start = np.full(features.shape[1], START)
        found, least, slope = descend(cost, start)
    return lambda: {
        "log_likelihood": Problem(instance).judge(found),
        "own_log_likelihood": -least * float(counts.sum()),
        "largest_slope": slope,
        "weights": found.tolist(),
        "converged": slope < FLAT,
        "std_errors": "none",
    }


if __name__ == "__main__":
    main({"fit": fit}, ("msdm", "torch"))
