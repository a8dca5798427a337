"""What to do next, as it follows from what was found; on results of tracing that are written down."""

from __future__ import annotations

from typing import Any

import pytest
from analysis.test_verdict import leak, record

from hfmemdebug.analysis.advice import from_trace, of_holder
from hfmemdebug.analysis.verdict import judge

SITE = {
    "file": "train.py",
    "line": 3,
    "function": "f",
    "kind": "native",
    "bytes_per_iteration": 5000.0,
    "count_per_iteration": None,
    "share": 1.0,
    "in_library": False,
}


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("module train: lru_cache (unbounded) `load`, 30 entries", "lru_cache(maxsize=…)"),
        ("reference cycles, which the collector would free if it were not off: …", "gc.enable()"),
        ("module gc: list `garbage`", "gc.DEBUG_SAVEALL"),
        ("threads that do not end, in `work` (train.py:4)", "join()"),
        ("functions registered with `atexit`", "atexit.unregister()"),
        ("module train: list `consume, default of seen`", "let it be None"),
        ("module train: ValueError `last`, a chain of exceptions, each with …", "str(error)"),
        ("module train: list `log.handlers`", "logger.removeHandler(handler)"),
        ("module train: list `log.handlers[…].records`", "logger.removeHandler(handler)"),
        ("module weakref: dict `finalize._registry`", "detach()"),
        ("module train: deque `results.queue`", "Queue(maxsize=…)"),
        ("module train: dict `cache`", "Clear or bound what keeps it"),
    ],
)
def test_advice_of_a_holder_has_the_exact_call_and_the_holder(path: str, call: str) -> None:
    said = of_holder({"path": path, "growth_per_iteration": 1.0})
    assert call in said
    assert path in said


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("ndarray", ".copy()"),
        ("memoryview", "bytes(view)"),
        ("Table", "table.take(rows)"),
        ("Tensor", ".clone()"),
    ],
)
def test_a_view_is_to_be_copied(kind: str, call: str) -> None:
    pins = {"kind": kind, "used_bytes": 8, "held_bytes": 1_200_000}
    said = of_holder({"path": "module train: list `kept`", "growth_per_iteration": 1.0, "pins": pins})
    assert call in said
    assert f"each {kind} of 8 B holds 1.1 MB" in said
    assert "module train: list `kept`" in said


def test_a_line_that_is_there_twice_is_looked_at_once() -> None:
    native_too = {**SITE, "kind": "native", "share": 1.0}
    (line,) = from_trace([SITE, native_too], [])
    assert line.count("train.py:3") == 1
    (line,) = from_trace([SITE, {**native_too, "line": 9}], [])
    assert ", and train.py:9" in line


def native(**traced: Any) -> Any:
    trace = {"sites": [SITE], "holders": [], "traced_bytes_per_iteration": 0.0, **traced}
    return judge([record(), record(consumer=True, malloc=leak(5000.0), end={"trace": trace})])


def test_the_extra_is_named_where_it_would_show_more() -> None:
    result = native(native_frames="not installed")
    assert result.cause == "native-heap"
    assert "train.py:3" in result.advice[0]
    assert any("hfmemdebug[native]" in line for line in result.advice)
    assert not any("hfmemdebug[native]" in line for line in native(native_frames=None).advice)


def test_what_tracing_failed_of_is_a_warning_and_the_verdict_stands() -> None:
    result = native(native_frames="RuntimeError: a profiler is running already")
    assert any("C functions of the leak (RuntimeError" in line for line in result.warnings)
    assert not any("hfmemdebug[native]" in line for line in result.advice)
    failed = judge(
        [record(), record(consumer=True, malloc=leak(5000.0), end={"trace": {"failed": "OSError"}})]
    )
    assert (failed.verdict, failed.sites) == ("leak", ())
    assert any("tracing failed (OSError)" in line for line in failed.warnings)


def test_what_dashboards_show_of_mapped_pages() -> None:
    result = judge([record(file_per_epoch=300 * 1024 * 1024), record("in-memory")])
    assert result.cause == "mmap-file-pages"
    said = " ".join(result.advice)
    for word in ("RSS", "working set", "RssAnon", "memory.stat", "keep_in_memory=True"):
        assert word in said
