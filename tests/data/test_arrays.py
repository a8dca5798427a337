"""Arrays as datasets: `.npy` files and raw numbers, opened rightly or refused in a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hfmemdebug.data.load import load
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.decode import decode, encode
from hfmemdebug.errors import HfmemdebugError, InputError, UsageError

ROWS = np.arange(4 * 3 * 2, dtype=np.float64).reshape(4, 3, 2)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", ROWS)
    ROWS.tofile("x.memmap")


def go(name: str, *, keep_in_memory: bool = False, streaming: bool = False, **more: Any) -> Any:
    spec = decode(DatasetSpec, encode(DatasetSpec(name, **more)))
    return load(spec, keep_in_memory=keep_in_memory, streaming=streaming, say=lambda line: None)


RAW = {"dtype": "float64", "shape": (4, 3, 2)}


@pytest.mark.parametrize("keep_in_memory", [False, True])
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("x.npy", {}),
        ("./x.npy", {}),
        ("x.memmap", RAW),
        ("x.memmap", {"dtype": "f8", "shape": (-1, 3, 2)}),
    ],
)
def test_a_slice_is_rows_of_the_first_axis(name: str, more: dict[str, Any], keep_in_memory: bool) -> None:
    rows, report = go(name, keep_in_memory=keep_in_memory, **more)
    assert np.array_equal(rows[1:3], ROWS[1:3])
    assert type(rows[1:3]) is np.ndarray
    assert report.storage == ("in memory" if keep_in_memory else "memory-mapped")
    assert (report.rows, report.data_bytes) == (4, ROWS.nbytes)
    assert "float64 (4, 3, 2)" in report.source
    assert report.files[0].path == str(Path(name).absolute())


def test_a_mapped_slice_is_a_view_and_cannot_be_written_to() -> None:
    rows, _ = go("x.npy")
    part = rows[0:2]
    assert not part.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        part += 1


def test_some_rows_are_taken_into_memory() -> None:
    rows, _ = go("x.npy")
    taken = rows.take([slice(0, 1), slice(2, 4)])
    assert np.array_equal(taken[0:3], ROWS[[0, 2, 3]])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((5, 0)),
        np.array(["2026-11-23"] * 3, dtype="datetime64[D]"),
        np.zeros(7, dtype=[("a", "i4"), ("b", "f8")]),
        np.array([True, False]),
        np.asfortranarray(np.ones((6, 5))),
        np.ones(3, dtype=">f4"),
        np.array(["a", "bc"]),
    ],
)
def test_arrays_of_every_sort_are_read(array: Any) -> None:
    np.save("sort.npy", array)
    rows, report = go("sort.npy")
    assert np.array_equal(rows[0 : len(array)], array)
    assert bool(report.notes) == (not array.flags.c_contiguous)


def test_a_npy_under_another_name_is_known_by_its_first_bytes() -> None:
    Path("x.npy").rename("features.bin")
    assert go("features.bin")[1].source == ".npy array float64 (4, 3, 2)"


def refused(name: str, error: type[HfmemdebugError], **more: Any) -> str:
    with pytest.raises(error) as caught:
        go(name, **more)
    line = caught.value.line()
    assert "\n" not in line
    return line


def test_a_npy_is_not_read_as_raw_numbers() -> None:
    line = refused("x.npy", UsageError, **RAW)
    assert "its header says float64 of shape (4, 3, 2)" in line
    assert line.endswith("Leave --dtype and --shape out.")


@pytest.mark.parametrize(
    ("dtype", "shape", "says"),
    [
        ("float64", (5, 3, 2), "It would fit --shape 4,3,2."),
        ("float64", (2, 3, 2), "It would fit --shape 4,3,2."),
        ("float32", (4, 3, 2), "or --dtype float64 with that shape, or --dtype int64 with that shape."),
        ("float32", (4, 3, 2), "which is 96 bytes. It would fit --shape 8,3,2"),
        ("float64", (4, 5), "It would fit --shape 24 (rows of 5 numbers do not come out even)."),
        ("float64", (-1, 16), "--dtype float32 --shape 3,16"),
        ("float64", (-1, 7), "does not hold float64 of shape -1,7. It would fit --shape 24 (rows of 7"),
    ],
)
def test_a_size_that_does_not_fit_names_the_shapes_that_would(
    dtype: str, shape: tuple[int, ...], says: str
) -> None:
    line = refused("x.memmap", InputError, dtype=dtype, shape=shape)
    assert line.startswith("x.memmap has 192 bytes and does not hold ")
    assert says in line


def test_a_file_that_nothing_fits() -> None:
    Path("odd.bin").write_bytes(b"x" * 7)
    assert "No shape fits" in refused("odd.bin", InputError, dtype="float32", shape=(-1, 2))
    Path("none.bin").write_bytes(b"")
    assert "No shape fits" in refused("none.bin", InputError, dtype="float32", shape=(5,))
    assert "has no rows" in refused("none.bin", InputError, dtype="float32", shape=(-1, 2))


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        ("x.memmap", {}, "x.memmap holds raw numbers: nothing in it says of which type and shape"),
        ("x.memmap", {"shape": (4, 3, 2)}, "Give both"),
        ("x.memmap", {"dtype": "float64"}, "As float64 it holds 24 numbers in all"),
        (
            "x.memmap",
            {**RAW, "dtype": "flot32"},
            "--dtype flot32: numpy knows no such type. For example float32",
        ),
        ("x.memmap", {**RAW, "dtype": "object"}, "--dtype object: not a type of numbers"),
        ("x.memmap", {**RAW, "shape": (0, 3)}, "--shape 0,3: not a shape"),
        ("x.memmap", {**RAW, "shape": (4, -1)}, "--shape 4,-1: not a shape"),
        ("x.npy", {"split": "train"}, "--split means nothing for an array"),
        ("x.npy", {"format": "torch"}, "--format means nothing for an array"),
        ("x.npy", {"config": "en"}, "a configuration means nothing for an array"),
        ("x.npy", {"streaming": True}, "--streaming means nothing for an array"),
        ("*.npy", {}, "an array is one file, not a glob"),
    ],
)
def test_a_wrong_command_line_is_one_line(name: str, more: dict[str, Any], says: str) -> None:
    assert says in refused(name, UsageError, **more)


def test_what_is_no_array() -> None:
    assert refused("y.npy", InputError) == "y.npy does not exist. Did you mean x.npy?"
    assert "does not exist" in refused("x.memap", InputError, **RAW)
    Path("text.npy").write_text("hello")
    assert "does not begin as a .npy file does" in refused("text.npy", InputError)
    np.save("objects.npy", np.array([{}, []], dtype=object))
    assert "objects.npy cannot be read: " in refused("objects.npy", InputError)
    np.save("number.npy", np.float64(3))
    assert "has no rows: its shape is ()" in refused("number.npy", InputError)
    whole = Path("x.npy").read_bytes()
    Path("cut.npy").write_bytes(whole[:-8])
    assert "cut.npy cannot be read: " in refused("cut.npy", InputError)
    Path("cut.npy").write_bytes(whole[:20])
    assert "cut.npy cannot be read: " in refused("cut.npy", InputError)
    Path("folder.npy").mkdir()
    assert "no regular file" in refused("folder.npy", InputError)
