"""In CI a skipped test is a failed one: what it needs is to be installed there.

The exceptions say so in their reason, which begins with "only on" (a system) or "only with" (a version
of a library).
"""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Generator
from typing import Any

import pytest

ALLOWED = ("only on ", "only with ")


# What takes long and does not depend on the versions of Python and the libraries: CI runs it once.
ONCE = (
    "analysis",
    "corpus",
    "recipes",
    "test_browser.py",
    "test_gate.py",
    "test_mermaid.py",
    "supervise",
    "test_secrets.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not set(ONCE).isdisjoint(item.path.parts):
            item.add_marker("once")


# A job that a shell runs in the background ignores Ctrl-C and quitting, one under nohup a hang-up; what it starts would
# too.
for ignored in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, signal.default_int_handler if ignored == signal.SIGINT else signal.SIG_DFL)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("torch") and importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    if item.get_closest_marker("memray") and importlib.util.find_spec("memray") is None:
        pytest.skip("memray is not installed")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    outcome = yield
    report = outcome.get_result()
    # An expected failure is reported as a skip too.
    if not hasattr(report, "wasxfail"):
        _refuse_skip(report)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, None]:
    outcome = yield
    _refuse_skip(outcome.get_result())


def _refuse_skip(report: Any) -> None:
    if os.environ.get("CI") != "true" or not report.skipped:
        return
    where, line, said = report.longrepr
    reason = said.removeprefix("Skipped: ")
    if not reason.startswith(ALLOWED):
        report.outcome = "failed"
        report.longrepr = f"{where}:{line}: skipped in CI: {reason}"
