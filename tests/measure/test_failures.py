"""Programs that fail, die, or meddle with their process: each is part of the result, none is our error."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from measure.box import Box

IN_SLICE_3 = "calls = 0\ndef f(rows):\n    global calls\n    calls += 1\n    if calls == 4:\n        {}\n"


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def profile(box: Box, target: str, *more: str) -> tuple[int, dict[str, object], str]:
    done = box.run(
        "profile",
        "./ds",
        "--step",
        "100",
        "--epochs",
        "2",
        "--budget",
        "30",
        "--consumer",
        target,
        "--json",
        *more,
    )
    assert "our own error" not in done.stderr
    assert "an error of ours" not in done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.parametrize(
    ("statement", "outcome", "says"),
    [
        ("raise ValueError('boom\\nsecond line')", "failed", "slice 3 of epoch 1: ValueError: boom"),
        ("import sys; sys.exit(3)", "failed", "slice 3 of epoch 1: SystemExit: 3"),
        ("raise KeyboardInterrupt", "failed", "slice 3 of epoch 1: KeyboardInterrupt"),
        ("raise type('Odd', (BaseException,), {})('odd')", "failed", "slice 3 of epoch 1: Odd: odd"),
        (
            "raise type('Bad', (Exception,), {'__str__': lambda self: 1 / 0})",
            "failed",
            "slice 3 of epoch 1: Bad",
        ),
        ("import os; os._exit(7)", "failed", "exit status 7 after slice 2 of epoch 1"),
        ("import os; os.kill(os.getpid(), 9)", "killed", "SIGKILL after slice 2 of epoch 1"),
        ("import os; os.kill(os.getpid(), 6)", "killed", "SIGABRT after slice 2"),
        ("import ctypes; ctypes.string_at(0)", "killed", "SIGSEGV after slice 2 of epoch 1"),
        ("import os; os.closerange(3, 1024)", "failed", "closed all open files"),
        ("import os; os.closerange(3, 1024); os.fstat(3)", "failed", "closed all open files"),
    ],
    ids=[
        "raise",
        "exit",
        "interrupt",
        "base",
        "str",
        "_exit",
        "kill",
        "abort",
        "segv",
        "close",
        "close and fail",
    ],
)
def test_a_death_in_a_slice(box: Box, statement: str, outcome: str, says: str) -> None:
    status, document, err = profile(box, box.code(IN_SLICE_3.format(statement)))
    assert (status, document["verdict"]) == (4, "inconclusive")
    (arm,) = document["arms"]
    assert arm["outcome"] == outcome
    assert says in arm["outcome_detail"]
    assert arm["iterations"] == 3
    assert "hfmemdebug/measure" not in json.dumps(document)
    (recording,) = box.recordings()
    assert len(recording.slices) == 3, "all samples up to the death are there"
    assert not recording.end.is_missing
    assert recording.end.outcome == outcome
    if statement.startswith("raise ValueError"):
        assert "ValueError: boom\nsecond line" in err, "their traceback is theirs and whole"


def test_files_that_get_the_numbers_of_ours_stay_as_they_are(box: Box) -> None:
    opens = "import os; os.closerange(3, 1024); kept = [open(f'own-{i}', 'w') for i in range(20)]"
    status, document, _ = profile(box, box.code(IN_SLICE_3.format(opens)))
    assert (status, document["verdict"]) == (4, "inconclusive")
    assert "closed all open files" in document["arms"][0]["outcome_detail"]
    own = list(box.folder.glob("own-*"))
    assert len(own) == 20
    assert not any(file.stat().st_size for file in own)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "def setup(): raise RuntimeError('no database')\ndef f(rows): pass\n",
            "setup(): RuntimeError: no database",
        ),
        ("import sys\ndef setup(): sys.exit('bye')\ndef f(rows): pass\n", "setup(): SystemExit: bye"),
        ("raise RuntimeError('no database')\n", "RuntimeError"),
        ("def f(rows: pass\n", "SyntaxError"),
        ("import nothing_of_this_name\n", "nothing_of_this_name"),
        ("import os; os.kill(os.getpid(), 9)\n", "SIGKILL before the first slice"),
        ("def f(rows): raise ValueError('at once')\n", "slice 0 of epoch 1: ValueError: at once"),
    ],
    ids=["setup", "setup-exit", "import", "syntax", "missing", "killed", "first"],
)
def test_a_death_before_anything_was_measured(box: Box, code: str, says: str) -> None:
    status, document, _ = profile(box, box.code(code))
    assert status == 4
    assert document["schema"] == "hfmemdebug.error.v1"
    assert says in str(document["message"])


@pytest.mark.parametrize("statement", ["raise RuntimeError('no')", "import sys; sys.exit(2)"])
def test_a_death_in_teardown(box: Box, statement: str) -> None:
    status, document, _ = profile(box, box.code(f"def teardown(): {statement}\ndef f(rows): pass\n"))
    assert status in (0, 4)
    (arm,) = document["arms"]
    assert arm["outcome"] == "failed"
    assert "teardown()" in arm["outcome_detail"]


def test_a_decided_leak_wins_over_a_death(box: Box) -> None:
    code = "seen = []\ndef teardown(): raise RuntimeError('no')\ndef f(rows): seen.append(rows)\n"
    status, document, _ = profile(box, box.code(code))
    assert (status, document["verdict"]) == (1, "leak")


@pytest.mark.parametrize(
    "code",
    [
        "import os\ndef f(rows): os.chdir('/')\n",
        "import os\ndef f(rows):\n    for fd in (0, 1, 2):\n        try: os.close(fd)\n        except OSError: pass\n",
        "import sys\ndef f(rows): print('x' * 9000); sys.stderr.write('y' * 9000)\n",
        "import signal\ndef setup():\n    for n in (2, 15, 1): signal.signal(n, signal.SIG_IGN)\ndef f(rows): pass\n",
        "import os, time\ndef setup():\n    if os.fork() == 0: time.sleep(600)\ndef f(rows): pass\n",
        "import threading, time\ndef setup(): threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "def f(rows): pass\n",
        "import sys\ndef setup(): sys.stdout = sys.stderr = None\ndef f(rows): pass\n",
        "import gc\ndef setup(): gc.disable()\ndef f(rows): pass\n",
        "import os, sys\ndef setup(): os.environ.clear(); sys.path.clear()\ndef f(rows): pass\n",
    ],
    ids=["chdir", "close", "prints", "signals", "fork", "thread", "no-streams", "gc", "environ"],
)
def test_meddling_does_no_harm(box: Box, code: str) -> None:
    """It must end, with a right verdict, and standard output must hold one document."""
    status, document, _ = profile(box, box.code(code))
    assert (status, document["verdict"]) == (0, "no-leak")
    assert document["arms"][0]["outcome"] == "completed"


@pytest.mark.parametrize("own", [None, "glibc.malloc.arena_max=2"])
def test_the_users_code_sees_its_own_environment(box: Box, own: str | None) -> None:
    """What the arms' malloc was told is for them alone, not for what the user's code starts."""
    box.env.pop("GLIBC_TUNABLES", None)
    box.env.update({"GLIBC_TUNABLES": own} if own is not None else {})
    status, document, _ = profile(
        box, box.code(f"import os\ndef f(rows): assert os.environ.get('GLIBC_TUNABLES') == {own!r}\n")
    )
    assert (status, document["arms"][0]["outcome"]) == (0, "completed")
    assert document["environment"]["malloc settings"] == (f"GLIBC_TUNABLES={own}" if own else "none set")


def test_a_killed_arm_whose_children_live_on_does_not_hang(box: Box) -> None:
    """They hold its end of the pipe."""
    code = (
        "import os, time\ndef setup():\n    child = os.fork()\n    if child == 0: time.sleep(600)\n"
        "    open('child', 'w').write(str(child))\n" + IN_SLICE_3.format("os.kill(os.getpid(), 9)")
    )
    status, document, _ = profile(box, box.code(code))
    assert status == 4
    assert "SIGKILL" in document["arms"][0]["outcome_detail"]
    assert not is_running(int((box.folder / "child").read_text())), "what it had started was ended with it"


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_memory_that_runs_out(box: Box) -> None:
    code = (
        "import resource\nheld = []\n"
        "def setup():\n"
        "    data = int(open('/proc/self/statm').read().split()[5]) * resource.getpagesize()\n"
        "    resource.setrlimit(resource.RLIMIT_DATA, (data + 60 * 2**20,) * 2)\n"
        "def f(rows): held.append(bytearray(10 * 2**20))\n"
    )
    status, document, err = profile(box, box.code(code))
    assert status in (1, 4)
    (arm,) = document["arms"]
    assert arm["outcome"] == "failed"
    assert "MemoryError" in arm["outcome_detail"]
    assert 2 <= arm["iterations"] <= 7
    assert "MemoryError" in err


def test_an_arm_of_diagnose_that_dies_leaves_the_others(box: Box) -> None:
    target = box.code(
        IN_SLICE_3.format("os.kill(os.getpid(), 9)").replace("calls = 0", "import os\ncalls = 0")
    )
    status, document = box.result("diagnose", "./ds", "--step", "100", "--consumer", target)
    assert status in (0, 3, 4)
    outcomes = {arm["name"]: arm["outcome"] for arm in document["arms"]}
    assert outcomes["memory-mapped"] in ("completed", "interrupted")
    assert outcomes["memory-mapped + consumer"] == "killed"


WAITS = (
    "import time\nn = 0\ndef f(rows):\n    global n\n    n += 1\n"
    "    if n == 5:\n        open('there', 'w').close()\n        time.sleep({})\n"
)


def started(box: Box, *, stuck: bool = False, epochs: int = 50) -> tuple[object, int]:
    """A run whose consumer is in its fifth slice, and the arm's process."""
    os.mkfifo(box.folder / "there")
    target = box.code(WAITS.format(600 if stuck else 0.2))
    process = box.start("profile", "./ds", "--step", "20", "--epochs", str(epochs), "--consumer", target)
    # Opening blocks until the consumer opens the other end.
    with (box.folder / "there").open():
        pass
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return process, int(children[0])


