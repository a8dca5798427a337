"""The user's own code on a command line: ``FILE.py:FUNC`` or ``MODULE:FUNC``."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from hfmemdebug.errors import InputError, UsageError


def split_target(target: str, option: str = "--consumer ") -> tuple[str, str]:
    """Takes ``FILE.py:FUNC`` or ``MODULE:FUNC`` apart.

    Args:
        target: What was typed.
        option: What stands before it in an error.

    Raises:
        UsageError: It is neither.
        InputError: There is no such file.
    """
    place, colon, function = target.rpartition(":")
    if not colon or not place or not function.isidentifier():
        raise UsageError(
            f"{option}{target}: not of the form FILE.py:FUNC or MODULE:FUNC",
            next=f"For example {option}train.py:on_batch.",
        )
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise InputError(f"{option}{target}: there is no file {place}")
    elif not _is_module_name(place):
        raise UsageError(
            f"{option}{target}: {place} is neither a .py file nor the name of a module",
            next=f"For example {option}train.py:on_batch.",
        )
    return place, function


def is_target(name: str) -> bool:
    """Returns True if a text has the form of ``FILE.py:FUNC`` or ``MODULE:FUNC``."""
    place, colon, function = name.rpartition(":")
    return bool(colon) and function.isidentifier() and (place.endswith(".py") or _is_module_name(place))


def _is_module_name(place: str) -> bool:
    return all(part.isidentifier() for part in place.split("."))


def import_target(target: str, option: str = "--consumer ") -> tuple[Callable[..., Any], ModuleType]:
    """Imports the user's code. Its own errors on import are passed on as they are.

    Args:
        target: ``FILE.py:FUNC`` or ``MODULE:FUNC``.
        option: What stands before it in an error.

    Returns:
        The function, and the module that it is in.

    Raises:
        UsageError: The target is not of the form that is wanted.
        InputError: There is no such file, module or function.
    """
    place, function = split_target(target, option)
    if place.endswith(".py"):
        module = _import_file(Path(place))
    else:
        module = _import_module(place, f"{option}{target}")
    call = getattr(module, function, None)
    if not callable(call):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise InputError(
            f"{option}{target}: {place} has no function {function}",
            next=f"It has: {', '.join(sorted(names)[:8])}." if names else None,
        )
    return call, module


def _import_file(path: Path) -> ModuleType:
    name, folder = path.stem, str(path.resolve().parent)
    for loaded in filter(None, (sys.modules.get(name), sys.modules.get(f"consumer_{os.getpid()}"))):
        # The rows and the consumer may be two functions of one file, which then share what it holds.
        if Path(getattr(loaded, "__file__", None) or "/").resolve() == path.resolve():
            return loaded
    if name.isidentifier() and not _is_taken(name, path):
        # As `python FILE.py` would: what lies beside the file comes before what is installed.
        sys.path.insert(0, folder)
    else:
        # A numpy.py must not become everybody's numpy.
        sys.path.append(folder)
        name = f"consumer_{os.getpid()}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _is_taken(name: str, path: Path) -> bool:
    """Returns True if another file's module has that name: imported, or to be imported."""
    if name in sys.modules:
        return True
    found = importlib.util.find_spec(name)
    return found is not None and found.origin != str(path.resolve())


def _import_module(name: str, target: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise InputError(
                f"{target}: there is no module {name}",
                next="Start where it can be imported from, or give FILE.py:FUNC.",
            ) from error
        raise
