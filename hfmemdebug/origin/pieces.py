"""The code of the user's that has a container in hand: where it has a name, in the classes whose it is, and in
functions of other files that it is handed to.

`run` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..leak import NAMED, RootPath
from .emptying import test_of
from .numbers_in_code import (
    called,
    file_of_module,
    first_line,
    functions_in,
    is_name,
    value_in_module,
)
from .sites import is_library
from .source import tree_of

if TYPE_CHECKING:
    from .emptying import Test


_RUNNING_CALLS = frozenset({"Thread", "Timer", "submit", "call_later", "start_new_thread"})


@dataclass(frozen=True)
class Piece:
    """Code of one file.

    Attributes:
        file: The file.
        tree: All of its code.
        is_it: Tells what in the code stands for the container.
        left_out: Methods of other classes, by identity: what has the same name there is another one.
    """

    file: str
    tree: ast.Module
    is_it: Test
    left_out: frozenset[int]

    @functools.cached_property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """All functions and methods that may mean the container by its name."""
        return [function for function in functions_in(self.tree) if id(function) not in self.left_out]

    @functools.cached_property
    def by_name(self) -> dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]]:
        """All functions and methods of the file by their names."""
        found: dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]] = {}
        for function in functions_in(self.tree):
            found.setdefault(function.name, []).append(function)
        return found

    @functools.cached_property
    def beside(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Those that a thread or a timer runs."""
        names: set[str | None] = set()
        methods: set[int] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and called(node) in _RUNNING_CALLS:
                given = [*node.args, *(word.value for word in node.keywords)]
                names |= {getattr(each, "id", getattr(each, "attr", None)) for each in given}
            elif isinstance(node, ast.ClassDef) and any(
                "Thread" in (getattr(b, "id", None), getattr(b, "attr", None)) for b in node.bases
            ):
                methods |= {id(each) for each in node.body if getattr(each, "name", None) == "run"}
        return [each for each in self.functions if each.name in names or id(each) in methods]


def pieces_of(path: RootPath, owners: Sequence[Any], *, depth: int | None = None) -> list[Piece]:
    """The user's code for a container, that of the file where it has its name first; none where that is a library's.

    Args:
        path: The way to it.
        owners: The objects that have it as an attribute.
        depth: Not it, but one around it: how many times an entry of what has the name that is.
    """
    trees: dict[str, ast.Module] = {}
    named, name = path.named_steps, path.name
    last = named[-1].name if named and named[-1].kind in NAMED else path.root.variable if not named else None
    if name is None or last != name or _parsed(path.file, trees) is None:
        return []
    depth = path.entry_depth if depth is None else depth
    inside = bool(named) and named[-1].kind == "attribute"
    kinds: list[type] = []
    if inside:
        kinds = [kind for each in owners for kind in (each if isinstance(each, type) else type(each)).__mro__]
    classes = frozenset(kind.__name__ for kind in kinds if kind is not object)
    for kind in kinds:
        _parsed(file_of(kind), trees)
    found = [
        Piece(each, code, test_of(name, code, inside=inside, depth=depth), _methods_of_others(code, classes))
        for each, code in trees.items()
    ]
    return [*found, *(handed for piece in found for handed in _handed_on(piece, trees))]


def users_tree(file: str | None) -> ast.Module | None:
    """The code of a file of the user's; None where it is a library's, or cannot be read."""
    return tree_of(file) if file is not None and not is_library(file) else None


def _parsed(file: str | None, trees: dict[str, ast.Module]) -> ast.Module | None:
    """The same, each file once."""
    if file is not None and file not in trees and (tree := users_tree(file)) is not None:
        trees[file] = tree
    return trees.get(file or "")


def _methods_of_others(tree: ast.Module, classes: frozenset[str]) -> frozenset[int]:
    """All methods of classes that are none of the owner's; none where nobody knows whose it is."""
    return frozenset(
        id(method)
        for each in ast.walk(tree)
        if isinstance(each, ast.ClassDef) and classes and each.name not in classes
        for method in each.body
    )


def _handed_on(piece: Piece, trees: dict[str, ast.Module]) -> Iterator[Piece]:
    """Functions of other files of the user's that are called with it, each once."""
    seen: set[tuple[types.CodeType, frozenset[str | None]]] = set()
    for call in ast.walk(piece.tree):
        if not isinstance(call, ast.Call):
            continue
        places = [place for place, argument in enumerate(call.args) if piece.is_it(argument)]
        names = [word.arg for word in call.keywords if piece.is_it(word.value)]
        if not places and not names:
            continue
        function, is_method = _what_is_called(call.func, piece.file)
        if function is None or (file := function.__code__.co_filename) == piece.file:
            continue
        tree = _parsed(file, trees)
        defined = _definition(function, tree) if tree is not None else None
        if tree is None or defined is None:
            continue
        parameters = [each.arg for each in (*defined.args.posonlyargs, *defined.args.args)][is_method:]
        taken = frozenset([*names, *(parameters[place] for place in places if place < len(parameters))])
        if (function.__code__, taken) in seen:
            continue
        seen.add((function.__code__, taken))
        nodes = {id(node) for node in ast.walk(defined) if any(is_name(node, n) for n in taken if n)}
        yield Piece(file, tree, lambda node, nodes=nodes: id(node) in nodes, frozenset())  # type: ignore[misc]


def _what_is_called(function: ast.expr, file: str) -> tuple[types.FunctionType | None, bool]:
    """The function that a name of a module leads to, and whether an object is its first argument."""
    value: Any = None
    is_method = False
    if isinstance(function, ast.Name):
        value = value_in_module(function.id, file)
    elif isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        owner = value_in_module(function.value.id, file)
        if owner is not None:
            value = inspect.getattr_static(owner, function.attr, None)
            is_method = not issubclass(type(owner), (types.ModuleType, type))
    return (value, is_method) if isinstance(value, types.FunctionType) else (None, False)


def _definition(
    function: types.FunctionType, tree: ast.Module
) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    code = function.__code__
    for node in functions_in(tree):
        if node.name == code.co_name and first_line(node) == code.co_firstlineno:
            return node
    return None


def file_of(kind: type) -> str | None:
    """The file of the module in which a class is defined; None where there is none."""
    return file_of_module(sys.modules.get(str(kind.__module__)))
