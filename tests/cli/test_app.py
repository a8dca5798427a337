from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from measure.box import COMMAND, Box

from hfmemdebug import __version__
from hfmemdebug.cli.app import main, run

HEAVY = ("datasets", "pyarrow", "torch", "numpy", "pandas", "psutil", "huggingface_hub")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return Box(tmp_path_factory.mktemp("box"))


def imported(code: str, names: tuple[str, ...]) -> list[str]:
    """Which of the modules are there after the code has run in a process of its own."""
    program = f"import sys\n{code}\nprint(*[n for n in {names!r} if n in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stderr.split()


@pytest.mark.parametrize("command", ["", "synth", "profile", "diagnose", "report", "env", "limit"])
def test_help_imports_nothing_heavy_and_has_examples(command: str) -> None:
    arguments = [*filter(None, [command]), "--help"]
    assert imported(f"from hfmemdebug.cli.app import run; assert run({arguments!r}) == 0", HEAVY) == []


def test_a_command_does_not_wait_for_the_others() -> None:
    others = ("hfmemdebug.cli.attach", "hfmemdebug.cli.diagnose", "hfmemdebug.cli.run")
    assert imported("from hfmemdebug.cli.app import run; run(['env', '--help'])", others) == []
    assert imported("from hfmemdebug.cli.app import run; run(['--help'])", others) == list(others)


@pytest.mark.parametrize("command", ["profile", "diagnose"])
def test_help_shows_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"hfmemdebug {command}" in out
    assert "--consumer" in out


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["profile", "./nope"], 2),
        (["nonsense"], 2),
        (["env", "--bogus"], 2),
    ],
)
def test_main_ends_with_the_status(
    arguments: list[str], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == status


def test_the_module_and_the_script_are_one_command() -> None:
    script = Path(sys.executable).parent / "hfmemdebug"
    for command in (COMMAND, (str(script),)):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"hfmemdebug {__version__}\n"


def test_ctrl_c_while_modules_are_imported_shows_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)")
    done = subprocess.run(
        [sys.executable, "-m", "hfmemdebug", "env"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_an_error_of_the_parser_is_a_line_or_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profile", "ds", "--step", "x"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert run(["profile", "ds", "--step", "x", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["kind"]) == ("hfmemdebug.error.v1", "usage")
    assert document["next"]


def test_a_reader_that_goes_away_is_no_leak(box: Box) -> None:
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [*COMMAND, "profile", "./ds", "--step", "100"],
        cwd=box.folder, env=box.env, stdout=write_end, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(write_end)
    os.read(read_end, 1)
    os.close(read_end)
    _, err = process.communicate(timeout=100)
    assert process.returncode not in (1, 70)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_an_error_that_nobody_reads_is_no_leak(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "hfmemdebug", "run", "--json", "nowhere.py"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_change_no_status(box: Box, closed: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m hfmemdebug profile ./ds --step 100 -q {closed}', sys.executable],
        cwd=box.folder, env=box.env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_full_disk_under_standard_output_is_told(box: Box) -> None:
    with Path("/dev/full").open("w") as full:
        done = box.run("profile", "./ds", "--step", "100", stdout=full)
    assert done.returncode == 5
    assert "Traceback" not in done.stderr


def test_a_working_directory_that_is_gone(box: Box) -> None:
    gone = box.folder / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["/bin/sh", "-c", 'rmdir "$PWD"; exec "$0" -m hfmemdebug profile "$1" --step 100 -q', sys.executable,
         str(box.folder / "ds")],
        cwd=gone, env=box.env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (0, 2, 5), done.stderr
    assert "Traceback" not in done.stderr
