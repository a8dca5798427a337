"""Loads the user's own code: a function that is called with each slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from hfmemdebug.user_code import import_target


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


def load_consumer(target: str) -> Consumer:
    """Imports the user's code. Its own errors on import are passed on as they are.

    Raises:
        UsageError: The target is not of the form that is wanted.
        InputError: There is no such file, module or function.
    """
    call, module = import_target(target)
    return Consumer(call, _function(module, "setup"), _function(module, "teardown"))


def _function(module: ModuleType, name: str) -> Callable[[], Any] | None:
    found = getattr(module, name, None)
    return found if callable(found) else None
