from __future__ import annotations

import io
import json
import re
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from leaks import held
from render import samples

from hfmemdebug.errors import UsageError
from hfmemdebug.leak import Site
from hfmemdebug.recording.end import MISSING_END, End
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import ArmInfo, Header, Workload
from hfmemdebug.recording.sample import ArmSample, ProcessSample, TreeSample
from hfmemdebug.render.html import render_html
from hfmemdebug.render.markdown import render_markdown
from hfmemdebug.render.picture import picture, render_png, render_svg
from hfmemdebug.render.plot import arm_chart, process_charts, top_of
from hfmemdebug.render.retained_chart import mermaid_ramp, retained_chart
from hfmemdebug.result import Result, without_verdict

MB = samples.MB
BLUE, ORANGE = (0x3B, 0x82, 0xF6), (0xE6, 0x61, 0x00)


FIT = {
    "smallest_bytes": 236 * MB,
    "knee_bytes": 708 * MB,
    "free": {"bytes": None, "outcome": "completed", "seconds": 0.5, "major_faults": 1, "stalled_seconds": None},
    "tried": [
        {"bytes": limit * MB, "outcome": outcome, "seconds": seconds, "major_faults": 9, "stalled_seconds": None}
        for limit, outcome, seconds in (
            (225, "killed", 0.3), (236, "completed", 5.0), (236, "completed", 4.0), (708, "completed", 0.6),
        )
    ],
}  # fmt: skip


def test_commands_to_reproduce_stand_on_lines_of_their_own() -> None:
    result = replace(samples.NO_LEAK, reproduce="hfmemdebug synth like-ds\nhfmemdebug diagnose ./like-ds")
    page = render_html(result, (), library="")
    assert "<pre>hfmemdebug synth like-ds\nhfmemdebug diagnose ./like-ds</pre>" in page


def test_the_runs_of_fit_are_drawn_and_listed() -> None:
    result = without_verdict("fit", "Needs 236 MB; below 708 MB it runs slower.", fit=FIT)
    svg = render_svg(result, ())
    for said in (
        "needs 236 MB",
        "slower below 708 MB",
        "limit, MB",
        "killed",
        "hfmemdebug fit",
        "Needs 236 MB",
    ):
        assert said in svg
    page = render_html(result, (), library="")
    assert "The runs under each limit" in page
    assert "225 MB" in page
    assert "Detection limit" not in page


def test_a_limit_is_a_table_of_the_page() -> None:
    limit = {"bytes": 100 * MB, "how": "cgroup v1", "is_limit": True, "outcome": "killed", "oom_kills": 1}
    page = render_html(without_verdict("limit", "limit 100 MB: killed", limit=limit), (), library="")
    assert "Memory limit" in page
    assert "cgroup v1" in page
    assert "fewer than two slices" not in page


PROGRAM = Header("run", ArmInfo("program", "program", consumer=False), Workload())


def settled(name: str, *, per_epoch: int = 0, epochs: int = 4, slices: int = 20) -> Recording:
    """An arm whose epochs end settled, with so many bytes more of Python objects each time."""
    recording = samples.recording(name, slices=slices * epochs, epochs=epochs)
    taken: list[ArmSample] = []
    for epoch in range(1, epochs + 1):
        taken += [s for s in recording.slices if s.epoch == epoch]
        figures = {"python": 60 * MB + epoch * per_epoch, "malloc": 9 * MB, "arrow": 0}
        taken.append(ArmSample("settle", epoch, slices, epoch * 2.0, step="trim", **figures))
    return replace(recording, samples=tuple(taken))


def leaking() -> tuple[Result, list[Recording]]:
    recordings = [settled("memory-mapped"), settled("memory-mapped + consumer", per_epoch=20 * 1024)]
    header = recordings[1].header
    recordings[1] = replace(recordings[1], header=replace(header, arm=replace(header.arm, consumer=True)))
    finding = replace(samples.LEAK.findings[0], rate_bytes_per_iteration=1024.0, growth_bytes=80 * 1024)
    return replace(samples.LEAK, findings=(finding,)), recordings


def test_the_figures_are_the_recordings() -> None:
    recording = samples.recording()
    chart = arm_chart(recording, top=1000, most=2000)
    assert chart is not None
    points = chart["data"]["values"]
    assert [p["rss"] for p in points] == [s.rss for s in recording.slices]
    assert [p["file"] for p in points] == [s.file for s in recording.slices]
    assert [p["i"] for p in points] == list(range(1, 101))
    assert sum(p["warmup"] for p in points) == 3


def test_many_slices_are_thinned_and_epochs_chosen() -> None:
    chart = arm_chart(samples.recording(slices=900, epochs=3), top=1, most=100, epochs=1)
    assert chart is not None
    assert len(chart["data"]["values"]) == 100
    assert {p["epoch"] for p in chart["data"]["values"]} == {1}
    assert chart["encoding"]["x"]["scale"]["domain"] == [1, 300]


def test_an_arm_without_the_split_shows_its_rss() -> None:
    chart = arm_chart(samples.recording(bare=True), top=1, most=100)
    assert chart is not None
    assert "cannot be read here" in json.dumps(chart)
    assert arm_chart(samples.recording(slices=1), top=1, most=100) is None
    assert top_of([]) == 1.0


