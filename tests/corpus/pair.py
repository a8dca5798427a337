"""One measured pair: a consumer against its control in fresh processes, judged as `hfmemdebug diagnose` judges it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

from hfmemdebug.analysis.verdict import judge
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.measure.budget import Budget
from hfmemdebug.measure.diagnose import BUDGET_SECONDS
from hfmemdebug.measure.session import ArmKind, Round
from hfmemdebug.measure.settings import Settings
from hfmemdebug.result import Result

# Small, so that a pair costs little more than its processes: at most 100 slices of 20 rows.
ROWS = 2_000
SYNTH = {
    "fixed": ("--preset", "text"),
    "varying": ("--preset", "text", "--vary", "0.3", "--seed", "1"),
    "numeric": ("--preset", "numeric"),
}

T = TypeVar("T")


def build_datasets(folder: Path) -> None:
    """Builds the datasets in a folder, or takes them as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, options in SYNTH.items():
        command = [sys.executable, "-m", "hfmemdebug", "synth", str(folder / name), "--rows", str(ROWS)]
        subprocess.run([*command, *options, "--quiet"], check=True, stdout=subprocess.DEVNULL)


def measure_pair(
    dataset: Path,
    consumer: str,
    recordings: Path,
    *,
    mode: str = "mmap",
    format: str | None = None,
    step: int | None = None,
    iterations: int | None = None,
    epochs: int | None = None,
) -> tuple[Result, float]:
    """Measures a pair and judges it.

    Args:
        dataset: One of those that `build_datasets` made.
        consumer: ``FILE.py:FUNC``.
        recordings: A folder for the recordings.
        mode: The arms' mode: ``"mmap"``, ``"in-memory"`` or ``"streaming"``.
        format: As `Dataset.with_format`.
        step: Rows in a slice.
        iterations: Slices in an epoch.
        epochs: Epochs at least; more follow where the answer is open.

    Returns:
        The result and the seconds that it took.

    Raises:
        RuntimeError: An arm did not come to its end.
    """
    settings = Settings(
        spec=DatasetSpec(dataset=str(dataset), format=format),
        step=step,
        iterations=iterations,
        epochs=epochs,
        consumer=consumer,
        streaming=mode == "streaming",
    )
    arms = [ArmKind("control", mode, False), ArmKind("consumer", mode, True)]
    clock = Budget(None, default=BUDGET_SECONDS, asked=epochs is not None)
    began = time.perf_counter()
    measuring = Round(settings, "diagnose", arms, recordings, lambda arm, event: None, clock=clock)
    measured = measuring.run()
    seconds = time.perf_counter() - began
    if measuring.failures():
        raise RuntimeError(measuring.failures()[0])
    return judge(measured), seconds


def slices_read(result: Result) -> int:
    """Slices that the consumer's arm has read."""
    return next(arm.iterations for arm in result.arms if arm.consumer)


def as_they_end(measure: Callable[[T, int], Any], tasks: Iterator[T], jobs: int) -> Iterator[Any]:
    """Carries out tasks, so many at a time, each with its number. Ctrl-C finishes those that are running.

    Raises:
        KeyboardInterrupt: After those have ended.
    """
    running: set[Future[Any]] = set()
    interrupted = False
    with ThreadPoolExecutor(jobs) as pool:
        for number, task in enumerate(tasks):
            running.add(pool.submit(measure, task, number))
            if len(running) < jobs:
                continue
            try:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                interrupted = True
                print("ending with those that are running", file=sys.stderr)
                break
            yield from (future.result() for future in ended)
        yield from (future.result() for future in running)
    if interrupted:
        raise KeyboardInterrupt


def read_lines(path: Path | None) -> list[dict[str, Any]]:
    """What an earlier call has kept; a line that was cut short is left out."""
    if path is None or not path.exists():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            kept.append(json.loads(line))
        except ValueError:
            continue
    return kept


def keep_line(path: Path, document: dict[str, Any]) -> None:
    """Adds a line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(document, ensure_ascii=False) + "\n")


def missing(wanted: Sequence[str], times: int, done: Sequence[str]) -> Iterator[str]:
    """What is to be done yet, in turn: an early end leaves all equally far."""
    for number in range(times):
        yield from (name for name in wanted if done.count(name) <= number)
