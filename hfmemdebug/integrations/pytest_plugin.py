"""The pytest marker `no_leak`: a function is called over and over in a fresh process and must keep nothing.

    @pytest.mark.no_leak(iterations=500, min_leak="64B")
    def test_tokenize(): ...

The marked test runs in a process of its own, by pytest itself, so that its fixtures and parameters are there.
It is called `iterations` times in all; where it returns an iterator, that is drained each time. Here no more
than its outcome is read: with xdist or without it, a test that passes prints nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hfmemdebug.result import Result

ITERATIONS = 500
MIN_LEAK = "64B"
# Where a child finds that it is one: where its recording goes, and the pipes to ask and to be answered.
_CHILD = "HFMEMDEBUG_NO_LEAK"
_RECORDING = "recording.jsonl"
_OUTCOME = "outcome.json"
_WIDTH = 100


class NoLeakWarning(UserWarning):
    """A marked test that could not be decided, or a leak of its limit could not have been seen."""


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line(
        "markers",
        f"no_leak(iterations={ITERATIONS}, min_leak='{MIN_LEAK}'): calls the test over and over in a fresh process; "
        "fails if at least min_leak per call stay behind",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The fixtures of a marked test are set up in its own process alone."""
    if item.get_closest_marker("no_leak") is not None and _CHILD not in os.environ:
        item.fixturenames = []  # type: ignore[attr-defined]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Runs a marked test: here its process is started, there it is called."""
    marker = pyfuncitem.get_closest_marker("no_leak")
    if marker is None:
        return None
    arguments = {
        name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames if _CHILD in os.environ
    }
    _run_marked(pyfuncitem, marker, lambda: pyfuncitem.obj(**arguments))
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """A method of a `unittest.TestCase` is not called by pytest: its test case is run instead."""
    marker = item.get_closest_marker("no_leak")
    case = getattr(item, "cls", None)
    if marker is not None and case is not None and issubclass(case, unittest.TestCase):
        item.runtest = lambda: _run_marked(item, marker, lambda: case(item.name).debug())  # type: ignore[method-assign]


def _run_marked(item: pytest.Item, marker: pytest.Mark, call: Callable[[], Any]) -> None:
    iterations, min_leak_per_call = _limits(marker)
    if _CHILD in os.environ:
        _measure(item, call, iterations, min_leak_per_call)
    else:
        _in_a_fresh_process(item, iterations, min_leak_per_call)


def _limits(marker: pytest.Mark) -> tuple[int, int]:
    """The marker's arguments; a wrong one fails its test."""
    from hfmemdebug.errors import HfmemdebugError
    from hfmemdebug.units import parse_size

    unknown = sorted(set(marker.kwargs) - {"iterations", "min_leak"})
    if marker.args or unknown:
        wrong = unknown[0] if unknown else repr(marker.args[0])
        pytest.fail(f"no_leak takes iterations=… and min_leak=…, not {wrong}", pytrace=False)
    iterations = marker.kwargs.get("iterations", ITERATIONS)
    if not isinstance(iterations, int) or isinstance(iterations, bool) or iterations < 5:
        pytest.fail(f"no_leak: iterations={iterations!r} is not a number of calls from 5 on", pytrace=False)
    try:
        min_leak_per_call = parse_size(str(marker.kwargs.get("min_leak", MIN_LEAK)))
    except HfmemdebugError as error:
        pytest.fail(f"no_leak: {error.line()}", pytrace=False)
    if min_leak_per_call < 1:
        pytest.fail("no_leak: min_leak is at least one byte", pytrace=False)
    return iterations, min_leak_per_call


def _measure(item: pytest.Item, call: Callable[[], Any], iterations: int, min_leak_per_call: int) -> None:
    """In the test's own process."""
    from hfmemdebug.measure.calls import END, measure_calls

    folder, ask_fd, answer_fd = os.environ[_CHILD].rsplit(":", 2)

    def ask() -> bytes:
        os.write(int(ask_fd), b"?")
        # The process that started this one may be gone.
        return os.read(int(answer_fd), 1) or END

    try:
        measure_calls(
            call,
            Path(folder, _RECORDING),
            ask,
            name=item.name,
            iterations=iterations,
            min_leak_per_call=min_leak_per_call,
        )
    except (pytest.skip.Exception, unittest.SkipTest) as skipped:
        Path(folder, _OUTCOME).write_text(json.dumps({"skipped": str(skipped)}))
        raise


