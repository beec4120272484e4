"""The keys of a task file: which there are, what they hold, and every mistake in them at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from humansoft.errors import Problems, did_you_mean

Section = dict[str, Any]


@dataclass(frozen=True)
class _Value:
    """What may stand behind a key: ``kind`` in a user's words, and how to tell."""

    kind: str
    holds: Callable[[Any], bool]


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _is_start(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"state", "probability"} and _NUMBER.holds(value["probability"])


_TEXT = _Value("text", lambda v: isinstance(v, str))
_FLAG = _Value("true or false", lambda v: isinstance(v, bool))
_WHOLE = _Value("a whole number", lambda v: isinstance(v, int) and not isinstance(v, bool))
_NUMBER = _Value("a number", lambda v: isinstance(v, int | float) and not isinstance(v, bool))
_LABEL = _Value("a label", lambda v: not isinstance(v, dict))
_LABELS = _Value("a list of labels", lambda v: isinstance(v, list))
_COLUMNS = _Value("a column name or a list of them", lambda v: isinstance(v, str) or _is_text_list(v))
_NAMES = _Value("a list of column names", _is_text_list)
_WORDS = _Value("a table of texts", lambda v: isinstance(v, dict) and all(isinstance(x, str) for x in v.values()))
_OPTIONS = _Value("a table", lambda v: isinstance(v, dict))
_STARTS = _Value("a list of {state = ..., probability = ...}", lambda v: isinstance(v, list) and all(map(_is_start, v)))

_KEYS: dict[str, dict[str, _Value]] = {
    "task": {"kind": _TEXT, "discount": _NUMBER, "horizon": _WHOLE},
    "grid": {
        "maze": _TEXT,
        "file": _TEXT,
        "legend": _WORDS,
        "slip": _NUMBER,
        "coordinates": _TEXT,
        "stay": _FLAG,
    },
    "table": {
        **{"file": _TEXT, "state": _COLUMNS, "action": _TEXT, "next_state": _COLUMNS, "probability": _TEXT},
        **{"context": _TEXT, "features": _NAMES, "units": _WORDS, "terminal": _LABELS, "initial": _STARTS},
        **{"states": _LABELS, "actions": _LABELS},
    },
    "network": {
        "file": _TEXT,
        "source": _TEXT,
        "target": _TEXT,
        "goals": _LABELS,
        "features": _NAMES,
        "units": _WORDS,
    },
    "gymnasium": {"id": _TEXT, "options": _OPTIONS},
    "counts": {"prior": _NUMBER, "actions": _LABELS},
}
_CONTEXT_KEYS = {"kind": _TEXT, "label": _LABEL}
_REQUIRED = {"task": ("kind", "discount"), "table": ("file",), "network": ("file",), "gymnasium": ("id",)}
_KINDS = ("grid", "table", "network", "gymnasium", "counts", "union")
_MEMBER_KINDS = ("grid", "table", "gymnasium")


def check_content(content: Section, problems: Problems) -> None:
    """Note unknown sections, and unknown, missing and mistyped keys, of a parsed task file."""
    known = [*_KEYS, "contexts"]
    for name, section in content.items():
        if name not in known:
            problems.add(f"there is no section [{name}].{did_you_mean(name, known)}")
        elif not isinstance(section, dict):
            problems.add(f"{name} must be a section [{name}], not a value")
    _check_section("task", "task", content.get("task"), problems)
    kind = content["task"].get("kind") if isinstance(content.get("task"), dict) else None
    if kind is None:
        return
    if kind not in _KINDS:
        problems.add(f"[task] kind = {kind!r}.{did_you_mean(kind, _KINDS)}")
        return
    used = "contexts" if kind == "union" else kind
    for name in (n for n in known if n in content and n not in ("task", used)):
        problems.add(f"section [{name}] does not belong to kind {kind!r}: leave it out, or change the kind")
    if kind == "union":
        _check_contexts(content.get("contexts"), problems)
    else:
        _check_section(kind, kind, content.get(kind, {} if kind == "counts" else None), problems)


def _check_contexts(contexts: object, problems: Problems) -> None:
    if not isinstance(contexts, dict) or not contexts:
        problems.add("kind 'union' needs a section [contexts.NAME] for each context")
        return
    labels = [str(s["label"]) for s in contexts.values() if isinstance(s, dict) and "label" in s]
    if len(set(labels)) < len(labels):
        problems.add("two contexts have the same label")
    for name, section in contexts.items():
        where = f"contexts.{name}"
        kind = section.get("kind") if isinstance(section, dict) else None
        if kind not in _MEMBER_KINDS:
            hint = did_you_mean(kind, _MEMBER_KINDS)
            problems.add(f"[{where}] needs a kind of its own." if kind is None else f"[{where}] kind = {kind!r}.{hint}")
            continue
        _check_section(where, kind, section, problems, *_CONTEXT_KEYS)


def _check_section(where: str, kind: str, section: object, problems: Problems, *more: str) -> None:
    """Note unknown, mistyped and missing keys of one section; ``more`` keys are those of a context."""
    if section is None:
        problems.add(f"there is no section [{where}]; it needs {_listed(kind)}")
        return
    if not isinstance(section, dict):
        return  # noted already
    allowed = _KEYS[kind] | {key: _CONTEXT_KEYS[key] for key in more}
    for key, value in section.items():
        if key not in allowed:
            problems.add(f"[{where}] has no key {key!r}.{did_you_mean(key, allowed)}")
        elif not allowed[key].holds(value):
            problems.add(f"[{where}] {key} must be {allowed[key].kind}, not {value!r}")
    for key in _REQUIRED.get(kind, ()):
        if key not in section:
            problems.add(f"[{where}] needs the key {key!r}")
    if kind == "grid" and ("maze" in section) == ("file" in section):
        problems.add(f"[{where}] needs either 'maze' (the lines of it) or 'file'")


def _listed(kind: str) -> str:
    return "the key 'maze' or 'file'" if kind == "grid" else " and ".join(f"{key!r}" for key in _REQUIRED[kind])
