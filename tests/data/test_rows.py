import io
import random
import statistics
import struct
import wave
import zlib

import pytest

from hfmemdebug.data.rows import PRESETS, parse_row, png, preset_row, row_of, wav
from hfmemdebug.errors import UsageError


def test_default_row_is_the_article_s():
    assert preset_row("nested").values == {"foo": [{"a": "a" * 500, "b": "b" * 1000}]}


def test_every_preset_has_columns_and_a_key_of_its_own():
    rows = [preset_row(name) for name in PRESETS]
    assert all(row.values for row in rows)
    assert len({row.key for row in rows}) == len(PRESETS)


def test_unknown_preset_lists_the_known():
    with pytest.raises(UsageError) as caught:
        preset_row("video")
    assert "'video'" in caught.value.line()
    assert all(name in caught.value.line() for name in PRESETS)


def test_row_is_read_from_json():
    assert parse_row('{"text": "hi", "n": [1, null]}') == {"text": "hi", "n": [1, None]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1', "not valid JSON"),
        ("{'a': 1}", "not valid JSON"),
        ("", "not valid JSON"),
        ("[1]", "must be a JSON object"),
        ('"a"', "must be a JSON object"),
        ("null", "must be a JSON object"),
        ("true", "must be a JSON object"),
        ("3", "must be a JSON object"),
        ("{}", "at least one column"),
        ('{"": 1}', "not empty"),
        ("[" * 100_000, "--row"),
        ('{"a": ' + "1" * 5000 + "}", "not valid JSON"),
    ],
)
def test_bad_row_is_one_line(text, said):
    with pytest.raises(UsageError) as caught:
        parse_row(text)
    assert said in caught.value.line()
    assert "\n" not in caught.value.line()


def test_key_depends_on_values_and_on_the_order_of_columns():
    keys = {row_of(row).key for row in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": "2"}, {"a": 1})}
    assert len(keys) == 4
    assert row_of({"a": "x"}).key == row_of({"a": "x"}).key


def test_png_is_whole():
    data = png(32)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size) == (zlib.crc32(name + body),)
        chunks[name] = body
        at += 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (32, 32, 8, 2, 0, 0, 0)
    assert len(zlib.decompress(chunks[b"IDAT"])) == 32 * (1 + 3 * 32)


@pytest.mark.parametrize("samples", [1, 1600, 40_000])
def test_wav_is_whole(samples):
    data = wav(samples)
    with wave.open(io.BytesIO(data)) as file:
        assert file.getparams()[:4] == (1, 2, 16_000, samples)
        assert len(set(file.readframes(samples))) > 1 or samples == 1
    assert len(data) == 44 + 2 * samples


def test_lengths_vary_by_the_coefficient_asked_for_around_the_row_s_own():
    row = row_of({"text": "x" * 1000})
    rng = random.Random(1)
    lengths = [len(row.varied(0.3, rng)["text"]) for _ in range(5000)]
    mean = statistics.fmean(lengths)
    assert mean == pytest.approx(1000, rel=0.02)
    assert statistics.pstdev(lengths) / mean == pytest.approx(0.3, rel=0.05)
    # Log-normal: the middle is below the mean.
    assert statistics.median(lengths) < mean


def test_columns_of_one_row_keep_equal_lengths():
    row = preset_row("tokens")
    rng = random.Random(1)
    drawn = [row.varied(0.5, rng) for _ in range(50)]
    assert all(len(values["input_ids"]) == len(values["attention_mask"]) for values in drawn)
    assert len({len(values["input_ids"]) for values in drawn}) > 40


def test_nothing_varies_to_nothing_and_what_has_no_length_stays():
    row = row_of({"a": "é", "b": [{"c": b"xy", "d": 1}], "e": [], "f": "", "g": None})
    rng = random.Random(2)
    for _ in range(200):
        values = row.varied(2.0, rng)
        assert values["a"]
        assert set(values["a"]) == {"é"}
        assert values["b"]
        assert all(item["c"] and item["d"] == 1 for item in values["b"])
        assert (values["e"], values["f"], values["g"]) == ([], "", None)


def test_varied_images_and_sounds_are_whole():
    rng = random.Random(3)
    images = {preset_row("image").varied(0.5, rng)["image"]["bytes"] for _ in range(20)}
    assert len(images) > 5
    assert all(image.endswith(b"IEND\xaeB`\x82") for image in images)
    sounds = [preset_row("audio").varied(0.5, rng)["audio"]["bytes"] for _ in range(20)]
    assert len({len(sound) for sound in sounds}) > 15
    for sound in sounds:
        with wave.open(io.BytesIO(sound)) as file:
            assert 44 + 2 * file.getnframes() == len(sound)
