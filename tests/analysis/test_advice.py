"""What to do next, as it follows from what was found; on results of tracing that are written down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from analysis.test_verdict import leak, record
from leaks import document, held

from hfmemdebug.analysis.advice import from_trace, of_holder
from hfmemdebug.analysis.verdict import judge
from hfmemdebug.leak import Bound, Holder, Line, Pins, Site, Step

SITE = Site("train.py", 3, "f", "native", 5000.0, None, 1.0)


@pytest.mark.parametrize(
    ("holder", "call"),
    [
        (held("lru_cache", "load", entries=30), "lru_cache(maxsize=…)"),
        (held("dict", "cache", bound=Bound(5000)), "Lower its bound"),
        (held("dict", "cache", unreached=Line("train.py", 3)), "See that the condition"),
        (Holder("cycles", 1.0, "object", of="train.Node"), "gc.enable()"),
        (held("list", "garbage", module="gc"), "gc.DEBUG_SAVEALL"),
        (Holder("threads", 1.0, "thread", running="work", running_at=Line("train.py", 4)), "join()"),
        (Holder("atexit", 1.0, "function"), "atexit.unregister()"),
        (held("list", "consume", Step("default", "seen")), "let it be None"),
        (held("ValueError", "last", kind="exceptions", unit="ValueError"), "str(error)"),
        (held("list", "log", "handlers"), "removeHandler(handler), or add it once"),
        (held("list", "log", "handlers", Step("item"), "records"), "Empty what the handler keeps"),
        (held("list", "_handlerList", module="logging"), "removeHandler(handler), or add it once"),
        (held("dict", "finalize", "_registry", module="weakref"), "detach()"),
        (held("deque", "results", "queue"), "Queue(maxsize=…)"),
        (held("dict", "cache"), "Clear or bound what keeps it"),
    ],
)
def test_advice_of_a_holder_has_the_exact_call_and_the_holder(holder: Holder, call: str) -> None:
    said = of_holder(holder)
    assert call in said
    assert holder.path in said


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
    said = of_holder(held("list", "kept", pins=Pins(kind, 8, 1_200_000)))
    assert call in said
    assert f"each {kind} of 8 B holds 1.1 MB" in said
    assert "module train: list `kept`" in said


def test_a_line_that_is_there_twice_is_looked_at_once() -> None:
    native_too = replace(SITE, kind="native", share=1.0)
    (line,) = from_trace([SITE, native_too], [])
    assert line.count("train.py:3") == 1
    (line,) = from_trace([SITE, replace(native_too, line=9)], [])
    assert ", and train.py:9" in line


def native(**traced: Any) -> Any:
    trace = {"sites": document(SITE), "holders": [], "traced_bytes_per_iteration": 0.0, **traced}
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
