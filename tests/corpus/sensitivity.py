"""How small a leak is found, and how soon: planted leaks of known size, again and again in fresh processes.

    python tests/corpus/sensitivity.py [--only NAME]... [--times N] [--json FILE]

Two questions. Is one 64-byte object or malloc a slice found within 100 slices of fixed rows, and within five
epochs of 100 slices of varying rows? And is the `smallest_detectable_bytes_per_iteration` of a clean run true:
is a leak of that size, planted and measured with the same options, found? Ctrl-C finishes what is running;
with --json a second call goes on where the first one ended. Exit status 1 when a planted leak passed for none.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from corpus.pair import as_they_end, build_datasets, keep_line, measure_pair, missing, read_lines, slices_read

from hfmemdebug.recording.store import cache_folder

PLANTED = Path(__file__).parent / "planted.py"


@dataclass(frozen=True)
class Case:
    """One planted leak.

    Attributes:
        data: ``"fixed"`` or ``"varying"`` rows.
        leak: A function of `planted.py`.
        options: Of `measure_pair`: step, iterations, epochs; without them a run as `diagnose` chooses it.
        within: Slices within which it must be found; None for the size that a clean run says it would see.
    """

    data: str
    leak: str
    options: tuple[tuple[str, int], ...]
    within: int | None


# 100 slices are four epochs of 25, for three blocks that grow are the fewest that convict.
_FIXED = (("step", 20), ("iterations", 25), ("epochs", 4))
_VARYING = (("step", 20), ("iterations", 100), ("epochs", 5))
_AS_CHOSEN = (("step", 40),)
CASES = {
    "64-python-fixed": Case("fixed", "python", _FIXED, 100),
    "64-malloc-fixed": Case("fixed", "native", _FIXED, 100),
    "64-python-varying": Case("varying", "python", _VARYING, 500),
    "64-malloc-varying": Case("varying", "native", _VARYING, 500),
    "smallest-python-fixed": Case("fixed", "python", _AS_CHOSEN, None),
    "smallest-malloc-fixed": Case("fixed", "native", _AS_CHOSEN, None),
    "smallest-python-varying": Case("varying", "python", _AS_CHOSEN, None),
    "smallest-malloc-varying": Case("varying", "native", _AS_CHOSEN, None),
}


@dataclass(frozen=True)
class Attempt:
    """One planted leak, looked for.

    Attributes:
        case: A key of `CASES`.
        planted: Bytes a slice that were planted.
        verdict: The verdict on it.
        slices: Slices that the consumer's arm had read until then.
        rate: Bytes a slice that were found, or None.
        seconds: Wall time of the measurement.
        summary: The result's sentence.
    """

    case: str
    planted: float
    verdict: str
    slices: int
    rate: float | None
    seconds: float
    summary: str


def attempt(name: str, datasets: Path, scratch: Path) -> Attempt:
    """Plants a leak and looks for it; where its size is a clean run's figure, that run comes first.

    Args:
        name: A key of `CASES`.
        datasets: Where `build_datasets` put its folders.
        scratch: A folder for the recordings.
    """
    case = CASES[name]
    dataset, options = datasets / case.data, dict(case.options)
    size = None
    if case.within is None:
        clean, _ = measure_pair(dataset, f"{PLANTED}:nothing", scratch / "clean", **options)
        size = clean.smallest_detectable_bytes_per_iteration
        if clean.verdict != "no-leak" or size is None:
            raise RuntimeError(f"the clean run is {clean.verdict}: {clean.summary}")
        os.environ["PLANTED_BYTES"] = str(-int(-size // 1))
    else:
        os.environ.pop("PLANTED_BYTES", None)
    result, seconds = measure_pair(dataset, f"{PLANTED}:{case.leak}", scratch / "planted", **options)
    return Attempt(
        name,
        size or 64,
        result.verdict,
        slices_read(result),
        result.rate_bytes_per_iteration,
        round(seconds, 1),
        result.summary,
    )


def table(attempts: Sequence[Attempt]) -> str:
    """A line a case, and below them what was not found, or later than it must be."""
    heads = ("times", "found", "in time", "open", "missed", "error", "planted B", "found B", "slices")
    lines = [f"{'case':<26}" + "".join(f"{head:>11}" for head in heads)]
    late = []
    for name, case in CASES.items():
        of_case = [a for a in attempts if a.case == name]
        if not of_case:
            continue
        found = [a for a in of_case if a.verdict == "leak"]
        in_time = [a for a in found if case.within is None or a.slices <= case.within]
        late += [a for a in of_case if a not in in_time]
        cells: list[Any] = [len(of_case), len(found), len(in_time)]
        cells += [
            sum(a.verdict == verdict for a in of_case) for verdict in ("inconclusive", "no-leak", "error")
        ]
        cells.append(_range([a.planted for a in found]))
        cells.append(_range([a.rate for a in found if a.rate is not None]))
        cells.append(_range([a.slices for a in found]))
        lines.append(f"{name:<26}" + "".join(f"{cell:>11}" for cell in cells))
    lines += [f"\n{a.case}: {a.verdict} after {a.slices} slices: {a.summary}" for a in late]
    return "\n".join(lines)


def _range(values: Sequence[float]) -> str:
    if not values:
        return "–"
    low, high = round(min(values)), round(max(values))
    return f"{low}" if low == high else f"{low}..{high}"


def main() -> int:
    options = _parse()
    names = list(dict.fromkeys(options.only or CASES))
    done = [Attempt(**line) for line in read_lines(options.json)]
    datasets = cache_folder() / "pairs"
    build_datasets(datasets)
    with tempfile.TemporaryDirectory(prefix="hfmemdebug-sensitivity-") as scratch:

        def measure(name: str, number: int) -> Attempt:
            try:
                return attempt(name, datasets, Path(scratch) / str(number))
            except RuntimeError as error:
                return Attempt(name, 64, "error", 0, None, 0.0, str(error))

        try:
            for one in as_they_end(measure, missing(names, options.times, [a.case for a in done]), 1):
                done.append(one)
                print(
                    f"{one.case:<26}{one.verdict:<14}{one.slices:>6} slices {one.seconds:6.1f} s", flush=True
                )
                if options.json:
                    keep_line(options.json, asdict(one))
        except KeyboardInterrupt:
            print("interrupted: what was measured is kept", file=sys.stderr)
    shown = [a for a in done if a.case in names]
    print("\n" + table(shown))
    return 1 if any(a.verdict in ("no-leak", "error") for a in shown) else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog="example: python tests/corpus/sensitivity.py --only 64-malloc-fixed --times 20 --json found.jsonl",
    )
    parser.add_argument(
        "--only", action="append", choices=CASES, help="this case alone; can be given several times"
    )
    parser.add_argument(
        "--times", type=int, default=5, metavar="N", help="of each, with those of FILE (default: 5)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="keep each as a line here, and go on from there"
    )
    options = parser.parse_args()
    if options.times < 1:
        parser.error("--times is 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
