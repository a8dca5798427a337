"""Records programs of the corpus anew, for the replay: measures each once and keeps what was measured.

    python tests/corpus/record.py [--watched [--trace]] [--only PATTERN] [--jobs N] [--missing]

Each recording is one compressed file of `recordings/`; see README.md of this folder. What `replay.py --accept` then
writes is what the analysis says of them.
"""

from __future__ import annotations

import argparse
import fnmatch
import lzma
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from corpus.judge import Outcome, build_datasets, run_program
from corpus.labels import PROGRAMS, WATCHED, Label, read_labels
from corpus.replay import RECORDINGS

# Machines are noisy: so often is measured what does not come out as its label says.
TIMES = 3


def main() -> int:
    options = _parse()
    folder = WATCHED if options.watched else PROGRAMS
    labels = [label for label in read_labels(folder) if fnmatch.fnmatch(label.name, options.only)]
    if options.missing:
        labels = [label for label in labels if not recording_path(label, trace=options.trace).exists()]
    if lacking := [label for label in labels if label.missing_libraries()]:
        print(f"not recorded, needs libraries: {', '.join(label.name for label in lacking)}", file=sys.stderr)
    labels = [label for label in labels if label not in lacking]
    with tempfile.TemporaryDirectory(prefix="hfmemdebug-corpus-") as scratch:
        datasets = Path(scratch) / "datasets"
        build_datasets(datasets)

        def record(label: Label) -> Outcome:
            for time in range(1, TIMES + 1):
                state = Path(scratch) / f"{label.name}-{time}"
                outcome = run_program(label, datasets, state, trace=options.trace)
                _keep(label, state, datasets, trace=options.trace)
                if outcome.kind == "right" and not outcome.mismatches:
                    break
            return outcome

        with ThreadPoolExecutor(options.jobs) as pool:
            for outcome in pool.map(record, labels):
                print(
                    f"{outcome.kind:<6} {outcome.label.name:<34} {outcome.verdict:<13} {outcome.seconds:6.1f} s "
                    f"{outcome.mismatches or ''} {outcome.trouble or ''}",
                    flush=True,
                )
    return 0


def recording_path(label: Label, *, trace: bool = False) -> Path:
    """The file that holds a program's recording."""
    kind = "traced" if trace else "watched" if label.watched else "programs"
    return RECORDINGS / kind / f"{label.name}.jsonl.xz"


def _keep(label: Label, state: Path, datasets: Path, *, trace: bool) -> None:
    """Compresses what a run has recorded, all arms one after the other, without what is this machine's."""
    files = sorted((state / "hfmemdebug").glob("*/*.jsonl"))
    if not files:
        return
    text = "".join(
        file.read_text(encoding="utf-8").rstrip("\n") + "\n" for file in files if file.stat().st_size
    )
    named = {
        str(state): "/state",
        str(datasets): "/data",
        str(Path(__file__).parent.parent.parent): "/repository",
        sys.prefix: "/venv",
        sys.base_prefix: "/python",
    }
    for path, name in named.items():
        text = text.replace(path, name)
    path = recording_path(label, trace=trace)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(text.encode(), preset=9))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--watched", action="store_true", help="whole programs, through `run`")
    parser.add_argument("--trace", action="store_true", help="ask `run` for the lines as well")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="names of programs, as a glob")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="programs at a time (default: 1)")
    parser.add_argument("--missing", action="store_true", help="only programs that have no recording yet")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
