"""What was compared and how, as a paragraph for a paper, with references."""

from humansoft.evaluate.anchor import anchor_names, anchors_of, unit_of_reward
from humansoft.fit.hierarchical import WITHIN
from humansoft.fit.result import Fit
from humansoft.temperature import AVERAGE_PERSON, PerGroup, PerSubject

MOTIVATED_OR_PRECISE = (
    "nothing in behavior tells apart somebody for whom more is at stake and somebody who errs less: a reward three "
    "times as large and a third of the temperature are one and the same behavior"
)
"""What no comparison may claim."""

_REFERENCES = {
    "Allison 1999": "Allison PD (1999). Comparing logit and probit coefficients across groups. "
    "Sociological Methods & Research 28, 186-208.",
    "Hess & Rose 2012": "Hess S, Rose JM (2012). Can scale and coefficient heterogeneity be separated in random "
    "coefficients models? Transportation 39, 1225-1239.",
    "Swait & Louviere 1993": "Swait J, Louviere J (1993). The role of the scale parameter in the estimation and "
    "comparison of multinomial logit models. Journal of Marketing Research 30, 305-314.",
    "Ziebart et al. 2010": "Ziebart BD, Bagnell JA, Dey AK (2010). Modeling interaction via the principle of maximum "
    "causal entropy. Proceedings of ICML 27, 1255-1262.",
    "Eckstein et al. 2022": "Eckstein MK, Master SL, Xia L, Dahl RE, Wilbrecht L, Collins AGE (2022). The "
    "interpretation of computational model parameters depends on the context. eLife 11, e75474.",
}

_SMALL_SAMPLES = (
    "and are of Student's t with Satterthwaite's degrees of freedom (Satterthwaite 1946), standard errors those at the "
    "standard deviations between people of the restricted likelihood (Patterson & Thompson 1971; Cox & Reid 1987)"
)
_SMALL_SAMPLE_REFERENCES = {
    "Cox & Reid 1987": "Cox DR, Reid N (1987). Parameter orthogonality and approximate conditional inference. "
    "Journal of the Royal Statistical Society B 49, 1-39.",
    "Patterson & Thompson 1971": "Patterson HD, Thompson R (1971). Recovery of inter-block information when block "
    "sizes are unequal. Biometrika 58, 545-554.",
    "Satterthwaite 1946": "Satterthwaite FE (1946). An approximate distribution of estimates of variance components. "
    "Biometrics Bulletin 2, 110-114.",
}

_PLANNERS = {
    "kl": "planning pays for departing from the reference policy (planner 'kl')",
    "entropy": "variety of choices is itself worth something (planner 'entropy')",
    "boltzmann": "people plan as if they would not err, and then err (planner 'boltzmann')",
}


def methods_of(fit: Fit, measured_in: str | None = None, by: str | None = None) -> str:
    """Return a paragraph on what was compared, and how, with references.

    Args:
        fit: what was compared.
        measured_in: the states that scale-free measures are taken in; ``None``: temperatures were compared.
        by: the column of the groups, where there are some.
    """
    task = fit.model.task
    when = f"{task.horizon} decisions an episode" if task.horizon is not None else f"discount {task.discount:g}"
    sentences = [
        f"A soft-optimal (maximum causal entropy) model (Ziebart et al. 2010) was fitted by {_estimated(fit)} to "
        f"{fit.num_decisions:,.0f} decisions of {_people(fit)}; {_PLANNERS[fit.model.planner]}; {when}.",
        f"Behavior identifies only reward / temperature, so that {MOTIVATED_OR_PRECISE} (Swait & Louviere 1993; "
        "Allison 1999; Hess & Rose 2012).",
        _scale_free(fit, measured_in) if measured_in is not None else _mode(fit),
    ]
    if fit.model.choice:
        sentences.append(_choices(fit, measured_in is not None))
    if by is not None:
        sentences.append(f"Groups are those of {by!r}: {_groups(fit, measured_in is not None)}.")
    small = by is not None and measured_in is None and _allows_for_few_people(fit)
    references = {**_REFERENCES, **(_SMALL_SAMPLE_REFERENCES if small else {})}
    sentences += [
        f"Standard errors: {_kinds(fit)}; intervals are 95 %, those of ranks from draws of the estimates' joint normal "
        "distribution.",
        "Parameters and measures of one task need not carry over to another (Eckstein et al. 2022).",
        "References: " + " ".join(text for name, text in sorted(references.items())),
    ]
    return " ".join(sentences)


