"""Running one program of the corpus through the real command, and comparing the answer with its label."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from corpus.labels import BENIGN_CAUSES, Label

ROWS = 20_000
# What `hfmemdebug synth` is asked for; it reuses a folder that is what was asked for.
SYNTH = {
    "fixed": ("--preset", "text"),
    "varying": ("--preset", "text", "--vary", "0.3", "--seed", "1"),
    "numeric": ("--preset", "numeric"),
}
# A diagnosis has a budget of its own; one that does not keep to it is an error, not a wait without end.
TIMEOUT_SECONDS = 600
STATUS = {"no-leak": 0, "leak": 1, "inconclusive": 3}
# Size classes and containers that grow by doubling: a rate within these is the same rate.
RATE_RANGE = (0.6, 1.67)


@dataclass(frozen=True)
class Outcome:
    """One program's answer beside its truth.

    Attributes:
        label: The truth.
        verdict: The verdict, or ``error`` where there was none.
        cause: The result's cause.
        seconds: Wall time of the command.
        kind: ``right``, ``wrong`` (decided against the truth, or an error) or ``open`` (inconclusive where
            a decision is wanted).
        mismatches: What else is not as the label says, by field: cause, origin, process, site, holder, rate,
            finding.
        result: The result document, or None.
        trouble: Why there is none.
    """

    label: Label
    verdict: str
    cause: str | None
    seconds: float
    kind: str
    mismatches: dict[str, str] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    trouble: str | None = None


def build_datasets(folder: Path) -> None:
    """Builds the three datasets in a folder, or takes them as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, options in SYNTH.items():
        command = [sys.executable, "-m", "hfmemdebug", "synth", str(folder / name), "--rows", str(ROWS)]
        subprocess.run([*command, *options, "--quiet"], check=True, stdout=subprocess.DEVNULL)


def run_program(label: Label, datasets: Path, state: Path, *, trace: bool = False) -> Outcome:
    """Runs ``hfmemdebug diagnose`` with a program as its consumer, or ``hfmemdebug run`` with a whole one.

    Args:
        label: The program.
        datasets: Where `build_datasets` put its folders.
        state: A folder for recordings, so that a person's own are left alone.
        trace: Whether `run` is asked for the lines.
    """
    arguments = _arguments(label, datasets, trace=trace)
    command = [*_alone_in_dev_shm(), sys.executable, "-m", "hfmemdebug", *arguments]
    environment = {
        # Coverage's own data would grow in the arms, and tracing would take a minute.
        **{name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")},
        "XDG_STATE_HOME": str(state),
        "XDG_CACHE_HOME": str(state / "cache"),
    }
    began = time.perf_counter()
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Outcome(label, "error", None, TIMEOUT_SECONDS, "wrong", trouble="no answer in time")
    seconds = time.perf_counter() - began
    try:
        result = json.loads(done.stdout)
        verdict = result["verdict"]
    except (ValueError, KeyError):
        said = (done.stdout.strip() + "\n" + done.stderr.strip()).strip()[-1000:]
        trouble = f"exit status {done.returncode}: {said}"
        return Outcome(label, "error", None, seconds, "wrong", trouble=trouble)
    if done.returncode != (STATUS[verdict] if label.status is None else label.status):
        trouble = f"the verdict is {verdict}, the exit status {done.returncode}"
        return Outcome(label, "error", result["cause"], seconds, "wrong", result=result, trouble=trouble)
    if verdict in label.verdicts:
        kind = "right"
    else:
        kind = "open" if verdict == "inconclusive" else "wrong"
    # Lines and holders of a whole program are looked for where it is asked for them.
    wanted = label if trace or not label.watched else replace(label, sites=None, holder=None)
    mismatches = compare(wanted, result) if verdict == label.truth else {}
    return Outcome(label, verdict, result["cause"], seconds, kind, mismatches, result)


@functools.cache
def _alone_in_dev_shm() -> tuple[str, ...]:
    """What gives a command a /dev/shm of its own, where that is permitted.

    All that run at the same time see one another's files there, and what they cannot tell apart is inconclusive.
    """
    prefix = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh")
    try:
        permitted = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        permitted = False
    return prefix if permitted else ()


def _arguments(label: Label, datasets: Path, *, trace: bool) -> list[str]:
    data = f"{label.path}:rows" if label.data == "own" else str(datasets / label.data)
    if not label.watched:
        consumer = ["--consumer", label.target] if label.target is not None else []
        return ["diagnose", data, *consumer, *label.options, "--json"]
    words = {"python": sys.executable, "program": label.path, "data": data}
    command = [part.format(**words) for part in label.command]
    return ["run", "--json", *(["--trace"] if trace else []), *label.options, *command]


def compare(label: Label, result: dict[str, Any]) -> dict[str, str]:
    """What of a right verdict's result is not as the label says, by field."""
    mismatches = {}
    if label.truth != "leak":
        # A watched program's copies are bounded by what was forked; a consumer's by what it maps.
        if result["cause"] not in (None, *BENIGN_CAUSES, *(["copy-on-write"] if label.watched else [])):
            mismatches["cause"] = f"{result['cause']} is no cause of a no-leak"
        benign = {finding["cause"] for finding in result["findings"] if finding["role"] == "benign"}
        if label.findings and not benign & set(label.findings):
            wanted = " or ".join(label.findings)
            mismatches["finding"] = f"none is {wanted}: {', '.join(sorted(benign)) or 'no finding'}"
        return mismatches
    if result["cause"] not in label.causes:
        mismatches["cause"] = f"{result['cause']}, not {' or '.join(label.causes)}"
    if result["origin"] != label.origin:
        mismatches["origin"] = f"{result['origin']}, not {label.origin}"
    if label.process is not None and label.process not in result["summary"]:
        mismatches["process"] = f"the summary does not name {label.process}"
    rate = result["rate_bytes_per_iteration"]
    if label.rate is not None and not (
        rate is not None and RATE_RANGE[0] * label.rate <= rate <= RATE_RANGE[1] * label.rate
    ):
        mismatches["rate"] = f"{rate}, not {label.rate:.0f} bytes a slice"
    sites = [f"{Path(site['file']).name}:{site['line']}" for site in result["sites"]]
    if label.sites is not None and (not sites or sites[0] not in label.sites):
        mismatches["site"] = f"{', '.join(sites[:3]) or 'none'}, not {' or '.join(label.sites)}"
    holders = [holder["path"] for holder in result["holders"]]
    if label.holder is not None and not any(label.holder in path for path in holders):
        mismatches["holder"] = f"{'; '.join(holders[:2]) or 'none'}, not {label.holder}"
    return mismatches
