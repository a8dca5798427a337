"""Results and recordings made by hand: each verdict, each cause, and each field that can be missing."""

from __future__ import annotations

from dataclasses import replace

from leaks import held

from hfmemdebug.leak import Site
from hfmemdebug.recording.end import End
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import ArmInfo, Header, Workload
from hfmemdebug.recording.sample import ArmSample
from hfmemdebug.render.words import CAUSE_WORDS
from hfmemdebug.result import ArmSummary, Finding, Result

MB = 1 << 20

ENVIRONMENT = {
    "`datasets` version": "5.2.0",
    "Platform": "Linux-6.18.44-x86_64-with-glibc2.36",
    "Python version": "3.11.7",
    "`huggingface_hub` version": "2.4.0",
    "PyArrow version": "26.0.1",
    "Pandas version": "3.1.1",
    "`fsspec` version": "2026.9.0",
    "hfmemdebug version": "0.1.0",
    "Memory limit": "unlimited",
    "RAM": "23.5 GB, 23.1 GB available",
}

MAPPED = ArmSummary(
    name="memory-mapped",
    mode="mmap",
    consumer=False,
    iterations=100,
    rows=2_000_000,
    outcome="completed",
    peak_rss_bytes=1806 * MB,
    peak_unreclaimable_bytes=271 * MB,
    recording="~/.local/state/hfmemdebug/20260301T101112.123456Z-diagnose-1/memory-mapped.jsonl",
    rows_total=1_000_000,
    epochs=2,
    slices_per_epoch=50,
    step=20_000,
    warmup=3,
    seconds=4.2,
    growth={
        "rss": 1403 * MB,
        "anon": 92 * MB // 10,
        "file": 1310 * MB,
        "shmem": 0,
        "swap": 0,
        "arrow": 0,
        "malloc": 64,
        "python": -1200,
    },
    settled={"collect": 0, "release_pools": 5 * MB, "trim": 2 * MB, "drop_pages": 1441 * MB},
    reclaim={
        "asked_bytes": 1535 * MB,
        "rss_before": 1788 * MB,
        "rss_after": 346 * MB,
        "freed_bytes": 1441 * MB,
        "same_data": True,
        "how": "MADV_PAGEOUT",
        "why_not": None,
    },
    observer_share=0.0031,
)
IN_MEMORY = replace(
    MAPPED,
    name="in-memory",
    mode="in-memory",
    peak_rss_bytes=1967 * MB,
    peak_unreclaimable_bytes=1875 * MB,
    growth={**MAPPED.growth, "rss": 94 * MB, "anon": 94 * MB, "file": 0},
    settled={"collect": 0, "release_pools": 90 * MB, "trim": 0, "drop_pages": 0},
    reclaim=None,
    seconds=6.1,
)
WITH_CONSUMER = replace(
    MAPPED,
    name="memory-mapped + consumer",
    consumer=True,
    growth={**MAPPED.growth, "rss": 1990 * MB, "anon": 600 * MB, "python": 580 * MB},
)

