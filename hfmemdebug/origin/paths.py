"""The shortest path from a root to an object, in words: ``module train: list `trainer.history```.

Roots are modules, and the local variables of threads that run.

`run --trace` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .source import string_constants

_DEEPEST = 9
# With so many objects at the same distance, the way through them is nobody's name.
_MOST_ABREAST = 300
# A function that returns while its thread's frames are walked leads to its caller's no more: the longest walk counts.
_WALKS = 3


@dataclass(frozen=True)
class RootPath:
    """The way from a root to an object.

    Attributes:
        words: ``module train: list `trainer.history```.
        place: The same without the kind of the object.
        name: The name nearest to the object (``history``), or None.
        file: The file of the module at the root, or of the function whose variable it is, or None.
        module: The name of the module at the root, or None.
    """

    words: str
    place: str
    name: str | None
    file: str | None
    module: str | None


class _Hop:
    """An object on the way, and the hop from it towards the held one; None for the held one itself."""

    __slots__ = ("thing", "towards")

    def __init__(self, thing: Any, towards: _Hop | None) -> None:
        self.thing = thing
        self.towards = towards


def path_to(thing: Any, *, skip: Sequence[Any] = ()) -> RootPath | None:
    """The shortest path from a root to an object.

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
                return _describe(root.words, hop, file=root.file, name=root.name)
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
                roots.append((_is_installed(file), len(name), name, _Hop(referrer, towards), file))
            elif len(above) < _MOST_ABREAST:
                above[id(referrer)] = _Hop(referrer, towards)
        if roots:
            # Many modules may import the same thing: the user's, else the one with the shortest name.
            _, _, name, first, file = min(roots, key=lambda root: root[:3])
            return _describe(f"module {name}", first, file=file, module=name)
        seen |= {id(above)}
        level = above
        if not level:
            return None
    return None


def _is_installed(file: str | None) -> bool:
    """Whether a module is Python's own or an installed one, as far as its file tells."""
    mark = ("site-packages", "dist-packages", str(Path(types.__file__).parent))
    return file is None or any(each in file for each in mark)


def _own_frames() -> set[int]:
    """This thread is busy with us: its frames and their variables hold nothing of the program's."""
    found = set()
    frame: types.FrameType | None = sys._getframe()
    while frame is not None:
        found.add(id(frame))
        frame = frame.f_back
    return found


class _Variable(NamedTuple):
    words: str
    file: str
    name: str


# A function that calls one of these may use the dictionary of its variables, which reading them fills.
_USES_OF_LOCALS = frozenset({"locals", "vars", "eval", "exec", "dir"})


