"""The guide's step for GitHub Actions, by its own lines: a commit that leaks fails it, and its fix passes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

PAGE = Path(__file__).parents[2] / "hfmemdebug/guide/ci.md"
LEAKS = """
seen = []


def on_batch(batch):
    seen.append(batch["text"][0] + "!")
"""
MENDED = """
longest = 0


def on_batch(batch):
    global longest
    longest = max(longest, len(batch["text"][0]))
"""


def step() -> str:
    """The lines under `run: |` of the step named "Memory gate"."""
    found = re.search(r"- name: Memory gate\n  run: \|\n((?:    .*\n)+)```", PAGE.read_text(encoding="utf-8"))
    assert found is not None
    return textwrap.dedent(found[1])


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def test_a_leaking_commit_fails_the_gate_and_its_fix_passes(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init")
    for text in (LEAKS, MENDED):
        (repository / "train.py").write_text(text)
        git(repository, "add", "train.py")
        git(repository, "commit", "-m", "a change")
    told = {}
    for name, commit in (("leaks", "main~1"), ("mended", "main")):
        job = tmp_path / name
        git(tmp_path, "clone", "-q", str(repository), str(job))
        git(job, "checkout", "-q", "-b", "job", commit.replace("main", "origin/main"))
        summary = tmp_path / f"{name}.md"
        environ = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": str(summary),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        # As the runner does.
        done = subprocess.run(
            ["bash", "-e", "-c", step()], cwd=job, env=environ, capture_output=True, text=True, check=False
        )
        told[name] = done.returncode, summary.read_text(encoding="utf-8"), done.stderr
    status, summary_text, said = told["leaks"]
    assert status == 1, said
    assert summary_text.startswith("### LEAK in your code: ")
    assert "train.py:6, in on_batch" in summary_text
    assert "list `seen`" in summary_text
    status, summary_text, said = told["mended"]
    assert status == 0, said
    assert summary_text.startswith(("### NO LEAK: ", "### INCONCLUSIVE: "))
