"""What other tools say of the corpus, each by a stated rule: which leaks they find, and which loops they accuse.

    python tests/benchmarks/compare_peers.py [--each N] [--only PATTERN]... [--tool TOOL]... [--ours FILE] [--json FILE]

    memray   `memray run --aggregate --trace-python-allocators`, once over 50 slices and once over 150. A leak when
             what is not freed at the end is larger after the longer run by more than 32 bytes for each further slice.
             That is kinder than memray's own `--leaks`, which counts the mapping of every dataset as leaked.
    psleak   `MemoryLeakTestCase.execute` on one slice, as it is set by default. A leak when it raises.
    scalene  `scalene run` over 150 slices. A leak when its JSON lists one in any file.
    slopes   RSS after each of 150 slices, after an epoch of 50 that is left out, since it maps the files' pages. By two
             rules, which are two lines of the table: `ols`, the slope of the least squares is above 0 with p < 0.01;
             `mk`, Mann-Kendall's test for a rising trend, p < 0.01.
    ours     `hfmemdebug diagnose`, from a file that `tests/corpus/run.py --json FILE` has written.

memray, scalene and psleak are installed by hand, beside hfmemdebug; what is missing is named and left out. So are
programs whose libraries are missing. Of programs that read a stream, or bring a dataset of their own, none is asked
about. `--each N` takes N of the leaks and N of the others, evenly spaced by name, before anything is known of their
answers; the programs of `--each 12` are among those of `--each 24`.

A tool is given 90 seconds and 3 GiB of data (RLIMIT_DATA) for each run that it makes of a program. What fails, and what
is not done by then, counts as no answer; so does our own `inconclusive`. What the file of `--json` already has is not
asked again, so that an interrupted comparison goes on where it was.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import importlib.metadata
import json
import math
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from corpus.judge import build_datasets
from corpus.labels import Label, read_labels

LOOP = Path(__file__).parent / "peer_loop.py"
SLICES = 50
FLOOR = 32
TIMEOUT_SECONDS = 90
DATA_BYTES = 3 << 30
P = 0.01
# Whether it is a leak, and by which figure.
Finding = tuple[bool, str]


def _run(command: Sequence[str], **environment: str) -> str:
    # Scalene runs the program in a child, which outlives it: a group of their own is ended as a whole.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )
    try:
        output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output, errors)
    return output


def _last_line(text: str) -> Any:
    """What the loop has printed; the program may have printed too."""
    return json.loads(text.strip().splitlines()[-1])


def memray(label: Label, datasets: Path, scratch: Path) -> dict[str, Finding]:
    from memray import FileReader

    left = []
    for epochs in (1, 3):
        capture = scratch / f"{label.name}-{epochs}.bin"
        _run(
            [
                *(sys.executable, "-m", "memray", "run", "-q", "-f"),
                *("--aggregate", "--trace-python-allocators", "-o", str(capture)),
                *(str(LOOP), label.name, str(datasets), str(epochs)),
            ]
        )
        with FileReader(capture) as reader:
            left.append(sum(record.size for record in reader.get_leaked_allocation_records()))
        capture.unlink()
    rate = (left[1] - left[0]) / (2 * SLICES)
    return {"memray": (rate > FLOOR, f"{rate:.0f} bytes a slice")}


def psleak(label: Label, datasets: Path, scratch: Path) -> dict[str, Finding]:
    command = [sys.executable, str(LOOP), label.name, str(datasets), "0", "--psleak"]
    # It refuses to run without, so that Python's objects show in malloc.
    said = _last_line(_run(command, PYTHONMALLOC="malloc"))
    return {"psleak": (said is not None, said or "")}


def scalene(label: Label, datasets: Path, scratch: Path) -> dict[str, Finding]:
    output = scratch / f"{label.name}.json"
    _run(
        [
            *(sys.executable, "-m", "scalene", "run", "-o", str(output), str(LOOP)),
            *("---", label.name, str(datasets), "3"),
        ]
    )
    profile = json.loads(output.read_text(encoding="utf-8"))
    lines = [
        f"{Path(name).name}:{line}"
        for name, file in profile["files"].items()
        for line in file.get("leaks") or ()
    ]
    return {"scalene": (bool(lines), ", ".join(lines))}


def slopes(label: Label, datasets: Path, scratch: Path) -> dict[str, Finding]:
    readings = _last_line(_run([sys.executable, str(LOOP), label.name, str(datasets), "4", "--rss"]))
    values = [float(value) for value in readings[SLICES:]]
    probabilities = {"ols": least_squares_p(values), "mk": mann_kendall_p(values)}
    growth = (values[-1] - values[0]) / 1000
    return {rule: (p < P, f"{growth:+.0f} kB, p = {p:.2g}") for rule, p in probabilities.items()}


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


TOOLS: dict[str, Callable[[Label, Path, Path], dict[str, Finding]]] = {
    "memray": memray,
    "psleak": psleak,
    "scalene": scalene,
    "slopes": slopes,
}
# The lines of the table that a tool fills.
RULES = {"memray": ["memray"], "psleak": ["psleak"], "scalene": ["scalene"], "slopes": ["ols", "mk"]}


def ask(tool: str, label: Label, datasets: Path, scratch: Path) -> list[dict[str, Any]]:
    """One tool's answers about one program, by each of its rules: ``leak``, ``no-leak`` or ``none``."""
    began = time.perf_counter()
    found: dict[str, Finding] = {}
    trouble = None
    try:
        found = TOOLS[tool](label, datasets, scratch)
    except subprocess.TimeoutExpired:
        trouble = f"not done in {TIMEOUT_SECONDS} s"
    except (subprocess.SubprocessError, OSError, ValueError, LookupError, MemoryError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        trouble = said.splitlines()[-1] if said else type(error).__name__
    seconds = round(time.perf_counter() - began, 1)
    return [
        {
            "tool": rule, "program": label.name, "truth": label.truth,
            "verdict": "none" if trouble else "leak" if found[rule][0] else "no-leak",
            "seconds": seconds, "said": trouble or found[rule][1],
        }
        for rule in RULES[tool]
    ]  # fmt: skip


def table(answers: Sequence[dict[str, Any]]) -> str:
    """A line a tool, as README.md of this folder shows it, and then which programs each has wrong."""
    lines = [
        "| tool | leaks found | others accused | no answer: leaks | no answer: others | median time |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    wrong = []
    for tool in dict.fromkeys(answer["tool"] for answer in answers):
        mine = [answer for answer in answers if answer["tool"] == tool]
        leaks = [answer for answer in mine if answer["truth"] == "leak"]
        others = [answer for answer in mine if answer["truth"] == "no-leak"]
        seconds = statistics.median(answer["seconds"] for answer in mine)
        lines.append(
            f"| {tool} | {len(_said(leaks, 'leak'))} of {len(leaks)} | {len(_said(others, 'leak'))} of {len(others)} "
            f"| {len(_open(leaks))} | {len(_open(others))} | {seconds:.0f} s |"
        )
        wrong += [
            f"{tool} {how}: {', '.join(names) or '–'}"
            for how, names in (
                ("missed", _said(leaks, "no-leak")),
                ("accused", _said(others, "leak")),
                ("had no answer", _open(mine)),
            )
        ]
    return "\n".join([*lines, "", *wrong])


def _said(answers: Sequence[dict[str, Any]], verdict: str) -> list[str]:
    return [answer["program"] for answer in answers if answer["verdict"] == verdict]


def _open(answers: Sequence[dict[str, Any]]) -> list[str]:
    return [answer["program"] for answer in answers if answer["verdict"] not in ("leak", "no-leak")]


def choose(labels: Sequence[Label], each: int | None) -> list[Label]:
    """`each` of the leaks and as many of the others, evenly spaced by name; all where there are no more."""
    chosen = []
    for truth in ("leak", "no-leak"):
        alike = [label for label in labels if label.truth == truth]
        count = min(each or len(alike), len(alike))
        chosen += [alike[number * len(alike) // count] for number in range(count)]
    return sorted(chosen, key=lambda label: label.name)


def main() -> int:
    options = _parse()
    patterns = options.only or ["*"]
    labels = [
        label
        for label in read_labels()
        if any(fnmatch.fnmatch(label.name, pattern) for pattern in patterns)
        and label.data != "own"
        and "--streaming" not in label.options
    ]
    labels = choose(labels, options.each)
    for label in [label for label in labels if label.missing_libraries()]:
        labels.remove(label)
        print(f"left out: {label.name} needs {', '.join(label.missing_libraries())}", file=sys.stderr)
    if not labels:
        print(f"no program matches {' or '.join(patterns)}", file=sys.stderr)
        return 2
    tools = list(dict.fromkeys(options.tool or TOOLS))
    versions = {}
    for tool in sorted(set(tools) & {"memray", "psleak", "scalene"}):
        try:
            versions[tool] = importlib.metadata.version(tool)
        except importlib.metadata.PackageNotFoundError:
            tools.remove(tool)
            print(f"left out: {tool} is not installed (pip install {tool})", file=sys.stderr)
    names = {label.name for label in labels}
    try:
        answers = _read(options.json) if options.json and options.json.exists() else []
        ours = _ours(options.ours, names) if options.ours else []
    except (OSError, ValueError, LookupError, TypeError) as error:
        print(f"not a file of answers, as --json writes it: {error}", file=sys.stderr)
        return 2
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    datasets = Path(cache) / "hfmemdebug-corpus"
    build_datasets(datasets)
    resource.setrlimit(resource.RLIMIT_DATA, (DATA_BYTES, DATA_BYTES))
    _compare(labels, tools, datasets, answers, options.json)
    rules = [rule for tool in tools for rule in RULES[tool]]
    shown = [e for e in answers if e["program"] in names and e["tool"] in rules]
    shown.sort(key=lambda answer: (rules.index(answer["tool"]), answer["program"]))
    asked = len({answer["program"] for answer in shown})
    print("\n" + ", ".join([f"{asked} programs", *(f"{tool} {versions[tool]}" for tool in versions)]))
    print(table(ours + shown))
    return 0


def _compare(
    labels: Sequence[Label],
    tools: Sequence[str],
    datasets: Path,
    answers: list[dict[str, Any]],
    file: Path | None,
) -> None:
    """Asks for what is not yet among the answers, and adds it, there and in the file."""
    known = {(answer["program"], answer["tool"]) for answer in answers}
    with tempfile.TemporaryDirectory(prefix="hfmemdebug-peers-") as scratch:
        try:
            for label in labels:
                for tool in tools:
                    if (label.name, RULES[tool][0]) in known:
                        continue
                    for answer in ask(tool, label, datasets, Path(scratch)):
                        answers.append(answer)
                        print(
                            f"{label.name:<34}{label.truth:<10}{answer['tool']:<9}{answer['verdict']:<9}"
                            f"{answer['seconds']:6.1f} s  {answer['said']}",
                            flush=True,
                        )
                    if file:
                        _write(file, answers)
        except KeyboardInterrupt:
            print("interrupted: the rest was not run", file=sys.stderr)


def _read(file: Path) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return answers


def _write(file: Path, answers: Sequence[dict[str, Any]]) -> None:
    # An interruption keeps the whole file, old or new.
    written = file.with_name(f"{file.name}.new")
    written.write_text(json.dumps(answers, indent=1), encoding="utf-8")
    written.replace(file)


def _ours(file: Path, names: Container[str]) -> list[dict[str, Any]]:
    return [
        {"tool": "hfmemdebug", "program": e["program"], "truth": e["truth"][0], "verdict": e["verdict"],
         "seconds": e["seconds"]}
        for e in _read(file)
        if e["program"] in names
    ]  # fmt: skip


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", metavar="PATTERN", help="names of programs, as a glob")
    parser.add_argument("--each", type=_count, metavar="N", help="N programs of each label (default: all)")
    parser.add_argument("--tool", action="append", choices=TOOLS, help="this one alone (default: all)")
    parser.add_argument("--ours", type=Path, metavar="FILE", help="what run.py --json has written")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every answer, as JSON, as it comes")
    return parser.parse_args()


def _count(text: str) -> int:
    count = int(text) if text.isdecimal() else 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"a number of programs, 1 or more, not {text!r}")
    return count


if __name__ == "__main__":
    sys.exit(main())
