"""Lines that are not what they should be: whoever reads them says so in one line, whatever was damaged."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.test_report import measured, saved

from hfmemdebug.cli.app import run

DAMAGE = ("gone", "x", None, [], {}, -5, 1e300, True)


def places(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = document.items() if isinstance(document, dict) else ()
    for key, value in [*items, *(enumerate(document[:2]) if isinstance(document, list) else ())]:
        yield (*above, key)
        yield from places(value, (*above, key))


@pytest.mark.parametrize("seed", range(3))
def test_no_damage_ends_in_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [
        json.loads(line) for line in saved(tmp_path / "whole.jsonl", measured()).read_text().splitlines()
    ]
    lines[0]["loaded"] = {"source": "Hub", "name": "a/b", "files": [{"path": "x.arrow", "size_bytes": 5}]}
    lines[-1] |= {"reclaim": {"freed_bytes": 1, "rss_before": 2, "rss_after": 1, "same_data": True},
                  "trace": {"sites": [{"file": "a.py", "line": 1, "in_library": False}], "holders": []}}  # fmt: skip
    dice, found = random.Random(seed), set()
    for _ in range(120):
        damaged = json.loads(json.dumps(lines))
        line = dice.choice([0, 0, 1, dice.randrange(len(lines)), len(lines) - 1])
        *above, last = place = dice.choice(list(places(damaged[line])))
        inside = damaged[line]
        for key in above:
            inside = inside[key]
        if (how := dice.choice(DAMAGE)) == "gone":
            del inside[last]
        else:
            inside[last] = how
        Path("damaged.jsonl").write_text("\n".join(map(json.dumps, damaged)))
        status = run(["report", "damaged.jsonl", "-o", "damaged.md", "-q"])
        said = capsys.readouterr().err
        assert status in (0, 2), (line, place, how, said)
        assert status == 0 or len(said.splitlines()) == 1, said
        found.add(status)
    assert found == {0, 2}
