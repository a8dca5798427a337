"""Data that break while they are read: they are named and the program is not blamed; what was measured is kept."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub.repos import Fault, make_repo
from hub.server import LoopbackHub
from measure.box import Box

SECRET = "Marie's salary"
ROWS = 20_000


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def profile(box: Box, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Profiles a dataset slice by slice: exit status, document and standard error."""
    done = box.run("profile", *arguments, "--step", "1000", "--iterations", "all", "--epochs", "1", "--json")
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stdout
    return done.returncode, json.loads(done.stdout), done.stderr


def arm_of(document: dict[str, Any]) -> dict[str, Any]:
    """The arm, whose measured part was kept, of a run that the data have ended."""
    (arm,) = document["arms"]
    assert (document["verdict"], arm["outcome"]) == ("inconclusive", "failed")
    assert arm["iterations"] >= 2
    assert "the data could not be read to their end" in document["summary"]
    return arm


def json_lines(rows: int = ROWS, size: int = 2000) -> list[str]:
    return [json.dumps({"n": n, "text": SECRET.ljust(size, "x")}) for n in range(rows)]


def test_a_late_line_of_a_json_lines_stream(box: Box) -> None:
    lines = json_lines()
    lines[-10] = '{"n": 4711, "text": ' + SECRET
    (box.folder / "late.jsonl").write_text("\n".join(lines))
    status, document, err = profile(box, "late.jsonl", "--streaming")
    assert status == 2
    assert f"late.jsonl, line {ROWS - 9} cannot be read" in arm_of(document)["outcome_detail"]
    assert "JSON parse error" in err, "the library's own words stand on the screen"


def test_a_late_line_of_a_csv_stream(box: Box) -> None:
    lines = ["n,text", *(f"{n},{SECRET}" for n in range(ROWS))]
    lines[-10] += ",4711"
    (box.folder / "late.csv").write_text("\n".join(lines))
    status, document, _ = profile(box, "late.csv", "--streaming")
    assert status == 2
    assert f"late.csv, line {ROWS - 8} cannot be read: ParserError" in arm_of(document)["outcome_detail"]


def test_a_damaged_page_of_a_parquet_stream(box: Box) -> None:
    whole = io.BytesIO()
    pq.write_table(pa.table({"text": [f"{n} {SECRET}" for n in range(ROWS)]}), whole, row_group_size=1000)
    content = bytearray(whole.getvalue())
    late = pq.ParquetFile(whole).metadata.row_group(15).column(0)
    start = late.dictionary_page_offset or late.data_page_offset
    content[start : start + late.total_compressed_size] = bytes(late.total_compressed_size)
    (box.folder / "late.parquet").write_bytes(content)
    status, document, _ = profile(box, "late.parquet", "--streaming")
    assert status == 2
    assert "late.parquet cannot be read: " in arm_of(document)["outcome_detail"]


def test_a_truncated_parquet_file_is_told_before_anything_is_measured(box: Box) -> None:
    whole = io.BytesIO()
    pq.write_table(pa.table({"n": list(range(ROWS))}), whole)
    (box.folder / "cut.parquet").write_bytes(whole.getvalue()[:-500])
    for mode in ("--streaming", "--in-mem"):
        status, document, _ = profile(box, "cut.parquet", mode)
        assert (status, document["schema"], document["kind"]) == (2, "hfmemdebug.error.v1", "input")
        assert "cut.parquet cannot be read: ArrowInvalid" in document["message"]


def test_a_late_image_of_a_mapped_dataset(box: Box) -> None:
    pictures: list[dict[str, Any]] = [{"bytes": _png(), "path": None}] * 5000
    pictures[4500] = {"bytes": b"no picture", "path": None}
    features = datasets.Features({"image": datasets.Image()})
    datasets.Dataset.from_dict({"image": pictures}, features=features).save_to_disk(box.folder / "pictures")
    status, document, _ = profile(box, "./pictures")
    assert status == 2
    assert (
        "from row 4,000: pictures/data-00000-of-00001.arrow cannot be read: UnidentifiedImageError"
        in arm_of(document)["outcome_detail"]
    )


def _png() -> bytes:
    from hfmemdebug.data.rows import png

    return png(4)


def client_of(hub: LoopbackHub, folder: Path) -> dict[str, str]:
    """The environment of a client that retries as ever, with hardly a pause between."""
    shorter = "import time\nsleep = time.sleep\ntime.sleep = lambda seconds: sleep(min(seconds, 0.02))\n"
    (folder / "quick").mkdir()
    (folder / "quick" / "sitecustomize.py").write_text(shorter)
    return {**hub.environment(folder / "hf"), "PYTHONPATH": str(folder / "quick")}


def test_a_stream_of_the_hub_that_is_cut(box: Box) -> None:
    with LoopbackHub() as hub:
        content = "\n".join(json_lines(20_000)).encode()
        repo = hub.repos["some/lines"] = make_repo({"train.jsonl": content, "README.md": "# Lines\n"})
        repo.files["train.jsonl"].fault = Fault("cut", beyond=len(content) * 3 // 4)
        box.env |= client_of(hub, box.folder)
        status, document, _ = profile(box, "some/lines", "--streaming")
    assert status == 5
    assert f"the connection to {hub.endpoint} failed for 'some/lines'" in arm_of(document)["outcome_detail"]


def test_a_stream_of_the_hub_that_is_cut_at_once_has_measured_nothing(box: Box) -> None:
    with LoopbackHub() as hub:
        repo = hub.repos["some/lines"] = make_repo(
            {"train.jsonl": "\n".join(json_lines(1000)), "README.md": ""}
        )
        repo.files["train.jsonl"].fault = Fault("cut")
        box.env |= client_of(hub, box.folder)
        status, document, _ = profile(box, "some/lines", "--streaming")
    assert (status, document["kind"]) == (5, "network")
