from __future__ import annotations

from dataclasses import replace

import pytest
from leaks import held
from render import samples

from hfmemdebug.leak import Pins
from hfmemdebug.render.terminal import render_terminal, render_verdict_line
from hfmemdebug.result import ArmSummary, Finding, Result

ALL = {
    "no-leak": samples.NO_LEAK,
    "leak": samples.LEAK,
    "inconclusive": samples.INCONCLUSIVE,
    "every cause": samples.every_cause(),
    "empty": samples.EMPTY,
    "bare arm": replace(samples.EMPTY, arms=(samples.BARE_ARM,)),
}


def row(text: str, label: str) -> str:
    """The cells of the row with this label, blanks collapsed."""
    line = next(line for line in text.splitlines() if line.strip().startswith(label))
    return " ".join(line.strip().removeprefix(label).split())


@pytest.mark.parametrize("result", ALL.values(), ids=ALL)
@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_fits_the_screen(result: Result, width: int) -> None:
    lines = render_terminal(result, width=width).splitlines()
    assert max(map(len, lines)) <= width
    if width >= 80:
        assert len(lines) <= 45


@pytest.mark.parametrize(
    ("summary", "line"),
    [
        ("No leak: nothing grew.", "NO LEAK: nothing grew."),
        ("no leak", "NO LEAK"),
        ("Nothing grew.", "NO LEAK: Nothing grew."),
        ("", "NO LEAK"),
        ("No leakage of any kind", "NO LEAK: No leakage of any kind"),
    ],
)
def test_verdict_comes_first_and_once(summary: str, line: str) -> None:
    result = replace(samples.NO_LEAK, summary=summary)
    assert render_verdict_line(result) == line
    assert render_terminal(result).splitlines()[0] == line


def test_verdict_of_a_leak_keeps_its_sentence() -> None:
    result = replace(samples.LEAK, summary="Leak in your code: it keeps\n1 MB of Python objects per slice.")
    assert render_verdict_line(result) == "LEAK in your code: it keeps 1 MB of Python objects per slice."


def test_arms_stand_side_by_side() -> None:
    text = render_terminal(samples.NO_LEAK)
    assert row(text, "Rows read (of all)") == "all 1,000,000 all 1,000,000"
    assert row(text, "Iterations") == "50 × 2 epochs 50 × 2 epochs"
    assert row(text, "RSS grew by") == "+1.4 GB +94.0 MB"
    assert row(text, "mapped file pages") == "+1.3 GB 0 B"
    assert row(text, "anonymous") == "+9.2 MB +94.0 MB"
    assert row(text, "Given back: mapped pages") == "1.4 GB 0 B"
    assert row(text, "Peak not reclaimable") == "271 MB 1.8 GB"
    assert row(text, "Outcome") == "completed completed"
    assert "Given back: malloc trim" not in text


def test_what_could_not_be_read_is_a_dash_and_never_a_zero() -> None:
    text = render_terminal(replace(samples.EMPTY, arms=(samples.BARE_ARM,)))
    for label in (
        "RSS grew by",
        "mapped file pages",
        "anonymous",
        "shared memory",
        "Still in use: Arrow pool",
        "Peak RSS",
    ):
        assert row(text, label) == "–"
    assert row(text, "Rows read (of all)") == "0"


def test_share_of_the_rows_and_iterations_of_an_arm_that_died() -> None:
    text = render_terminal(samples.INCONCLUSIVE)
    assert row(text, "Rows read (of all)") == "740,000 (10%)"
    assert row(text, "Iterations") == "37 of 50 × 2 epochs"
    assert "memory-mapped: killed: in slice 37 of epoch 1 by the kernel" in text
    assert "Interrupted" in text


def test_proof_by_taking_back() -> None:
    text = " ".join(render_terminal(samples.NO_LEAK).split())
    assert "Reclaim test (memory-mapped): RSS 1.7 GB → 346 MB (1.4 GB freed), the re-read" in text
    assert (
        "Reclaim test not possible here (memory-mapped), because another process maps the same files"
        in render_terminal(samples.INCONCLUSIVE)
    )
    different = replace(samples.MAPPED, reclaim={**(samples.MAPPED.reclaim or {}), "same_data": False})
    assert "DIFFERS" in render_terminal(replace(samples.NO_LEAK, arms=(different,)))
    unknown = replace(samples.MAPPED, reclaim={"rss_before": 5, "rss_after": None})
    assert "RSS 5 B → –, data not compared" in render_terminal(replace(samples.NO_LEAK, arms=(unknown,)))


