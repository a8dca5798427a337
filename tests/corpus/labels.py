"""The labels of the corpus: what is true of each program, read from its own header."""

from __future__ import annotations

import ast
import importlib.util
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Consumers, which `diagnose` feeds with slices, and whole programs, which `run` watches.
PROGRAMS = Path(__file__).parent / "programs"
WATCHED = Path(__file__).parent / "watched"
# The last one: the program has a function `rows` that returns an iterable, which is the dataset.
DATA = ("fixed", "varying", "numeric", "own")
VERDICTS = ("leak", "no-leak", "inconclusive")
CAUSES = (
    "python-objects",
    "native-heap",
    "arrow-pool",
    "shared-memory",
    "copy-on-write",
    "file-mapping",
    "anonymous-other",
)
BENIGN_CAUSES = ("mmap-file-pages", "allocator-retention", "bounded-cache", "step")
FIELDS = (
    "verdict",
    "cause",
    "origin",
    "site",
    "holder",
    "rate",
    "finding",
    "data",
    "options",
    "command",
    "process",
    "status",
    "libraries",
    "fast",
    "why",
)


@dataclass(frozen=True)
class Label:
    """One program and what is true of it.

    Attributes:
        path: The program.
        verdicts: Verdicts that are right; the first is the truth, ``inconclusive`` after it is accepted too. Of
            a program that died before anything could be told, ``inconclusive`` is the truth.
        causes: Causes that are right for a leak; several where a person would accept either.
        origin: Whose leak it is, or None; only an experiment tells.
        sites: ``FILE.py:LINE`` of the allocations that leak. None where no line of the program allocates
            what stays (the slice itself, what a library makes).
        holder: A word that the path to what holds the leak contains, or None.
        rate: Bytes a slice that stay, as measured without hfmemdebug; None where there is no one rate.
        findings: Causes of which one should be among the benign findings, where the program grows visibly.
        data: Which dataset it is fed from: one of `DATA`.
        options: Further options of the command.
        command: Of a whole program: what `run` is given, with ``{python}``, ``{program}`` and ``{data}``.
        process: Of a whole program: what the summary calls the process that leaks, or None.
        status: The exit status where it is not the verdict's, or None.
        libraries: What has to be importable beyond the core dependencies.
        fast: It belongs to the fast selection.
        why: One sentence.
    """

    path: Path
    verdicts: tuple[str, ...]
    causes: tuple[str, ...]
    origin: str | None
    sites: tuple[str, ...] | None
    holder: str | None
    rate: float | None
    findings: tuple[str, ...]
    data: str
    options: tuple[str, ...]
    command: tuple[str, ...]
    process: str | None
    status: int | None
    libraries: tuple[str, ...]
    fast: bool
    why: str

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def truth(self) -> str:
        return self.verdicts[0]

    @property
    def target(self) -> str | None:
        """What `--consumer` is told, or None: of an iterable, the program may be all that there is."""
        tree = ast.parse(self.path.read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        return f"{self.path}:consume" if "consume" in functions else None

    @property
    def watched(self) -> bool:
        """Whether it is a whole program, and no consumer."""
        return self.path.parent == WATCHED

    def missing_libraries(self) -> list[str]:
        return [name for name in self.libraries if importlib.util.find_spec(name) is None]


def read_label(path: Path) -> Label:
    """Reads the header of a program: the lines ``field: value`` of its docstring.

    Raises:
        ValueError: The header is not of that form, or says something that no label may say.
    """
    header = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    fields: dict[str, str] = {}
    for line in header.splitlines():
        field, colon, value = line.partition(": ")
        if not colon or field not in FIELDS or field in fields:
            raise ValueError(f"{path.name}: not a line of a label: {line!r}")
        fields[field] = value.strip()
    label = Label(
        path=path,
        verdicts=_either(fields.get("verdict")),
        causes=_either(fields.get("cause")),
        origin=fields.get("origin"),
        sites=tuple(fields["site"].split(", ")) if "site" in fields else None,
        holder=fields.get("holder"),
        rate=float(fields["rate"]) if "rate" in fields else None,
        findings=_either(fields.get("finding")),
        data=fields.get("data", "fixed"),
        options=tuple(shlex.split(fields.get("options", ""))),
        command=tuple(shlex.split(fields.get("command", "{program} {data}"))),
        process=fields.get("process"),
        status=int(fields["status"]) if "status" in fields else None,
        libraries=tuple(fields["libraries"].split(", ")) if "libraries" in fields else (),
        fast=fields.get("fast") == "yes",
        why=fields.get("why", ""),
    )
    _check(label)
    return label


def read_labels(folder: Path = PROGRAMS) -> list[Label]:
    """The labels of all programs of a folder, by name."""
    return [read_label(path) for path in sorted(folder.glob("*.py"))]


def _either(value: str | None) -> tuple[str, ...]:
    return tuple(value.split(" or ")) if value else ()


def _check(label: Label) -> None:
    problems: dict[str, Any] = {
        "verdict": not label.verdicts or not set(label.verdicts) <= set(VERDICTS),
        "verdict (leak or no-leak first)": label.truth == "inconclusive" and not label.watched,
        "verdict (both decisions)": {"leak", "no-leak"} <= set(label.verdicts),
        "cause": not set(label.causes) <= set(CAUSES) or (label.truth == "leak") != bool(label.causes),
        "origin": (label.truth == "leak" and not label.watched) != (label.origin in ("user-code", "library")),
        "finding": not set(label.findings) <= {*BENIGN_CAUSES, "copy-on-write"},
        "data": label.data not in DATA,
        "why": not label.why,
    }
    wrong = [field for field, is_wrong in problems.items() if is_wrong]
    if wrong:
        raise ValueError(f"{label.path.name}: wrong in its label: {', '.join(wrong)}")