def test_a_leak_is_a_ramp_with_its_rate() -> None:
    chart = retained_chart(*leaking())
    assert chart is not None
    ramp = [p["value"] for p in chart["data"]["values"] if p["arm"] == "memory-mapped + consumer"]
    assert ramp == [0, 20480, 40960, 61440]
    assert {p["value"] for p in chart["data"]["values"] if p["arm"] == "memory-mapped"} == {0}
    assert "+1.0 KB per slice" in json.dumps(chart)
    assert chart["encoding"]["y"]["title"] == "KB"


def test_the_ramp_as_mermaid_stands_beside_its_control() -> None:
    result, recordings = leaking()
    block = mermaid_ramp(result, recordings)
    assert block is not None
    assert "line [0, 20, 40, 60]" in block
    assert "line [0, 0, 0, 0]" in block
    assert 'y-axis "KB" 0 --> 63' in block
    assert "+1.0 KB per slice" in block
    assert block in render_markdown(result, recordings)
    assert mermaid_ramp(samples.NO_LEAK, recordings) is None
    assert mermaid_ramp(samples.LEAK, [samples.recording()]) is None


def test_without_a_leak_the_smallest_that_could_be_seen_stands_beside() -> None:
    chart = retained_chart(samples.NO_LEAK, [settled("memory-mapped")])
    assert "what a leak of 32 B per slice would look like" in json.dumps(chart)


def test_what_was_never_settled_is_shown_by_its_pages() -> None:
    chart = retained_chart(samples.LEAK, [samples.recording()])
    assert chart is not None
    assert "anonymous memory" in chart["title"]["text"]
    assert retained_chart(samples.LEAK, [samples.recording(bare=True)]) is None


