"""The charts of the Markdown, drawn by the real mermaid in headless Chromium: each is drawn, and says what it shows.

mermaid comes from npm once a run of the tests; the page itself asks for nothing.
"""

from __future__ import annotations

import html
import re
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from render import samples
from render.test_browser import CHROMIUM, browser
from render.test_plot import leaking, settled

from hfmemdebug.render.chart import fit_chart
from hfmemdebug.render.markdown import render_markdown

__all__ = ["browser"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
MERMAID = "mermaid@11.12.0"


@pytest.fixture(scope="module")
def mermaid(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The library as one script."""
    folder = tmp_path_factory.mktemp("mermaid")
    subprocess.run(["npm", "pack", MERMAID, "--silent"], cwd=folder, check=True, capture_output=True)
    with tarfile.open(next(folder.glob("*.tgz"))) as package:
        script = package.extractfile("package/dist/mermaid.min.js")
        assert script is not None
        return script.read().decode()


def drawn(browser: Any, mermaid: str, markdown: str) -> Iterator[dict[str, Any]]:
    """For each chart of the Markdown: its texts, the colours of its lines, and how far each goes up."""
    blocks = re.findall(r"```mermaid\n(.*?)\n```", markdown, re.DOTALL)
    page = browser.new_page(viewport={"width": 900, "height": 600})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.set_content("".join(f'<pre class="mermaid">{html.escape(block)}</pre>' for block in blocks))
    page.add_script_tag(content=mermaid)
    page.evaluate("mermaid.initialize({startOnLoad: false}); mermaid.run()")
    page.wait_for_function(f"document.querySelectorAll('pre svg').length == {len(blocks)}", timeout=60_000)
    for chart in page.locator("pre svg").all():
        lines = chart.locator(".plot path").all()
        yield {
            "texts": chart.locator("text").all_text_contents(),
            "colours": [line.get_attribute("stroke") for line in lines],
            "heights": [line.bounding_box()["height"] for line in lines],
        }
    page.close()
    assert said == []
    assert asked == []


def test_pages_rise_and_anonymous_memory_is_flat(browser: Any, mermaid: str) -> None:
    markdown = render_markdown(samples.NO_LEAK, [settled("memory-mapped"), settled("in-memory")])
    charts = list(drawn(browser, mermaid, markdown))
    assert len(charts) == 2
    for chart, title in zip(charts, ("memory-mapped", "in-memory"), strict=True):
        assert title in chart["texts"]
        assert "MB" in chart["texts"]
        assert chart["colours"] == ["#3b82f6", "#e66100"]
    pages, anonymous = charts[0]["heights"]
    assert pages > 100
    # A line of two points' width.
    assert anonymous < pages / 10
    # Legends are not drawn everywhere: the line below says what is what.
    assert (
        markdown.count("\n\nBlue: mapped file pages, which the kernel can take back; orange: anonymous") == 2
    )


def test_a_leak_is_a_ramp_with_its_rate(browser: Any, mermaid: str) -> None:
    result, recordings = leaking()
    markdown = render_markdown(result, recordings)
    ramp, *_ = drawn(browser, mermaid, markdown)
    assert any("+1.0 KB per slice" in text for text in ramp["texts"])
    assert ramp["colours"][0] == "#dc2626"
    assert ramp["heights"][0] > 100
    assert "\n\nRed: Python objects, malloc and Arrow beyond what was there after the first epoch" in markdown


def test_foreign_names_and_the_curve_of_fit_are_drawn(browser: Any, mermaid: str) -> None:
    recording = settled('an "arm" [with] {all} %%; kinds\nof <b>signs</b> `x` — ö 100%')
    curve = fit_chart(
        {
            "tried": [
                {"bytes": n << 20, "seconds": 9 - n / 100, "outcome": "completed"} for n in (200, 300, 400)
            ]
        }
    )
    markdown = f"{render_markdown(samples.NO_LEAK, [recording])}\n{curve}"
    named, fitted = drawn(browser, mermaid, markdown)
    assert any("arm" in text and "kinds of" in text for text in named["texts"])
    assert len(named["colours"]) == 2
    assert "Wall time under each limit" in fitted["texts"]
    assert fitted["heights"][0] > 50


def test_shared_memory_has_a_colour_of_its_own(browser: Any, mermaid: str) -> None:
    recording = settled("memory-mapped")
    shared = tuple(
        replace(sample, shmem=n << 20) if sample.shmem is not None else sample
        for n, sample in enumerate(recording.samples)
    )
    markdown = render_markdown(samples.NO_LEAK, [replace(recording, samples=shared)])
    [chart] = drawn(browser, mermaid, markdown)
    assert chart["colours"] == ["#3b82f6", "#e66100", "#a855f7"]
    assert "; purple: shared memory, which it cannot." in markdown
