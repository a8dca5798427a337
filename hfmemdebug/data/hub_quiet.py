"""The client libraries' own noise: bars only on a terminal, warnings as lines of ours."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hfmemdebug.data.hub_trouble import scrub

# What a person wants to hear of while waiting: that a download broke and goes on.
_WORTH_SAYING = ("Trying to resume", "Retrying in", "rate limit")


class _Relay(logging.Handler):
    """Passes on what matters of the libraries' warnings, each line once."""

    def __init__(self, say: Callable[[str], None], token: str | None) -> None:
        super().__init__(logging.WARNING)
        self._say, self._token = say, token
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if any(text in message for text in _WORTH_SAYING):
            # Addresses of the second origin are long and signed: the last words say what happens.
            line = scrub(message.splitlines()[-1].strip(), token=self._token)[:200]
            if line not in self._said:
                self._said.add(line)
                self._say(f"the download is interrupted: {line}")


@contextmanager
def quiet_libraries(say: Callable[[str], None], *, token: str | None = None) -> Iterator[None]:
    """Silences `datasets` and `huggingface_hub` inside the block.

    Progress bars are drawn where standard error is a terminal. Of the warnings, interrupted downloads are
    said in one line each; the rest is either turned into an error of ours or is not the user's business.

    Args:
        say: Called with a line for people.
        token: A token that must not be printed.
    """
    import datasets
    import huggingface_hub.utils

    # Its names are exported, but not in the way that type checkers ask for.
    hub: Any = huggingface_hub.utils
    relay = _Relay(say, token)
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    before = [(logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers[:], logger.propagate = [relay], False
    drawn = datasets.is_progress_bar_enabled(), not hub.are_progress_bars_disabled()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not sys.stderr.isatty():
                datasets.disable_progress_bar()
                hub.disable_progress_bars()
            yield
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers[:], logger.propagate = handlers, propagate
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if drawn[0]:
                datasets.enable_progress_bar()
            if drawn[1]:
                hub.enable_progress_bars()