def _variables_of_threads() -> dict[int, _Variable]:
    """Local variables of the threads that run, this one left out, by identity."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    found: dict[int, _Variable] = {}
    # Of functions around the one that uses them: that of which they are the variables comes first.
    borrowed: dict[int, _Variable] = {}
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
                    where = f"thread `{names.get(ident, ident)}`, local variable `{name}` of `{code.co_name}`"
                    these = borrowed if name in code.co_freevars else found
                    these.setdefault(id(value), _Variable(where, code.co_filename, name))
                if type(variables) is dict and frame.f_trace is None:
                    # Up to Python 3.12 a copy, which stays with the frame and would keep a batch alive.
                    variables.clear()
    return {**borrowed, **found}


def _frames_of_threads() -> dict[int, list[types.FrameType]]:
    """The frames of the threads that run, this one left out, the innermost first."""
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
    return found


def _describe(
    root: str, first: _Hop, *, file: str | None, name: str | None = None, module: str | None = None
) -> RootPath:
    """The path in words, from the root down to the held object."""
    text, nearest = "", name
    # A key may be somebody's data; one that stands in the code is not.
    known = string_constants(file or "")
    hop = first
    while hop.towards is not None:
        label, called, hop = _step(hop, first=module is not None and hop is first, known=known)
        text += label
        nearest = called or nearest
    text = text.lstrip(", .")
    where = f" `{text}`" if text else ""
    words = f"{root}: {_kind(hop.thing)}{where}{_size(hop.thing)}"
    return RootPath(words, f"{root}{where}", nearest, file, module)


def _step(hop: _Hop, *, first: bool, known: frozenset[str]) -> tuple[str, str | None, _Hop]:
    """What one or more hops are called: the label, the bare name if there is one, and where they lead."""
    assert hop.towards is not None
    holder, target, rest = hop.thing, hop.towards.thing, hop.towards
    after = rest.towards
    if isinstance(holder, dict):
        key = _key_of(holder, target)
        if first:
            return str(key), str(key), rest
        return f"[{key!r:.40}]" if key in known else "[a key]", None, rest
    if isinstance(holder, types.FunctionType):
        return _step_of_function(holder, target, rest)
    if isinstance(holder, types.CellType):
        return ", a closure's variable", None, rest
    if isinstance(
        holder, (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType, types.FrameType)
    ):
        return _step_of_frame(holder, target, rest)
    if isinstance(holder, types.TracebackType):
        return "", None, rest
    if isinstance(holder, BaseException):
        name = next(
            (n for n in ("__traceback__", "__cause__", "__context__") if getattr(holder, n) is target), None
        )
        return f".{name}" if name else "", None, rest
    if isinstance(holder, types.MethodType):
        return (".__self__" if target is holder.__self__ else ""), None, rest
    if isinstance(holder, functools.partial):
        return ", an argument of the partial", None, rest.towards or rest
    if isinstance(target, dict) and after is not None and _is_dict_of(holder, target):
        key = _key_of(target, after.thing)
        return f".{key}", str(key), after
    if isinstance(holder, (list, tuple, set, frozenset)) or type(holder).__name__ == "deque":
        return "[…]", None, rest
    for name in _attribute_names(holder):
        if _attribute(holder, name) is target:
            return f".{name}", str(name), rest
    return "", None, rest


def _step_of_function(function: types.FunctionType, target: Any, rest: _Hop) -> tuple[str, str | None, _Hop]:
    after = rest.towards
    if after is not None and target is function.__closure__:
        cell = after.thing
        index = next((i for i, c in enumerate(function.__closure__ or ()) if c is cell), None)
        if index is not None and after.towards is not None:
            name = function.__code__.co_freevars[index]
            return f", closure variable {name}", name, after.towards
    if after is not None and target is function.__defaults__:
        code = function.__code__
        names = code.co_varnames[: code.co_argcount][-len(function.__defaults__ or ()) :]
        index = next((i for i, d in enumerate(function.__defaults__ or ()) if d is after.thing), None)
        if index is not None:
            return f", default of {names[index]}", names[index], after
    if after is not None and isinstance(target, dict):
        key = _key_of(target, after.thing)
        if target is function.__kwdefaults__:
            return f", default of {key}", str(key), after
        if target is function.__dict__:
            return f".{key}", str(key), after
    return "", None, rest


def _step_of_frame(holder: Any, target: Any, rest: _Hop) -> tuple[str, str | None, _Hop]:
    """A local variable of a function that waits: of a generator, a coroutine, or one that an exception left."""
    frame = holder
    for attribute in ("gi_frame", "cr_frame", "ag_frame"):
        frame = getattr(holder, attribute, None) or frame
    if not isinstance(frame, types.FrameType):
        return "", None, rest
    if frame is target:
        return "", None, rest
    name = next((n for n, value in list(frame.f_locals.items()) if value is target), None)
    if name is None:
        return "", None, rest
    flags = frame.f_code.co_flags
    waits = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
    kind = "the generator " if flags & inspect.CO_GENERATOR else "the coroutine " if flags & waits else ""
    return f", local variable {name} of {kind}{frame.f_code.co_name}", name, rest


def _key_of(holder: dict[Any, Any], value: Any) -> Any:
    return next((k for k, v in list(dict.items(holder)) if v is value), None)


def _is_dict_of(holder: Any, target: dict[Any, Any]) -> bool:
    """Whether a dictionary holds an object's attributes: up to Python 3.10 all have one, later some."""
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
        # A property of somebody's own.
        return None


def _kind(thing: Any) -> str:
    if isinstance(thing, functools._lru_cache_wrapper):
        limit = thing.cache_info().maxsize
        return f"lru_cache ({'unbounded' if limit is None else f'maxsize={limit}'})"
    if isinstance(thing, deque) and thing.maxlen is not None:
        return f"deque (maxlen={thing.maxlen})"
    return type(thing).__name__


def _size(thing: Any) -> str:
    """How full a cache is, behind its name."""
    if isinstance(thing, functools._lru_cache_wrapper):
        return f", {thing.cache_info().currsize:,} entries"
    return ""
