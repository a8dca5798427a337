"""What the program's own code bounds: containers of its modules that were not full as it ended, and variables.

Runs on CPython 3.8 and later with the standard library alone.
"""

from __future__ import annotations

import collections
import gc
import itertools
import os
import sys
import time
import types

from _hfmemdebug_hooks import is_library  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PACKAGE = "_hfmemdebug_origin"
# From a module's name: its attribute, and an attribute of that.
_DEEPEST = 3
# A program may not end seconds later: with millions of objects, asking of one whose it is takes one.
_MOST_NAMES, _MOST_ASKED, _MOST_SECONDS = 20_000, 6, 1.0
# One with more of them is a store itself.
_MOST_ENTRIES = 1000
# Twice as many of a cache's keys and values are looked into, each until it has come to so many objects.
_ASKED, _MOST_OBJECTS = 20, 5_000
_KINDS: tuple[Any, ...] = (dict, list, set, collections.deque)
_NO_PART = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.CodeType,
    types.FrameType,
)


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


class _Store:
    """A container that a name leads to, or all those that are entries of one: the largest stands for them.

    Attributes:
        label: The name: ``cache``, ``store.texts``, ``lists[a key]``.
        function: The function whose variable that is, in a closure or by default; empty for a name of the module.
        module: Whose name it is.
        thing: The container.
        entries: How many there are, in all.
        many: How many containers.
    """

    def __init__(self, label: str, function: str, module: types.ModuleType) -> None:
        self.label, self.function, self.module = label, function, module
        self.thing: Any = None
        self.entries = self.many = self._most = 0

    @property
    def name(self) -> str:
        """The last part of the label that is a name."""
        base = self.label
        while base.endswith("]"):
            base = base[: base.rindex("[")]
        return base.rpartition(".")[2]

    def add(self, thing: Any, size: int) -> None:
        self.entries, self.many = self.entries + size, self.many + 1
        if self.thing is None or size > self._most:
            self.thing, self._most = thing, size


def unfilled(least: int, script: str | None) -> list[list[Any]]:
    """Those with at least so many entries: name, entries, for how many there is room, and blocks of an entry.

    Args:
        least: So many entries.
        script: The file that is run as ``__main__``, whose module has forgotten it by now; None: there is none.
    """
    large = [s for module in _users_modules(script) for s in _named(module) if s.entries >= least]
    if not large:
        return []
    large.sort(key=lambda store: -store.entries)
    bounds, paths = origin("bounds", "paths")
    found: list[list[Any]] = []
    began = time.perf_counter()
    for store in large[:_MOST_ASKED]:
        if time.perf_counter() - began > _MOST_SECONDS:
            break
        thing, size = store.thing, max(1, _length(store.thing) or 0)
        maxlen = thing.maxlen if type(thing) is collections.deque else None
        if maxlen is not None and store.many == 1:
            # Told already, by whoever goes through all of them.
            continue
        label = "`%s`" % store.label
        of = " of %s" % store.function if store.function else ""
        if maxlen is None:
            place = "module %s %s" % (store.module.__name__, label)
            file, name = store.module.__file__, store.module.__name__
            bound = bounds.bound_of(thing, paths.RootPath(place, place, store.name, file, name))
            if bound is None:
                continue
            room = bound.entries(size)
            words = "%s %s%s%s" % (type(thing).__name__, label, of, bound.words)
        elif size < maxlen:
            room, words = maxlen, "deque (maxlen=%d) %s%s" % (maxlen, label, of)
        else:
            continue
        if store.many > 1:
            words = "each %s, of which there are %d" % (words, store.many)
        found.append([words, store.entries, room * store.many, blocks_an_entry(thing, size)])
    return found


