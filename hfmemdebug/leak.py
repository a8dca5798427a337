"""Facts about a leak that was traced: the lines that allocate what stays, and what keeps it alive.

A decision reads the fields; the words (`Holder.path`) are made of them at the very end, for people.

`run --trace` takes this module into the program that it watches: CPython 3.8 and the standard library are all it
has there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

# Steps that are an entry of a container, and those that have a name in the code.
ENTRIES = frozenset({"key", "item"})
NAMED = frozenset({"name", "attribute", "closure", "local", "generator", "coroutine", "default"})


@dataclass(frozen=True)
class Line:
    """A line of a file.

    Attributes:
        file: Its path.
        line: The number, from 1.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"  # noqa: PTH119 (pathlib costs a program milliseconds)


@dataclass(frozen=True)
class Site:
    """A line that allocates memory which is not freed.

    Attributes:
        file: The file.
        line: The line.
        function: The function around it, qualified; None at module level or where the source cannot be read.
        kind: ``"python"`` or ``"native"``.
        bytes_per_iteration: What stays of it per iteration.
        count_per_iteration: Allocations, or things that it makes, per iteration; None where they were not counted.
        share: Its part of the leak, at most 1.
        in_library: Whether the line is Python's or an installed package's, because no frame is the user's.
        native_frames: The C functions below the line that memray has seen, the one that allocates first.
    """

    file: str
    line: int
    function: str | None
    kind: str
    bytes_per_iteration: float
    count_per_iteration: float | None = None
    share: float | None = None
    in_library: bool = False
    native_frames: tuple[str, ...] = ()

    @property
    def place(self) -> Line:
        """File and line."""
        return Line(self.file, self.line)

    def per(self, iterations: float) -> Site:
        """Returns the same per iteration, where what it says is of so many."""
        count = self.count_per_iteration
        return replace(
            self,
            bytes_per_iteration=self.bytes_per_iteration / iterations,
            count_per_iteration=None if count is None else count / iterations,
        )

    def rounded(self, whole: float | None = None) -> Site:
        """Returns the same with no more digits than mean something.

        Args:
            whole: Bytes per iteration of which its own are a share; None leaves the share as it is.
        """
        share = self.share if whole is None else self.bytes_per_iteration / whole
        return replace(
            self,
            bytes_per_iteration=round(self.bytes_per_iteration, 1),
            count_per_iteration=None
            if self.count_per_iteration is None
            else round(self.count_per_iteration, 3),
            share=None if share is None else round(min(share, 1.0), 3),
        )


@dataclass(frozen=True)
class Bound:
    """How much a container may hold at most.

    Attributes:
        capacity: The number.
        unit: What it counts: ``"entry"``, or what the code measures, as the code writes it (``self.bytes``).
        units_per_entry: How much of that an entry takes on average, where it does not count entries.
        bytes_per_entry: What an entry takes on average, or None where that is not known.
        ceiling_bytes: What the container takes when it is full, or None where that is not known.
        argument: The container's own argument that sets it: ``maxsize`` of an `lru_cache`, ``maxlen`` of a `deque`.
        where: The line of the user's code that enforces it; None where the container or a library does.
    """

    capacity: int
    unit: str = "entry"
    units_per_entry: float | None = None
    bytes_per_entry: float | None = None
    ceiling_bytes: int | None = None
    argument: str | None = None
    where: Line | None = None

    @property
    def entries(self) -> int:
        """For how many entries there is room, of the size of those that there are."""
        return int(self.capacity / self.units_per_entry) if self.units_per_entry else self.capacity

    @property
    def words(self) -> str:
        """``, bounded to 5,000 (train.py:12)``, to be put behind the container's name."""
        of = f" in `{self.unit}`" if self.unit != "entry" else ""
        return f", bounded to {self.capacity:,}{of}{f' ({self.where})' if self.where is not None else ''}"


