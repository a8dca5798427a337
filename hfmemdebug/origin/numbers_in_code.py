"""What a limit in somebody's code is as a number, as long as it is one number all the time.

`run` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import ast
import gc
import inspect
import operator
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

from ..leak import Step
from .containers import size_of

_CHANGING_CALLS = frozenset({"update", "setdefault", "pop", "popitem", "clear"})
_ARITHMETIC: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
}  # fmt: skip
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__"})


def number(node: ast.expr, owners: list[Any], tree: ast.AST, function: ast.AST, file: str) -> int | None:
    """What a limit is, as long as it is one number all the time."""
    if isinstance(node, ast.Constant):
        return plain(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        left, right = (number(side, owners, tree, function, file) for side in (node.left, node.right))
        try:
            return None if left is None or right is None else _ARITHMETIC[type(node.op)](left, right)
        except ZeroDivisionError:
            return None
    if isinstance(node, ast.Name) and _is_set_alike(node.id, tree):
        if not _is_local(function, node.id):
            return value_of(node, owners, file)
        given = [value for target, value in assigned_in(function) if is_name(target, node.id)]
        return plain(given[0].value) if given and isinstance(given[0], ast.Constant) else None
    if isinstance(node, ast.Attribute) and is_set_once(tree, node.attr):
        return value_of(node, owners, file)
    if isinstance(node, ast.Subscript) and _is_laid_out_once(node, tree, function):
        return value_of(node, owners, file)
    return None


def _is_set_alike(name: str, tree: ast.AST) -> bool:
    """Whether a name is assigned to once; what never is, was imported, or is an argument of a function around.

    What is given to an argument is not known, and less so where that is set as well.
    """
    times = _times_set(tree, name)
    if times != 1:
        return times == 0
    arguments = (n.arg for n in ast.walk(tree) if isinstance(n, ast.arg))
    return name not in arguments and any(is_name(target, name) for target, _ in assigned_in(tree))


def assigned_in(function: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What is assigned to what: ``most, texts = 1000, {}`` are two."""
    for node in ast.walk(function):
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            yield node.target, node.value
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _one_by_one(target, node.value)


def _one_by_one(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if not isinstance(target, ast.Tuple) or not isinstance(value, ast.Tuple):
        return [(target, value)]
    if any(isinstance(each, ast.Starred) for each in (*target.elts, *value.elts)):
        return []
    return [(each, value.elts[place]) for place, each in enumerate(target.elts)]


def _is_laid_out_once(setting: ast.Subscript, tree: ast.AST, function: ast.AST) -> bool:
    """Whether nothing changes a configuration, or an entry of it, once it is there."""
    base: ast.expr = setting
    while isinstance(base, ast.Subscript):
        base = base.value
    if not isinstance(base, ast.Name) or _times_set(tree, base.id) != 1 or _is_local(function, base.id):
        return False
    for node in ast.walk(tree):
        changed = (
            node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else node
        )
        inside = isinstance(changed, ast.Subscript) and not isinstance(changed.ctx, ast.Load)
        if not inside and not (isinstance(node, ast.Call) and called(node) in _CHANGING_CALLS):
            continue
        while isinstance(changed, ast.Subscript):
            changed = changed.value
        if is_name(changed, base.id):
            return False
    return True


def value_of(node: ast.expr, owners: list[Any], file: str) -> int | None:
    """What a variable of the module, or an attribute beside the container, is now, or how long that is."""
    if isinstance(node, ast.Call):
        return next(
            (n for each in _named(node.args[0], owners, file) if (n := size_of(each)) is not None), None
        )
    return next((n for each in _named(node, owners, file) if (n := plain(each)) is not None), None)


def _named(node: ast.expr, owners: list[Any], file: str) -> list[Any]:
    """What has a name in the module, or beside the container, or an entry of that."""
    if isinstance(node, ast.Subscript):
        key = key_of(node)
        if not isinstance(key, ast.Constant):
            return []
        found = _named(node.value, owners, file)
        return [each[key.value] for each in found if type(each) is dict and key.value in each]
    if isinstance(node, ast.Attribute):
        named = value_in_module(node.value.id, file) if isinstance(node.value, ast.Name) else None
        return [attribute(owner, node.attr) for owner in (*owners, *([] if named is None else [named]))]
    if isinstance(node, ast.Name):
        return [*_in_closures(node.id, owners), value_in_module(node.id, file)]
    return []


def _in_closures(name: str, owners: list[Any]) -> Iterator[Any]:
    """What some functions have as a variable of one around them."""
    for owner in owners:
        if type(owner) is types.FunctionType and name in owner.__code__.co_freevars:
            cells = owner.__closure__ or ()
            try:
                yield cells[owner.__code__.co_freevars.index(name)].cell_contents
            except (IndexError, ValueError):
                # It has none yet.
                continue


def value_in_module(name: str, file: str) -> Any:
    """What the module of a file has under a name; None where there is nothing."""
    module = next((m for m in loaded_modules() if file_of_module(m) == file), None)
    return vars(module).get(name) if module is not None else None


def loaded_modules() -> list[types.ModuleType]:
    """Those that are loaded: one of a type of its own may be loaded by being asked for anything."""
    return [module for module in list(sys.modules.values()) if type(module) is types.ModuleType]


def file_of_module(module: Any) -> str | None:
    """A module's file, by its own dictionary: a ``__getattr__`` of its own is not asked."""
    file = vars(module).get("__file__") if type(module) is types.ModuleType else None
    return file if type(file) is str else None


def key_of(node: ast.Subscript) -> ast.AST:
    """What stands in the brackets; until Python 3.9 there is something around it."""
    return getattr(node.slice, "value", node.slice) if type(node.slice).__name__ == "Index" else node.slice


def value_at(steps: tuple[Step, ...], file: str) -> Any:
    """Returns what a module has under a name, perhaps with attributes behind it (``store.items``); else None."""
    if not steps or steps[0].kind != "name" or any(step.kind != "attribute" for step in steps[1:]):
        return None
    value = value_in_module(str(steps[0].name), file)
    for step in steps[1:]:
        value = attribute(value, str(step.name))
    return value


def _times_set(tree: ast.AST, name: str) -> int:
    return sum(
        isinstance(n, ast.Name) and n.id == name and not isinstance(n.ctx, ast.Load) for n in ast.walk(tree)
    )


def _is_local(function: ast.AST, name: str) -> bool:
    return isinstance(function, FUNCTION) and any(
        (isinstance(n, ast.arg) and n.arg == name)
        or (isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store))
        for n in ast.walk(function)
    )


