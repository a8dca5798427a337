import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from datasets import Dataset, load_from_disk

from hfmemdebug import synthesize
from hfmemdebug.data.rows import PRESETS, preset_row
from hfmemdebug.data.synth_stream import build_array
from hfmemdebug.errors import AccessError, DiskError, InputError, UsageError

# Writes a dataset; tells when it is in the middle of it, and goes on when it is told to.
PAUSING = """
import sys
from hfmemdebug import synthesize
told = []
def pause(done, total):
    if not told:
        told.append(1)
        print("writing", flush=True)
        sys.stdin.readline()
made = synthesize(sys.argv[1], rows=20_000, on_progress=pause)
print("reused" if made.reused else "written", flush=True)
"""


def by_hand(folder, row, rows, **kwargs):
    Dataset.from_dict({name: [value] * rows for name, value in row.items()}).save_to_disk(folder, **kwargs)
    return folder


def streams(folder):
    """Each Arrow file's schema and the rows of its batches."""
    found = {}
    for path in sorted(Path(folder).glob("*.arrow")):
        with pa.memory_map(str(path)) as source:
            stream = pa.ipc.open_stream(source)
            found[path.name] = (stream.schema.remove_metadata(), [batch.num_rows for batch in stream])
    return found


def hidden(folder):
    return [path for path in Path(folder).iterdir() if path.name.startswith(".")]


@pytest.fixture
def pausing(tmp_path):
    """A process that stands still in the middle of writing `tmp_path / "ds"`."""
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSING, str(tmp_path / "ds")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "writing\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("rows", [1, 1000, 2501])
def test_default_equals_the_article_s_way(tmp_path, rows):
    row = {"foo": [{"a": "a" * 500, "b": "b" * 1000}]}
    made = synthesize(tmp_path / "ours", rows=rows)
    theirs = load_from_disk(by_hand(tmp_path / "theirs", row, rows))
    ours = load_from_disk(tmp_path / "ours")
    assert ours.features == theirs.features
    assert ours[:] == theirs[:]
    assert streams(tmp_path / "ours") == streams(tmp_path / "theirs")
    assert (made.rows, made.shards, made.reused, made.path) == (rows, 1, False, tmp_path / "ours")
    assert (
        made.bytes_written == made.size_bytes == (tmp_path / "ours/data-00000-of-00001.arrow").stat().st_size
    )


@pytest.mark.parametrize(
    "row",
    [
        {"text": "é", "label": 1, "score": 0.5, "valid": True, "none": None},
        {"z": 1, "a": {"z": 1, "a": "x", "m": None}},
        {"a": [], "b": [[]], "c": [{}], "d": {}},
        {"a": [[1], [2, 3], []], "b": [None, 1], "c": [1, 2.5]},
        {"a": [[{"z": 1, "b": ["x"]}]], "b": {"c": {"d": [{"e": 1.5}]}}},
        {"a": [{"b": 1, "a": "x"}, {"c": 2.5}]},
        {
            "input_ids": [1, 2],
            "attention_mask": [[1, 0]],
            "token_type_ids": [[[3]]],
            "special_tokens_mask": 1,
        },
        {"input_ids": [2**40], "attention_mask": [300], "token_type_ids": "x", "special_tokens_mask": None},
        {"_type": "x", "dtype": {"_type": "y", "feature": 1}, "a": [{"_type": "z", "length": 2}]},
        {"when": "2020-01-01", "blob": b"\0\xff", "a b": "", "emoji 🤗": "🤗"},
    ],
)
def test_any_row_equals_what_the_library_writes(tmp_path, row):
    synthesize(tmp_path / "ours", rows=3, row=row)
    theirs = load_from_disk(by_hand(tmp_path / "theirs", row, 3))
    ours = load_from_disk(tmp_path / "ours")
    assert ours.features == theirs.features
    assert ours.column_names == theirs.column_names
    assert ours[:] == theirs[:]
    assert streams(tmp_path / "ours") == streams(tmp_path / "theirs")
    alone = Dataset.from_file(str(tmp_path / "ours/data-00000-of-00001.arrow"))
    assert alone.features == theirs.features


