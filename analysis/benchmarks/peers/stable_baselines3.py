"""stable-baselines3: DQN and PPO with the settings that its zoo of trained agents keeps for these environments."""

from pathlib import Path
from typing import Any

import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from analysis.benchmarks.measure import Figures, Stopwatch, main
from analysis.benchmarks.training import Training, Watch

WIDE = {"net_arch": [256, 256]}

DQN_SETTINGS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {
        "learning_rate": 2.3e-3,
        "batch_size": 64,
        "buffer_size": 100_000,
        "learning_starts": 1000,
        "gamma": 0.99,
        "target_update_interval": 10,
        "train_freq": 256,
        "gradient_steps": 128,
        "exploration_fraction": 0.16,
        "exploration_final_eps": 0.04,
        "policy_kwargs": WIDE,
    },
    "Acrobot-v1": {
        "learning_rate": 6.3e-4,
        "batch_size": 128,
        "buffer_size": 50_000,
        "learning_starts": 0,
        "gamma": 0.99,
        "target_update_interval": 250,
        "train_freq": 4,
        "gradient_steps": -1,
        "exploration_fraction": 0.12,
        "exploration_final_eps": 0.1,
        "policy_kwargs": WIDE,
    },
    "LunarLander-v3": {
        "learning_rate": 6.3e-4,
        "batch_size": 128,
        "buffer_size": 50_000,
        "learning_starts": 0,
        "gamma": 0.99,
        "target_update_interval": 250,
        "train_freq": 4,
        "gradient_steps": -1,
        "exploration_fraction": 0.12,
        "exploration_final_eps": 0.1,
        "policy_kwargs": WIDE,
    },
}
"""Elsewhere its own defaults."""

ZOO_STEPS = {("CartPole-v1", "DQN"): 50_000, ("CartPole-v1", "PPO"): 100_000}
"""How long the zoo trains, which schedules follow; it is stopped when our time is up."""

PPO_WALKERS = {"CartPole-v1": 8, "Acrobot-v1": 16, "LunarLander-v3": 16}


def ppo_settings(training: Training) -> dict[str, Any]:
    """Return the settings of the zoo, of which some fall in a straight line while training."""
    if training.env_id == "CartPole-v1":
        return {
            "n_steps": 32,
            "batch_size": 256,
            "gae_lambda": 0.8,
            "gamma": 0.98,
            "n_epochs": 20,
            "ent_coef": 0.0,
            "learning_rate": lambda left: 1e-3 * left,
            "clip_range": lambda left: 0.2 * left,
        }
    if training.env_id == "Acrobot-v1":
        return {"n_steps": 256, "gae_lambda": 0.94, "gamma": 0.99, "n_epochs": 4, "ent_coef": 0.0}
    if training.env_id == "LunarLander-v3":
        shared = {"n_steps": 1024, "batch_size": 64, "gae_lambda": 0.98, "gamma": 0.999}
        return {**shared, "n_epochs": 4, "ent_coef": 0.01}
    return {"gamma": training.discount}


# Its types are not installed where ours are checked.
class Looking(BaseCallback):  # type: ignore[misc]
    """Looks at the policy while it is learned, and ends training when it is good enough."""

    def __init__(self, watch: Watch) -> None:
        """Keep the watch."""
        super().__init__()
        self.watch = watch

    def _on_step(self) -> bool:
        self.watch.look(self.num_timesteps, lambda observed: self.model.predict(observed, deterministic=True)[0])
        return not self.watch.over


def dqn(folder: Path, clock: Stopwatch) -> Figures:
    """Deep Q-learning in one environment."""
    training = Training.read(folder)
    settings = DQN_SETTINGS.get(training.env_id, {"gamma": training.discount})
    return _learned(DQN, training, settings, 1, clock)


def ppo(folder: Path, clock: Stopwatch) -> Figures:
    """Proximal policy optimisation in several environments."""
    training = Training.read(folder)
    return _learned(PPO, training, ppo_settings(training), PPO_WALKERS.get(training.env_id, 8), clock)


def _learned(algorithm: Any, training: Training, settings: dict[str, Any], walkers: int, clock: Stopwatch) -> Figures:  # noqa: ANN401
    torch.set_num_threads(1)
    watch = Watch(training)
    env = make_vec_env(training.env_id, walkers, seed=training.seed, env_kwargs=training.options)
    model = algorithm("MlpPolicy", env, seed=training.seed, device="cpu", **settings)
    planned = ZOO_STEPS.get((training.env_id, algorithm.__name__), training.most_steps)
    model.learn(planned, callback=Looking(watch))
    clock.work["training"] = watch.taken()
    return watch.figures


if __name__ == "__main__":
    main({"dqn": dqn, "ppo": ppo}, ("stable-baselines3", "torch", "gymnasium"))
