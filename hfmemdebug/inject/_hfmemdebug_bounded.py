"""Finds what the program's own code bounds: containers of its modules that were not full as it ended, and variables.

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

from _hfmemdebug_common import is_library, load  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any

# From a module's name: its attribute, and an attribute of that.
_DEEPEST = 3
# A program may not end seconds later: with millions of objects, asking of one whose it is takes one.
_MOST_NAMES, _MOST_ASKED, _MOST_SECONDS = 20_000, 6, 1.0
# Of texts and arrays under one name.
_LEAST_BYTES = 1 << 20
# Shorter texts are not among what is looked at: there may be millions.
_LEAST_TEXT = 4096
# One with more of them is a store itself.
_MOST_ENTRIES = 1000
# Twice as many of a cache's keys and values are looked into, each until it has come to so many objects.
_ASKED, _MOST_OBJECTS = 20, 5_000
_KINDS: tuple[Any, ...] = (dict, list, set, collections.deque)
_PLAIN = (str, bytes, int, float, bool, complex, type(None))
_NO_PART = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.CodeType,
    types.FrameType,
)


class Store:
    """A container or a text that a name leads to, or all those that are entries of one: the largest stands for them.

    Attributes:
        steps: The way to it from the module, or from a function of it.
        function: The function whose variable that is, in a closure or by default; empty for a name of the module.
        module: Whose name it is.
        thing: The container, or the text.
        entries: How many there are, in all; of texts how many bytes.
        members: Identities of the containers.
    """

    def __init__(self, steps: tuple[Any, ...], function: str, module: types.ModuleType) -> None:
        self.steps, self.function, self.module = steps, function, module
        self.thing: Any = None
        self.entries = self._most = 0
        self.members: list[int] = []

    @property
    def label(self) -> str:
        """The name: ``cache``, ``store.texts``, ``lists[a key]``."""
        return "".join(step.words for step in self.steps)

    def add(self, thing: Any, size: int) -> None:
        self.entries += size
        self.members.append(id(thing))
        if self.thing is None or size > self._most:
            self.thing, self._most = thing, size


def partially_filled(least: int, script: str | None) -> tuple[list[list[Any]], set[int]]:
    """Those with at least so many entries: name, entries, for how many there is room, and blocks of an entry.

    Args:
        least: So many entries.
        script: The file that is run as ``__main__``, whose module has forgotten it by now; None: there is none.

    Returns:
        Those, and the identities of all containers that they are told of.
    """
    began = time.perf_counter()
    large = _large(least, script)
    if not large:
        return [], set()
    bounds, leak = load("origin.bounds", "leak")
    return _describe_all(large, began, lambda store: _described(store, bounds, leak))


def values_to_cut(script: str | None) -> list[list[Any]]:
    """Texts and arrays that the code cuts to a length, and that are shorter: words, bytes, and bytes of that length.

    Args:
        script: As above.
    """
    began = time.perf_counter()
    (values,) = load("origin.global_values")
    large = [store for store in _large(_LEAST_BYTES, script, values.bytes_of) if not store.function]
    if not large:
        return []
    (bounds,) = load("origin.bounds")
    return _describe_all(large, began, lambda store: _described_value(store, bounds, values.bytes_of))[0]


def _large(
    least: int, script: str | None, bytes_of: Callable[[Any], int | None] | None = None
) -> list[Store]:
    """Returns what the names of the user's modules lead to, the largest first."""
    began = time.perf_counter()
    (numbers,) = load("origin.numbers_in_code")
    large: list[Store] = []
    for module in _users_modules(script, numbers):
        stores = _named(module, numbers.own_dictionary, bytes_of)
        large += [store for store in stores if store.entries >= least]
        if time.perf_counter() - began > _MOST_SECONDS:
            break
    return sorted(large, key=lambda store: -store.entries)


def _describe_all(
    large: list[Store], began: float, describe: Callable[[Store], list[Any] | None]
) -> tuple[list[list[Any]], set[int]]:
    """Describes the largest, as far as time is, and the identities of all things that it is told of."""
    found: list[list[Any]] = []
    # A thing has a name in each module that imports it, and a bound where its own is; a module may have two names.
    asked: set[int] = set()
    told: set[int] = set()
    for store in large:
        asked.add(id(store.thing))
        if len(asked) > _MOST_ASKED or time.perf_counter() - began > 2 * _MOST_SECONDS:
            break
        if not told.isdisjoint(store.members):
            continue
        try:
            described = describe(store)
        except Exception:
            # Whatever a program may have there, the others are asked all the same.
            if os.environ.get("HFMEMDEBUG_RUN_DEBUG"):
                raise
            continue
        if described is not None:
            told |= set(store.members)
            found.append(described)
    return found, told


