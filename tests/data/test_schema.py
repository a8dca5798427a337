from __future__ import annotations

import datetime
import json
import shlex
from pathlib import Path
from typing import Any

import datasets
import pytest

from hfmemdebug.cli.app import run
from hfmemdebug.data.rows import LONGEST_LINE, row_of_schema, synth_line
from hfmemdebug.errors import UsageError

SECRET = "Marie's salary is 4711 francs"


def mixed() -> datasets.Dataset:
    rows = 300
    day = datetime.datetime(1903, 12, 10)
    columns: dict[str, list[Any]] = {
        "text": [SECRET * (1 + n % 7) for n in range(rows)],
        "ids": [[4711] * 20] * rows,
        "score": [47.11] * rows,
        "nested": [{"a": SECRET, "b": [{"c": 4711}] * 3}] * rows,
        "raw": [SECRET.encode()] * rows,
        "when": [day] * rows,
        "there": [True] * rows,
        "nothing": [None] * rows,
    }
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "ids": datasets.Sequence(datasets.Value("int32")),
            "score": datasets.Value("float32"),
            "nested": {"a": datasets.Value("string"), "b": [{"c": datasets.Value("uint16")}]},
            "raw": datasets.Value("binary"),
            "when": datasets.Value("timestamp[us]"),
            "there": datasets.Value("bool"),
            "nothing": datasets.Value("null"),
        }
    )
    return datasets.Dataset.from_dict(columns, features=features)


def rebuilt(line: str, folder: Path) -> datasets.Dataset:
    assert run(shlex.split(line)[1:]) == 0
    return datasets.load_from_disk(str(folder))


def test_the_line_rebuilds_features_and_sizes_without_a_value(tmp_path: Path) -> None:
    dataset = mixed()
    line = synth_line(dataset, len(dataset), 1000.0, str(tmp_path / "like"))
    assert line is not None
    for value in ("4711", "47.11", "Marie", "francs", "1903", "7EE"):
        assert value not in line
    again = rebuilt(line, tmp_path / "like")
    assert again.data.schema.types == dataset.data.schema.types
    assert again.column_names == dataset.column_names
    assert len(again) == 300
    assert again.data.nbytes == pytest.approx(dataset.data.nbytes, rel=0.15)
    assert SECRET not in str(again[0])
    lengths = [len(text) for text in again["text"]]
    assert max(lengths) > 1.5 * min(lengths), "lengths that vary do so in the likeness"


def test_rows_of_one_length_do_not_vary_and_long_datasets_are_bounded(tmp_path: Path) -> None:
    dataset = datasets.Dataset.from_dict({"text": ["x" * 1537] * 30})
    line = synth_line(dataset, 10**9, 2000.0)
    assert line is not None
    assert "--vary" not in line
    assert '"string:1500"' in line, "a length in two digits tells nobody which row it is"
    assert f"--rows {min(10**6, (2 << 30) // 2000)} " in line


def test_images_are_images_again(tmp_path: Path) -> None:
    from PIL import Image

    features = datasets.Features({"picture": datasets.Image()})
    pictures = [Image.effect_noise((40, 40), 90).convert("RGB") for _ in range(4)]
    dataset = datasets.Dataset.from_dict({"picture": pictures}, features=features)
    line = synth_line(dataset, 4, 5000.0, str(tmp_path / "like"))
    assert line is not None
    assert '"image:' in line
    again = rebuilt(line, tmp_path / "like")
    assert again.features == dataset.features
    assert abs(again[0]["picture"].size[0] - 40) <= 8


def test_a_table_too_wide_for_a_line_has_none() -> None:
    dataset = datasets.Dataset.from_dict({f"column_{n}": [n] for n in range(200)})
    assert synth_line(dataset, 1, 8.0) is None
    assert LONGEST_LINE < 2000, "Markdown cuts commands there"


@pytest.mark.parametrize("declared", ["text", "string:many", {}, ["int64"], ["int64", -1], 5, None, "int64:"])
def test_wrong_types_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], declared: Any) -> None:
    def types() -> None:
        row = row_of_schema({"a": declared})
        assert row.types is not None
        row.types()

    with pytest.raises(UsageError, match="column 'a' is no type"):
        types()
    assert run(["synth", str(tmp_path / "x"), "--rows", "3", "--schema", json.dumps({"a": declared})]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_schema_and_a_row_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["synth", str(tmp_path / "x"), "--schema", '{"a": "int64"}', "--row", '{"a": 1}']) == 2
    assert "exclude each other" in capsys.readouterr().err
    assert run(["synth", str(tmp_path / "x"), "--schema", "[1]"]) == 2
    assert "--schema must be a JSON object" in capsys.readouterr().err
