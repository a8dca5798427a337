"""The sampler inside a program that `hfmemdebug run` has started: exact counters, ten times a second.

Runs on CPython 3.8 and later with the standard library alone. It publishes numbers in a page of a file that
the supervisor maps too, so that they outlive the program, and keeps nothing itself: no descriptor, no object
per reading, no entry in `threading`. A fork gets a page of its own.
"""

from __future__ import annotations

import _thread
import atexit
import ctypes
import gc
import os
import re
import sys
import time

# At the end the way to it is no longer there.
import _hfmemdebug_atexit  # type: ignore[import-not-found]
import _hfmemdebug_hooks  # type: ignore[import-not-found]
from _hfmemdebug_common import (  # type: ignore[import-not-found]
    CHILDREN_OF,
    MAGIC,
    PAGE_BYTES,
    ROLE_AT,
    ROLE_BYTES,
    S_ARROW,
    S_ARROW_IS_MALLOC,
    S_BLOCKS,
    S_COST,
    S_ENDING,
    S_GARBAGE,
    S_MAGIC,
    S_MALLOC,
    S_MALLOC_READS,
    S_MODULES,
    S_PID,
    S_PROCESSES,
    S_PYTHON,
    S_ROWS,
    S_TICKS,
    SIZE_CLASS,
    SLOTS,
    collector_runs,
    load,
    malloc_stats,
)
from _hfmemdebug_thread import MOST_SECONDS  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

INTERVAL = 0.1
# Shares of one core's time that readings which can take long may take, over all processes of the program.
MALLOC_SHARE = 0.004
# Tracing takes so much more that this is no matter beside it.
MALLOC_SHARE_TRACED = 0.02
PYTHON_SHARE = 0.002
# A walk through the heap also costs the program what it had in the processor's caches: no more often for each process,
# once there are some; so many of all the time until now are enough.
MALLOC_SECONDS, MOST_MALLOC_SECONDS, MALLOC_READS = 0.08, 0.5, 20
# What runs is asked as often.
RUNNING_SECONDS = 1.0
# Where fewer of CPython's blocks have come all through a run, there is nothing to judge.
LEAST_BLOCKS = 1000
LEAST_BYTES = 1 << 20
RETURNED_SHARE = 0.5


class _Mallinfo2(ctypes.Structure):
    """glibc's: ten sizes, of which the fifth is hblkhd and the eighth uordblks (mallinfo(3))."""

    _fields_ = [("sizes", ctypes.c_size_t * 10)]


