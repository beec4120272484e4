"""How probable recorded episodes are under a policy, as whole paths."""

import numpy as np
import pandas as pd

from humansoft.checking import require_valid
from humansoft.data.log import BehaviorLog
from humansoft.errors import ModelError, shortlist
from humansoft.findings.alignment import Alignment
from humansoft.solvers.observing import previous_actions
from humansoft.solvers.paths import transition_probability
from humansoft.solvers.policy import Policy


def episode_log_probs(policy: Policy, log: BehaviorLog, *, transitions: bool = True) -> pd.DataFrame:
    r"""Return the log probability of each recorded episode, given where it started.

    Args:
        policy: what people do.
        log: decisions of the policy's people in its task.
        transitions: true counts what people did and where it led them; false only what they did.

    Returns:
        One row an episode: subject, episode, ``num_decisions`` with a response, ``log_prob``, and
        ``num_unknown``: decisions of which the response, or (if transitions count) what
        followed, was not recorded; these count as certain. Weights of rows count as in a likelihood.

    Raises:
        LogError: the log does not belong to the task, or was counted and has no episodes.
        ModelError: people whom the policy does not know.

    Example:
        >>> import humansoft as hs
        >>> task = hs.Task.grid("S.G\n...", discount=0.95)
        >>> policy = hs.plan(task, {"step": -1.0}, temperature=1.0)
        >>> log = hs.simulate(policy, episodes=3, seed=1)
        >>> len(hs.episode_log_probs(policy, log))
        3
    """
    if policy.task.goals is not None:
        transitions = False  # every turn is certain to lead where it leads
    log.require_episodes("an episode as a whole has no probability then")
    require_valid(log, policy.task)
    strangers = [label for label in log.subjects if label not in policy.subjects]
    if strangers:
        raise ModelError(
            f"the policy does not know {len(strangers)} of the subjects: {shortlist(strangers)}."
            f"{policy.subjects.suggest(strangers[0])}"
        )
    aligned = Alignment(log, policy.task)
    # A row that only names the terminal state is how many programs write the end.
    acted = np.flatnonzero(log.responded)
    person = policy.subjects.encode(log.codebook.subjects.values)[log.subject]
    state, action, following = aligned.state[acted], aligned.action[acted], aligned.next_state[acted]
    logs = np.zeros(len(log))
    before = None
    if policy.choice is not None and policy.choice.sticks_within is not None:
        within = policy.choice.sticks_within
        before = previous_actions(log, policy.task, aligned.state, aligned.action, within)[acted]
    chosen = policy.log_prob(person[acted], state, log.time[acted], before)
    logs[acted] = chosen[np.arange(len(acted)), action]
    unknown = ~log.responded & ~aligned.in_terminal
    if transitions:
        told = following >= 0
        with np.errstate(divide="ignore"):
            logs[acted[told]] += np.log(transition_probability(policy, state[told], action[told], following[told]))
        unknown[acted[~told & ~log.terminated[acted]]] = True
    first = np.flatnonzero(log.episode_start)
    episode = log.frame[log.columns.episode].iloc[first].tolist() if log.columns.episode else [1] * len(first)
    return pd.DataFrame(
        {
            "subject": log.codebook.subjects.decode(log.subject[first]),
            "episode": episode,
            "num_decisions": np.add.reduceat(log.responded.astype(np.int64), first),
            "log_prob": np.add.reduceat(log.weight * logs, first),
            "num_unknown": np.add.reduceat(unknown.astype(np.int64), first),
        }
    )
