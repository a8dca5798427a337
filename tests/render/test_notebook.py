from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from IPython.core.formatters import DisplayFormatter
from nbclient import NotebookClient
from render import samples

import hfmemdebug
from hfmemdebug.render.notebook import notebook_html, svg_chart


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def shown(value: object) -> tuple[str, str]:
    """What a kernel sends for the last value of a cell: its text and its HTML."""
    found, _ = DisplayFormatter().format(value)
    return found["text/plain"], found["text/html"]


def test_a_recorder_shows_itself_as_a_table_and_a_chart() -> None:
    kept = []
    watched = hfmemdebug.watch(range(40), name="loop")
    text, page = shown(watched)
    assert "Nothing is recorded yet" in page
    for _ in range(4):
        for item in watched:
            kept.append(str(item) * 1000)
    text, page = shown(watched)
    assert text == "<watched by <Recorder 'loop': epoch 5, 0 items in it>>"
    assert "<svg" in page
    assert "160 items" in page
    assert "<td" in page
    assert "Python objects" in page
    # It goes on: what was shown did not end it.
    for item in watched:
        kept.append(item)
    assert "200 items" in shown(watched.recorder)[1]


def test_a_cell_asks_for_nothing_and_is_well_formed() -> None:
    page = notebook_html(samples.every_cause(), [samples.recording("memory-mapped")])
    ElementTree.fromstring(page.replace("&nbsp;", " "))
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=", page)
    assert set(re.findall(r"https?://[^\"]+", page)) == {"http://www.w3.org/2000/svg"}


def test_foreign_text_is_no_markup() -> None:
    page = notebook_html(replace(samples.every_cause(), summary="Leak <script>alert(1)</script>"))
    assert "<script" not in page


def test_a_result_shows_itself_without_what_is_private() -> None:
    assert hfmemdebug.Result is type(samples.LEAK)
    home = str(Path.home())
    page = shown(replace(samples.every_cause(), warnings=(f"{home}/project/train.py was read",)))[1]
    assert "~/project/train.py was read" in page
    assert f"{home}/project" not in page


def test_a_line_of_the_chart_lies_within_it() -> None:
    chart = ElementTree.fromstring(svg_chart(samples.recording("memory-mapped")))
    lines = [e for e in chart.iter() if e.tag.endswith("polyline")]
    assert len(lines) >= 2
    for line in lines:
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 640
            assert 0 <= y <= 180


def test_cells_of_a_real_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    cells = (
        "import hfmemdebug\nkept = []\nbatches = hfmemdebug.watch([[n] * 10 for n in range(40)])",
        # The kernel's own threads make and drop some kilobytes meanwhile.
        "for epoch in range(4):\n    for batch in batches:\n        kept.append(bytes(100_000))\nbatches",
        "for batch in batches:\n    kept.append(bytes(100_000))\nbatches.result()",
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown_by_loop, shown_by_result = (
        next(output.data for output in cell.outputs if output.output_type == "execute_result")
        for cell in notebook.cells[1:]
    )
    assert "<svg" in shown_by_loop["text/html"]
    assert "160 items" in shown_by_loop["text/html"]
    assert "200 items" in shown_by_result["text/html"]
    assert "LEAK" in shown_by_result["text/html"]