class _Sampler:
    """Takes the samples, and publishes them in its page."""

    def __init__(self, folder: str, rows: list[int], thread: Any, interpreters: Any) -> None:
        self.folder = folder
        # The one entry is the number of rows read so far.
        self.rows = rows
        self.thread = thread
        self.now = thread.now
        self.pid = 0
        self.slots: Any = None
        self.role: Any = None
        self.began = self.now()
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.mmap.restype = ctypes.c_void_p
        self.libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        self.mallinfo2 = self._find_mallinfo2()
        self.interpreters = interpreters
        self.malloc_due = self.python_due = self.running_due = self.malloc_cost = 0.0
        self.pools: list[Any] | None = None
        # Objects that the collector looked after when the first rows had been read.
        self.tracked: int | None = None
        # Blocks at the last reading and at the one before.
        self.latest = (0, 0)
        # Blocks when a quarter to a half of the time until now was over, and when a half to all of it was.
        self.blocks = (0, 0)
        # Malloc's bytes then.
        self.malloc = (0, 0)
        self.marked = 0.5
        self.forked = False
        # An entry for each thread that is making a fork.
        self.forking: list[None] = []
        # The script's, whose module has forgotten it as the program ends.
        self.script: str | None = None
        # Functions on the stacks of the program's threads: file, name, first line.
        self.running: set[tuple[str, str, int]] = set()
        # Of `run --trace`.
        self.tracer: Any = None

    def open(self) -> None:
        """Gives this process a page of its own."""
        pid = os.getpid()
        path = os.path.join(self.folder, "%d.page" % pid)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Not a hole: where the disk is full, the first word into it would end the program (SIGBUS).
            os.posix_fallocate(fd, 0, PAGE_BYTES)
            # PROT_READ | PROT_WRITE, MAP_SHARED; the mapping needs no descriptor.
            address = self.libc.mmap(None, PAGE_BYTES, 3, 1, fd, 0)
        finally:
            os.close(fd)
        if address in (None, ctypes.c_void_p(-1).value):
            raise OSError("mmap")
        self.pid = pid
        self.slots = (ctypes.c_int64 * SLOTS).from_address(address)
        self.role = (ctypes.c_char * ROLE_BYTES).from_address(address + ROLE_AT)
        for slot in range(SLOTS):
            if slot != S_PROCESSES:
                # The supervisor may have come before.
                self.slots[slot] = -1
        self.slots[S_PID] = pid
        self.slots[S_TICKS] = self.slots[S_COST] = 0
        self.role.value = b""
        self.slots[S_MAGIC] = MAGIC

    def read(self) -> None:
        """One reading. The exact counters come first, before anything of this function's own.

        Nothing in it lets go of the interpreter, but for a walk through malloc's heap that takes long: to get it back
        beside a program that lets go of it all the time, as Arrow and numpy do, takes dozens of wake-ups, each of
        which interrupts the program.
        """
        slots = self.slots
        slots[S_BLOCKS] = sys.getallocatedblocks()
        self.latest = self.latest[1], slots[S_BLOCKS]
        # Of this thread's own work: most of the time between two clocks is waiting for the interpreter.
        spent = time.thread_time()
        began = self.now()
        if began - self.began >= 2 * self.marked:
            self.marked, self.blocks = began - self.began, (self.blocks[1], slots[S_BLOCKS])
            self.malloc = self.malloc[1], slots[S_MALLOC]
        slots[S_ROWS] = self.rows[0]
        if self.rows[0] and self.tracked is None and not self.forked and len(sys.modules) == slots[S_MODULES]:
            # Once, for it takes some milliseconds, and writes to every object: a fork would copy all of its parent's.
            # What the first rows import is there by now.
            self.tracked = _count_objects()
        slots[S_MODULES] = len(sys.modules)
        arrow = self._arrow()
        if arrow is not None:
            slots[S_ARROW] = arrow
        # While the tracer looks, malloc has what its look takes for a moment.
        looking = self.tracer is not None and self.tracer.busy
        if self.mallinfo2 is not None and began >= self.malloc_due and not looking:
            # Of this alone: what is done once would keep it from being read for seconds.
            read = time.thread_time()
            # A walk that takes longer than a thread waits lets the program's threads go on.
            info = self.mallinfo2[self.malloc_cost > MOST_SECONDS and self.tracer is None]()
            used = info.sizes[7] + info.sizes[4]
            # In one go: the supervisor may look at any time.
            slots[S_MALLOC] = used if self.tracer is None else used - self.tracer.overhead.bytes()
            slots[S_MALLOC_READS] = max(0, slots[S_MALLOC_READS]) + 1
            self.malloc_cost = time.thread_time() - read
            self.malloc_due = began + self._until_malloc(began - self.began)
        if began >= self.python_due:
            looked = time.thread_time()
            size = self._python_bytes()
            slots[S_PYTHON] = size if size is not None else -1
            self._name()
            self.script = getattr(sys.modules.get("__main__"), "__file__", None) or self.script
            cost = (time.thread_time() - looked) * self.processes()
            self.python_due = began + max(1.0, cost / PYTHON_SHARE)
        if began >= self.running_due:
            self.running, self.running_due = self._functions(), began + RUNNING_SECONDS
        slots[S_TICKS] += 1
        slots[S_COST] += int((time.thread_time() - spent) * 1e9)
        if self.tracer is not None and self._is_alone():
            self.tracer.tick()

    def _find_mallinfo2(self) -> Any:
        try:
            with open("/proc/self/maps", errors="replace") as maps:
                if re.search(r"/lib(?:jemalloc|tcmalloc|mimalloc)[^/\n]*\.so", maps.read()):
                    # glibc's heap is not the one in use.
                    return None
            # The first keeps the interpreter to itself. Where allocations are traced, what the program's threads
            # allocate after it would be taken away with what tracing has in use, too.
            reads = ctypes.PyDLL(None).mallinfo2, self.libc.mallinfo2
        except (OSError, AttributeError):
            return None
        for read in reads:
            read.restype, read.argtypes = _Mallinfo2, []
        return reads

    def processes(self) -> int:
        """Returns how many share the time that readings may take."""
        return max(1, int(self.slots[S_PROCESSES]))

    def _until_malloc(self, age: float) -> float:
        """Returns seconds: it walks the free chunks, milliseconds on a torn heap, and then it is read less often."""
        processes = self.processes()
        if self.tracer is not None:
            return self.malloc_cost * processes / MALLOC_SHARE_TRACED
        least = min(MALLOC_SECONDS * processes, MOST_MALLOC_SECONDS, age / MALLOC_READS)
        return max(self.malloc_cost * processes / MALLOC_SHARE, least)

    def _python_bytes(self) -> int | None:
        """Reads the bytes in use by CPython's small objects; a millisecond for each 100 MB."""
        table = malloc_stats()
        return sum(int(width) * int(used) for width, used in SIZE_CLASS.findall(table or "")) or None

    def _arrow(self) -> int | None:
        """Reads the bytes in use in Arrow's pools, once the program has imported pyarrow itself."""
        if self.pools is None:
            module = sys.modules.get("pyarrow")
            spec = getattr(module, "__spec__", None)
            if module is None or getattr(spec, "_initializing", False):
                return None
            try:
                backends = module.supported_memory_backends()
                self.pools = [getattr(module, name + "_memory_pool")() for name in backends]
                default = module.default_memory_pool().backend_name
                self.slots[S_ARROW_IS_MALLOC] = 1 if default == "system" else 0
            except Exception:
                self.pools = []
        return sum(pool.bytes_allocated() for pool in self.pools) if self.pools else None

    def _functions(self) -> set[tuple[str, str, int]]:
        """Returns what runs now, but for this thread; nothing where there are other interpreters."""
        found: set[tuple[str, str, int]] = set()
        if not self._is_alone():
            # CPython 3.13 gives their frames too, which are none of this one's to touch.
            return found
        for thread, top in sys._current_frames().items():
            frame: Any = top if thread != _thread.get_ident() else None
            while frame is not None:
                code = frame.f_code
                found.add((code.co_filename, code.co_name, code.co_firstlineno))
                frame = frame.f_back
        return found

    def _is_alone(self) -> bool:
        """Tells whether this is the one interpreter of the process."""
        return not self.interpreters.PyInterpreterState_Next(self.interpreters.PyInterpreterState_Head())

    def _name(self) -> None:
        """Writes what the process is for, where a library has told it."""
        role = ""
        worker = getattr(sys.modules.get("torch.utils.data._utils.worker"), "_worker_info", None)
        if worker is not None:
            role = "DataLoader worker %s" % worker.id
        else:
            for package, kind in (
                ("multiprocess.process", "map worker"),
                ("multiprocessing.process", "worker"),
            ):
                process = getattr(sys.modules.get(package), "_current_process", None)
                if process is not None and getattr(process, "_parent_pid", None) is not None:
                    if kind == "map worker" and "datasets" not in sys.modules:
                        kind = "worker"
                    identity = getattr(process, "_identity", None) or (0,)
                    role = "%s %d" % (kind, identity[-1] - 1)
        self.role.value = role.encode()[: ROLE_BYTES - 1]

    def before_fork(self) -> None:
        """Ends the thread: a fork must not find a second one."""
        self.forking.append(None)
        self.thread.end()

    def after_fork_in_parent(self) -> None:
        """Goes on, once the last of the forks that are being made is made."""
        try:
            _expect_our_thread_at_forks()
        except Exception:
            # It imports what a program that is out of descriptors cannot.
            if os.environ.get("HFMEMDEBUG_RUN_DEBUG"):
                raise
        self.forking.pop()
        if self.pid and not self.forking:
            self.thread.begin(self.read, INTERVAL)

    def after_fork_in_child(self) -> None:
        """Begins anew: the thread and the page are the parent's."""
        self.forking = []
        self.thread.forget()
        processes = self.processes()
        self.rows[0] = 0
        self.began = self.now()
        self.malloc_due = self.python_due = 0.0
        self.tracked, self.forked = None, True
        self.marked = 0.5
        if self.tracer is not None:
            self.tracer.begin()
        try:
            self.open()
            if not self.slots[S_PROCESSES]:
                # Until the supervisor says so.
                self.slots[S_PROCESSES] = processes + 1
            self.read()
            self.thread.begin(self.read, INTERVAL)
        except OSError:
            # Its parent's page is not its own to write to.
            self.pid = 0
            self.slots, self.role = (ctypes.c_int64 * SLOTS)(), (ctypes.c_char * ROLE_BYTES)()
            return
        # Workers of multiprocessing and of multiprocess end without `atexit`.
        at_the_end = getattr(sys.modules.get("threading"), "_register_atexit", None)
        if at_the_end is not None:
            try:
                at_the_end(self.write_rows)
            except RuntimeError:
                # Forked by an interpreter that ends.
                pass

    def write_rows(self) -> None:
        """Writes how many rows there are by now."""
        self.slots[S_ROWS] = self.rows[0]

    def end(self) -> None:
        """Takes the last sample, and tells of what the program leaves behind."""
        if not self.pid:
            return
        self.thread.end()
        most, running, used = max(self.latest), self.running, self.slots[S_MALLOC]
        self.malloc_due = 0.0
        _try(self.read)
        # Most of what had come was in variables of functions that have returned meanwhile.
        back, freed = most - self.slots[S_BLOCKS], used - self.slots[S_MALLOC]
        returned = back >= LEAST_BLOCKS and back >= RETURNED_SHARE * (most - self.blocks[0])
        returned_bytes = freed >= LEAST_BYTES and freed >= RETURNED_SHARE * (used - self.malloc[0])
        self.slots[S_ENDING] = 1
        lived = self.now() - self.began > 2.0
        # What we make in asking would make the collector come, and take what is to be counted below.
        collects = lived and collector_runs()
        enabled = gc.isenabled()
        gc.disable()
        if self.tracer is not None:
            _try(self.tracer.end)
        more = sys.getallocatedblocks() - self.blocks[0]
        come = None if self.tracked is None else _count_objects() - self.tracked
        found = self._find_bounded(more, running, returned, freed if returned_bytes else 0) if lived else {}
        if enabled:
            gc.enable()
        if collects:
            # As the interpreter will do next: garbage that waited for its collector is no leak.
            garbage = _try(_hfmemdebug_atexit.collect_garbage, come, more < LEAST_BLOCKS)
            self.slots[S_GARBAGE] = -1 if garbage is None else garbage
        told = {what: things for what, things in found.items() if things}
        _try(_hfmemdebug_atexit.write_versions, self.folder, told)

    def _find_bounded(self, more: int, running: Any, returned: bool, freed: int) -> dict[str, Any]:
        """Tells what the program's code bounds, of what it may have filled.

        Args:
            more: Blocks that came.
            running: Functions that ran shortly before the end.
            returned: Whether most of the blocks were in variables of functions that have returned meanwhile.
            freed: Bytes of malloc's that were, where those were most of it, else 0.
        """
        found = {}
        # Each for itself: what one of them stumbles over in a program is none of the others'.
        if more >= LEAST_BLOCKS:
            found["caches"] = _try(_hfmemdebug_atexit.unfilled_caches, self.script)
        if returned and self.tracer is None:
            # A tracer has seen them while they were there.
            found["variables"] = _try(_hfmemdebug_atexit.bounded_variables, running, self.script)
        if self.slots[S_MALLOC] - self.malloc[0] >= LEAST_BYTES:
            found["values"] = _try(_hfmemdebug_atexit.values_to_cut, self.script)
        if freed:
            found["returned_values"] = _try(_hfmemdebug_atexit.returned_values, running, self.script, freed)
        return found


