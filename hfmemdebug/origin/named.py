"""Values that grow under one name, in place or made anew: texts, buffers, tuples, arrays, tables.

`run` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import contextvars
import functools
import io
import itertools
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .sites import is_library

_BY_SIZE = (str, bytes, bytearray)
# Without an import of its module, which a program may not have.
_ARRAY = ("array", "array")
FILES_IN_MEMORY = (io.BytesIO, io.StringIO)
ARRAYS = ("numpy", "pyarrow", "torch")
# Of a container with more entries so many stand for all.
_MOST_ENTRIES = 1000


@dataclass(frozen=True)
class NamedValue:
    """A value as it is now.

    Attributes:
        words: What holds it: ``module train: str `report```.
        label: Its name in the module, with those of the objects around it: ``trainer.report``.
        name: The last part of its name.
        file: The module's file, or None.
        size: How much of it there is.
        unit: What its size counts: ``item``, ``argument``, ``attribute`` or ``byte``.
    """

    words: str
    label: str
    name: str
    file: str | None
    size: int
    unit: str


def named_values() -> dict[str, NamedValue]:
    """What the user's modules, their objects and context variables name, by that name."""
    found: dict[str, NamedValue] = {}
    modules = [m for m in list(sys.modules.values()) if isinstance(m, types.ModuleType)]
    users = {
        m.__name__: m for m in modules if (file := getattr(m, "__file__", None)) and not is_library(file)
    }
    for module_name, module in users.items():
        for name, value in list(vars(module).items()):
            prefix = f"module {module_name}"
            for label, each in _with_attributes(name, value, users):
                _note(found, f"{prefix}.{label}", prefix, label, each, module.__file__)
                _note_entries(found, prefix, label, each, module.__file__)
    for variable, value in contextvars.copy_context().items():
        _note(found, f"context {variable.name}", "context variable", variable.name, value, None)
    return found


def _with_attributes(name: str, value: Any, users: dict[str, types.ModuleType]) -> Iterator[tuple[str, Any]]:
    yield name, value
    kind = value if isinstance(value, type) else type(value)
    if kind.__module__ in users:
        try:
            attributes = value.__dict__
        except Exception:
            # Slots, with a __getattr__ of somebody's own.
            return
        for attribute, each in list(attributes.items()):
            yield f"{name}.{attribute}", each
        if not isinstance(value, type) and type(attributes) is dict:
            yield f"{name}.__dict__", attributes


def _note(
    found: dict[str, NamedValue], key: str, prefix: str, label: str, value: Any, file: str | None
) -> None:
    measured = _measure(value)
    if measured is not None:
        size, unit = measured
        if label.endswith(".__dict__"):
            label, unit = label.removesuffix(".__dict__"), "attribute"
            words = f"{prefix}: attributes of `{label}`"
        elif isinstance(value, dict):
            # Found by itself.
            return
        else:
            words = f"{prefix}: {type(value).__name__} `{label}`"
        found[key] = NamedValue(words, label, label.rpartition(".")[2], file, size, unit)


def _note_entries(
    found: dict[str, NamedValue], prefix: str, label: str, value: Any, file: str | None
) -> None:
    """The texts, arrays and tuples under the keys of one container, all together: each grows when its turn comes.

    As long as those are as many as they were: one that has more of them grows itself.
    """
    entries = entries_of(value)
    measured = [
        (type(each).__name__, *pair)
        for each in entries
        if (pair := _measure(each)) is not None and (pair[1] == "byte" or type(each) is tuple)
    ]
    if measured and not label.endswith(".__dict__"):
        kind, _, unit = measured[0]
        label += "[a key]" if issubclass(type(value), dict) else "[…]"
        name = label.partition("[")[0].rpartition(".")[2]
        size = sum(each for _, each, of in measured if of == unit)
        key = f"{prefix}.{label} of {len(entries)}"
        found[key] = NamedValue(f"{prefix}: {kind} `{label}`", label, name, file, size, unit)


def entries_of(value: Any) -> list[Any]:
    """What is under the keys of a dictionary or at the places of a list, the first of them; else nothing."""
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
    """What a text, a buffer or an array takes; None for anything else."""
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


def grown_names(*readings: dict[str, NamedValue]) -> list[tuple[NamedValue, int]]:
    """What is larger at each reading than at the one before, by how much in all, the largest in bytes first."""
    grown = [
        (last, last.size - readings[0][key].size)
        for key, last in readings[-1].items()
        if all(key in reading for reading in readings)
        and all(one[key].size < other[key].size for one, other in itertools.pairwise(readings))
    ]
    return sorted(grown, key=lambda pair: (pair[0].unit != "byte", -pair[1]))
