import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from hfmemdebug.data import local
from hfmemdebug.data.explain import explained
from hfmemdebug.data.load import load as load_named
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.errors import HfmemdebugError, UsageError

ROWS = 1000
TABLE = pa.table({"a": list(range(ROWS)), "s": [f"text {i}" for i in range(ROWS)]})
LINES = [json.dumps(row) for row in TABLE.slice(0, 50).to_pylist()]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", tmp_path / "cache" / "downloads")
    monkeypatch.setattr(datasets.config, "EXTRACTED_DATASETS_PATH", tmp_path / "cache" / "extracted")
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")


def stream(path: str, table: pa.Table = TABLE, **options: Any) -> None:
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, table.schema, **options) as writer:
        writer.write_table(table, max_chunksize=100)


def load(name: str, *, in_memory: bool = False, streaming: bool = False, **more: Any) -> Any:
    return load_named(
        DatasetSpec(name, **more), keep_in_memory=in_memory, streaming=streaming, say=lambda line: None
    )


def read_all(name: str, **more: Any) -> int:
    """Loads a dataset and reads its rows, as an arm does; a stream meets a broken line when it comes to it."""
    dataset, report = load(name, **more)
    with explained(DatasetSpec(name), files=[file.path for file in report.files]):
        return sum(len(next(iter(batch.values()))) for batch in dataset.iter(batch_size=100))


def error_of(name: str, **more: Any) -> str:
    with pytest.raises(HfmemdebugError) as caught:
        read_all(name, **more)
    line = caught.value.line()
    assert "\n" not in line
    assert caught.value.exit_status == 2
    return line


def write_all() -> None:
    stream("x.arrow")
    feather.write_feather(TABLE, "x.feather", compression="uncompressed")
    pq.write_table(TABLE, "x.parquet")
    Path("x.jsonl").write_text("\n".join(LINES))
    Path("x.json").write_text(json.dumps([json.loads(line) for line in LINES], indent=1))
    Path("x.csv").write_text("a,s\n" + "".join(f"{i},t\n" for i in range(50)))
    Path("x.tsv").write_text("a\ts\n" + "".join(f"{i}\tt\n" for i in range(50)))
    with gzip.open("z.jsonl.gz", "wt") as file:
        file.write("\n".join(LINES))
    datasets.Dataset(TABLE).save_to_disk("saved", num_shards=2)


@pytest.mark.parametrize(
    ("name", "source", "rows"),
    [
        ("x.arrow", "Arrow stream", ROWS),
        ("x.feather", "Arrow file", ROWS),
        ("x.parquet", "Parquet", ROWS),
        ("x.jsonl", "JSON", 50),
        ("x.json", "JSON", 50),
        ("x.csv", "CSV", 50),
        ("x.tsv", "CSV", 50),
        ("z.jsonl.gz", "JSON", 50),
        ("saved", "save_to_disk folder", ROWS),
    ],
)
def test_every_kind_in_every_mode(name: str, source: str, rows: int, capfd: Any) -> None:
    write_all()
    capfd.readouterr()
    mapped, report = load(name)
    assert (report.source, report.rows, report.storage) == (source, rows, "memory-mapped")
    assert len(mapped[0:rows]["a"]) == rows
    assert all(file.size_bytes > 0 for file in report.files)
    assert report.files

    in_memory, report = load(name, in_memory=True)
    assert (report.rows, report.storage) == (rows, "in memory")
    assert in_memory[rows - 1] == mapped[rows - 1]
    assert report.files

    streamed, report = load(name, streaming=True)
    # datasets 2.14 takes the columns of a JSON document in the order of a set.
    assert (report.rows, report.storage, {*report.columns}) == (None, "streaming", {"a", "s"})
    assert capfd.readouterr() == ("", "")
    assert sum(1 for _ in streamed) == rows


