"""What was recorded of every program, judged by the analysis as it is: the net under each change of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from corpus.labels import PROGRAMS, WATCHED, read_labels
from corpus.replay import KINDS, RECORDINGS, VERDICTS, expected, recorded
from uncovered import uncovered

NAMES = recorded()


def test_every_result_is_as_it_was_and_none_is_wrong() -> None:
    """`python tests/corpus/replay.py` shows the same, program by program, and `--accept` takes it."""
    # A process of its own, without coverage, which takes four times as long.
    command = [sys.executable, str(Path(__file__).with_name("replay.py"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=uncovered())
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert f"{len(NAMES)} recordings: " in done.stdout


def test_verdicts_for_people_are_of_the_results() -> None:
    lines = VERDICTS.read_text(encoding="utf-8").splitlines()
    assert [line.partition(": ")[0] for line in lines] == NAMES == list(expected())
    assert [line.partition(": ")[2].partition(" | ")[0] for line in lines] == [
        result["verdict"] for result in expected().values()
    ]


def test_every_program_is_recorded() -> None:
    watched = read_labels(WATCHED)
    wanted = {f"programs/{label.name}" for label in read_labels(PROGRAMS)}
    wanted |= {f"watched/{label.name}" for label in watched}
    # Lines and holders of whole programs are what tracing is for; it may be recorded of others too.
    wanted |= {f"traced/{label.name}" for label in watched if label.sites or label.holder}
    # Those that are still to be recorded; the list is exact, so that it can only become shorter.
    to_record = (RECORDINGS / "to_record.txt").read_text(encoding="utf-8").split()
    assert sorted(wanted - set(NAMES)) == to_record
    assert set(NAMES) <= wanted | {f"traced/{label.name}" for label in watched}, (
        "a recording without its program"
    )


def test_recordings_name_no_machine() -> None:
    import lzma

    for kind in KINDS:
        for path in (Path(__file__).parent / "recordings" / kind).glob("*.xz"):
            text = lzma.decompress(path.read_bytes()).decode("utf-8")
            assert "/root/" not in text and "/home/" not in text, path.name
