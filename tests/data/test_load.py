import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets.arrow_writer import ArrowWriter

from hfmemdebug.data.explain import explained
from hfmemdebug.data.load import load
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.errors import HfmemdebugError, InputError, UsageError


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")


class WentToTheHub(HfmemdebugError):
    pass


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_from_hub(spec: DatasetSpec, reading: object) -> None:
        raise WentToTheHub(spec.dataset)

    hub = types.ModuleType("hfmemdebug.data.hub")
    hub.load_from_hub = load_from_hub  # type: ignore[attr-defined]
    hub.__spec__ = ModuleSpec("hfmemdebug.data.hub", None)
    monkeypatch.setitem(sys.modules, "hfmemdebug.data.hub", hub)


def go(name: str, *, streaming: bool = False, **more: Any) -> Any:
    return load(DatasetSpec(name, **more), streaming=streaming, say=lambda line: None)


def table(path: str) -> None:
    pq.write_table(pa.table({"a": [1, 2, 3]}), path)


@pytest.mark.parametrize("name", ["wmt19", "user/name", "user/data-v1.5"])
def test_names_go_to_the_hub(name: str) -> None:
    with pytest.raises(WentToTheHub):
        go(name)


@pytest.mark.parametrize(
    "name",
    [
        "x.parquet",
        "./x",
        "../x",
        "/nope/x",
        "~/nope-x",
        "x*",
        "a/b/c",
        "x.jsonl.gz",
        "x.parqet",
        "s3://b/x.csv",
    ],
)
def test_what_looks_like_a_path_never_goes_to_the_hub(name: str) -> None:
    with pytest.raises(InputError):
        go(name)


def test_near_matches_are_offered() -> None:
    table("train-00000.parquet")
    with pytest.raises(InputError, match=r"train-0000\.parquet does not exist") as caught:
        go("train-0000.parquet")
    assert caught.value.next == "Did you mean train-00000.parquet?"


def test_a_folder_shadows_the_hub_and_says_so() -> None:
    Path("wmt19").mkdir()
    with pytest.raises(InputError, match=r"the folder \./wmt19 was taken, not the Hub's wmt19"):
        go("wmt19")
    table("wmt19/x.parquet")
    said: list[str] = []
    load(DatasetSpec("wmt19"), say=said.append)
    assert said == ["the folder ./wmt19 was taken, not the Hub's wmt19"]
    said.clear()
    load(DatasetSpec("./wmt19"), say=said.append)
    assert said == []


def test_formats() -> None:
    table("x.parquet")
    assert type(go("x.parquet", format="arrow")[0][0:2]) is pa.Table
    assert go("x.parquet", format="numpy")[0][0:2]["a"].tolist() == [1, 2]
    with pytest.raises(UsageError, match="there is no format 'nope'") as caught:
        go("x.parquet", format="nope")
    assert "arrow" in caught.value.line()


def test_a_format_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"cupy": ValueError("CuPy needs to be installed")}
    monkeypatch.setattr(datasets.formatting, "_FORMAT_TYPES_ALIASES_UNAVAILABLE", absent)
    with pytest.raises(InputError, match="--format cupy cannot be used: CuPy needs to be installed"):
        go("x.parquet", format="cupy")


MEDIA = datasets.Features(
    {"i": datasets.Image(), "n": {"x": datasets.Sequence(datasets.Image()), "y": [{"z": datasets.Audio()}]}}
)
ROW = {
    "i": {"bytes": b"i", "path": None},
    "n": {"x": [{"bytes": b"x", "path": None}], "y": [{"z": {"bytes": b"z", "path": None}}]},
}


def write_media() -> None:
    writer = ArrowWriter(path="media.arrow", features=MEDIA)
    writer.write_table(pa.Table.from_pylist([ROW] * 5, schema=MEDIA.arrow_schema))
    writer.finalize()


def test_no_decode_leaves_bytes_at_every_depth_and_copies_nothing() -> None:
    write_media()
    dataset, report = go("media.arrow", decode=False)
    assert report.storage == "memory-mapped"
    assert dataset[0] == ROW
    assert [file["filename"] for file in dataset.cache_files] == [report.files[0].path]
    assert sorted(path.name for path in Path().iterdir()) == ["media.arrow"]


def test_a_decoder_that_is_not_installed_is_told_by_the_first_row(monkeypatch: pytest.MonkeyPatch) -> None:
    write_media()
    monkeypatch.setattr(datasets.config, "PIL_AVAILABLE", False)
    spec = DatasetSpec("media.arrow")
    dataset, _ = load(spec, say=lambda line: None)
    with pytest.raises(InputError) as caught, explained(spec):
        dataset[0]
    assert "media.arrow cannot be read: ImportError" in caught.value.line()
    assert "--no-decode" in caught.value.line()
    # Arrow tables are not decoded, so that nothing is missing.
    assert len(go("media.arrow", format="arrow")[0][:]) == 5
