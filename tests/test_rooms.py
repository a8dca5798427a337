"""The rooms of the package: imports run downwards, nothing goes round in a circle, a base name means one job.

The list of exceptions is exact: an entry that is no longer needed fails too.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "hfmemdebug"
# From above to below. A room may import those below its own, and a package's own modules each other.
ROOMS = (
    ("__main__",),
    ("__init__", "cli", "integrations"),
    ("render",),
    ("measure",),
    ("analysis",),
    ("workload",),
    ("supervise",),
    ("data",),
    ("origin",),
    ("probes",),
    ("inject",),
    ("recording",),
    ("result",),
    ("decode", "leak", "units", "user_code"),
    ("errors",),
    ("_version",),
)
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}

# Files of one name that do the same job for two subjects, with the reason.
NAMESAKES = {
    "attach.py": "the command, and what it measures",
    "diagnose.py": "the command, and what it measures",
    "fit.py": "the command, and the search",
    "profile.py": "the command, and what it measures",
    "program.py": "a program that is watched: measured, and judged",
    "ranks.py": "ranks of a job: recorded, judged, and merged by a command",
    "words.py": "sentences: of a verdict, and of a report",
}


def modules() -> dict[str, Path]:
    """Every module of the package by its name without ``hfmemdebug.``; packages by their folder's."""
    paths = sorted(PACKAGE.rglob("*.py"))
    names = {path: ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in paths}
    return {name.removesuffix(".__init__"): path for path, name in names.items()}


def imports() -> dict[str, set[str]]:
    """What each module imports of the package, in functions and for type checkers too."""
    known = modules()
    return {name: set(_imported(name, path, known)) - {name} for name, path in known.items()}


def _imported(name: str, path: Path, known: dict[str, Path]) -> list[str]:
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            begin = ["hfmemdebug", *above] if node.level else []
            source = ".".join([*begin, *([node.module] if node.module else [])])
            # `from hfmemdebug.origin import paths` names a module, `from hfmemdebug.errors import DataError` none.
            found += [
                whole if whole.removeprefix("hfmemdebug.") in known else source
                for whole in (f"{source}.{alias.name}" for alias in node.names)
            ]
    ours = [each for each in found if each.partition(".")[0] == "hfmemdebug"]
    return [each.partition(".")[2] or "__init__" for each in ours]


def room(module: str) -> str:
    return module.partition(".")[0]


def test_every_room_has_its_place() -> None:
    assert {room(name) for name in modules()} == set(LEVEL)


def test_imports_run_downwards() -> None:
    upwards = {
        (name, imported)
        for name, all_imported in imports().items()
        for imported in all_imported
        if room(name) != room(imported) and LEVEL[room(imported)] <= LEVEL[room(name)]
    }
    assert upwards == set()


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = imports()
    assert {name for name in graph if name in _reached_from(name, graph)} == set()


def _reached_from(name: str, graph: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = set(graph[name])
    while waiting:
        reached |= waiting
        waiting = set().union(*(graph[each] for each in waiting)) - reached
    return reached


def test_a_base_name_means_one_job() -> None:
    by_name = defaultdict(list)
    for path in modules().values():
        by_name[path.name].append(path)
    several = {name for name, paths in by_name.items() if len(paths) > 1} - {"__init__.py"}
    assert several == set(NAMESAKES)
