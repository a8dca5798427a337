"""Measures values that grow under one name, in place or made anew: texts, buffers, tuples, arrays, tables.

`run` takes this module into the program that it watches: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import contextvars
import functools
import io
import itertools
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..leak import Root, RootPath, Step
from .sites import is_library

_BY_SIZE = (str, bytes, bytearray)
# Without an import of its module, which a program may not have.
_ARRAY = ("array", "array")
FILES_IN_MEMORY = (io.BytesIO, io.StringIO)
ARRAYS = ("numpy", "pyarrow", "torch")
# An object's dictionary of attributes stands for the object.
_ATTRIBUTES = Step("link", "__dict__")
# Of a container with more entries so many stand for all.
_MOST_ENTRIES = 1000


@dataclass(frozen=True)
class GlobalValue:
    """A value as it is now.

    Attributes:
        at: The way to it.
        size: How much of it there is.
        unit: What its size counts: ``item``, ``argument``, ``attribute`` or ``byte``.
    """

    at: RootPath
    size: int
    unit: str


def global_values() -> dict[str, GlobalValue]:
    """Returns what the user's modules, their objects and context variables name, each under a key of its own."""
    found: dict[str, GlobalValue] = {}
    modules = [m for m in list(sys.modules.values()) if isinstance(m, types.ModuleType)]
    users = {
        m.__name__: m for m in modules if (file := getattr(m, "__file__", None)) and not is_library(file)
    }
    for module_name, module in users.items():
        root = Root("module", module_name)
        for name, value in list(vars(module).items()):
            for steps, each in _with_attributes(name, value, users):
                at = RootPath(root, steps, type(each).__name__, module.__file__)
                _note(found, at, each)
                _note_entries(found, at, each)
    for variable, value in contextvars.copy_context().items():
        at = RootPath(Root("context"), (Step("name", variable.name),), type(value).__name__)
        _note(found, at, value)
    return found


def _with_attributes(
    name: str, value: Any, users: dict[str, types.ModuleType]
) -> Iterator[tuple[tuple[Step, ...], Any]]:
    first = Step("name", name)
    yield (first,), value
    kind = value if isinstance(value, type) else type(value)
    if kind.__module__ in users:
        try:
            attributes = value.__dict__
        except Exception:
            # Slots, with a __getattr__ of the class's own.
            return
        for attribute, each in list(attributes.items()):
            yield (first, Step("attribute", str(attribute))), each
        if not isinstance(value, type) and type(attributes) is dict:
            yield (first, _ATTRIBUTES), attributes


def _key(at: RootPath) -> str:
    # A text: objects of ours that the collector tracks would be among those that multiply.
    return f"{at.root.words} {at.label}"


def _note(found: dict[str, GlobalValue], at: RootPath, value: Any) -> None:
    measured = _measure(value)
    if measured is None:
        return
    size, unit = measured
    if at.steps[-1] == _ATTRIBUTES:
        at, unit = replace(at, steps=at.steps[:-1]), "attribute"
        found[f"{_key(at)} attributes"] = GlobalValue(at, size, unit)
    elif not isinstance(value, dict):
        # A dictionary is found by itself.
        found[_key(at)] = GlobalValue(at, size, unit)


def _note_entries(found: dict[str, GlobalValue], at: RootPath, value: Any) -> None:
    """Notes the texts, arrays and tuples under the keys of one container, all together: each grows in its turn.

    As long as those are as many as they were: one that has more of them grows itself.
    """
    entries = entries_of(value)
    measured = [
        (type(each).__name__, *pair)
        for each in entries
        if (pair := _measure(each)) is not None and (pair[1] == "byte" or type(each) is tuple)
    ]
    if measured and at.steps[-1] != _ATTRIBUTES:
        kind, _, unit = measured[0]
        entry = Step("key" if issubclass(type(value), dict) else "item")
        size = sum(each for _, each, of in measured if of == unit)
        at = replace(at, steps=(*at.steps, entry), type=kind)
        found[f"{_key(at)} of {len(entries)}"] = GlobalValue(at, size, unit)


def entries_of(value: Any) -> list[Any]:
    """Returns what is under the keys of a dictionary or at the places of a list, the first of them; else nothing."""
    entries: Any = ()
    # By the type's own words: a subclass may have an iterator that does anything.
    if issubclass(type(value), dict):
        entries = dict.values(value)
    elif issubclass(type(value), list):
        entries = list.__iter__(value)
    try:
        return list(itertools.islice(entries, _MOST_ENTRIES))
    except RuntimeError:
        # A thread has put one more into it meanwhile.
        return []


def _measure(value: Any) -> tuple[int, str] | None:
    kind = type(value)
    if kind in (tuple, dict):
        return len(value), "item"
    if kind is functools.partial:
        return len(value.args) + len(value.keywords), "argument"
    size = bytes_of(value)
    return None if size is None else (size, "byte")


def bytes_of(value: Any) -> int | None:
    """Returns what a text, a buffer or an array takes; None for anything else."""
    kind = type(value)
    if kind in FILES_IN_MEMORY:
        # One has room for a while after each time that it got more, the other does not count what it has been given.
        size, written = sys.getsizeof(value), 0 if value.closed else value.tell()
        return written if 2 * written > size else size
    if kind in _BY_SIZE or (kind.__module__, kind.__name__) == _ARRAY:
        return sys.getsizeof(value)
    if str(kind.__module__).partition(".")[0] not in ARRAYS:
        return None
    try:
        size = value.nbytes
    except Exception:
        # It has none, or does not say it: of a sparse tensor.
        return None
    return size if isinstance(size, int) else None


def growing_globals(*readings: dict[str, GlobalValue]) -> list[tuple[GlobalValue, int]]:
    """Returns what is larger at each reading than at the one before, by how much in all, the largest in bytes first."""
    grown = [
        (last, last.size - readings[0][key].size)
        for key, last in readings[-1].items()
        if all(key in reading for reading in readings)
        and all(one[key].size < other[key].size for one, other in zip(readings, readings[1:]))  # noqa: B905, RUF007
    ]
    return sorted(grown, key=lambda pair: (pair[0].unit != "byte", -pair[1]))
