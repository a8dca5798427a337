from __future__ import annotations

from pathlib import Path

import pytest
from origin.tracing import run_traced

KEPT = {
    "seldom": (
        "kept=[]\nn=0\ndef consume():\n    global n\n    n+=1\n"
        "    if n % 20 == 0: kept.append(bytearray(300))  # here\n",
        "module program: list `kept`",
        "item",
        0.05,
    ),
    "patched": (
        "step=len\ndef consume():\n    global step\n    inner=step\n    def patched(v): return inner(v)  # here\n"
        "    step=patched\n",
        "module program: function `step`",
        "function",
        1,
    ),
    "ring": (
        "places=[None]*9000\nn=0\ndef consume():\n    global n\n    places[n]=bytearray(300)  # here\n    n+=1\n",
        "module program: list `places`, bounded to 9,000",
        "item",
        1,
    ),
    "ring of objects": (
        "class Some:\n    def __init__(self, text): self.text = text\nplaces=[None]*9000\nn=0\n"
        "def consume():\n    global n\n    places[n]=Some(bytearray(300))  # here\n    n+=1\n",
        "module program: list `places`, bounded to 9,000",
        "item",
        1,
    ),
    "made anew": (
        "kept=[]\ndef consume():\n    global kept\n    kept=[*kept, bytearray(300)]  # here\n",
        "module program: list `kept`",
        "item",
        1,
    ),
    "cut": (
        "kept=[]\ndef consume():\n    global kept\n    kept.append(bytearray(300))  # here\n    kept=kept[-9000:]\n",
        "module program: list `kept`, bounded to 9,000 (program.py:5)",
        "item",
        1,
    ),
    "tee": (
        "import itertools\nblocks=(bytearray(1000) for _ in itertools.count())  # here\n"
        "first,second=itertools.tee(blocks)\ndef consume(): next(first)\n",
        "module program: bytearray `second`",
        "bytearray",
        1,
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_who_keeps_what_a_line_has_made(tmp_path: Path, name: str) -> None:
    source, path, unit, growth = KEPT[name]
    (line,) = (i for i, text in enumerate(source.splitlines(), 1) if "# here" in text)
    places = f"[(program.__file__, {line})]"
    (holder,) = run_traced(tmp_path, source, f"find_referrers(walk, 80, {places})", unseen=100)
    assert holder["path"] == path
    assert holder["unit"] == unit
    assert holder["growth_per_iteration"] == pytest.approx(growth, rel=0.3)


@pytest.mark.parametrize(
    ("anew", "bound"),
    [
        ("[*kept.get(key, []), bytearray(300)][-9000:]", ", bounded to 9,000 (program.py:7)"),
        ("[*kept.get(key, []), bytearray(300)]", ""),
        ("[*kept.get(key, []), bytearray(300)][-60:]", ""),
    ],
)
def test_entries_that_are_made_anew(anew: str, bound: str, tmp_path: Path) -> None:
    # There are ninety of each: more than the last of the bounds.
    source = (
        "kept={}\nn=0\ndef consume():\n    global n\n    key=n % 2\n    n+=1\n    kept[key]=" + anew + "\n"
    )
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (holder,) = run_traced(
            folder, source, "find_referrers(walk, 80, [(program.__file__, 7)])", unseen=100
        )
        # A new list may lie where an older one was, and then it is seen to have grown.
        assert (
            "`kept[a key]" in holder["path"] and holder["path"].partition("`")[2].partition("`")[2] == bound
        )


def test_what_an_extension_keeps_has_no_holder_in_python(tmp_path: Path) -> None:
    source = (
        "import ctypes\ndef consume():\n    lost=bytes(bytearray(1000))\n"
        "    ctypes.pythonapi.Py_IncRef(ctypes.py_object(lost))\n"
    )
    assert run_traced(tmp_path, source, "find_referrers(walk, 40, [(program.__file__, 3)])", unseen=10) == []


def test_a_container_that_fills_with_what_another_line_makes_is_none(tmp_path: Path) -> None:
    source = "seen=[]\ndef consume():\n    seen.append(object())\n    return bytearray(1000)\n"
    assert run_traced(tmp_path, source, "find_referrers(walk, 40, [(program.__file__, 4)])", unseen=10) == []
