"""What other tools say of the corpus, each by a stated rule: which leaks they find, and which loops they accuse.

    python tests/benchmarks/compare_peers.py [--only PATTERN]... [--tool TOOL]... [--ours FILE] [--json FILE]

    memray   `memray run --trace-python-allocators`, once over 50 slices and once over 150. A leak when what is not
             freed at the end is larger after the longer run by more than 32 bytes for each further slice. That is
             kinder than memray's own `--leaks`, which counts the mapping of every dataset as leaked.
    psleak   `MemoryLeakTestCase.execute` on one slice, as it is set by default. A leak when it raises.
    scalene  `scalene run` over 150 slices. A leak when its JSON lists one in any file.
    ols      RSS after each of 150 slices, after an epoch of 50 that is left out, since it maps the files' pages. A leak
             when the slope of the least squares is above 0 with p < 0.01.
    mk       The same series, Mann-Kendall's test for a rising trend, p < 0.01.
    ours     `hfmemdebug diagnose`, from a file that `tests/corpus/run.py --json FILE` has written.

Inconclusive answers count as neither right nor wrong. memray, scalene and psleak are installed by hand, beside
hfmemdebug; what is missing is named and left out. Programs that read a stream are left out. Each tool is given
180 seconds a program; no answer in that time counts as none.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib.metadata
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from corpus.judge import build_datasets
from corpus.labels import Label, read_labels

LOOP = Path(__file__).parent / "peer_loop.py"
SLICES = 50
FLOOR = 32
TIMEOUT_SECONDS = 180
P = 0.01


def _run(command: Sequence[str], **environment: str) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout


def _last_line(text: str) -> Any:
    """What the loop has printed; the program may have printed too."""
    return json.loads(text.strip().splitlines()[-1])


def memray(label: Label, datasets: Path, scratch: Path) -> bool:
    from memray import FileReader

    left = []
    for epochs in (1, 3):
        capture = scratch / f"{label.name}-{epochs}.bin"
        _run(
            [
                *(sys.executable, "-m", "memray", "run", "-q", "-f", "--trace-python-allocators"),
                *("-o", str(capture), str(LOOP), label.name, str(datasets), str(epochs)),
            ]
        )
        with FileReader(capture) as reader:
            left.append(sum(record.size for record in reader.get_leaked_allocation_records()))
        capture.unlink()
    return left[1] - left[0] > FLOOR * 2 * SLICES


def psleak(label: Label, datasets: Path, scratch: Path) -> bool:
    command = [sys.executable, str(LOOP), label.name, str(datasets), "0", "--psleak"]
    # It refuses to run without, so that Python's objects show in malloc.
    return _last_line(_run(command, PYTHONMALLOC="malloc")) is not None


def scalene(label: Label, datasets: Path, scratch: Path) -> bool:
    output = scratch / f"{label.name}.json"
    _run(
        [
            *(sys.executable, "-m", "scalene", "run", "-o", str(output), str(LOOP)),
            *("---", label.name, str(datasets), "3"),
        ]
    )
    profile = json.loads(output.read_text(encoding="utf-8"))
    return any(file.get("leaks") for file in profile["files"].values())


def _rss(label: Label, datasets: Path) -> list[float]:
    readings = _last_line(_run([sys.executable, str(LOOP), label.name, str(datasets), "4", "--rss"]))
    return [float(value) for value in readings[SLICES:]]


def ols(label: Label, datasets: Path, scratch: Path) -> bool:
    return least_squares_p(_rss(label, datasets)) < P


def mk(label: Label, datasets: Path, scratch: Path) -> bool:
    return mann_kendall_p(_rss(label, datasets)) < P


def least_squares_p(values: Sequence[float]) -> float:
    """One-sided p of a slope above 0; of so many points, Student's t is normal."""
    count = len(values)
    fit = statistics.linear_regression(range(count), values)
    rest = sum((y - fit.slope * x - fit.intercept) ** 2 for x, y in enumerate(values)) / (count - 2)
    error = math.sqrt(rest / (count * (count**2 - 1) / 12))
    return 1.0 if fit.slope <= 0 else 0.0 if error == 0 else _above(fit.slope / error)


