"""Facts about the interpreter that are needed in the watched program, and in hfmemdebug's own processes.

The rule for what the watched program loads: CPython 3.8 and the standard library are all that there is. The modules of
`inject` are loaded by their bare names, from the folder that is first on the path as the program starts. Those of
other rooms (`origin`, and `leak`) by `load`, as submodules of a package `_hfmemdebug` that is never initialised: the
program may have an hfmemdebug of its own, which must be neither imported nor hidden. So modules of `origin` import
each other, `leak` and this one relatively; what they import of other rooms absolutely is not there in a program.
"""

from __future__ import annotations

import gc
import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The line of one size class of `sys._debugmallocstats`: class, size, pools, blocks in use, blocks available.
SIZE_CLASS = re.compile(r"^\s*\d+\s+(\d+)\s+\d+\s+(\d+)\s+\d+\s*$", re.MULTILINE)
# This package's folder, with the separator behind it.
PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
# The page in which a sampler publishes its readings, which the supervisor maps too.
SLOTS = 24
ROLE_AT, ROLE_BYTES = SLOTS * 8, 64
PAGE_BYTES = 4096
MAGIC = 0x68666D3031
# Slots of the page, 8 bytes each; -1 where something was not read. The supervisor writes how many processes it reads.
(
    S_MAGIC, S_PID, S_TICKS, S_ROWS, S_BLOCKS, S_MALLOC, S_ARROW, S_PYTHON, S_ENDING, S_COST, S_GARBAGE,
    S_ARROW_IS_MALLOC, S_MODULES, S_MALLOC_READS, S_PROCESSES,
) = range(15)  # fmt: skip
# Asks for traces of what the program starts, and none of the program, which the process of this number has started.
CHILDREN_OF = "children of %d"
_ALIAS = "_hfmemdebug"
# Code that has no file, Python's own, and ours.
_NOT_THE_USERS = ("<", os.path.dirname(os.__file__), PACKAGE)


def is_library(file: str) -> bool:
    """Tells whether a file belongs to Python, to an installed package or to this one, and not to the user."""
    return file.startswith(_NOT_THE_USERS) or "site-packages" in file or "dist-packages" in file


def collector_runs() -> bool:
    """Tells whether the collector runs by itself: it is neither off nor told never to, by a threshold of 0."""
    return gc.isenabled() and gc.get_threshold()[0] > 0


def malloc_stats() -> str | None:
    """Reads what `sys._debugmallocstats` prints; a millisecond for each 100 MB. None on other interpreters.

    By the function behind it, which has no other way to write than to a stream: to take standard error away for a
    moment would swallow what other threads write there.
    """
    import ctypes

    api = ctypes.pythonapi
    try:
        stats, open_memstream, close, free = (
            api._PyObject_DebugMallocStats, api.open_memstream, api.fclose, api.free,
        )  # fmt: skip
    except AttributeError:
        return None
    open_memstream.restype = ctypes.c_void_p
    open_memstream.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    stats.argtypes = close.argtypes = free.argtypes = [ctypes.c_void_p]
    text, size = ctypes.c_void_p(), ctypes.c_size_t()
    stream = open_memstream(ctypes.byref(text), ctypes.byref(size))
    if not stream:
        return None
    try:
        stats(stream)
    finally:
        close(stream)
    try:
        return ctypes.string_at(text, size.value).decode("ascii", "replace")
    finally:
        free(text)


def load(*names: str) -> list[Any]:
    """Imports modules of hfmemdebug that need the standard library alone, under a package name of our own.

    Args:
        names: Without the package: ``origin.bounds``, ``leak``.
    """
    # Most programs have nothing that is looked at, and do not wait for this.
    import importlib
    import importlib.util

    if _ALIAS not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            _ALIAS, os.path.join(PACKAGE, "__init__.py"), submodule_search_locations=[PACKAGE]
        )
        assert spec is not None
        # Its `__init__` does not run.
        sys.modules[_ALIAS] = importlib.util.module_from_spec(spec)
    return [importlib.import_module("%s.%s" % (_ALIAS, name)) for name in names]
