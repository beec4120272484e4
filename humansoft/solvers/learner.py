"""The Lightning side of learning a policy: epochs, progress, checkpoints, devices and loggers."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from humansoft.errors import ModelError, Problems, RunError, SolveError
from humansoft.solvers.learning import AbstractLearner, lower_rate, shorten_gradient
from humansoft.solvers.policy_files import plain
from humansoft.solvers.world import Step

_SHOW_EVERY = 20  # steps between two looks at how it goes
_LATEST = 20  # episodes whose return is averaged
_CHECKPOINT = "last"


class PolicyLearner(pl.LightningModule):
    """Lets Lightning drive an algorithm that learns from samples.

    Args:
        learner: the algorithm.
        num_epochs: epochs; each begins with new episodes, and ends with a checkpoint where one is wanted.
        num_steps: steps of the algorithm in all of them; where they cannot be divided evenly, the first epochs have
            one more than the others.
        seed: from which the seeds of all epochs follow.
        identity: what a checkpoint must agree with to be continued.
    """

    def __init__(
        self, learner: AbstractLearner, num_epochs: int, num_steps: int, seed: int, identity: dict[str, Any]
    ) -> None:
        """Leave optimisation to the algorithm."""
        super().__init__()
        self.automatic_optimization = False
        self.learner, self.num_epochs, self.seed = learner, num_epochs, seed
        self.num_steps, self.identity = num_steps, identity
        self.returns = Returns()

    def train_dataloader(self) -> Any:  # noqa: ANN401 - any iterable will do
        """Return the steps of the longest epoch."""
        return range(-(-self.num_steps // self.num_epochs))

    def on_train_epoch_start(self) -> None:
        """Begin new episodes with this epoch's own seed, so that a run can be continued between epochs."""
        sequence = np.random.SeedSequence([self.seed, self.current_epoch])
        self.returns = Returns()
        self.learner.begin(int(sequence.generate_state(1)[0] >> 1))

    def training_step(self, batch: Any, batch_index: int) -> None:  # noqa: ANN401
        """Take one step of the algorithm; the last one of an epoch that is shorter than the longest takes none."""
        shorter, longer = divmod(self.num_steps, self.num_epochs)
        if batch_index >= shorter + (self.current_epoch < longer):
            return
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        lower_rate(optimizer, self.learner.rate_left())
        self.returns.add(self.learner.step(self._minimise))
        if batch_index % _SHOW_EVERY == 0:
            self.log_dict({"return": self.returns.latest(), **self.learner.progress()}, prog_bar=True, batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the algorithm's."""
        return self.learner.optimizer()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what was learned where."""
        checkpoint["humansoft"] = self.identity

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to continue what was something else.

        Raises:
            RunError: with every difference.
        """
        before = checkpoint.get("humansoft", {})
        with Problems("the checkpoint belongs to another training; choose another folder", RunError) as problems:
            for name in sorted({*before, *self.identity}):
                if before.get(name) != self.identity.get(name):
                    problems.add(f"{name} was {before.get(name)!r} and is {self.identity.get(name)!r}")

    def _minimise(self, loss: Tensor) -> None:
        if not bool(torch.isfinite(loss)):
            raise SolveError(
                f"the loss is {float(loss.detach())} in epoch {self.current_epoch}: learning has diverged; choose a "
                "lower learning_rate, or measure rewards in a larger unit"
            )
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        shorten_gradient(optimizer, self.learner.largest_gradient)
        optimizer.step()


class Returns:
    """The sums of rewards of episodes that ended lately."""

    def __init__(self) -> None:
        """Nobody has begun."""
        self._running = torch.zeros(0)
        self._ended: list[float] = []

    def add(self, steps: Sequence[Step]) -> None:
        """Count what happened."""
        for step in steps:
            if len(self._running) == 0:
                self._running = torch.zeros_like(step.reward)
            self._running += torch.where(step.valid, step.reward, 0.0)
            over = step.terminated | step.truncated
            self._ended = [*self._ended, *self._running[over].tolist()][-_LATEST:]
            self._running[over] = 0.0

    def latest(self) -> float:
        """Return their mean, not a number where no episode has ended yet."""
        return float(np.mean(self._ended)) if self._ended else float("nan")


class _Checkpoint(ModelCheckpoint):
    """Saves the latest epoch of this training, beside whatever checkpoints a person's own trainer has."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, _CHECKPOINT, enable_version_counter=False)

    @property
    def state_key(self) -> str:
        """Return under which name its state stands in a checkpoint: its own, so that no other is mistaken for it."""
        return type(self).__qualname__


def run_training(
    module: PolicyLearner, checkpoint: Path | None, progress: bool, trainer: pl.Trainer | None = None
) -> None:
    """Train to the end, from the last checkpoint in a folder where there is one.

    Raises:
        ModelError: a trainer that trains another number of epochs, or has trained before.
        RunError: the checkpoint is damaged, or belongs to another training.
    """
    if trainer is not None:
        _refuse_other_epochs(trainer, module.num_epochs)
    found = None if checkpoint is None else _found(checkpoint)
    if checkpoint is not None:
        module.identity = plain(module.identity, "plan_in")
    with quiet():
        trainer = trainer or new_trainer(module.num_epochs, progress)
        if checkpoint is not None:
            trainer.callbacks.append(_Checkpoint(checkpoint))  # type: ignore[attr-defined]
        trainer.fit(module, ckpt_path=found)


def new_trainer(max_epochs: int, progress: bool = False) -> pl.Trainer:
    """Return a trainer for the CPU that leaves no files behind."""
    return pl.Trainer(
        max_epochs=max_epochs,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _refuse_other_epochs(trainer: Any, num_epochs: int) -> None:  # noqa: ANN401 - whatever a user gives
    """Refuse a trainer that would not train what was asked for."""
    with Problems("plan_in", ModelError) as problems:
        if not isinstance(trainer, pl.Trainer):
            problems.add(f"trainer={trainer!r}; it must be a pytorch_lightning.Trainer")
        elif trainer.max_epochs != num_epochs:
            problems.add(
                f"the trainer has max_epochs={trainer.max_epochs}, but num_epochs={num_epochs}: give both the same"
            )
        elif trainer.current_epoch > 0:
            problems.add("the trainer has trained before, and would go on from there; give a new one")


def _found(folder: Path) -> Path | None:
    """Return the last checkpoint in a folder, where there is one and it can be read."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"checkpoint={folder} is a file; give a folder")
    file = folder / f"{_CHECKPOINT}.ckpt"
    if not file.is_file():
        return None
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever becomes of damaged bytes where they are unpacked
        reason = str(error).partition("\n")[0]
        raise RunError(f"{file} is damaged ({reason}); remove it to begin anew, or restore it") from error
    if not isinstance(content, dict) or "humansoft" not in content:
        raise RunError(f"{file} is no checkpoint of plan_in; choose another folder")
    return file


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's advice that does not apply here (number of workers, logging steps, hardware)."""
    talkers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric")]
    levels = [talker.level for talker in talkers]
    for talker in talkers:
        talker.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
            warnings.filterwarnings("ignore", message=".*number of training batches.*")
            # that is how a training goes on, and what it was is checked
            warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
            # Lightning 2.6 asks torch's pytree in a way that torch 2.13 renames
            warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
            yield
    finally:
        for talker, level in zip(talkers, levels, strict=True):
            talker.setLevel(level)
