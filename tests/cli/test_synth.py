import json
import os
import pty
import signal
import subprocess
import sys

import pytest
from datasets import load_from_disk

from hfmemdebug.cli.app import run


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_one_line_says_what_where_and_what_next(capsys):
    assert run(["synth", "my ds", "--rows", "1500"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("my ds: 1,500 rows, 2.2 MB, written in ")
    assert out.endswith("Next: hfmemdebug diagnose './my ds'\n")
    assert out.count("\n") == 1
    assert err == ""
    assert run(["synth", "my ds", "--rows", "1500"]) == 0
    assert "there already, reused" in capsys.readouterr().out


def test_default_folder(tmp_path, capsys):
    assert run(["synth", "--rows", "10", "-q"]) == 0
    assert capsys.readouterr().out == "synthetic-ds\n"
    assert len(load_from_disk(tmp_path / "synthetic-ds")) == 10


def test_json_is_one_document(capsys):
    assert run(["synth", "ds", "--rows", "10", "--shards", "2", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    seconds = document.pop("seconds")
    assert seconds > 0
    size = document.pop("size_bytes")
    assert document == {
        "schema": "hfmemdebug.synth.v1",
        "path": "ds",
        "rows": 10,
        "shards": 2,
        "bytes_written": size,
        "reused": False,
    }
    assert err == ""


def test_row_preset_and_vary_reach_the_dataset(tmp_path):
    assert run(["synth", "a", "--rows", "2", "--row", '{"text": "hi", "n": [1]}', "-q"]) == 0
    assert load_from_disk(tmp_path / "a")[:] == {"text": ["hi"] * 2, "n": [[1]] * 2}
    assert run(["synth", "b", "--rows", "9", "--preset", "text", "--vary", "0.3", "--seed", "1", "-q"]) == 0
    assert len({len(text) for text in load_from_disk(tmp_path / "b")[:]["text"]}) > 5


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--row", "{'a': 1}"], 2, "not valid JSON"),
        (["--row", "[1]"], 2, "must be a JSON object"),
        (["--row", '{"a": [1, "b"]}'], 2, "column 'a'"),
        (["--row", '{"a": 1}', "--preset", "text"], 2, "exclude each other"),
        (["--preset", "video"], 2, "nested, text"),
        (["--rows", "0"], 2, "--rows must be at least 1"),
        (["--rows", "-3"], 2, "--rows must be at least 1"),
        (["--rows", "many"], 2, "--rows"),
        (["--shards", "0"], 2, "--shards must be between"),
        (["--vary", "9"], 2, "coefficient of variation"),
        (["missing/ds"], 2, "parent folder"),
        (["--rows", "1000000000000000"], 5, "are free there"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, capsys, arguments, status, said):
    assert run(["synth", *arguments]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_another_dataset_is_replaced_by_force_only(tmp_path, capsys):
    assert run(["synth", "ds", "--rows", "10", "-q"]) == 0
    assert run(["synth", "ds", "--rows", "11", "-q"]) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["synth", "ds", "--rows", "11", "-q", "--force"]) == 0
    assert len(load_from_disk(tmp_path / "ds")) == 11


def test_failure_is_a_document_with_json(capsys):
    assert run(["synth", "--rows", "0", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["kind"]) == ("hfmemdebug.error.v1", "usage")


def test_help_has_examples_and_imports_nothing_heavy():
    program = (
        "import sys; from hfmemdebug.cli.app import run; run(['synth', '--help'])\n"
        "print({'datasets', 'pyarrow', 'numpy', 'psutil', 'torch'} & set(sys.modules))"
    )
    out = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert "--vary 0.3 --seed 1" in out
    assert out.endswith("set()\n")


def on_a_terminal(arguments):
    """Starts the command with a terminal as its standard error."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hfmemdebug", "synth", *arguments],
        stderr=theirs,
        stdout=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    return process, ours


def read_to_the_end(terminal):
    text = b""
    try:
        while part := os.read(terminal, 4096):
            text += part
    except OSError:
        pass  # Linux says EIO where the other side is closed.
    os.close(terminal)
    return text.decode()


def test_a_terminal_gets_a_bar_with_the_rate(tmp_path):
    process, terminal = on_a_terminal(["ds", "--rows", "20000"])
    shown = read_to_the_end(terminal)
    assert process.wait() == 0
    assert "Writing" in shown
    assert "B/s" in shown
    assert process.stdout.read().startswith(b"ds: 20,000 rows")
    process.stdout.close()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_leaves_nothing(tmp_path, number, status):
    # The bar is the sign that the work has begun. So many rows would take minutes, and what is
    # written of them until the signal comes is little.
    process, terminal = on_a_terminal(["ds", "--rows", "10000000"])
    shown = b""
    while b"B/s" not in shown:
        shown += os.read(terminal, 4096)
    process.send_signal(number)
    read_to_the_end(terminal)
    assert process.wait() == status
    assert not list(tmp_path.iterdir())
    process.stdout.close()
