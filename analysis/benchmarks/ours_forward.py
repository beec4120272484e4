"""humansoft's side of learning in environments: ``plan_in`` with the options that it has for all of them."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch

import humansoft as hs
from analysis.benchmarks.measure import Figures, Stopwatch, main
from analysis.benchmarks.training import Training, Watch, greedy_return
from humansoft.solvers.distributions import Categorical
from humansoft.solvers.learner import PolicyLearner, quiet
from humansoft.solvers.learning import AbstractLearner


def imports(work: str) -> None:
    """Import what is loaded on first use before the clock starts."""
    del work
    import_module("humansoft.planning")


class Looking(pl.Callback):
    """Looks at the policy while it is learned, and ends training when it is good enough."""

    def __init__(self, watch: Watch, decisions: int) -> None:
        """Remember how many decisions a step of the algorithm takes."""
        self.watch, self.decisions = watch, decisions

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:  # noqa: ANN401
        """Look."""
        assert isinstance(pl_module, PolicyLearner)
        self.watch.look((args[-1] + 1) * self.decisions, greedy(pl_module.learner))
        trainer.should_stop |= self.watch.over


def greedy(learner: AbstractLearner) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    """Return the greedy policy of what was learned so far."""

    @torch.no_grad()
    def act(observed: npt.NDArray[Any]) -> npt.NDArray[Any]:
        state = torch.from_numpy(observed.astype(np.int64 if observed.ndim == 1 else np.float32))
        chances = learner.distribution(state)
        assert isinstance(chances, Categorical), "the environments of this benchmark have finitely many actions"
        best: npt.NDArray[Any] = chances.log_policy.argmax(dim=-1).numpy()
        return best

    return act


def soft_q_learning(folder: Path, clock: Stopwatch) -> Figures:
    """Soft Q-learning."""
    return _learned(Training.read(folder), clock, hs.SoftQLearning.for_environment())


def policy_gradient(folder: Path, clock: Stopwatch) -> Figures:
    """The entropy-regularised policy gradient."""
    return _learned(Training.read(folder), clock, hs.PolicyGradient.for_environment())


def _learned(training: Training, clock: Stopwatch, solver: hs.SoftQLearning | hs.PolicyGradient) -> Figures:
    decisions = solver.num_walkers * solver.rollout
    solver = type(solver).for_environment(num_steps=-(-training.most_steps // decisions))
    watch = Watch(training)
    with quiet():
        trainer = pl.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[Looking(watch, decisions)],
        )
    hs.plan_in(
        training.env_id,
        temperature=training.temperature,
        seed=training.seed,
        discount=training.discount,
        solver=solver,
        num_epochs=1,
        trainer=trainer,
        **training.options,
    )
    clock.work["training"] = watch.taken()
    return watch.figures


def exact(folder: Path, clock: Stopwatch) -> Figures:
    """The exact solution from the transition table, which nobody who only acts is given."""
    training = Training.read(folder)
    with clock.reported("construction"):
        task = hs.Task.from_gymnasium(training.env_id, discount=training.discount, **training.options)
    with clock.counted("training"):
        policy = hs.plan(task, {"reward": 1.0}, temperature=training.temperature)
    state_of, label_of = task.states.encode(range(len(task.states))), np.array(task.actions.values)

    def act(observed: npt.NDArray[Any]) -> npt.NDArray[Any]:
        nobody = np.zeros(len(observed), dtype=np.int64)
        best: npt.NDArray[Any] = label_of[policy.log_prob(nobody, state_of[observed]).argmax(axis=-1)]
        return best

    found = greedy_return(training, act)
    return lambda: {"reached": found >= training.goal, "steps": 0, "returns": [found]}


if __name__ == "__main__":
    works = {"soft_q_learning": soft_q_learning, "policy_gradient": policy_gradient, "exact": exact}
    main(works, ("humansoft", "torch", "pytorch-lightning", "gymnasium"), imports)
