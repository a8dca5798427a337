"""Tells memory-mapped pages from real memory leaks in programs that use Hugging Face datasets.

Importing this package costs no import of ``datasets``, ``pyarrow`` or ``torch``: each public
name is imported when it is first used.
"""

from __future__ import annotations

import importlib

from hfmemdebug._version import __version__

# Importing `typing` would take most of the time in which a Ctrl-C finds nobody to answer it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hfmemdebug.data.synthesize import synthesize as synthesize
    from hfmemdebug.measure.diagnose import diagnose as diagnose
    from hfmemdebug.measure.recorder import Recorder as Recorder
    from hfmemdebug.measure.recorder import watch as watch
    from hfmemdebug.recording.file import load_recording as load_recording
    from hfmemdebug.result import Result as Result

_HOME_OF = {
    "Recorder": "hfmemdebug.measure.recorder",
    "Result": "hfmemdebug.result",
    "diagnose": "hfmemdebug.measure.diagnose",
    "load_recording": "hfmemdebug.recording.file",
    "synthesize": "hfmemdebug.data.synthesize",
    "watch": "hfmemdebug.measure.recorder",
}

# Names that lead to a result or a recorder, which render gives the methods that show it.
_SHOWS_ITSELF = ("Recorder", "Result", "diagnose", "watch")

__all__ = ["Recorder", "Result", "__version__", "diagnose", "load_recording", "synthesize", "watch"]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use (PEP 562)."""
    if name in _HOME_OF:
        if name in _SHOWS_ITSELF:
            importlib.import_module("hfmemdebug.render.notebook")
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
