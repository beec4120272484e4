"""Option groups: options that several commands share, declared once as the fields of a dataclass."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints


def with_option_groups(function: Callable[..., None]) -> Callable[..., None]:
    """Turn each field of each dataclass parameter of a command into an option of its own.

    Typer reads a command's options from its signature; this writes the long signature that nobody
    wants to write four times, and packs what comes back into the dataclasses.

    Args:
        function: a command; a parameter annotated with a dataclass stands for its fields.

    Returns:
        The command as Typer is to see it.
    """
    annotations = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        kind = annotations[parameter.name]
        if not dataclasses.is_dataclass(kind):
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[parameter.name] = kind
        hints = get_type_hints(kind, include_extras=True)
        parameters += [
            inspect.Parameter(
                entry.name, inspect.Parameter.KEYWORD_ONLY, default=entry.default, annotation=hints[entry.name]
            )
            for entry in dataclasses.fields(kind)
        ]

    @functools.wraps(function)
    def command(**given: Any) -> None:  # noqa: ANN401 - whatever the options hold
        packed = {
            name: kind(**{entry.name: given.pop(entry.name) for entry in dataclasses.fields(kind)})
            for name, kind in groups.items()
        }
        function(**packed, **given)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command
