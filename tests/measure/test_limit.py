from __future__ import annotations

from pathlib import Path

import pytest
from measure.box import Box
from supervise.limits.test_run import why_not

from hfmemdebug.analysis.words import limit_sentence
from hfmemdebug.data.synthesize import synthesize
from hfmemdebug.result import ArmSummary
from hfmemdebug.supervise.limits.start import OPENERS

MB = 1 << 20


@pytest.fixture
def box(tmp_path: Path) -> Box:
    if all(why_not(name) is not None for name in OPENERS if name != "watchdog"):
        pytest.skip("only on machines where a control group can be had")
    return Box(tmp_path)


def test_mapped_files_larger_than_the_limit_are_read_to_the_end(box: Box) -> None:
    synthesize(box.folder / "large", rows=120_000)
    status, result = box.result("profile", "./large", "--step", "20000", "--epochs", "2", "--limit", "180M")
    assert status in (0, 3), result["summary"]
    limit = result["limit"]
    assert (limit["bytes"], limit["outcome"]) == (180 * MB, "completed")
    assert limit["is_limit"]
    assert limit["peak_bytes"] <= 180 * MB
    assert limit["oom_kills"] == 0
    assert "of mapped files to the end under a limit of 180 MB" in result["summary"]
    (recording,) = box.recordings()
    assert recording.limit is not None
    assert recording.limit.backend == limit["backend"]
    done = box.run("report", "--last", "-q")
    assert "to the end under a limit of 180 MB" in done.stdout


def test_an_arm_that_needs_more_is_killed(box: Box) -> None:
    done = box.run("profile", "./ds", "--limit", "30M")
    assert done.returncode == 4
    assert "killed by the kernel's OOM killer before the first slice" in done.stderr
    assert "Traceback" not in done.stderr


def arm(**fields: object) -> ArmSummary:
    known = {"mode": "mmap", "outcome": "completed", "rows": 10, "rows_total": 10, "loaded": {}}
    return ArmSummary(name="memory-mapped", consumer=False, iterations=1, **{**known, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "is_limit", "said"),
    [
        ({"loaded": {"data_bytes": 1500 * MB}}, True, "read 1.5 GB of mapped files to the end under a limit"),
        ({"peak_rss_bytes": 1788 * MB, "peak_unreclaimable_bytes": 288 * MB}, True, "RSS reported at 1.7 GB"),
        ({"peak_unreclaimable_bytes": 288 * MB}, True, "held at most 288 MB that cannot be taken back"),
        ({}, False, "a watchdog set to 600 MB, which proves less than a limit"),
    ],
)
def test_what_a_limit_has_proved(fields: dict[str, object], is_limit: bool, said: str) -> None:
    limit = {"arm": "memory-mapped", "bytes": 600 * MB, "how": "cgroup v1", "is_limit": is_limit}
    assert said in limit_sentence(limit, arm(**fields))


@pytest.mark.parametrize(
    ("fields", "found", "said"),
    [
        (
            {"peak_rss_bytes": 1788 * MB},
            {},
            "with 1.7 GB mapped (PSS) under a limit of 600 MB (cgroup v1): 1.7 GB",
        ),
        ({}, {"limit_hits": 1234}, "at which it was 1,234 times: the kernel took file pages back"),
        ({"peak_unreclaimable_bytes": 288 * MB}, {"limit_hits": 0}, "held at most 288 MB"),
        ({}, {"oom_kills": 2}, "although the OOM killer killed 2 of its processes"),
        ({}, {"is_limit": False}, "a watchdog set to 600 MB, which proves less than a limit"),
    ],
)
def test_what_a_limit_has_proved_of_a_program(
    fields: dict[str, object], found: dict[str, object], said: str
) -> None:
    limit = {"bytes": 600 * MB, "how": "cgroup v1", "is_limit": True, **found}
    assert said in limit_sentence(limit, arm(mode="program", **fields))
    assert not limit_sentence(limit, arm(outcome="killed"))


def test_an_arm_that_did_not_end_proves_nothing() -> None:
    limit = {"arm": "memory-mapped", "bytes": 600 * MB, "how": "cgroup v1", "is_limit": True}
    assert not limit_sentence(limit, arm(outcome="killed"))
    assert not limit_sentence(None, arm())
