"""Formulas: which columns they are about, which of these are categories, and what is wrong with them."""

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from humansoft.errors import HumansoftError, UsageError, did_you_mean

_COLOURS = re.compile(r"\x1b?[⧛⧚]|\x1b?\[[0-9;]+m|[⧛⧚]")
_BUILT_IN = ("abs", "round")
_CATEGORY, _QUOTE = "C", "Q"  # C(x): x stands for categories; Q("x"): the column x


@dataclass(frozen=True)
class Names:
    """The names in a formula.

    Attributes:
        columns: what it is about.
        categories: which of these it declares to be categories: C(column).
    """

    columns: frozenset[str]
    categories: frozenset[str]


def names_in(formula: str) -> Names:
    """Return the names in a formula, those inside of transformations among them.

    Raises:
        UsageError: a formula that cannot be read, or a function that is not known.

    Example:
        >>> sorted(names_in("~ C(site) + np.log(age)").columns)
        ['age', 'site']
    """
    from formulaic.transforms import TRANSFORMS

    functions: set[str] = set()
    declared: set[str] = set()
    bare: set[str] = set()
    for tree in _expressions(formula):
        spent: set[int] = set()
        for node in ast.walk(tree):  # a call comes before what it is made of
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                functions.add(node.func.id)
                spent.add(id(node.func))
                first = node.args[0] if node.args else None
                if node.func.id == _QUOTE and isinstance(first, ast.Constant):
                    bare.add(str(first.value))
                if node.func.id == _CATEGORY and isinstance(first, ast.Name):
                    declared.add(first.id)
                    spent.add(id(first))
            elif isinstance(node, ast.Name) and id(node) not in spent and (node is tree or node.id not in TRANSFORMS):
                bare.add(node.id)
    unknown = sorted(functions - set(TRANSFORMS) - set(_BUILT_IN))
    if unknown:
        raise UsageError(
            f"the formula {formula!r} calls {unknown[0]!r}, which is no known function."
            f"{did_you_mean(unknown[0], sorted({*TRANSFORMS, *_BUILT_IN}))} Functions of numpy are written "
            "np.sqrt(...); what else there is to compute can be a column of the participants table"
        )
    return Names(frozenset(declared | bare), frozenset(declared))


def parsed(formula: str) -> Any:  # noqa: ANN401 - formulaic comes without types
    """Return a formula as formulaic reads it.

    Raises:
        UsageError: a formula that cannot be read, has a left side, or no terms.
    """
    from formulaic import Formula

    with formula_errors(f"the formula {formula!r} cannot be read", UsageError):
        found = Formula(formula)
    if hasattr(found, "lhs"):
        raise UsageError(f"the formula {formula!r} has a left side; write what explains log temperature: '~ ...'")
    if not len(found):
        raise UsageError(f"the formula {formula!r} has no terms: write '~ 1' for one mean")
    return found


@contextmanager
def formula_errors(said: str, kind: type[HumansoftError]) -> Iterator[None]:
    """Say in one sentence what formulaic says in colours."""
    from formulaic.errors import FormulaicError, FormulaicWarning

    try:
        yield
    except (FormulaicError, FormulaicWarning) as error:
        reason = _COLOURS.sub("", str(error)).splitlines()[0]
        raise kind(f"{said}: {reason}") from error


def _expressions(formula: str) -> Iterator[ast.expr]:
    """Return the parts of a formula that are looked up or computed, as Python reads them."""
    from formulaic.parser.types import Factor
    from formulaic.utils.code import sanitize_variable_names

    for term in parsed(formula):
        for factor in term.factors:
            if factor.eval_method is Factor.EvalMethod.LOOKUP:
                yield ast.Name(factor.expr)
            elif factor.eval_method is Factor.EvalMethod.PYTHON:
                aliases: dict[str, str] = {}
                try:
                    tree = ast.parse(sanitize_variable_names(factor.expr, {}, aliases), mode="eval").body
                except SyntaxError as error:
                    raise UsageError(
                        f"{factor.expr!r} of the formula {formula!r} cannot be read: {error.msg}"
                    ) from error
                for node in ast.walk(tree):
                    if isinstance(node, ast.Name):
                        node.id = aliases.get(node.id, node.id)
                yield tree
