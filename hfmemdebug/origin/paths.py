"""Finds the shortest path from a root to an object: ``module train: list `trainer.history```.

Roots are modules, and the local variables of threads that run. The search goes from the object up, by
`gc.get_referrers`, level by level: that is one pass over all objects a level, where a search from the roots down
would walk through all of them before it came to the object. What is found on the way is ours too: the lists, frames
and hops of the search refer to what they hold, and are left out by their identity. A path is a row of steps
(`hfmemdebug.leak`): decisions read those, and the words are made of them for people.

Local variables of other threads are read through `frame.f_locals`, which up to Python 3.12 copies them and, where the
function is traced in Python, writes them back: a variable of a debugged thread would jump to an older value. Such
threads are left out (PEP 667 has the story).

`run --trace` takes this module into the program that it watches: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import functools
import gc
import inspect
import sys
import threading
import time
import types
from collections import deque
from collections.abc import Sequence
from typing import Any

from ..leak import Root, RootPath, Step
from .sites import is_library
from .source import string_constants

_DEEPEST = 9
# With so many objects at the same distance, the way through them is no name that a person would use.
_MOST_ABREAST = 300
# A function that returns while its thread's frames are walked no longer leads to its caller: the longest walk counts.
_WALKS = 3


class _Hop:
    """An object on the way, and the hop from it towards the held one; None for the held one itself."""

    __slots__ = ("thing", "towards")

    def __init__(self, thing: Any, towards: _Hop | None) -> None:
        self.thing = thing
        self.towards = towards


def path_to(thing: Any, *, skip: Sequence[Any] = ()) -> RootPath | None:
    """Finds the shortest path from a root to an object.

    Args:
        thing: The object.
        skip: Lists of ours that refer to it and are no holders.
    """
    modules = {id(vars(m)): m for m in list(sys.modules.values()) if isinstance(m, types.ModuleType)}
    variables = _variables_of_threads()
    seen = {id(thing), id(skip), id(modules), id(variables), *map(id, skip), *_own_frames()}
    level = {id(thing): _Hop(thing, None)}
    for _ in range(_DEEPEST):
        for hop in level.values():
            root = variables.get(id(hop.thing))
            if root is not None:
                return _path(root[0], hop, root[1])
        things = [hop.thing for hop in level.values()]
        seen |= {id(level), id(things)}
        above: dict[int, _Hop] = {}
        roots: list[tuple[bool, int, str, _Hop, str | None]] = []
        for referrer in gc.get_referrers(*things):
            if id(referrer) in seen or type(referrer) is _Hop:
                continue
            seen.add(id(referrer))
            towards = next((at for each in gc.get_referents(referrer) if (at := level.get(id(each)))), None)
            if towards is None:
                continue
            module = modules.get(id(referrer))
            if module is not None:
                name, file = module.__name__, getattr(module, "__file__", None)
                installed = file is None or is_library(file)
                roots.append((installed, len(name), name, _Hop(referrer, towards), file))
            elif len(above) < _MOST_ABREAST:
                above[id(referrer)] = _Hop(referrer, towards)
        if roots:
            # Many modules may import the same thing: the user's, else the one with the shortest name.
            _, _, name, first, file = min(roots, key=lambda root: root[:3])
            return _path(Root("module", name), first, file)
        seen |= {id(above)}
        level = above
        if not level:
            return None
    return None


def _own_frames() -> set[int]:
    """Returns the identities of this thread's frames: they and their variables hold nothing of the program's."""
    found = set()
    frame: types.FrameType | None = sys._getframe()
    while frame is not None:
        found.add(id(frame))
        frame = frame.f_back
    return found


# A function that calls one of these may use the dictionary of its variables, which reading them fills.
_USES_OF_LOCALS = frozenset({"locals", "vars", "eval", "exec", "dir"})


def _variables_of_threads() -> dict[int, tuple[Root, str]]:
    """Returns local variables of the threads that run, this one left out, by identity: the root, and its file."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    found: dict[int, tuple[Root, str]] = {}
    # Of functions around the one that uses them: that of which they are the variables comes first.
    borrowed: dict[int, tuple[Root, str]] = {}
    for ident, frames in _frames_of_threads().items():
        if any(isinstance(frame.f_trace, (types.FunctionType, types.MethodType)) for frame in frames):
            # Traced in Python, as by a debugger: what is read here while its function runs is written back, to a
            # function that may have just been called. Coverage's tracer in C writes nothing.
            continue
        for frame in frames:
            code = frame.f_code
            is_function = bool(code.co_flags & inspect.CO_OPTIMIZED)
            if is_function and not _USES_OF_LOCALS.intersection(code.co_names):
                variables = frame.f_locals
                for name, value in list(variables.items()):
                    root = Root("thread", str(names.get(ident, ident)), name, code.co_name)
                    these = borrowed if name in code.co_freevars else found
                    these.setdefault(id(value), (root, code.co_filename))
                if type(variables) is dict and frame.f_trace is None:
                    # Up to Python 3.12 a copy, which stays with the frame and would keep a batch alive.
                    variables.clear()
    return {**borrowed, **found}