def test_description_has_the_fields_that_the_library_writes(tmp_path):
    synthesize(tmp_path / "ours", rows=2, row={"a": 1})
    by_hand(tmp_path / "theirs", {"a": 1}, 2)
    for name in ("state.json", "dataset_info.json"):
        ours, theirs = (json.loads((tmp_path / side / name).read_text()) for side in ("ours", "theirs"))
        assert {key: value for key, value in ours.items() if key != "_fingerprint"} == {
            key: value for key, value in theirs.items() if key != "_fingerprint"
        }


def test_shards_are_split_as_the_library_splits_them(tmp_path):
    made = synthesize(tmp_path / "ours", rows=5003, row={"a": "x"}, shards=4)
    by_hand(tmp_path / "theirs", {"a": "x"}, 5003, num_shards=4)
    assert streams(tmp_path / "ours") == streams(tmp_path / "theirs")
    assert made.shards == 4
    assert len(load_from_disk(tmp_path / "ours")) == 5003


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("vary", [0.0, 0.4])
def test_presets_load_and_decode_to_their_row(tmp_path, name, vary):
    made = synthesize(tmp_path / "ds", rows=1200, preset=name, vary=vary)
    loaded = load_from_disk(tmp_path / "ds")
    assert len(loaded) == made.rows == 1200
    rows = loaded.with_format("arrow")[:].to_pylist()
    if vary:
        assert len({str(row) for row in rows}) > 20
    else:
        assert rows == [preset_row(name).values] * 1200


def test_media_are_features_and_tokens_are_narrow(tmp_path):
    for name in ("image", "audio", "tokens"):
        synthesize(tmp_path / name, rows=2, preset=name)
    assert load_from_disk(tmp_path / "image").features["image"] == datasets.Image()
    assert load_from_disk(tmp_path / "audio").features["audio"] == datasets.Audio(sampling_rate=16_000)
    assert (
        Dataset.from_file(str(tmp_path / "image/data-00000-of-00001.arrow")).features["image"]
        == datasets.Image()
    )
    tokens = load_from_disk(tmp_path / "tokens").features
    assert tokens["input_ids"] == datasets.Sequence(datasets.Value("int32"))
    assert tokens["attention_mask"] == datasets.Sequence(datasets.Value("int8"))


