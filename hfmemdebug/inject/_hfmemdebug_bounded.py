"""Containers of the program's own modules that their code bounds, and that were not full as the program ended.

Runs on CPython 3.8 and later with the standard library alone.
"""

from __future__ import annotations

import collections
import os
import sys
import time
import types

from _hfmemdebug_hooks import is_library  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_PACKAGE = "_hfmemdebug_origin"
# From a module's name: its attribute, and an attribute of that.
_DEEPEST = 3
# A program may not end seconds later: with millions of objects, asking of one whose it is takes one.
_MOST_NAMES, _MOST_ASKED, _MOST_SECONDS = 20_000, 6, 1.0


def origin(*names: str) -> list[Any]:
    """Modules of `hfmemdebug.origin` that need the standard library alone, under a name of our own."""
    # Most programs have nothing that is looked at, and do not wait for this.
    import importlib
    import importlib.util

    if _PACKAGE not in sys.modules:
        folder = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "origin")
        spec = importlib.util.spec_from_file_location(
            _PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
        )
        assert spec is not None
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
    return [importlib.import_module("%s.%s" % (_PACKAGE, name)) for name in names]


def unfilled(least: int, script: str | None) -> list[list[Any]]:
    """Those with at least so many entries: name, entries, and for how many there is room.

    Args:
        least: So many entries.
        script: The file that is run as ``__main__``, whose module has forgotten it by now; None: there is none.
    """
    main = sys.modules.get("__main__")
    if script is not None and main is not None and getattr(main, "__file__", None) is None:
        main.__file__ = script
    large = []
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None) if type(module) is types.ModuleType else None
        if file and not is_library(file):
            large += [(size, thing, label, module) for size, thing, label in _named(module) if size >= least]
    if not large:
        return []
    large.sort(key=lambda each: -each[0])
    bounds, paths = origin("bounds", "paths")
    found: list[list[Any]] = []
    began = time.perf_counter()
    for size, thing, label, module in large[:_MOST_ASKED]:
        if time.perf_counter() - began > _MOST_SECONDS:
            break
        place = "module %s `%s`" % (module.__name__, label)
        path = paths.RootPath(place, place, label.rpartition(".")[2], module.__file__, module.__name__)
        bound = bounds.bound_of(thing, path)
        if bound is not None:
            words = "%s `%s`%s" % (type(thing).__name__, label, bound.words)
            found.append([words, size, bound.entries(size)])
    return found


def _named(module: types.ModuleType) -> Iterator[tuple[int, Any, str]]:
    """The containers that a module's names lead to: size, container, name."""
    seen: set[int] = set()
    waiting = [(value, name, 1) for name, value in list(vars(module).items()) if not name.startswith("__")]
    while waiting and len(seen) < _MOST_NAMES:
        thing, label, depth = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        size = _length(thing)
        if size is not None:
            yield size, thing, label
        elif depth < _DEEPEST and not issubclass(type(thing), (types.ModuleType, types.BuiltinFunctionType)):
            if issubclass(type(thing), type) and thing.__module__ != module.__name__:
                continue
            waiting += [(value, "%s.%s" % (label, name), depth + 1) for name, value in _attributes(thing)]


def _attributes(thing: Any) -> list[tuple[str, Any]]:
    """By the object's own dictionary: no property is asked, a proxy's `__class__` neither."""
    try:
        attributes = (
            vars(thing) if issubclass(type(thing), type) else object.__getattribute__(thing, "__dict__")
        )
    except AttributeError:
        return []
    return [(name, value) for name, value in list(attributes.items()) if type(name) is str]


def _length(thing: Any) -> int | None:
    """By the type's own words: a subclass may have a ``__len__`` that does anything."""
    kinds: tuple[Any, ...] = (dict, list, set, collections.deque)
    return next((kind.__len__(thing) for kind in kinds if issubclass(type(thing), kind)), None)