def _described_value(store: Store, bounds: Any, bytes_of: Callable[[Any], Any]) -> list[Any] | None:
    """Describes a text or an array; None where it has no bound, or no length."""
    length = bounds.length_of(store.thing)
    bound = bounds.bound_of_value(store.steps, store.module.__file__) if length else None
    if bound is None:
        return None
    words = "%s module %s `%s`%s" % (
        type(store.thing).__name__, store.module.__name__, store.label, bound.words,
    )  # fmt: skip
    whole = bytes_of(store.thing) * bound.entries // length
    return [words, store.entries, whole * len(store.members)]


def _described(store: Store, bounds: Any, leak: Any) -> list[Any] | None:
    """Describes a container; None where it has no bound, or is told of by who goes through all deques."""
    thing, size = store.thing, max(1, _length(store.thing) or 0)
    many = len(store.members)
    label = "`%s`" % store.label
    of = " of %s" % store.function if store.function else ""
    maxlen = thing.maxlen if type(thing) is collections.deque else None
    if maxlen is None:
        root = leak.Root("module", store.module.__name__)
        at = leak.RootPath(root, store.steps, type(thing).__name__, store.module.__file__)
        bound = bounds.bound_of(thing, at)
        if bound is None:
            return None
        room, words = bound.entries, "%s %s%s%s" % (type(thing).__name__, label, of, bound.words)
    elif many > 1 and size < maxlen:
        room, words = maxlen, "deque (maxlen=%d) %s%s" % (maxlen, label, of)
    else:
        return None
    if many > 1:
        words = "each %s, of which there are %d" % (words, many)
    return [words, store.entries, room * many, blocks_an_entry(thing, size)]


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
    times = collections.Counter(
        itertools.chain.from_iterable(_reached_from(each, container) for each in asked)
    )
    own = sum(1 for count in times.values() if count <= 2)
    return round(own * len(inside) / max(1, len(asked)) / entries, 2)


def _reached_from(entry: Any, container: Any) -> set[int]:
    """Identities of what an entry consists of, as far as it is looked into."""
    found, waiting = {id(entry)}, collections.deque([entry])
    while waiting:
        for each in gc.get_referents(waiting.popleft()):
            if each is container or id(each) in found or issubclass(type(each), _NO_PART):
                continue
            if len(found) >= _MOST_OBJECTS:
                return found
            found.add(id(each))
            waiting.append(each)
    return found


def variables(least: int, running: Collection[tuple[str, str, int]], script: str | None) -> list[list[Any]]:
    """Returns what functions that have returned have bounded, to as many entries or more: what it is, and to how many.

    Args:
        least: So many entries.
        running: Functions that ran shortly before: file, name and first line.
        script: As above.
    """
    (in_functions,) = load("origin.variables")
    return [
        found for found in _of_functions(in_functions.bounded_variables, running, script) if found[1] >= least
    ]


def returned_values(running: Collection[tuple[str, str, int]], script: str | None) -> list[list[Any]]:
    """Texts and arrays that functions which have returned have cut: what, its length, and bytes of one of that.

    Args:
        running: As above.
        script: As above.
    """
    (cut,) = load("origin.cut_values")
    return _of_functions(cut.values_to_cut, running, script)


def _of_functions(
    find: Callable[[str, set[tuple[str, int]], float], Iterable[tuple[Any, ...]]],
    running: Collection[tuple[str, str, int]],
    script: str | None,
) -> list[list[Any]]:
    """Returns what is found in the code of the user's functions, as far as time is."""
    _give_file(script)
    found: list[list[Any]] = []
    until = time.perf_counter() + _MOST_SECONDS
    for file in sorted({file for file, _, _ in running if not is_library(file)}):
        functions = {(name, line) for at, name, line in running if at == file}
        found += map(list, find(file, functions, until))
    return found


def _users_modules(script: str | None, numbers: Any) -> list[types.ModuleType]:
    """Those with a file that is no library's."""
    _give_file(script)
    files = [(module, numbers.file_of_module(module)) for module in numbers.loaded_modules()]
    return [module for module, file in files if file is not None and not is_library(file)]