def test_varying_rows_follow_from_the_seed(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        synthesize(tmp_path / name, rows=30_000, row={"text": "x" * 100}, vary=0.3, seed=seed)
    a, b, c = (load_from_disk(tmp_path / name) for name in "abc")
    assert a[:] == b[:]
    assert a[:] != c[:]
    assert a._fingerprint == b._fingerprint != c._fingerprint


def test_varying_slices_are_not_alike(tmp_path):
    synthesize(tmp_path / "ds", rows=100_000, row={"text": "x" * 100}, vary=0.3, seed=1)
    lengths = [len(text) for text in load_from_disk(tmp_path / "ds")["text"]]
    slices = [sum(lengths[at : at + 2000]) for at in range(0, 100_000, 2000)]
    assert len(set(slices)) > 45


def test_varied_batches_of_large_rows_are_many_too(tmp_path):
    synthesize(tmp_path / "ds", rows=300, row={"text": "x" * 100_000}, vary=0.3, seed=1)
    lengths = [len(row["text"]) for row in load_from_disk(tmp_path / "ds")]
    assert len(set(lengths)) > 150


def test_batches_of_large_rows_stay_small(tmp_path):
    synthesize(tmp_path / "ds", rows=70, row={"text": "x" * (1 << 20)})
    ((_, batches),) = streams(tmp_path / "ds").values()
    assert sum(batches) == 70
    assert max(batches) <= 32


def test_memory_does_not_depend_on_the_number_of_rows(tmp_path):
    program = (
        "import resource, sys; from hfmemdebug import synthesize\n"
        "synthesize(sys.argv[1], rows=int(sys.argv[2]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = [
        int(subprocess.check_output([sys.executable, "-c", program, str(tmp_path / str(rows)), str(rows)]))
        for rows in (1_000, 100_000)
    ]
    unit = 1 if sys.platform == "darwin" else 1024
    assert (peaks[1] - peaks[0]) * unit < 16 << 20


def test_progress_counts_to_the_whole(tmp_path):
    seen = []
    made = synthesize(
        tmp_path / "ds", rows=25_000, vary=0.3, shards=2, on_progress=lambda *counts: seen.append(counts)
    )
    done, totals = zip(*seen, strict=True)
    assert list(done) == sorted(done)
    assert set(totals) == {made.size_bytes}
    assert done[-1] == made.size_bytes


def test_the_same_again_is_reused(tmp_path):
    first = synthesize(tmp_path / "ds", rows=50, vary=0.2, seed=3)
    before = (tmp_path / "ds/data-00000-of-00001.arrow").stat()
    again = synthesize(tmp_path / "ds", rows=50, vary=0.2, seed=3)
    after = (tmp_path / "ds/data-00000-of-00001.arrow").stat()
    assert again.reused
    assert again.bytes_written == 0
    assert again.size_bytes == first.size_bytes
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_the_row_counts_not_how_it_was_named(tmp_path):
    synthesize(tmp_path / "ds", rows=5, preset="nested", seed=4)
    assert synthesize(tmp_path / "ds", rows=5, row={"foo": [{"a": "a" * 500, "b": "b" * 1000}]}).reused


@pytest.mark.parametrize(
    "change", [{"rows": 11}, {"row": {"a": 2}}, {"shards": 2}, {"row": {"a": "x"}, "vary": 0.3}]
)
def test_another_dataset_is_refused(tmp_path, change):
    asked = {"rows": 10, "row": {"a": 1}}
    synthesize(tmp_path / "ds", **asked)
    with pytest.raises(InputError, match="is not what was asked for") as caught:
        synthesize(tmp_path / "ds", **{**asked, **change})
    assert "--force" in caught.value.line()
    assert len(load_from_disk(tmp_path / "ds")) == 10


def cut(folder):
    path = folder / "data-00000-of-00001.arrow"
    os.truncate(path, path.stat().st_size - 8)


def zero_the_end(folder):
    path = folder / "data-00000-of-00001.arrow"
    with path.open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(bytes(8))


@pytest.mark.parametrize(
    "damage",
    [
        zero_the_end,
        cut,
        lambda folder: (folder / "data-00000-of-00001.arrow").unlink(),
        lambda folder: (folder / "state.json").unlink(),
        lambda folder: (folder / "dataset_info.json").unlink(),
        lambda folder: (folder / "state.json").write_text("{"),
        lambda folder: by_hand(folder, {"a": 7}, 10),
    ],
)
def test_a_folder_that_is_not_whole_is_not_reused(tmp_path, damage):
    synthesize(tmp_path / "ds", rows=10, row={"a": 1})
    damage(tmp_path / "ds")
    with pytest.raises(InputError, match="or is not complete"):
        synthesize(tmp_path / "ds", rows=10, row={"a": 1})


def test_a_folder_made_by_hand_is_refused_and_replaced_by_force(tmp_path):
    by_hand(tmp_path / "ds", {"a": 2}, 10)
    with pytest.raises(InputError, match="is not what was asked for"):
        synthesize(tmp_path / "ds", rows=10, row={"a": 1})
    made = synthesize(tmp_path / "ds", rows=10, row={"a": 1}, force=True)
    assert not made.reused
    assert load_from_disk(tmp_path / "ds")[:] == {"a": [1] * 10}
    assert [path.name for path in tmp_path.iterdir()] == ["ds"]


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize("entry", ["train.py", "src", "link.arrow"])
def test_force_deletes_nothing_but_a_dataset(tmp_path, entry, saved):
    folder = tmp_path / "home"
    if saved:
        by_hand(folder, {"a": 2}, 10)
    else:
        folder.mkdir()
    path = folder / entry
    if entry == "src":
        path.mkdir()
    elif entry == "link.arrow":
        path.symlink_to(tmp_path)
    else:
        path.write_text("precious")
    before = sorted(folder.iterdir())
    with pytest.raises(InputError, match="even with --force"):
        synthesize(folder, rows=10, force=True)
    assert sorted(folder.iterdir()) == before


def test_force_does_not_pull_the_ground_from_under_the_shell(tmp_path, monkeypatch):
    by_hand(tmp_path / "ds", {"a": 2}, 10)
    monkeypatch.chdir(tmp_path / "ds")
    with pytest.raises(InputError, match="current folder"):
        synthesize(".", rows=10, force=True)


def test_an_empty_folder_and_a_link_to_one_are_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    synthesize(tmp_path / "link", rows=3)
    assert (tmp_path / "link").is_symlink()
    assert len(load_from_disk(tmp_path / "empty")) == 3


def test_a_file_and_a_missing_parent_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        synthesize(tmp_path / "file", rows=3, force=True)
    with pytest.raises(InputError, match="no folder to put"):
        synthesize(tmp_path / "missing/ds", rows=3)
    with pytest.raises(InputError, match="no folder to put"):
        synthesize(tmp_path / "file/ds", rows=3)
    with pytest.raises(InputError, match="cannot be written: File name too long"):
        synthesize(tmp_path / ("x" * 300), rows=3)


def test_a_folder_that_may_not_be_written_is_one_line(tmp_path, monkeypatch):
    # The tests may run as root, who may write everywhere.
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(AccessError, match="permission denied"):
        synthesize(tmp_path / "ds", rows=3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": 0},
        {"rows": -5},
        {"shards": 0},
        {"rows": 3, "shards": 4},
        {"vary": -0.1},
        {"vary": float("nan")},
        {"vary": 50.0},
        {"preset": "video"},
        {"preset": "text", "row": {"a": 1}},
        {"row": {}},
        {"row": {"n": 1}, "vary": 0.3, "rows": 3},
    ],
)
def test_wrong_arguments_are_refused(tmp_path, wrong):
    with pytest.raises(UsageError):
        synthesize(tmp_path / "ds", **wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [[1, "a"], 2**63, 2**80, "\ud800", object(), {1: 2}, [{"a": 1}, 3]])
