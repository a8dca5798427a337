from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from supervise.started import started

from hfmemdebug.measure.attach import Attachment
from hfmemdebug.recording.header import ArmInfo, Header, Workload
from hfmemdebug.supervise.attach_target import find_target

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")


HEADER = Header("attach", ArmInfo("program", "program", consumer=False), Workload())


def test_the_first_figures_go_ahead_of_looking_into_the_process(tmp_path: Path) -> None:
    seen = []

    def show(attachment: Attachment) -> bool:
        seen.append((attachment.tree is not None, attachment.samples[-1].kind))
        return len(seen) < 2

    with started("") as process:
        Attachment(find_target(process.pid), tmp_path / "a.jsonl", HEADER).watch(show)
    assert seen == [(False, "tree"), (True, "tree")]


def test_what_is_recorded_begins_once_shared_pages_are_counted_once(tmp_path: Path) -> None:
    looks = []
    code = """
import subprocess, sys
code = "print(1, flush=True); import sys; sys.stdin.read()"
worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
worker.stdout.readline()
"""
    with started(code) as process:
        recording = Attachment(find_target(process.pid), tmp_path / "a.jsonl", HEADER).watch(
            lambda attachment: len(looks.append(1) or looks) < 6
        )
    assert all(s.pss is not None for s in recording.samples)
    assert {s.role for s in recording.samples if s.kind == "process"} == {"main", "python -c"}


def test_another_process_of_the_same_number_is_not_taken_for_it(tmp_path: Path) -> None:
    with started("") as process:
        target = find_target(process.pid)
        # As it was named, and ended; the kernel has given its number to somebody else since.
        earlier = replace(target, started=target.started - 1)
        attachment = Attachment(earlier, tmp_path / "a.jsonl", HEADER)
        recording = attachment.watch(lambda attachment: pytest.fail("it was shown"))
    assert attachment.why_ended == f"process {process.pid} ended while it was watched"
    assert recording.samples == ()
