"""Processes that load from the loopback Hub with the real clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hub.server import LoopbackHub

WORKER = Path(__file__).with_name("worker.py")
# Names of the machine's own set-up that must not reach the clients under test.
FOREIGN = ("HF_", "HUGGING_FACE_", "XDG_CACHE_HOME", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


def client_environment(hub: LoopbackHub, home: Path, **more: str) -> dict[str, str]:
    """The whole environment of a client process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {
        **kept,
        **hub.environment(home),
        "HF_HUB_ETAG_TIMEOUT": "2",
        "HF_HUB_DOWNLOAD_TIMEOUT": "1",
        "DATASETS_VERBOSITY": "warning",
        **more,
    }


class HubWorker:
    """A process that has imported the clients and loads one dataset after the other."""

    def __init__(self, environment: dict[str, str], folder: Path, stderr: int | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=environment,
            cwd=folder,
        )

    def load(
        self,
        dataset: str,
        config: str | None = None,
        *,
        in_mem: bool = False,
        streaming: bool = False,
        force_redownload: bool = False,
        env: dict[str, str] | None = None,
        **spec: Any,
    ) -> dict[str, Any]:
        """Loads a dataset, after `load_dataset` by force where that is asked for, and gives what the worker answers."""
        order = {
            "spec": {"dataset": dataset, "config": config, **spec},
            "in_mem": in_mem,
            "streaming": streaming,
            "force_redownload": force_redownload,
            "env": env or {},
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> tuple[int, str]:
        """Ends the process and gives its exit status and, where it was piped, its standard error."""
        _, noise = self._process.communicate()
        return self._process.returncode, noise or ""
