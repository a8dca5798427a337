from __future__ import annotations

from dataclasses import replace

from render import samples

from hfmemdebug.render.terminal import chart_lines, render_terminal


def test_what_rises_rises_and_what_is_flat_is_flat() -> None:
    lines = chart_lines([samples.recording(slices=60, epochs=1)], width=80)
    assert lines[0] == "memory-mapped, over its 60 slices:"
    pages, anonymous = (line[16:].split("  ")[0] for line in lines[1:])
    assert pages[0] < pages[len(pages) // 2] < pages[-1] == "█"
    assert set(anonymous) == {"▁"}
    assert "225 MB to " in lines[1]
    assert max(map(len, lines)) <= 80


def test_without_unicode_in_eighty_columns_within_the_screen() -> None:
    recordings = [samples.recording(name) for name in ("memory-mapped", "memory-mapped + consumer")]
    text = render_terminal(samples.NO_LEAK, recordings, width=80, unicode=False)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("over its 100 slices") == 1, "one arm of each mode"
    assert "@" in text


def test_the_arm_that_leaks_is_drawn_and_not_its_control() -> None:
    recordings = [samples.recording(name) for name in ("memory-mapped", "memory-mapped + consumer")]
    assert chart_lines(recordings, width=80)[0].startswith("memory-mapped, ")
    leaking = chart_lines(recordings, width=80, leaking={"memory-mapped + consumer"})
    assert leaking[0].startswith("memory-mapped + consumer, ")


def test_what_could_not_be_read_is_not_drawn() -> None:
    assert chart_lines([samples.recording(bare=True)], width=80) == []
    assert chart_lines([], width=80) == []
    some = samples.recording(slices=10)
    shared = tuple(replace(s, shmem=300 << 20) for s in some.samples)
    assert any("shared" in line for line in chart_lines([replace(some, samples=shared)], width=80))
