"""Wraps functions of the program's libraries, to count rows that are read and to note shared segments that are made.

A module is wrapped as the program imports it; none is imported for that.
"""

from __future__ import annotations

import _frozen_importlib_external
import operator
import os
import sys

from _hfmemdebug_common import is_library  # type: ignore[import-not-found]
from _hfmemdebug_thread import SamplerThread  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType
    from typing import Any

# The one entry is the number of rows read so far.
rows = [0]
# To ask for the time at each row would cost more than a hundredth of what reading it does.
_ROWS_BETWEEN = 7
thread = SamplerThread()


class Hook:
    """Counts the rows that are read from `datasets`' objects, by wrapping them once they are imported."""

    # The protocol of a finder on `sys.meta_path`.
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in _PATCHES:
            return None
        patch = _PATCHES.pop(name)
        spec = _frozen_importlib_external.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            try:
                patch(module)
            except Exception:
                if os.environ.get("HFMEMDEBUG_RUN_DEBUG"):
                    raise

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _map_style(module: Any) -> None:
    dataset = module.Dataset
    get, iterate = dataset.__getitem__, dataset.__iter__
    now, due = thread.now, thread.due

    def __getitem__(self: Any, key: Any) -> Any:
        found = get(self, key)
        if type(key) is int:
            rows[0] += 1
            if rows[0] & _ROWS_BETWEEN:
                return found
        elif type(found) is dict and type(key) is slice:
            # The columns know it at once; what the key asks for takes a microsecond to work out.
            for column in found.values():
                rows[0] += len(column)
                break
        else:
            rows[0] += _length(self, key)
        if now() > due[0]:
            thread.wait_for_sample()
        return found

    def __iter__(self: Any) -> Iterator[Any]:
        for row in iterate(self):
            rows[0] += 1
            if not rows[0] & _ROWS_BETWEEN and now() > due[0]:
                thread.wait_for_sample()
            yield row

    dataset.__getitem__ = _like(__getitem__, get)
    dataset.__iter__ = _like(__iter__, iterate)
    if hasattr(dataset, "iter"):
        dataset.iter = _batches(dataset.iter)


def _iterable(module: Any) -> None:
    dataset = module.IterableDataset
    dataset.__iter__ = _counted(dataset.__iter__, lambda row, *arguments: 1)
    if hasattr(dataset, "iter"):
        dataset.iter = _batches(dataset.iter)


def _batches(iterate: Any) -> Any:
    return _counted(iterate, lambda batch, batch_size=1, *arguments: _rows_in(batch, batch_size))


def _counted(iterate: Any, count: Callable[..., int]) -> Any:
    now, due = thread.now, thread.due

    def wrapper(self: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        items = iter(iterate(self, *arguments, **options))
        asked = arguments or tuple(options.values())
        while True:
            before = rows[0]
            try:
                item = next(items)
            except StopIteration:
                return
            # Set, not added to: a stream over a dataset reads its rows once, not twice.
            rows[0] = before + count(item, *asked)
            # As where each row is counted: a multiple of eight lies between.
            if rows[0] ^ before > _ROWS_BETWEEN and now() > due[0]:
                thread.wait_for_sample()
            yield item

    return _like(wrapper, iterate)


def _like(function: Any, original: Any) -> Any:
    for name in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(function, name, getattr(original, name, None))
    function.__wrapped__ = original
    return function


def _length(dataset: Any, key: Any) -> int:
    """Returns how many rows a key asks for; a column is none."""
    if isinstance(key, slice):
        return len(range(*key.indices(len(dataset))))
    if isinstance(key, str):
        return 0
    try:
        return len(key)
    except TypeError:
        pass
    try:
        operator.index(key)
    except TypeError:
        return 0
    return 1


def _rows_in(batch: Any, size: int) -> int:
    """Rows in a batch of columns; in another format the size that was asked for."""
    try:
        return len(next(iter(batch.values())))
    except Exception:
        return size


def _shared_memory(module: Any) -> None:
    made = module.SharedMemory.__init__

    def __init__(self: Any, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        if options.get("create") or (len(arguments) > 1 and arguments[1]):
            _note_segment(self.name)

    module.SharedMemory.__init__ = _like(__init__, made)


def _note_segment(name: str) -> None:
    """Notes a segment that this program has made, and the line: the innermost that is not a library's.

    All programs' segments lie in /dev/shm, and none of them tells which program made it.
    """
    frame = sys._getframe(1)
    while frame is not None and is_library(frame.f_code.co_filename):
        frame = frame.f_back  # type: ignore[assignment]
    place = "" if frame is None else "\t%s\t%d" % (os.path.abspath(frame.f_code.co_filename), frame.f_lineno)
    try:
        path = os.path.join(os.environ["HFMEMDEBUG_RUN"], "segments")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, (name.lstrip("/") + place + "\n").encode(errors="surrogateescape"))
        finally:
            os.close(fd)
    except (OSError, KeyError):
        pass


_PATCHES: dict[str, Callable[[Any], None]] = {
    "datasets.arrow_dataset": _map_style,
    "datasets.iterable_dataset": _iterable,
    "multiprocessing.shared_memory": _shared_memory,
}
