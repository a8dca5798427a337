"""Private copies of mapped pages, on recordings that are scripted: bounded by the file, or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from analysis.test_verdict import MB, SLICES, leak, record

from hfmemdebug.analysis.verdict import assess_all, judge, what_is_open
from hfmemdebug.recording.file import Recording
from hfmemdebug.render.terminal import render_terminal


def copying(
    copied: Callable[[int], float], copyable: Callable[[int], float] = lambda n: 4000 * MB, **more: Any
) -> Recording:
    """An arm whose anonymous memory grows by private copies."""
    end = {"copies": [{"path": "/data/a.npy", "bytes": 800 * MB, "size_bytes": 4000 * MB}]}
    recording = record(anon=copied, end=end, **more)
    samples = []
    for sample in recording.samples:
        n = 0 if sample.epoch == 0 else (sample.epoch - 1) * SLICES + sample.slice
        if sample.kind == "settle":
            sample = replace(sample, copied=int(copied(n)), copyable=int(copyable(n)))
        samples.append(sample)
    return Recording(recording.header, samples, recording.end)


def test_copies_that_grow_with_every_slice_are_bounded_by_the_file() -> None:
    result = judge([copying(leak(10 * MB))])
    assert (result.verdict, result.cause) == ("no-leak", "copy-on-write")
    (finding,) = result.findings
    assert (finding.role, finding.reclaimable, finding.shape) == ("benign", False, "plateau")
    assert finding.growth_bytes == 4 * SLICES * 10 * MB
    assert "/data/a.npy (at most 3.9 GB)" in (finding.detail or "")
    assert result.summary == (
        "No leak: 800 MB are private copies of pages that were written to /data/a.npy (at most 3.9 GB): "
        "bounded by what is mapped, and not to be taken back."
    )
    assert "flush() does nothing" in " ".join(result.advice)
    text = render_terminal(result)
    assert "copied pages" in text
    assert "bounded" in text
    assert "  - copied pages (" in text


def test_copies_that_were_all_made_in_the_first_epoch_are_named_too() -> None:
    result = judge([copying(lambda n: min(n, SLICES) * 10 * MB)])
    assert (result.verdict, result.cause) == ("no-leak", "copy-on-write")
    assert result.findings[0].growth_bytes == SLICES * 10 * MB


def test_nothing_is_open_about_copies_that_fade() -> None:
    recording = copying(lambda n: 100 * MB * n**0.5)
    assert what_is_open(assess_all([recording])) is None
    assert judge([recording]).verdict == "no-leak"


def test_copies_of_mappings_that_pile_up_are_a_leak() -> None:
    result = judge([copying(leak(MB), copyable=leak(MB), consumer=True)])
    assert (result.verdict, result.cause) == ("leak", "copy-on-write")
    assert result.rate_bytes_per_iteration == MB
    assert "/data/a.npy" in (result.findings[0].detail or "")
    assert "private copies of pages" in result.summary
    assert "Map the file once" in result.advice[0]


def test_private_memory_beside_the_copies_is_still_a_leak() -> None:
    recording = copying(leak(MB))
    samples = [
        replace(sample, copied=0 if sample.copied is not None else None) for sample in recording.samples
    ]
    result = judge([Recording(recording.header, samples, recording.end)])
    assert (result.verdict, result.cause) == ("leak", "anonymous-other")


def test_copies_of_the_users_code_are_named_beside_the_mapped_pages() -> None:
    arms = [
        copying(leak(0), file_per_epoch=90 * MB),
        copying(leak(10 * MB), consumer=True, file_per_epoch=90 * MB),
    ]
    result = judge(arms)
    assert (result.verdict, result.cause) == ("no-leak", "mmap-file-pages")
    assert "Besides, 800 MB are private copies" in result.summary
