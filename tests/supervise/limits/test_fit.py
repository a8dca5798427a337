from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from supervise.limits.runs import PYTHON
from supervise.limits.test_run import why_not

from hfmemdebug.analysis.limit_result import fit_sentence
from hfmemdebug.supervise.limits.fit import Fit, Trial, find_smallest
from hfmemdebug.supervise.limits.start import OPENERS
from hfmemdebug.units import format_bytes

MB = 1 << 20
FIT = (sys.executable, "-m", "hfmemdebug", "fit")


def scripted(needs: int, *, held: int, peak: int | None = None, slow_below: int = 0, luck: int = 0) -> Fit:
    """A command that needs so many MB, give or take `luck`, and is slow below so many."""
    dice = random.Random(1)

    def run(limit: int) -> Trial:
        passes = limit >= (needs + dice.randint(0, luck)) * MB
        slow = limit < slow_below * MB
        return Trial(
            limit, "completed" if passes else "killed", 4.0 if slow else 1.0, major_faults=5000 if slow else 1
        )

    free = Trial(
        None, "completed", 1.0, major_faults=1, peak=(peak or held) * MB, unreclaimable_peak=held * MB
    )
    return find_smallest(free, run)


@pytest.mark.parametrize(
    ("needs", "held"),
    [(400, 400), (300, 400), (500, 400), (40, 400), (20, 400), (4, 400), (1, 1), (900, 5), (9, 9)],
)
def test_the_figure_passes_and_a_tenth_below_fails(needs: int, held: int) -> None:
    fit = scripted(needs, held=held)
    assert fit.smallest is not None
    assert fit.smallest >= needs * MB
    assert 0.9 * fit.smallest <= needs * MB
    assert len(fit.tried) <= 20


@pytest.mark.parametrize("luck", [5, 20])
def test_a_figure_that_passes_by_luck_is_not_reported(luck: int) -> None:
    fit = scripted(300, held=300, luck=luck)
    assert fit.smallest is not None
    assert all(trial.passed for trial in fit.tried if (trial.bytes or 0) >= fit.smallest)
    assert sum(trial.bytes == fit.smallest for trial in fit.tried) > 1


def test_a_pass_that_does_not_come_again_is_left_behind() -> None:
    lucky = iter([True])

    def run(limit: int) -> Trial:
        passes = limit >= 240 * MB or (limit >= 210 * MB and next(lucky, False))
        return Trial(limit, "completed" if passes else "killed", 1.0)

    fit = find_smallest(Trial(None, "completed", 1.0, unreclaimable_peak=210 * MB), run)
    assert fit.smallest is not None
    assert 240 * MB <= fit.smallest <= 262 * MB


def test_the_knee_is_where_it_becomes_slower() -> None:
    fit = scripted(400, held=390, peak=2000, slow_below=700)
    assert fit.knee is not None
    assert 700 * MB <= fit.knee <= 1000 * MB
    sentence = fit_sentence(fit)
    assert sentence.startswith("needs 4")
    assert sentence.endswith("it runs up to 4.0 times slower, re-reading pages")
    assert "not slower" in fit_sentence(scripted(400, held=390))


def test_slower_at_every_limit_that_was_tried() -> None:
    fit = scripted(400, held=390, peak=3000, slow_below=9000)
    assert fit.knee == 3000 * MB


def test_a_command_that_passes_nowhere() -> None:
    fit = scripted(10**12, held=10)
    assert fit.smallest is None
    assert "no limit was found" in fit_sentence(fit)


@pytest.fixture
def kernel_limit() -> None:
    if all(why_not(name) is not None for name in OPENERS if name != "watchdog"):
        pytest.skip("only on machines where a control group can be had")


def fit(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FIT, *arguments], capture_output=True, text=True, timeout=200, cwd=cwd)


