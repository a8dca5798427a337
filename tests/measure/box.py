"""A folder with a small dataset, the user's code and homes of its own, where the command is run as people do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hfmemdebug.data.synthesize import synthesize
from hfmemdebug.recording.file import Recording, load_recording

COMMAND = (sys.executable, "-m", "hfmemdebug")


class Box:
    """One folder.

    Args:
        folder: An empty folder.
        rows: Rows of the dataset ``ds``, of about 100 bytes.
    """

    def __init__(self, folder: Path, rows: int = 2000) -> None:
        self.folder = folder
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HF_", "MALLOC_", "ARROW_"))},
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "HF_HOME": str(folder / "hf"),
            "COLUMNS": "120",
        }
        synthesize(folder / "ds", rows=rows, row={"text": "x" * 80, "n": 1})

    def code(self, text: str, name: str = "code.py") -> str:
        """Writes the user's code and returns the option's value for its function ``f``."""
        (self.folder / name).write_text(text)
        return f"{name}:f"

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs the command to its end."""
        return subprocess.run(
            [*COMMAND, *arguments],
            **{
                "cwd": self.folder,
                "env": self.env,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                "timeout": 120,
                **options,
            },
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts the command in a process group of its own."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def result(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Runs the command with ``--json`` and returns its status and its document."""
        done = self.run(*arguments, "--json")
        return done.returncode, json.loads(done.stdout)

    def recordings(self) -> list[Recording]:
        """The recordings of the newest run, by name."""
        newest = sorted((self.folder / "state" / "hfmemdebug").iterdir())[-1]
        return [load_recording(path) for path in sorted(newest.glob("*.jsonl"))]
