from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from supervise.limits.runs import LIMIT, PYTHON, groups_of, limited, processes_of

from hfmemdebug.supervise.limits.limiter import LimitError, Request, Unavailable
from hfmemdebug.supervise.limits.run_id import new_name
from hfmemdebug.supervise.limits.start import OPENERS, start
from hfmemdebug.supervise.limits.watchdog import Watchdog

FILL = "import sys; held = bytearray(int(sys.argv[1]) << 20); print(len(held) >> 20)"


def why_not(backend: str) -> str | None:
    try:
        OPENERS[backend](Request(64 << 20), new_name()).close()
    except Unavailable as why:
        return str(why)
    return None


@pytest.fixture(params=["cgroup2", "cgroup1", "watchdog"])
def backend(request: pytest.FixtureRequest) -> str:
    if why_not(request.param) is not None:
        pytest.skip(f"only on machines where {request.param} can be had")
    return request.param


def test_below_the_limit_nothing_is_changed(backend: str) -> None:
    done = limited(
        "--memory", "100M", "--backend", backend, "--", *PYTHON, FILL, "50", stdin=None, input="unread"
    )
    assert (done.returncode, done.stdout) == (0, "50\n")
    assert len(done.stderr.splitlines()) == 1
    assert "ended with exit status 0" in done.stderr
    assert "100 MB" in done.stderr


def test_above_the_limit_it_is_killed(backend: str) -> None:
    # Page by page, so that the watchdog sees it grow.
    slowly = "import time\nheld = []\nwhile True: held.append(bytearray(1 << 20)); time.sleep(0.001)"
    done = limited("--memory", "60M", "--backend", backend, "--", *PYTHON, slowly)
    assert done.returncode == 137
    by = "the watchdog" if backend == "watchdog" else "the kernel's OOM killer"
    assert f"killed by {by}" in done.stderr
    if backend == "watchdog":
        assert "which is no limit" in done.stderr
    else:
        assert "1 OOM kill" in done.stderr


def test_pages_of_files_do_not_kill(backend: str, tmp_path: Path) -> None:
    file = tmp_path / "data"
    with file.open("wb") as out:
        for _ in range(60):
            out.write(os.urandom(1 << 20))
        out.flush()
        os.fsync(out.fileno())
        os.posix_fadvise(out.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    read = (
        "import mmap, sys\nfile = open(sys.argv[1], 'rb')\nm = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\n"
        "print(sum(m[i] for i in range(0, len(m), 4096)) > 0)"
    )
    done = limited("--memory", "40M", "--backend", backend, "--", *PYTHON, read, str(file))
    assert (done.returncode, done.stdout) == (0, "True\n")


def test_children_count_together(backend: str) -> None:
    fork = (
        "import os, time\nfor _ in range(4):\n"
        "    if os.fork() == 0:\n        held = bytearray(30 << 20)\n        time.sleep(60)\n"
        "os.wait(); raise SystemExit(9)"
    )
    process = subprocess.Popen(
        [*LIMIT, "--memory", "80M", "--backend", backend, "--", *PYTHON, fork],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    _, said = process.communicate(timeout=100)
    if backend == "watchdog":
        assert process.returncode == 137
        assert "killed by the watchdog" in said
    else:
        # The kernel kills the largest, one at a time; the others go on.
        assert process.returncode == 9
        assert "OOM kill" in said
        assert "no OOM kill" not in said
        assert "that it had left running ended with it" in said
    assert processes_of(process.pid) == set()
    assert groups_of(process.pid) == []


def test_workers_that_share_what_their_parent_has_are_counted_once() -> None:
    fork = (
        "import os, time\nheld = bytearray(40 << 20)\n"
        "for _ in range(4):\n    if os.fork() == 0:\n        time.sleep(0.5); os._exit(0)\n"
        "for _ in range(4): os.wait()"
    )
    done = limited("--memory", "100M", "--backend", "watchdog", "--", *PYTHON, fork)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -TERM $$"], 143),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["no-such-command-here"], 127),
        (["/no/such/command"], 127),
        (["/etc/passwd"], 126),
        ([""], 127),
        (["/"], 126),
    ],
)
def test_the_status_is_the_commands(command: list[str], status: int) -> None:
    done = limited("--memory", "100M", "--", *command)
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == 1
    assert "OOM killer" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--memory", "banana", "--", "true"], 2, "not a size"),
        (["--memory", "1", "--", "true"], 2, "less than a page"),
        (["--memory", "9" * 400, "--", "true"], 2, "more than any machine has"),
        (["--memory", "1G", "--swap", "9999999999T", "--", "true"], 2, "more than any machine has"),
        (["--memory", "1G"], 2, "COMMAND"),
        (["--", "true"], 2, "--memory"),
        (["--memory", "1G", "--backend", "magic", "--", "true"], 2, "no such backend"),
        (["--memory", "1G", "-o", "x.jsonl", "--", "true"], 2, "no recording"),
        (["--memory", "1G", "-o", "x.png", "--", "true"], 2, "nothing to draw"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], status: int, said: str) -> None:
    done = limited(*arguments)
    assert done.returncode == status
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_more_than_there_is_limits_nothing() -> None:
    done = limited("--memory", "1000T", "--", "true")
    assert done.returncode == 0
    assert "so that 1000 TB limits nothing" in done.stderr


