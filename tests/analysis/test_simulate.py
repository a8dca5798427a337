"""The whole procedure over scripted shapes: none that keeps to its rule is decided against its truth."""

from __future__ import annotations

import pytest
from analysis.simulate import HARMLESS, LEAKS, Setting, rates

# A cache that is full only after the run, and a sawtooth whose tooth is longer than it, look like leaks.
LONGER_THAN_THE_RUN = ("full after 600 slices", "sawtooth of 500")
SETTINGS = (Setting(), Setting(noise=300.0), Setting(most=14, sparse=True))


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_not_cleared(name: str, setting: Setting) -> None:
    assert rates(LEAKS[name], setting, runs=2)["no-leak"] == 0


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("name", [name for name in HARMLESS if name not in LONGER_THAN_THE_RUN])
def test_what_is_harmless_is_not_called_a_leak(name: str, setting: Setting) -> None:
    assert rates(HARMLESS[name], setting, runs=2)["leak"] == 0
