r"""Soft-optimal (maximum-entropy) models of human behavior: reward and rationality from logs of decisions.

Everything a user needs is here, and loads on first use: ``import humansoft`` itself takes no time.

Example:
    >>> import humansoft as hs
    >>> task = hs.Task.grid("S.G\n...", discount=0.95)
    >>> hs.plan(task, {"step": -1.0}, temperature=0.1).action_distribution((0, 0)).idxmax()
    'right'
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from humansoft import errors

if TYPE_CHECKING:  # what type checkers see; the table below is what Python sees
    from humansoft.catalogue.load import list_datasets as list_datasets
    from humansoft.catalogue.load import load_dataset as load_dataset
    from humansoft.checking import check as check
    from humansoft.choice import ActionBias as ActionBias
    from humansoft.choice import Lapse as Lapse
    from humansoft.choice import Stickiness as Stickiness
    from humansoft.data.log import BehaviorLog as BehaviorLog
    from humansoft.data.parts import by_condition as by_condition
    from humansoft.data.readers import read as read
    from humansoft.data.splits import split as split
    from humansoft.evaluate.assumptions import assumptions as assumptions
    from humansoft.evaluate.compare import compare as compare
    from humansoft.evaluate.counterfactual import Counterfactual as Counterfactual
    from humansoft.evaluate.counterfactual import counterfactual as counterfactual
    from humansoft.evaluate.cross_validation import cross_validate as cross_validate
    from humansoft.evaluate.episodes import episode_log_probs as episode_log_probs
    from humansoft.evaluate.model_comparison import compare_models as compare_models
    from humansoft.evaluate.model_evidence import log_evidence as log_evidence
    from humansoft.evaluate.model_frequencies import model_frequencies as model_frequencies
    from humansoft.evaluate.model_recovery import confusion as confusion
    from humansoft.evaluate.predict import predict as predict
    from humansoft.evaluate.rationality import rationality as rationality
    from humansoft.evaluate.reliability import reliability as reliability
    from humansoft.evaluate.scores import score as score
    from humansoft.evaluate.simulate import simulate as simulate
    from humansoft.fit.adapting import adapt as adapt
    from humansoft.fit.bootstrap import bootstrap as bootstrap
    from humansoft.fit.discounts import discount_profile as discount_profile
    from humansoft.fit.fitting import fit as fit
    from humansoft.fit.identification import identify as identify
    from humansoft.fit.learner import DecisionDataModule as DecisionDataModule
    from humansoft.fit.learner import SoftOptimalLearner as SoftOptimalLearner
    from humansoft.fit.mixture import Mixture as Mixture
    from humansoft.fit.mixture import fit_mixture as fit_mixture
    from humansoft.fit.population_prior import PopulationPrior as PopulationPrior
    from humansoft.fit.profile_likelihood import profile as profile
    from humansoft.fit.result import Fit as Fit
    from humansoft.fit.storage import load as load
    from humansoft.fit.storage import save as save
    from humansoft.model import SoftOptimalModel as SoftOptimalModel
    from humansoft.planning import plan as plan
    from humansoft.planning import plan_in as plan_in
    from humansoft.rewards.base import AbstractReward as AbstractReward
    from humansoft.rewards.known import KnownReward as KnownReward
    from humansoft.rewards.linear import LinearReward as LinearReward
    from humansoft.rewards.table import TableReward as TableReward
    from humansoft.solvers.arrivals import expected_steps as expected_steps
    from humansoft.solvers.environment_policy import EnvironmentPolicy as EnvironmentPolicy
    from humansoft.solvers.fixed_point import Anderson as Anderson
    from humansoft.solvers.fixed_point import ValueIteration as ValueIteration
    from humansoft.solvers.linear import Desirability as Desirability
    from humansoft.solvers.newton import Newton as Newton
    from humansoft.solvers.occupancy import occupancy as occupancy
    from humansoft.solvers.paths import likely_paths as likely_paths
    from humansoft.solvers.paths import path_log_prob as path_log_prob
    from humansoft.solvers.policy import Policy as Policy
    from humansoft.solvers.policy_gradient import PolicyGradient as PolicyGradient
    from humansoft.solvers.soft_q_learning import SoftQLearning as SoftQLearning
    from humansoft.solvers.temperature_policy import TemperaturePolicy as TemperaturePolicy
    from humansoft.tasks.changes import block as block
    from humansoft.tasks.changes import link as link
    from humansoft.tasks.network_changes import add_turns as add_turns
    from humansoft.tasks.task import Task as Task
    from humansoft.temperature import ByFormula as ByFormula
    from humansoft.temperature import Fixed as Fixed
    from humansoft.temperature import PerGroup as PerGroup
    from humansoft.temperature import PerSubject as PerSubject
    from humansoft.temperature import Shared as Shared

__version__ = "0.1.0"

_HOME = {
    "AbstractReward": "rewards.base",
    "ActionBias": "choice",
    "Anderson": "solvers.fixed_point",
    "BehaviorLog": "data.log",
    "ByFormula": "temperature",
    "Counterfactual": "evaluate.counterfactual",
    "DecisionDataModule": "fit.learner",
    "Desirability": "solvers.linear",
    "EnvironmentPolicy": "solvers.environment_policy",
    "Fit": "fit.result",
    "Fixed": "temperature",
    "KnownReward": "rewards.known",
    "Lapse": "choice",
    "LinearReward": "rewards.linear",
    "Mixture": "fit.mixture",
    "Newton": "solvers.newton",
    "PerGroup": "temperature",
    "PerSubject": "temperature",
    "Policy": "solvers.policy",
    "PolicyGradient": "solvers.policy_gradient",
    "PopulationPrior": "fit.population_prior",
    "Shared": "temperature",
    "SoftOptimalLearner": "fit.learner",
    "SoftOptimalModel": "model",
    "SoftQLearning": "solvers.soft_q_learning",
    "Stickiness": "choice",
    "TableReward": "rewards.table",
    "Task": "tasks.task",
    "TemperaturePolicy": "solvers.temperature_policy",
    "ValueIteration": "solvers.fixed_point",
    "adapt": "fit.adapting",
    "add_turns": "tasks.network_changes",
    "assumptions": "evaluate.assumptions",
    "block": "tasks.changes",
    "bootstrap": "fit.bootstrap",
    "by_condition": "data.parts",
    "check": "checking",
    "compare": "evaluate.compare",
    "compare_models": "evaluate.model_comparison",
    "confusion": "evaluate.model_recovery",
    "counterfactual": "evaluate.counterfactual",
    "cross_validate": "evaluate.cross_validation",
    "discount_profile": "fit.discounts",
    "episode_log_probs": "evaluate.episodes",
    "expected_steps": "solvers.arrivals",
    "fit": "fit.fitting",
    "fit_mixture": "fit.mixture",
    "identify": "fit.identification",
    "likely_paths": "solvers.paths",
    "link": "tasks.changes",
    "list_datasets": "catalogue.load",
    "load": "fit.storage",
    "load_dataset": "catalogue.load",
    "log_evidence": "evaluate.model_evidence",
    "model_frequencies": "evaluate.model_frequencies",
    "occupancy": "solvers.occupancy",
    "path_log_prob": "solvers.paths",
    "plan": "planning",
    "plan_in": "planning",
    "predict": "evaluate.predict",
    "profile": "fit.profile_likelihood",
    "rationality": "evaluate.rationality",
    "read": "data.readers",
    "reliability": "evaluate.reliability",
    "save": "fit.storage",
    "score": "evaluate.scores",
    "simulate": "evaluate.simulate",
    "split": "data.splits",
}
"""The module in which each public name lives."""

__all__ = ["errors", *_HOME]


class _Package(ModuleType):
    """This module, where a verb may have the name of a subpackage.

    Whoever imports ``humansoft.fit.anything`` makes Python set the attribute ``humansoft.fit`` to
    the subpackage, which would hide the verb ``fit``. So a public name cannot be set to a module:
    ``humansoft.fit(...)`` is always the verb, and ``from humansoft.fit.result import Fit`` works as ever,
    because such imports look in ``sys.modules`` and not at attributes.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name in _HOME and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that ``import humansoft`` loads neither torch nor pandas."""
    if name not in _HOME:
        hint = errors.did_you_mean(name, __all__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}.{hint}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