def _give_file(script: str | None) -> None:
    """Gives the script's module its file back, which it has forgotten as the program ends."""
    main = sys.modules.get("__main__")
    if script is not None and type(main) is types.ModuleType and vars(main).get("__file__") is None:
        main.__file__ = script


def _named(
    module: types.ModuleType,
    own_dictionary: Callable[[Any], Any],
    bytes_of: Callable[[Any], int | None] | None = None,
) -> list[Store]:
    """The containers that a module's names lead to, also by variables of closures, and those in a container.

    Args:
        module: The module.
        own_dictionary: Says an object's attributes, where no code of the program has to run for them.
        bytes_of: Says what a text or an array takes, where those are asked for, and not the containers.
    """
    found: dict[tuple[Any, str], Store] = {}
    (leak,) = load("leak")
    seen: set[int] = set()
    names = [(name, value) for name, value in list(vars(module).items()) if not name.startswith("__")]
    # The shortest names first.
    waiting: Any = collections.deque((value, (leak.Step("name", name),), "", 1) for name, value in names)
    while waiting and len(seen) < _MOST_NAMES:
        thing, steps, function, depth = waiting.popleft()
        kind = type(thing)
        amount = bytes_of(thing) if bytes_of is not None else None
        if amount is not None:
            store = found.setdefault((steps, function), Store(steps, function, module))
            if id(thing) not in store.members:
                store.add(thing, amount)
        if amount is not None or id(thing) in seen or kind in _PLAIN:
            continue
        seen.add(id(thing))
        size = _length(thing)
        if size is not None and bytes_of is None:
            found.setdefault((steps, function), Store(steps, function, module)).add(thing, size)
        if depth == _DEEPEST:
            continue
        if size is not None:
            if size <= _MOST_ENTRIES:
                steps = (*steps, leak.Step("key" if issubclass(kind, dict) else "item"))
                entries = [value for value in _entries(thing) if _is_looked_at(value, bytes_of is not None)]
                waiting += [(value, steps, function, depth + 1) for value in entries]
        elif kind is types.FunctionType:
            if thing.__module__ == module.__name__:
                inside = _variables(thing)
                waiting += [(v, (leak.Step("name", n),), thing.__name__, depth + 1) for n, v in inside]
        elif not issubclass(kind, (types.ModuleType, types.BuiltinFunctionType)):
            if issubclass(kind, type) and thing.__module__ != module.__name__:
                continue
            attributes = vars(thing) if issubclass(kind, type) else own_dictionary(thing) or {}
            inside = [(name, value) for name, value in list(attributes.items()) if type(name) is str]
            waiting += [
                (value, (*steps, leak.Step("attribute", name)), function, depth + 1) for name, value in inside
            ]
    return list(found.values())


def _is_looked_at(value: Any, texts: bool) -> bool:
    """Tells whether an entry is no number and, where it is a text, a long one."""
    kind = type(value)
    if kind in (str, bytes):
        return texts and sys.getsizeof(value) >= _LEAST_TEXT
    return kind not in _PLAIN


def _variables(function: types.FunctionType) -> list[tuple[str, Any]]:
    """Of a function's closure, and its arguments by default."""
    code, found = function.__code__, []
    for name, cell in _pairs(code.co_freevars, function.__closure__ or ()):
        try:
            found.append((name, cell.cell_contents))
        except ValueError:
            # It has none yet.
            continue
    defaults = function.__defaults__ or ()
    arguments = code.co_varnames[: code.co_argcount]
    found += _pairs(arguments[max(0, len(arguments) - len(defaults)) :], defaults)
    return [*found, *(function.__kwdefaults__ or {}).items()]


def _pairs(names: tuple[str, ...], values: tuple[Any, ...]) -> list[tuple[str, Any]]:
    """As far as there are both: they may have been set from outside."""
    return list(zip(names, values))  # noqa: B905 (`strict` came with Python 3.10)


def _entries(thing: Any) -> list[Any]:
    """By the type's own words, as its length is told; nothing where a thread changes it meanwhile."""
    kind = next(kind for kind in _KINDS if issubclass(type(thing), kind))
    try:
        return list(dict.values(thing) if kind is dict else kind.__iter__(thing))
    except RuntimeError:
        return []


def _length(thing: Any) -> int | None:
    """By the type's own words: a subclass may have a ``__len__`` that does anything."""
    return next((kind.__len__(thing) for kind in _KINDS if issubclass(type(thing), kind)), None)
