"""Splitting a log into a part to learn from and a part to be judged on."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from humansoft.data.log import BehaviorLog
from humansoft.data.parts import person_codes
from humansoft.errors import LogError, UsageError, did_you_mean

SplitBy = Literal["subject", "episode", "time"]
Mask = npt.NDArray[np.bool_]


def split(
    log: BehaviorLog, by: SplitBy = "episode", fraction: float = 0.2, seed: int | None = None
) -> tuple[BehaviorLog, BehaviorLog]:
    """Split a log into a training part and a held-out part.

    Args:
        log: the decisions.
        by: "subject" holds out whole people (in all their conditions), "episode" whole episodes within every person,
            "time" the last decisions of every episode.
        fraction: share to hold out, in (0, 1).
        seed: needed for "subject" and "episode", which draw at random; same seed, same split.

    Returns:
        (training part, held-out part); both keep the log's codebook.

    Raises:
        UsageError: unknown ``by``, fraction outside (0, 1) or no seed where one is drawn from.
        LogError: too few people or episodes to leave some on both sides, or episodes of a counted log, which has none.

    Example:
        >>> import humansoft as hs
        >>> log, task = hs.load_dataset("overcooked_cramped_room")
        >>> train, held_out = hs.split(log, by="time", fraction=0.2)
        >>> len(train) + len(held_out) == len(log)
        True
    """
    if by not in ("subject", "episode", "time"):
        raise UsageError(f"split(by={by!r}): no such way to split.{did_you_mean(by, ['subject', 'episode', 'time'])}")
    if not 0 < fraction < 1:
        raise UsageError(f"split(fraction={fraction}): the share to hold out must lie between 0 and 1")
    if by != "subject":
        log.require_episodes(f"nothing can be held out by {by}; split by subject, or read it without counted=True")
    if by == "time":
        held_out = _last_decisions(log, fraction)
    elif seed is None:
        raise UsageError(f"split(by={by!r}) draws at random: pass seed= so that the split can be repeated")
    elif by == "subject":
        held_out = _whole_subjects(log, fraction, seed)
    else:
        held_out = _whole_episodes(log, fraction, seed)
    return log.select(~held_out), log.select(held_out)


def _last_decisions(log: BehaviorLog, fraction: float) -> Mask:
    starts = np.flatnonzero(log.episode_start)
    lengths = np.diff(np.r_[starts, len(log)])
    place = np.arange(len(log)) - np.repeat(starts, lengths)
    kept = lengths - np.floor(lengths * fraction).astype(np.int64)
    if (kept == lengths).all():
        raise LogError(f"no episode is long enough to hold out its last {fraction:.0%}; split by episode or subject")
    return place >= np.repeat(kept, lengths)


def _whole_subjects(log: BehaviorLog, fraction: float, seed: int) -> Mask:
    # scikit-learn takes a second to import: only when a split needs it.
    from sklearn.model_selection import GroupShuffleSplit

    person = person_codes(log)
    people = len(np.unique(person))
    if people < 2:
        raise LogError("only one person: there is nobody to hold out; split by episode or time")
    count = int(np.clip(round(fraction * people), 1, people - 1))
    splitter = GroupShuffleSplit(n_splits=1, test_size=count, random_state=seed)
    _, test = next(splitter.split(np.zeros((len(log), 1)), groups=person))
    return np.isin(np.arange(len(log)), test)


def _whole_episodes(log: BehaviorLog, fraction: float, seed: int) -> Mask:
    """Hold out episodes of every person who has two, and leave each at least one to learn from."""
    starts = np.flatnonzero(log.episode_start)
    owner = log.subject[starts]
    number = np.bincount(owner)
    if number.max(initial=0) < 2:
        raise LogError("every subject has only one episode: hold out by subject or time instead")
    count = np.minimum(np.maximum(np.round(fraction * number), 1), number - 1)
    shuffled = np.lexsort((np.random.default_rng(seed).random(len(starts)), owner))
    place = np.empty(len(starts), dtype=np.int64)  # of each episode in the shuffled list of its person
    place[shuffled] = np.arange(len(starts)) - np.searchsorted(owner, owner)
    return np.isin(log.episode, log.episode[starts][place < count[owner]])