def is_set_once(tree: ast.AST, attribute: str) -> bool:
    """Whether nothing but a constructor sets an attribute."""

    def is_set(node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Attribute) and node.attr == attribute and not isinstance(node.ctx, ast.Load)
        )

    makers = [f for f in functions_in(tree) if f.name in CONSTRUCTORS]
    in_makers = {id(n) for maker in makers for n in ast.walk(maker) if is_set(n)}
    return all(id(n) in in_makers for n in ast.walk(tree) if is_set(n))


# What refers to it without having it as an attribute.
_NO_OWNER = (list, tuple, set, types.FrameType, types.ModuleType)
# The steps of a path stay until the collector comes; and a program that `run` watches has modules of ours in it.
_OURS = ("hfmemdebug.", "_hfmemdebug")
# What more of them refer to is nobody's own.
_MOST_DICTIONARIES = 50


def owners_of(thing: Any) -> list[Any]:
    """The objects that have it as an attribute, and the functions that have it as a variable of one around them."""
    found, dictionaries, closures = [], [], []
    modules = {id(vars(module)) for module in loaded_modules()}
    for referrer in gc.get_referrers(thing):
        if id(referrer) in modules:
            continue
        if type(referrer) is dict:
            dictionaries.append(referrer)
        elif type(referrer) is types.CellType:
            closures += [each for each in gc.get_referrers(referrer) if type(each) is tuple]
        elif not issubclass(type(referrer), _NO_OWNER):
            found.append(referrer)
    if dictionaries and len(dictionaries) <= _MOST_DICTIONARIES:
        ours = {id(each) for each in dictionaries}
        found += [r for r in gc.get_referrers(*dictionaries) if id(own_dictionary(r)) in ours]
    if closures:
        found += [each for each in gc.get_referrers(*closures) if type(each) is types.FunctionType]
    return [each for each in found if not _module_of(each).startswith(_OURS)]


def own_dictionary(thing: Any) -> dict[Any, Any] | None:
    """An object's attributes, where nobody's code has to run for them."""
    for kind in type(thing).__mro__:
        descriptor = vars(kind).get("__dict__")
        if descriptor is not None:
            given = descriptor.__get__(thing) if type(descriptor) is types.GetSetDescriptorType else None
            return given if type(given) is dict else None
    return None


def _module_of(thing: Any) -> str:
    """The module of an object's class, or of a function."""
    return str((thing if type(thing) is types.FunctionType else type(thing)).__module__)


def attribute(owner: Any, name: str) -> Any:
    """What an object, or its class, has under a name; nobody's property is asked."""
    value = inspect.getattr_static(owner, name, None)
    if isinstance(value, types.MemberDescriptorType):
        value = value.__get__(owner, type(owner))
    return value


def plain(value: Any) -> int | None:
    """A whole number, also where it is written as a float; None for anything else."""
    if type(value) is float and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def functions_in(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods of some code."""
    return (node for node in ast.walk(tree) if isinstance(node, FUNCTION))


def first_line(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """With its decorators, as its code object says it."""
    return min([function.lineno, *(each.lineno for each in function.decorator_list)])


def is_name(node: ast.AST, name: str) -> bool:
    """Whether a piece of code is this name alone."""
    return isinstance(node, ast.Name) and node.id == name


def called(call: ast.Call) -> str | None:
    """The last part of the name of what is called."""
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
