"""The user's own code: a function that is called with each slice."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hfmemdebug.errors import InputError, UsageError


@dataclass(frozen=True)
class Consumer:
    """A loaded consumer.

    Attributes:
        call: The function, called with each slice.
        setup: Called once before the warm-up, or None.
        teardown: Called once at the end, or None.
    """

    call: Callable[[Any], Any]
    setup: Callable[[], Any] | None
    teardown: Callable[[], Any] | None


def split_target(target: str) -> tuple[str, str]:
    """Takes ``FILE.py:FUNC`` or ``MODULE:FUNC`` apart.

    Raises:
        UsageError: It is neither.
    """
    place, colon, function = target.rpartition(":")
    if not colon or not place or not function.isidentifier():
        raise UsageError(
            f"--consumer {target}: not of the form FILE.py:FUNC or MODULE:FUNC",
            next="For example --consumer train.py:on_batch.",
        )
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise InputError(f"--consumer {target}: there is no file {place}")
    elif not all(part.isidentifier() for part in place.split(".")):
        raise UsageError(
            f"--consumer {target}: {place} is neither a .py file nor the name of a module",
            next="For example --consumer train.py:on_batch.",
        )
    return place, function


def load_consumer(target: str) -> Consumer:
    """Imports the user's code. Its own errors on import are passed on as they are.

    Raises:
        UsageError: The target is not of the form that is wanted.
        InputError: There is no such file, module or function.
    """
    place, function = split_target(target)
    module = _import_file(Path(place)) if place.endswith(".py") else _import_module(place, target)
    call = getattr(module, function, None)
    if not callable(call):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise InputError(
            f"--consumer {target}: {place} has no function {function}",
            next=f"It has: {', '.join(sorted(names)[:8])}." if names else None,
        )
    return Consumer(call, _function(module, "setup"), _function(module, "teardown"))


def _function(module: ModuleType, name: str) -> Callable[[], Any] | None:
    found = getattr(module, name, None)
    return found if callable(found) else None


def _import_file(path: Path) -> ModuleType:
    name, folder = path.stem, str(path.resolve().parent)
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
    """Whether a module of that name can be imported, or has been, that is not this file."""
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
                f"--consumer {target}: there is no module {name}",
                next="Start where it can be imported from, or give FILE.py:FUNC.",
            ) from error
        raise