def _in_a_fresh_process(item: pytest.Item, iterations: int, min_leak_per_call: int) -> None:
    with tempfile.TemporaryDirectory(prefix="hfmemdebug-") as name:
        recording, outcome = Path(name, _RECORDING), Path(name, _OUTCOME)
        with Path(name, "output").open("w+b") as output:
            status = _run(item, recording, output)
            output.seek(0)
            said = output.read().decode(errors="replace")
        if outcome.exists():
            pytest.skip(json.loads(outcome.read_text())["skipped"])
        if status != 0 or not recording.exists():
            from hfmemdebug.render.redact import Redactor

            told = Redactor.of_this_machine()(said)
            pytest.fail(f"in its own process the test failed:\n{told}", pytrace=False)
        _judge(recording, iterations, min_leak_per_call)


def _run(item: pytest.Item, recording: Path, output: IO[bytes]) -> int:
    """Starts the test's process and answers it: to judge in there would be measured with it."""
    ask_read, ask_write = os.pipe()
    answer_read, answer_write = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *_options(item.config), item.nodeid],
            cwd=item.config.rootpath,
            env=_environment(f"{recording.parent}:{ask_write}:{answer_read}"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(ask_write, answer_read),
        )
        try:
            os.close(ask_write)
            ask_write = -1
            while os.read(ask_read, 1):
                from hfmemdebug.measure.calls import answer_to

                os.write(answer_write, answer_to(recording))
            return process.wait()
        finally:
            process.kill()
            process.wait()
    finally:
        for fd in (ask_read, ask_write, answer_read, answer_write):
            if fd >= 0:
                os.close(fd)


def _options(config: pytest.Config) -> list[str]:
    """How a child collects just the one test as this process has collected it."""
    options = ["-q", "-o", "addopts=", "-p", "no:cacheprovider", f"--rootdir={config.rootpath}"]
    if config.inipath is not None:
        options += ["-c", str(config.inipath)]
    options += [f"--import-mode={config.getoption('importmode', 'prepend')}"]
    for plugin in config.getoption("plugins", []):
        options += ["-p", plugin]
    return options


def _environment(child: str) -> dict[str, str]:
    # What coverage keeps in a process would be measured with it.
    others = ("PYTEST_", "COV_CORE_", "COVERAGE_PROCESS")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return {**environ, _CHILD: child}


def _judge(recording: Path, iterations: int, min_leak_per_call: int) -> None:
    from hfmemdebug.analysis.verdict import judge
    from hfmemdebug.recording.file import load_recordings
    from hfmemdebug.render.redact import Redactor

    result = judge(load_recordings(recording))
    result = Redactor.of_this_machine().result(result)
    if result.verdict == "leak":
        pytest.fail(_told(result, recording), pytrace=False)
    if result.verdict == "inconclusive":
        warnings.warn(f"no_leak is not decided. {result.summary}", NoLeakWarning, stacklevel=1)
        return
    seen = result.smallest_detectable_bytes_per_iteration
    if seen is not None and seen > 2 * min_leak_per_call:
        from hfmemdebug.measure.calls import calls_needed

        warnings.warn(
            f"no_leak: {iterations} calls would not have shown a leak of {min_leak_per_call} bytes per call, "
            f"only one of {seen:.0f}; give iterations={max(calls_needed(min_leak_per_call), 2 * iterations)}",
            NoLeakWarning,
            stacklevel=1,
        )


def _told(result: Result, recording: Path) -> str:
    """The failure: verdict, ledger, site, holder, and where the recording is."""
    from hfmemdebug.recording.store import end_run, new_run
    from hfmemdebug.render.terminal import render_terminal

    text = render_terminal(result, width=_WIDTH).rstrip("\n")
    try:
        run = new_run("no-leak", warn=_ignore)
        (run / _RECORDING).write_bytes(recording.read_bytes())
        end_run(run)
    except OSError:
        return text
    return f"{text}\n\nThe recording is kept: hfmemdebug report --last -o report.md"


def _ignore(_: Any) -> None:
    """The text says enough."""