def test_an_interrupted_run_is_none_of_the_runs() -> None:
    runs: list[int] = []

    def run(limit: int) -> Trial | None:
        runs.append(limit)
        return Trial(limit, "completed", 1.0) if len(runs) < 3 else None

    fit = find_smallest(
        Trial(None, "completed", 1.0, unreclaimable_peak=99 * MB), run, stop=lambda: len(runs) > 2
    )
    assert [trial.bytes for trial in fit.tried] == runs[:2]
    assert fit.smallest is None
    assert fit_sentence(fit) == (
        f"finished under {format_bytes(runs[1])}; whether it needs as much was not found out"
    )


@pytest.mark.usefixtures("kernel_limit")
def test_ctrl_c_keeps_what_was_measured_whatever_the_command_makes_of_it(tmp_path: Path) -> None:
    program = (
        "import signal, sys, time\nsignal.signal(signal.SIGINT, lambda *a: sys.exit(1))\n"
        "held = bytearray(30 << 20)\nfile = open('runs', 'a')\nfile.write('.')\nfile.close()\n"
        "time.sleep(30 if len(open('runs').read()) > 2 else 0.2)"
    )
    process = subprocess.Popen(
        [*FIT, "--json", "--", *PYTHON, program], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    while not (tmp_path / "runs").exists() or len((tmp_path / "runs").read_text()) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 130
    document = json.loads(out)
    assert [trial["outcome"] for trial in document["fit"]["tried"]] == ["completed"]
    assert document["interrupted"]
    assert document["fit"]["smallest_bytes"] is None
    assert document["summary"].startswith("Finished under ")


@pytest.mark.usefixtures("kernel_limit")
def test_a_command_that_holds_and_reads(tmp_path: Path) -> None:
    with (tmp_path / "data").open("wb") as file:
        for _ in range(40):
            file.write(os.urandom(MB))
    program = (
        "import mmap, time\nheld = bytearray(50 << 20)\nfile = open('data', 'rb')\n"
        "m = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\n"
        "print(sum(m[i] for i in range(0, len(m), 4096)))\ntime.sleep(0.3)"
    )
    done = fit("--json", "-o", "fit.md", "--", *PYTHON, program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("The command is run several times")
    document = json.loads(done.stdout)
    found = document["fit"]
    assert document["verdict"] is None
    assert 50 * MB < found["smallest_bytes"] < 80 * MB
    failed = [t["bytes"] for t in found["tried"] if t["outcome"] != "completed"]
    assert max(failed) >= 0.9 * found["smallest_bytes"]
    assert {"bytes", "outcome", "seconds", "major_faults"} <= set(found["tried"][0])
    # Its pages were dropped before each run, or the limit would not have seen them.
    completed = [t["major_faults"] for t in found["tried"] if t["outcome"] == "completed"]
    assert completed
    assert min(completed) > 0
    written = (tmp_path / "fit.md").read_text()
    assert "| Limit" in written


def test_a_watchdogs_figure_is_no_limit(tmp_path: Path) -> None:
    done = fit("--backend", "watchdog", "--json", "--", *PYTHON, "held = bytearray(50 << 20)", cwd=tmp_path)
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document["fit"]["smallest_bytes"] is None
    assert document["fit"]["tried"] == []
    assert "what limit it needs was not found out" in document["summary"]
    assert any("is no limit" in line for line in document["warnings"])


def test_a_command_that_fails_anyway(tmp_path: Path) -> None:
    done = fit("--", "sh", "-c", "echo why >&2; exit 7", cwd=tmp_path)
    assert done.returncode == 7
    assert "why" in done.stderr
    assert "ended with exit status 7: there is nothing to fit" in done.stderr
    assert fit("--", "no-such-command-here", cwd=tmp_path).returncode == 127


@pytest.mark.parametrize("peak", [250 * MB, 210 * MB, 190 * MB, None])
def test_one_limit_that_was_fast_once_and_slow_once(peak: int | None) -> None:
    free = Trial(None, "completed", 7.6, peak=peak)
    tried = tuple(Trial(210 * MB, "completed", seconds) for seconds in (4.9, 30.0))
    fit = Fit(210 * MB, tried, free)
    assert fit.slowdown is None or fit.slowdown == pytest.approx(30 / 7.6)
    assert "210 MB" in fit_sentence(fit)