@dataclass(frozen=True)
class Root:
    """Where a path begins.

    Attributes:
        kind: ``"module"``, ``"thread"`` (a local variable of a function that it runs) or ``"context"`` (a context
            variable).
        name: The module's or the thread's name; empty for a context variable.
        variable: Of a thread: the local variable.
        function: Of a thread: the function that has it.
    """

    kind: str
    name: str = ""
    variable: str | None = None
    function: str | None = None

    @property
    def words(self) -> str:
        """``module train``, or ``thread `worker`, local variable `seen` of `collect```."""
        if self.kind == "context":
            return "context variable"
        if self.kind == "module":
            return f"module {self.name}"
        return f"thread `{self.name}`, local variable `{self.variable}` of `{self.function}`"


@dataclass(frozen=True)
class Step:
    """One step on the way from a root to an object.

    Attributes:
        kind: ``"name"`` (in a module), ``"attribute"``, ``"link"`` (an attribute of the interpreter's, such as
            ``__context__``), ``"key"`` of a dictionary, ``"item"`` of a list, ``"closure"`` (a variable of it),
            ``"default"`` (of an argument), ``"argument"`` (of a `functools.partial`), or a local variable of a
            function that waits: ``"local"``, ``"generator"``, ``"coroutine"``.
        name: What it is called; of a key what it looks like, where it stands in the code and is no data.
        function: Of a local variable: whose.
    """

    kind: str
    name: str | None = None
    function: str | None = None

    @property
    def words(self) -> str:
        """As it stands in a path: ``.history``, ``[a key]``, ``, default of seen``."""
        if self.kind == "key":
            return f"[{'a key' if self.name is None else self.name}]"
        if self.kind == "closure":
            return f", closure variable {self.name}" if self.name is not None else ", a closure's variable"
        if self.kind in ("local", "generator", "coroutine"):
            waiting = "" if self.kind == "local" else f"the {self.kind} "
            return f", local variable {self.name} of {waiting}{self.function}"
        return {
            "item": "[…]",
            "argument": ", an argument of the partial",
            "default": f", default of {self.name}",
            "name": f"{self.name}",
        }.get(self.kind, f".{self.name}")


@dataclass(frozen=True)
class RootPath:
    """The way from a root to an object.

    Attributes:
        root: The root.
        steps: From the root down; none where the root is the object's own variable.
        type: The object's type: ``list``, ``lru_cache``, ``ndarray``.
        file: The file of the module at the root, or of the function whose variable it is, or None.
    """

    root: Root
    steps: tuple[Step, ...]
    type: str
    file: str | None = None

    @property
    def name(self) -> str | None:
        """The name nearest to the object (``history``), or None."""
        names = [step.name for step in self.steps if step.kind in NAMED and step.name is not None]
        return names[-1] if names else self.root.variable

    @property
    def place(self) -> tuple[Root, tuple[Step, ...]]:
        """The way without what is there: two objects with one place are one, or one in the other."""
        return self.root, self.steps

    @property
    def entry_depth(self) -> int:
        """How many times an entry of what has the name it is: 1 for ``metrics['loss']``."""
        depth = 0
        while depth < len(self.steps) and self.steps[-1 - depth].kind in ENTRIES:
            depth += 1
        return depth

    @property
    def named_steps(self) -> tuple[Step, ...]:
        """The steps without those at the end that are entries."""
        return self.steps[: len(self.steps) - self.entry_depth]

    @property
    def label(self) -> str:
        """The steps in words: ``trainer.history[…]``."""
        return "".join(step.words for step in self.steps).lstrip(", .")


@dataclass(frozen=True)
class Pins:
    """Views that keep much more memory than they show.

    Attributes:
        kind: Their type: ``ndarray``, ``Table``, ``memoryview``.
        used_bytes: What one of them shows, on average.
        held_bytes: What one of them keeps, on average.
    """

    kind: str
    used_bytes: int
    held_bytes: int


