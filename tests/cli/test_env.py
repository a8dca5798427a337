from __future__ import annotations

import json

import pytest

from hfmemdebug.cli.app import run
from hfmemdebug.probes import environment


def test_layout_of_datasets_cli(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["env"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["", "Copy-and-paste the text below in your GitHub issue.", ""]
    assert lines[3].startswith("- `datasets` version: ")
    assert lines[-1] == ""
    assert all(line.startswith("- ") and ": " in line for line in lines[3:-1])
    labels = [line[2:].split(":")[0] for line in lines[3:-1]]
    for label in (
        "hfmemdebug version",
        "Kernel",
        "Memory limit",
        "Arrow memory pool",
        "malloc",
        "Start method",
    ):
        assert label in labels


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["env", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "hfmemdebug.env.v1"
    assert set(document["environment"]) == set(environment.environment())


def test_values_are_redacted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HOME", "/home/mariecurie")
    monkeypatch.setenv("LOGNAME", "mariecurie")
    monkeypatch.setenv("MALLOC_CONF", "prof_prefix:/home/mariecurie/jeprof")
    assert run(["env"]) == 0
    out = capsys.readouterr().out
    assert "prof_prefix:~/jeprof" in out
    assert "mariecurie" not in out


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["env", "--help"]) == 0
    assert "hfmemdebug env --json" in capsys.readouterr().out
