"""Several ways to hold a part of a log out, so that everything is held out once."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from humansoft.data.log import BehaviorLog
from humansoft.data.parts import person_codes
from humansoft.data.splits import SplitBy
from humansoft.errors import LogError, UsageError, did_you_mean

Mask = npt.NDArray[np.bool_]
Index = npt.NDArray[np.int64]


def folds_of(log: BehaviorLog, by: SplitBy, folds: int, seed: int | None) -> Iterator[tuple[Mask, Mask]]:
    """Return what to learn from [N] and what is held out [N], fold by fold.

    Args:
        log: the decisions.
        by: "subject" deals whole people out to folds (in all their conditions), "episode" whole episodes within every
            person; "time" cuts every episode into folds + 1 blocks and holds each but the first out in turn, to be
            predicted from the blocks before it.
        folds: number of folds.
        seed: needed for "subject" and "episode", which are dealt out at random.

    Raises:
        UsageError: unknown ``by``, fewer than two folds, or no seed where one is drawn from.
        LogError: too few people or episodes, or episodes of a counted log, which has none.
    """
    ways = ("subject", "episode", "time")
    if by not in ways:
        raise UsageError(f"by={by!r}: no such way to hold out.{did_you_mean(by, ways)}")
    if folds < 2:
        raise UsageError(f"folds={folds}: at least 2 are needed to hold everything out once")
    if by != "subject":
        log.require_episodes(f"nothing can be held out by {by}; hold out by subject, or read it without counted=True")
    if by == "time":
        yield from _forward(log, folds)
        return
    if seed is None:
        raise UsageError(f"by={by!r} deals {by}s out at random: pass seed= so that the folds can be repeated")
    fold = (_of_subjects if by == "subject" else _of_episodes)(log, folds, np.random.default_rng(seed))
    for number in range(folds):
        yield fold != number, fold == number


def _of_subjects(log: BehaviorLog, folds: int, generator: np.random.Generator) -> Index:
    people, person = np.unique(person_codes(log), return_inverse=True)
    if len(people) < folds:
        raise LogError(f"{len(people)} people cannot be dealt out to {folds} folds: ask for fewer, or by episode")
    dealt: Index = generator.permutation(len(people)) % folds
    return dealt[person]


def _of_episodes(log: BehaviorLog, folds: int, generator: np.random.Generator) -> Index:
    """Deal each person's episodes out in turn; somebody's only episode is never held out (fold -1)."""
    starts = np.flatnonzero(log.episode_start)
    owner = log.subject[starts]
    number = np.bincount(owner)
    if number.max(initial=0) < 2:
        raise LogError("every subject has only one episode: hold out by subject or time instead")
    shuffled = np.lexsort((generator.random(len(starts)), owner))
    place = np.empty(len(starts), dtype=np.int64)  # of each episode in the shuffled list of its person
    place[shuffled] = np.arange(len(starts)) - np.searchsorted(owner, owner)
    # People begin at different folds, or the first ones would hold most episodes.
    fold = np.where(number[owner] > 1, (place + owner) % folds, -1)
    dealt: Index = fold[np.cumsum(log.episode_start) - 1]
    return dealt


def _forward(log: BehaviorLog, folds: int) -> Iterator[tuple[Mask, Mask]]:
    starts = np.flatnonzero(log.episode_start)
    lengths = np.diff(np.r_[starts, len(log)])
    place = np.arange(len(log)) - np.repeat(starts, lengths)
    block = place * (folds + 1) // np.repeat(lengths, lengths)
    if lengths.max(initial=0) < folds + 1:
        raise LogError(
            f"no episode has the {folds + 1} decisions that {folds} folds by time need: ask for fewer, or by episode"
        )
    for number in range(1, folds + 1):
        if (block == number).any():
            yield block < number, block == number
