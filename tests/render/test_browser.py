"""The HTML report in headless Chromium: no error, no request, the recording's figures, and it fits a phone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from render import samples
from render.test_plot import leaking, settled, watched

from hfmemdebug.render.html import render_html
from hfmemdebug.render.tables import arm_table
from hfmemdebug.units import format_bytes

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
RECORDINGS = [settled("memory-mapped"), settled("in-memory")]


@dataclass
class Seen:
    """A page, what its console said and what it asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start where the tests run as root, in a container.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("html") / "report.html"
    path.write_text(render_html(samples.NO_LEAK, RECORDINGS), encoding="utf-8")
    return path


def look(browser: Any, path: Path, *, width: int = 1280, dark: bool = False) -> Seen:
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    seen = Seen(page)
    page.on("console", lambda message: seen.said.append(message.text))
    page.on("pageerror", lambda error: seen.said.append(str(error)))
    page.on("request", lambda request: seen.asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-drawn]", timeout=30_000)
    return seen


def quiet(seen: Seen, path: Path) -> None:
    assert seen.said == []
    assert [url for url in seen.asked if not url.startswith("data:")] == [path.as_uri()]


def test_figures_hover_and_silence(browser: Any, report: Path) -> None:
    seen = look(browser, report)
    page = seen.page
    charts = page.locator(".chart svg")
    assert charts.count() == len(RECORDINGS) + 1
    # What is drawn from: the recording, to the byte.
    specs = json.loads(page.locator("#specs").text_content())
    for spec, recording in zip(specs, RECORDINGS, strict=False):
        points = spec["data"]["values"]
        assert [(p["rss"], p["file"], p["anon"]) for p in points] == [
            (s.rss, s.file, s.anon) for s in recording.slices
        ]
    # What is shown where somebody points.
    box = charts.first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#vg-tooltip-element.visible", timeout=30_000)
    told = re.sub(r"\s+", " ", page.locator("#vg-tooltip-element").inner_text())
    found = re.search(
        r"epoch:? (\d+) slice:? (\d+) RSS:? ([\d,.]+) MB mapped file pages:? ([\d,.]+) MB", told
    )
    assert found is not None, told
    sample = next(s for s in RECORDINGS[0].slices if (s.epoch, s.slice) == (int(found[1]), int(found[2])))
    assert found[3] == f"{(sample.rss or 0) / samples.MB:,.1f}"
    assert found[4] == f"{(sample.file or 0) / samples.MB:,.1f}"
    # The tables.
    shown = page.locator("body").inner_text()
    for label, *cells in arm_table(samples.NO_LEAK, 8, thorough=True).rows:
        assert label.strip() in shown
        assert all(cell in shown for cell in cells)
    assert format_bytes(samples.NO_LEAK.findings[0].growth_bytes, signed=True) in shown
    quiet(seen, report)


def test_on_a_phone_in_the_dark(browser: Any, report: Path) -> None:
    seen = look(browser, report, width=390, dark=True)
    page = seen.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert all(page.locator(".chart svg").nth(n).bounding_box()["width"] <= 390 for n in range(3))
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 23, 42)"
    assert (
        page.evaluate("document.querySelector('.chart svg .role-axis-label text').getAttribute('fill')")
        == "#e2e8f0"
    )
    # Turned to light while it is open, it is drawn anew.
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("body[data-drawn='2']", timeout=60_000)
    assert (
        page.evaluate("document.querySelector('.chart svg .role-axis-label text').getAttribute('fill')")
        == "#0f172a"
    )
    quiet(seen, report)


def test_a_leak_shows_its_rate_first_and_foreign_text_does_nothing(browser: Any, tmp_path: Path) -> None:
    result, recordings = leaking()
    header = recordings[0].header
    arm = replace(header.arm, name="</script><img src=https://evil.example/x>")
    recordings[0] = replace(recordings[0], header=replace(header, arm=arm))
    path = tmp_path / "leak.html"
    path.write_text(render_html(result, recordings), encoding="utf-8")
    seen = look(browser, path)
    assert "+1.0 KB per slice" in seen.page.locator("#chart-0").inner_text()
    assert seen.page.locator("img").count() == 0
    assert seen.page.locator("h1").inner_text() == "LEAK"
    quiet(seen, path)


def test_each_process_of_a_program_has_its_own_chart(browser: Any, tmp_path: Path) -> None:
    recording = watched()
    path = tmp_path / "run.html"
    path.write_text(render_html(samples.LEAK, [recording]), encoding="utf-8")
    seen = look(browser, path)
    figures = seen.page.locator("figure").all()
    titles = [figure.locator("strong").inner_text() for figure in figures]
    assert titles[-3:] == ["main (PID 100)", "worker 1 (PID 101)", "worker 2 (PID 102)"]
    figures[-1].scroll_into_view_if_needed()
    box = figures[-1].locator("svg").bounding_box()
    seen.page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    seen.page.wait_for_selector("#vg-tooltip-element.visible", timeout=30_000)
    told = re.sub(r"\s+", " ", seen.page.locator("#vg-tooltip-element").inner_text())
    found = re.search(r"seconds:? ([\d.]+) RSS:? ([\d,.]+) MB", told)
    assert found is not None, told
    processes = (process for tree in recording.trees for process in tree.processes)
    sample = next(p for p in processes if p.pid == 102 and p.seconds == float(found[1]))
    assert found[2] == f"{(sample.rss or 0) / samples.MB:,.1f}"
    quiet(seen, path)
