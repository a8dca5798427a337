"""The marker `no_leak`, through pytester: real processes, real leaks, at the exact limit."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

pytest_plugins = "pytester"

PLUGIN = "hfmemdebug.integrations.pytest_plugin"
# Where the package is installed, pytest finds the plugin by itself; twice would be once too often.
INSTALLED = any(entry.value == PLUGIN for entry in importlib.metadata.entry_points(group="pytest11"))
OPTIONS = ["-p", "no:cacheprovider", *([] if INSTALLED else ["-p", PLUGIN])]

# On other versions of CPython an epoch's end itself leaves up to a kilobyte, two bytes for each of 500 calls.
ABOVE, SEEN = ("65B", "64 B") if (3, 11) <= sys.version_info < (3, 13) else ("72B", "B")
LEAKS = """
import os
import pytest

chain = ()
started_in = os.getpid()
kept = []


def link():
    global chain
    chain = (chain, None, None)  # 64 bytes: a head of 16 for the collector, 24, and 8 for each item


@pytest.mark.no_leak(iterations=2500, min_leak="64B")
def test_at_the_limit():
    link()


@pytest.mark.no_leak(iterations=2500, min_leak="{ABOVE}")
def test_below_the_limit():
    link()


@pytest.mark.no_leak
def test_large(tmp_path):
    kept.append(tmp_path.name + "x" * 10_000)
"""


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_leaks_at_the_exact_limit_with_their_ledger_site_and_holder(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_gate=LEAKS.replace("{ABOVE}", ABOVE))
    result = pytester.runpytest_subprocess(*OPTIONS, "-n", "2")
    result.assert_outcomes(passed=1, failed=2)
    text = result.stdout.str()
    assert "PASSED" not in text
    at_limit = text[text.index("_ test_at_the_limit _") :]
    assert f"{SEEN} of Python objects per call" in at_limit
    large = " ".join(text[text.index("_ test_large _") :].split())
    assert re.search(r"LEAK, in your code or in what it calls: 9\.[89] KB", large)
    assert "Python objects +" in large
    assert "in test_large (python)" in large
    assert "list `kept` (+1 item per call)" in large
    assert "hfmemdebug report --last -o report.md" in large
    assert str(pytester.path) not in large.partition("short test summary")[0]


def test_what_keeps_nothing_passes_without_a_word(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import os, pytest

        @pytest.fixture(scope="session", autouse=True)
        def once():
            # Set up in the test's own process alone.
            assert "HFMEMDEBUG_NO_LEAK" in os.environ
        """
    )
    pytester.makepyfile(
        """
        import os, pytest

        parent = os.getppid()

        @pytest.mark.parametrize("letter", ["a"])
        @pytest.mark.no_leak(iterations=200, min_leak="1K")
        def test_file(tmp_path, letter):
            (tmp_path / letter).write_text(letter * 1000)
            return iter(range(3))
        """
    )
    result = pytester.runpytest_subprocess(*OPTIONS, "-q")
    result.assert_outcomes(passed=1)
    assert len(result.stdout.str().split("\n\n")[0].splitlines()) <= 2, result.stdout.str()
    assert "warning" not in result.stdout.str()


def test_failures_skips_and_wrong_arguments_are_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.no_leak
        def test_fails():
            assert 1 + 1 == 3

        @pytest.mark.no_leak
        def test_skips():
            pytest.skip("not today")

        @pytest.mark.no_leak(min_leak="much")
        def test_size():
            pass

        @pytest.mark.no_leak(limit=3)
        def test_name():
            pass

        @pytest.mark.no_leak(iterations=2)
        def test_few():
            pass
        """
    )
    result = pytester.runpytest_subprocess(*OPTIONS, "-rs")
    result.assert_outcomes(failed=4, skipped=1)
    for said in (
        "*assert (1 + 1) == 3*",
        "*not today*",
        "*no_leak: 'much' is not a size. Write 64K*",
        "*takes iterations=… and min_leak=…, not limit*",
        "*iterations=2 is not a number of calls from 5 on*",
    ):
        result.stdout.fnmatch_lines([said])


def test_too_few_calls_for_the_limit_are_warned_of(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.no_leak(iterations=10, min_leak="16B")
        def test_it():
            pass
        """
    )
    result = pytester.runpytest_subprocess(*OPTIONS)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*NoLeakWarning*give iterations=*"])


def test_classes_test_cases_and_coroutines_are_called_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_kinds="""
        import asyncio, unittest
        import pytest

        kept = []
        mark = pytest.mark.no_leak(iterations=100, min_leak="1K")


        def keep():
            kept.append("x" * 5000 + str(len(kept)))


        @mark
        class TestClass:
            @pytest.mark.parametrize("how", ["a/b[1]", "c d"])
            def test_param(self, how):
                keep() if how == "c d" else None


        class TestCase(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.shared = 3

            def setUp(self):
                self.own = 4

            @mark
            def test_clean(self):
                self.assertEqual((self.shared, self.own), (3, 4))

            @mark
            def test_leak(self):
                keep()

            @mark
            def test_skip(self):
                self.skipTest("not today")

            @mark
            def test_wrong(self):
                self.assertEqual(self.shared, self.own)


        @mark
        async def test_coroutine():
            await asyncio.sleep(0)
            keep()


        @mark
        async def test_clean_coroutine():
            await asyncio.sleep(0)
        """
    )
    result = pytester.runpytest_subprocess(*OPTIONS, "-n", "2", "-rs")
    result.assert_outcomes(passed=3, failed=4, skipped=1)
    text = result.stdout.str()
    for name in (
        "TestClass.test_param[[]c d[]]",
        "TestCase.test_leak",
        "TestCase.test_wrong",
        "test_coroutine",
    ):
        result.stdout.fnmatch_lines([f"_* {name} _*"])
    assert text.count("list `kept`: +1 per call") + text.count("list `kept` (+1 item per call)") == 3
    assert "3 != 4" in text
    assert "not today" in text
