"""A program under supervision gets the signals that it would get without us: no fewer, and none twice.

Each case runs once bare and once under each command, and the program ends in the same way.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hfmemdebug.supervise.child import CommandError, Exit, SignalRelay, start_child

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")

HFMEMDEBUG = (sys.executable, "-m", "hfmemdebug")
BARE: tuple[str, ...] = ()
RUN = (*HFMEMDEBUG, "run", "-q", "--pass-status", "--")
LIMIT = (*HFMEMDEBUG, "limit", "--memory", "100M", "--backend", "watchdog", "--")
PYTHON = (sys.executable, "-I", "-S", "-c")

# The first SIGTERM saves, the second one forces the end.
SAVES = """
import signal, sys, time
seen = 0
def on_term(number, frame):
    global seen
    seen += 1
    if seen > 1:
        print("forced", flush=True)
        sys.exit(1)
signal.signal(signal.SIGTERM, on_term)
print("ready", flush=True)
while not seen:
    time.sleep(0.01)
print("saving", flush=True)
for _ in range(3000):
    time.sleep(0.01)
"""
# Says of each signal that it has come, until its standard input is closed.
COUNTS = """
import select, signal
signals = {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
print("ready", flush=True)
while not select.select([0], [], [], 0)[0]:
    if signal.sigtimedwait(signals, 0.05):
        print("got one", flush=True)
"""
WAITS = "import time\nprint('ready', flush=True)\nfor _ in range(30): time.sleep(0.1)\nprint('finished')"
# Ends by a signal alone, however busy the machine is.
STAYS = WAITS.replace("30", "3000")


def start(under: tuple[str, ...], *command: str, folder: Path, nohup: bool = False) -> subprocess.Popen[str]:
    """Starts it in a process group of its own, as a shell does with a job, and waits until it is ready."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN) if nohup else None
    process = subprocess.Popen(
        [*under, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, start_new_session=True,
        env={**os.environ, "XDG_STATE_HOME": str(folder)},
    )  # fmt: skip
    if before is not None:
        signal.signal(signal.SIGHUP, before)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def to_group(process: subprocess.Popen[str], number: int) -> None:
    os.killpg(process.pid, number)


def to_it_alone(process: subprocess.Popen[str], number: int) -> None:
    process.send_signal(number)


@pytest.mark.parametrize("under", [BARE, RUN, LIMIT], ids=["bare", "run", "limit"])
@pytest.mark.parametrize("send", [to_group, to_it_alone], ids=["group", "alone"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_reaches_the_program_once(
    under: tuple[str, ...], send: Callable[[subprocess.Popen[str], int], None], number: int, tmp_path: Path
) -> None:
    process = start(under, *PYTHON, COUNTS, folder=tmp_path)
    assert process.stdout is not None
    # Two that come at once are one to the kernel: of several some would be seen twice.
    for _ in range(4):
        send(process, number)
        assert process.stdout.readline() == "got one\n"
        time.sleep(0.4)
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("", 0)


@pytest.mark.parametrize("under", [BARE, RUN, LIMIT], ids=["bare", "run", "limit"])
@pytest.mark.parametrize("send", [to_group, to_it_alone], ids=["group", "alone"])
def test_the_second_signal_forces_the_end_and_the_first_one_does_not(
    under: tuple[str, ...], send: Callable[[subprocess.Popen[str], int], None], tmp_path: Path
) -> None:
    process = start(under, *PYTHON, SAVES, folder=tmp_path)
    send(process, signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "saving\n"
    time.sleep(0.6)
    assert process.poll() is None
    send(process, signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("forced\n", 1)


@pytest.mark.parametrize("under", [BARE, RUN, LIMIT], ids=["bare", "run", "limit"])
def test_a_hang_up_that_is_ignored_ends_no_program(under: tuple[str, ...], tmp_path: Path) -> None:
    process = start(under, *PYTHON, WAITS, folder=tmp_path, nohup=True)
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("finished\n", 0)


@pytest.mark.parametrize("under", [RUN, LIMIT], ids=["run", "limit"])
def test_what_was_ignored_and_blocked_still_is(under: tuple[str, ...], tmp_path: Path) -> None:
    script = (
        "import signal, subprocess, sys\n"
        "for number in (1, 2, 3, 10, 15, 17): signal.signal(number, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [12, 14])\n"
        "import os; os.execvp(sys.argv[1], sys.argv[1:])"
    )
    state = ("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    done = [
        subprocess.run(
            [sys.executable, "-c", script, *prefix, *state], stdout=subprocess.PIPE, text=True, check=True,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        ).stdout
        for prefix in (BARE, under)
    ]  # fmt: skip
    # SIGPIPE and SIGXFSZ, which Python ignores, are not passed on by it.
    python = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1
    bare, supervised = ([int(line.split()[1], 16) & ~python for line in text.splitlines()] for text in done)
    assert supervised == bare


@pytest.mark.parametrize("under", [RUN, LIMIT], ids=["run", "limit"])
def test_what_the_program_sends_to_its_supervisor_does_not_come_back(
    under: tuple[str, ...], tmp_path: Path
) -> None:
    # As a server does that says it is ready.
    tells = "import os, signal, time\nos.kill(os.getppid(), signal.SIGUSR1)\ntime.sleep(0.6)\nprint('lives')"
    done = subprocess.run(
        [*under, *PYTHON, tells], stdout=subprocess.PIPE, text=True, check=False,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("lives\n", 0)


def test_ctrl_backslash_to_the_supervisor_ends_the_program_and_keeps_the_recording(tmp_path: Path) -> None:
    process = start(RUN, *PYTHON, STAYS, folder=tmp_path)
    process.send_signal(signal.SIGQUIT)
    assert process.wait(60) == 128 + signal.SIGQUIT
    assert process.stdout is not None
    assert process.stdout.read() == ""
    (recording,) = tmp_path.glob("hfmemdebug/*/program.jsonl")
    assert '"exit_status":-3' in recording.read_text().splitlines()[-1].replace(" ", "")


def test_ctrl_c_sent_to_the_supervisor_alone_interrupts_the_program(tmp_path: Path) -> None:
    process = start((*HFMEMDEBUG, "run", "-q", "--"), *PYTHON, STAYS, folder=tmp_path)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("", 130)


def test_nothing_of_ours_is_left_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    process = start(RUN, *PYTHON, STAYS, folder=tmp_path)
    children = _children(process.pid)
    assert len(children) == 2, "the program, and the witness of signals"
    process.kill()
    process.wait()
    until = time.monotonic() + 20
    while len(living := [pid for pid in children if Path(f"/proc/{pid}").exists()]) > 1:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert b"finished" in Path(f"/proc/{living[0]}/cmdline").read_bytes()
    os.kill(living[0], signal.SIGKILL)
    process.communicate()


def test_an_arm_without_a_supervisor_ends_before_it_imports_anything() -> None:
    from hfmemdebug.measure import arm_pool

    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    boot = arm_pool._BOOT.format(root=str(Path(arm_pool.__file__).parents[2]), parent=int(gone.stdout))
    done = subprocess.run(
        [sys.executable, "-v", "-c", boot, "0", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 125
    assert "import 'hfmemdebug.measure" not in done.stderr


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_how_a_process_ended() -> None:
    with SignalRelay() as relay:
        for script, said in [
            ("exit 0", Exit(0)),
            ("exit 7", Exit(7)),
            ("kill -9 $$", Exit(-9)),
        ]:
            process = start_child(["sh", "-c", script], relay=relay)
            while (ended := relay.wait(process, 10)) is None:
                pass
            assert ended == said
    with pytest.raises(CommandError) as refused:
        start_child(["no-such-command"])
    assert (refused.value.status, refused.value.exit_status) == (127, 2)


@pytest.mark.parametrize(
    ("ended", "outcome", "status", "number"),
    [
        (Exit(0), "completed", 0, None),
        (Exit(3), "failed", 3, None),
        (Exit(-9), "killed", 137, 9),
        (Exit(-35), "killed", 163, 35),
        # A shell has waited for what was killed.
        (Exit(137), "killed", 137, 9),
        (Exit(255), "failed", 255, None),
        (Exit(-2, interrupted=True), "interrupted", 130, 2),
        (Exit(1, interrupted=True), "interrupted", 1, None),
        (Exit(0, interrupted=True), "completed", 0, None),
        (Exit(-9, "watchdog"), "killed", 137, 9),
        (Exit(None), "failed", None, None),
    ],
)
def test_what_an_exit_means(ended: Exit, outcome: str, status: int | None, number: int | None) -> None:
    assert (ended.outcome, ended.status, ended.signal) == (outcome, status, number)
