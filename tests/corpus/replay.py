"""Replays what was recorded of the corpus through the analysis, and shows what that changes.

    python tests/corpus/replay.py [--only PATTERN] [--full] [--accept] [--jobs N]

Prints each program whose result is another one than before: a changed verdict first, then changed fields. With
`--accept` what came is what is expected from then on. Exit status 1 where a result changed or a verdict is wrong.
"""

from __future__ import annotations

import argparse
import fnmatch
import functools
import json
import lzma
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from corpus.judge import compare
from corpus.labels import PROGRAMS, WATCHED, Label, read_label

RECORDINGS = Path(__file__).parent / "recordings"
# What `diagnose` measured of consumers, `run` of whole programs, and `run --trace` of the same.
KINDS = {"programs": PROGRAMS, "watched": WATCHED, "traced": WATCHED}
RESULTS = RECORDINGS / "results.jsonl.xz"
# The same for people, a line a program: a changed verdict is seen in the change that made it.
VERDICTS = RECORDINGS / "verdicts.txt"


@dataclass(frozen=True)
class Replayed:
    """What the analysis says of one recording.

    Attributes:
        name: ``KIND/PROGRAM``.
        result: The result document.
        kind: ``right``, ``wrong`` (decided against the truth) or ``open`` (inconclusive where a decision is wanted).
        mismatches: What else is not as the label says, by field.
    """

    name: str
    result: dict[str, Any]
    kind: str
    mismatches: dict[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The line of `VERDICTS`."""
        sites = [f"{Path(site['file']).name}:{site['line']}" for site in self.result["sites"][:1]]
        holders = [holder["path"] for holder in self.result["holders"][:1]]
        differs = [f"but: {', '.join(sorted(self.mismatches))}"] if self.mismatches else []
        parts = [self.result["verdict"], self.kind, self.result["cause"] or "-", *sites, *holders, *differs]
        return f"{self.name}: {' | '.join(parts)}"


def recorded(pattern: str = "*") -> list[str]:
    """The names of the recordings, ``KIND/PROGRAM``, that match a pattern by either."""
    names = [f"{kind}/{path.name.removesuffix('.jsonl.xz')}" for kind in KINDS for path in _files(kind)]
    return [
        name
        for name in names
        if fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(name.partition("/")[2], pattern)
    ]


def _files(kind: str) -> list[Path]:
    return sorted((RECORDINGS / kind).glob("*.jsonl.xz"))


def replay(name: str) -> Replayed:
    """Judges one recording anew."""
    from hfmemdebug.analysis.verdict import judge
    from hfmemdebug.recording.file import parse_recordings

    kind, _, program = name.partition("/")
    path = RECORDINGS / kind / f"{program}.jsonl.xz"
    recordings = parse_recordings(lzma.decompress(path.read_bytes()).splitlines(keepends=True), path)
    # Where it lies is no part of the answer.
    result = judge([replace(recording, path=None) for recording in recordings]).to_dict()
    result = json.loads(json.dumps(result, ensure_ascii=False))
    label = read_label(KINDS[kind] / f"{program}.py")
    return Replayed(name, result, *_against_label(label, kind, result))


def _against_label(label: Label, kind: str, result: dict[str, Any]) -> tuple[str, dict[str, str]]:
    verdict = result["verdict"]
    if verdict not in label.verdicts:
        return ("open" if verdict == "inconclusive" else "wrong"), {}
    # Lines and holders of a whole program are looked for where it is traced.
    wanted = replace(label, sites=None, holder=None) if kind == "watched" else label
    return "right", compare(wanted, result) if verdict == label.truth else {}


def replay_all(names: Sequence[str], jobs: int) -> Iterator[Replayed]:
    """Judges recordings anew, several at a time."""
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(replay, names, chunksize=8)


@functools.cache
def expected() -> dict[str, dict[str, Any]]:
    """The results that are expected, by name."""
    if not RESULTS.exists():
        return {}
    lines = lzma.decompress(RESULTS.read_bytes()).decode("utf-8").splitlines()
    return {entry["name"]: entry["result"] for entry in map(json.loads, lines)}


def differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """What is not the same in two documents: where, what it was, what it is."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (a, b) in enumerate(zip(before, after, strict=True)):
            yield from differences(a, b, f"{path}[{number}]")
    elif before != after:
        yield path, before, after


def main() -> int:
    options = _parse()
    names = recorded(options.only)
    if not names:
        print(f"no recording matches {options.only}", file=sys.stderr)
        return 2
    found = list(replay_all(names, options.jobs))
    changed = [each for each in found if each.result != expected().get(each.name)]
    for each in sorted(changed, key=lambda each: not _flips(each)):
        _show(each, full=options.full)
    wrong = [each for each in found if each.kind == "wrong"]
    kinds = {kind: sum(each.kind == kind for each in found) for kind in ("right", "wrong", "open")}
    print(
        f"{len(found)} recordings: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}; "
        f"{len(changed)} changed, {sum(map(_flips, changed))} of them in verdict, cause, line or holder"
    )
    for each in wrong:
        print(f"wrong: {each.line}")
    if options.accept:
        _accept(found)
        return 1 if wrong else 0
    return 1 if changed or wrong else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="*", metavar="PATTERN", help="programs, or KIND/PROGRAM, as a glob")
    parser.add_argument("--full", action="store_true", help="show every changed field, whole")
    parser.add_argument("--accept", action="store_true", help="what came is what is expected from now on")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="at a time")
    return parser.parse_args()


def _essence(result: dict[str, Any] | None) -> tuple[Any, ...]:
    if result is None:
        return ()
    sites = [(site["file"], site["line"]) for site in result["sites"][:1]]
    return result["verdict"], result["cause"], sites, [holder["path"] for holder in result["holders"][:1]]


def _flips(each: Replayed) -> bool:
    return _essence(each.result) != _essence(expected().get(each.name))


def _show(each: Replayed, *, full: bool) -> None:
    before = expected().get(each.name)
    if before is None:
        print(f"new: {each.line}")
        return
    if _flips(each):
        print(f"CHANGED {each.name}: {_essence(before)}\n     -> {each.line}")
    shown = list(differences(before, each.result))
    for path, a, b in shown if full else shown[:3]:
        print(f"    {each.name} {path}: {_cut(a, full)} -> {_cut(b, full)}")
    if len(shown) > 3 and not full:
        print(f"    … and {len(shown) - 3} more (--full)")


def _cut(value: Any, full: bool) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if full or len(text) <= 120 else f"{text[:120]}…"


def _accept(found: Sequence[Replayed]) -> None:
    """Writes what is expected from now on; recordings that were not replayed keep theirs."""
    results = {name: expected().get(name) for name in recorded()}
    results.update({each.name: each.result for each in found})
    lines = [
        json.dumps({"name": name, "result": result}, ensure_ascii=False, separators=(",", ":"))
        for name, result in results.items()
        if result is not None
    ]
    RESULTS.write_bytes(lzma.compress("".join(line + "\n" for line in lines).encode(), preset=9))
    known = VERDICTS.read_text(encoding="utf-8").splitlines() if VERDICTS.exists() else []
    by_name = {line.partition(":")[0]: line for line in known}
    by_name.update({each.name: each.line for each in found})
    text = "".join(f"{by_name[name]}\n" for name in results if name in by_name)
    VERDICTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