def test_what_could_be_seen() -> None:
    assert "Detection limit: 32 B per slice" in render_terminal(samples.NO_LEAK)
    assert "Detection limit: not known" in render_terminal(samples.EMPTY)


def test_who_owns_the_leak() -> None:
    text = render_terminal(samples.LEAK, width=120)
    assert "Python objects memory-mapped + consumer +580 MB +5.9 MB no LEAK" in " ".join(text.split())
    assert "consumer.py:12, in keep" in text
    assert "module consumer: list `seen` (+1 item per slice)" in text
    framed = replace(samples.LEAK.sites[0], kind="native", native_frames=("strdup", "copy_all"))
    pins = Pins("ndarray", 8, 80_000)
    keys = held("dict", "cache", growth_per_iteration=1000.0, unit="key", pins=pins)
    text = render_terminal(replace(samples.LEAK, sites=(framed,), holders=(keys,)), width=160)
    assert "of the leak; in C: strdup ← copy_all" in text
    assert "dict `cache` (+1,000 keys per slice); each ndarray of 8 B pins 78.1 KB" in text
    possible = replace(samples.LEAK, findings=(Finding("native-heap", "leak", 5, shape="inconclusive"),))
    assert "possible leak" in render_terminal(possible)


def test_warnings_come_last() -> None:
    text = render_terminal(samples.INCONCLUSIVE)
    assert text.index("What to do next") < text.index("Warnings: ")
    assert text.rstrip().endswith("musl has no mallinfo2.")


def test_long_lists_are_counted() -> None:
    text = render_terminal(replace(samples.EMPTY, warnings=tuple(f"warning {i}" for i in range(50))))
    assert "and 47 more" in text


@pytest.mark.parametrize("result", ALL.values(), ids=ALL)
def test_plain_ascii_without_colour(result: Result) -> None:
    text = render_terminal(replace(result, summary="Größe → ∞"), unicode=False)
    assert text.isascii()
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("result", "code"), [(samples.NO_LEAK, "32"), (samples.LEAK, "31"), (samples.EMPTY, "33")]
)
def test_colour_of_the_verdict(result: Result, code: str) -> None:
    assert render_terminal(result, colour=True).startswith(f"\x1b[1;{code}m")


def test_colour_does_not_depend_on_this_processs_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "40"}.items():
        monkeypatch.setenv(name, value)
    assert "\x1b[1;31m" in render_terminal(samples.LEAK, colour=True)
    assert "\x1b" not in render_terminal(samples.LEAK)
    assert max(map(len, render_terminal(samples.LEAK, width=100).splitlines())) > 80


def test_names_are_no_markup_and_move_no_cursor() -> None:
    arm = replace(samples.MAPPED, name="[red]x[/]\x1b[2J\u202e")
    text = render_terminal(replace(samples.NO_LEAK, arms=(arm,), summary="No leak: [bold]a[/bold]\x07"))
    assert "[red]x[/]" in text
    assert "[bold]a[/bold]" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_many_arms() -> None:
    arms = tuple(replace(samples.MAPPED, name=f"arm {i}") for i in range(20))
    text = render_terminal(replace(samples.NO_LEAK, arms=arms), width=100)
    assert "and 14 more runs" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_component_that_is_not_known_is_shown() -> None:
    arm = ArmSummary("x", "program", False, 1, 1, "completed", growth={"gpu": 5 << 20})
    assert row(render_terminal(replace(samples.EMPTY, arms=(arm,))), "gpu") == "+5.0 MB"


def test_no_word_is_torn_in_eighty_columns() -> None:
    arms = [
        replace(samples.MAPPED, name=name)
        for name in ("memory-mapped", "memory-mapped + consumer", "in-memory", "in-memory + consumer")
    ]
    process = {"pid": 13978, "role": "worker 2", **dict.fromkeys(
        ("rss_bytes", "pss_bytes", "anonymous_bytes", "file_bytes", "shmem_bytes", "swap_bytes", "private_dirty_bytes",
         "reclaimable_bytes"), 97 << 20)}  # fmt: skip
    result = replace(samples.LEAK, arms=tuple(arms), processes=(process, process), total_pss_bytes=5 << 20)
    lines = render_terminal(result, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    words = " ".join(lines).split()
    assert "".join(lines).count("97.0 MB") == 16
    for word in (
        "memory-mapped",
        "in-memory",
        "consumer",
        "anonymous",
        "shared",
        "dirty",
        "taken",
        "back",
    ):
        assert word in words, lines