@dataclass(frozen=True)
class Holder:
    """The references that keep leaked memory alive.

    Attributes:
        kind: ``"container"`` (of items, or of bytes: a text, an array), ``"chain"`` (objects that hold each other,
            one of which the path leads to), ``"exceptions"`` (such a chain, with the variables of the tracebacks),
            ``"objects"`` (that no path leads to), ``"cycles"`` (that only the collector, which is off, would free),
            ``"threads"``, ``"atexit"`` (callbacks) or ``"frozen"`` (by `gc.freeze`).
        growth_per_iteration: In units.
        unit: What grows: ``item``, ``key``, ``entry``, ``attribute``, ``argument``, ``byte``, ``thread``,
            ``function``, ``object``; of a chain the type of its objects.
        at: The way to it from a root; None where there is none.
        retained_bytes: What it keeps alive, or None where that is not known.
        stored_at: The line that puts things into it, or None where that is not known.
        bound: How much it may hold, where it had not reached that.
        unreached: The condition under which the user's code takes something out of it, which was never met.
        bytes_per_iteration: What its growth takes, where it holds numbers and texts alone and has a bound.
        entries: How many there were at the end, where that is known.
        pins: What its items keep beside what they show.
        of: Of objects, cycles and threads: their type.
        running: Of threads: the function that the newest of them runs.
        running_at: ... and where.
    """

    kind: str
    growth_per_iteration: float
    unit: str
    at: RootPath | None = None
    retained_bytes: int | None = None
    stored_at: Line | None = None
    bound: Bound | None = None
    unreached: Line | None = None
    bytes_per_iteration: float | None = None
    entries: int | None = None
    pins: Pins | None = None
    of: str | None = None
    running: str | None = None
    running_at: Line | None = None

    @property
    def path(self) -> str:
        """The holder in words: ``module train: list `seen```."""
        words = self._words_at(self.at) if self.at is not None else self._words()
        if self.kind == "exceptions":
            words += ", a chain of exceptions, each with the local variables of its traceback"
        if self.bound is not None and self.bound.argument is None:
            words += self.bound.words
        if self.unreached is not None:
            words += f", emptied where a condition is met that was not ({self.unreached})"
        return words

    def _words_at(self, at: RootPath) -> str:
        what, label = at.type, f" `{at.label}`" if at.label else ""
        if self.unit == "attribute":
            what = "attributes of"
        elif self.bound is not None and self.bound.argument is not None:
            what += f" ({self.bound.argument}={self.bound.capacity})"
        elif what == "lru_cache":
            what += " (unbounded)"
        full = f", {self.entries:,} entries" if at.type == "lru_cache" and self.entries is not None else ""
        return f"{at.root.words}: {what}{label}{full}"

    def _words(self) -> str:
        if self.kind == "threads":
            where = f", in `{self.running}` ({self.running_at})" if self.running is not None else ""
            return (
                f"threads that do not end{where or (f', such as `{self.of}`' if self.of is not None else '')}"
            )
        return {
            "cycles": "reference cycles, which the collector would free if it were not off: objects of type "
            f"`{self.of}`",
            "atexit": "functions registered with `atexit`",
            "frozen": "objects that `gc.freeze()` keeps from the collector: cycles among them are never freed",
        }.get(self.kind, f"objects of type `{self.of}`")

    def to_dict(self) -> dict[str, Any]:
        """All fields, and the path in words, ready for `json.dumps`."""
        return {"path": self.path, **asdict(self)}


def merge_sites(sites: Iterable[Site]) -> list[Site]:
    """Adds up the sites of each line, in the order in which the lines come first."""
    found: dict[tuple[str, int], Site] = {}
    for site in sites:
        known = found.get((site.file, site.line))
        if known is not None:
            counts = (known.count_per_iteration, site.count_per_iteration)
            site = replace(
                known,
                bytes_per_iteration=known.bytes_per_iteration + site.bytes_per_iteration,
                count_per_iteration=None if None in counts else sum(counts),  # type: ignore[arg-type]
                share=(known.share or 0.0) + (site.share or 0.0),
            )
        found[site.file, site.line] = site
    return list(found.values())
