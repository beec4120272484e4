"""Array shapes are checked while tests run: whatever spells a shape in its annotations is wrapped as it is imported.

jaxtyping's own hook wraps everything, and more than half of the time of a test goes into checks of what mypy has
proved. ``JAXTYPING_DISABLE=1`` in the environment turns the checks off.
"""

import ast
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any, NoReturn

from beartype import BeartypeConf, FrozenDict, beartype
from beartype.typing import Self
from jaxtyping import jaxtyped

PACKAGE = "humansoft"
SHAPES = {"Bool", "Float", "Int", "Shaped"}

# Methods are wrapped and not their classes, so beartype is told to leave "Self" alone; whole numbers are numbers.
shaped: Any = jaxtyped(
    typechecker=beartype(conf=BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict({Self: object})))
)


def check_shapes() -> None:
    """Check the shapes of what the package computes from now on.

    Raises:
        RuntimeError: it is imported already, and would go unchecked.
    """
    if os.environ.get("JAXTYPING_DISABLE", "0") not in ("", "0"):
        return
    if PACKAGE in sys.modules:
        raise RuntimeError(f"{PACKAGE} is imported before its shapes can be checked")
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds the package's modules for the loader below."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Compiles a module with its checks; compiled files know nothing of them, and are neither read nor written."""

    def path_stats(self, path: str) -> NoReturn:  # type: ignore[override]
        raise OSError("not from a compiled file")

    def source_to_code(self, data: bytes, path: str, *, _optimization: int = -1) -> CodeType:  # type: ignore[override]
        tree = ast.parse(data, path)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(map(_spells_a_shape, _fields(node))):
                node.decorator_list.insert(0, _decorator(node))  # after "dataclass" has made __init__
            elif isinstance(node, ast.FunctionDef) and any(map(_spells_a_shape, _hints(node))):
                node.decorator_list.append(_decorator(node))
        return compile(tree, path, "exec", dont_inherit=True, optimize=_optimization)


def _fields(node: ast.ClassDef) -> list[ast.expr]:
    return [line.annotation for line in node.body if isinstance(line, ast.AnnAssign)]


def _hints(node: ast.FunctionDef) -> list[ast.expr]:
    given = node.args
    each = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    hints = [one.annotation for one in each if one is not None] + [node.returns]
    return [hint for hint in hints if hint is not None]


def _spells_a_shape(hint: ast.expr) -> bool:
    return any(isinstance(part, ast.Name) and part.id in SHAPES for part in ast.walk(hint))


def _decorator(node: ast.stmt) -> ast.expr:
    expression = ast.parse(f"__import__({__name__!r}, fromlist=['shaped']).shaped", mode="eval").body
    for part in ast.walk(expression):
        ast.copy_location(part, node)
    return expression
