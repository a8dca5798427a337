"""Clean repetitions: a consumer that keeps nothing against its control, again and again. None may be called a leak.

    python tests/corpus/clean.py [--kind KIND]... [--repetitions N] [--jobs N] [--json FILE]

A repetition is one pair of arms in fresh processes, measured and judged as `hfmemdebug diagnose` does it.
With --json each is kept as a line of FILE the moment it is there: a second call goes on where the first one
ended, and the recordings of those that are not a no-leak stay beside it. Ctrl-C finishes what is running.
Exit status 1 when a clean repetition was called a leak.
"""

from __future__ import annotations

import argparse
import collections
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from corpus.pair import as_they_end, build_datasets, keep_line, measure_pair, missing, read_lines, slices_read

from hfmemdebug.recording.store import cache_folder

CONSUMERS = Path(__file__).parent / "clean_consumers.py"
# Fifty slices an epoch, as `diagnose` reads by default.
STEP = 40
VERDICTS = ("no-leak", "inconclusive", "leak")


@dataclass(frozen=True)
class Kind:
    """One kind of clean loop.

    Attributes:
        data: Which dataset: a key of `corpus.pair.SYNTH`.
        consumer: A function of `clean_consumers.py`.
        mode: The arms' mode.
        format: As `Dataset.with_format`, or None.
    """

    data: str
    consumer: str
    mode: str = "mmap"
    format: str | None = None


KINDS = {
    "mapped": Kind("fixed", "tokenize"),
    "in-memory": Kind("fixed", "tokenize", mode="in-memory"),
    "streaming": Kind("fixed", "tokenize", mode="streaming"),
    "varying": Kind("varying", "tokenize"),
    "numpy": Kind("numeric", "normalize", format="numpy"),
    "pandas": Kind("numeric", "aggregate", format="pandas"),
    "torch": Kind("numeric", "forward", format="torch"),
    "arrow": Kind("numeric", "compute", format="arrow"),
}


@dataclass(frozen=True)
class Repetition:
    """One measured pair.

    Attributes:
        kind: A key of `KINDS`.
        verdict: The verdict, or ``error``.
        cause: The result's cause.
        summary: The result's sentence, or what went wrong.
        smallest: The result's ``smallest_detectable_bytes_per_iteration``.
        slices: Slices that the consumer's arm has read.
        seconds: Wall time.
    """

    kind: str
    verdict: str
    cause: str | None
    summary: str
    smallest: float | None
    slices: int
    seconds: float


def repeat(name: str, datasets: Path, recordings: Path) -> Repetition:
    """Measures one pair and judges it.

    Args:
        name: A key of `KINDS`.
        datasets: Where `build_datasets` put its folders.
        recordings: A folder for this pair's recordings.
    """
    kind = KINDS[name]
    try:
        result, seconds = measure_pair(
            datasets / kind.data,
            f"{CONSUMERS}:{kind.consumer}",
            recordings,
            mode=kind.mode,
            format=kind.format,
            step=STEP,
        )
    except RuntimeError as error:
        return Repetition(name, "error", None, str(error), None, 0, 0.0)
    smallest = result.smallest_detectable_bytes_per_iteration
    return Repetition(
        name, result.verdict, result.cause, result.summary, smallest, slices_read(result), round(seconds, 2)
    )


def table(repetitions: Sequence[Repetition]) -> str:
    """Kinds and their verdicts, and below them the sentence of each that is not a no-leak."""
    counts = collections.Counter((r.kind, r.verdict) for r in repetitions)
    heads = ("repetitions", *VERDICTS, "error", "median s")
    lines = [f"{'kind':<12}" + "".join(f"{head:>14}" for head in heads)]
    for kind in KINDS:
        of_kind = [r for r in repetitions if r.kind == kind]
        if of_kind:
            seconds = sorted(r.seconds for r in of_kind)[len(of_kind) // 2]
            cells = (
                len(of_kind),
                *(counts[kind, verdict] for verdict in (*VERDICTS, "error")),
                f"{seconds:.1f}",
            )
            lines.append(f"{kind:<12}" + "".join(f"{cell:>14}" for cell in cells))
    lines += [f"\n{r.kind}: {r.verdict}: {r.summary}" for r in repetitions if r.verdict != "no-leak"]
    return "\n".join(lines)


def main() -> int:
    options = _parse()
    kinds = list(dict.fromkeys(options.kind or KINDS))
    done = [Repetition(**line) for line in read_lines(options.json)]
    datasets = cache_folder() / "pairs"
    build_datasets(datasets)
    with tempfile.TemporaryDirectory(prefix="hfmemdebug-clean-") as scratch:

        def measure(kind: str, number: int) -> Repetition:
            recordings = Path(scratch) / str(number)
            recordings.mkdir()
            repetition = repeat(kind, datasets, recordings)
            if options.json and repetition.verdict != "no-leak":
                _keep_recordings(options.json, repetition, recordings)
            shutil.rmtree(recordings)
            return repetition

        tasks = missing(kinds, options.repetitions, [r.kind for r in done])
        try:
            for repetition in as_they_end(measure, tasks, options.jobs):
                done.append(repetition)
                print(f"{repetition.kind:<12}{repetition.verdict:<14}{repetition.seconds:6.1f} s", flush=True)
                if options.json:
                    keep_line(options.json, asdict(repetition))
        except KeyboardInterrupt:
            print("interrupted: what was measured is kept", file=sys.stderr)
    print("\n" + table([r for r in done if r.kind in kinds]))
    return 1 if any(r.verdict in ("leak", "error") for r in done) else 0


def _keep_recordings(path: Path, repetition: Repetition, recordings: Path) -> None:
    name = f"{repetition.kind}-{repetition.verdict}-{time.strftime('%Y%m%d-%H%M%S')}-{recordings.name}"
    shutil.copytree(recordings, path.with_suffix(".recordings") / name)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog="example: python tests/corpus/clean.py --kind pandas --kind arrow --repetitions 200 --json clean.jsonl",
    )
    parser.add_argument(
        "--kind",
        action="append",
        choices=KINDS,
        help="this kind alone; can be given several times (default: all)",
    )
    parser.add_argument(
        "--repetitions",
        type=int,
        default=5,
        metavar="N",
        help="of each kind, with those of FILE (default: 5)",
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="pairs at a time (default: 1)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="keep each as a line here, and go on from there"
    )
    options = parser.parse_args()
    if options.repetitions < 1 or options.jobs < 1:
        parser.error("--repetitions and --jobs are 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