def test_memlimit_is_what_is_in_force(backend: str) -> None:
    inner = [*LIMIT, "--memory", "900M", "--backend", backend, "--", "printenv", "MEMLIMIT"]
    done = limited("--memory", "200M", "--backend", backend, "--", *inner)
    if backend == "watchdog":
        assert done.stdout == "900M\n"
    else:
        assert done.stdout == f"{200 << 20}\n"
        assert "a limit of 200 MB holds around this process" in done.stderr


@pytest.mark.parametrize("given", [subprocess.DEVNULL, 2, None])
def test_standard_error_behind_a_tool_that_starts_the_command(
    monkeypatch: pytest.MonkeyPatch, given: int | None
) -> None:
    class Behind(Watchdog):
        prefix = ("env",)

    monkeypatch.setitem(OPENERS, "watchdog", Behind)
    started = start(["sh", "-c", "exit 5"], Request(64 << 20), backend="watchdog", stderr=given)
    assert started.process.wait() == 5
    started.close()


def test_an_interpreter_that_this_user_may_not_execute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/etc/passwd")
    with pytest.raises(LimitError, match="/etc/passwd cannot be executed: Permission denied"):
        start(["true"], Request(64 << 20), backend="watchdog")


def test_a_backend_that_is_not_here() -> None:
    missing = [name for name in OPENERS if why_not(name) is not None]
    if not missing:
        pytest.skip("only on machines that lack a backend")
    done = limited("--memory", "100M", "--backend", missing[0], "--", "true")
    assert done.returncode == 125
    assert f"--backend {missing[0]} does not work here" in done.stderr


