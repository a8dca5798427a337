"""What code takes out of a container that it has a name for.

`run` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .numbers_in_code import called, functions_in, is_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Function = ast.FunctionDef | ast.AsyncFunctionDef
    Test = Callable[[ast.AST], bool]

_REMOVING_CALLS = frozenset({"pop", "popitem", "popleft", "clear", "remove", "discard", "move_to_end"})
_REMOVING_FUNCTIONS = frozenset({"heappop"})
# What has all that it is given.
_SAME = frozenset({"sorted", "list", "tuple", "dict", "set", "copy", "deepcopy", "array", "asarray"})
# An entry, as ``cache[key]`` is.
_FINDING_CALLS = frozenset({"get", "setdefault"})


def test_of(name: str, tree: ast.AST, *, inside: bool, depth: int) -> Test:
    """Tells which pieces of the code stand for a container.

    Args:
        name: The name of it, or of the one that has it as an entry.
        tree: The code.
        inside: Whether the name is an attribute's: what is another object's is not reached by its bare name.
        depth: How many times an entry of what has the name: 1 for ``metrics["loss"]``.
    """

    def named(node: ast.AST) -> bool:
        return (not inside and is_name(node, name)) or (isinstance(node, ast.Attribute) and node.attr == name)

    def itself(node: ast.AST) -> bool:
        for _ in range(depth):
            if isinstance(node, ast.Subscript):
                node = node.value
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr not in _FINDING_CALLS:
                    return False
                node = node.func.value
            else:
                return False
        return named(node)

    others = {id(node) for node in _other_names(itself, tree)}

    def known(node: ast.AST) -> bool:
        return itself(node) or id(node) in others

    handed = _handed_on(known, tree)
    return lambda node: known(node) or id(node) in handed


def test_of_local(name: str, function: ast.AST, tree: ast.AST) -> Test:
    """Tells which pieces of the code stand for what a variable of one function has."""
    own = {id(node) for node in ast.walk(function) if is_name(node, name)}
    handed = _handed_on(lambda node: id(node) in own, tree)
    return lambda node: id(node) in own or id(node) in handed


def _other_names(itself: Test, tree: ast.AST) -> Iterator[ast.AST]:
    """A variable that a function gives it, and nothing else: ``items = self.items``."""
    for function in functions_in(tree):
        given: dict[str, list[ast.expr | None]] = {}
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
            ):
                given.setdefault(node.targets[0].id, []).append(node.value)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                given.setdefault(node.id, []).append(None)
        # An assignment is met twice, as itself and as the name that it stores to.
        for name, values in given.items():
            if len(values) == 2 and any(value is not None and itself(value) for value in values):
                yield from (node for node in ast.walk(function) if is_name(node, name))


def _handed_on(itself: Test, tree: ast.AST) -> set[int]:
    """The names that it has in functions of the file that it is handed to."""
    found: set[int] = set()
    functions = {function.name: function for function in functions_in(tree)}
    for call in ast.walk(tree):
        function = functions.get(called(call) or "") if isinstance(call, ast.Call) else None
        if function is None or not isinstance(call, ast.Call):
            continue
        names = [each.arg for each in function.args.args]
        # A method's first one is the object.
        names = names[1:] if isinstance(call.func, ast.Attribute) else names
        taken = [name for place, name in enumerate(names[: len(call.args)]) if itself(call.args[place])]
        for name in taken:
            found |= {id(node) for node in ast.walk(function) if is_name(node, name)}
    return found


def is_length(node: ast.AST, is_it: Test) -> bool:
    """``len(cache)``, and of a file in memory ``buffer.tell()``."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute):
        return node.func.attr == "tell" and not node.args and is_it(node.func.value)
    return is_name(node.func, "len") and len(node.args) == 1 and is_it(node.args[0])


def has_a_name(node: ast.AST) -> bool:
    """A variable or an attribute."""
    return isinstance(node, (ast.Name, ast.Attribute))


def empties(statement: ast.AST, is_it: Test, functions: Mapping[str, list[Function]]) -> bool:
    """Whether a statement takes something out of it, itself or in a function of the file that it calls.

    Args:
        statement: The statement.
        is_it: Tells what in the code stands for the container.
        functions: Those of the file by their names.
    """
    for node in ast.walk(statement):
        if isinstance(node, ast.Delete):
            if any(isinstance(t, ast.Subscript) and is_it(t.value) for t in node.targets):
                return True
        elif isinstance(node, ast.Assign):
            if any(is_laid_anew(target, is_it) for target in node.targets) and not _has_all(
                node.value, is_it
            ):
                return True
        elif isinstance(node, ast.Call):
            function, name = node.func, called(node)
            if isinstance(function, ast.Attribute) and name in _REMOVING_CALLS and is_it(function.value):
                return True
            if isinstance(function, ast.Attribute) and is_it(function.value) and _begins_anew(node):
                return True
            if name in _REMOVING_FUNCTIONS and node.args and is_it(node.args[0]):
                return True
            if any(empties(each, is_it, {}) for each in functions.get(name or "", ())):
                return True
    return False


def _begins_anew(call: ast.Call) -> bool:
    """``seek(0)`` and ``truncate(0)``: without a place what is behind it is cut, which is nothing."""
    at_the_beginning = [isinstance(each, ast.Constant) and each.value == 0 for each in call.args]
    return called(call) in ("seek", "truncate") and at_the_beginning == [True]


def _has_all(value: ast.expr, is_it: Test) -> bool:
    """``sorted(log)``: nothing was taken out."""
    if isinstance(value, ast.Call) and called(value) in _SAME and len(value.args) == 1:
        return _has_all(value.args[0], is_it)
    return is_it(value)


def empties_wholly(statement: ast.stmt, is_it: Test) -> bool:
    """``metrics.clear()`` and ``metrics = []``: nothing stays."""
    if isinstance(statement, ast.Assign):
        return any(is_it(target) for target in statement.targets)
    call = (
        statement.value.func
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
        else None
    )
    return isinstance(call, ast.Attribute) and call.attr == "clear" and is_it(call.value)


def is_laid_anew(target: ast.expr, is_it: Test) -> bool:
    """``cache = …``, ``cache[:10] = …`` and ``young, old = …``."""
    if isinstance(target, ast.Tuple):
        return any(is_laid_anew(each, is_it) for each in target.elts)
    return is_it(
        target.value if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice) else target
    )