def _interpreters() -> Any:
    """C functions that tell interpreters from each other."""
    api = ctypes.PyDLL(None)
    for name in ("Main", "Head", "Next"):
        getattr(api, "PyInterpreterState_" + name).restype = ctypes.c_void_p
    api.PyInterpreterState_Next.argtypes = [ctypes.c_void_p]
    return api


def _is_main(api: Any) -> bool:
    """Tells whether this interpreter is the one that the program began in; the argument as `_interpreters` gives it."""
    # Since CPython 3.9, and before.
    get = getattr(api, "PyInterpreterState_Get", None) or api._PyInterpreterState_Get
    get.restype = ctypes.c_void_p
    return bool(get() == api.PyInterpreterState_Main())


def _expect_our_thread_at_forks() -> None:
    """Python from 3.12 on counts threads after a fork, when ours is there again, and would warn the program.

    It is not there while the fork is made. Where the program has threads of its own, the warning is for it.
    """
    threading = sys.modules.get("threading")
    if sys.version_info >= (3, 12) and (threading is None or len(threading._active) <= 1):
        import warnings

        message = r"This process \(pid=\d+\) is multi-threaded, use of (fork|forkpty)\(\)"
        warnings.filterwarnings("ignore", message, DeprecationWarning)


def start() -> None:
    """Begins to sample this process and those it forks."""
    folder = os.environ.get("HFMEMDEBUG_RUN")
    if not folder or sys.implementation.name != "cpython" or not sys.platform.startswith("linux"):
        return
    interpreters = _interpreters()
    if not _is_main(interpreters):
        # The page is the process's, and so are the counters.
        return
    sampler = _Sampler(folder, _hfmemdebug_hooks.rows, _hfmemdebug_hooks.thread, interpreters)
    if os.environ.get("HFMEMDEBUG_RUN_TRACE"):
        (trace_program,) = load("origin.trace_program")
        sampler.tracer = trace_program.Tracer(folder, sampler.rows)
        sampler.tracer.off = os.environ["HFMEMDEBUG_RUN_TRACE"] == CHILDREN_OF % os.getppid()
    sampler.open()
    sampler.read()
    sampler.thread.begin(sampler.read, INTERVAL)
    sys.meta_path.insert(0, _hfmemdebug_hooks.Hook())
    os.register_at_fork(
        before=sampler.before_fork,
        after_in_parent=sampler.after_fork_in_parent,
        after_in_child=sampler.after_fork_in_child,
    )
    # Registered first, so called last: the program has done all it wanted to.
    atexit.register(sampler.end)


def _try(function: Callable[..., Any], *arguments: Any) -> Any:
    """Returns what a function of ours says, and None where it fails: that is none of the program's business."""
    try:
        return function(*arguments)
    except Exception:
        if os.environ.get("HFMEMDEBUG_RUN_DEBUG"):
            raise
        return None


def _count_objects() -> int:
    """How many objects the collector looks after.

    Within one call of C code, for a thread that fills a tuple gets a SystemError where its list still refers to it.
    """
    return sum(map(len, map(gc.get_objects, [None])))
