"""What is measured failed: whose error it was, in one line that a report may hold."""

from __future__ import annotations

import traceback
from pathlib import Path

from hfmemdebug.errors import HfmemdebugError
from hfmemdebug.origin.source import string_constants


class ProgramError(Exception):
    """What is measured failed; its own error is the cause of this exception.

    Args:
        where: What was being done.
        explanation: Where the data are to blame and not the program: what is wrong with them, without a value of
            theirs.
    """

    def __init__(self, where: str, explanation: HfmemdebugError | None = None) -> None:
        super().__init__(where)
        self.explanation = explanation


def describe(error: BaseException) -> str:
    """An error of the user's code in one line, also where its own text fails.

    The text is told where it stands in the code that raised it: else it may hold values of the data, which a
    report must not, and the place is told instead.
    """
    try:
        text = str(error)
    except Exception:
        text = ""
    first = (text.splitlines() or [""])[0][:200]
    if isinstance(error, OSError) and error.strerror:
        # Without the file that it may name.
        return f"{type(error).__name__}: {error.strerror}"
    if isinstance(error, (ImportError, NameError)) or (
        isinstance(error, SystemExit) and isinstance(error.code, int)
    ):
        return f"{type(error).__name__}: {first}"
    frames = traceback.extract_tb(error.__traceback__)
    if first and any(first.strip("'\"") in string_constants(frame.filename) for frame in frames):
        return f"{type(error).__name__}: {first}"
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if first and frames else ""
    return f"{type(error).__name__}{where}"
