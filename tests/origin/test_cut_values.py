"""Texts and arrays that a function cuts, and those that it does not, by its code alone."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hfmemdebug.origin.cut_values import values_to_cut

Ask = Callable[[str, str], list[tuple[str, int, int]]]
PROGRAM = """import io
MOST = 40_000_000
class Log:
    def __init__(self, most): self.text, self.most = '', most
    def add(self, more): self.text = (self.text + more)[-self.most:]
class Kept:
    def __init__(self, most): self.words, self.most = ''[:most], most
    def add(self, more): self.words = self.words + more
    def trim(self): self.words = self.words[-self.most:]
def last(text): return text[-MOST:]
def last_or_all(text):
    if text.startswith('y'): return text[-MOST:]
    return text
def main():
    {made}
    for step in range(9):
        text = str(step)
        {more}
"""


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Ask]:
    file = tmp_path / "program_with_texts.py"

    def ask(made: str, more: str) -> list[tuple[str, int, int]]:
        file.write_text(PROGRAM.format(made=made, more=more))
        # Numbers are those of the loaded module.
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None and spec.loader is not None
        module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        line = module.main.__code__.co_firstlineno
        return list(values_to_cut(str(file), {("main", line)}, math.inf))

    yield ask
    sys.modules.pop(file.stem, None)


@pytest.mark.parametrize(
    ("made", "more", "words", "most_of_one"),
    [
        ("log = ''", "log = (log + text)[-90_000_000:]", "`log` in main", 4),
        ("log = b''", "log += text.encode(); log = log[max(0, len(log) - MOST):]", "`log` in main", 4),
        ("log = last = ''", "log += text\n        if len(log) > MOST: log = ''", "`log` in main", 4),
        ("log = bytearray()", "log += text.encode(); del log[:-MOST]", "`log` in main", 1024),
        ("log = io.StringIO()", "log.write(text)\n        if log.tell() >= MOST: log.seek(0), log.truncate()",
         "`log` in main", 4),
        ("log = None", "log = text if log is None else (log + text)[-MOST:]", "`log` in main", 1024),
        ("log = Log(MOST)", "log.add(text)", "`text` of a Log", 4),
        ("log = ''", "log = last(log + text)", "`log` in main", 4),
    ],
)  # fmt: skip
def test_what_is_cut_is_told_with_its_length(
    told: Ask, made: str, more: str, words: str, most_of_one: int
) -> None:
    ((path, length, each),) = told(made, more)
    assert path.startswith(f"{words}, bounded to {length:,} (program_with_texts.py:")
    assert (length, each) == (90_000_000 if "90" in more else 40_000_000, most_of_one)


@pytest.mark.parametrize(
    ("made", "more"),
    [
        ("log = ''", "log = last_or_all(log + text)"),
        ("log = last = ''", "log += text"),
        ("log = last = ''", "log += text; last = log[-MOST:]"),
        ("log = ''", "log = (log + text)[-int('90_000_000'):]"),
        ("log = ''", "log += text\n        if len(log) > MOST: print('long')"),
        ("log, full = '', False", "log = log + text\n        if len(log) > MOST: full = True; continue"),
        # Another one, which goes at each step; only now and then; before it all, or where it is not always.
        ("log = ''", "text = text[:MOST]; log += text"),
        ("log = ''", "log = log + text\n        if step == 99: log = log[-MOST:]"),
        ("log = 'x' * 3\n    log = log[:MOST]", "log = log + text"),
        ("log = ''", "log = (log + text)[-MOST:] if step > 99 else log + text"),
        # By another one's length, behind its end, and where nobody calls it.
        ("log = head = ''", "log += text; log = log[max(0, len(head) - MOST):]"),
        ("log = io.StringIO()", "log.write(text)\n        if log.tell() > MOST: log.truncate()"),
        ("log = Kept(MOST)", "log.add(text)"),
    ],
)  # fmt: skip
def test_what_is_not_cut_is_not_told(told: Ask, made: str, more: str) -> None:
    assert told(made, more) == []


def test_nothing_is_told_once_the_time_is_over(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM.format(made="log = ''", more="log = (log + text)[-9000:]"))
    (found,) = values_to_cut(str(file), {("main", 14)}, math.inf)
    assert found[1] == 9000
    assert list(values_to_cut(str(file), {("main", 14)}, 0.0)) == []