def test_a_built_cache_is_used_again_and_is_that_of_load_dataset() -> None:
    write_all()
    assert load("x.parquet")[1].from_cache is False
    assert load("x.parquet")[1].from_cache is True
    own = datasets.load_dataset("parquet", data_files="x.parquet", split="train")
    assert [file["filename"] for file in own.cache_files] == [
        file.path for file in load("x.parquet")[1].files
    ]
    assert load("x.arrow")[1].from_cache is None


def test_globs_folders_and_choices_among_files() -> None:
    Path("many/deep").mkdir(parents=True)
    for name in ("many/a.parquet", "many/deep/b.parquet"):
        pq.write_table(TABLE, name)
    assert load("many/**/*.parquet")[1].rows == 2 * ROWS
    assert load("many")[1].rows == 2 * ROWS
    assert load("many", data_files=("a*",))[1].rows == ROWS
    assert "no file in many matches q*" in error_of("many", data_files=("q*",))
    stream("1.arrow")
    stream("2.arrow")
    assert load("[12].arrow")[1].record_batches == 20


def test_files_without_a_known_ending_are_known_by_their_first_bytes() -> None:
    pq.write_table(TABLE, "data")
    stream("shard")
    assert load("data")[1].source == "Parquet"
    assert load("shard")[1].source == "Arrow stream"
    Path("notes.txt").write_text("hello")
    assert "notes.txt is no data file" in error_of("notes.txt")


def test_compressed_arrow_is_said_to_be_in_memory() -> None:
    stream("lz.arrow", options=pa.ipc.IpcWriteOptions(compression="lz4"))
    stream("x.arrow")
    report = load("lz.arrow")[1]
    assert report.storage == "in memory"
    assert "cannot be mapped" in report.notes[0]
    assert load("*.arrow")[1].storage == "mixed"


def test_splits_of_folders() -> None:
    dataset = datasets.Dataset(TABLE)
    datasets.DatasetDict({"train": dataset, "test": dataset.select(range(7))}).save_to_disk("dict")
    assert "Choose one with --split: train, test." in error_of("./dict")
    assert load("dict", split="test")[1].rows == 7
    assert "It has: train, test" in error_of("dict", split="dev")
    Path("files").mkdir()
    for split in ("validation", "test"):
        Path(f"files/{split}.jsonl").write_text("\n".join(LINES))
    assert "files has several splits" in error_of("files")
    assert load("files", split="test")[1].split == "test"


def test_slices_of_splits() -> None:
    write_all()
    for name in ("x.arrow", "saved", "x.parquet"):
        dataset, report = load(name, split="train[5:15]")
        assert (report.rows, dataset[0]["a"]) == (10, 5)
    assert load("x.arrow", split="train[:10%]")[1].rows == 100
    assert "not a split or a slice" in error_of("x.arrow", split="train[x]")
    assert "not a split or a slice" in error_of("x.parquet", split="train[x]")


def test_a_prepared_cache_folder_is_mapped_by_split(tmp_path: Path) -> None:
    stream("wmt-train-00000-of-00002.arrow")
    stream("wmt-train-00001-of-00002.arrow")
    stream("wmt-test.arrow", TABLE.slice(0, 5))
    stream("cache-0123.arrow", TABLE.select(["a"]))
    Path("dataset_info.json").write_text(json.dumps({"splits": {"train": {}, "test": {}}}))
    assert load(".")[1].rows == 2 * ROWS
    assert load(".", split="test")[1].rows == 5


def cut(name: str, size: int) -> None:
    Path("cut" + Path(name).suffix).write_bytes(Path(name).read_bytes()[:size])


