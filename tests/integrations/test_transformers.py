"""`MemoryCallback` in real trainings on the CPU, and its import where transformers is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hfmemdebug.recording.file import load_recording

TRAININGS = Path(__file__).with_name("trainings.py")
FIGURES = {"memory_anonymous_mb", "memory_reclaimable_mb", "memory_rate_bytes_per_step"}
STEPS, EPOCHS = 15, 5


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of the trainings, and what they printed."""
    folder = tmp_path_factory.mktemp("trainings")
    # Threads that wait for each other take minutes where tests run side by side.
    environ = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "XDG_STATE_HOME": str(folder / "state"),
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run([sys.executable, TRAININGS, folder], capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    assert "MemoryCallback" not in done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.torch
def test_tensorboard_has_what_the_recording_has(trained: tuple[Path, dict[str, Any]]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, told = trained
    first = min((folder / "clean" / "board").iterdir(), key=lambda path: path.name)
    events = EventAccumulator(str(first))
    events.Reload()
    assert {f"train/{name}" for name in FIGURES} <= set(events.Tags()["scalars"])
    recorded = [sample.anon for sample in load_recording(folder / "clean.jsonl").slices]
    logged = events.Scalars("train/memory_anonymous_mb")
    assert [event.step for event in logged] == list(range(1, EPOCHS * STEPS + 1))
    assert [event.value for event in logged] == pytest.approx([anon / 2**20 for anon in recorded], abs=0.01)
    assert all(event.value > 0 for event in events.Scalars("train/memory_reclaimable_mb"))
    # The Trainer's own history, which it saves with its checkpoints, has the same.
    assert [line["memory_anonymous_mb"] for line in told["history"]] == pytest.approx(
        [e.value for e in logged]
    )
    state = json.loads((folder / "clean" / "checkpoint-20" / "trainer_state.json").read_text())
    assert set(state["log_history"][-1]) >= FIGURES


@pytest.mark.torch
def test_the_training_is_not_disturbed(trained: tuple[Path, dict[str, Any]]) -> None:
    told = trained[1]
    assert told["losses"] == told["losses without it"]
    for returned in told["returned"]:
        assert not [name for name in returned if name.startswith("memory")]


@pytest.mark.torch
def test_verdicts(trained: tuple[Path, dict[str, Any]]) -> None:
    told = trained[1]
    clean, leak, resumed = told["clean"], told["leak"], told["resumed"]
    # A reading each optimizer step, of three batches; evaluation is none.
    assert (clean["arms"][0]["iterations"], clean["arms"][0]["epochs"]) == (EPOCHS * STEPS, EPOCHS)
    assert clean["iteration"] == "step"
    # What checkpoints and evaluations warm up may leave it open after five epochs.
    assert clean["verdict"] != "leak"
    assert clean["arms"][0]["outcome"] == "completed"
    # It maps no dataset's file: what pages there are are those of libraries.
    assert "the dataset's" not in json.dumps([clean["summary"], clean["findings"]])
    assert leak["verdict"] == "leak"
    assert leak["rate_bytes_per_iteration"] == pytest.approx(8000, rel=0.2)
    # From step 20 on, which is in the second epoch.
    assert (resumed["arms"][0]["iterations"], resumed["arms"][0]["epochs"]) == (EPOCHS * STEPS - 20, 4)
    assert resumed["verdict"] != "leak"


def test_importing_it_costs_nothing_and_says_what_is_missing() -> None:
    code = """
import sys
import hfmemdebug.integrations.transformers as door
print(sorted({"transformers", "torch", "datasets", "pyarrow"} & set(sys.modules)))
sys.modules["transformers"] = None
try:
    door.MemoryCallback
except ImportError as error:
    print(error)
try:
    door.Another
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "[]",
        "MemoryCallback needs transformers, which is not installed here",
        "module 'hfmemdebug.integrations.transformers' has no attribute 'Another'",
    ]