NO_LEAK = Result(
    command="diagnose",
    summary="No leak: RSS grew by 1.4 GB because pages of the dataset's files were mapped in, and the kernel"
    " took them back when asked. Nothing that stays in use grew.",
    verdict="no-leak",
    cause="mmap-file-pages",
    origin=None,
    iteration="slice",
    rate_bytes_per_iteration=0,
    rate_bytes_per_row=0,
    rate_bytes_per_second=0,
    smallest_detectable_bytes_per_iteration=32.0,
    findings=(
        Finding("mmap-file-pages", "benign", 1310 * MB, 0, (0, 0), "plateau", True, None, "memory-mapped"),
        Finding("allocator-retention", "benign", 90 * MB, 0, (0, 0), "plateau", True, None, "in-memory"),
    ),
    arms=(MAPPED, IN_MEMORY),
    advice=(
        "Nothing to mend: read RssAnon instead of RSS, or set a limit: the kernel takes the pages back.",
    ),
    environment=ENVIRONMENT,
    command_line="hfmemdebug diagnose ./synthetic-ds",
    reproduce="hfmemdebug synth && hfmemdebug diagnose ./synthetic-ds",
)
LEAK = replace(
    NO_LEAK,
    summary="Leak: each slice leaves 5.9 MB of Python objects behind; only with the consumer, so yours.",
    verdict="leak",
    cause="python-objects",
    origin="user-code",
    rate_bytes_per_iteration=5.9 * MB,
    rate_bytes_per_row=5.9 * MB / 20_000,
    rate_bytes_per_second=150 * MB,
    findings=(
        Finding(
            "python-objects",
            "leak",
            580 * MB,
            5.9 * MB,
            (5.8 * MB, 6.0 * MB),
            "growing",
            False,
            "Every slice adds 20,001 objects that nothing frees.",
            "memory-mapped + consumer",
        ),
        *NO_LEAK.findings,
    ),
    sites=(Site("consumer.py", 12, "keep", "python", 5.9 * MB, 20001, 0.997),),
    holders=(held("list", "seen", module="consumer"),),
    arms=(MAPPED, WITH_CONSUMER),
    advice=("Look at what consumer.py:12 appends to `seen`, and empty it.",),
)
INCONCLUSIVE = replace(
    NO_LEAK,
    summary="Anonymous memory still rose when the time was over.",
    verdict="inconclusive",
    cause=None,
    rate_bytes_per_iteration=None,
    rate_bytes_per_row=None,
    rate_bytes_per_second=None,
    smallest_detectable_bytes_per_iteration=210 * 1024.0,
    findings=(Finding("anonymous-other", "leak", 30 * MB, None, None, "inconclusive", None, None, None),),
    arms=(
        replace(
            MAPPED,
            iterations=37,
            rows=740_000,
            outcome="killed",
            outcome_detail="in slice 37 of epoch 1 by the kernel (out of memory) at RSS 7.6 GB",
            rows_total=7_270_695,
            reclaim={
                "why_not": "another process maps the same files",
                "freed_bytes": 0,
                "rss_before": 5,
                "rss_after": 5,
            },
        ),
    ),
    advice=("Run it again with --budget 600.",),
    warnings=("malloc in use could not be read: musl has no mallinfo2.",),
    interrupted=True,
)
EMPTY = Result("profile", "", "inconclusive", None, None, "slice", None, None, None, None)
BARE_ARM = ArmSummary("streaming", "streaming", False, 0, 0, "failed")


def every_cause() -> Result:
    """A result with one finding a cause, in both roles, with each shape and answer on reclaim."""
    shapes = ("growing", "step", "plateau", "stable", "inconclusive")
    findings = tuple(
        Finding(
            cause,
            "leak" if place % 2 else "benign",
            (20 - place) * MB,
            None if place % 3 else 1234.5,
            None if place % 2 else (1200.0, 1300.0),
            shapes[place % len(shapes)],
            (True, False, None)[place % 3],
            f"detail of {cause}",
            "memory-mapped" if place % 2 else None,
        )
        for place, cause in enumerate(CAUSE_WORDS)
    )
    return replace(NO_LEAK, findings=findings)


def recording(
    name: str = "memory-mapped", slices: int = 100, *, epochs: int = 2, bare: bool = False
) -> Recording:
    """A recording in which file pages rise during the first epoch; `bare`: only RSS could be read."""
    per_epoch = max(1, slices // epochs)
    samples = []
    for place in range(slices):
        epoch, index = divmod(place, per_epoch)
        figures = {"rss": 400 * MB + min(place, per_epoch) * 28 * MB}
        if not bare:
            figures |= {
                "file": 225 * MB + min(place, per_epoch) * 28 * MB,
                "anon": 175 * MB + place % 7 * 1024,
                "shmem": 0,
                "arrow": 1024,
                "malloc": 9_000_000,
                "blocks": 585_000 + place % 3,
            }
        warmup = epoch == 0 and index < 3
        samples.append(
            ArmSample(
                "slice", epoch + 1, index, place * 0.04, None, warmup, index * 20_000, 20_000, **figures
            )
        )
    header = Header(
        "diagnose",
        ArmInfo(name, "mmap", consumer=False),
        Workload(dataset="./synthetic-ds", step=20_000),
        environment=ENVIRONMENT,
    )
    return Recording(header, tuple(samples), End("completed"))
