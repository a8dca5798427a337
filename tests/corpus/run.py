"""Runs the corpus through `hfmemdebug diagnose`, or `run`, and prints how the verdicts compare with the truth.

    python tests/corpus/run.py [--watched [--trace]] [--only PATTERN] [--fast] [--jobs N] [--json FILE]

Exit status 1 when a verdict is wrong: decided against the truth, or no verdict at all.
"""

from __future__ import annotations

import argparse
import collections
import fnmatch
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from corpus.judge import Outcome, build_datasets, run_program
from corpus.labels import PROGRAMS, WATCHED, Label, read_labels


def main() -> int:
    options = _parse()
    folder = WATCHED if options.watched else PROGRAMS
    labels = [label for label in read_labels(folder) if fnmatch.fnmatch(label.name, options.only)]
    if options.fast:
        labels = [label for label in labels if label.fast]
    left_out = [label for label in labels if label.missing_libraries()]
    labels = [label for label in labels if label not in left_out]
    if not labels:
        print(f"no program to run matches {options.only}", file=sys.stderr)
        return 2
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="hfmemdebug-corpus-") as scratch:
        datasets = _datasets_folder()
        build_datasets(datasets)

        def run(label: Label) -> Outcome:
            return run_program(label, datasets, Path(scratch) / label.name, trace=options.trace)

        with ThreadPoolExecutor(options.jobs) as pool:
            try:
                for outcome in pool.map(run, labels):
                    outcomes.append(outcome)
                    _print_line(outcome)
                    if options.json:
                        _write(options.json, outcomes)
            except KeyboardInterrupt:
                pool.shutdown(cancel_futures=True)
                print("interrupted: the rest was not run", file=sys.stderr)
    for label in left_out:
        print(f"not run  {label.name}: needs {', '.join(label.missing_libraries())}")
    _print_summary(outcomes)
    return 1 if any(outcome.kind == "wrong" for outcome in outcomes) else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--watched", action="store_true", help="whole programs, through `run`")
    parser.add_argument("--trace", action="store_true", help="ask `run` for the lines as well")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="names of programs, as a glob")
    parser.add_argument("--fast", action="store_true", help="the fast selection")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="programs at a time (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything, as JSON")
    return parser.parse_args()


def _datasets_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "hfmemdebug-corpus"


def _print_line(outcome: Outcome) -> None:
    label = outcome.label
    print(
        f"{outcome.kind:<6} {label.name:<34} {' or '.join(label.verdicts):<24} {outcome.verdict:<13}"
        f"{outcome.cause or '–':<20} {outcome.seconds:6.1f} s",
        flush=True,
    )
    for field, difference in outcome.mismatches.items():
        print(f"         {field}: {difference}", flush=True)
    if outcome.trouble:
        print(f"         {outcome.trouble}", flush=True)


def _print_summary(outcomes: Sequence[Outcome]) -> None:
    verdicts = ("leak", "no-leak", "inconclusive", "error")
    table = collections.Counter((outcome.label.truth, outcome.verdict) for outcome in outcomes)
    print(f"\n{'truth':<12}" + "".join(f"{verdict:>14}" for verdict in verdicts))
    for truth in dict.fromkeys(outcome.label.truth for outcome in outcomes):
        print(f"{truth:<12}" + "".join(f"{table[truth, verdict]:>14}" for verdict in verdicts))
    kinds = collections.Counter(outcome.kind for outcome in outcomes)
    print(f"\n{len(outcomes)} programs: {kinds['right']} right, {kinds['wrong']} wrong, {kinds['open']} open")
    fields = collections.Counter(field for outcome in outcomes for field in outcome.mismatches)
    if fields:
        print("right, but: " + ", ".join(f"{count} {field}" for field, count in fields.most_common()))
    seconds = sorted(outcome.seconds for outcome in outcomes) or [0.0]
    print(
        f"{sum(seconds):.0f} s in all, median {seconds[len(seconds) // 2]:.1f} s, longest {seconds[-1]:.1f} s"
    )


def _write(path: Path, outcomes: Sequence[Outcome]) -> None:
    entries = [
        {
            "program": outcome.label.name,
            "truth": outcome.label.verdicts,
            "verdict": outcome.verdict,
            "kind": outcome.kind,
            "seconds": round(outcome.seconds, 1),
            "mismatches": outcome.mismatches,
            "trouble": outcome.trouble,
            "result": outcome.result,
        }
        for outcome in outcomes
    ]
    path.write_text(json.dumps(entries, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
