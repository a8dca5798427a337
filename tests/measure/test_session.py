from __future__ import annotations

from pathlib import Path

from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.data.synthesize import synthesize
from hfmemdebug.measure.profile import profile
from hfmemdebug.measure.settings import Settings
from hfmemdebug.recording.file import load_recording


def test_what_arms_have_sent_is_what_their_files_hold(tmp_path: Path) -> None:
    dataset = synthesize(tmp_path / "ds", rows=2000).path
    settings = Settings(DatasetSpec(str(dataset)), step=100, epochs=2, iterations=5)
    measured = profile(settings, tmp_path / "run", lambda arm, event: None)
    (recording,) = measured.recordings
    assert len(recording.slices) == 10
    assert recording.end.outcome == "completed"
    assert recording.path is not None
    assert load_recording(recording.path) == recording