def heights(png: bytes, colour: tuple[int, int, int]) -> list[int]:
    """For each column of a picture: pixels that are about of a colour."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    width, height = image.size
    pixels: Any = image.load()
    return [
        sum(max(abs(a - b) for a, b in zip(pixels[x, y], colour, strict=True)) < 45 for y in range(height))
        for x in range(0, width, 4)
    ]


def test_one_look_shows_pages_that_rise_and_anonymous_memory_that_does_not() -> None:
    png = render_png(samples.NO_LEAK, [samples.recording(slices=20, epochs=1)])
    blue, orange = ([h for h in heights(png, colour) if h > 20][4:-4] for colour in (BLUE, ORANGE))
    assert blue[-1] > 2 * blue[0]
    # Columns on an epoch's line or a hover mark differ by a few pixels.
    [(usual, count)] = Counter(orange).most_common(1)
    assert count > 0.8 * len(orange)
    assert max(abs(h - usual) for h in orange) < 0.1 * max(blue)


def test_svg_says_the_verdict_the_arms_and_the_rate() -> None:
    result, recordings = leaking()
    svg = render_svg(result, recordings)
    shown = re.sub(r"<[^>]+>", "\n", svg)
    for text in ("LEAK", "memory-mapped + consumer", "+1.0 KB per slice", "mapped pages +1.3 GB"):
        assert text in shown, text
    assert "href" not in svg
    assert len(svg) < 500_000


@pytest.mark.parametrize(
    "result", [samples.NO_LEAK, samples.LEAK, samples.INCONCLUSIVE, samples.EMPTY, samples.every_cause()]
)
@pytest.mark.parametrize(
    "recordings",
    [
        [],
        [samples.recording()],
        [samples.recording(bare=True, slices=1)],
        [settled(f"a{n}") for n in range(6)],
    ],
)
def test_any_run_makes_a_specification_and_a_page(result: Result, recordings: list[Recording]) -> None:
    json.dumps(picture(result, recordings))
    page = render_html(result, recordings, library="/* library */")
    assert "{{" not in page.partition("/* library */")[0]
    assert page.count("<section>") == page.count("</section>")


def test_foreign_text_does_not_break_the_page() -> None:
    nasty = "</script><img src=https://evil.example/x onerror=alert(1)> <!-- {{library}} \x1b[0m"
    recording = samples.recording(nasty)
    result = replace(
        samples.LEAK, summary=nasty, advice=(nasty,), warnings=(nasty,), command_line=nasty,
        arms=(replace(samples.MAPPED, name=nasty, outcome_detail=nasty),), environment={nasty: nasty},
        sites=(Site(nasty, 1, nasty, nasty, 1.0),), holders=(held(nasty, nasty, module=nasty),),
    )  # fmt: skip
    page = render_html(result, [recording], library="window.x = '</script>'")
    assert "<img" not in page
    assert "\x1b" not in page
    assert page.count("<script") == page.count("</script>") == 3
    # As the browser reads it.
    specs = json.loads(page.partition('type="application/json">')[2].partition("</script>")[0])
    assert len(specs) == 2
    assert "&lt;/script&gt;&lt;img" in page


def test_a_program_that_was_looked_at_is_drawn_over_its_looks() -> None:
    recording = samples.recording("program", slices=10)
    looks = tuple(
        TreeSample(s.seconds, rss=MB, anon=s.anon, file=s.file, shmem=s.shmem) for s in recording.samples
    )
    recording = Recording(PROGRAM, trees=looks)
    chart = arm_chart(recording, top=top_of([recording]), most=100)
    assert chart is not None
    assert "epoch 1" not in json.dumps(chart["layer"][0])
    # The parts are higher than a sum that was read at another moment.
    assert top_of([recording]) > (looks[-1].file or 0) / MB
    kept = retained_chart(samples.LEAK, [recording])
    assert kept is not None
    assert kept["title"]["subtitle"].startswith("at each sample")


def test_without_the_library_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    for render in (render_html, render_png, render_svg):
        with pytest.raises(UsageError, match="needs vl-convert-python") as error:
            render(samples.LEAK, [])
        assert "hfmemdebug[plot]" in error.value.line()


def watched(processes: int = 3, looks: int = 12) -> Recording:
    """A program whose workers begin later, as a supervisor outside saw it."""
    taken: list[TreeSample] = []
    for look in range(looks):
        living = []
        for pid in range(processes):
            if look >= 2 * pid:
                figures = {"anon": (20 + pid) * MB + look * pid * MB, "file": 9 * MB, "shmem": 0}
                rss = figures["anon"] + figures["file"]
                role = f"worker {pid}" if pid else "main"
                living.append(ProcessSample(look / 2, 100 + pid, role=role, rss=rss, **figures))
        sums = {"rss": 90 * MB, "anon": 70 * MB, "file": 20 * MB, "shmem": 0}
        taken.append(TreeSample(look / 2, **sums, processes=tuple(living)))
    return Recording(PROGRAM, end=End("completed"), trees=tuple(taken))


def test_each_process_of_a_program_is_drawn_over_the_seconds() -> None:
    recording = watched()
    charts = process_charts(recording, most=400)
    assert [chart["title"]["text"] for chart in charts] == [
        "main (PID 100)", "worker 1 (PID 101)", "worker 2 (PID 102)",
    ]  # fmt: skip
    assert charts[2]["title"]["subtitle"] == "over its life: mapped pages 0 B, anonymous +14.0 MB"
    for pid, chart in enumerate(charts, start=100):
        mine = [s for tree in recording.trees for s in tree.processes if s.pid == pid]
        points = chart["data"]["values"]
        assert [(p["i"], p["rss"], p["anon"]) for p in points] == [(s.seconds, s.rss, s.anon) for s in mine]
        # One scale and one time for all, so that they can be compared.
        assert chart["encoding"]["x"]["scale"]["domain"] == [0, 5.5]
    assert len({json.dumps(chart["layer"][0]["encoding"]["y"]["scale"]) for chart in charts}) == 1
    assert process_charts(watched(processes=1), most=400) == []
    assert len(process_charts(watched(processes=40, looks=90), most=400)) == 12
    whole = arm_chart(recording, top=100, most=400)
    assert whole is not None
    assert whole["encoding"]["x"]["title"] == "seconds"


def test_shared_memory_has_the_same_colour_in_all_arms_of_a_picture() -> None:
    recordings = [settled("memory-mapped"), settled("memory-mapped + consumer")]
    grown = tuple(replace(s, shmem=40 * MB) if s.kind == "slice" else s for s in recordings[1].samples)
    drawn = picture(samples.NO_LEAK, [recordings[0], replace(recordings[1], samples=grown)])
    colours = re.findall(r'"range": (\["#[^]]*\])', json.dumps(drawn["vconcat"][0]))
    assert len(colours) == 2
    assert set(colours) == {'["#e66100", "#a855f7", "#3b82f6"]'}


def test_a_ramp_has_one_label_which_is_that_of_its_cause() -> None:
    result, recordings = leaking()
    others = [
        replace(result.findings[0], cause="native-heap", rate_bytes_per_iteration=7.0, growth_bytes=1 << 30)
    ]
    chart = retained_chart(replace(result, findings=(*others, *result.findings)), recordings)
    assert chart is not None
    labels = re.findall(r'"text": "(\+[^"]* per slice)"', json.dumps(chart))
    assert labels == ["+1.0 KB per slice"]


def test_where_the_code_has_no_settled_end_its_slices_are_drawn() -> None:
    _, recordings = leaking()
    cut = replace(recordings[1], samples=recordings[1].samples[:15], end=MISSING_END)
    chart = retained_chart(samples.INCONCLUSIVE, [recordings[0], cut])
    assert chart is not None
    assert {point["arm"] for point in chart["data"]["values"]} == {
        "memory-mapped",
        "memory-mapped + consumer",
    }
    assert "anonymous memory" in chart["title"]["text"]


def test_the_verdict_stands_alone_and_the_sentence_begins_anew() -> None:
    result = replace(
        samples.LEAK, summary="Leak, in your code or in what it calls: 448 B per item stay behind."
    )
    title = picture(result, [settled("program")])["title"]
    assert title["text"] == "LEAK"
    assert title["subtitle"][0].startswith("In your code or in what it calls: 448 B")