@pytest.mark.parametrize("streaming", [False, True])
def test_broken_files_are_named_in_one_line(streaming: bool) -> None:
    write_all()
    for suffix in ("parquet", "arrow", "csv"):
        Path(f"empty.{suffix}").touch()
        assert f"empty.{suffix}" in error_of(f"empty.{suffix}", streaming=streaming)
    for name, size in (("x.parquet", 500), ("x.arrow", 9000), ("x.feather", 9000)):
        cut(name, size)
        broken = f"cut{Path(name).suffix}"
        assert error_of(broken, streaming=streaming).startswith(f"{broken} cannot be read: ")
    Path("bad.jsonl").write_text("\n".join([*LINES[:20], "{broken", *LINES[20:]]))
    assert "bad.jsonl, line 21 cannot be read" in error_of("bad.jsonl", streaming=streaming)
    with gzip.open("bad.jsonl.gz", "wt") as file:
        file.write("\n".join([*LINES[:7], "{broken"]))
    assert "bad.jsonl.gz, line 8 cannot be read" in error_of("bad.jsonl.gz", streaming=streaming)
    Path("bad.json").write_text('[{"a": 1},\n {"a": }]')
    assert "bad.json cannot be read" in error_of("bad.json", streaming=streaming)
    Path("numbers.jsonl").write_text("5\n6\n")
    assert "numbers.jsonl, line 1 cannot be read" in error_of("numbers.jsonl", streaming=streaming)
    Path("ragged.csv").write_text("a,b\n1,2\n3,4,5\n")
    assert "ragged.csv, line 3 cannot be read" in error_of("ragged.csv", streaming=streaming)
    Path("latin.csv").write_bytes(b"a,b\n1,\xe9\n")
    assert "latin.csv cannot be read" in error_of("latin.csv", streaming=streaming)


def test_of_many_files_the_broken_one_is_named() -> None:
    write_all()
    Path("many").mkdir()
    for name in ("a", "b", "c"):
        Path(f"many/{name}.jsonl").write_text("\n".join(LINES))
    Path("many/b.jsonl").write_text("\n".join([*LINES[:4], "{broken"]))
    for streaming in (False, True):
        assert "many/b.jsonl, line 5 cannot be read" in error_of("many", streaming=streaming)
        assert "many/b.jsonl, line 5 cannot be read" in error_of("many/*.jsonl", streaming=streaming)


def test_a_file_without_rows() -> None:
    none = TABLE.slice(0, 0)
    pq.write_table(none, "x.parquet")
    stream("x.arrow", none)
    datasets.Dataset(TABLE).select([]).save_to_disk("saved")
    assert "x.arrow has no rows" in error_of("x.arrow")
    assert "x.parquet" in error_of("x.parquet")
    assert "saved" in error_of("saved")


def test_files_that_differ() -> None:
    stream("1.arrow")
    stream("2.arrow", TABLE.select(["a"]))
    assert "2.arrow has other columns than 1.arrow" in error_of("*.arrow")
    Path("1.csv").write_text("a,b\n1,2\n")
    Path("2.csv").write_text("c,d\n1,2\n")
    assert "*.csv cannot be read" in error_of("*.csv")
    pq.write_table(pa.table({"a": [[1]]}), "1.parquet")
    pq.write_table(pa.table({"a": ["x"]}), "2.parquet")
    assert "2.parquet cannot be read" in error_of("*.parquet")
    assert "several kinds" in error_of("1.*")


def test_save_to_disk_folders_that_are_not_whole() -> None:
    for name in ("state", "shard", "info", "cut", "json"):
        datasets.Dataset(TABLE).save_to_disk(name, num_shards=2)
    Path("state/state.json").unlink()
    assert "state cannot be read" in error_of("state")
    Path("shard/data-00001-of-00002.arrow").unlink()
    assert "shard/data-00001-of-00002.arrow" in error_of("shard")
    Path("info/dataset_info.json").unlink()
    assert "info" in error_of("info")
    broken = Path("cut/data-00000-of-00002.arrow")
    broken.write_bytes(broken.read_bytes()[:3000])
    assert "cut/data-00000-of-00002.arrow cannot be read" in error_of("cut")
    Path("json/state.json").write_text("{")
    assert "json cannot be read: JSONDecodeError" in error_of("json")


