from __future__ import annotations

import json
from pathlib import Path

import pytest
from measure.box import Box


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_a_clean_dataset(box: Box) -> None:
    done = box.run("diagnose", "./ds", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["verdict"], document["command"]) == (0, "no-leak", "diagnose")
    assert {arm["mode"] for arm in document["arms"]} == {"mmap", "in-memory"}
    assert all(arm["outcome"] == "completed" for arm in document["arms"])
    assert document["rate_bytes_per_iteration"] == 0
    mapped = next(arm for arm in document["arms"] if arm["mode"] == "mmap")
    assert mapped["reclaim"]["same_data"] is True


def test_the_users_leak_is_the_users(box: Box) -> None:
    target = box.code("seen = []\ndef f(rows): seen.append(rows)\n")
    done = box.run(
        "diagnose", "./ds", "--step", "40", "--consumer", target, "-o", "r.json", "-o", "r.md", "-q"
    )
    (line,) = done.stdout.splitlines()
    assert done.returncode == 1
    assert line.startswith("LEAK")
    document = json.loads((box.folder / "r.json").read_text())
    assert (document["verdict"], document["origin"]) == ("leak", "user-code")
    assert document["rate_bytes_per_iteration"] > 40 * 100
    assert {arm["consumer"] for arm in document["arms"]} == {True, False}
    assert "leak" in (box.folder / "r.md").read_text().lower()


def test_a_stream(box: Box) -> None:
    status, document = box.result("diagnose", "./ds", "--streaming", "--step", "100", "--budget", "30")
    assert status in (0, 3)
    assert document["verdict"] != "leak"
    assert {arm["mode"] for arm in document["arms"]} == {"streaming"}


def test_options_of_profile_alone_are_refused(box: Box) -> None:
    done = box.run("diagnose", "./ds", "--in-mem")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
