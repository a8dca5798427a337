"""The environment for processes whose own memory is looked at: what coverage keeps in them would count."""

from __future__ import annotations

import os


def uncovered(**more: str) -> dict[str, str]:
    """This process's environment without what makes a new one measure its coverage, and with `more`."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")
    } | more
