from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from datasets import Dataset
from measure.box import Box

from hfmemdebug.cli.app import run

CAUSES = {
    "python-objects", "native-heap", "arrow-pool", "shared-memory", "copy-on-write", "file-mapping",
    "anonymous-other", "mmap-file-pages", "allocator-retention", "bounded-cache", "step",
}  # fmt: skip
NUMBER = (int, float)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Box(tmp_path_factory.mktemp("small"), rows=10).folder


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a refusal."""
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("hfmemdebug: ")
    assert done.stdout == ""
    return line


def check_contract(document: dict[str, object]) -> None:
    """Every field of the contract, with its type."""
    assert document["schema"] == "hfmemdebug.result.v1"
    assert document["command"] in ("profile", "diagnose")
    assert isinstance(document["summary"], str)
    assert "\n" not in document["summary"]
    assert document["verdict"] in ("no-leak", "leak", "inconclusive")
    assert document["cause"] is None or document["cause"] in CAUSES
    assert document["origin"] in ("user-code", "library", None)
    assert document["iteration"] == "slice"
    for unit in ("iteration", "row", "second"):
        rate = document[f"rate_bytes_per_{unit}"]
        assert rate is None or isinstance(rate, NUMBER)
    smallest = document["smallest_detectable_bytes_per_iteration"]
    assert smallest is None or isinstance(smallest, NUMBER)
    assert isinstance(document["findings"], list)
    for finding in document["findings"]:
        assert finding["cause"] in CAUSES
        assert finding["role"] in ("leak", "benign")
        assert isinstance(finding["growth_bytes"], int)
        assert finding["rate_bytes_per_iteration"] is None or isinstance(
            finding["rate_bytes_per_iteration"], NUMBER
        )
        assert finding["interval"] is None or len(finding["interval"]) == 2
        assert finding["shape"] in ("growing", "step", "plateau", "stable", "inconclusive")
        assert finding["reclaimable"] in (True, False, None)
    assert isinstance(document["sites"], list)
    assert isinstance(document["holders"], list)
    assert isinstance(document["arms"], list)
    for arm in document["arms"]:
        assert isinstance(arm["name"], str)
        assert arm["mode"] in ("mmap", "in-memory", "streaming", "program")
        assert isinstance(arm["consumer"], bool)
        assert isinstance(arm["iterations"], int)
        assert isinstance(arm["rows"], int)
        assert arm["outcome"] in ("completed", "failed", "killed", "interrupted")
        assert isinstance(arm["peak_rss_bytes"], int)
        assert isinstance(arm["peak_unreclaimable_bytes"], int)
        assert isinstance(arm["recording"], str)
    assert isinstance(document["environment"], dict)
    assert isinstance(document["warnings"], list)


@pytest.mark.parametrize("mode", ["", "--in-mem", "--streaming"])
def test_a_clean_folder_in_each_mode(box: Box, mode: str) -> None:
    done = box.run("profile", "./ds", *filter(None, [mode]), "--json")
    document = json.loads(done.stdout)
    check_contract(document)
    assert (done.returncode, document["verdict"]) == (0, "no-leak")
    (arm,) = document["arms"]
    assert arm["mode"] == {"": "mmap", "--in-mem": "in-memory", "--streaming": "streaming"}[mode]
    assert arm["outcome"] == "completed"
    assert document["rate_bytes_per_iteration"] == 0
    assert "slice" in done.stderr, "the rows for people are on the other stream"


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("parquet", ""), ("jsonl", ""), ("csv", ""), ("arrow", ""), ("parquet", "--in-mem"),
        ("arrow", "--in-mem"), ("jsonl", "--streaming"), ("arrow", "--streaming"),
    ],
)  # fmt: skip
def test_files_of_each_kind(tmp_path: Path, kind: str, mode: str) -> None:
    box = Box(tmp_path, rows=1)
    dataset = Dataset.from_dict({"n": list(range(500)), "text": ["x" * 50] * 500})
    path = str(tmp_path / f"data.{kind}")
    if kind == "parquet":
        dataset.to_parquet(path)
    elif kind == "jsonl":
        dataset.to_json(path)
    elif kind == "csv":
        dataset.to_csv(path, index=False)
    else:
        dataset.save_to_disk(str(tmp_path / "saved"))
        next((tmp_path / "saved").glob("*.arrow")).rename(path)
    status, document = box.result(
        "profile", path, "--step", "50", "--epochs", "2", "--budget", "20", *filter(None, [mode])
    )
    check_contract(document)
    assert status in (0, 3)
    assert document["verdict"] != "leak"
    (arm,) = document["arms"]
    assert arm["outcome"] == "completed"
    assert arm["iterations"] >= 20
    assert arm["rows"] == arm["iterations"] * 50 or mode == "--streaming"


def test_a_leaking_consumer(box: Box) -> None:
    target = box.code("seen = []\ndef f(rows): seen.append(rows)\n")
    status, document = box.result("profile", "ds", "--step", "40", "--consumer", target)
    check_contract(document)
    assert (status, document["verdict"]) == (1, "leak")
    assert document["rate_bytes_per_iteration"] > 40 * 100
    assert document["findings"][0]["role"] == "leak"


def test_quiet_is_one_line(box: Box) -> None:
    done = box.run("profile", str(box.folder / "ds"), "--step", "100", "-q")
    assert done.returncode == 0
    (line,) = done.stdout.splitlines()
    assert line.startswith("NO LEAK")
    assert done.stderr == ""


def test_a_row_for_each_slice_and_what_was_loaded(box: Box) -> None:
    done = box.run("profile", "./ds", "--step", "500", "--epochs", "1", "--warmup", "1")
    assert done.returncode in (0, 3)
    rows = [line.split() for line in done.stdout.splitlines() if "MB" in line and line.strip()[:1].isdigit()]
    # More epochs may follow.
    assert [row[0] for row in rows[:4]] == ["0", "1", "2", "3"]
    assert rows[0][1] == "w", "the warm-up is shown and marked"
    assert "2,000 rows, memory-mapped" in done.stdout


def test_several_reports(box: Box) -> None:
    outputs = [argument for name in ("a.md", "b.json", "c.jsonl") for argument in ("-o", name)]
    done = box.run("profile", "./ds", "--step", "100", "--epochs", "2", *outputs)
    assert done.returncode == 0
    assert "NO LEAK" in (box.folder / "a.md").read_text().upper()
    check_contract(json.loads((box.folder / "b.json").read_text()))
    assert json.loads((box.folder / "c.jsonl").read_text().splitlines()[0])["type"] == "header"
    assert not list(box.folder.glob("*.tmp"))


def test_what_was_asked_is_read_in_full(box: Box) -> None:
    _, document = box.result("profile", "./ds", "--step", "30", "--epochs", "4", "--iterations", "11")
    (arm,) = document["arms"]
    assert arm["iterations"] >= 44
    assert arm["slices_per_epoch"] == 11
    _, document = box.result("profile", "./ds", "--iterations", "all", "--step", "300", "--epochs", "1")
    assert document["arms"][0]["rows"] % 2000 == 0


@pytest.mark.parametrize(("rows", "mode"), [(1, ""), (1, "--in-mem"), (3, ""), (3, "--streaming")])
def test_very_few_rows(tmp_path: Path, rows: int, mode: str) -> None:
    box = Box(tmp_path, rows=rows)
    done = box.run("profile", "./ds", "-q", "--budget", "20", *filter(None, [mode]))
    assert done.returncode in (0, 3), done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_no_rows(box: Box) -> None:
    (box.folder / "empty.csv").write_text("a,b\n")
    done = box.run("profile", "./empty.csv")
    assert done.returncode == 2
    assert "no rows" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_row_larger_than_a_slice_may_be(box: Box) -> None:
    Dataset.from_dict({"text": ["x" * 50_000_000, "y"]}).save_to_disk(str(box.folder / "big"))
    done = box.run("profile", "./big", "-q")
    assert done.returncode == 0
    assert done.stdout.startswith("NO LEAK")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--step", "0"], "--step"),
        (["--step", "many"], "--step"),
        (["--epochs", "0"], "--epochs"),
        (["--epochs", "1.5"], "--epochs"),
        (["--warmup", "-1"], "--warmup"),
        (["--iterations", "0"], "--iterations 0"),
        (["--iterations", "some"], "--iterations some"),
        (["--iterations", "²"], "--iterations"),
        (["--consumer", "train"], "FILE.py:FUNC"),
        (["--consumer", "none.py:f"], "there is no file none.py"),
        (["--consumer", "./train:f"], "neither a .py file"),
        (["--consumer", "no.such.module:f"], "no module no.such.module"),
        (["--consumer", "json:nothing"], "json has no function nothing"),
        (["--min-leak", "foo"], "not a size"),
        (["--min-leak", "-5"], "not a size"),
        (["--budget", "0"], "--budget"),
        (["--format", "bogus"], "there is no format 'bogus'"),
        (["--split", "nope"], "nope"),
        (["--in-mem", "--streaming"], "exclude each other"),
        (["--bogus"], "--bogus"),
        (["-o", "x.foo"], "'.foo'"),
        (["-o", "nowhere/x.md"], "does not exist"),
        (["-o", "-", "--json"], "both want standard output"),
    ],
)
def test_bad_options_are_one_line_and_status_2(
    small: Path,
    arguments: list[str],
    says: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(small / "state"))
    assert run(["profile", str(small / "ds"), *arguments]) == 2
    out, err = capfd.readouterr()
    (line,) = err.splitlines()
    assert line.startswith("hfmemdebug: ")
    assert says in line
    if "--json" in arguments:
        document = json.loads(out)
        assert document["schema"] == "hfmemdebug.error.v1"
        assert document["kind"] == "usage"
        assert says in document["message"]
    else:
        assert out == ""


def test_a_missing_dataset_and_none(box: Box) -> None:
    assert "does not exist" in one_line(box.run("profile", "./nope"))
    # Which words it finds is up to the version of Typer.
    assert one_line(box.run("profile"))
    assert "empty" in one_line(box.run("profile", ""))


def test_json_errors_are_a_document(box: Box) -> None:
    status, document = box.result("profile", "./nope")
    assert status == 2
    assert document["schema"] == "hfmemdebug.error.v1"
    assert document["kind"] == "input"
    assert "./nope" in document["message"]


def test_a_dataset_behind_a_link_is_proved_too(box: Box) -> None:
    (box.folder / "link").symlink_to("ds")
    _, document = box.result("profile", "./link", "--step", "200")
    (arm,) = document["arms"]
    assert arm["reclaim"]["why_not"] is None
    assert arm["reclaim"]["asked_bytes"] > 0
    assert arm["reclaim"]["same_data"] is True


def test_a_file_as_state_folder_is_no_reason_to_fail(box: Box) -> None:
    (box.folder / "state").write_text("")
    box.env["TMPDIR"] = str(box.folder)
    done = box.run("profile", "./ds", "-q")
    assert done.returncode == 0
    assert "this run is kept in" in done.stderr


def test_the_recording_loads_as_a_dataset(box: Box) -> None:
    box.run("profile", "./ds", "--step", "100", "--epochs", "2", "-q")
    (recording,) = box.recordings()
    assert not recording.end.is_missing
    assert recording.end.outcome == "completed"
    rows = Dataset.from_json(str(recording.path), cache_dir=str(box.folder / "hf-cache"))
    kinds = rows["type"]
    assert kinds[0] == "header"
    assert kinds[-1] == "end"
    assert len(rows.filter(lambda row: row["kind"] == "slice")) == len(recording.slices) >= 40
