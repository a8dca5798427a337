"""Loads datasets for the tests in a process of its own: the clients read HF_ENDPOINT when imported.

One JSON document a line on standard input, one on standard output for each. What the load itself writes
to the two streams is caught at the descriptors and returned as `noise`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from dataclasses import asdict
from typing import Any


def run(order: dict[str, Any]) -> dict[str, Any]:
    from hfmemdebug.data.explain import explained
    from hfmemdebug.data.load import load
    from hfmemdebug.data.spec import DatasetSpec
    from hfmemdebug.decode import decode
    from hfmemdebug.errors import HfmemdebugError

    said: list[str] = []
    answer: dict[str, Any] = {"said": said}
    spec = decode(DatasetSpec, order["spec"])
    streaming = order.get("streaming", False)
    try:
        if order.get("force_redownload"):
            import datasets

            datasets.load_dataset(spec.dataset, download_mode="force_redownload")
        dataset, report = load(
            spec, keep_in_memory=order.get("in_mem", False), streaming=streaming, say=said.append
        )
        with explained(spec, repo=report.name):
            if streaming:
                rows = iter(dataset)
                answer["first"] = next(rows)
                rows.close()
            else:
                answer["first"] = dataset[0]
                answer["rows"] = len(dataset)
        answer["report"] = asdict(report)
    except HfmemdebugError as error:
        answer |= {"error": error.to_dict(), "status": error.exit_status, "line": error.line()}
    except Exception:
        answer["traceback"] = traceback.format_exc()
    return answer


def _shorten_waits() -> None:
    """The clients retry as ever, with hardly a pause between."""
    import datasets.config

    sleep = time.sleep
    time.sleep = lambda seconds: sleep(min(seconds, 0.01))
    datasets.config.STREAMING_READ_RETRY_INTERVAL = 0


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    _shorten_waits()
    for line in sys.stdin:
        order = json.loads(line)
        before = dict(os.environ)
        os.environ.update(order.get("env", {}))
        with tempfile.TemporaryFile("w+") as noise:
            saved = [(fd, os.dup(fd)) for fd in (1, 2)]
            for fd, _ in saved:
                os.dup2(noise.fileno(), fd)
            answer = run(order)
            sys.stdout.flush()
            sys.stderr.flush()
            for fd, copy in saved:
                os.dup2(copy, fd)
                os.close(copy)
            noise.seek(0)
            answer["noise"] = noise.read()
        os.environ.clear()
        os.environ.update(before)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
