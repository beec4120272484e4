"""imitation: MCE IRL with a finite horizon, a linear reward and Adam (dense transitions)."""

from pathlib import Path

import numpy as np
import torch
from gymnasium import spaces
from imitation.algorithms.mce_irl import MCEIRL
from imitation.rewards.reward_nets import BasicRewardNet
from seals.base_envs import TabularModelPOMDP

from analysis.benchmarks.instances import Instance
from analysis.benchmarks.measure import Figures, Stopwatch, main
from analysis.benchmarks.reference import Problem

MOST_STEPS = 1000


def fit(folder: Path, clock: Stopwatch) -> Figures:
    """Match the visited states until its own rule says stop; that is not the largest likelihood."""
    instance = Instance.read(folder)
    assert instance.horizon is not None, "imitation knows finite horizons only"
    log, features = instance.log, instance.state_features
    episodes = int((log["step"] == 0).sum())
    with clock.reported("construction"):
        starts = np.bincount(log["state"][log["step"] == 0], minlength=instance.num_states) / episodes
        ends = log["next_state"][log["step"] == instance.horizon - 1]
        visits = np.bincount(np.r_[log["state"], ends], minlength=instance.num_states) / episodes
        world = TabularModelPOMDP(
            transition_matrix=instance.dense("san"),
            observation_matrix=features.astype(np.float32),
            reward_matrix=np.zeros(instance.num_states),
            horizon=instance.horizon,
            initial_state_dist=starts,
        )
        torch.manual_seed(1)
        seen = spaces.Box(-np.inf, np.inf, (features.shape[1],), np.float32)
        reward = BasicRewardNet(seen, world.action_space, use_action=False, hid_sizes=[]).double()
        learner = MCEIRL(
            visits,
            world,
            reward,
            rng=np.random.default_rng(1),
            optimizer_kwargs={"lr": 0.05},
            log_interval=None,
        )
    with clock.counted("fit"):
        reached = learner.train(max_iter=MOST_STEPS)
    (layer,) = (p for name, p in reward.named_parameters() if name.endswith("weight"))
    weights = layer.detach().numpy().ravel().astype(np.float64)
    return lambda: {
        "log_likelihood": Problem(instance).judge(weights),
        "visits_missed_by": float(np.abs(reached - visits).max()),
        "weights": weights.tolist(),
        "converged": None,
        "std_errors": "none",
        "note": "matches expected features, not the likelihood",
    }


if __name__ == "__main__":
    main({"fit": fit}, ("imitation", "seals", "torch"))