@pytest.mark.parametrize(
    ("number", "group"),
    [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, False)],
    ids=["ctrl-c", "ctrl-c at a terminal", "term", "hup"],
)
def test_an_interruption_keeps_what_was_measured(box: Box, number: int, group: bool) -> None:
    process, arm = started(box)
    os.killpg(process.pid, number) if group else process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert out
    assert not is_running(arm)
    (recording,) = box.recordings()
    assert len(recording.slices) >= 5
    assert not recording.end.is_missing
    assert recording.end.outcome == "interrupted"


def test_a_hang_up_that_is_ignored_ends_nothing(box: Box) -> None:
    # As under nohup.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process, _ = started(box, epochs=2)
    finally:
        signal.signal(signal.SIGHUP, before)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=120)
    assert process.returncode in (0, 3)
    (recording,) = box.recordings()
    assert (recording.slices[-1].epoch, recording.end.outcome) == (2, "completed")


def test_a_second_ctrl_c_ends_at_once(box: Box) -> None:
    process, arm = started(box, stuck=True)
    process.send_signal(signal.SIGINT)
    # It says so, and then waits for the slice.
    while "epoch" not in (line := process.stdout.readline()) and line:
        pass
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not is_running(arm)
    (recording,) = box.recordings()
    assert len(recording.slices) == 4


