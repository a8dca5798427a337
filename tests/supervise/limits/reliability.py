"""What can end a run under a limit at a bad moment, many times each: `reliability.py --runs 100`.

A run counts where the exit status is right, what is said is one clear line, and neither a process nor a control
group is left behind; after a SIGKILL of hfmemdebug itself, once the next run has started.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from supervise.limits.runs import LIMIT, PYTHON, groups_of, processes_of

DAEMONS = (
    "import os, time\nfor _ in range(3):\n    if os.fork() == 0:\n        os.setsid()\n"
    "        if os.fork() == 0: time.sleep(60)\n        os._exit(0)\n    os.wait()\n"
)
READY = "print('ready', flush=True)\n"
FILL = "held = []\nwhile True: held.append(bytearray(1 << 20))"


class Runs:
    """Runs of one backend."""

    def __init__(self, backend: str, seed: int) -> None:
        self.backend = backend
        self.dice = random.Random(seed)
        # When a signal came, of those that were sent.
        self.moments: collections.Counter[str] = collections.Counter()
        self._until_it_runs = 1.0

    def start(
        self,
        memory: str,
        *command: str,
        prefix: tuple[str, ...] = (),
        backend: str | None = None,
        stdout: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*prefix, *LIMIT, "--memory", memory, "--backend", backend or self.backend, "--", *command],
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ended(self, process: subprocess.Popen[str], statuses: set[int], said: str = "") -> str | None:
        """Why a run does not count, or None."""
        error = process.communicate(timeout=600)[1]
        if process.returncode not in statuses:
            return f"status {process.returncode}: {error}"
        lines = error.splitlines()
        if said not in error or len([line for line in lines if line.startswith("hfmemdebug:")]) != 1:
            return f"said {error!r}"
        return self.left_by(process.pid)

    def left_by(self, pid: int) -> str | None:
        if left := processes_of(pid):
            return f"processes {left}"
        if groups := groups_of(pid):
            return f"groups {groups}"
        return None

    def at_a_random_moment(self, number: int, program: str) -> subprocess.Popen[str]:
        """Sends a signal while hfmemdebug starts up, in one half of the runs, or while the program runs or ends."""
        began = time.monotonic()
        # Python shows where a Ctrl-C has met it.
        silent = ("sh", "-c", 'exec "$@" 2>/dev/null', "sh")
        process = self.start("100M", *silent, *PYTHON, program, stdout=subprocess.PIPE)
        assert process.stdout is not None
        if self.dice.random() < 0.5:
            ready, _, _ = select.select([process.stdout], [], [], self.dice.uniform(0, self._until_it_runs))
        else:
            ready, _, _ = select.select([process.stdout], [], [])
            self._until_it_runs = time.monotonic() - began
            time.sleep(self.dice.uniform(0, 0.4))
        ended = process.poll() is not None
        self.moments["after its end" if ended else "while it ran" if ready else "before it ran"] += 1
        process.send_signal(number)
        return process

    def signalled(self, number: int) -> str | None:
        process = self.at_a_random_moment(number, READY + DAEMONS + "time.sleep(60)")
        # Before it holds signals back, it ends by them as any program does.
        error = process.communicate(timeout=600)[1]
        if "/hfmemdebug/" not in error and "KeyboardInterrupt" in error:
            # The interpreter had not read a line of ours yet, and ends in its own way.
            self.moments["of these before the first line of ours"] += 1
            return self.left_by(process.pid)
        if process.returncode not in (128 + number, -number):
            return f"status {process.returncode}: {error}"
        if len(error.splitlines()) > 1:
            return f"said {error!r}"
        return self.left_by(process.pid)

    def killed(self, program: str) -> str | None:
        process = self.at_a_random_moment(signal.SIGKILL, program)
        process.wait()
        # What it has left may hold the pipes until it is swept away.
        again = self.ended(self.start("100M", "true"), {0})
        process.communicate(timeout=600)
        return again or self.left_by(process.pid)

    def killed_by_sigkill(self) -> str | None:
        return self.killed(READY + DAEMONS + "time.sleep(60)")

    def killed_while_it_ends(self) -> str | None:
        return self.killed(READY + DAEMONS + "time.sleep(0.1)")

    def ended_by_sigterm(self) -> str | None:
        return self.signalled(signal.SIGTERM)

    def ended_by_sigint(self) -> str | None:
        return self.signalled(signal.SIGINT)

    def child_over_the_limit(self) -> str | None:
        said = "killed by the watchdog" if self.backend == "watchdog" else "OOM killer"
        return self.ended(self.start("50M", *PYTHON, FILL), {137}, said)

    def daemons(self) -> str | None:
        said = "3 processes that it had left running ended with it"
        return self.ended(self.start("100M", *PYTHON, DAEMONS + "raise SystemExit(9)"), {9}, said)

    def not_found(self) -> str | None:
        return self.ended(self.start("100M", "no-such-command-here"), {127}, "there is no command")

    def not_executable(self) -> str | None:
        return self.ended(self.start("100M", "/etc/passwd"), {126}, "cannot be executed")

    def below_the_interpreter(self) -> str | None:
        # A watchdog may look too late at a program as short as this.
        statuses = {0, 137} if self.backend == "watchdog" else {137}
        return self.ended(self.start("256K", *PYTHON, "print(1)"), statuses)

    def two_at_once(self) -> str | None:
        both = [self.start("100M", *PYTHON, DAEMONS) for _ in range(2)]
        return next(filter(None, [self.ended(process, {0}) for process in both]), None)

    def read_only_groups(self) -> str | None:
        script = 'mount -o remount,bind,ro $0 && shift 0 && exec "$@"'
        point = "/sys/fs/cgroup/memory" if Path("/sys/fs/cgroup/memory").is_dir() else "/sys/fs/cgroup"
        prefix = ("unshare", "--mount", "sh", "-c", script, point)
        process = self.start("100M", "true", prefix=prefix)
        if self.backend == "watchdog":
            return self.ended(process, {0})
        wrong = self.ended(process, {125}, "Read-only")
        return wrong or self.ended(self.start("100M", "true", prefix=prefix, backend="auto"), {0}, "watchdog")

    def name_with_blanks(self) -> str | None:
        script = Path(f"/tmp/a näme with “blanks” {os.getpid()}.sh")
        script.write_text("#!/bin/sh\nexit 6\n")
        script.chmod(0o755)
        try:
            return self.ended(self.start("100M", str(script)), {6})
        finally:
            script.unlink()


SCENARIOS: tuple[Callable[[Runs], str | None], ...] = (
    Runs.killed_by_sigkill,
    Runs.killed_while_it_ends,
    Runs.ended_by_sigterm,
    Runs.ended_by_sigint,
    Runs.child_over_the_limit,
    Runs.daemons,
    Runs.not_found,
    Runs.not_executable,
    Runs.below_the_interpreter,
    Runs.two_at_once,
    Runs.read_only_groups,
    Runs.name_with_blanks,
)


def outcome(runs: Runs, scenario: Callable[[Runs], str | None]) -> str | None:
    """Why a run of a scenario does not count, or None."""
    try:
        return scenario(runs)
    except subprocess.TimeoutExpired as hung:
        return str(hung)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--backend", action="append")
    parser.add_argument("--only")
    options = parser.parse_args()
    # Where this runs in the background, a shell has had it ignored, and so would all that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    bad = 0
    for backend in options.backend or ["cgroup1", "watchdog"]:
        runs = Runs(backend, seed=4)
        for scenario in SCENARIOS:
            name = scenario.__name__.replace("_", " ")
            if options.only and options.only not in name:
                continue
            runs.moments.clear()
            began = time.monotonic()
            wrong, made = [], 0
            # A Ctrl-C ends a scenario, and what was counted is printed.
            with contextlib.suppress(KeyboardInterrupt):
                while made < options.runs:
                    why = outcome(runs, scenario)
                    made += 1
                    wrong += [why] if why is not None else []
            bad += len(wrong)
            seconds = time.monotonic() - began
            right = made - len(wrong)
            when = "".join(f", {count} {moment}" for moment, count in sorted(runs.moments.items()))
            print(f"{backend:<10} {name:<24} {right} of {made} right, {seconds:.0f} s{when}", flush=True)
            for why in wrong[:3]:
                print(f"    {why}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