def mann_kendall_p(values: Sequence[float]) -> float:
    """One-sided p of a rising trend, corrected for ties (Kendall 1975)."""
    count = len(values)
    score = sum((b > a) - (b < a) for i, a in enumerate(values) for b in values[i + 1 :])
    ties = [values.count(value) for value in set(values)]
    variance = (count * (count - 1) * (2 * count + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    return _above((score - 1) / math.sqrt(variance)) if score > 0 and variance > 0 else 1.0


def _above(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2))


TOOLS: dict[str, Callable[[Label, Path, Path], bool]] = {
    "memray": memray,
    "psleak": psleak,
    "scalene": scalene,
    "ols": ols,
    "mk": mk,
}


def ask(tool: str, label: Label, datasets: Path, scratch: Path) -> dict[str, Any]:
    """One tool's answer about one program: ``leak``, ``no-leak`` or ``none``, with the seconds it took."""
    began = time.perf_counter()
    trouble = None
    try:
        verdict = "leak" if TOOLS[tool](label, datasets, scratch) else "no-leak"
    except (subprocess.SubprocessError, OSError, ValueError, IndexError, KeyError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        verdict, trouble = "none", said.splitlines()[-1] if said else type(error).__name__
    seconds = round(time.perf_counter() - began, 1)
    return {
        "tool": tool, "program": label.name, "truth": label.truth, "verdict": verdict, "seconds": seconds,
        "trouble": trouble,
    }  # fmt: skip


def table(answers: Sequence[dict[str, Any]]) -> str:
    """A line a tool, as README shows it."""
    lines = [
        "| tool | right on leaks | right on no-leaks | false leaks | missed leaks | no answer | median time |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for tool in dict.fromkeys(answer["tool"] for answer in answers):
        mine = [answer for answer in answers if answer["tool"] == tool]
        leaks = [answer["verdict"] for answer in mine if answer["truth"] == "leak"]
        clean = [answer["verdict"] for answer in mine if answer["truth"] == "no-leak"]
        open_ = len(mine) - sum(answer["verdict"] in ("leak", "no-leak") for answer in mine)
        seconds = statistics.median(answer["seconds"] for answer in mine)
        lines.append(
            f"| {tool} | {leaks.count('leak')} of {len(leaks)} | {clean.count('no-leak')} of {len(clean)} "
            f"| {clean.count('leak')} | {leaks.count('no-leak')} | {open_} | {seconds:.0f} s |"
        )
    return "\n".join(lines)


def main() -> int:
    options = _parse()
    patterns = options.only or ["*"]
    labels = [
        label
        for label in read_labels()
        if any(fnmatch.fnmatch(label.name, pattern) for pattern in patterns)
        and not label.missing_libraries()
        and "--streaming" not in label.options
    ]
    if not labels:
        print(f"no program matches {' or '.join(patterns)}", file=sys.stderr)
        return 2
    tools = list(dict.fromkeys(options.tool or TOOLS))
    versions = {}
    for tool in set(tools) & {"memray", "psleak", "scalene"}:
        try:
            versions[tool] = importlib.metadata.version(tool)
        except importlib.metadata.PackageNotFoundError:
            tools.remove(tool)
            print(f"left out: {tool} is not installed (pip install {tool})", file=sys.stderr)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    datasets = Path(cache) / "hfmemdebug-corpus"
    build_datasets(datasets)
    answers = _ours(options.ours, labels) if options.ours else []
    with tempfile.TemporaryDirectory(prefix="hfmemdebug-peers-") as scratch:
        try:
            for label in labels:
                for tool in tools:
                    answer = ask(tool, label, datasets, Path(scratch))
                    answers.append(answer)
                    print(
                        f"{label.name:<34}{label.truth:<10}{tool:<9}{answer['verdict']:<9}{answer['seconds']:6.1f} s"
                        f"  {answer['trouble'] or ''}",
                        flush=True,
                    )
                    if options.json:
                        options.json.write_text(json.dumps(answers, indent=1), encoding="utf-8")
        except KeyboardInterrupt:
            print("interrupted: the rest was not run", file=sys.stderr)
    print(
        f"\n{len(labels)} programs; " + ", ".join(f"{tool} {version}" for tool, version in versions.items())
    )
    print(table(answers))
    return 0


def _ours(file: Path, labels: Sequence[Label]) -> list[dict[str, Any]]:
    names = {label.name for label in labels}
    return [
        {"tool": "hfmemdebug", "program": e["program"], "truth": e["truth"][0], "verdict": e["verdict"],
         "seconds": e["seconds"], "trouble": e["trouble"]}
        for e in json.loads(file.read_text(encoding="utf-8"))
        if e["program"] in names
    ]  # fmt: skip


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", metavar="PATTERN", help="names of programs, as a glob")
    parser.add_argument("--tool", action="append", choices=TOOLS, help="this one alone (default: all)")
    parser.add_argument("--ours", type=Path, metavar="FILE", help="what run.py --json has written")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every answer, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
