from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from supervise.started import FORKS, MB, started

from hfmemdebug.cli.app import run
from hfmemdebug.cli.live import PlainView
from hfmemdebug.measure.attach import Attachment

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")

# By the clock: on a busy machine, what keeps one after each sleep grows more slowly for a while, and is not even.
GROWING = (
    "import threading, time\nkept, began = [], time.monotonic()\ndef grow():\n    while True:\n"
    "        while len(kept) < 40 * (time.monotonic() - began): kept.append(bytearray(b'x') * (1 << 20))\n"
    "        time.sleep(.02)\n"
    "threading.Thread(target=grow, daemon=True).start()"
)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_once_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    with started(f"ballast = bytearray(b'x') * (32 << 20)\n{FORKS}fork(2)") as process:
        assert run(["attach", str(process.pid), "--once", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "hfmemdebug.result.v1"
    assert document["command"] == "attach"
    assert document["verdict"] is None
    roles = [entry["role"] for entry in document["processes"]]
    assert roles == ["main", "worker 0", "worker 1"]
    fields = {
        "pid", "role", "rss_bytes", "pss_bytes", "anonymous_bytes", "file_bytes", "shmem_bytes", "swap_bytes",
        "private_dirty_bytes", "reclaimable_bytes", "files",
    }  # fmt: skip
    assert all(fields <= set(entry) for entry in document["processes"])
    assert 32 * MB < document["total_unreclaimable_bytes"] < 60 * MB
    assert document["total_reclaimable_bytes"] > 0


def test_once_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    with started("ballast = bytearray(b'x') * (32 << 20)") as process:
        assert run(["attach", str(process.pid), "--once"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Process {process.pid} has ")
    assert "can be taken back" in out.replace("\n", " ")
    # A narrow column breaks between the two.
    assert "main" in out
    assert f"({process.pid})" in out


def test_once_quiet_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with started("") as process:
        assert run(["attach", str(process.pid), "--once", "-q"]) == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_sustained_growth_is_seen_and_not_called_a_leak(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, recording = tmp_path / "report.md", tmp_path / "run.jsonl"
    outputs = ["-o", str(report), "-o", str(recording)]
    with started(GROWING) as process:
        status = run(["attach", str(process.pid), "--duration", "5", "--json", "--min-leak", "4M", *outputs])
    document = json.loads(capsys.readouterr().out)
    assert status == 3, document["summary"]
    assert document["verdict"] == "inconclusive"
    assert document["summary"].startswith("Sustained growth")
    assert document["rate_bytes_per_second"] > MB
    assert "| main" in report.read_text()
    assert run(["report", str(recording), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["summary"] == document["summary"]


def test_what_stands_still_is_no_leak(capsys: pytest.CaptureFixture[str]) -> None:
    with started("ballast = bytearray(b'x') * (32 << 20)") as process:
        status = run(["attach", str(process.pid), "--duration", "4", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert (status, document["verdict"]) == (0, "no-leak"), document["summary"]


def test_it_ends_with_the_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with started("") as process:

        def end_it(view: PlainView, attachment: Attachment) -> bool:
            if attachment.tree is not None:
                process.kill()
                process.wait()
            return True

        monkeypatch.setattr(PlainView, "__call__", end_it)
        status = run(["attach", str(process.pid), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert (status, document["verdict"]) == (3, "inconclusive")
    assert any("ended while it was watched" in line for line in document["warnings"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_keeps_what_was_measured(number: int) -> None:
    with started("") as target:
        command = [sys.executable, "-m", "hfmemdebug", "attach", str(target.pid), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            process.stderr.readline()
            process.send_signal(number)
            out, _ = process.communicate(timeout=30)
    document: dict[str, Any] = json.loads(out)
    assert document["processes"][0]["pid"] == target.pid


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["4194999", "--once"], "there is no process 4194999"),
        (["1", "--once", "--duration", "3"], "exclude each other"),
        (["1", "--once", "--min-leak", "1M"], "--once does not see"),
        (["1", "--once", "-o", "x.jsonl"], "makes no recording"),
        (["1", "--once", "-o", "x.png"], "nothing to draw"),
        (["0"], "for 'PID'"),
        (["train.py"], "for 'PID'"),
        (["1", "--limit", "1G"], "No such option"),
        (["1", "--min-leak", "many"], "is not a size"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["attach", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_the_live_view_ends_with_q_and_leaves_a_report() -> None:
    with started(f"{FORKS}fork(1)") as target:
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm", COLUMNS="120", LINES="40")
            os.execv(sys.executable, [sys.executable, "-m", "hfmemdebug", "attach", str(target.pid)])
        shown = b""
        deadline = time.monotonic() + 40
        asked = False
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            shown += part
            if not asked and b"q ends with a report" in shown:
                asked = True
                os.write(terminal, b"q")
        else:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
    text = shown.decode(errors="replace")
    assert asked, text
    assert "worker 0" in text
    assert "too short" in " ".join(text.split())
    assert os.waitstatus_to_exitcode(status) == 3


def test_reclaim_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "data-00000-of-00001.arrow"
    with path.open("wb") as file:
        file.write(os.urandom(16 * MB))
        file.flush()
        os.fsync(file.fileno())
    code = (
        "import mmap, sys\nfile = open(sys.argv[1], 'rb')\n"
        "mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\n"
        "for page in range(0, len(mapped), 4096): mapped[page]\n"
    )
    with started(code, str(path)) as process:
        assert run(["attach", str(process.pid), "--once", "--reclaim", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
    proof = document["arms"][0]["reclaim"]
    assert proof["asked_bytes"] == 16 * MB
    if proof["why_not"] is None:
        assert proof["freed_bytes"] >= 8 * MB
        assert proof["rss_after"] < proof["rss_before"]
    else:
        assert proof["why_not"]


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["attach", "--help"]) == 0
    assert "hfmemdebug attach 4711" in capsys.readouterr().out