def test_kill_9_leaves_no_process_and_a_readable_recording(box: Box) -> None:
    process, arm = started(box, stuck=True)
    watched = os.pidfd_open(arm)
    process.kill()
    process.communicate(timeout=60)
    # A process's descriptor can be read once it has ended: the kernel ends the arm with its parent.
    import select

    assert select.select([watched], [], [], 30)[0]
    os.close(watched)
    (recording,) = box.recordings()
    assert len(recording.slices) == 4
    assert recording.end.is_missing


def test_every_sample_is_in_the_file_before_the_next_slice(box: Box) -> None:
    _, arm = pair = started(box, stuck=True)
    (recording,) = box.recordings()
    assert [sample.slice for sample in recording.slices] == [0, 1, 2, 3]
    os.kill(arm, signal.SIGKILL)
    pair[0].communicate(timeout=60)
    (recording,) = box.recordings()
    assert len(recording.slices) == 4
    assert not recording.end.is_missing
    assert recording.end.outcome == "killed"


def test_tracing_that_fails_does_not_cost_the_verdict(box: Box) -> None:
    code = (
        "import sys\nsys.modules['hfmemdebug.origin.trace'] = None\nkept = []\n"
        "def f(rows):\n    kept.append(bytes(5000))\n"
    )
    status, document, _ = profile(box, box.code(code), "--epochs", "4")
    assert (status, document["verdict"]) == (1, "leak")
    assert document["sites"] == []
    assert any("tracing failed (ModuleNotFoundError" in line for line in document["warnings"])


def test_forked_workers_end_when_they_are_told_to(box: Box) -> None:
    # As `Pool.terminate` does with a worker that waits for a lock.
    waits = (
        "import multiprocessing, time\n"
        "context = multiprocessing.get_context('fork')\n"
        "lock = context.Lock()\n"
        "def f(rows):\n"
        "    with lock:\n"
        "        worker = context.Process(target=lock.acquire)\n"
        "        worker.start()\n"
        "        time.sleep(0.05)\n"
        "        worker.terminate()\n"
        "        worker.join(10)\n"
        "        assert worker.exitcode == -15, worker.exitcode\n"
    )
    more = ("--iterations", "3", "--epochs", "2", "--consumer", box.code(waits), "--json")
    done = box.run("profile", "./ds", *more)
    assert json.loads(done.stdout)["arms"][0]["outcome"] == "completed", done.stderr