def test_a_stream_without_its_end_mark_is_noted() -> None:
    stream("x.arrow")
    assert load("x.arrow")[1].notes == ()
    Path("y.arrow").write_bytes(Path("x.arrow").read_bytes()[:-8])
    assert "y.arrow has no end mark" in load("y.arrow")[1].notes[0]


def test_folders_with_nothing_to_load() -> None:
    Path("empty.parquet").mkdir(parents=True)
    assert "empty.parquet is a folder with nothing to load" in error_of("empty.parquet")
    assert "empty.parquet is a folder, not a file" in error_of("*.parquet")
    Path("texts").mkdir(parents=True)
    Path("texts/a.txt").write_text("hello")
    assert "nothing to load" in error_of("texts")
    os.mkfifo("pipe.csv")
    assert "no regular file" in error_of("pipe.csv")
    Path("script").mkdir(parents=True)
    Path("script/script.py").write_text("raise SystemExit")
    Path("script/x.csv").write_text("a\n1\n")
    assert "not run" in error_of("script")


def test_options_that_mean_nothing_are_refused() -> None:
    write_all()
    for more in ({"config": "cs-en"}, {"revision": "main"}, {"data_files": ("*",)}):
        with pytest.raises(UsageError):
            load("x.parquet", **more)


def test_configurations_of_a_folder() -> None:
    write_all()
    Path("two").mkdir()
    for name in ("x", "y"):
        Path(f"two/{name}.csv").write_text("a\n1\n")
    Path("two/README.md").write_text(
        "---\nconfigs:\n- config_name: one\n  data_files: x.csv\n"
        "- config_name: other\n  data_files: y.csv\n---\n"
    )
    assert "one" in error_of("two")
    assert "other" in error_of("two")
    assert load("two", config="other")[1].rows == 1
    assert "third" in error_of("two", config="third")


def test_a_large_build_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    write_all()
    monkeypatch.setattr(local, "ANNOUNCED_BYTES", 100)
    said: list[str] = []
    for _ in range(2):
        load_named(DatasetSpec("x.csv"), say=said.append)
    assert len(said) == 1
    assert "building the Arrow cache of x.csv" in said[0]


FORBIDDEN = """
import os, sys
from hfmemdebug.data.load import load
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.errors import HfmemdebugError
# What root may read and others may not, the interpreter's own files for one, is imported by then.
load(DatasetSpec(sys.argv[1]), say=print)
if os.geteuid() == 0:
    os.setuid(65534)
for name in sys.argv[2:]:
    try:
        load(DatasetSpec(name), say=print)
    except HfmemdebugError as error:
        print(error.exit_status, error.line())
"""


def test_permission_denied_is_status_5() -> None:
    # pytest's own folders are closed to the other user that root becomes here.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        good, file, closed = (Path(folder, name) for name in ("good.csv", "x.csv", "closed"))
        good.write_text("a\n1\n")
        file.write_text("a\n1\n")
        closed.mkdir()
        (closed / "y.csv").write_text("a\n1\n")
        file.chmod(0)
        closed.chmod(0)
        array = Path(folder, "x.npy")
        array.write_bytes(b"")
        array.chmod(0)
        names = [str(good), str(file), str(closed), str(closed / "y.csv"), str(array)]
        done = subprocess.run(
            [sys.executable, "-c", FORBIDDEN, *names],
            capture_output=True,
            text=True,
            env={**os.environ, "HF_HOME": str(Path(folder, "cache"))},
            cwd=folder,
        )
        closed.chmod(0o755)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("5 ") and "permission denied" in line for line in lines)


def test_no_request_is_made_for_local_data(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    write_all()
    asked: list[object] = []

    def refuse(*arguments: object, **named: object) -> None:
        # `datasets` swallows an error where it counts downloads, so the call itself is what is judged.
        asked.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for name in ("x.parquet", "x.csv", "saved", "x.arrow", "z.jsonl.gz"):
        load(name)
        load(name, streaming=True)
    assert asked == []