def test_document(tmp_path: Path) -> None:
    done = limited(
        "--memory", "100M", "--swap", "1M", "--json", "-o", str(tmp_path / "out.md"), "--",
        "sh", "-c", "echo printed; exit 4",
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert done.returncode == 4
    assert "printed" in done.stderr
    assert (document["schema"], document["command"]) == ("hfmemdebug.result.v1", "limit")
    assert document["verdict"] is None
    limit = document["limit"]
    assert limit["bytes"] == 100 << 20
    assert (limit["outcome"], limit["exit_status"]) == ("failed", 4)
    assert limit["backend"] in OPENERS
    assert {"peak_bytes", "oom_kills"} <= set(limit)
    written = (tmp_path / "out.md").read_text()
    assert "Enforced by" in written
    assert "sh -c" in written


def test_json_of_the_command_is_not_ours() -> None:
    done = limited("--memory", "100M", "--", *PYTHON, "import sys; print(sys.argv[1:])", "--json", "--", "-q")
    assert done.stdout == "['--json', '--', '-q']\n"


def test_environment_directory_and_descriptors_are_passed_on(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    done = limited(
        "--memory", "1.5G", "--", "sh", "-c", f"pwd; echo $MEMLIMIT $0; echo through >/dev/fd/{write_end}",
        "a name ünd mehr", cwd=tmp_path, pass_fds=(write_end,),
    )  # fmt: skip
    os.close(write_end)
    assert done.stdout == f"{tmp_path}\n1.5G a name ünd mehr\n"
    assert os.read(read_end, 100) == b"through\n"
    os.close(read_end)


def test_what_is_left_running_ends_with_it(backend: str) -> None:
    away = (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        time.sleep(100)\n    os._exit(0)\nos.wait(); time.sleep(0.2)"
    )
    process = subprocess.Popen(
        [*LIMIT, "--memory", "100M", "--backend", backend, "--", *PYTHON, away],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    _, said = process.communicate(timeout=100)
    assert process.returncode == 0
    assert "1 process that it had left running ended with it" in said
    assert processes_of(process.pid) == set()
    assert groups_of(process.pid) == []


def started(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def test_after_a_kill_the_next_start_sweeps(backend: str) -> None:
    away = (
        "import os, sys, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(100)\n"
        "    os._exit(0)\nos.wait(); print('ready', flush=True); time.sleep(100)"
    )
    process = subprocess.Popen(
        [*LIMIT, "--memory", "100M", "--backend", backend, "--", *PYTHON, away],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    started(process)
    assert len(processes_of(process.pid)) == 2
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    assert limited("--memory", "100M", "--backend", backend, "--", "true").returncode == 0
    assert processes_of(process.pid) == set()
    assert groups_of(process.pid) == []


def test_the_sweep_leaves_living_runs_alone() -> None:
    process = subprocess.Popen(
        [*LIMIT, "--memory", "100M", "--", "sh", "-c", "echo ready; read -r line; exit $line"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    started(process)
    assert limited("--memory", "100M", "--", "true").returncode == 0
    process.communicate("7\n", timeout=100)
    assert process.returncode == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_sent_to_us_reaches_the_command_once(number: signal.Signals) -> None:
    count = (
        "import signal, sys, time\nseen = []\n"
        "signal.signal(int(sys.argv[1]), lambda *a: seen.append(1))\nprint('ready', flush=True)\n"
        "while not seen: time.sleep(0.01)\ntime.sleep(0.2); print(len(seen)); raise SystemExit(5)"
    )
    process = subprocess.Popen(
        [*LIMIT, "--memory", "100M", "--", *PYTHON, count, str(int(number))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    started(process)
    process.send_signal(number)
    out, _ = process.communicate(timeout=100)
    assert (process.returncode, out) == (5, "1\n")


def test_the_terminal_is_the_commands_and_ctrl_c_comes_once() -> None:
    script = (
        "import os, signal, sys, time\nseen = []\nsignal.signal(signal.SIGINT, lambda *a: seen.append(1))\n"
        "print('tty', os.isatty(0), os.isatty(1), *os.get_terminal_size(), flush=True)\n"
        "while not seen: time.sleep(0.01)\ntime.sleep(0.3); print('seen', len(seen)); raise SystemExit(6)"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [*LIMIT, "--memory", "100M", "--", *PYTHON, script])
    import fcntl
    import struct
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    shown = b""
    sent = False
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
        if not sent and b"77 33" in shown:
            os.write(terminal, b"\x03")
            sent = True
    _, status = os.waitpid(pid, 0)
    assert b"tty True True 77 33" in shown
    assert b"seen 1" in shown
    assert os.waitstatus_to_exitcode(status) == 6


def test_sigpipe_and_the_mask_are_as_they_were() -> None:
    done = limited("--memory", "100M", "--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    bare = subprocess.run(
        ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"], capture_output=True, text=True, check=True
    )
    assert done.stdout == bare.stdout


def test_two_at_once() -> None:
    both = [
        subprocess.Popen([*LIMIT, "--memory", "100M", "--", *PYTHON, FILL, "40"], stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [process.wait(100) for process in both] == [0, 0]


def test_a_limit_that_the_interpreter_does_not_fit_in(backend: str) -> None:
    if backend == "watchdog":
        pytest.skip("only on control groups: a watchdog may come too late for a short program")
    done = limited("--memory", "64K", "--backend", backend, "--", *PYTHON, "print(1)")
    assert done.returncode == 137
    assert "killed by the kernel's OOM killer" in done.stderr
