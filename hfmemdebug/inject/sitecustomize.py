"""Python runs this as it starts, where `hfmemdebug run` has put this folder first on PYTHONPATH.

It must run on CPython 3.8 and later with nothing but the standard library, and be gone without a trace: the
environment's own `sitecustomize` follows, and nothing that fails here may reach the program. Older ones, down to
Python 2, start with it as well: they find no sampler that they can read, and must not complain of this file.
"""

import os
import sys


def _begin():  # type: () -> None
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        import _hfmemdebug_sampler  # type: ignore[import-not-found]

        _hfmemdebug_sampler.start()
    except Exception:
        if os.environ.get("HFMEMDEBUG_RUN_DEBUG"):
            raise
    finally:
        # The program's own path, as if nothing had been put before it.
        sys.path[:] = [entry for entry in sys.path if entry != here]


def _chain():  # type: () -> None
    """Runs the sitecustomize that would have run without us."""
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        # Python 2 does not say which one it is.
        if getattr(error, "name", "sitecustomize") != "sitecustomize":
            raise
    finally:
        # The import system looks for it under its name when this module has ended.
        if ours is not None:
            sys.modules.setdefault("sitecustomize", ours)


_begin()
_chain()
