from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from render import samples

from hfmemdebug.cli.output import OutputOptions
from hfmemdebug.errors import AccessError, DiskError, HfmemdebugError, UsageError
from hfmemdebug.recording.file import load_recordings
from hfmemdebug.render.redact import Redactor
from hfmemdebug.result import Result


def output(*paths: Path, redactor: Redactor | None = None, **options: bool) -> OutputOptions:
    """What a command is given; nothing is private in these samples."""
    made = OutputOptions(list(paths), **options)
    vars(made)["redactor"] = redactor or Redactor()
    return made


def test_each_ending_its_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / name for name in ("a.md", "b.json", "c.jsonl", "d.MD", "e.html", "f.png", "g.svg")]
    recordings = [samples.recording("memory-mapped"), samples.recording("in-memory", slices=10)]
    output(*paths).check()
    output(*paths).write(samples.LEAK, recordings)
    assert paths[0].read_text().startswith("### LEAK")
    assert "mermaid" in paths[0].read_text()
    assert Result.from_dict(json.loads(paths[1].read_text())) == samples.LEAK
    again = load_recordings(paths[2])
    assert [r.header.arm.name for r in again] == ["memory-mapped", "in-memory"]
    assert [r.samples for r in again] == [r.samples for r in recordings]
    assert again[0].end == recordings[0].end
    assert paths[3].read_text() == paths[0].read_text()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("written: ") == len(paths)
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert paths[4].read_text().startswith("<!doctype html>")
    assert paths[5].read_bytes().startswith(b"\x89PNG")
    assert paths[6].read_text().startswith("<svg")


def test_files_are_redacted(tmp_path: Path) -> None:
    paths = [tmp_path / f"a.{ending}" for ending in ("md", "json", "jsonl", "html")]
    redactor = Redactor(home="~none", cwd=None, environ={"MY_TOKEN": "synthetic-ds"})
    output(*paths, redactor=redactor).write(samples.LEAK, [samples.recording()])
    for path in paths:
        assert "synthetic-ds" not in path.read_text()
        assert "***" in path.read_text().replace("\\", "")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.pdf", ".md, .html, .json, .jsonl, .png or .svg"),
        ("report", ".md, .html, .json, .jsonl, .png or .svg"),
        ("missing/a.md", "does not exist"),
        ("file/a.md", "does not exist"),
        ("folder.md", "is a folder"),
    ],
)
def test_what_cannot_be_written_is_known_before(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(UsageError) as error:
        output(tmp_path / "fine.md", tmp_path / name).check()
    assert says in error.value.line()
    assert "\n" not in error.value.line()


@pytest.mark.parametrize("ending", ["html", "png", "svg"])
def test_the_extra_that_is_missing_is_named_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(UsageError) as error:
        output(tmp_path / f"a.{ending}").check()
    assert "needs vl-convert-python, which is not installed" in error.value.line()
    assert "pip install 'hfmemdebug[plot]'" in error.value.line()
    assert "\n" not in error.value.line()


def test_a_place_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write everywhere, so that permissions alone would not be tested for everybody.
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(AccessError, match="may not be written"):
        output(tmp_path / "a.md").check()


def test_standard_output_is_claimed_once() -> None:
    output(Path("-")).check()
    OutputOptions().check()
    with pytest.raises(UsageError, match="standard output"):
        output(Path("-"), as_json=True).check()
    assert output(Path("a.md"), Path("-")).claims_stdout
    assert not OutputOptions().claims_stdout


def test_a_file_is_replaced_whole_and_keeps_its_permissions(tmp_path: Path) -> None:
    target, link = tmp_path / "a.md", tmp_path / "link.md"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    output(link).write(samples.LEAK)
    assert link.is_symlink()
    assert target.read_text().startswith("### LEAK")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        output(tmp_path / "a.md").write(samples.LEAK)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a.md").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("number", "kind"), [(28, DiskError), (5, DiskError), (13, AccessError), (30, AccessError)]
)
def test_a_failing_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[HfmemdebugError]
) -> None:
    target = tmp_path / "a.md"
    target.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(kind, match=r"a\.md could not be written"):
        output(target).write(samples.LEAK)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk: the kernel refuses the write for real."""
    target = tmp_path / "a.json"
    target.write_text("old")
    code = (
        "import json, resource, sys; from pathlib import Path;"
        "from hfmemdebug.cli.output import OutputOptions; from hfmemdebug.result import Result;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "OutputOptions([Path(sys.argv[2])]).write(Result.from_dict(json.loads(sys.argv[1])))"
    )
    arguments = [sys.executable, "-c", code, json.dumps(samples.LEAK.to_dict()), str(target)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert "DiskError: a.json could not be written: File too large" in done.stderr
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_shown_as_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    output(quiet=True).show(samples.LEAK)
    assert capsys.readouterr().out.splitlines() == [
        "LEAK: each slice leaves 5.9 MB of Python objects behind; only with the consumer, so yours."
    ]
    output(as_json=True).show(samples.LEAK)
    assert Result.from_dict(json.loads(capsys.readouterr().out)) == samples.LEAK
    output().show(samples.LEAK)
    assert "Who" not in (screen := capsys.readouterr().out)
    assert screen.startswith("LEAK")
    assert "\x1b" not in screen
    output(Path("-")).show(samples.LEAK)
    assert capsys.readouterr().out == ""
