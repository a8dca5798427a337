from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pytest
from leaks import held
from render import samples

import hfmemdebug
from hfmemdebug.leak import Site
from hfmemdebug.probes.environment import environment
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import ArmSample
from hfmemdebug.render.chart import mermaid_chart, thin
from hfmemdebug.render.markdown import LIMIT, render_markdown
from hfmemdebug.render.text import cell, fence, html, prose, table
from hfmemdebug.render.words import cause_words
from hfmemdebug.result import Finding, Result

NASTY = "a|b\nc `d|e` <img src=x> @octocat #12 **bold** [x](y) ```\n</details> \x1b[0m $x$ _y_"
RESULTS = {
    "no-leak": samples.NO_LEAK,
    "leak": samples.LEAK,
    "inconclusive": samples.INCONCLUSIVE,
    "every cause": samples.every_cause(),
    "empty": samples.EMPTY,
    "bare": replace(samples.EMPTY, arms=(samples.BARE_ARM,)),
}


def columns(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def well_formed(text: str) -> None:
    """Every fence is closed, every table's rows have its header's columns, every <details> is closed."""
    ticks = ""
    expected = 0
    outside = []
    for line in text.splitlines():
        fenced = re.match(r"^(`{3,})", line)
        if ticks:
            if fenced and len(fenced[1]) >= len(ticks) and line.strip("`") == "":
                ticks = ""
            continue
        if fenced:
            ticks = fenced[1]
            continue
        outside.append(line)
        if line.startswith("|"):
            expected = expected or columns(line)
            assert columns(line) == expected, line
        else:
            expected = 0
    assert not ticks
    opened, closed = ("\n".join(outside).count(tag) for tag in ("<details>", "</details>"))
    assert opened == closed


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
@pytest.mark.parametrize(
    "recordings", [(), (samples.recording(),), (samples.recording(bare=True, slices=1),)]
)
def test_well_formed(result: Result, recordings: tuple[Recording, ...]) -> None:
    text = render_markdown(result, recordings)
    well_formed(text)
    assert len(text) < LIMIT
    assert text.startswith(
        "### " + {"no-leak": "NO LEAK", "leak": "LEAK"}.get(result.verdict, "INCONCLUSIVE")
    )


def test_says_all_there_is() -> None:
    text = render_markdown(samples.LEAK, [samples.recording()])
    for part in (
        "- `datasets` version: 5.2.0\n- Platform: Linux-6.18.44-x86_64-with-glibc2.36\n- Python",
        "```sh\nhfmemdebug diagnose ./synthetic-ds\n```",
        "```sh\nhfmemdebug synth && hfmemdebug diagnose ./synthetic-ds\n```",
        "| Python objects | memory-mapped + consumer | +580 MB | +5.9 MB (+5.8 MB to +6.0 MB) | no | LEAK, g",
        "in the user's code",
        "consumer.py:12, in keep",
        "list `seen`",
        "Every slice adds 20,001 objects",
        "RSS 1.7 GB → 346 MB",
        "Detection limit: 32 B per slice",
        "```mermaid\n",
        "Blue: mapped file pages",
        "<summary>memory-mapped: 100 of 100 slices</summary>",
        "Look at what consumer.py:12 appends to `seen`",
    ):
        assert part in text
    assert "| Rows read (of all) | 740,000 (10% of 7,270,695) |" in render_markdown(samples.INCONCLUSIVE, ())
    assert "musl has no mallinfo2" in render_markdown(samples.INCONCLUSIVE, ())


def test_the_environment_is_what_datasets_cli_prints_and_the_rest_is_folded() -> None:
    script = "from datasets.commands.env import EnvironmentCommand; EnvironmentCommand().run()"
    theirs = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    text = render_markdown(replace(samples.NO_LEAK, environment=environment()), ())
    block = text.partition("#### Environment info\n\n")[2].partition("\n\n")[0]

    def plain(lines: str) -> list[str]:
        # Older versions set fewer lines, and one without its code marks.
        return [line.replace("`", "").lower() for line in lines.splitlines() if line.startswith("- ")]

    wanted = plain(theirs)
    assert wanted
    assert [line for line in plain(block) if line in wanted] == wanted
    folded = text[text.index("<summary>Memory settings") :]
    assert "- hfmemdebug version: " in folded
    assert "- Arrow memory pool: " in folded


def test_the_tables_of_the_runs_are_what_matters_and_the_rest_folded() -> None:
    text = render_markdown(samples.NO_LEAK, ())
    short, _, rest = text.partition("<summary>All figures of the runs</summary>")
    assert "| RSS grew by |" in short
    assert "| Given back: collection |" not in short
    assert "| Given back: collection |" in rest


@pytest.mark.parametrize("slices", [2, 3, 1000])
def test_chart_is_thin_and_true(slices: int) -> None:
    recording = samples.recording(slices=slices)
    chart = mermaid_chart(recording, 'a "quoted" [title]')
    assert chart is not None
    lines = [[int(x) for x in found.split(", ")] for found in re.findall(r"line \[(.*)\]", chart)]
    assert len(lines) == 2
    assert len(lines[0]) == len(lines[1]) == min(60, slices)
    mb = samples.MB
    assert lines[0][0] == round((recording.samples[0].file or 0) / mb)
    assert lines[0][-1] == round((recording.samples[-1].file or 0) / mb)
    assert lines[1][0] == 175
    assert f"1 --> {slices}" in chart
    top = re.search(r'y-axis "MB" 0 --> (\d+)', chart)
    assert top is not None
    assert int(top[1]) >= max(lines[0])
    assert 'title "a  quoted   title "' in chart


def test_shared_memory_gets_a_line_where_there_is_some() -> None:
    recording = samples.recording(slices=4)
    shared = tuple(replace(s, shmem=300 << 20) for s in recording.samples)
    chart = mermaid_chart(replace(recording, samples=shared), "x")
    assert chart is not None
    assert "line [300, 300, 300, 300]" in chart
    assert "purple: shared memory" in chart


def test_what_was_loaded_without_a_name() -> None:
    files = [
        {"path": "/private/name.arrow", "size_bytes": 5 << 20, "filesystem": fs} for fs in ("tmpfs", "ext4")
    ]
    arm = replace(samples.MAPPED, loaded={"storage": "memory-mapped", "name": "secret/name", "files": files})
    stream = replace(samples.MAPPED, loaded={"storage": "streaming", "files": []})
    text = render_markdown(replace(samples.NO_LEAK, arms=(arm, stream, samples.MAPPED)), ())
    assert "| Loaded as | memory-mapped: 2 files, 10.0 MB on ext4, tmpfs | streaming | – |" in text
    assert "name.arrow" not in text


def test_the_chart_says_who_dropped_the_pages() -> None:
    recording = samples.recording(slices=4)
    assert "had them dropped" not in (mermaid_chart(recording, "x") or "")
    dropped = ArmSample("settle", 1, 4, 1.0, step="drop_pages")
    recording = replace(recording, samples=(*recording.samples, dropped))
    assert "had them dropped" in (mermaid_chart(recording, "x") or "")


def test_no_chart_without_the_split() -> None:
    assert mermaid_chart(samples.recording(bare=True), "x") is None
    assert mermaid_chart(samples.recording(slices=1), "x") is None
    assert "mermaid" not in render_markdown(samples.NO_LEAK, [samples.recording(bare=True)])


@pytest.mark.parametrize("count", [0, 1, 2, 59, 60, 61, 1_000_003])
def test_thinning_keeps_both_ends(count: int) -> None:
    kept = thin(range(count), 60)
    assert len(kept) == min(60, count)
    assert kept == sorted(set(kept))
    if count:
        assert (kept[0], kept[-1]) == (0, count - 1)


def test_a_million_samples_fit() -> None:
    recording = samples.recording(slices=1000)
    recording = replace(recording, samples=tuple(recording.samples) * 1000)
    text = render_markdown(samples.NO_LEAK, [recording, recording])
    assert len(text) < LIMIT
    assert "100 of 1,000,000 slices" in text
    well_formed(text)


@pytest.mark.parametrize(
    "filler", ["x" * 5000, "|" * 5000, "<" * 5000, "`" * 5000, NASTY * 100, "@a " * 2000]
)
def test_fits_whatever_there_is_to_tell(filler: str) -> None:
    many = 1000
    result = replace(
        samples.LEAK,
        summary=filler,
        cause=filler,
        iteration=filler,
        findings=tuple(
            Finding(filler, "leak", 1, 1.0, (1.0, 2.0), filler, None, filler, filler) for _ in range(many)
        ),
        arms=tuple(
            replace(
                samples.MAPPED,
                name=filler,
                outcome=filler,
                outcome_detail=filler,
                reclaim={"why_not": filler},
            )
            for _ in range(many)
        ),
        sites=(Site(filler, 5, filler, filler, 1.0),) * many,
        holders=(held(filler, filler, module=filler),) * many,
        advice=(filler,) * many,
        warnings=(filler,) * many,
        environment={f"{filler}{i}": filler for i in range(many)},
        command_line=filler,
        reproduce=f"{filler}!",
    )
    recording = samples.recording(name=filler, slices=1000)
    text = render_markdown(result, [recording] * many)
    assert len(text) < LIMIT
    assert "Left out" in text
    assert text.startswith("### LEAK")
    well_formed(text)


def test_a_program_of_many_processes_keeps_what_matters() -> None:
    long = "/scratch/" + "a-folder-with-a-long-name/" * 150 + "data-00000-of-00512.arrow"
    files = [
        {"path": f"{long}{n}", "resident_bytes": 5 << 20, "size_bytes": 9 << 20, "kind": "dataset"}
        for n in range(99)
    ]
    figures = ("rss", "pss", "anonymous", "file", "shmem", "swap", "private_dirty", "reclaimable")
    process = {f"{name}_bytes": 7 << 20 for name in figures}
    result = replace(
        samples.LEAK,
        processes=tuple({"pid": n, "role": f"worker {n}", **process, "files": files} for n in range(64)),
        shared_memory=tuple({"path": long, "size_bytes": 5, "holders": list(range(64))} for _ in range(64)),
        warnings=tuple(f"{n}: {long} could not be read" for n in range(200)),
        command_line=f"hfmemdebug run train.py {long} {long}",
    )
    text = render_markdown(result, [samples.recording(f"arm {n}", slices=3000) for n in range(8)])
    assert len(text) < LIMIT
    well_formed(text)
    for kept in (
        "### LEAK",
        "```mermaid",
        "- `datasets` version: 5.2.0",
        "worker 0 (0)",
        "#### Steps to reproduce",
    ):
        assert kept in text


def test_the_versions_of_a_program_stand_in_the_templates_order() -> None:
    environment = {"hfmemdebug version": "0.1.0", "Kernel": "Linux 6.18", "Python version": "3.11.7",
                   "pyarrow version": "26.0.1", "datasets version": "5.2.0"}  # fmt: skip
    text = render_markdown(replace(samples.LEAK, environment=environment), ())
    block = text.partition("#### Environment info\n\n")[2].partition("\n\n")[0]
    assert block.splitlines() == [
        "- `datasets` version: 5.2.0",
        "- Platform: Linux 6.18",
        "- Python version: 3.11.7",
        "- PyArrow version: 26.0.1",
    ]


def test_foreign_text_breaks_nothing_and_calls_nobody() -> None:
    result = replace(
        samples.LEAK,
        summary=NASTY,
        findings=tuple(replace(f, detail=NASTY, arm=NASTY) for f in samples.LEAK.findings),
        arms=(replace(samples.MAPPED, name=NASTY, outcome="failed", outcome_detail=NASTY),),
        advice=(NASTY,),
        warnings=(NASTY,),
        environment={NASTY: NASTY},
        command_line=NASTY,
    )
    text = render_markdown(result, [samples.recording(name=NASTY, slices=4)])
    well_formed(text)
    outside = re.sub(r"(?s)^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE)
    assert "@octocat" not in outside
    assert "#12" not in outside
    assert "<img" not in outside
    assert outside.count("</details>") == 2
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("x86_64 snake_case", "x86_64 snake_case"),
        ("`datasets` version", "`datasets` version"),
        ("a ` b", "a \\` b"),
        ("# no title", "\\# no title"),
        ("- no list", "\\- no list"),
        ("1. no list", "1\\. no list"),
        ("+1.4 GB", "+1.4 GB"),
        ("5.2.0", "5.2.0"),
        ("a\n\n b", "a b"),
        ("a & b", "a &amp; b"),
    ],
)
def test_prose(text: str, shown: str) -> None:
    assert prose(text) == shown


def test_cells_and_tables() -> None:
    assert cell("a|b `c|d`") == "a\\|b `c\\|d`"
    assert cell("  set in").startswith("&nbsp;")
    assert table(["a", "b"], [["1", "|"]]) == "| a | b |\n| --- | ---: |\n| 1 | \\| |"


def test_fence_is_longer_than_what_is_in_it() -> None:
    assert fence("a\n````\nb", "sh") == "`````sh\na\n````\nb\n`````"


def test_inside_a_tag_there_are_no_markdown_escapes() -> None:
    assert html("a*b <c> @d") == "a*b &lt;c&gt; @\u200bd"


def test_every_cause_has_words() -> None:
    contract = (
        "python-objects native-heap arrow-pool shared-memory copy-on-write file-mapping anonymous-other "
        "mmap-file-pages allocator-retention bounded-cache step"
    )
    for cause in contract.split():
        assert cause_words(cause) != cause or cause == "step"
    assert cause_words("something-new") == "something-new"


def test_to_markdown_of_a_result() -> None:
    assert hfmemdebug.Result is type(samples.NO_LEAK)
    assert samples.NO_LEAK.to_markdown() == render_markdown(samples.NO_LEAK, ())
