from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from supervise import programs

from hfmemdebug.cli.run import split_program

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return programs.make_dataset(tmp_path_factory.mktemp("data"))


def hfmemdebug(*arguments: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    command = [sys.executable, "-m", "hfmemdebug", "run", *arguments]
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, check=False, cwd=folder, **options
    )


def script(folder: Path, code: str, name: str = "program.py") -> str:
    (folder / name).write_text(code)
    return name


def test_a_leak_in_the_main_process(tmp_path: Path, dataset: Path) -> None:
    program = script(tmp_path, programs.LEAKING)
    done = hfmemdebug("--json", "-o", "run.jsonl", program, str(dataset), folder=tmp_path)
    document = json.loads(done.stdout)
    assert (done.returncode, document["verdict"]) == (1, "leak"), document["summary"]
    assert document["cause"] == "python-objects"
    assert document["iteration"] == "1000 rows"
    # One string of 70 to 80 characters, and its place in a list, for each row.
    assert 100 < document["rate_bytes_per_row"] < 250
    assert document["arms"][0]["rows"] > 20_000
    assert document["arms"][0]["exit_status"] == 0
    assert document["processes"][0]["role"] == "main"
    assert document["environment"]["datasets version"]
    again = subprocess.run(
        [sys.executable, "-m", "hfmemdebug", "report", "run.jsonl", "--json"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(again.stdout)["summary"] == document["summary"]


def test_the_processes_are_told_as_they_were_at_the_peak(tmp_path: Path) -> None:
    growing = (
        "import time\nkept = []\nfor _ in range(60):\n    kept.append(b'x' * 2**21)\n    time.sleep(0.05)\n"
    )
    done = hfmemdebug("--json", script(tmp_path, growing), folder=tmp_path)
    (process,) = json.loads(done.stdout)["processes"]
    assert process["rss_bytes"] > 110 << 20


def test_a_clean_program_keeps_its_streams(tmp_path: Path, dataset: Path) -> None:
    code = f"{programs.CLEAN}\nprint(sys.stdin.read(), sys.argv[1:])\nprint('said', file=sys.stderr)"
    program = script(tmp_path, code)
    done = hfmemdebug(program, str(dataset), "--epochs", "-q", folder=tmp_path, input="given")
    assert done.stdout == f"given {[str(dataset), '--epochs', '-q']}\n"
    assert "said\n" in done.stderr
    assert "NO LEAK" in done.stderr
    assert done.returncode == 0


def test_a_leak_in_one_worker_alone(tmp_path: Path, dataset: Path) -> None:
    program = script(tmp_path, programs.ONE_WORKER)
    done = hfmemdebug("--json", program, str(dataset), folder=tmp_path)
    document = json.loads(done.stdout)
    assert (done.returncode, document["verdict"]) == (1, "leak"), document["summary"]
    assert document["cause"] == "python-objects"
    assert "in worker 1 (PID" in document["summary"]


def test_rows_that_a_worker_reads_last_are_counted(tmp_path: Path, dataset: Path) -> None:
    code = """
import multiprocessing, sys, time
import datasets

rows = datasets.load_from_disk(sys.argv[1])

def work():
    time.sleep(1)
    for start in range(0, 2000, 500):
        rows[start : start + 500]

for module in sys.argv[2:]:
    worker = __import__(module).get_context("fork").Process(target=work)
    worker.start()
    worker.join()
time.sleep(0.5)
"""
    arguments = [script(tmp_path, code), str(dataset), "multiprocessing", "multiprocess"]
    done = hfmemdebug("--json", *arguments, folder=tmp_path)
    assert json.loads(done.stdout)["arms"][0]["rows"] == 4000


def test_the_line_and_what_holds_it(tmp_path: Path, dataset: Path) -> None:
    program = script(tmp_path, programs.IN_A_FUNCTION)
    done = hfmemdebug("--json", "--trace", program, str(dataset), folder=tmp_path)
    document = json.loads(done.stdout)
    assert (done.returncode, document["verdict"]) == (1, "leak"), document["summary"]
    line = next(i for i, text in enumerate(programs.IN_A_FUNCTION.splitlines(), 1) if "# the leak" in text)
    site = document["sites"][0]
    assert (Path(site["file"]).name, site["line"], site["function"]) == (program, line, "main.note")
    assert site["share"] > 0.8
    # A string of 700 to 800 characters for each row: far more than what tracing itself has in use.
    assert 400_000 < site["bytes_per_iteration"] < 1_300_000
    assert document["holders"][0]["path"] == "thread `MainThread`, local variable `history` of `main`: list"
    assert document["holders"][0]["growth_per_iteration"] == pytest.approx(10, rel=0.2)
    assert f"{program}:{line} in main.note" in document["advice"][0]


def test_without_a_trace_it_is_said_how_to_get_one(tmp_path: Path, dataset: Path) -> None:
    done = hfmemdebug(script(tmp_path, programs.LEAKING), str(dataset), folder=tmp_path)
    assert "hfmemdebug run --trace" in done.stderr


def test_termination_is_passed_on_and_what_was_measured_is_kept(tmp_path: Path) -> None:
    program = script(tmp_path, "import time\nprint('here', flush=True)\ntime.sleep(60)")
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, "-m", "hfmemdebug", "run", "--json", program]
    with subprocess.Popen(
        command, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "here\n"
        process.terminate()
        out, _ = process.communicate(timeout=60)
    document = json.loads(out)
    assert process.returncode == 4
    assert document["arms"][0]["exit_status"] == -signal.SIGTERM
    assert "SIGTERM" in document["summary"]


def test_a_program_that_is_killed_leaves_what_it_did(tmp_path: Path) -> None:
    program = script(tmp_path, "import os, time\ntime.sleep(1)\nos.kill(os.getpid(), 9)")
    done = hfmemdebug("--json", program, folder=tmp_path)
    document = json.loads(done.stdout)
    assert done.returncode == 4
    assert document["verdict"] == "inconclusive"
    assert (document["arms"][0]["outcome"], document["arms"][0]["exit_status"]) == ("killed", -9)
    assert "SIGKILL" in document["arms"][0]["outcome_detail"]


def test_a_signal_without_a_name_has_its_number(tmp_path: Path) -> None:
    done = hfmemdebug("-q", "--", "/bin/sh", "-c", "kill -35 $$", folder=tmp_path)
    assert done.returncode == 4
    assert "was killed by signal 35" in done.stderr


def test_a_fork_without_a_page_of_its_own_leaves_its_parents_alone(tmp_path: Path, dataset: Path) -> None:
    code = """
import os, resource
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (0, most))
child = os.fork()
if not child:
    raise SystemExit
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
os.waitpid(child, 0)
"""
    program = script(tmp_path, code + programs.LEAKING)
    done = hfmemdebug("--json", program, str(dataset), folder=tmp_path)
    document = json.loads(done.stdout)
    assert (done.returncode, document["verdict"]) == (1, "leak"), document["summary"]


# The first look comes late, as on a machine that is busy with other things.
LATE = """
import sys, time
from hfmemdebug.measure import program as supervise
class Late(supervise.TreeWatch):
    def __init__(self, *given, **named):
        time.sleep(0.5)
        super().__init__(*given, **named)
supervise.TreeWatch = Late
from hfmemdebug.cli.app import main
main(["run", "-q", "--", "/bin/sh", "-c", "exit 3"])
"""


def test_a_program_that_ended_before_it_was_looked_at(tmp_path: Path) -> None:
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    done = subprocess.run(
        [sys.executable, "-c", LATE], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 4, done.stderr
    assert "failed with exit status 3" in done.stderr


def test_the_supervisors_death_keeps_the_recording(tmp_path: Path) -> None:
    program = script(tmp_path, "import time\nprint('here', flush=True)\ntime.sleep(3)")
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, "-m", "hfmemdebug", "run", program]
    with subprocess.Popen(
        command, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.5)
        process.kill()
        # The program was not harmed: its end of the pipe closes when it has done what it had to do.
        began = time.monotonic()
        process.stdout.read()
        assert time.monotonic() - began > 1
    (recording,) = (tmp_path / "state/hfmemdebug").glob("*/program.jsonl")
    lines = [json.loads(line) for line in recording.read_text().splitlines()]
    assert lines[0]["type"] == "header"
    assert any(line.get("kind") == "process" and line.get("blocks") for line in lines)


def test_a_program_that_is_killed_at_its_limit(tmp_path: Path) -> None:
    code = "import time\nkept = [bytearray(b'x') * (1 << 20) for _ in range(400)]\ntime.sleep(5)"
    program = script(tmp_path, code)
    done = hfmemdebug("--limit", "150M", "--json", program, folder=tmp_path)
    document = json.loads(done.stdout)
    assert done.returncode == 4, document["summary"]
    assert document["limit"]["bytes"] == 150 << 20
    assert document["limit"]["outcome"] == "killed"
    assert "killed at its limit of 150 MB" in document["summary"]


def test_a_program_that_gets_by_under_a_limit(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with data.open("wb") as file:
        for _ in range(120):
            file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    code = (
        f"import mmap, time\nfile = open({str(data)!r}, 'rb')\n"
        "m = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\n"
        "for start in range(0, len(m), 4096):\n    m[start]\n    if start % (1 << 20) == 0: time.sleep(0.02)\n"
    )
    done = hfmemdebug("--limit", "70M", "--json", script(tmp_path, code), folder=tmp_path)
    document = json.loads(done.stdout)
    assert document["limit"]["outcome"] == "completed", document["summary"]
    assert "It ran to the end" in document["summary"]
    assert "70.0 MB" in document["summary"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--pass-status", "--", "sh", "-c", "exit 7"], 7),
        (["--pass-status", "--", "sh", "-c", "kill -9 $$"], 137),
        (["--", "sh", "-c", "exit 7"], 4),
        (["--", "sh", "-c", "exit 0"], 3),
    ],
)
def test_exit_statuses(arguments: list[str], status: int, tmp_path: Path) -> None:
    assert hfmemdebug(*arguments, folder=tmp_path).returncode == status


def test_a_module(tmp_path: Path) -> None:
    script(tmp_path, "import sys; print('module', __name__, sys.argv[1:])", "package_train.py")
    done = hfmemdebug("-q", "-m", "package_train", "--json", folder=tmp_path)
    assert done.stdout == "module __main__ ['--json']\n"


def test_ctrl_c_is_the_programs_and_what_was_measured_is_kept(tmp_path: Path) -> None:
    # A signal that comes just before a sleep is seen after it.
    program = script(tmp_path, "import time\nprint('here', flush=True)\nfor _ in range(600): time.sleep(0.1)")
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, "-m", "hfmemdebug", "run", "--json", program]
    with subprocess.Popen(
        command, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert process.stderr.readline() == "here\n"
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(out)["interrupted"] is True
    assert "KeyboardInterrupt" in err


def test_a_program_without_python_is_judged_from_outside(tmp_path: Path) -> None:
    done = hfmemdebug("--json", "--", "sleep", "3", folder=tmp_path)
    document = json.loads(done.stdout)
    assert document["verdict"] == "no-leak", document["summary"]
    assert any("judged from outside" in line for line in document["warnings"])


@pytest.mark.parametrize(
    ("room", "options", "status", "said"),
    [
        (4096, [], 3, "could not be written to the end (File too large)"),
        (100, [], 5, "was not recorded: File too large"),
        (100, ["--pass-status"], 7, "warning: the program was not recorded"),
    ],
)
def test_no_room_for_the_recording_does_not_end_the_program(
    room: int, options: list[str], status: int, said: str, tmp_path: Path
) -> None:
    ends_with = status if options else 0
    code = f"import time\nfor _ in range(15): time.sleep(0.1)\nprint('done')\nraise SystemExit({ends_with})"

    def little() -> None:
        # As on a full disk, writes fail from there on.
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    done = hfmemdebug("-q", *options, script(tmp_path, code), folder=tmp_path, preexec_fn=little)
    assert (done.stdout, done.returncode) == ("done\n", status), done.stderr
    assert said in done.stderr


def test_a_program_that_cannot_be_started_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "ranks").mkdir()
    assert hfmemdebug("-o", "ranks", "--", "no-such-command", folder=tmp_path).returncode == 2
    assert list((tmp_path / "ranks").iterdir()) == []
    assert list((tmp_path / "state" / "hfmemdebug").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is no program to run"),
        (["nowhere.py"], "there is no script nowhere.py"),
        (["--", "no-such-command"], "there is no command no-such-command"),
        (["--"], "there is no command behind --"),
        (["-m"], "-m wants a module"),
        (["--step", "5", "x.py"], "No such option"),
        (["--min-leak", "much", "x.py"], "is not a size"),
        (["--limit", "1", "--", "true"], "--limit 1: less than a page"),
        ([""], "there is no script ''"),
        (["--", "/etc/passwd"], "hfmemdebug run train.py"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = hfmemdebug(*arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        (["run", "train.py", "--json"], 1),
        (["run", "--json", "train.py", "--json"], 2),
        (["run", "-o", "a.md", "--min-leak", "1M", "train.py"], 5),
        (["run", "--output=a.md", "-m", "x", "-o", "y"], 2),
        (["run", "-q", "--", "torchrun", "-m", "x"], 2),
    ],
)
def test_what_follows_the_program_is_its_own(typed: list[str], place: int) -> None:
    assert split_program(typed) == [*typed[:place], "--", *typed[place:]]


def test_a_run_without_a_program_is_left_alone() -> None:
    assert split_program(["run", "--help"]) == ["run", "--help"]


RANK = f"""{programs.HEAD}
steps(400, lambda batch: kept.append([text + "." for text in batch["text"]] if os.environ["RANK"] == "1" else None))
"""


def test_every_rank_records_into_one_folder_and_report_merges_them(tmp_path: Path, dataset: Path) -> None:
    program = script(tmp_path, RANK)
    command = [
        sys.executable,
        "-m",
        "hfmemdebug",
        "run",
        "-o",
        "ranks",
        "-o",
        "report.md",
        program,
        str(dataset),
    ]
    ranks = []
    for rank in range(3):
        told = {"RANK": str(rank), "WORLD_SIZE": "3", "GROUP_RANK": str(rank // 2), "LOCAL_RANK": "0"}
        environ = {**os.environ, **told, "XDG_STATE_HOME": str(tmp_path / "state")}
        ranks.append(subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True))
    said = [rank.communicate()[1] for rank in ranks]
    # A leak is no reason for the launcher to end the others.
    assert [rank.returncode for rank in ranks] == [0, 0, 0]
    assert "hfmemdebug: rank 1 of 3: LEAK: " in said[1]
    assert "hfmemdebug report ranks" in said[0]
    names = {path.name for path in (tmp_path / "ranks").iterdir()}
    assert names == {"rank-0.node-0.jsonl", "rank-1.node-0.jsonl", "rank-2.node-1.jsonl"}
    assert (tmp_path / "report.rank-2.md").exists()
    report = [sys.executable, "-m", "hfmemdebug", "report", "ranks"]
    done = subprocess.run(
        [*report, "--json", "-o", "all.md"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["verdict"] == "leak", document["summary"]
    assert document["summary"].startswith("Leak in 1 of 3 ranks: rank 1 (node 0) keeps ")
    assert document["ranks"][0]["rank"] == 1
    assert [place["leaking"] for place in document["nodes"]] == [[1], []]
    assert "#### The ranks" in (tmp_path / "all.md").read_text()
    screen = subprocess.run(report, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "that leak" in screen
    refused = subprocess.run(
        [*report, "-o", "all.jsonl"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    # A rank that is missing leaves the whole open, unless one leaks.
    (tmp_path / "ranks" / "rank-1.node-0.jsonl").unlink()
    left = json.loads(
        subprocess.run([*report, "--json"], cwd=tmp_path, capture_output=True, check=True).stdout
    )
    assert left["verdict"] == "inconclusive"
    assert "rank 1 left no recording" in left["summary"]


def test_a_folder_takes_the_recording_of_a_single_process_too(tmp_path: Path) -> None:
    program = script(tmp_path, "print('done')")
    for _ in range(2):
        assert "done\n" in hfmemdebug("-q", "-o", "shared", program, folder=tmp_path).stdout
    assert {path.name for path in (tmp_path / "shared").iterdir()} == {"program.jsonl", "program-2.jsonl"}


def test_what_lives_on_is_named(tmp_path: Path) -> None:
    code = """
import os, time
if os.fork() == 0:
    for number in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    os.setsid()
    time.sleep(60)
"""
    done = hfmemdebug("--json", script(tmp_path, code), folder=tmp_path)
    [warning] = [w for w in json.loads(done.stdout)["warnings"] if "after the program" in w]
    found = re.search(r"1 of its processes lives on after the program: (\d+) \(", warning)
    assert found is not None, warning
    os.kill(int(found[1]), signal.SIGKILL)


def test_what_ended_at_once_warns_of_nothing(tmp_path: Path) -> None:
    done = hfmemdebug("--json", script(tmp_path, "import os; os._exit(0)"), folder=tmp_path)
    document = json.loads(done.stdout)
    assert (done.returncode, document["verdict"], document["warnings"]) == (3, "inconclusive", [])