def _frames_of_threads() -> dict[int, list[types.FrameType]]:
    """Returns the frames of the threads that run, this one left out, the innermost first."""
    found: dict[int, list[types.FrameType]] = {}
    for _ in range(_WALKS):
        # It has just had its turn, and is not made to give way for some milliseconds.
        time.sleep(0)
        for ident, top in sys._current_frames().items():
            frames: list[types.FrameType] = []
            frame: types.FrameType | None = None if ident == threading.get_ident() else top
            while frame is not None:
                frames.append(frame)
                frame = frame.f_back
            if len(frames) > len(found.get(ident, ())):
                found[ident] = frames
        # It may be this frame, which would keep itself and its callers' variables until the next collection.
        del top
    return found


def _path(root: Root, first: _Hop, file: str | None) -> RootPath:
    """Names the steps from a root down to the held object."""
    steps: list[Step] = []
    # A key may be the user's data; one that stands in the code is not.
    known = string_constants(file or "")
    hop = first
    if root.kind == "module" and first.towards is not None:
        steps.append(Step("name", str(_key_of(first.thing, first.towards.thing))))
        hop = first.towards
    while hop.towards is not None:
        step, hop = _step(hop, hop.towards, known)
        if step is not None:
            steps.append(step)
    kind = type(hop.thing)
    name = "lru_cache" if kind is functools._lru_cache_wrapper else kind.__name__
    return RootPath(root, tuple(steps), name, file)


def _step(hop: _Hop, rest: _Hop, known: frozenset[str]) -> tuple[Step | None, _Hop]:
    """Names one or more hops; returns the step, None where it has no name, and where it leads."""
    holder, target, after = hop.thing, rest.thing, rest.towards
    if isinstance(holder, dict):
        key = _key_of(holder, target)
        return Step("key", f"{key!r:.40}" if key in known else None), rest
    if isinstance(holder, types.FunctionType):
        return _step_of_function(holder, target, rest)
    if isinstance(holder, types.CellType):
        return Step("closure"), rest
    if isinstance(
        holder, (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType, types.FrameType)
    ):
        return _step_of_frame(holder, target), rest
    if isinstance(holder, types.TracebackType):
        return None, rest
    if isinstance(holder, BaseException):
        links = ("__traceback__", "__cause__", "__context__")
        return next((Step("link", n) for n in links if getattr(holder, n) is target), None), rest
    if isinstance(holder, types.MethodType):
        return (Step("link", "__self__") if target is holder.__self__ else None), rest
    if isinstance(holder, functools.partial):
        return Step("argument"), rest.towards or rest
    if isinstance(target, dict) and after is not None and _is_dict_of(holder, target):
        return Step("attribute", str(_key_of(target, after.thing))), after
    if isinstance(holder, (list, tuple, set, frozenset, deque)):
        return Step("item"), rest
    names = (name for name in _attribute_names(holder) if _attribute(holder, name) is target)
    return next((Step("attribute", str(name)) for name in names), None), rest


def _step_of_function(function: types.FunctionType, target: Any, rest: _Hop) -> tuple[Step | None, _Hop]:
    after = rest.towards
    if after is not None and target is function.__closure__:
        cell = after.thing
        index = next((i for i, c in enumerate(function.__closure__ or ()) if c is cell), None)
        if index is not None and after.towards is not None:
            return Step("closure", function.__code__.co_freevars[index]), after.towards
    if after is not None and target is function.__defaults__:
        code = function.__code__
        names = code.co_varnames[: code.co_argcount][-len(function.__defaults__ or ()) :]
        index = next((i for i, d in enumerate(function.__defaults__ or ()) if d is after.thing), None)
        if index is not None:
            return Step("default", names[index]), after
    if after is not None and isinstance(target, dict):
        key = str(_key_of(target, after.thing))
        if target is function.__kwdefaults__:
            return Step("default", key), after
        if target is function.__dict__:
            return Step("attribute", key), after
    return None, rest


def _step_of_frame(holder: Any, target: Any) -> Step | None:
    """Names a local variable of a function that waits: of a generator, a coroutine, or one that an exception left."""
    frame = holder
    for attribute in ("gi_frame", "cr_frame", "ag_frame"):
        frame = getattr(holder, attribute, None) or frame
    if not isinstance(frame, types.FrameType) or frame is target:
        return None
    name = next((n for n, value in list(frame.f_locals.items()) if value is target), None)
    if name is None:
        return None
    flags = frame.f_code.co_flags
    waits = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
    kind = "generator" if flags & inspect.CO_GENERATOR else "coroutine" if flags & waits else "local"
    return Step(kind, name, frame.f_code.co_name)


def _key_of(holder: dict[Any, Any], value: Any) -> Any:
    return next((k for k, v in list(dict.items(holder)) if v is value), None)


def _is_dict_of(holder: Any, target: dict[Any, Any]) -> bool:
    """Tells whether a dictionary holds an object's attributes: up to Python 3.10 all have one, later some."""
    if isinstance(holder, type):
        return any(each is target for each in gc.get_referents(holder)) and "__module__" in target
    return getattr(holder, "__dict__", None) is target


def _attribute_names(holder: Any) -> list[str]:
    attributes = getattr(holder, "__dict__", None)
    names = list(attributes) if isinstance(attributes, dict) else []
    for kind in type(holder).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    return names


def _attribute(holder: Any, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except Exception:
        # A property of the program's own.
        return None