def _estimated(fit: Fit) -> str:
    """Say how the parameters were found."""
    known = fit.population
    if known is None:
        return "maximum likelihood"
    how = {
        "quadrature": "marginal maximum likelihood (adaptive Gauss-Hermite quadrature)",
        "laplace": "marginal maximum likelihood (Laplace-EM)",
        "nuts": "Hamiltonian Monte Carlo (NUTS)",
        "none": "maximum likelihood",
    }[known.integration]
    repeated = ", with a deviation of each person and of each person in each condition" * (WITHIN in known.sd.index)
    return f"{how} as a population, log temperature {known.formula}{repeated},"


def _people(fit: Fit) -> str:
    """Say how many people there are, and in how many conditions, all together."""
    people, subjects = fit.num_people, len(fit.subjects)
    return f"{people:,} people" + (f" in {subjects:,} conditions" if subjects > people else "")


def _groups(fit: Fit, measured: bool) -> str:
    """Say what is compared of groups, and what intervals cover."""
    if measured:
        return "means of a group's people; intervals cover the estimation error of these very people"
    if fit.population is not None:
        found = "means of the population, by its coefficients; intervals cover that these people were drawn from it"
        return found + f", {_SMALL_SAMPLES}" * _allows_for_few_people(fit)
    return (
        "a group's temperature, or the geometric mean of its people; intervals cover the estimation error of these "
        "very people"
    )


def _allows_for_few_people(fit: Fit) -> bool:
    """Whether the intervals of a population's coefficients are those of small samples."""
    return fit.population is not None and len(fit.population.covariance_errors) > 0


def _mode(fit: Fit) -> str:
    """Say what makes temperatures comparable."""
    if anchors_of(fit):
        names = ", ".join(anchor_names(fit))
        return (
            f"Temperatures are in {unit_of_reward(fit)}: the weight of {names} is held the same for everybody "
            "(anchored), and it is assumed to mean the same to all of them."
        )
    whose = {PerSubject: "person", PerGroup: "group"}.get(type(fit.model.temperature), "person")
    unit = f"the unit is {AVERAGE_PERSON!r}, so that only ratios mean something" if fit.model.is_relative else "known"
    return (
        f"Temperatures of each {whose} are comparable under the assumption that everybody has the same reward "
        f"(shared reward); {unit}."
    )


def _scale_free(fit: Fit, measured_in: str) -> str:
    along = (
        ", along the intervals of temperatures" if fit.population is not None and not fit.model.rows_are_people else ""
    )
    return (
        "Scale-free measures were compared, which stay the same when somebody's reward and temperature grow by one "
        f"factor; everybody was judged in the same states ({measured_in}), each by their own fitted reward. Intervals "
        f"are by the delta method from the covariance of the fit{along}."
    )


def _choices(fit: Fit, measured: bool) -> str:
    """Name the choice terms, and say what they have to do with what was compared."""
    terms = ", ".join(type(term).__name__ for term in fit.model.choice.terms)
    if not measured:
        return f"Choice terms ({terms}) are estimated beside the temperatures, which do not contain them."
    first = " as if nothing had been done before" if fit.model.choice.is_sticky else ""
    return f"People were judged by what they do at the moment of choice, with choice terms ({terms}){first}."


def _kinds(fit: Fit) -> str:
    kinds = [str(kind) for kind in dict.fromkeys(fit.params["std_error_kind"]) if kind]
    return ", ".join(kinds) if kinds else "none"