def blocks_an_entry(container: Any, entries: int) -> float:
    """How many objects hang on one entry alone, on average: a cache of tokens has hundreds.

    Args:
        container: A cache, or a container of Python's own.
        entries: How many there are, at least one.
    """
    # Keys and values, one after the other: neighbours belong together. Keys that are texts are not among them.
    inside = [thing for thing in gc.get_referents(container) if not issubclass(type(thing), _NO_PART)]
    middle = max(_ASKED, len(inside) // 2)
    asked = inside[:_ASKED] + inside[middle : middle + _ASKED]
    # What many have in common is no part of each; a key and its value may have the same.
    times = collections.Counter(itertools.chain.from_iterable(map(_reached_from, asked)))
    own = sum(1 for count in times.values() if count <= 2)
    return round(own * len(inside) / max(1, len(asked)) / entries, 2)


def _reached_from(thing: Any) -> set[int]:
    """Identities of what an entry consists of, as far as it is looked into."""
    found, level = {id(thing)}, [thing]
    while level and len(found) < _MOST_OBJECTS:
        new = []
        for each in gc.get_referents(*level):
            if id(each) not in found and not issubclass(type(each), _NO_PART):
                found.add(id(each))
                new.append(each)
        level = new
    return found


def variables(least: int, script: str | None) -> list[list[Any]]:
    """Containers of functions that have returned, for as many entries or more: what it is, and for how many.

    Args:
        least: So many entries.
        script: As above.
    """
    pieces, in_functions = origin("pieces", "variables")
    found: list[list[Any]] = []
    began = time.perf_counter()
    for module in _users_modules(script):
        tree = pieces.users_tree(module.__file__)
        for words, size in in_functions.bounded_variables(tree, module.__file__) if tree is not None else ():
            if size >= least:
                found.append([words, size])
        if time.perf_counter() - began > _MOST_SECONDS:
            break
    return found


def _users_modules(script: str | None) -> list[types.ModuleType]:
    """Those with a file that is no library's; the script's is given its file back."""
    main = sys.modules.get("__main__")
    if script is not None and main is not None and getattr(main, "__file__", None) is None:
        main.__file__ = script
    modules = [module for module in list(sys.modules.values()) if type(module) is types.ModuleType]
    return [m for m in modules if (file := getattr(m, "__file__", None)) and not is_library(file)]


def _named(module: types.ModuleType) -> list[_Store]:
    """The containers that a module's names lead to, also by variables of closures, and those in a container."""
    found: dict[tuple[str, str], _Store] = {}
    seen: set[int] = set()
    names = [(name, value) for name, value in list(vars(module).items()) if not name.startswith("__")]
    waiting = [(value, name, "", 1) for name, value in names]
    while waiting and len(seen) < _MOST_NAMES:
        thing, label, function, depth = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        size, kind = _length(thing), type(thing)
        if size is not None:
            found.setdefault((label, function), _Store(label, function, module)).add(thing, size)
        if depth == _DEEPEST:
            continue
        if size is not None:
            if size <= _MOST_ENTRIES:
                label += "[a key]" if issubclass(kind, dict) else "[\u2026]"
                waiting += [(value, label, function, depth + 1) for value in _entries(thing)]
        elif kind is types.FunctionType:
            if thing.__module__ == module.__name__:
                waiting += [(value, name, thing.__name__, depth + 1) for name, value in _variables(thing)]
        elif not issubclass(kind, (types.ModuleType, types.BuiltinFunctionType)):
            if issubclass(kind, type) and thing.__module__ != module.__name__:
                continue
            inside = _attributes(thing)
            waiting += [(value, "%s.%s" % (label, name), function, depth + 1) for name, value in inside]
    return list(found.values())


def _variables(function: types.FunctionType) -> list[tuple[str, Any]]:
    """Of a function's closure, and its arguments by default."""
    code, found = function.__code__, []
    for place, cell in enumerate(function.__closure__ or ()):
        try:
            found.append((code.co_freevars[place], cell.cell_contents))
        except ValueError:
            # It has none yet.
            continue
    defaults = function.__defaults__ or ()
    first = code.co_argcount - len(defaults)
    found += [(code.co_varnames[first + place], value) for place, value in enumerate(defaults)]
    return [*found, *(function.__kwdefaults__ or {}).items()]


def _entries(thing: Any) -> list[Any]:
    """By the type's own words, as its length is told; nothing where a thread changes it meanwhile."""
    kind = next(kind for kind in _KINDS if issubclass(type(thing), kind))
    try:
        return list(dict.values(thing) if kind is dict else kind.__iter__(thing))
    except RuntimeError:
        return []


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
    return next((kind.__len__(thing) for kind in _KINDS if issubclass(type(thing), kind)), None)