def test_what_arrow_cannot_hold_is_one_line(tmp_path, value):
    with pytest.raises(InputError, match="column 'a'") as caught:
        synthesize(tmp_path / "ds", rows=3, row={"a": value})
    assert "\n" not in caught.value.line()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("rows", "vary"), [(10**15, 0.0), (10**30, 0.3)])
def test_space_is_compared_before_a_byte_is_written(tmp_path, rows, vary):
    with pytest.raises(DiskError, match=r"needs .*B and only .*B are free"):
        synthesize(tmp_path / "ds", rows=rows, vary=vary)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(tmp_path):
    by_hand(tmp_path / "ds", {"a": 2}, 10)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(DiskError, match="nothing was left behind"):
            synthesize(tmp_path / "ds", rows=20_000, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["ds"]
    assert load_from_disk(tmp_path / "ds")[0] == {"a": 2}


def test_ctrl_c_leaves_what_was_there_and_nothing_else(tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "new", rows=10, on_progress=interrupt)
    assert not list(tmp_path.iterdir())
    by_hand(tmp_path / "ds", {"a": 2}, 10)
    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "ds", rows=10, force=True, on_progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["ds"]
    assert load_from_disk(tmp_path / "ds")[0] == {"a": 2}


def test_a_killed_run_leaves_no_folder_and_the_next_one_sweeps(tmp_path, pausing):
    pausing.send_signal(signal.SIGKILL)
    pausing.wait()
    assert not (tmp_path / "ds").exists()
    assert len(hidden(tmp_path)) == 1
    with pytest.raises(InputError):
        synthesize(tmp_path / "other/ds", rows=5)
    assert len(hidden(tmp_path)) == 1
    assert not synthesize(tmp_path / "ds", rows=5).reused
    assert not hidden(tmp_path)


def test_a_run_that_lives_is_not_swept_and_the_second_one_to_finish_takes_the_first_s(tmp_path, pausing):
    assert not synthesize(tmp_path / "ds", rows=20_000).reused
    assert len(hidden(tmp_path)) == 1
    assert pausing.communicate("go on\n") == ("reused\n", None)
    assert not hidden(tmp_path)
    assert len(load_from_disk(tmp_path / "ds")) == 20_000


def test_a_folder_that_appears_meanwhile_is_not_overwritten(tmp_path, pausing):
    by_hand(tmp_path / "ds", {"a": 2}, 10)
    assert pausing.communicate("go on\n") == ("", None)
    assert pausing.returncode != 0
    assert load_from_disk(tmp_path / "ds")[0] == {"a": 2}
    assert not hidden(tmp_path)


@pytest.mark.parametrize(
    ("values", "type"),
    [
        ([["x", None, "é"], None, []], pa.list_(pa.string())),
        ([{"bytes": b"\0", "path": None}, None], pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ([1, None, -(2**63)], pa.int64()),
        ([None] * 9, pa.string()),
        ([], pa.list_(pa.int64())),
    ],
)
def test_arrays_built_of_buffers_equal_pyarrow_s(values, type):
    built = build_array(values, type)
    built.validate(full=True)
    assert built.equals(pa.array(values, type=type))
