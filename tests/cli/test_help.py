from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from hfmemdebug.cli.app import run
from hfmemdebug.cli.help import GUIDE, topics


def test_without_a_topic_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help"]) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("  ")]
    assert [line.split()[0] for line in lines] == sorted(path.stem for path in GUIDE.glob("*.md"))
    assert {"run", "oom", "method", "workers", "containers"} <= set(topics())
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("topic", ["run", "OOM"])
def test_in_a_pipe_a_page_is_its_text(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", topic]) == 0
    assert capsys.readouterr().out == (GUIDE / f"{topic.lower()}.md").read_text(encoding="utf-8")


def test_on_a_terminal_a_page_is_rendered() -> None:
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "hfmemdebug", "help", "oom"]
    with subprocess.Popen(command, stdout=terminal, env=environment):
        os.close(terminal)
        shown = b""
        # A terminal that the program has left fails to be read.
        try:
            while part := os.read(controller, 65536):
                shown += part
        except OSError:
            assert shown
    os.close(controller)
    text = shown.decode()
    assert "\033[" in text
    assert "# My job" not in text
    assert "My job was OOM-killed" in text


@pytest.mark.parametrize(
    ("topic", "hint"),
    [("atach", "Did you mean `hfmemdebug help attach`?"), ("xyz", "`hfmemdebug help` lists the pages.")],
)
def test_an_unknown_page_is_one_line(topic: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["help", topic]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"hfmemdebug: the guide has no page '{topic}'. {hint}\n"


@pytest.mark.parametrize("page", sorted(GUIDE.glob("*.md")), ids=lambda page: page.stem)
def test_pages_are_what_a_terminal_can_show(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# ")
    # The oldest rich that is supported shows no tables, and a link to a file is of no use there.
    assert "\n|" not in text
    assert "](" not in text
